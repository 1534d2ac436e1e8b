//! The gate before every start: fresh previews, judged under the lease; what is cleared is granted, what is not waits and says so.

use super::{Converge, End, EndState};
use crate::change::{Intent, Preview, Unseen, UnseenReason};
use crate::command::court::Asked;
use crate::command::pending::{Work, known_outputs};
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::{Event, State};
use crate::policy::{Answer, Clearance, Verdict};
use crate::review::CommitSha;
use crate::rollout::{Outcome, Progress, StepEvent};
use crate::runner::{self, MakeJob, Moment, PREVIEWS_AT_ONCE, Ready};
use crate::stack::{Known, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Commits that are tried for a target that waits at the head, newest first.
const OLDER_COMMITS_MAX: usize = 50;

/// What one round of clearing gave.
#[derive(Default)]
pub(super) struct Cleared {
    pub(super) events: Vec<Event>,
    pub(super) steps: Vec<StepEvent>,
    pub(super) clearances: Vec<Clearance>,
    pub(super) ready: BTreeMap<TargetId, Ready>,
    pub(super) older: BTreeSet<TargetId>,
    pub(super) known: Known,
}

impl Converge<'_> {
    /// Previews targets afresh and judges them: the gate before every start.
    pub(super) async fn clear(
        &self,
        work: &Work,
        targets: &[TargetId],
        progress: &Progress,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
        ends: &mut BTreeMap<TargetId, End>,
    ) -> Result<Cleared, Failure> {
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        let part = Work::of(
            work.pending.iter().filter(|pending| wanted.contains(&pending.target.id)).cloned().collect(),
            Vec::new(),
            None,
        );
        let mut cleared = Cleared { known: known_outputs(self.world, &part).await, ..Cleared::default() };
        for target in targets.iter().filter(|target| part.get(target).is_none()) {
            let reason = UnseenReason::Engine("its definition is gone".into());
            not_seen(Unseen::new(target.clone(), reason), &mut cleared, ends);
        }
        let answers = self.look(&part, &mut cleared.known, make).await;

        let mut fresh = Vec::new();
        for answer in answers {
            match answer {
                Ok(preview) if preview.is_empty() && !self.is_unknown(&preview.target) => {
                    self.nothing_left(preview, progress, &mut cleared, ends)
                }
                Ok(preview) => fresh.push(Arc::new(preview)),
                Err(unseen) => not_seen(unseen, &mut cleared, ends),
            }
        }
        let holed = self.holed(&fresh, &part, &cleared.known, make).await?;
        let asked =
            Asked { previews: &fresh, holed: &holed, beside: &self.whole, planned: progress.rollout().whole.unwrap_or_default() };
        let verdicts = self.court.judge(&asked, work, &self.history())?;
        for (preview, verdict) in fresh.into_iter().zip(verdicts) {
            self.judged(preview, verdict, &part, at_commit, make, &mut cleared, ends).await?;
        }
        Ok(cleared)
    }

    async fn look(&self, part: &Work, known: &mut Known, make: &MakeJob<'_>) -> Vec<Result<Preview, Unseen>> {
        let ids: Vec<TargetId> = part.pending.iter().map(|pending| pending.target.id.clone()).collect();
        let bar = self.world.terminal.bar("previewing", ids.len());
        let stopped = || self.world.stop.asked().is_some();
        let watch = |_: Moment<'_>| bar.step();
        let parallel = if self.order.parallel == 0 { PREVIEWS_AT_ONCE } else { self.order.parallel };
        let mut proposed = known.clone(); // what is proposed here is not yet true for anybody
        let answers = runner::preview_all(&self.world.engines, &[ids], &mut proposed, parallel, make, &stopped, &watch).await;
        drop(bar);
        answers
    }

    /// For targets that were cleared with holes: the preview with those holes still open.
    async fn holed(
        &self,
        fresh: &[Arc<Preview>],
        part: &Work,
        known: &Known,
        make: &MakeJob<'_>,
    ) -> Result<BTreeMap<TargetId, Preview>, Failure> {
        let mut holed = BTreeMap::new();
        for preview in fresh {
            let names = self.court.holes(&preview.target, part, &self.history())?;
            if names.is_empty() {
                continue;
            }
            let mut withheld = known.clone();
            for (target, outputs) in &mut withheld.0 {
                let here = |name: &str| format!("{}.outputs.{name}", target.stack);
                let elsewhere = |name: &str| format!("{target}.outputs.{name}");
                outputs.retain(|name, _| !names.contains(here(name).as_str()) && !names.contains(elsewhere(name).as_str()));
            }
            let Ok(job) = make(&preview.target, &withheld) else { continue };
            let Some(engine) = self.world.engines.get(&preview.engine) else { continue };
            if let Ok(seen) = engine.preview(&job).await {
                holed.insert(preview.target.clone(), seen);
            }
        }
        Ok(holed)
    }

    fn is_unknown(&self, target: &TargetId) -> bool {
        matches!(self.history().target(target).map(|record| &record.state), Some(State::Unknown { .. }))
    }

    /// A fresh preview that is empty: the target is what the definition says, whoever made it so.
    fn nothing_left(&self, preview: Preview, progress: &Progress, cleared: &mut Cleared, ends: &mut BTreeMap<TargetId, End>) {
        let target = preview.target.clone();
        let commit = progress.rollout().commit.clone();
        let (intent, digest) = (preview.intent, preview.digest());
        cleared.events.push(Event::Applied { target: target.clone(), intent, commit, digest, changes: Vec::new() });
        cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Unchanged });
        ends.insert(target, End { outcome: EndState::Unchanged, preview: Some(preview.into()), verdict: None });
    }

    #[allow(clippy::too_many_arguments)] // one parent holds the branches; each argument is one thing it needs
    async fn judged(
        &self,
        preview: Arc<Preview>,
        verdict: Verdict,
        part: &Work,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
        cleared: &mut Cleared,
        ends: &mut BTreeMap<TargetId, End>,
    ) -> Result<(), Failure> {
        let target = preview.target.clone();
        if let Some(why) = self.failed_alike(&preview) {
            cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Skipped(why.clone()) });
            ends.insert(target, End { outcome: EndState::Skipped(why), preview: Some(preview), verdict: Some(verdict) });
            return Ok(());
        }
        let end = End { outcome: EndState::Applied, preview: Some(preview.clone()), verdict: Some(verdict.clone()) };
        match verdict.answer {
            Answer::Clear(clearance) => {
                if preview.is_empty() {
                    let how = "a fresh preview is empty: the apply had made its changes, and is closed by the engine";
                    cleared.events.push(Event::Recovered { target: target.clone(), how: how.into(), untouched: false });
                }
                ends.insert(target, end);
                self.grant(clearance, preview, self.bringing.0.clone(), part, cleared)?;
            }
            Answer::Wait | Answer::Deny => {
                if let Some((clearance, preview, scene)) = self.older(&preview, part, at_commit, make, &cleared.known).await? {
                    let commit = scene.snapshot.commit.clone().map_or_else(|| Arc::from(""), |commit| commit.0);
                    at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(target.clone(), scene);
                    cleared.older.insert(target.clone());
                    ends.insert(target, End { preview: Some(preview.clone()), ..end });
                    self.grant(clearance, preview, commit, part, cleared)?;
                } else {
                    let is_denied = verdict.answer == Answer::Deny;
                    let why: Arc<str> = verdict.sentence.as_str().into();
                    cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Skipped(why.clone()) });
                    ends.insert(target, End { outcome: EndState::NotCleared(why, is_denied), ..end });
                }
            }
        }
        Ok(())
    }

    /// The same changes failed before at this head, and nobody said `resume`.
    fn failed_alike(&self, preview: &Preview) -> Option<Arc<str>> {
        let history = self.history();
        let stuck = history.target(&preview.target).is_some_and(|record| record.is_stuck(&preview.digest()));
        let same_head = history.last_commit() == Some(&self.order.head.0);
        (stuck && same_head)
            .then(|| "failed before with the same changes; after mending the cause: isobar resume, then isobar apply".into())
    }

    fn grant(
        &self,
        clearance: Clearance,
        preview: Arc<Preview>,
        commit: Arc<str>,
        part: &Work,
        cleared: &mut Cleared,
    ) -> Result<(), Failure> {
        let authority = self.court.authority(clearance.target(), part, &self.history())?;
        cleared.events.push(Event::Cleared {
            target: clearance.target().clone(),
            commit: commit.clone(),
            digest: clearance.digest().clone(),
            changes: clearance.changes().to_vec(),
            by: clearance.by().to_vec(),
            why: clearance.why().into(),
            authority: authority.snapshot.commit.as_ref().map(|commit| commit.0.clone()),
        });
        cleared.ready.insert(preview.target.clone(), Ready { preview, commit });
        cleared.clearances.push(clearance);
        Ok(())
    }

    /// Several merges wait for this target: the newest one whose fresh preview is cleared. One that would delete what the head
    /// keeps is passed over: going forward must not take a way round through a loss.
    async fn older(
        &self,
        at_head: &Preview,
        part: &Work,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
        known: &Known,
    ) -> Result<Option<(Clearance, Arc<Preview>, Arc<Scene>)>, Failure> {
        let target = &at_head.target;
        if at_head.intent == Intent::Destroy {
            return Ok(None); // older definitions would converge what is to go
        }
        let from = self.history().commit_of(target).cloned().map(CommitSha);
        let line = self.world.workspace.first_parents(from.as_ref(), &self.bringing)?;
        let mut last = None;
        for commit in line.into_iter().skip(1).take(OLDER_COMMITS_MAX) {
            let Ok(scene) = self.scenes.at(&commit) else { continue };
            if scene.fleet.target(target).is_none() {
                continue;
            }
            let Some(preview) = self.look_at(target, &scene, at_commit, make, known).await else { continue };
            if preview.is_empty() || loses_more(&preview, at_head) || last.replace(preview.digest()) == Some(preview.digest()) {
                continue;
            }
            let asked = Asked { beside: &self.whole, ..Asked::whole(std::slice::from_ref(&preview)) };
            let verdicts = self.court.judge(&asked, part, &self.history())?;
            if let Some(Verdict { answer: Answer::Clear(clearance), .. }) = verdicts.into_iter().next() {
                return Ok(Some((clearance, preview, scene)));
            }
        }
        Ok(None)
    }

    /// Previews one target as an older commit defines it.
    async fn look_at(
        &self,
        target: &TargetId,
        scene: &Arc<Scene>,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
        known: &Known,
    ) -> Option<Arc<Preview>> {
        let lock = || at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lock().insert(target.clone(), scene.clone());
        let job = make(target, known);
        lock().remove(target);
        let job = job.ok()?; // what cannot be seen is not gone back to
        let engine = self.world.engines.get(&job.target.stack.engine)?;
        engine.preview(&job).await.ok().map(Arc::new)
    }
}

/// Deletes or replaces something that `other` does not.
fn loses_more(preview: &Preview, other: &Preview) -> bool {
    let lost = |preview: &Preview| -> BTreeSet<Arc<str>> {
        let destructive = preview.changes.iter().filter(|change| change.action.is_destructive());
        destructive.map(|change| change.address.clone()).collect()
    };
    !lost(preview).is_subset(&lost(other))
}

fn not_seen(unseen: Unseen, cleared: &mut Cleared, ends: &mut BTreeMap<TargetId, End>) {
    let said: Arc<str> = runner::say_unseen(&unseen.reason).into();
    let (outcome, end) = match &unseen.reason {
        UnseenReason::Cancelled => return, // asked again by the next run
        UnseenReason::Needs(_) | UnseenReason::Conflict(_) => (Outcome::Skipped(said.clone()), EndState::Skipped(said)),
        UnseenReason::SecretMissing { .. } | UnseenReason::Definition(_) | UnseenReason::Engine(_) => {
            (Outcome::Failed(said.clone()), EndState::Failed(said))
        }
    };
    cleared.steps.push(StepEvent::Finished { target: unseen.target.clone(), outcome });
    ends.insert(unseen.target, End { outcome: end, preview: None, verdict: None });
}
