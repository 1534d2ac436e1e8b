//! A no to a change that landed all the same stands against whatever that change touches, whether it was shown as it is now or not.

use super::Court;
use crate::change::Preview;
use crate::command::pending::Work;
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::Subject;
use crate::review::{Approval, CommitSha, Decision, Reviewed, latest};
use std::collections::BTreeMap;
use std::sync::Arc;

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
                let touched = self.touched(landed)?;
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
}
