//! The newest entries that a process met, so that whoever follows the journal need not read it again. Knows no place.

use crate::journal::Entry;
use std::collections::VecDeque;

/// The newest entries that this process met, each after the one before it, for whoever follows the journal: reading it again is reading
/// all of it.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Entry>);

/// Some megabytes; who comes later than that reads all of it.
const RECENT_MAX: usize = 4096;

impl Recent {
    pub(super) fn met(&mut self, entries: &[Entry]) {
        let follows = |first: &Entry| self.0.back().is_none_or(|last| last.seq + 1 == first.seq);
        if !entries.first().is_none_or(follows) {
            self.0.clear(); // what came between was not met
        }
        self.0.extend(entries.iter().cloned());
        self.0.drain(..self.0.len().saturating_sub(RECENT_MAX));
    }

    /// The entries after `known` up to `newest`; `None` when they are not all here.
    pub(super) fn since(&self, known: u64, newest: u64) -> Option<Vec<Entry>> {
        if known >= newest {
            return Some(Vec::new());
        }
        let first = self.0.front().map(|first| first.seq).filter(|first| *first <= known + 1)?;
        let skipped = usize::try_from(known + 1 - first).ok()?.min(self.0.len());
        Some(self.0.range(skipped..).cloned().collect())
    }
}
