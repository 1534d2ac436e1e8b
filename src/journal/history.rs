//! History: what the journal says about every target, rollout and region now. A fold over entries; it knows neither where
//! they are kept nor what time it is.

use super::open::OpenRollouts;
use super::record::{Marks, Record, Run, State};
use super::usual::Usual;
use super::{Drifted, Entry, Event};
use crate::change::{ChangeMark, Digest, Extent, Intent};
use crate::review::User;
use crate::rollout::{Progress, Rollout, StepEvent};
use crate::stack::{RegionId, TargetId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Runs whose people and pull request are remembered, so that their applies can name them; no run outlives that many others.
const RUNS_MAX: usize = 1024;

/// The fold over all entries; reading it costs nothing but memory: about 300 bytes a target. What is written of it here is a
/// part of every checkpoint: to change how an event is folded, or a member, is a new
/// [`CHECKPOINT_SCHEMA`](super::CHECKPOINT_SCHEMA).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    targets: BTreeMap<TargetId, Record>,
    marks: Marks,
    rollouts: OpenRollouts,
    runs: VecDeque<(Arc<str>, Run)>,
    paused: Option<(User, Arc<str>)>,
    holds: BTreeMap<RegionId, Hold>,
    last_commit: Option<Arc<str>>,
    first_commit: Option<Arc<str>>,
    trusted_commit: Option<Arc<str>>,
    /// Places that are gone for good, as `journal:` named them. No reader without this member ever met the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    given_up: BTreeMap<Arc<str>, GivenUp>,
    rollouts_begun: usize,
    /// The counted change that a target is a part of, by its commit, and how much of earlier ones was brought that left the target
    /// behind: from the plan until the target is there, or was settled.
    parts: BTreeMap<TargetId, (Arc<str>, Extent)>,
    /// How much of each such change was brought.
    brought: BTreeMap<Arc<str>, Extent>,
    /// How long applies take.
    #[serde(default)]
    usual: Usual,
    /// The entry folded last, and whether one before it was not.
    seq: u64,
    misses: bool,
    head: Option<Digest>,
    /// The commit last met: most entries speak of the same one, and share its text.
    #[serde(skip)]
    commit: Option<Arc<str>>,
}

/// A region that is skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub region: RegionId,
    pub until_ms: Option<u64>,
    pub reason: Arc<str>,
    pub by: User,
}

/// Who gave a place of the journal up, and by which entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GivenUp {
    pub by: User,
    pub reason: Arc<str>,
    pub at_ms: u64,
    /// The hash of the entry.
    pub entry: Digest,
}

