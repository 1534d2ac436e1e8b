//! The newest entries that a process met, so that whoever follows the journal need not read it again. Knows no place.

use crate::journal::Entry;
use std::collections::VecDeque;

/// The newest entries that this process met, for whoever follows the journal: reading it again is reading all of it.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Entry>);

/// Some megabytes; who comes later than that reads all of it.
const RECENT_MAX: usize = 4096;

impl Recent {
    pub(super) fn met(&mut self, entries: &[Entry]) {
        self.0.extend(entries.iter().cloned());
        self.0.drain(..self.0.len().saturating_sub(RECENT_MAX));
    }

    /// The entries after `known` up to `newest`; `None` when they are not all here.
    pub(super) fn since(&self, known: u64, newest: u64) -> Option<Vec<Entry>> {
        if known >= newest {
            return Some(Vec::new());
        }
        let has_all = self.0.front().is_some_and(|first| first.seq <= known + 1);
        has_all.then(|| self.0.iter().filter(|entry| entry.seq > known).cloned().collect())
    }
}
