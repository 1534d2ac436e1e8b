//! The rollouts that are not over, and which target belongs to which.
//!
//! A target belongs to the newest rollout that planned it. A rollout holds those of its targets that have no outcome yet,
//! and once it stopped also those that failed. It is forgotten when it is complete, or when it holds nothing any more
//! because later rollouts (a revert, or the next change after `resume`) planned all that it held.

use crate::change::Intent;
use crate::rollout::{Ending, Outcome, Progress, Rollout, StepEvent};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Open and stopped rollouts, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct OpenRollouts(Vec<Open>);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
struct Open {
    progress: Progress,
    /// What happened in it: the progress is read back as a fold over it.
    facts: Vec<Fact>,
    /// Its targets that no later rollout planned.
    own: BTreeMap<TargetId, Intent>,
    /// Those of them without an outcome.
    waiting: usize,
}

/// One thing that happened in a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    /// A step, and when.
    Step(StepEvent, u64),
    /// A newer rollout took targets over.
    Left { targets: Vec<TargetId>, to: Arc<str> },
}

/// An open rollout as a checkpoint keeps it: facts only, so that how progress is made of them may change.
#[derive(Serialize, Deserialize)]
struct Kept {
    rollout: Rollout,
    facts: Vec<Fact>,
    own: BTreeMap<TargetId, Intent>,
}

impl From<Open> for Kept {
    fn from(open: Open) -> Self {
        Self { rollout: open.progress.rollout().clone(), facts: open.facts, own: open.own }
    }
}

impl From<Kept> for Open {
    fn from(Kept { rollout, facts, own }: Kept) -> Self {
        let mut progress = Progress::new(rollout);
        for fact in &facts {
            match fact {
                Fact::Step(step, at_ms) => progress.record(step, *at_ms),
                Fact::Left { targets, to } => targets.iter().for_each(|target| progress.give_up(target, to)),
            }
        }
        let waiting = own.keys().filter(|target| progress.outcome(target).is_none()).count();
        Self { progress, facts, own, waiting }
    }
}

impl OpenRollouts {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Progress> {
        self.0.iter().map(|open| &open.progress).filter(|progress| progress.ending() != Some(Ending::Complete))
    }

    /// The rollout that holds `target`.
    pub(super) fn holder(&self, target: &TargetId) -> Option<&Progress> {
        self.0.iter().find(|open| open.holds(target)).map(|open| &open.progress)
    }

    /// What the rollout wants of `target`, and for which commit.
    pub(super) fn planned(&self, rollout: &str, target: &TargetId) -> Option<(Intent, Arc<str>)> {
        let open = self.find(rollout)?;
        let intent = open.own.get(target)?;
        Some((*intent, open.progress.rollout().commit.clone()))
    }

    /// Targets of a rollout that are still its own.
    pub(super) fn targets(&self, rollout: &str) -> Vec<TargetId> {
        self.find(rollout).map(|open| open.own.keys().cloned().collect()).unwrap_or_default()
    }

    /// A stopped rollout whose change was taken back holds nothing any more.
    pub(super) fn forget(&mut self, rollout: &str) {
        self.0.retain(|open| *open.progress.rollout().id != *rollout);
    }

    pub(super) fn plan(&mut self, rollout: &Rollout) {
        let planned = || rollout.waves.iter().flat_map(|wave| &wave.targets);
        for open in &mut self.0 {
            let left: Vec<TargetId> =
                planned().filter(|it| open.give_up(&it.target, rollout)).map(|it| it.target.clone()).collect();
            let superseded = !left.is_empty();
            if superseded {
                open.facts.push(Fact::Left { targets: left, to: rollout.id.clone() });
            }
            if superseded && !open.own.keys().any(|target| open.holds(target)) {
                open.own.clear();
            }
        }
        self.0.retain(|open| !open.own.is_empty());

        let own: BTreeMap<TargetId, Intent> = planned().map(|planned| (planned.target.clone(), planned.intent)).collect();
        if !own.is_empty() {
            self.0.push(Open { waiting: own.len(), progress: Progress::new(rollout.clone()), facts: Vec::new(), own });
        }
    }

    pub(super) fn step(&mut self, rollout: &str, step: &StepEvent, at_ms: u64) {
        let Some(at) = self.0.iter().position(|open| *open.progress.rollout().id == *rollout) else { return };
        let open = &mut self.0[at];
        if !open.has_ended(step) {
            open.facts.push(Fact::Step(step.clone(), at_ms));
        }
        match step {
            StepEvent::Started { target } | StepEvent::Finished { target, .. } => {
                let before = open.is_waiting(target);
                open.progress.record(step, at_ms);
                match (before, open.is_waiting(target)) {
                    (true, false) => open.waiting -= 1,
                    (false, true) => open.waiting += 1,
                    (true, true) | (false, false) => {}
                }
            }
            StepEvent::Resumed => {
                open.progress.record(step, at_ms); // what had failed has no outcome again
                open.waiting = open.own.keys().filter(|target| open.progress.outcome(target).is_none()).count();
            }
            StepEvent::GatePassed { .. }
            | StepEvent::GateFailed { .. }
            | StepEvent::Verified { .. }
            | StepEvent::Stopped { .. } => open.progress.record(step, at_ms),
        }

        // How it ended is asked only when it can have: asking looks at every target.
        if open.waiting == 0 && open.progress.ending() == Some(Ending::Complete) {
            self.0.remove(at);
        }
    }

    /// All that is known of each, in a form that can be compared: what is derived as others see it.
    #[cfg(test)]
    pub(super) fn facts(&self) -> Vec<impl PartialEq + std::fmt::Debug + '_> {
        let facts = |Open { progress, facts, own, waiting }: &'_ Open| {
            let targets = progress.rollout().waves.iter().flat_map(|wave| &wave.targets);
            let outcomes: Vec<Option<Outcome>> = targets.map(|planned| progress.outcome(&planned.target).cloned()).collect();
            let derived = (outcomes, progress.unknown(), progress.ending(), progress.decisions());
            let views = format!("{:?}", progress.wave_views(&crate::rollout::Now::at(u64::MAX / 2)));
            (progress.rollout().clone(), facts.clone(), own.clone(), *waiting, derived, views)
        };
        self.0.iter().map(facts).collect()
    }

    fn find(&self, rollout: &str) -> Option<&Open> {
        self.0.iter().find(|open| *open.progress.rollout().id == *rollout)
    }
}

impl Open {
    fn holds(&self, target: &TargetId) -> bool {
        if !self.own.contains_key(target) {
            return false;
        }
        match self.progress.outcome(target) {
            None => true,
            Some(Outcome::Failed(_)) => matches!(self.progress.ending(), Some(Ending::Stopped(_))),
            Some(Outcome::Applied | Outcome::Unchanged | Outcome::NotCleared(_) | Outcome::Skipped(_)) => false,
        }
    }

    /// A second outcome changes nothing: a target that waits is told so again by every tick.
    fn has_ended(&self, step: &StepEvent) -> bool {
        matches!(step, StepEvent::Finished { target, .. } if self.progress.outcome(target).is_some())
    }

    fn is_waiting(&self, target: &TargetId) -> bool {
        self.own.contains_key(target) && self.progress.outcome(target).is_none()
    }

    /// Leaves `target` to a newer rollout; false when it had it no more.
    fn give_up(&mut self, target: &TargetId, to: &Rollout) -> bool {
        if self.is_waiting(target) {
            self.waiting -= 1;
        }
        let had = self.own.remove(target).is_some();
        if had {
            self.progress.give_up(target, &to.id);
        }
        had
    }
}
