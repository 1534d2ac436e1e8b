//! What a drive has in flight: engines at work on their tasks, and what is told of them when they land. Knows no rollout, and nothing of
//! when something may begin.

use super::drive::{Drive, Ready};
use super::{Look, MakeJob, Moment, say_unseen};
use crate::change::{Applied, Digest, Intent};
use crate::engine::{Failure, Job};
use crate::journal::Event;
use crate::rollout::{Outcome, Progress, Step, StepEvent};
use crate::stack::{Known, TargetId};
use crate::store::StoreError;
use futures::FutureExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// What came of waiting for one target in flight.
pub(super) enum Landing {
    /// Nothing is in flight.
    Empty,
    /// Some arrived, and are not journalled yet.
    Arrived,
    /// We were told to stop, and none came back in time.
    GivenUp,
}

/// What this process has in flight. Dropped, an engine that can be stopped stops.
#[derive(Default)]
pub struct Flight {
    pub(super) tasks: JoinSet<Landed>,
    pub(super) targets: BTreeSet<TargetId>,
    /// Of them, those that are done, and not journalled yet.
    pub(super) arrived: Vec<Landed>,
    /// Nothing more can be got ready before something lands.
    pub(super) is_all_ready: bool,
    /// How far the journal is read before the next start.
    pub(super) next_look: Option<Look>,
}

/// What an engine said of a target, and of what the target was to become: for which commit, instead of which names.
pub(super) struct Landed {
    target: TargetId,
    intent: Intent,
    commit: Arc<str>,
    /// Of the preview that was applied.
    digest: Digest,
    was: Vec<TargetId>,
    pub(super) result: Result<Applied, Failure>,
}

impl Flight {
    /// Nothing is, and all that was is journalled.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// How many are, or were and are not journalled yet.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    pub fn has(&self, target: &TargetId) -> bool {
        self.targets.contains(target)
    }

    /// Takes one that landed, and along with it all that have by now.
    fn arrive(&mut self, first: Option<Result<Landed, JoinError>>) {
        let rest = std::iter::from_fn(|| self.tasks.try_join_next());
        self.arrived.extend(first.into_iter().chain(rest).flatten());
        self.is_all_ready = false;
    }

    /// There may be more to get ready before something lands.
    pub(super) fn goes_on(&mut self) {
        self.is_all_ready = false;
    }

    pub(super) fn next_look(&self) -> Look {
        self.next_look.filter(|_| !self.is_empty()).unwrap_or(Look::Newest)
    }

    pub(super) fn arrived(&self) -> BTreeSet<TargetId> {
        self.arrived.iter().map(|landed| landed.target.clone()).collect()
    }
}

