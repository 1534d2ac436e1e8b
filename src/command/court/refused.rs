//! A no to a change that landed all the same stands against whatever that change touches, whether it was shown as it is now or not.

use super::Court;
use crate::change::Preview;
use crate::command::pending::{Work, between};
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::Subject;
use crate::review::{Approval, CommitSha, Decision, Landed, Reviewed, latest};
use crate::stack::{Selector, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

/// What a change touched.
pub(super) enum Touched {
    These(BTreeSet<TargetId>),
    /// Its definitions, or those before it, cannot be read.
    Everything,
}

impl Touched {
    fn holds(&self, names: &[TargetId]) -> bool {
        match self {
            Self::These(targets) => names.iter().any(|name| targets.contains(name)),
            Self::Everything => true,
        }
    }
}

impl Court<'_> {
    /// Puts each no beside the `approvals` that is about a target by what its change touched. The latest word of a person counts.
    pub(super) fn with_refusals(
        &self,
        mut approvals: Vec<Approval>,
        subjects: &[Subject<'_>],
        (work, history): (&Work, &History),
    ) -> Result<Vec<Approval>, Failure> {
        let refused: Vec<&Reviewed> = self.changes.iter().filter(|reviewed| reviewed.refusals().next().is_some()).collect();
        if refused.is_empty() {
            return Ok(approvals);
        }
        let mut by_since: BTreeMap<Option<CommitSha>, Vec<&Preview>> = BTreeMap::new();
        for preview in subjects.iter().map(|subject| subject.preview).filter(|preview| !preview.is_empty()) {
            by_since.entry(self.since(&preview.target, work, history)).or_default().push(preview);
        }
        let mut refusals = Vec::new();
        for reviewed in refused {
            let Some(landed) = &reviewed.landed else { continue };
            let mut digests = Vec::new();
            for (since, previews) in &by_since {
                if !self.is_behind(reviewed, since.as_ref())? {
                    continue;
                }
                let touched = self.touched(reviewed, landed)?;
                let held = previews.iter().filter(|preview| touched.holds(&work.names(&preview.target)));
                digests.extend(held.map(|preview| Arc::from(preview.digest().as_str())));
            }
            let said = reviewed.refusals().filter(|_| !digests.is_empty());
            refusals.extend(said.map(|said| Approval {
                by: said.by.clone(),
                decision: Decision::Reject,
                digests: digests.clone(),
                at_ms: said.at_ms,
            }));
        }
        approvals.extend(refusals);
        approvals.sort_by_key(|approval| approval.at_ms); // only a host with one clock knows what landed
        Ok(latest(approvals))
    }

    fn touched(&self, reviewed: &Reviewed, landed: &Landed) -> Result<Arc<Touched>, Failure> {
        let number = reviewed.change.number.unwrap_or_default();
        let locked = || self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locked().get(&number) {
            return Ok(known.clone());
        }
        let touched = Arc::new(self.look_at(landed)?);
        locked().insert(number, touched.clone());
        Ok(touched)
    }

    fn look_at(&self, landed: &Landed) -> Result<Touched, Failure> {
        let before = self.parent(&landed.first)?;
        let side = |commit: &CommitSha| match self.scenes.at(commit) {
            Ok(scene) => Ok(Some(scene)),
            Err(Failure::Definitions(_)) => Ok(None),
            Err(other) => Err(other),
        };
        let (Some(before), Some(after)) = (before.as_ref().map(side).transpose()?.flatten(), side(&landed.commit)?) else {
            return Ok(Touched::Everything);
        };
        let work = between(Some(&before), &after, &Selector::default());
        Ok(Touched::These(work.pending.iter().flat_map(|pending| pending.names()).collect()))
    }

    /// The commit before one of the line.
    fn parent(&self, commit: &CommitSha) -> Result<Option<CommitSha>, Failure> {
        let found = self.world.workspace.commit(&format!("{}^1", commit.0));
        match found {
            Ok(parent) => Ok(Some(parent)),
            Err(_) if self.world.workspace.is_shallow() => Err(super::authority::too_far_back(true)),
            Err(_) => Ok(None), // nothing was before it
        }
    }
}
