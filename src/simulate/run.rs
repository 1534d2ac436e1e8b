//! One run of the loop, as `isobar apply` and `isobar tick` have it: lease, history, what is open, what is new, and an account of
//! it all; alone, or as a shard. The runner, the rollout, the store and policy are the shipped ones; what is asked of git and of people
//! is given.

use super::Clock;
use crate::change::{Intent, Preview};
use crate::engine::{Engines, Job};
use crate::journal::{Entry, Event, History, Verb};
use crate::policy::Policy;
use crate::review::{Approval, User};
use crate::rollout::{Bars, Gate, Outcome, Pool, Progress, Rollout, Slots, Takeover};
use crate::runner::{
    Bounds, Drive, Flight, Halt, Leases, Look, Means, Moment, News, Ready, Replica, STOP_PATIENCE, Share, Sharing, Signs, Writer,
};
use crate::stack::{Known, Target, TargetId};
use crate::stop::Stop;
use crate::store::{Boxed, Holder, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

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
    /// Others bring the same, each a bite at a time.
    pub sharing: Option<Sharing>,
    /// What all of the fleet share while they are in flight.
    pub slots: &'a Slots,
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
pub(super) struct Holding<'a> {
    pub(super) run: &'a Run<'a>,
    leases: Leases,
    pub(super) replica: Replica<'a>,
    /// Rollouts that this run met.
    met: BTreeSet<Arc<str>>,
    /// Targets of rollouts that it drove, but for those that arrived at something older than the head.
    tried: BTreeSet<TargetId>,
    /// Resumed rollouts in whose place the head goes on, once it is planned.
    takeover: Takeover,
    /// Something may still be at work that did not come back in time.
    given_up: bool,
}

impl Run<'_> {
    /// Runs to where nothing more can begin; `false` when this head may not be brought.
    pub async fn run(&self) -> Result<bool, StoreError> {
        let wanted: Vec<TargetId> = match self.sharing {
            None => self.targets.keys().cloned().collect(),
            Some(_) => Vec::new(), // bite by bite
        };
        let lease = self.store.acquire(&wanted, self.holder()).await?;
        let history = self.store.history().await?;
        if !(self.admits)(&history) {
            self.store.release(lease).await?;
            return Ok(false);
        }
        let now_ms = Box::new(|| self.clock.now_ms());
        let writer = Writer { store: self.store, run: &self.id, now_ms, time: None };
        let share = self.sharing.map(|sharing| Share::new(sharing, self.means()));
        let replica = Replica::new(writer, history, share);
        let (met, tried, takeover) = (BTreeSet::new(), BTreeSet::new(), Takeover::default());
        let mut holding = Holding { run: self, leases: Leases::new(lease), replica, met, tried, takeover, given_up: false };
        let is_admitted = holding.bring().await?;
        match holding.given_up {
            false => {
                for lease in holding.leases.into_all() {
                    self.store.release(lease).await?;
                }
            }
            true => std::mem::forget(holding.leases), // something may still be at work: it ends with the process
        }
        Ok(is_admitted)
    }

    fn holder(&self) -> Holder {
        Holder { run: self.id.clone(), host: "nowhere".into(), pid: 1, since_ms: self.clock.now_ms(), job: None }
    }

    fn means(&self) -> Means<'_> {
        Means {
            holder: Box::new(|| self.holder()),
            not_released: Box::new(|_| ()), // it ends with the process
            elapsed: Box::new(|| Duration::from_millis(self.clock.now_ms())),
            sleep: Box::new(|pause| Box::pin(self.clock.sleep(pause.as_millis() as u64))),
            stop: self.stop,
        }
    }
}

