//! How far a rollout is: a fold over its events. What may begin next is read off it in `next.rs`, and told in `words.rs`.
//!
//! The facts (outcomes, starts, gates, verifications) come from events alone. The queues are derived from them as events come in,
//! so that a whole rollout costs O(targets + dependencies); `fold.rs` keeps them.

use super::fold::{Blame, Phase, Run, Slot, is_reached};
use super::{Ending, Outcome, Pool, Rollout};
use crate::change::Intent;
use crate::policy::Clearance;
use crate::stack::{StackName, TargetId};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What happened in a rollout. Times are the journal's, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum StepEvent {
    /// The engine may have begun; without a later `Finished` the outcome is unknown.
    Started {
        target: TargetId,
    },
    Finished {
        target: TargetId,
        outcome: Outcome,
    },
    GatePassed {
        wave: usize,
        gate: usize,
    },
    GateFailed {
        wave: usize,
        gate: usize,
        why: Arc<str>,
    },
    /// All targets have outcomes and all gates passed: the bake begins here.
    Verified {
        wave: usize,
    },
    Stopped {
        why: Arc<str>,
    },
    /// Somebody said go on: in waves that are not verified, failed and skipped targets are tried again, gates are asked again and
    /// the deadline begins anew.
    Resumed,
}

/// A rollout and all that happened in it.
#[derive(Clone, Debug)]
pub struct Progress {
    pub(super) rollout: Rollout,
    /// Where a target stands in `slots`; never iterated.
    pub(super) index: HashMap<TargetId, usize>,
    pub(super) slots: Vec<Slot>,
    pub(super) runs: Vec<Run>,
    pub(super) stopped: Option<Arc<str>>,
    decisions: usize,
    /// Somebody resumed it after it had stopped.
    went_on: bool,
    /// Targets that were not brought to this commit, per stack; never iterated.
    pub(super) missed: HashMap<StackName, Vec<usize>>,
}

impl Progress {
    pub fn new(rollout: Rollout) -> Self {
        let mut progress = Self {
            index: HashMap::new(),
            slots: Vec::new(),
            runs: Vec::new(),
            stopped: None,
            decisions: 0,
            went_on: false,
            missed: HashMap::new(),
            rollout,
        };
        progress.lay_out();
        progress.derive();
        progress
    }

