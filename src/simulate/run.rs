//! One run of the loop, as `isobar apply` and `isobar tick` have it: lease, history, what is open, what is new, and an account of
//! it all. The runner, the rollout, the store and policy are the shipped ones; what is asked of git and of people is given.

use super::Clock;
use crate::change::{Digest, Extent, Intent, Preview, UnseenReason};
use crate::engine::{Engines, Job};
use crate::journal::{Entry, Event, History, Verb};
use crate::policy::{Answer, Facts, Past, Policy, Subject, judge};
use crate::review::{Approval, PullRequest, User};
use crate::rollout::{Bars, Gate, Outcome, Progress, Rollout, STUCK, StepEvent, Takeover};
use crate::runner::{Bounds, Drive, Halt, Looks, Moment, Ready, Signs, say_unseen};
use crate::stack::{Known, Target, TargetId};
use crate::stop::Stop;
use crate::store::{Boxed, Holder, Lease, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a run is given.
pub struct Run<'a> {
    pub clock: &'a Clock,
    pub store: &'a dyn Store,
    pub engines: &'a Engines,
    pub stop: &'a Stop,
    /// Unique.
    pub id: Arc<str>,
    /// `Apply` begins what is new, `Tick` only goes on.
    pub verb: Verb,
    /// The commit to bring.
    pub head: Arc<str>,
    /// Targets in flight at most; 0 for what the waves allow.
    pub parallel: usize,
    /// Every target of the fleet.
    pub targets: &'a BTreeMap<TargetId, Arc<Target>>,
    /// The job that makes a target what a commit says.
    pub job: &'a (dyn Fn(&str, &TargetId) -> Job + Send + Sync),
    /// May this head be brought, after all that happened.
    pub admits: &'a (dyn Fn(&History) -> bool + Sync),
    /// Targets with something to do.
    pub pending: &'a (dyn Fn(&History) -> Vec<TargetId> + Sync),
    /// Does the first environment come after the second.
    pub comes_after: &'a (dyn Fn(&str, &str) -> bool + Sync),
    /// Puts targets in waves, in the place of earlier rollouts.
    pub plan: &'a (dyn Fn(Arc<str>, Vec<TargetId>, Takeover) -> Rollout + Sync),
    /// `None`: no policy is declared, and on a laptop that clears.
    pub policy: Option<&'a Policy>,
    /// Who approved what is seen.
    pub approvals: &'a (dyn Fn(&[Arc<Preview>]) -> Vec<Approval> + Sync),
    pub ask: &'a (dyn Fn(Gate) -> Boxed<'static, Result<(), String>> + Sync),
    pub watch: &'a (dyn Fn(Moment<'_>) + Sync),
    /// Is shown each rollout where a drive left it, with the history that the run kept meanwhile.
    pub left: &'a (dyn Fn(&Progress, &Halt, &History) + Sync),
}

/// A run that holds its lease.
struct Holding<'a> {
    run: &'a Run<'a>,
    lease: Lease,
    history: Mutex<History>,
}

impl Run<'_> {
    /// Runs to where nothing more can begin; `false` when this head may not be brought.
    pub async fn run(&self) -> Result<bool, StoreError> {
        let wanted: Vec<TargetId> = self.targets.keys().cloned().collect();
        let holder = Holder { run: self.id.clone(), host: "nowhere".into(), pid: 1, since_ms: self.clock.now_ms(), job: None };
        let lease = self.store.acquire(&wanted, holder).await?;
        let history = self.store.history().await?;
        if !(self.admits)(&history) {
            self.store.release(lease).await?;
            return Ok(false);
        }
        let holding = Holding { run: self, lease, history: Mutex::new(history) };
        let kept = holding.bring().await?;
        match kept {
            true => self.store.release(holding.lease).await?,
            false => std::mem::forget(holding.lease), // something may still be at work: it ends with the process
        }
        Ok(true)
    }
}

