//! One of several processes that bring a fleet together: which part of the work it takes first. Knows no processes.

use crate::stack::TargetId;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// `2/4`: the second of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    nth: usize,
    of: usize,
}

/// A workflow has at most so many jobs of one matrix.
pub const SHARDS_MAX: usize = 256;
/// Targets that a shard takes at once: enough to keep a runner busy, few enough that what it holds when it is lost is little.
const BITE_MAX: usize = 64;
/// At first, for each that it may have in flight: all shards look at their bites at the beginning of a wave, and nothing starts meanwhile.
const BITE_FIRST: usize = 4;
/// Targets for which one more shard is worth a runner of its own.
const WORTH_A_SHARD: usize = 200;

impl Shard {
    /// The only one there is.
    pub const WHOLE: Self = Self { nth: 1, of: 1 };

    /// Returns the `nth` shard of `of`, counted from 1; `None` when there is none.
    pub fn new(nth: usize, of: usize) -> Option<Self> {
        ((1..=of).contains(&nth) && of <= SHARDS_MAX).then_some(Self { nth, of })
    }

    /// How many there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// Returns what this shard, which has so many `in_flight` at most (0 for all it gets), takes next of all that is on offer, some of
    /// it at least: its own part first, so that shards seldom want the same, and never more than a fair share, so that whoever comes
    /// late finds something to do. `done` are targets of the wave that have an outcome: bites grow as it comes on.
    pub fn bite(self, offered: &[TargetId], done: usize, in_flight: usize) -> Vec<TargetId> {
        let first = if in_flight == 0 { BITE_MAX } else { in_flight.saturating_mul(BITE_FIRST) };
        let most = first.max(done * 2 / self.of).min(BITE_MAX);
        let piece = self.piece(offered.len());
        offered.iter().skip(piece.start).take(piece.len().clamp(1, most)).cloned().collect()
    }

    /// Returns this shard's own part of a list of `all`: those of all shards are the list.
    pub fn piece(self, all: usize) -> Range<usize> {
        all * (self.nth - 1) / self.of..all * self.nth / self.of
    }
}

/// How many shards `targets` are worth, of at most `most`; none where there is nothing to do.
pub fn shards_for(targets: usize, most: Option<usize>) -> usize {
    let worth = most.map_or_else(|| targets.div_ceil(WORTH_A_SHARD), |most| most.min(targets));
    worth.min(SHARDS_MAX)
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.nth, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(nth, of)| Some((nth.parse().ok()?, of.parse().ok()?)));
        let shard = parts.and_then(|(nth, of)| Self::new(nth, of));
        shard.ok_or_else(|| format!("a shard is written 2/4, the second of four; there may be up to {SHARDS_MAX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn targets(count: usize) -> Vec<TargetId> {
        (0..count).map(|at| format!("s{at}@prod/us").parse().expect("a target")).collect()
    }

    #[test]
    fn a_shard_is_one_of_some() {
        let read = |text: &str| text.parse::<Shard>().map(|shard| shard.to_string());
        assert_eq!(read("2/4"), Ok("2/4".into()));
        for wrong in ["0/4", "5/4", "1/0", "1/257", "4", "a/b", "-1/2", "1/2/3"] {
            assert!(read(wrong).is_err_and(|why| why.contains("2/4")), "{wrong}");
        }
    }

    #[test]
    fn shards_that_begin_together_want_nothing_twice_and_leave_nothing() {
        for (count, of) in [(30, 3), (31, 4), (3, 3), (160, 16)] {
            let offered = targets(count);
            let bites: Vec<_> = (1..=of).flat_map(|nth| Shard::new(nth, of).expect("a shard").bite(&offered, 0, 0)).collect();
            let taken: BTreeSet<_> = bites.iter().collect();
            assert_eq!((bites.len(), taken.len()), (count, count), "{count} over {of}");
        }
    }

    #[test]
    fn there_are_as_many_shards_as_there_is_work_for_and_none_for_nothing() {
        assert_eq!([0, 1, 200, 201, 10_000, 1_000_000].map(|targets| shards_for(targets, None)), [0, 1, 1, 2, 50, 256]);
        assert_eq!([0, 3, 30].map(|targets| shards_for(targets, Some(8))), [0, 3, 8]);
    }

    #[test]
    fn a_shard_takes_a_fair_share_and_at_least_one() {
        let sizes =
            |of: usize| [0, 1, 5, 1000].map(|count| Shard::new(of, of).expect("a shard").bite(&targets(count), 0, 0).len());
        assert_eq!(sizes(4), [0, 1, 2, 64]);
        assert_eq!(Shard::new(1, 4).expect("a shard").bite(&targets(1), 0, 0).len(), 1);
        assert_eq!(sizes(1), [0, 1, 5, 64]);
    }

    #[test]
    fn bites_are_small_at_the_beginning_of_a_wave_and_grow_as_it_comes_on() {
        let shard = Shard::new(1, 4).expect("a shard");
        let size = |done: usize, in_flight: usize| shard.bite(&targets(1000), done, in_flight).len();
        assert_eq!([0, 8, 16, 40, 1000].map(|done| size(done, 1)), [4, 4, 8, 20, 64]);
        assert_eq!([1, 2, 16, 100, 0].map(|in_flight| size(0, in_flight)), [4, 8, 64, 64, 64]);
        assert_eq!(shard.bite(&targets(8), 1000, 1).len(), 2, "and never more than a fair share");
    }
}
