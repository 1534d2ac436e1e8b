//! Drives one rollout until nothing of it can begin: the runner starts and records, a round of clearing decides.

use super::gate::ask;
use super::live::{Live, beside};
use super::round::{Cleared, gone};
use super::watch::{signs, tell};
use super::{Converge, End};
use crate::change::Unseen;
use crate::command::pending::Work;
use crate::command::say::count;
use crate::command::scene::Scene;
use crate::engine::Job;
use crate::exit::Failure;
use crate::journal::{Entry, Event, Verb};
use crate::report::Told;
use crate::review::CommitSha;
use crate::rollout::{Gate, Outcome, Pool, Progress};
use crate::runner::{Bounds, Drive, Flight, Halt, Look, Moment, News, Ready, STOP_PATIENCE, Signs};
use crate::stack::{Known, TargetId};
use crate::store::{Boxed, StoreError};
use crate::world::{Bar, World};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Targets that go to an older commit than the rollout's, each with the definitions there.
#[derive(Default)]
struct Older(Mutex<BTreeMap<TargetId, Arc<Scene>>>);

/// What the rounds of a drive have given so far, and what of it is in flight.
#[derive(Default)]
struct Granted {
    flying: Flight,
    ready: BTreeMap<TargetId, Ready>,
    known: Known,
    ends: BTreeMap<TargetId, End>,
}

