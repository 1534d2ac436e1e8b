//! What this clone has seen of journals: a ref that was there and is not there any more is no journal that nobody has begun.

use super::Anew;
use crate::store::StoreError;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The notes of a clone, one for each journal that it met, beside the cache of that journal.
pub(super) struct Seen {
    /// The directory of all notes.
    dir: PathBuf,
    note: PathBuf,
    text: String,
    reference: String,
    anew: Anew,
    is_noted: Cell<bool>,
}

/// The file's name below the cache of a journal.
const NOTE: &str = "seen";

impl Seen {
    pub(super) fn new(dir: &Path, cache: &Path, place: &str, reference: &str, anew: Anew) -> Self {
        let text = format!("{reference}\n{place}\n");
        Self { dir: dir.into(), note: cache.join(NOTE), text, reference: reference.into(), anew, is_noted: Cell::new(false) }
    }

    /// Notes that the journal is there. Where nothing can be written, nothing is noted: the next clone starts as bare.
    pub(super) fn note(&self) {
        if self.is_noted.replace(true) || std::fs::read_to_string(&self.note).is_ok_and(|text| text == self.text) {
            return;
        }
        let dir = self.note.parent().unwrap_or(&self.dir);
        let _unnoted = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&self.note, &self.text));
    }

    /// Refuses to begin anew at `place` what this clone has seen, there or elsewhere.
    pub(super) fn refuse_gone(&self, place: &str) -> Result<(), StoreError> {
        let Some((note, known)) = self.known() else { return Ok(()) };
        let (reference, note) = (&self.reference, note.display());
        let (what, way) = match known == place {
            true => (
                format!("the journal is gone from {place}, where this clone has seen it"),
                "push it again from a clone or a backup",
            ),
            false => (
                format!("no journal is at {place}, and this clone has seen one at {known}"),
                "set the remote's address back, or push the ref from there to here",
            ),
        };
        let hint = format!(
            "whoever began anew would forget every approval and who speaks for the fleet: {way} ({reference}); where it is lost for good, delete {note}"
        );
        Err(StoreError::Io { what, hint: Some(hint) })
    }

    /// A note that speaks against beginning: our own first.
    fn known(&self) -> Option<(PathBuf, String)> {
        let dir = match self.anew {
            Anew::Unasked => return None,
            Anew::UnlessSeenHere => None,
            Anew::UnlessSeen => std::fs::read_dir(&self.dir).ok(),
        };
        let mut others: Vec<PathBuf> = dir.into_iter().flatten().flatten().map(|entry| entry.path().join(NOTE)).collect();
        others.sort();
        [self.note.clone()].into_iter().chain(others).find_map(|path| {
            let text = std::fs::read_to_string(&path).ok()?;
            let (reference, place) = text.trim_end().split_once('\n')?;
            (reference == self.reference).then(|| (path, place.to_string()))
        })
    }
}