impl Holding<'_> {
    /// Returns `false` when something was given up.
    async fn bring(&self) -> Result<bool, StoreError> {
        let run = self.run;
        let by = User("somebody".into());
        self.append(vec![Event::RunStarted { verb: run.verb, commit: run.head.clone(), by, pull_request: None }]).await?;
        let open: Vec<Progress> = self.history().rollouts().cloned().collect();
        let mut takeover = Takeover::default();
        for progress in open {
            match progress.ending() {
                Some(_) => {} // a stopped one holds its targets until somebody resumes it
                None if run.verb == Verb::Apply
                    && progress.was_resumed()
                    && progress.rollout().commit != run.head
                    && take_over(&mut takeover, &progress, run.clock.now_ms()) => {}
                None => {
                    if let Halt::GivenUp = self.drive(progress).await? {
                        return Ok(false);
                    }
                }
            }
        }
        if run.verb == Verb::Apply && self.history().paused().is_none() && !run.stop.is_asked() {
            let (mut free, mut alone) = (self.free(&takeover), Vec::new());
            let theirs = takeover.targets();
            if (run.pending)(&self.history()).iter().any(|id| theirs.contains(id) && free.binary_search(id).is_err()) {
                // All that is left of a rollout goes on together, or by itself.
                takeover.rollouts().for_each(|rollout| alone.extend(self.history().rollout(&rollout.id).cloned()));
                takeover = Takeover::default();
                free = self.free(&takeover);
            }
            if free.is_empty() {
                takeover.rollouts().for_each(|rollout| alone.extend(self.history().rollout(&rollout.id).cloned()));
            } else {
                let id = format!("{}-{}", run.head, self.history().rollout_number(&run.id));
                let rollout = (run.plan)(id.into(), free, takeover.clone());
                let superseded = |old: &Rollout| Event::Superseded { rollout: old.id.clone(), commit: run.head.clone() };
                let events = takeover.rollouts().map(superseded);
                self.append(events.chain([Event::Planned { rollout: rollout.clone() }]).collect()).await?;
                if let Halt::GivenUp = self.drive(Progress::new(rollout)).await? {
                    return Ok(false);
                }
            }
            for progress in alone {
                if let Halt::GivenUp = self.drive(progress).await? {
                    return Ok(false);
                }
            }
        }
        let behind = (run.pending)(&self.history());
        self.append(vec![Event::Settled { commit: run.head.clone(), scope: None, behind }]).await?;
        Ok(true)
    }

    /// What is pending and waits for no earlier rollout, or is gone through again in the place of one.
    fn free(&self, takeover: &Takeover) -> Vec<TargetId> {
        let (history, now_ms) = (self.history(), self.run.clock.now_ms());
        let open = history.rollouts().filter(|progress| !takeover.takes(&progress.rollout().id));
        let bars: Vec<Bars<'_>> = open.map(|progress| progress.bars(now_ms)).collect();
        let comes_after = |late: &TargetId, early: &str| (self.run.comes_after)(late.region.environment(), early);
        let mut pending: BTreeSet<TargetId> = (self.run.pending)(&history).into_iter().collect();
        pending.extend(takeover.unproven());
        let is_held = |id: &TargetId| {
            history.holder(id).is_some_and(|progress| !takeover.takes(&progress.rollout().id))
                || bars.iter().any(|it| it.bar(id, |early| comes_after(id, early)))
        };
        pending.into_iter().filter(|id| !is_held(id)).collect()
    }

    async fn drive(&self, mut progress: Progress) -> Result<Halt, StoreError> {
        let run = self.run;
        let (id, commit) = (progress.rollout().id.clone(), progress.rollout().commit.clone());
        let make = |id: &TargetId, _: &Known| Ok((run.job)(&commit, id));
        let drive = Drive {
            engines: run.engines,
            store: run.store,
            lease: &self.lease,
            run: &run.id,
            parallel: run.parallel,
            ask: &|gate| (run.ask)(gate),
            signs: &|now_ms: u64| -> Boxed<'_, Result<Signs, StoreError>> { Box::pin(self.signs(&id, now_ms)) },
            now_ms: &|| run.clock.now_ms(),
            stop: run.stop,
            patience: &|| Box::pin(self.out_of_patience()),
            watch: run.watch,
            sealed: &|entries: &[Entry]| entries.iter().for_each(|entry| self.history().record(entry)),
            bounds: Bounds::default(),
        };
        let mut ready: BTreeMap<TargetId, Ready> = BTreeMap::new();
        let halt = loop {
            let halt = drive.drive(&mut progress, &ready, &make, &Known::default()).await?;
            match halt {
                Halt::NeedsClearance(targets) => {
                    self.clear(&mut progress, targets, &mut ready).await?;
                    if run.stop.is_asked() {
                        break Halt::Interrupted;
                    }
                }
                Halt::Resumed => match self.history().rollout(&id).cloned() {
                    Some(anew) => progress = anew,
                    None => break Halt::Resumed,
                },
                halt => break halt,
            }
        };
        (run.left)(&progress, &halt, &self.history());
        Ok(halt)
    }

    /// Previews and judges, and journals what came of it as one group.
    async fn clear(
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
            progress.record(step, at_ms);
            if let StepEvent::Finished { target, outcome } = step {
                (run.watch)(Moment::Finished(target, outcome));
            }
        }
        progress.clear(clearances);
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
            hosted: false,
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

    async fn signs(&self, rollout: &str, now_ms: u64) -> Result<Signs, StoreError> {
        let misses = self.history().misses_entries();
        if misses {
            let fresh = self.run.store.history().await?;
            *self.history() = fresh;
        }
        let history = self.history();
        let held =
            history.holds(now_ms).into_iter().map(|hold| (hold.region.clone(), format!("until released: {}", hold.reason)));
        let paused = history.paused().map(|(by, reason)| format!("paused by {by}: {reason}"));
        let resumes = history.rollout(rollout).map_or(0, Progress::resumes);
        Ok(Signs { paused, held: held.collect(), resumes })
    }

    /// What is in flight has as long as a run that was told to stop gives it.
    async fn out_of_patience(&self) {
        self.run.stop.wait().await;
        self.run.clock.sleep(crate::runner::STOP_PATIENCE.as_millis() as u64).await;
    }

    async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        let sealed = self.run.store.append(events, &self.run.id, self.run.clock.now_ms(), Some(&self.lease)).await?;
        let mut history = self.history();
        sealed.iter().for_each(|entry| history.record(entry));
        Ok(())
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rollout's targets, all to be made what the head says.
pub fn weighed(targets: &[&Target]) -> Vec<(TargetId, Intent, u32)> {
    targets.iter().map(|target| (target.id.clone(), Intent::Converge, target.region.weight)).collect()
}

/// Lets the head go on in the place of a resumed rollout, unless nothing is left that it could show.
fn take_over(takeover: &mut Takeover, progress: &Progress, now_ms: u64) -> bool {
    let targets = progress.rollout().waves.iter().flat_map(|wave| &wave.targets);
    let is_left = targets.into_iter().any(|planned| !progress.outcome(&planned.target).is_some_and(Outcome::is_reached));
    let same = |id: &TargetId| vec![id.clone()];
    if is_left { takeover.add(progress, now_ms, same) } else { takeover.add_over(progress, now_ms, same) }
}
