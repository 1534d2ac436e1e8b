//! Which file holds which entries: closed segments, named by their first and last entry, and the tail that is written to.

use super::disk::list;
use crate::store::StoreError;
use std::path::{Path, PathBuf};

/// A closed segment: whole groups, never written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) path: PathBuf,
}

/// All files with entries, as they were when they were listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files {
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    pub(super) tail: PathBuf,
}

/// One file to be read.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) path: PathBuf,
    /// The last entry of a segment; `None` for the tail.
    pub(super) last: Option<u64>,
}

impl Files {
    pub(super) fn list(dir: &Path) -> Result<Self, StoreError> {
        let mut segments: Vec<Segment> = list(&segments_dir(dir))?.into_iter().filter_map(Segment::named).collect();
        segments.sort_by_key(|segment| (segment.first, segment.last));
        Ok(Self { segments, tail: tail(dir) })
    }

    /// The last entry that stands in a segment; 0 when there is none.
    pub(super) fn closed(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.last)
    }

    /// The files with the entries after `seq`, oldest first.
    pub(super) fn after(&self, seq: u64) -> Vec<Piece> {
        let segments = self.segments.iter().filter(|segment| segment.last > seq);
        let segments = segments.map(|segment| Piece { path: segment.path.clone(), last: Some(segment.last) });
        segments.chain([Piece { path: self.tail.clone(), last: None }]).collect()
    }

    /// No segment after `seq` is gone.
    pub(super) fn follow(&self, seq: u64) -> bool {
        let mut last = seq;
        self.segments.iter().filter(|segment| segment.last > seq).all(|segment| {
            let follows = segment.first == last + 1;
            last = segment.last;
            follows
        })
    }

    /// `seq` is the last entry of a segment.
    pub(super) fn ends_at(&self, seq: u64) -> bool {
        self.segments.iter().any(|segment| segment.last == seq)
    }
}

impl Segment {
    fn named(path: PathBuf) -> Option<Self> {
        let (first, last) = path.file_name()?.to_str()?.strip_suffix(".jsonl")?.split_once('-')?;
        Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, path: path.clone() })
    }

    /// Where the entries from `first` to `last` are kept once they are closed.
    pub(super) fn of(dir: &Path, first: u64, last: u64) -> Self {
        Self { first, last, path: segments_dir(dir).join(format!("{first:012}-{last:012}.jsonl")) }
    }
}

pub(super) fn tail(dir: &Path) -> PathBuf {
    dir.join("entries.jsonl")
}

pub(super) fn segments_dir(dir: &Path) -> PathBuf {
    dir.join("segments")
}
