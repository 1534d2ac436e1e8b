//! One round of clearing: what its steps share, what they gave so far, and the ways a target leaves it.

use super::{Converge, End, EndState};
use crate::change::{Extent, Intent, Preview, Unseen, UnseenReason};
use crate::command::court::Asked;
use crate::command::pending::Work;
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::Event;
use crate::policy::{Clearance, Verdict};
use crate::review::CommitSha;
use crate::rollout::{Outcome, Progress, StepEvent};
use crate::runner::{Looks, MakeJob, Ready, say_unseen};
use crate::stack::{Known, RegionId, TargetId};
use std::collections::{BTreeMap, HashMap};
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
    pub(super) looks: Looks<'a>,
    /// All that the rollout brings.
    pub(super) work: &'a Work,
    /// What this round is about.
    pub(super) part: Work,
    pub(super) progress: &'a Progress,
    pub(super) make: &'a MakeJob<'a>,
    /// The rest of a change that rules count, as far as it is still to come: what was brought of it, history counts.
    pub(super) beside: Vec<Arc<Preview>>,
    /// The wave of every region, by the word of a commit, of one environment.
    pub(super) turns: BTreeMap<(CommitSha, Arc<str>), HashMap<RegionId, usize>>,
    pub(super) cleared: Cleared,
}

impl Round<'_> {
    /// Asks about a part of what the rollout was planned with.
    pub(super) fn asked<'p>(&'p self, previews: &'p [Arc<Preview>], holed: &'p BTreeMap<TargetId, Preview>) -> Asked<'p> {
        Asked { previews, holed, beside: &self.beside, planned: self.whole() }
    }

    pub(super) fn whole(&self) -> Extent {
        self.progress.rollout().whole.unwrap_or_default()
    }

    /// A fresh preview that is empty: the target is what the definition says, whoever made it so.
    pub(super) fn nothing_left(&mut self, preview: Preview) {
        let target = preview.target.clone();
        let commit = self.progress.rollout().commit.clone();
        let (intent, digest) = (preview.intent, preview.digest());
        let was = self.work.names(&target).into_iter().skip(1).collect();
        self.cleared.events.push(Event::Applied { target: target.clone(), intent, commit, digest, changes: Vec::new(), was });
        self.cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Unchanged });
        self.cleared.ends.insert(target, End { outcome: EndState::Unchanged, preview: Some(preview.into()), verdict: None });
    }

    /// The rollout is to bring it, not to destroy it.
    pub(super) fn wants_it(&self, target: &TargetId) -> bool {
        let mut planned = self.progress.rollout().waves.iter().flat_map(|wave| &wave.targets);
        planned.any(|planned| planned.target == *target && planned.intent == Intent::Converge)
    }

    /// Nothing is left of it to destroy, and nobody defines it.
    pub(super) fn not_there(&mut self, target: &TargetId) {
        self.cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Unchanged });
        self.cleared.ends.insert(target.clone(), End { outcome: EndState::Unchanged, preview: None, verdict: None });
    }

    pub(super) fn not_seen(&mut self, unseen: Unseen) {
        let said: Arc<str> = say_unseen(&unseen.reason).into();
        let (outcome, end) = match &unseen.reason {
            UnseenReason::Cancelled | UnseenReason::Lost => return, // asked again by the next run
            UnseenReason::Needs(_) | UnseenReason::Conflict(_) => (Outcome::Skipped(said.clone()), EndState::Skipped(said)),
            UnseenReason::SecretMissing { .. } | UnseenReason::Definition(_) | UnseenReason::Engine(_) => {
                (Outcome::Failed(said.clone()), EndState::Failed(said))
            }
        };
        self.cleared.steps.push(StepEvent::Finished { target: unseen.target.clone(), outcome });
        self.cleared.ends.insert(unseen.target, End { outcome: end, preview: None, verdict: None });
    }

    /// Grants a start. The verdict that is told is the one at the commit of the rollout.
    pub(super) fn grant(
        &mut self,
        clearance: Clearance,
        preview: Arc<Preview>,
        verdict: Verdict,
        commit: Arc<str>,
    ) -> Result<(), Failure> {
        let target = preview.target.clone();
        let authority = self.run.court.authority(&target, self.work, &self.run.history())?;
        if preview.is_empty() && self.run.history().is_unknown(&target) {
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
            authority: authority.snapshot.commit.as_ref().map(|commit| commit.0.clone()),
        });
        let end = End { outcome: EndState::Applied, preview: Some(preview.clone()), verdict: Some(verdict) };
        self.cleared.ends.insert(target.clone(), end);
        self.cleared.ready.insert(target, Ready { preview, commit });
        self.cleared.clearances.push(clearance);
        Ok(())
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

/// Nothing can be seen of a target that its commit does not define.
pub(super) fn gone(target: &TargetId) -> Unseen {
    Unseen::new(target.clone(), UnseenReason::Engine("its definition is gone".into()))
}