impl Drive<'_> {
    /// Does `work`, and tells meanwhile what becomes of what is in flight: whoever else is at work waits for nothing that is known here.
    pub async fn meanwhile<T>(
        &self,
        work: impl Future<Output = T>,
        rollout: &Arc<str>,
        flying: &mut Flight,
    ) -> Result<T, StoreError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                landed = flying.tasks.join_next(), if !flying.tasks.is_empty() => flying.arrive(landed),
            }
            let mut told = std::pin::pin!(self.tell(rollout, flying));
            tokio::select! {
                biased;
                told = &mut told => told?,
                done = &mut work => return told.await.map(|()| done), // what is being written is written
            }
        }
    }

    /// Appends what arrived, beside others; it comes back as news.
    async fn tell(&self, rollout: &Arc<str>, flying: &mut Flight) -> Result<(), StoreError> {
        let landed = std::mem::take(&mut flying.arrived);
        let (ended, more) = self.told(landed, flying);
        let steps = ended.iter().map(|step| Event::Step { rollout: rollout.clone(), step: step.clone() });
        self.write(steps.chain(more).collect()).await.inspect_err(|error| say_lost(&ended, error))?;
        self.watch_ends(&ended);
        Ok(())
    }

    /// The journal could not be read or written: what was begun comes to its end all the same. Whoever is fenced drops it: somebody said
    /// that this run has ended, and another may write already.
    pub async fn end_after(&self, error: StoreError, progress: &mut Progress, flying: &mut Flight) -> StoreError {
        match error {
            StoreError::Fenced(_) => *flying = Flight::default(),
            StoreError::Io { .. } | StoreError::Held { .. } | StoreError::Broken { .. } | StoreError::Newer(_) => {
                self.wind_up(progress, flying).await;
            }
        }
        error
    }

    /// Waits for what is in flight and tells what becomes of it, as far as that can be written: something else went wrong, of which the
    /// caller tells. Whoever is fenced meanwhile drops the rest.
    pub async fn wind_up(&self, progress: &mut Progress, flying: &mut Flight) {
        loop {
            if let Err(StoreError::Fenced(_)) = self.record_arrived(progress, flying).await {
                *flying = Flight::default();
            }
            if !matches!(self.land(flying).await, Landing::Arrived) {
                return;
            }
        }
    }

    /// Begins what was announced.
    pub(super) fn start(
        &self,
        steps: Vec<Step>,
        ready: &BTreeMap<TargetId, Ready>,
        make: &MakeJob<'_>,
        known: &Known,
        flying: &mut Flight,
    ) {
        for step in steps {
            let target = step.clearance.target().clone();
            (self.watch)(Moment::Started(&target));
            self.fly(step, target, ready, make, known, flying);
        }
    }

    fn fly(
        &self,
        step: Step,
        target: TargetId,
        ready: &BTreeMap<TargetId, Ready>,
        make: &MakeJob<'_>,
        known: &Known,
        flying: &mut Flight,
    ) {
        let intent = step.clearance.intent();
        flying.targets.insert(target.clone());
        let untouched = |text: &str| Err(Failure { text: text.into(), untouched: true });
        let Some(ready) = ready.get(&target).filter(|ready| ready.preview.digest() == *step.clearance.digest()) else {
            let (result, digest) = (untouched("the clearance is for another preview"), step.clearance.digest().clone());
            flying.tasks.spawn(async move { Landed { target, intent, commit: Arc::from(""), digest, was: Vec::new(), result } });
            return;
        };
        let (preview, commit, digest) = (ready.preview.clone(), ready.commit.clone(), step.clearance.digest().clone());
        let job = make(&target, known);
        let takes_over = |job: &Job| if intent == Intent::Converge { job.was.clone() } else { Vec::new() };
        let was = job.as_ref().map(takes_over).unwrap_or_default();
        let engine = self.engines.get(&preview.engine).cloned();
        flying.tasks.spawn(async move {
            let result = match (job, engine) {
                (Ok(job), Some(engine)) => {
                    let applied = AssertUnwindSafe(engine.apply(&job, &preview)).catch_unwind().await;
                    applied.unwrap_or_else(|_| {
                        Err(Failure { text: "the engine panicked; what it did by then is not known".into(), untouched: false })
                    })
                }
                (Err(unseen), _) => untouched(&say_unseen(&unseen.reason)),
                (_, None) => untouched("no such engine in this version"),
            };
            Landed { target, intent, commit, digest, was, result }
        });
    }

    /// Waits for one target in flight, and takes along all that have landed by then.
    pub(super) async fn land(&self, flying: &mut Flight) -> Landing {
        if flying.tasks.is_empty() {
            return Landing::Empty;
        }
        tokio::select! {
            biased;
            first = flying.tasks.join_next() => flying.arrive(first),
            () = (self.patience)() => return Landing::GivenUp,
        }
        Landing::Arrived
    }

    /// What the journal is told of those that landed.
    pub(super) fn told(&self, landed: Vec<Landed>, flying: &mut Flight) -> (Vec<StepEvent>, Vec<Event>) {
        let (mut steps, mut events) = (Vec::new(), Vec::new());
        for Landed { target, intent, commit, digest, was, result } in landed {
            flying.targets.remove(&target);
            let outcome = match result {
                Ok(applied) => {
                    let (target, changes) = (target.clone(), applied.changes);
                    events.push(Event::Applied { target, intent, commit, digest, changes, was });
                    Outcome::Applied
                }
                Err(failure) => {
                    if failure.untouched {
                        let how = "the engine failed before it touched anything".into();
                        events.push(Event::Recovered { target: target.clone(), how, untouched: true });
                    }
                    Outcome::Failed(failure.text)
                }
            };
            steps.push(StepEvent::Finished { target, outcome });
        }
        (steps, events)
    }
}

/// These ended, and the journal does not know it: for whoever comes they are unknown.
pub(super) fn say_lost(ended: &[StepEvent], error: &StoreError) {
    for step in ended {
        if let StepEvent::Finished { target, outcome } = step {
            let has_arrived = outcome.is_reached(); // an engine's own words may hold a secret
            tracing::warn!(%target, has_arrived, %error, "how a target ended may not be in the journal: isobar recover looks at it again");
        }
    }
}
