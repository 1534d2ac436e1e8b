//! The gate before every start: fresh previews, judged under the lease; what is cleared is granted, what is not waits and says so.

use super::drive::gone;
use super::older::Waiting;
use super::{Converge, End, EndState};
use crate::change::{Preview, Unseen, UnseenReason};
use crate::command::court::Asked;
use crate::command::pending::Work;
use crate::command::scene::Scene;
use crate::command::settled::Settled;
use crate::exit::Failure;
use crate::journal::Event;
use crate::policy::{Answer, Clearance, Verdict};
use crate::rollout::{Outcome, Progress, StepEvent};
use crate::runner::{MakeJob, Moment, Ready, say_unseen};
use crate::stack::{Known, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one round of clearing gave.
#[derive(Default)]
pub(super) struct Cleared {
    pub(super) events: Vec<Event>,
    pub(super) steps: Vec<StepEvent>,
    pub(super) clearances: Vec<Clearance>,
    pub(super) ready: BTreeMap<TargetId, Ready>,
    /// Targets that go to an older commit, with the definitions there.
    pub(super) older: BTreeMap<TargetId, Arc<Scene>>,
    pub(super) known: Known,
    pub(super) ends: BTreeMap<TargetId, End>,
}

/// One round of clearing: what its steps share, and what they gave so far.
pub(super) struct Round<'a> {
    pub(super) run: &'a Converge<'a>,
    /// All that the rollout brings.
    pub(super) work: &'a Work,
    /// What this round is about.
    part: Work,
    progress: &'a Progress,
    make: &'a MakeJob<'a>,
    pub(super) cleared: Cleared,
}

impl Converge<'_> {
    /// Previews targets afresh and judges them: the gate before every start. Told to stop, it decides no more, and what is left
    /// is asked again by the next run.
    pub(super) async fn clear(
        &self,
        work: &Work,
        targets: &[TargetId],
        progress: &Progress,
        make: &MakeJob<'_>,
    ) -> Result<Cleared, Failure> {
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        let part = work.pending.iter().filter(|pending| wanted.contains(&pending.target.id)).cloned().collect();
        let part = Work::of(part, Vec::new(), None);
        let mut round = Round { run: self, work, part, progress, make, cleared: Cleared::default() };

        let fresh = round.look(targets).await;
        let holed = round.holed(&fresh).await?;
        if self.world.stop.is_asked() {
            return Ok(round.cleared);
        }
        let waiting = round.judge(fresh, &holed)?;
        round.go_back(waiting).await?;
        Ok(round.cleared)
    }

    /// The same changes failed before at this head, and nobody said `resume`.
    fn failed_alike(&self, preview: &Preview) -> Option<Arc<str>> {
        let history = self.history();
        let stuck = history.target(&preview.target).is_some_and(|record| record.is_stuck(&preview.digest()));
        let same_head = history.last_commit() == Some(&self.order.head.0);
        (stuck && same_head)
            .then(|| "failed before with the same changes; after mending the cause: isobar resume, then isobar apply".into())
    }
}

