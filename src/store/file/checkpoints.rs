//! `checkpoints/` and `bases/`: where a reader may begin. Knows where they are kept and which one to take; not what is in them.
//!
//! A checkpoint stands at the end of a segment, so that only the tail is left to be read. It is a shortcut and is made anew
//! when it cannot be used. A base stands where entries were compacted away; it counts only when an entry after it names its
//! hash.

use super::disk::{list, make_dir, read_existing, remove};
use super::scan::{End, Scan};
use super::segments::Files;
use crate::change::Digest;
use crate::journal::{Chain, Checkpoint, Dropped, History, Sealer};
use crate::store::StoreError;
use std::path::{Path, PathBuf};

/// Checkpoints that are kept: one more, for a reader who has just listed the one before.
const KEPT: usize = 2;

/// Where reading begins, and what is known there.
pub(super) struct Start {
    pub(super) chain: Chain,
    pub(super) history: History,
    pub(super) files: Files,
    /// The hash of the base that it begins at: an entry must name it.
    pub(super) base: Option<Digest>,
    /// What the base says of the segments before it.
    pub(super) dropped: Vec<Dropped>,
    /// The newest segment has no checkpoint that could be used.
    pub(super) is_late: bool,
}

impl Start {
    /// Begins at the first entry that is there.
    pub(super) fn first(dir: &Path, sealer: Option<&Sealer>) -> Result<Self, StoreError> {
        Self::first_of(dir, Files::list(dir)?, sealer)
    }

    /// Begins at the newest checkpoint that can be used; at the first entry when there is none. At or before a base there is nothing that
    /// an audit could hold a checkpoint against, so none is used.
    pub(super) fn newest(dir: &Path, sealer: Option<&Sealer>) -> Result<Self, StoreError> {
        let files = Files::list(dir)?;
        if files.segments.is_empty() {
            return Self::first_of(dir, files, sealer);
        }
        let through = bases_of(dir, &files)?.first().map_or(0, |(seq, _)| *seq);
        let is_usable = |seq: u64| seq > through && files.ends_at(seq);
        for (seq, path) in numbered(&checkpoints_dir(dir))?.into_iter().rev().filter(|(seq, _)| is_usable(*seq)) {
            let Some(text) = read_text(&path)? else { continue };
            match Checkpoint::read_sealed(&text, sealer) {
                Ok(read) if read.seq == seq => {
                    let is_late = seq < files.closed();
                    let chain = read.chain(sealer.cloned());
                    return Ok(Self { chain, history: read.history, files, base: None, dropped: read.dropped, is_late });
                }
                Ok(_) => tracing::warn!(path = %path.display(), "the checkpoint stands elsewhere"),
                Err(why) => tracing::warn!(path = %path.display(), %why, "the checkpoint cannot be used"),
            }
        }
        Ok(Self { is_late: true, ..Self::first_of(dir, files, sealer)? })
    }

    /// Reads on from here.
    pub(super) fn scan(self) -> Scan {
        Scan::over(self.files.after(self.chain.seq), End::before(self.chain), self.base)
    }

    fn first_of(dir: &Path, files: Files, sealer: Option<&Sealer>) -> Result<Self, StoreError> {
        let chain = Chain::empty().sealed_by(sealer.cloned());
        let none = Self { chain, history: History::default(), base: None, dropped: Vec::new(), is_late: false, files };
        for (seq, path) in bases_of(dir, &none.files)? {
            let Some(text) = read_text(&path)? else { continue };
            let broken = |what: String| StoreError::Broken { place: path.display().to_string(), what };
            let (read, hash) = Checkpoint::read(&text).map_err(|fault| StoreError::of_base(path.display().to_string(), fault))?;
            if read.seq != seq {
                return Err(broken("it stands elsewhere than its name says".into()));
            }
            let chain = read.chain(None).sealed_by(sealer.cloned());
            return Ok(Self { chain, history: read.history, base: Some(hash), dropped: read.dropped, ..none });
        }
        Ok(none)
    }
}

/// Bases where reading may begin: the first of them counts, and none where all entries are there.
fn bases_of(dir: &Path, files: &Files) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    if !files.segments.is_empty() && files.follow(0) {
        return Ok(Vec::new());
    }
    Ok(numbered(&bases_dir(dir))?.into_iter().filter(|(seq, _)| files.follow(*seq)).collect())
}

pub(super) fn checkpoints_dir(dir: &Path) -> PathBuf {
    dir.join("checkpoints")
}

pub(super) fn bases_dir(dir: &Path) -> PathBuf {
    dir.join("bases")
}

/// The file of what stands at entry `seq`, in a directory that is made if it is not there.
pub(super) fn file_at(dir: &Path, seq: u64) -> Result<PathBuf, StoreError> {
    make_dir(dir)?;
    Ok(dir.join(format!("{seq:012}.json")))
}

/// Lets older checkpoints go.
pub(super) fn prune(dir: &Path, keep: Option<usize>) -> Result<(), StoreError> {
    let all = numbered(&checkpoints_dir(dir))?;
    let surplus = all.len().saturating_sub(keep.unwrap_or(KEPT));
    all.into_iter().take(surplus).try_for_each(|(_, path)| remove(&path))
}

/// What stands in `dir`, by the entry it stands at.
pub(super) fn numbered(dir: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let named = |path: PathBuf| Some((path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?, path));
    let mut found: Vec<(u64, PathBuf)> = list(dir)?.into_iter().filter_map(named).collect();
    found.sort();
    Ok(found)
}

/// Reads a file; `None` when it went meanwhile. What is not text cannot be closed by its hash either.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
    Ok(read_existing(path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}