impl Holding<'_> {
    /// Returns `false` when others brought something newer meanwhile.
    async fn bring(&mut self) -> Result<bool, StoreError> {
        let run = self.run;
        let by = User("somebody".into());
        let came = Event::RunStarted { verb: run.verb, commit: run.head.clone(), by, pull_request: None };
        if self.replica.announce(came, &self.leases).await? && !(run.admits)(&self.history()) {
            return Ok(false);
        }
        self.go_on().await?;
        let may_begin = run.verb == Verb::Apply && self.history().paused().is_none() && !run.stop.is_asked();
        if may_begin && !self.given_up {
            loop {
                self.replica.catch_up().await?;
                if !(run.admits)(&self.history()) {
                    return Ok(false);
                }
                self.go_on().await?;
                if !self.begin().await? {
                    break;
                }
            }
            self.give_way().await?;
        }
        if !self.given_up {
            self.settle().await?;
        }
        Ok(true)
    }

    /// Goes on with what is open, but for what the head goes on in the place of.
    async fn go_on(&mut self) -> Result<(), StoreError> {
        let run = self.run;
        let open: Vec<Progress> = self.history().rollouts().cloned().collect();
        for progress in open {
            let is_new = self.met.insert(progress.rollout().id.clone());
            let is_stopped = progress.ending().is_some(); // it holds its targets until somebody resumes it
            if !is_new || is_stopped || self.given_up {
                continue;
            }
            let is_older = progress.was_resumed() && progress.rollout().commit != run.head;
            let may_take = run.verb == Verb::Apply && is_older;
            if !(may_take && take_over(&mut self.takeover, &progress, run.clock.now_ms())) {
                self.drive(progress).await?;
            }
        }
        Ok(())
    }

    /// Begins one rollout of what is pending and free; `false` when nothing is left that could make progress.
    async fn begin(&mut self) -> Result<bool, StoreError> {
        let run = self.run;
        let open: BTreeSet<Arc<str>> = self.history().rollouts().map(|progress| progress.rollout().id.clone()).collect();
        self.takeover.retain(|id| open.contains(id));
        if self.history().paused().is_some() {
            return Ok(false);
        }
        let mut free = self.free();
        let theirs: BTreeSet<TargetId> = self.takeover.targets().into_iter().cloned().collect();
        if (run.pending)(&self.history()).iter().any(|id| theirs.contains(id) && !free.contains(id)) {
            // All that is left of a rollout goes on together, or by itself.
            self.give_way().await?;
            free = self.free();
        }
        if free.is_empty() || run.stop.is_asked() || self.given_up {
            return Ok(false);
        }
        if self.replica.is_written_elsewhere(&free).await? {
            return self.replica.wait_for_others().await;
        }
        if self.replica.is_shared() && !(run.admits)(&self.history()) {
            return Ok(true); // others brought something newer while we drove
        }
        let takeover = std::mem::take(&mut self.takeover);
        let id = format!("{}-{}", run.head, self.history().rollout_number(&run.id));
        let rollout = (run.plan)(id.into(), free.into_iter().collect(), takeover.clone());
        let Some(progress) = self.replica.plan(rollout, &takeover, &self.leases).await? else {
            self.takeover = takeover;
            return Ok(true); // somebody was first
        };
        self.met.insert(progress.rollout().id.clone());
        self.drive(progress).await?;
        Ok(false)
    }

    /// Takes over nothing more: what was resumed goes on as it was planned.
    async fn give_way(&mut self) -> Result<(), StoreError> {
        let takeover = std::mem::take(&mut self.takeover);
        for rollout in takeover.rollouts() {
            let progress = self.history().rollout(&rollout.id).cloned();
            if let Some(progress) = progress.filter(|_| !self.given_up) {
                self.drive(progress).await?;
            }
        }
        Ok(())
    }

    /// What is pending, waits for no earlier rollout and was not tried, or is gone through again in the place of one.
    fn free(&self) -> BTreeSet<TargetId> {
        let (history, now_ms, takeover) = (self.history(), self.run.clock.now_ms(), &self.takeover);
        let open = history.rollouts().filter(|progress| !takeover.takes(&progress.rollout().id));
        let bars: Vec<Bars<'_>> = open.map(|progress| progress.bars(now_ms)).collect();
        let comes_after = |late: &TargetId, early: &str| (self.run.comes_after)(late.region.environment(), early);
        let mut pending: BTreeSet<TargetId> = (self.run.pending)(&history).into_iter().collect();
        pending.extend(takeover.unproven());
        let is_held = |id: &TargetId| {
            history.holder(id).is_some_and(|progress| !takeover.takes(&progress.rollout().id))
                || bars.iter().any(|it| it.bar(id, |early| comes_after(id, early)))
        };
        pending.retain(|id| !is_held(id) && !self.tried.contains(id));
        pending
    }

    /// Journals where the fleet is now, if nothing newer was begun meanwhile.
    async fn settle(&mut self) -> Result<(), StoreError> {
        loop {
            self.replica.catch_up().await?;
            if !(self.run.admits)(&self.history()) {
                return Ok(());
            }
            let behind = (self.run.pending)(&self.history());
            let settled = Event::Settled { commit: self.run.head.clone(), scope: None, behind };
            if self.replica.append_as_last(settled, &self.leases).await? {
                return Ok(());
            }
        }
    }

    async fn drive(&mut self, mut progress: Progress) -> Result<(), StoreError> {
        self.replica.refresh().await?;
        match self.replica.anew(&progress.rollout().id) {
            Some(anew) => progress = anew,
            None => return Ok(()), // others brought it to its end, while we drove something else
        }
        let (mut ready, mut flying) = (BTreeMap::new(), Flight::default());
        let halt = loop {
            let halt = self.leg(&mut progress, &mut flying, &mut ready).await?;
            let turned = self.replica.turn(&mut self.leases, &mut progress, &mut flying, halt);
            if let ControlFlow::Break(halt) = turned.await? {
                break halt;
            }
        };
        self.given_up = matches!(halt, Halt::GivenUp);
        if !self.given_up {
            self.replica.let_go(&mut self.leases, &mut progress).await;
        }
        let is_older = progress.rollout().commit != self.run.head;
        let goes_on = |id: &TargetId| is_older && progress.outcome(id).is_some_and(Outcome::is_reached);
        let planned = progress.rollout().waves.iter().flat_map(|wave| &wave.targets).map(|planned| &planned.target);
        self.tried.extend(planned.filter(|id| !goes_on(id)).cloned());
        (self.run.left)(&progress, &halt, &self.history());
        Ok(())
    }

    /// Drives it with what is leased.
    async fn leg(
        &self,
        progress: &mut Progress,
        flying: &mut Flight,
        ready: &mut BTreeMap<TargetId, Ready>,
    ) -> Result<Halt, StoreError> {
        let (run, replica) = (self.run, &self.replica);
        let (id, commit) = (progress.rollout().id.clone(), progress.rollout().commit.clone());
        let make = |id: &TargetId, _: &Known| Ok((run.job)(&commit, id));
        let others =
            |look: Look| -> Boxed<'_, Result<News, StoreError>> { Box::pin(replica.news(&id, !run.slots.is_empty(), look)) };
        let drive = Drive {
            engines: run.engines,
            store: run.store,
            leases: &self.leases,
            run: &run.id,
            parallel: run.parallel,
            ask: &|gate| (run.ask)(gate),
            signs: &|now_ms: u64| -> Boxed<'_, Result<Signs, StoreError>> { Box::pin(self.signs(&id, now_ms)) },
            now_ms: &|| run.clock.now_ms(),
            stop: run.stop,
            patience: &|| Box::pin(self.out_of_patience()),
            watch: run.watch,
            sealed: &|entries: &[Entry]| replica.sealed(entries),
            bounds: Bounds {
                others: replica.is_shared().then_some(&others),
                fits: &|target: &TargetId, now_ms: u64| replica.fits(target, now_ms),
                pools: &|target: &TargetId| self.pools(target),
            },
        };
        loop {
            match drive.drive(progress, flying, ready, &make, &Known::default()).await? {
                Halt::NeedsClearance(targets) => {
                    let cleared = drive.meanwhile(self.clear(progress, targets, ready), &id, flying).await.flatten();
                    if let Err(error) = cleared {
                        return Err(drive.end_after(error, progress, flying).await);
                    }
                    if run.stop.is_asked() && flying.is_empty() {
                        if replica.is_shared()
                            && let Some(anew) = replica.anew(&id)
                        {
                            *progress = anew; // nobody asks for the news of what was just decided
                        }
                        return Ok(Halt::Interrupted);
                    }
                }
                Halt::Resumed => match replica.anew(&id) {
                    Some(anew) => *progress = anew,
                    None => return Ok(Halt::Resumed),
                },
                halt => return Ok(halt),
            }
        }
    }

    /// The slots that a target needs.
    pub(super) fn pools(&self, target: &TargetId) -> Vec<Pool> {
        self.run.targets.get(target).map(|target| self.run.slots.pools(target)).unwrap_or_default()
    }

    async fn signs(&self, rollout: &str, now_ms: u64) -> Result<Signs, StoreError> {
        self.replica.refresh().await?;
        let history = self.history();
        let held =
            history.holds(now_ms).into_iter().map(|hold| (hold.region.clone(), format!("until released: {}", hold.reason)));
        let paused = history.paused().map(|(by, reason)| format!("paused by {by}: {reason}"));
        let decisions = history.rollout(rollout).map_or(0, Progress::decisions);
        let head = history.head().map(|(seq, hash)| (seq, hash.clone()));
        Ok(Signs { paused, held: held.collect(), decisions, head })
    }

    /// What is in flight has as long as a run that was told to stop gives it.
    async fn out_of_patience(&self) {
        self.run.stop.wait().await;
        self.run.clock.sleep(STOP_PATIENCE.as_millis() as u64).await;
    }

    pub(super) async fn append(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.replica.append(events, &self.leases).await
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        self.replica.history()
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
