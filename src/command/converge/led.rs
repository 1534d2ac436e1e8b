//! What the earlier waves of a stack have shown: nothing comes to a target that these were not brought to.

use super::round::Round;
use crate::command::pending::{Work, between, commit_of};
use crate::command::scene::{Scene, Scenes};
use crate::exit::Failure;
use crate::review::CommitSha;
use crate::rollout::{Outcome, Wave};
use crate::stack::{RegionId, Selector, StackName, TargetId};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The regions in which a stack is at something else, by environment.
type Strays = BTreeMap<Arc<str>, Vec<RegionId>>;

impl Round<'_> {
    /// Returns those of `targets` that come behind one of their stack which this rollout brought, in an earlier wave, to something
    /// older than the head, each with that one. What was brought nowhere, because it is held or its failure was tolerated, keeps
    /// nobody waiting.
    pub(super) fn behind_older(&self, targets: &[TargetId]) -> Result<BTreeMap<TargetId, TargetId>, Failure> {
        let stacks: BTreeSet<&StackName> = targets.iter().map(|target| &target.stack).collect();
        let waves = &self.progress.rollout().waves;
        let head = self.run.scenes.at(&self.run.bringing)?;
        let mut differs = Differs::from(self.run.scenes, &head);
        let mut older: BTreeMap<&StackName, Vec<(usize, &TargetId)>> = BTreeMap::new();
        let planned = waves.iter().enumerate().flat_map(|(nth, wave)| wave.targets.iter().map(move |it| (nth, &it.target)));
        let is_brought = |id: &TargetId| self.progress.outcome(id).is_some_and(Outcome::is_reached);
        for (nth, id) in planned.filter(|(_, id)| stacks.contains(&id.stack) && is_brought(id)) {
            let at = head.fleet.target(id).and_then(|target| commit_of(&self.run.history(), target)).map(CommitSha);
            // What a newer rollout has by now was shown here before.
            if let Some(at) = at.filter(|at| *at != self.run.bringing)
                && self.run.world.workspace.is_ancestor(&at, &self.run.bringing)?
                && differs.at(at)?.get(id).is_some()
            {
                older.entry(&id.stack).or_default().push((nth, id));
            }
        }
        if older.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut behind = BTreeMap::new();
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        for (nth, wave) in waves.iter().enumerate() {
            let mut here = wave.targets.iter().map(|planned| &planned.target).filter(|id| wanted.contains(id)).peekable();
            if here.peek().is_none() {
                continue;
            }
            let ahead = ahead_of(nth, waves);
            let first =
                |id: &TargetId| older.get(&id.stack)?.iter().find(|(nth, _)| ahead.contains(nth)).map(|(_, first)| *first);
            behind.extend(here.filter_map(|id| Some((id.clone(), first(id)?.clone()))));
        }
        Ok(behind)
    }

    /// Keeps those of `targets` for which an older commit would be nothing new: whatever of their stack comes in waves before them is as
    /// that commit says. A canary that was brought to something else showed nothing of this.
    pub(super) fn led(&mut self, targets: Vec<TargetId>, older: &Arc<Scene>) -> Result<Vec<TargetId>, Failure> {
        let strays = self.strays(&targets, older)?;
        let mut kept = Vec::with_capacity(targets.len());
        for target in targets {
            let (Some(pending), Some(strays)) = (self.work.get(&target), strays.get(&target.stack)) else { continue };
            let before = commit_of(&self.run.history(), &pending.target).map(CommitSha);
            let mut is_led = true;
            for word in [Some(self.run.bringing.clone()), before].into_iter().flatten() {
                is_led = is_led && !self.comes_behind(&target.region, &word, strays)?;
            }
            kept.extend(is_led.then_some(target));
        }
        Ok(kept)
    }

    /// Where the stacks of `targets` are at something else than `older` says.
    fn strays(&self, targets: &[TargetId], older: &Arc<Scene>) -> Result<BTreeMap<StackName, Strays>, Failure> {
        let head = self.run.scenes.at(&self.run.bringing)?;
        let mut differs = Differs::from(self.run.scenes, older);
        let mut strays: BTreeMap<StackName, Strays> =
            targets.iter().map(|target| (target.stack.clone(), Strays::new())).collect();
        for sibling in head.fleet.targets() {
            let Some(strays) = strays.get_mut(&sibling.id.stack) else { continue };
            let Some(at) = commit_of(&self.run.history(), sibling).map(CommitSha) else { continue };
            if differs.at(at)?.get(&sibling.id).is_some() {
                strays.entry(sibling.id.region.environment().into()).or_default().push(sibling.id.region.clone());
            }
        }
        Ok(strays)
    }

    /// Says whether, by the word of a commit, `region` comes in a wave after one of `strays`.
    fn comes_behind(&mut self, region: &RegionId, word: &CommitSha, strays: &Strays) -> Result<bool, Failure> {
        let scene = self.run.scenes.at(word)?;
        let own = region.environment();
        if strays.keys().any(|early| **early != *own && scene.settings.comes_after(own, early)) {
            return Ok(true);
        }
        let Some(strays) = strays.get(own) else { return Ok(false) };
        let turns = match self.turns.entry((word.clone(), own.into())) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(scene.settings.turns(&scene.fleet.regions, own)),
        };
        let Some(turn) = turns.get(region) else { return Ok(false) };
        Ok(strays.iter().filter_map(|stray| turns.get(stray)).any(|early| early < turn))
    }
}

/// What is another thing at other commits than at one, compared once with each.
struct Differs<'a> {
    scenes: &'a Scenes<'a>,
    from: &'a Arc<Scene>,
    known: BTreeMap<CommitSha, Work>,
}

impl<'a> Differs<'a> {
    fn from(scenes: &'a Scenes<'a>, from: &'a Arc<Scene>) -> Self {
        Self { scenes, from, known: BTreeMap::new() }
    }

    fn at(&mut self, commit: CommitSha) -> Result<&Work, Failure> {
        match self.known.entry(commit) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let there = self.scenes.at(new.key())?;
                Ok(new.insert(between(Some(self.from), &there, &Selector::default())))
            }
        }
    }
}

/// All waves that must be done before one of `waves`.
fn ahead_of(nth: usize, waves: &[Wave]) -> BTreeSet<usize> {
    let (mut ahead, mut left) = (BTreeSet::new(), vec![nth]);
    while let Some(before) = left.pop().and_then(|nth| waves.get(nth)).map(|wave| &wave.after) {
        left.extend(before.iter().copied().filter(|before| ahead.insert(*before)));
    }
    ahead
}