impl History {
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self::default().and(entries)
    }

    /// Folds the entries that follow in.
    pub fn and(mut self, entries: impl IntoIterator<Item = Entry>) -> Self {
        for entry in entries {
            self.fold(&entry);
        }
        self.resolved()
    }

    /// Brings every record up to date, after the last [`History::fold`].
    pub fn resolved(mut self) -> Self {
        self.resolve();
        self
    }

    /// Number and hash of the entry folded last: the journal's head, by which anybody can prove later what was there.
    pub fn head(&self) -> Option<(u64, &Digest)> {
        Some((self.seq, self.head.as_ref()?))
    }

    /// How much was brought of the changes that left `target` behind, as far as rules count them: what is left of a change is judged
    /// together with that, whatever was merged since, and wherever the target was brought or put back to meanwhile. Nothing once it was
    /// settled.
    pub fn left_by(&self, target: &TargetId) -> Extent {
        let Some((commit, before)) = self.parts.get(target) else { return Extent::default() };
        before.plus(self.brought.get(commit).copied().unwrap_or_default())
    }

    /// Folds one entry in, and may be asked right away.
    pub fn record(&mut self, entry: &Entry) {
        self.fold(entry);
        match &entry.event {
            Event::Settled { .. } | Event::DriftChecked { .. } | Event::Resumed { .. } => self.resolve(),
            Event::RunStarted { .. } | Event::Cleared { .. } | Event::Planned { .. } | Event::Step { .. } => {}
            Event::Superseded { .. } | Event::Applied { .. } | Event::Recovered { .. } => {}
            Event::Paused { .. } | Event::Held { .. } | Event::Released { .. } | Event::Freed { .. } => {}
            Event::KeyBegan { .. } | Event::Compacted { .. } | Event::GivenUp { .. } => {}
        }
    }

    /// Returns what is known of `target`; `None` when nothing was ever journalled of it.
    pub fn target(&self, target: &TargetId) -> Option<&Record> {
        self.targets.get(target)
    }

    pub fn targets(&self) -> impl Iterator<Item = (&TargetId, &Record)> {
        self.targets.iter()
    }

    /// The commit whose definition `target` is at.
    pub fn commit_of(&self, target: &TargetId) -> Option<&Arc<str>> {
        self.target(target)?.commit.as_ref()
    }

    /// The commit at which a target is that had each of these names: under the first of them under which something is there. None
    /// when it is gone: what was said when it went is not what is said when it comes back.
    pub fn at(&self, names: impl IntoIterator<Item = TargetId>) -> Option<&Arc<str>> {
        let mut there = names.into_iter().filter_map(|name| self.target(&name)).filter(|record| record.state != State::Removed);
        there.find_map(|record| record.commit.as_ref())
    }

    /// The commit whose definition says what there may be of `target`: where it is at, or else what was first begun and never
    /// came to its end.
    pub fn defined_at(&self, target: &TargetId) -> Option<&Arc<str>> {
        let record = self.target(target)?;
        record.commit.as_ref().or(record.begun.as_ref())
    }

    /// An apply of `target` began and came to no good end, known or not: the engine may have something to close, though nothing is left
    /// to change.
    pub fn is_half_done(&self, target: &TargetId) -> bool {
        self.target(target).is_some_and(|record| record.started)
    }

    /// An apply of `target` began, and nobody knows how it ended.
    pub fn is_unknown(&self, target: &TargetId) -> bool {
        self.target(target).is_some_and(|record| matches!(record.state, State::Unknown { .. }))
    }

    /// The commit of the newest start of `target` that never came to its end: something of it may be there.
    pub fn begun_at(&self, target: &TargetId) -> Option<&Arc<str>> {
        self.target(target).filter(|record| record.started)?.begun.as_ref()
    }

    /// Commit of the last `Settled` of any scope: where the fleet as a whole was brought to last.
    pub fn last_commit(&self) -> Option<&Arc<str>> {
        self.last_commit.as_ref()
    }

    /// Rollouts that have not ended, and stopped ones that nobody resumed or superseded; oldest first.
    pub fn rollouts(&self) -> impl Iterator<Item = &Progress> {
        self.rollouts.iter()
    }

    /// The open or stopped rollout of this id.
    pub fn rollout(&self, id: &str) -> Option<&Progress> {
        self.rollouts().find(|progress| *progress.rollout().id == *id)
    }

    /// The newest commit that was settled with no new target left behind: whose policy speaks for targets that were never
    /// applied. A change that is refused does not get to judge its own new targets by being tried twice.
    pub fn trusted_commit(&self) -> Option<&Arc<str>> {
        self.trusted_commit.as_ref()
    }

    /// The commit of the very first run that may have brought something, or gave up the history of those that did. What people said
    /// before has no part in it: it was let in without asking who speaks, and would have fixed that for ever.
    pub fn first_commit(&self) -> Option<&Arc<str>> {
        self.first_commit.as_ref()
    }

    /// Places of the journal that somebody gave up, as `journal:` named them.
    pub fn given_up(&self) -> &BTreeMap<Arc<str>, GivenUp> {
        &self.given_up
    }

    /// How many rollouts were ever planned.
    pub fn rollouts_begun(&self) -> usize {
        self.rollouts_begun
    }

    /// A number for the next rollout of `run` that no other run can come to: the place of its own first entry.
    pub fn rollout_number(&self, run: &str) -> String {
        match self.run(run).map_or((self.seq, self.rollouts_begun), |run| (run.seq, run.planned)) {
            (seq, 0) => seq.to_string(),
            (seq, planned) => format!("{seq}.{}", planned + 1),
        }
    }

    /// The open or stopped rollout that still holds `target`: the newest that planned it, as long as `target` has no outcome
    /// in it, or failed in it and it stopped.
    pub fn holder(&self, target: &TargetId) -> Option<&Progress> {
        self.rollouts.holder(target)
    }

    pub fn paused(&self) -> Option<(&User, &str)> {
        self.paused.as_ref().map(|(by, reason)| (by, &**reason))
    }

    /// Holds in force at `now_ms`.
    pub fn holds(&self, now_ms: u64) -> Vec<&Hold> {
        self.holds.values().filter(|hold| hold.until_ms.is_none_or(|until_ms| now_ms < until_ms)).collect()
    }

    /// How long applies usually take.
    pub fn usual(&self) -> &Usual {
        &self.usual
    }

    /// Others wrote between the entries that were folded: what they said is not known here.
    pub fn misses_entries(&self) -> bool {
        self.misses
    }

    /// Folds one entry of many in; [`History::resolved`] comes after the last.
    pub fn fold(&mut self, entry: &Entry) {
        self.misses |= entry.seq != self.seq + 1;
        self.seq = entry.seq;
        self.head = Some(entry.hash.clone());
        self.marks.now += 1;
        match &entry.event {
            Event::RunStarted { verb, commit, by, pull_request } => {
                let (by, head) = (by.clone(), self.share(commit));
                let run = Run { by, head, pull_request: *pull_request, seq: entry.seq, planned: 0 };
                self.start(entry, commit, run, verb.may_bring());
            }
            Event::Cleared { target, commit, digest, changes, by, why: _, authority: _ } => {
                let commit = self.share(commit);
                let record = self.reach(target);
                record.clear(digest, changes, by);
                record.sent = Some(commit);
            }
            Event::Planned { rollout } => {
                if let Some((_, run)) = self.runs.iter_mut().rev().find(|(id, _)| *id == entry.run) {
                    run.planned += 1;
                }
                self.rollouts_begun += 1;
                self.count(rollout);
                self.rollouts.plan(rollout);
            }
            Event::Superseded { rollout, commit: _ } => self.rollouts.forget(rollout),
            Event::Step { rollout, step } => {
                self.usual.meet(step, &entry.run, entry.at_ms);
                self.step(rollout, step, &entry.run, entry.at_ms);
            }
            Event::Applied { target, intent, commit, digest, changes, was } => {
                self.bring(target, commit, changes, was);
                let (commit, now) = (self.share(commit), self.marks.now);
                let run = self.run(&entry.run).cloned();
                let record = self.reach(target);
                let before = record.arrived;
                record.apply(*intent, commit.clone(), digest, changes, run.as_ref(), entry.at_ms);
                record.arrived = if *intent == Intent::Destroy { 0 } else { now };
                if !changes.is_empty() {
                    record.changed = now;
                }
                for former in was {
                    // What came after it under an old name of its own is something else.
                    if let Some(record) = self.known(former).filter(|record| before == 0 || record.arrived < before) {
                        record.hand_over(&commit, entry.at_ms);
                    }
                }
            }
            Event::Settled { commit, scope, behind } => self.settle(commit, scope.as_deref(), behind),
            Event::Paused { by, reason } => self.paused = Some((by.clone(), reason.clone())),
            Event::Resumed { by: _ } => {
                self.paused = None;
                self.marks.resumed = self.marks.now;
            }
            Event::Held { region, until_ms, reason, by } => {
                let hold = Hold { region: region.clone(), until_ms: *until_ms, reason: reason.clone(), by: by.clone() };
                self.holds.insert(region.clone(), hold);
            }
            Event::Released { region, by: _ } => {
                self.holds.remove(region);
            }
            Event::Freed { of: _, by: _, reason: _ } => {}
            Event::GivenUp { place, by, reason } => {
                let (by, reason, at_ms, entry) = (by.clone(), reason.clone(), entry.at_ms, entry.hash.clone());
                self.given_up.entry(place.clone()).or_insert(GivenUp { by, reason, at_ms, entry });
            }
            Event::DriftChecked { commit: _, scope, found, unchecked } => {
                self.check_drift(scope.as_deref(), found, unchecked, entry.at_ms);
            }
            Event::Recovered { target, how: _, untouched: false } => self.reach(target).recover(),
            Event::Recovered { target, how: _, untouched: true } => self.reach(target).take_start_back(),
            Event::KeyBegan { .. } | Event::Compacted { .. } => {}
        }
    }

    /// Only the last runs are known.
    fn start(&mut self, entry: &Entry, commit: &Arc<str>, run: Run, may_bring: bool) {
        if may_bring && self.first_commit.is_none() && !commit.is_empty() {
            self.first_commit = Some(commit.clone());
        }
        self.runs.push_back((entry.run.clone(), run));
        if self.runs.len() > RUNS_MAX {
            self.runs.pop_front();
        }
    }

    /// One of the last runs.
    fn run(&self, id: &str) -> Option<&Run> {
        self.runs.iter().rev().find(|(run, _)| **run == *id).map(|(_, run)| run)
    }

    /// Counts what an apply brought of the change that its target is a part of.
    fn bring(&mut self, target: &TargetId, commit: &Arc<str>, changes: &[ChangeMark], was: &[TargetId]) {
        if self.parts.get(target).is_some_and(|(wanted, _)| wanted == commit) {
            for name in was.iter().chain([target]) {
                self.parts.remove(name);
            }
            let brought = self.brought.entry(commit.clone()).or_default();
            *brought = brought.plus(Extent::of_applied(changes));
        }
    }

    /// Every target of the change is a part of it, whether this rollout brings it or leaves it out.
    fn count(&mut self, rollout: &Rollout) {
        let Some(beside) = &rollout.beside else { return };
        let planned = rollout.waves.iter().flat_map(|wave| &wave.targets).map(|planned| &planned.target);
        for target in planned.chain(beside) {
            if self.parts.get(target).is_none_or(|(commit, _)| *commit != rollout.commit) {
                let before = self.left_by(target);
                self.parts.insert(target.clone(), (rollout.commit.clone(), before));
            }
        }
    }

    fn step(&mut self, rollout: &str, step: &StepEvent, run: &str, at_ms: u64) {
        match step {
            StepEvent::Started { target } => self.reach(target).start(at_ms),
            StepEvent::Finished { target, outcome } => {
                let (planned, now) = (self.rollouts.planned(rollout, target), self.marks.now);
                let head = self.run(run).map(|run| run.head.clone());
                let record = self.reach(target);
                if record.started && outcome.is_reached() {
                    record.changed = now; // also by a start whose end was never recorded
                }
                record.finish(outcome, planned, head, at_ms);
            }
            StepEvent::Resumed => {
                for target in self.rollouts.targets(rollout) {
                    if let Some(record) = self.known(&target) {
                        record.resume();
                    }
                }
            }
            StepEvent::GatePassed { .. }
            | StepEvent::GateFailed { .. }
            | StepEvent::Verified { .. }
            | StepEvent::Stopped { .. } => {}
        }
        self.rollouts.step(rollout, step, at_ms);
    }

    fn settle(&mut self, commit: &Arc<str>, scope: Option<&[TargetId]>, behind: &[TargetId]) {
        let commit = self.share(commit);
        self.last_commit = Some(commit.clone());
        let mut left_new = false;
        for target in behind {
            left_new |= self.known(target).is_none_or(|record| record.commit.is_none() || record.state == State::Removed);
        }
        if scope.is_none() && !left_new {
            self.trusted_commit = Some(commit.clone());
        }
        let behind: BTreeSet<&TargetId> = behind.iter().collect();
        match scope {
            None => {
                self.parts.retain(|target, _| behind.contains(target));
                let wanted: BTreeSet<&Arc<str>> = self.parts.values().map(|(commit, _)| commit).collect();
                self.brought.retain(|commit, _| wanted.contains(commit));
                self.marks.settled = Some((self.marks.now, commit));
            }
            Some(scope) => {
                for target in scope.iter().filter(|target| !behind.contains(target)) {
                    self.parts.remove(target);
                    if let Some(record) = self.known(target) {
                        record.settle(&commit);
                    }
                }
            }
        }
    }

    fn check_drift(&mut self, scope: Option<&[TargetId]>, found: &[(TargetId, Drifted)], unchecked: &[TargetId], at_ms: u64) {
        for (target, found) in found {
            self.reach(target).found_drifted(found, at_ms);
        }
        for target in unchecked {
            self.known(target);
        }
        match scope {
            None => self.marks.checked = Some((self.marks.now, at_ms)),
            Some(scope) => {
                let other: BTreeSet<&TargetId> = found.iter().map(|(target, _)| target).chain(unchecked).collect();
                let now = self.marks.now;
                for target in scope.iter().filter(|target| !other.contains(target)) {
                    if let Some(record) = self.known(target) {
                        record.found_clean(now, at_ms);
                    }
                }
            }
        }
    }

    /// The record of `target`, up to date, made if there is none.
    fn reach(&mut self, target: &TargetId) -> &mut Record {
        let record = self.targets.entry(target.clone()).or_insert_with(|| Record::new(&self.marks));
        record.touch(&self.marks);
        record
    }

    /// The record of `target`, up to date, if there is one.
    fn known(&mut self, target: &TargetId) -> Option<&mut Record> {
        let record = self.targets.get_mut(target)?;
        record.touch(&self.marks);
        Some(record)
    }

    /// Brings every record up to date, so that what it says can be read as it is. What is said of all targets at once is not
    /// carried to each of them while a long journal is read: ten thousand targets, and as many such entries, are too many steps.
    fn resolve(&mut self) {
        for record in self.targets.values_mut() {
            record.touch(&self.marks);
        }
    }

    fn share(&mut self, commit: &Arc<str>) -> Arc<str> {
        match &self.commit {
            Some(known) if known == commit => known.clone(),
            Some(_) | None => self.commit.insert(commit.clone()).clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