impl Converge<'_> {
    /// Drives one rollout until nothing of it can begin; returns the targets that were sent to an older commit than its own.
    pub(super) async fn drive(&mut self, mut progress: Progress, work: Work) -> Result<BTreeSet<TargetId>, Failure> {
        self.bringing = CommitSha(progress.rollout().commit.clone());
        let (older, mut granted) = (Older::default(), Granted::default());
        let bar = self.world.terminal.bar("applying", work.pending.len());
        self.replica.refresh().await?;
        match self.replica.anew(&progress.rollout().id) {
            Some(anew) => progress = anew,
            None => return Ok(BTreeSet::new()), // others brought it to its end, while we drove something else
        }
        let halt = match self.done.given_up {
            // The next bite would give the lease back, under which something may still be at work.
            true => Halt::Interrupted,
            false => {
                let live = self.live(&progress);
                beside(self.legs(&mut progress, &work, &older, &mut granted, &bar), live).await?
            }
        };
        if !self.done.given_up && !matches!(halt, Halt::GivenUp) {
            self.replica.let_go(&mut self.leases, &mut progress).await;
        }
        self.finish(&progress, halt, granted.ends, &work);
        let older = std::mem::take(&mut *older.lock());
        self.say_brought_to_older(&progress, &older);
        self.done.rollouts.push(progress);
        Ok(older.into_keys().collect())
    }

    /// Drives it, a shard from bite to bite.
    async fn legs(
        &mut self,
        progress: &mut Progress,
        work: &Work,
        older: &Older,
        granted: &mut Granted,
        bar: &Bar,
    ) -> Result<Halt, Failure> {
        loop {
            let halt = self.leg(progress, work, older, granted, bar).await?;
            let turned = self.replica.turn(&mut self.leases, progress, &mut granted.flying, halt);
            if let ControlFlow::Break(halt) = turned.await? {
                return Ok(halt);
            }
        }
    }

    /// Drives it with what is leased.
    async fn leg(
        &self,
        progress: &mut Progress,
        work: &Work,
        older: &Older,
        granted: &mut Granted,
        bar: &Bar,
    ) -> Result<Halt, Failure> {
        let id = progress.rollout().id.clone();
        let (world, replica) = (self.world, &self.replica);
        let make = |id: &TargetId, known: &Known| older.job(world, work, id, known);
        let is_counted = !self.slots[0].slots.is_empty();
        let others = |look: Look| -> Boxed<'_, Result<News, StoreError>> { Box::pin(replica.news(&id, is_counted, look)) };
        let drive = Drive {
            engines: &world.engines,
            store: &*world.store,
            leases: &self.leases,
            run: &world.run,
            parallel: self.order.parallel,
            ask: &|gate: Gate| -> Boxed<'_, Result<(), String>> { Box::pin(ask(world, gate)) },
            signs: &|now_ms: u64| -> Boxed<'_, Result<Signs, StoreError>> { Box::pin(signs(replica, &id, now_ms)) },
            now_ms: &|| world.clock.now_ms(),
            stop: &world.stop,
            patience: &|| Box::pin(world.stop.wait_out(STOP_PATIENCE)),
            watch: &|moment: Moment<'_>| tell(world, bar, &moment),
            sealed: &|entries: &[Entry]| replica.sealed(entries),
            bounds: Bounds {
                others: replica.is_shared().then_some(&others),
                fits: &|target: &TargetId, now_ms: u64| replica.fits(target, now_ms),
                pools: &|target: &TargetId| self.pools(target),
            },
        };

        loop {
            match drive.drive(progress, &mut granted.flying, &granted.ready, &make, &granted.known).await? {
                Halt::NeedsClearance(targets) => {
                    let looks = self.looks_beside(granted.flying.len());
                    let clears = self.clear(work, &targets, looks, progress, &make);
                    let granted_now = match drive.meanwhile(clears, &id, &mut granted.flying).await {
                        Ok(Ok(cleared)) => self.grant(cleared, progress, older, granted).await,
                        Ok(Err(failure)) => {
                            drive.wind_up(progress, &mut granted.flying).await;
                            return Err(failure);
                        }
                        Err(error) => Err(error),
                    };
                    if let Err(error) = granted_now {
                        return Err(drive.end_after(error, progress, &mut granted.flying).await.into());
                    }
                    if world.stop.is_asked() && granted.flying.is_empty() {
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

    /// The slots that a target needs: what it is, the head says; one that the head has no more, the commit before.
    fn pools(&self, target: &TargetId) -> Vec<Pool> {
        let [before, head] = &self.slots;
        let target = head.fleet.target(target).or_else(|| before.fleet.target(target));
        target.map(|target| before.slots.pools(target)).unwrap_or_default()
    }

    /// The rows tell what the head waits for; that something arrived all the same is told beside them.
    fn say_brought_to_older(&mut self, progress: &Progress, older: &BTreeMap<TargetId, Arc<Scene>>) {
        let mut arrived: BTreeMap<CommitSha, usize> = BTreeMap::new();
        let reached = older.iter().filter(|(id, _)| progress.outcome(id) == Some(&Outcome::Applied));
        for commit in reached.filter_map(|(_, scene)| scene.snapshot.commit.clone()) {
            *arrived.entry(commit).or_default() += 1;
        }
        for (commit, number) in arrived {
            let targets = count(number, "target was", "targets were");
            self.done
                .notes
                .push(format!("{targets} brought to {}, which is cleared; what came after it is told by itself", commit.short()));
        }
    }

    /// Journals what a round of clearing decided, and folds it in.
    async fn grant(
        &self,
        cleared: Cleared,
        progress: &mut Progress,
        older: &Older,
        granted: &mut Granted,
    ) -> Result<(), StoreError> {
        let id = progress.rollout().id.clone();
        let steps = cleared.steps.iter().map(|step| Event::Step { rollout: id.clone(), step: step.clone() });
        let events: Vec<Event> = cleared.events.into_iter().chain(steps).collect();
        let at_ms = self.world.clock.now_ms();
        if !events.is_empty() {
            self.replica.append(events, &self.leases).await?;
        }
        if !self.replica.is_shared() {
            cleared.steps.iter().for_each(|step| progress.record(step, at_ms)); // else they come back as news, in their order
        }
        progress.clear_for(cleared.clearances, |target| self.pools(target));
        older.lock().extend(cleared.older);
        granted.ready.extend(cleared.ready);
        granted.ends.extend(cleared.ends);
        granted.known = cleared.known;
        Ok(())
    }
}

impl<'a> Converge<'a> {
    fn live(&self, progress: &Progress) -> Option<Live<'a>> {
        let told = if self.order.verb == Verb::Tick { Told::Tick } else { Told::Apply };
        let rollout = progress.rollout().id.clone();
        self.order.audience.map(|audience| Live { world: self.world, audience, replica: self.replica, told, rollout })
    }
}

impl Older {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TargetId, Arc<Scene>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the job of a target, by the definitions of the commit that it goes to.
    fn job(&self, world: &World, work: &Work, id: &TargetId, known: &Known) -> Result<Job, Unseen> {
        let pending = work.get(id).ok_or_else(|| gone(id))?;
        let older = self.lock().get(id).cloned();
        match older {
            Some(scene) => scene.job(world, scene.fleet.target(id).ok_or_else(|| gone(id))?, pending.intent, known),
            None => pending.scene.job(world, &pending.target, pending.intent, known),
        }
    }
}
