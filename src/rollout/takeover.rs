//! A rollout that goes on in the place of earlier ones: what they had not proven is gone through again, in their waves where there is more
//! to come in them.

use super::{Progress, Rollout};
use crate::stack::TargetId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rollouts in whose place the next one goes on, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Takeover(Vec<Taken>);

#[derive(Clone, Debug)]
struct Taken {
    /// Its targets have the names that they have now.
    rollout: Rollout,
    /// What it brought in waves that it did not come to the end of.
    unproven: BTreeSet<TargetId>,
    /// Nothing more of it is to come: all was brought, or is taken back. Its waves are not kept to.
    is_over: bool,
}

impl Takeover {
    /// Adds a rollout. `now_called` gives the names that one of its targets has now; none for one that is nowhere any more.
    ///
    /// Says `false`, and adds nothing, where nothing is left of a wave that was brought and not proven: its gates could be asked
    /// about nothing, so the rollout must go on by itself.
    pub fn add(&mut self, progress: &Progress, now_ms: u64, now_called: impl Fn(&TargetId) -> Vec<TargetId>) -> bool {
        let mut unproven = BTreeSet::new();
        for wave in progress.unproven(now_ms) {
            let left: Vec<TargetId> = wave.iter().flat_map(&now_called).collect();
            if left.is_empty() {
                return false;
            }
            unproven.extend(left);
        }
        let mut rollout = progress.rollout().clone();
        for wave in &mut rollout.waves {
            let planned = wave.targets.drain(..).flat_map(|planned| {
                let names = now_called(&planned.target);
                names.into_iter().map(move |target| super::Planned { target, ..planned.clone() })
            });
            wave.targets = planned.collect();
        }
        self.0.push(Taken { rollout, unproven, is_over: false });
        true
    }

    /// Adds a rollout of which nothing more is to come, for what it brought and did not prove. Says `false`, and adds nothing, where
    /// nothing of that is left.
    pub fn add_over(&mut self, progress: &Progress, now_ms: u64, now_called: impl Fn(&TargetId) -> Vec<TargetId>) -> bool {
        let unproven: BTreeSet<TargetId> = progress.unverified(now_ms).iter().flat_map(now_called).collect();
        let is_added = !unproven.is_empty();
        if is_added {
            self.0.push(Taken { rollout: progress.rollout().clone(), unproven, is_over: true });
        }
        is_added
    }

    /// Leaves out rollouts that others brought to their end meanwhile.
    pub fn retain(&mut self, is_open: impl Fn(&str) -> bool) {
        self.0.retain(|taken| is_open(&taken.rollout.id));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rollouts whose waves are kept to.
    pub fn rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.0.iter().filter(|taken| !taken.is_over).map(|taken| &taken.rollout)
    }

    /// The rollouts of which nothing more is to come.
    pub fn over(&self) -> impl Iterator<Item = &Rollout> {
        self.0.iter().filter(|taken| taken.is_over).map(|taken| &taken.rollout)
    }

    /// Says whether the place of this rollout is taken.
    pub fn takes(&self, rollout: &str) -> bool {
        self.0.iter().any(|taken| *taken.rollout.id == *rollout)
    }

    /// Every target of the rollouts whose waves are kept to.
    pub fn targets(&self) -> BTreeSet<&TargetId> {
        self.rollouts().flat_map(|rollout| &rollout.waves).flat_map(|wave| &wave.targets).map(|planned| &planned.target).collect()
    }

    /// Targets that go along though nothing of them is to be changed, so that the gates of their waves are asked again.
    pub fn unproven(&self) -> BTreeSet<TargetId> {
        self.0.iter().flat_map(|taken| taken.unproven.iter().cloned()).collect()
    }

    pub(super) fn is_unproven(&self, target: &TargetId) -> bool {
        self.0.iter().any(|taken| taken.unproven.contains(target))
    }

    /// The environments of which one came after another: first the later, then the earlier.
    pub(super) fn order(&self) -> impl Iterator<Item = (Arc<str>, Arc<str>)> {
        self.rollouts().flat_map(|rollout| {
            let before = |late: usize| rollout.waves[late].after.iter().filter_map(|early| rollout.waves.get(*early));
            (0..rollout.waves.len()).flat_map(move |late| {
                let name = &rollout.waves[late].environment;
                before(late)
                    .filter(move |early| early.environment != *name)
                    .map(move |early| (name.clone(), early.environment.clone()))
            })
        })
    }

    /// For each of them, oldest first, the waves that it had in an environment, with what of each is to be proven.
    pub(super) fn waves(&self, environment: &str) -> impl Iterator<Item = Vec<Kept<'_>>> {
        self.0.iter().filter(|taken| !taken.is_over).map(move |Taken { rollout, unproven, .. }| {
            // A wave that only kept the bake of the one before it is none to be gone through again.
            let is_kept = |wave: &&super::Wave| !(wave.targets.is_empty() && wave.gates.is_empty());
            let waves = rollout.waves.iter().filter(|wave| *wave.environment == *environment).filter(is_kept);
            waves.map(|wave| Kept { wave, is_unproven: wave.targets.iter().any(|it| unproven.contains(&it.target)) }).collect()
        })
    }
}

/// A wave that is kept to.
pub(super) struct Kept<'a> {
    pub(super) wave: &'a super::Wave,
    pub(super) is_unproven: bool,
}
