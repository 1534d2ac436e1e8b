//! The newest entries that a process met, so that whoever follows the journal need not read it again, and what all of it amounts to.
//! Knows no place.

use crate::journal::{Entry, History};
use std::collections::VecDeque;

/// The newest entries that this process met, each after the one before it, for whoever follows the journal: reading it again is reading
/// all of it.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<Entry>);

/// Some megabytes; who comes later than that reads all of it.
const RECENT_MAX: usize = 4096;

impl Recent {
    pub(super) fn met(&mut self, entries: &[Entry]) {
        if !self.goes_on_with(entries) {
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

    fn goes_on_with(&self, entries: &[Entry]) -> bool {
        let follows = |first: &Entry| self.0.back().is_none_or(|last| last.seq + 1 == first.seq);
        entries.first().is_none_or(follows)
    }

    fn newest(&self, number: usize) -> impl Iterator<Item = &Entry> {
        self.0.range(self.0.len().saturating_sub(number)..)
    }
}

/// The journal as whoever follows it, entry by entry, knows it. What it all amounts to is asked rarely, and worked out then.
#[derive(Debug, Default)]
pub(super) struct Followed {
    recent: Recent,
    history: History,
    /// How many of the newest entries are not folded into it yet.
    waiting: usize,
}

impl Followed {
    /// Begins where this is what was.
    pub(super) fn at(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// Goes on with the entries that follow.
    pub(super) fn met(&mut self, entries: &[Entry]) {
        if self.waiting + entries.len() > RECENT_MAX || !self.recent.goes_on_with(entries) {
            self.recent.newest(self.waiting).chain(entries).for_each(|entry| self.history.record(entry));
            self.waiting = 0;
        } else {
            self.waiting += entries.len();
        }
        self.recent.met(entries);
    }

    /// The entries after `known` up to `newest`; `None` when they are not all here.
    pub(super) fn since(&self, known: u64, newest: u64) -> Option<Vec<Entry>> {
        self.recent.since(known, newest)
    }

    /// What all of them amount to. Some thousand entries may have to be folded for it.
    pub(super) fn history(&self) -> History {
        let mut history = self.history.clone();
        self.recent.newest(self.waiting).for_each(|entry| history.record(entry));
        history
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Chain, Event};

    #[test]
    fn what_was_not_folded_yet_is_told_as_if_it_were() {
        let (mut chain, mut all, mut followed) = (Chain::empty(), Vec::new(), Followed::default());
        for group in [1, RECENT_MAX - 1, 1, 2, RECENT_MAX + 1, 3] {
            let look = |nth: usize| Event::Recovered {
                target: format!("app@prod/r{}", all.len() + nth).parse().expect("a target"),
                how: "looked at".into(),
                untouched: false,
            };
            let entries = chain.seal_group((0..group).map(look).collect(), &"run-1".into(), 7);
            followed.met(&entries);
            all.extend(entries);
            let said = |history: &History| serde_json::to_string(history).expect("JSON");
            assert!(said(&followed.history().resolved()) == said(&History::of(all.clone())), "after {}", all.len());
            assert_eq!(followed.since(chain.seq - 1, chain.seq).map(|entries| entries.len()), Some(1));
            if group > RECENT_MAX {
                followed = Followed::at(followed.history()); // it goes on from there
            }
        }
    }
}