impl Round<'_> {
    /// Previews this round's targets, with the outputs of all that they use as they are now; returns those with something to do.
    async fn look(&mut self, targets: &[TargetId]) -> Vec<Arc<Preview>> {
        let undefined: Vec<&TargetId> = targets.iter().filter(|target| self.part.get(target).is_none()).collect();
        undefined.into_iter().for_each(|target| self.not_seen(gone(target)));
        let world = self.run.world;
        let settled = Settled::of(self.run.scenes, &self.run.history(), &self.part);
        self.cleared.known = settled.outputs(world, self.run.looks()).await;

        let ids: Vec<TargetId> = self.part.pending.iter().map(|pending| pending.target.id.clone()).collect();
        let bar = world.terminal.bar("previewing", ids.len());
        let watch = |_: Moment<'_>| bar.step();
        let mut proposed = self.cleared.known.clone(); // what is proposed here is not yet true for anybody
        let answers = self.run.looks().preview(&[ids], &mut proposed, self.make, &watch).await;
        drop(bar);

        let mut fresh = Vec::new();
        for answer in answers {
            match answer {
                Ok(preview) if preview.is_empty() && !self.run.is_unknown(&preview.target) => self.nothing_left(preview),
                Ok(preview) => fresh.push(Arc::new(preview)),
                Err(unseen) => self.not_seen(unseen),
            }
        }
        fresh
    }

    /// For targets that were cleared with holes: the preview with those holes still open.
    async fn holed(&self, fresh: &[Arc<Preview>]) -> Result<BTreeMap<TargetId, Preview>, Failure> {
        let mut holes: BTreeMap<TargetId, BTreeSet<Arc<str>>> = BTreeMap::new();
        for preview in fresh {
            let names = self.run.court.holes(&preview.target, &self.part, &self.run.history())?;
            if !names.is_empty() {
                holes.insert(preview.target.clone(), names);
            }
        }
        let ids: Vec<TargetId> = holes.keys().cloned().collect();
        let make = |id: &TargetId, known: &Known| match holes.get(id) {
            Some(names) => (self.make)(id, &withheld(known, names)),
            None => Err(gone(id)),
        };
        let mut known = self.cleared.known.clone();
        let seen = self.run.looks().preview(&[ids], &mut known, &make, &|_| ()).await;
        Ok(seen.into_iter().flatten().map(|preview| (preview.target.clone(), preview)).collect())
    }

    /// Judges what was seen at the commit of the rollout: grants what is cleared, returns what waits.
    fn judge(&mut self, fresh: Vec<Arc<Preview>>, holed: &BTreeMap<TargetId, Preview>) -> Result<Vec<Waiting>, Failure> {
        let planned = self.progress.rollout().whole.unwrap_or_default();
        let asked = Asked { previews: &fresh, holed, beside: &self.run.whole, planned };
        let verdicts = self.run.court.judge(&asked, self.work, &self.run.history())?;

        let mut waiting = Vec::new();
        for (preview, verdict) in fresh.into_iter().zip(verdicts) {
            match (self.run.failed_alike(&preview), &verdict.answer) {
                (Some(why), _) => self.leave(EndState::Skipped(why), preview, verdict),
                (None, Answer::Clear(clearance)) => {
                    let clearance = clearance.clone();
                    self.grant(clearance, preview, verdict, self.run.bringing.0.clone());
                }
                (None, Answer::Wait | Answer::Deny) => waiting.push(Waiting::new(preview, verdict)),
            }
        }
        Ok(waiting)
    }

    /// A fresh preview that is empty: the target is what the definition says, whoever made it so.
    fn nothing_left(&mut self, preview: Preview) {
        let target = preview.target.clone();
        let commit = self.progress.rollout().commit.clone();
        let (intent, digest) = (preview.intent, preview.digest());
        self.cleared.events.push(Event::Applied { target: target.clone(), intent, commit, digest, changes: Vec::new() });
        self.cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Unchanged });
        self.cleared.ends.insert(target, End { outcome: EndState::Unchanged, preview: Some(preview.into()), verdict: None });
    }

    fn not_seen(&mut self, unseen: Unseen) {
        let said: Arc<str> = say_unseen(&unseen.reason).into();
        let (outcome, end) = match &unseen.reason {
            UnseenReason::Cancelled => return, // asked again by the next run
            UnseenReason::Needs(_) | UnseenReason::Conflict(_) => (Outcome::Skipped(said.clone()), EndState::Skipped(said)),
            UnseenReason::SecretMissing { .. } | UnseenReason::Definition(_) | UnseenReason::Engine(_) => {
                (Outcome::Failed(said.clone()), EndState::Failed(said))
            }
        };
        self.cleared.steps.push(StepEvent::Finished { target: unseen.target.clone(), outcome });
        self.cleared.ends.insert(unseen.target, End { outcome: end, preview: None, verdict: None });
    }

    /// Grants a start. The verdict that is told is the one at the commit of the rollout.
    pub(super) fn grant(&mut self, clearance: Clearance, preview: Arc<Preview>, verdict: Verdict, commit: Arc<str>) {
        let target = preview.target.clone();
        if preview.is_empty() {
            let how = "a fresh preview is empty: the apply had made its changes, and is closed by the engine";
            self.cleared.events.push(Event::Recovered { target: target.clone(), how: how.into(), untouched: false });
        }
        self.cleared.events.push(Event::Cleared {
            target: target.clone(),
            commit: commit.clone(),
            digest: clearance.digest().clone(),
            changes: clearance.changes().to_vec(),
            by: clearance.by().to_vec(),
            why: clearance.why().into(),
        });
        let end = End { outcome: EndState::Applied, preview: Some(preview.clone()), verdict: Some(verdict) };
        self.cleared.ends.insert(target.clone(), end);
        self.cleared.ready.insert(target, Ready { preview, commit });
        self.cleared.clearances.push(clearance);
    }

    /// Skips a target in this rollout, and says why.
    pub(super) fn leave(&mut self, outcome: EndState, preview: Arc<Preview>, verdict: Verdict) {
        let target = preview.target.clone();
        let left = match &outcome {
            EndState::Skipped(why) => Some(Outcome::Skipped(why.clone())),
            EndState::NotCleared(why, _) => Some(Outcome::NotCleared(why.clone())),
            EndState::Applied | EndState::Unchanged | EndState::Failed(_) | EndState::Unknown(_) | EndState::NotStarted(_) => {
                None
            }
        };
        let step = left.map(|outcome| StepEvent::Finished { target: target.clone(), outcome });
        self.cleared.steps.extend(step);
        self.cleared.ends.insert(target, End { outcome, preview: Some(preview), verdict: Some(verdict) });
    }
}

/// What is known without the outputs of these names, as a target names them.
fn withheld(known: &Known, names: &BTreeSet<Arc<str>>) -> Known {
    let mut withheld = known.clone();
    for (target, outputs) in &mut withheld.0 {
        let here = |name: &str| format!("{}.outputs.{name}", target.stack);
        let elsewhere = |name: &str| format!("{target}.outputs.{name}");
        outputs.retain(|name, _| !names.contains(here(name).as_str()) && !names.contains(elsewhere(name).as_str()));
    }
    withheld
}
