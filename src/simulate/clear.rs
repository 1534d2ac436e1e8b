//! The gate before every start in a made-up run: a fresh preview, judged by the shipped policy; what is cleared is granted.

use super::run::Holding;
use crate::change::{Digest, Extent, Preview, UnseenReason};
use crate::journal::Event;
use crate::policy::{Answer, Facts, Past, Subject, judge};
use crate::review::{PullRequest, User};
use crate::rollout::{Outcome, Progress, STUCK, StepEvent};
use crate::runner::{Looks, Moment, Ready, say_unseen};
use crate::stack::{Known, TargetId};
use crate::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Holding<'_> {
    /// Previews and judges, and journals what came of it as one group.
    pub(super) async fn clear(
        &self,
        progress: &mut Progress,
        targets: Vec<TargetId>,
        ready: &mut BTreeMap<TargetId, Ready>,
    ) -> Result<(), StoreError> {
        let (run, commit) = (self.run, progress.rollout().commit.clone());
        let looks = Looks { engines: run.engines, parallel: run.parallel, stop: run.stop };
        let make = |id: &TargetId, _: &Known| Ok((run.job)(&commit, id));
        let answers = looks.preview(&[targets], &mut Known::default(), &make, &|_| ()).await;
        if run.stop.is_asked() {
            return Ok(());
        }
        let (mut events, mut steps, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        for answer in answers {
            match answer {
                Ok(preview) if preview.is_empty() && !self.history().is_half_done(&preview.target) => {
                    let (target, intent, digest) = (preview.target.clone(), preview.intent, preview.digest());
                    let commit = commit.clone();
                    events.push(Event::Applied {
                        target: target.clone(),
                        intent,
                        commit,
                        digest,
                        changes: Vec::new(),
                        was: Vec::new(),
                    });
                    steps.push(StepEvent::Finished { target, outcome: Outcome::Unchanged });
                }
                Ok(preview) => fresh.push(Arc::new(preview)),
                Err(unseen) if unseen.reason == UnseenReason::Cancelled => {}
                Err(unseen) => {
                    let outcome = Outcome::Failed(say_unseen(&unseen.reason).into());
                    steps.push(StepEvent::Finished { target: unseen.target, outcome });
                }
            }
        }
        let verdicts = self.judge(&fresh);
        let mut clearances = Vec::new();
        for (preview, verdict) in fresh.into_iter().zip(verdicts) {
            let target = preview.target.clone();
            match verdict.answer {
                _ if self.failed_alike(&preview) => {
                    let outcome = Outcome::Skipped(STUCK.into());
                    steps.push(StepEvent::Finished { target, outcome });
                }
                Answer::Clear(clearance) => {
                    if preview.is_empty() && self.history().is_unknown(&target) {
                        let how = "a fresh preview is empty".into();
                        events.push(Event::Recovered { target: target.clone(), how, untouched: false });
                    }
                    events.push(Event::Cleared {
                        target: target.clone(),
                        commit: commit.clone(),
                        digest: clearance.digest().clone(),
                        changes: clearance.changes().to_vec(),
                        by: clearance.by().to_vec(),
                        why: clearance.why().into(),
                        authority: None, // the one policy of the play
                    });
                    ready.insert(target, Ready { preview, commit: commit.clone() });
                    clearances.push(clearance);
                }
                Answer::Wait { .. } | Answer::Deny => {
                    let outcome = Outcome::NotCleared(verdict.sentence.into());
                    steps.push(StepEvent::Finished { target, outcome });
                }
            }
        }
        let (rollout, at_ms) = (progress.rollout().id.clone(), run.clock.now_ms());
        events.extend(steps.iter().map(|step| Event::Step { rollout: rollout.clone(), step: step.clone() }));
        if !events.is_empty() {
            self.append(events).await?;
        }
        for step in &steps {
            if !self.replica.is_shared() {
                progress.record(step, at_ms); // else they come back as news, in their order
            }
            if let StepEvent::Finished { target, outcome } = step {
                (run.watch)(Moment::Finished(target, outcome));
            }
        }
        progress.clear_for(clearances, |target| self.pools(target));
        Ok(())
    }

    fn judge(&self, previews: &[Arc<Preview>]) -> Vec<crate::policy::Verdict> {
        let history = self.history();
        let approvals = (self.run.approvals)(previews);
        let approved: BTreeSet<&str> = approvals.iter().flat_map(|approval| &approval.digests).map(|digest| &**digest).collect();
        let subjects = previews.iter().map(|preview| {
            let record = history.target(&preview.target);
            let cleared = record.map(|record| record.cleared.clone()).unwrap_or_default();
            let shown: BTreeSet<Digest> =
                Some(preview.digest()).into_iter().filter(|digest| approved.contains(digest.as_str())).collect();
            Subject {
                preview,
                stacks: BTreeSet::from([preview.target.stack.clone()]),
                clouds: BTreeSet::new(),
                labels: BTreeSet::new(),
                owned_by: Vec::new(),
                direct: None,
                past: Past {
                    cleared,
                    started: record.is_some_and(|record| record.started),
                    shown,
                    spent: BTreeSet::new(),
                    promise: None,
                    left_by: history.left_by(&preview.target),
                },
            }
        });
        let author = User("author".into());
        judge(&Facts {
            policy: self.run.policy,
            teams: &BTreeMap::new(),
            pull_request: &PullRequest { number: None, title: String::new(), committers: vec![author.clone()], author },
            approvals: &approvals,
            subjects: subjects.collect(),
            planned: Extent::default(),
            now_ms: self.run.clock.now_ms(),
        })
    }

    fn failed_alike(&self, preview: &Preview) -> bool {
        let history = self.history();
        history.target(&preview.target).is_some_and(|record| record.is_stuck(&preview.digest(), &self.run.head))
    }
}