    /// Returns the rollout after `events`, each with its time, as a process finds it that started nothing: what has no outcome is
    /// unknown.
    pub fn replay<'a>(rollout: Rollout, events: impl IntoIterator<Item = (&'a StepEvent, u64)>) -> Self {
        let mut progress = Self::new(rollout);
        events.into_iter().for_each(|(event, at_ms)| progress.record(event, at_ms));
        progress
    }

    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Folds one event in. Events of unknown targets or waves are ignored, and so is a second outcome, and what a gate said of a wave
    /// before somebody had more of it tried: it knows nothing of that.
    ///
    /// A start counts as *in flight* when this `Progress` gave the permission, else as *unknown*: a clearance does not outlive its
    /// process, so neither does a start.
    pub fn record(&mut self, event: &StepEvent, at_ms: u64) {
        match event {
            StepEvent::Started { target } => {
                if let Some(slot) = self.index.get(target) {
                    self.start(*slot, at_ms);
                }
            }
            StepEvent::Finished { target, outcome } => {
                if let Some(slot) = self.index.get(target) {
                    self.finish(*slot, outcome, at_ms);
                }
            }
            StepEvent::GatePassed { wave, gate } => {
                if let Some(run) = self.runs.get_mut(*wave).filter(|run| run.has_ended()) {
                    run.passed.insert(*gate);
                    run.last_at = at_ms;
                }
            }
            StepEvent::GateFailed { wave, gate, why } => self.fail_gate(*wave, *gate, why),
            StepEvent::Verified { wave } => {
                self.decisions += 1;
                self.verify(*wave, at_ms);
            }
            StepEvent::Stopped { why } => {
                self.decisions += 1;
                self.stopped = Some(why.clone());
            }
            StepEvent::Resumed => {
                self.decisions += 1;
                self.went_on |= self.stopped.is_some();
                self.resume();
            }
        }
    }

    /// It had stopped, and somebody said go on: a newer head may take its place, for that is where forward is. One that was only
    /// paused goes on by itself.
    pub fn was_resumed(&self) -> bool {
        self.went_on
    }

    /// How many targets of the wave of `target` have an outcome.
    pub fn ended_beside(&self, target: &TargetId) -> usize {
        self.slot(target).map_or(0, |slot| self.runs[self.slots[slot].wave].ended)
    }

    /// How much was said about it as a whole: a wave verified, a stop, a go on. Others may say so who hold none of its targets.
    pub fn decisions(&self) -> usize {
        self.decisions
    }

    /// Gives permission for targets that [`Todo::NeedsClearance`](super::Todo::NeedsClearance) asked about; any other clearance is
    /// ignored. A clearance lives only in this process: after a crash the wave asks again.
    pub fn clear(&mut self, clearances: Vec<Clearance>) {
        self.clear_for(clearances, |_| Vec::new());
    }

    /// Gives permission for targets that need a slot of each of their `pools` as well.
    pub fn clear_for(&mut self, clearances: Vec<Clearance>, pools: impl Fn(&TargetId) -> Vec<Pool>) {
        for clearance in clearances {
            let Some(slot) = self.index.get(clearance.target()).copied() else { continue };
            let same = self.intent(slot) == clearance.intent();
            let run = &mut self.runs[self.slots[slot].wave];
            if same && run.ready.remove(&slot) {
                let pools = pools(clearance.target());
                run.cleared.insert(slot, clearance, pools);
            }
        }
    }

    /// Gives the permission for one target back, that it may not use now; others may.
    pub fn give_clearance_back(&mut self, target: &TargetId) {
        let Some(slot) = self.slot(target) else { return };
        let run = &mut self.runs[self.slots[slot].wave];
        if run.cleared.remove(slot) {
            run.ready.insert(slot);
        }
    }

    /// What is cleared, and was not begun by what is recorded here.
    pub fn cleared(&self) -> impl Iterator<Item = &TargetId> {
        self.runs.iter().flat_map(|run| run.cleared.places()).map(|slot| self.target(slot))
    }

    /// Leaves `target` to the newer rollout `to`, for good.
    pub fn give_up(&mut self, target: &TargetId, to: &str) {
        if let Some(slot) = self.slot(target) {
            self.leave(slot, &format!("rollout {to} took it over").into());
        }
    }

    pub fn outcome(&self, target: &TargetId) -> Option<&Outcome> {
        match &self.slots[*self.index.get(target)?].phase {
            Phase::Ended(outcome) => Some(outcome),
            Phase::Waiting | Phase::InFlight | Phase::Unknown => None,
        }
    }

    /// The target is part of this rollout.
    pub fn contains(&self, target: &TargetId) -> bool {
        self.index.contains_key(target)
    }

    /// The rollout goes on, or is stopped, and has not brought this target to its commit yet: later merges wait for it.
    pub fn holds(&self, target: &TargetId) -> bool {
        self.contains(target) && self.ending() != Some(Ending::Complete) && !self.outcome(target).is_some_and(Outcome::is_reached)
    }

    /// This process started it, and it has no outcome.
    pub fn is_in_flight(&self, target: &TargetId) -> bool {
        self.index.get(target).is_some_and(|slot| self.slots[*slot].phase == Phase::InFlight)
    }

    /// Targets that were started and have no outcome, in the order of the plan.
    pub fn unknown(&self) -> Vec<TargetId> {
        let open = |slot: &&Slot| match slot.phase {
            Phase::InFlight | Phase::Unknown => true,
            Phase::Waiting | Phase::Ended(_) => false,
        };
        self.slots.iter().filter(open).map(|slot| self.planned(slot).clone()).collect()
    }

    /// How it ended, when it has.
    pub fn ending(&self) -> Option<Ending> {
        match &self.stopped {
            Some(why) => Some(Ending::Stopped(why.clone())),
            None => self.runs.iter().all(|run| run.verified_at.is_some()).then_some(Ending::Complete),
        }
    }

    pub(super) fn target(&self, slot: usize) -> &TargetId {
        self.planned(&self.slots[slot])
    }

    pub(super) fn slot(&self, target: &TargetId) -> Option<usize> {
        self.index.get(target).copied()
    }

    /// Targets that must come first and are not reached, in the order of the plan.
    pub(super) fn missing(&self, slot: usize) -> impl Iterator<Item = usize> {
        let slot = &self.slots[slot];
        let after = &self.rollout.waves[slot.wave].targets[slot.at].after;
        after.iter().filter_map(|first| self.slot(first)).filter(|first| !is_reached(&self.slots[*first]))
    }

    /// Tells why a doomed target is skipped: which target is to blame in the end. Why that one was left is told of itself, once.
    pub(super) fn doom(&self, slot: usize) -> Arc<str> {
        let origin = self.origin(slot);
        if origin == slot {
            return "".into(); // only slots with a blame are doomed
        }
        let name = self.target(origin);
        if let Phase::Ended(held) = &self.slots[origin].phase
            && held.is_held()
        {
            return held.held_on(name, self.target(slot));
        }
        let how = match &self.slots[origin].phase {
            Phase::Ended(Outcome::NotCleared(_)) => "was not cleared",
            Phase::Ended(Outcome::Skipped(_)) => "was skipped",
            Phase::Ended(Outcome::Applied | Outcome::Unchanged | Outcome::Failed(_)) => "failed",
            Phase::Waiting | Phase::InFlight | Phase::Unknown => "failed",
        };
        match (self.slots[slot].blame, self.intent(slot)) {
            (Some(Blame::Earlier(_)), _) => format!("{name}, of an earlier wave, {how}").into(),
            (_, Intent::Converge) => format!("dependency {name} {how}").into(),
            (_, Intent::Destroy) => format!("dependent {name} {how}").into(),
        }
    }

    /// The target at the end of a chain of blames; each was left before the one that it is blamed for.
    pub(super) fn origin(&self, mut slot: usize) -> usize {
        while let Some(Blame::First(root) | Blame::Earlier(root)) = self.slots[slot].blame {
            slot = root;
        }
        slot
    }

    fn planned(&self, slot: &Slot) -> &TargetId {
        &self.rollout.waves[slot.wave].targets[slot.at].target
    }

    pub(super) fn intent(&self, slot: usize) -> Intent {
        let slot = &self.slots[slot];
        self.rollout.waves[slot.wave].targets[slot.at].intent
    }
}
