//! What an open rollout keeps waiting: later merges, wherever they would come over or go round what it is to show.

use super::{Ending, Progress, WaveState};
use crate::stack::{StackName, TargetId};
use std::collections::BTreeSet;

/// What one rollout bars, at one time.
#[derive(Clone, Debug)]
pub struct Bars<'a> {
    progress: &'a Progress,
    stacks: BTreeSet<StackName>,
    /// Where it has waves that are to come, go on, stopped or bake.
    environments: BTreeSet<&'a str>,
}

impl Progress {
    /// Returns what waits for this rollout; one that is complete bars nothing.
    pub fn bars(&self, now_ms: u64) -> Bars<'_> {
        let waves = &self.rollout().waves;
        let is_over = self.ending() == Some(Ending::Complete);
        let is_left = |wave: &usize| !is_over && self.wave_state(*wave, now_ms) != WaveState::Done;
        let environments: BTreeSet<&str> = (0..waves.len()).filter(is_left).map(|wave| &*waves[wave].environment).collect();
        let targets = waves.iter().flat_map(|wave| &wave.targets);
        let stacks = targets.map(|planned| planned.target.stack.clone()).filter(|_| !environments.is_empty()).collect();
        Bars { progress: self, stacks, environments }
    }
}

impl<'a> Bars<'a> {
    pub fn of(&self) -> &'a Progress {
        self.progress
    }

    /// Adds names under which stacks of it were known before: until it has brought a new name, the old one stands for the same thing.
    pub fn also_called(mut self, was: impl Fn(&StackName) -> Vec<StackName>) -> Self {
        let former: Vec<StackName> = self.stacks.iter().flat_map(was).collect();
        self.stacks.extend(former);
        self
    }

    /// Says whether nothing newer may come to `target`: the rollout has its stack under way in its environment, or in one that this one
    /// `comes_after`. It need not be a target of the rollout: one that was left out, because it was held or had failed, would go round
    /// canary and gates.
    pub fn bar(&self, target: &TargetId, comes_after: impl Fn(&str) -> bool) -> bool {
        let environment = target.region.environment();
        self.stacks.contains(&target.stack)
            && (self.environments.contains(environment) || self.environments.iter().any(|early| comes_after(early)))
    }

    /// Says whether `target` itself is under way: it is a target of the rollout, which has not stopped.
    pub fn rolls(&self, target: &TargetId) -> bool {
        self.progress.ending().is_none()
            && self.progress.contains(target)
            && self.environments.contains(target.region.environment())
    }
}
