//! What this clone has seen of journals: a ref that was there and is not there any more, or that has lost its entries, is no journal that
//! nobody has begun.

use super::Anew;
use crate::store::StoreError;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The notes of a clone, one for each journal that it met, beside the cache of that journal.
pub(super) struct Seen {
    /// The directory of all notes.
    dir: PathBuf,
    note: PathBuf,
    own: Note,
    anew: Anew,
    /// What the own note says at least.
    noted: Cell<Met>,
}

/// How much of a journal was there; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Met {
    /// No ref.
    Nothing,
    /// A ref with leases, taken or given back, and nothing else.
    Begun,
    Entries,
}

/// Where a journal was met.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    reference: String,
    place: String,
}

/// The file's name below the cache of a journal.
const NOTE: &str = "seen";

/// The last line of a note of a journal that had no entry yet.
const BEGUN: &str = "begun";

impl Seen {
    pub(super) fn new(dir: &Path, cache: &Path, place: &str, reference: &str, anew: Anew) -> Self {
        let own = Note { reference: reference.into(), place: place.into() };
        Self { dir: dir.into(), note: cache.join(NOTE), own, anew, noted: Cell::new(Met::Nothing) }
    }

    /// Notes what was met, unless more was met before. Where nothing can be written, nothing is noted: the next clone starts as bare.
    pub(super) fn note(&self, met: Met) {
        if self.noted.replace(self.noted.get().max(met)) >= met {
            return;
        }
        let is_noted = |text: String| Note::read(&text).is_some_and(|(note, noted)| note == self.own && noted >= met);
        if std::fs::read_to_string(&self.note).is_ok_and(is_noted) {
            return;
        }
        let dir = self.note.parent().unwrap_or(&self.dir);
        let _unnoted = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&self.note, self.own.text(met)));
    }

    /// Refuses to go on from what was met at `place` where this clone has seen more, there or elsewhere.
    pub(super) fn refuse_less(&self, met: Met, place: &str) -> Result<(), StoreError> {
        let Some((note, known)) = self.more_than(met) else { return Ok(()) };
        let (reference, note) = (&self.own.reference, note.display());
        let has_ref = met > Met::Nothing;
        let what = match (known == place, has_ref) {
            (true, false) => format!("the journal is gone from {place}, where this clone has seen it"),
            (true, true) => format!("no entry is in the journal at {place}, where this clone has seen some"),
            (false, false) => format!("no journal is at {place}, and this clone has seen one at {known}"),
            (false, true) => format!("no entry is in the journal at {place}, and this clone has seen some at {known}"),
        };
        let way = match known == place {
            true => "push it again from a clone or a backup",
            false => "set the remote's address back, or push the ref from there to here",
        };
        let hint = format!(
            "whoever began anew would forget every approval and who speaks for the fleet: {way} ({reference}); where it is lost for good, delete {note}"
        );
        Err(StoreError::Io { what, hint: Some(hint) })
    }

    /// A note of more, which speaks against beginning: our own first.
    fn more_than(&self, met: Met) -> Option<(PathBuf, String)> {
        let dir = match self.anew {
            Anew::Unasked => return None,
            Anew::UnlessSeenHere => None,
            Anew::UnlessSeen => std::fs::read_dir(&self.dir).ok(),
        };
        let mut others: Vec<PathBuf> = dir.into_iter().flatten().flatten().map(|entry| entry.path().join(NOTE)).collect();
        others.sort();
        [self.note.clone()].into_iter().chain(others).find_map(|path| {
            let (note, noted) = Note::read(&std::fs::read_to_string(&path).ok()?)?;
            (note.reference == self.own.reference && noted > met).then_some((path, note.place))
        })
    }
}

impl Note {
    fn text(&self, met: Met) -> String {
        let Self { reference, place } = self;
        match met {
            Met::Nothing | Met::Begun => format!("{reference}\n{place}\n{BEGUN}\n"),
            Met::Entries => format!("{reference}\n{place}\n"),
        }
    }

    fn read(text: &str) -> Option<(Self, Met)> {
        let (reference, rest) = text.split_once('\n')?;
        let (place, rest) = rest.split_once('\n')?;
        let met = if rest.trim_end() == BEGUN { Met::Begun } else { Met::Entries };
        Some((Self { reference: reference.into(), place: place.into() }, met))
    }
}
