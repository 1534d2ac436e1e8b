//! How long applies usually take, from their starts and ends. Knows no engine and no clock: only what entries say.

use crate::rollout::{Outcome, StepEvent};
use crate::stack::{StackName, TargetId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The newest durations of each stack and of the whole fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    stacks: BTreeMap<StackName, Sample>,
    fleet: Sample,
    /// Which run started a target that has no outcome yet, and when.
    begun: BTreeMap<TargetId, (Arc<str>, u64)>,
}

/// Milliseconds, newest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "VecDeque<u64>", into = "VecDeque<u64>")]
struct Sample {
    newest: VecDeque<u64>,
    sorted: Vec<u64>,
}

impl From<VecDeque<u64>> for Sample {
    fn from(newest: VecDeque<u64>) -> Self {
        let mut sorted: Vec<u64> = newest.iter().copied().collect();
        sorted.sort_unstable();
        Self { newest, sorted }
    }
}

impl From<Sample> for VecDeque<u64> {
    fn from(sample: Sample) -> Self {
        sample.newest
    }
}

/// Of one stack, and of all together: older ones tell of another version of it.
const STACK_MAX: usize = 20;
const FLEET_MAX: usize = 100;

impl Usual {
    /// Takes a step of a rollout in. Only an apply that one run began and brought to its end has a duration: one that was lost has
    /// the time in it that it took somebody to look.
    pub(super) fn meet(&mut self, step: &StepEvent, run: &Arc<str>, at_ms: u64) {
        match step {
            StepEvent::Started { target } => drop(self.begun.insert(target.clone(), (run.clone(), at_ms))),
            StepEvent::Finished { target, outcome } => {
                let begun = self.begun.remove(target).filter(|(by, _)| by == run);
                if let (Some((_, since_ms)), Outcome::Applied) = (begun, outcome) {
                    let took_ms = at_ms.saturating_sub(since_ms);
                    self.stacks.entry(target.stack.clone()).or_default().take(took_ms, STACK_MAX);
                    self.fleet.take(took_ms, FLEET_MAX);
                }
            }
            StepEvent::GatePassed { .. } | StepEvent::GateFailed { .. } | StepEvent::Verified { .. } => {}
            StepEvent::Stopped { .. } | StepEvent::Resumed => {}
        }
    }

    /// Returns the milliseconds in which nine of ten applies of this target's stack came to their end; of any stack, where this one was
    /// never applied; `None` where nothing was.
    pub fn p90_ms(&self, target: &TargetId) -> Option<u64> {
        self.stacks.get(&target.stack).unwrap_or(&self.fleet).p90()
    }
}

impl Sample {
    fn take(&mut self, ms: u64, most: usize) {
        self.newest.push_back(ms);
        self.sorted.insert(self.sorted.partition_point(|other| *other < ms), ms);
        while self.newest.len() > most
            && let Some(oldest) = self.newest.pop_front()
        {
            self.sorted.remove(self.sorted.partition_point(|other| *other < oldest));
        }
    }

    /// It is asked for every target on every turn of a rollout.
    fn p90(&self) -> Option<u64> {
        self.sorted.get((self.sorted.len() * 9).div_ceil(10).saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> TargetId {
        text.parse().expect("a target")
    }

    fn apply(usual: &mut Usual, target: &str, (from, to): (&str, &str), took_ms: u64, outcome: Outcome) {
        usual.meet(&StepEvent::Started { target: id(target) }, &from.into(), 1_000);
        usual.meet(&StepEvent::Finished { target: id(target), outcome }, &to.into(), 1_000 + took_ms);
    }

    #[test]
    fn nine_of_ten_applies_took_no_longer() {
        let mut usual = Usual::default();
        assert_eq!(usual.p90_ms(&id("a@prod/us")), None);
        for took_ms in [5, 1, 2, 3, 4, 10, 9, 8, 7, 6] {
            apply(&mut usual, "a@prod/us", ("r", "r"), took_ms, Outcome::Applied);
        }
        assert_eq!(usual.p90_ms(&id("a@prod/eu")), Some(9), "wherever the stack is applied");
        apply(&mut usual, "b@prod/us", ("r", "r"), 100, Outcome::Applied);
        assert_eq!(usual.p90_ms(&id("b@prod/us")), Some(100));
        assert_eq!(usual.p90_ms(&id("new@prod/us")), Some(10), "of the whole fleet");
    }

    #[test]
    fn only_the_newest_count() {
        let mut usual = Usual::default();
        for took_ms in 0..100 {
            apply(&mut usual, "a@prod/us", ("r", "r"), 1_000 - took_ms, Outcome::Applied);
        }
        assert_eq!(usual.p90_ms(&id("a@prod/us")), Some(918));
        let text = serde_json::to_string(&usual).expect("it holds only what JSON can");
        assert_eq!(serde_json::from_str::<Usual>(&text).ok(), Some(usual), "read back, it goes on in order");
    }

    #[test]
    fn what_was_lost_or_failed_tells_nothing() {
        let mut usual = Usual::default();
        apply(&mut usual, "a@prod/us", ("lost", "later"), 9_000, Outcome::Applied);
        apply(&mut usual, "a@prod/us", ("r", "r"), 9_000, Outcome::Failed("no quota".into()));
        usual.meet(&StepEvent::Finished { target: id("a@prod/us"), outcome: Outcome::Applied }, &"r".into(), 9_000);
        assert_eq!(usual.p90_ms(&id("a@prod/us")), None);
        assert_eq!(usual.begun.len(), 0);
    }
}
