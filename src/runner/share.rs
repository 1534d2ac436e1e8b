//! Several processes that bring one rollout together. Each leases a bite of what is on offer, does that, gives it back and takes the
//! next, before the last of it has landed; what it decides stands on the newest entry of the journal, or bears what came since, or is
//! decided anew. So each target is done once, and waves, tolerance and `max_parallel` hold over all of them, however many there are and
//! whoever is lost. Knows no clock: time is given to it.

use super::{Flight, Halt, Leases, Look, News, Offer, Replica};
use crate::journal::{Entry, Event};
use crate::rollout::{Progress, Shard, StepEvent};
use crate::stack::TargetId;
use crate::stop::Stop;
use crate::store::{Boxed, Holder, Lease, StoreError};
use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks at what others did: at first, and at most. A look at a journal far away is a request or two.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(3);

/// Which part of the work is taken first, and how long others may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    pub shard: Shard,
    pub patience: Duration,
    /// Targets that this process has in flight at most; 0 for all that it gets.
    pub parallel: usize,
}

/// What a shard needs of the world.
pub struct Means<'a> {
    /// Who asks for the next bite.
    pub holder: Box<dyn Fn() -> Holder + Send + Sync + 'a>,
    /// Is told when the last bite could not be given back; the shard ends well all the same.
    pub not_released: Box<dyn Fn(StoreError) + Send + Sync + 'a>,
    /// The time since some moment, which nobody sets back.
    pub elapsed: Box<dyn Fn() -> Duration + Send + Sync + 'a>,
    pub sleep: Box<dyn Fn(Duration) -> Boxed<'static, ()> + Send + Sync + 'a>,
    pub stop: &'a Stop,
}

/// What a shard knows besides history. What it decides, it decides on one entry after the other, as the journal has them.
pub struct Share<'a> {
    sharing: Sharing,
    means: Means<'a>,
    unread: Mutex<Unread>,
    others: Mutex<Others>,
    bites: Mutex<Bites>,
    silence: Mutex<Silence>,
    said: Mutex<Said>,
}

/// What others are at, as far as it was asked and read. Who writes is asked rarely: what is started since counts as theirs until then.
#[derive(Default)]
struct Others {
    /// Leased when it was asked last.
    held: BTreeSet<TargetId>,
    /// Started by others, without an outcome that was read.
    started: BTreeSet<TargetId>,
    /// Either of the two; nobody who was told it has it by the time that it changes.
    all: Arc<BTreeSet<TargetId>>,
    /// It was asked when the newest news were told.
    is_fresh: bool,
    /// It is not to be asked for the next news.
    is_enough: bool,
}

/// What was folded into history and not yet into the rollout that is driven.
#[derive(Default)]
struct Unread {
    steps: VecDeque<(Arc<str>, StepEvent, u64)>,
    /// Something that is more than a step.
    is_stale: bool,
}

/// What was said last of where the fleet is, if nothing was journalled since but that others came.
type Said = Option<Event>;

/// How the newest bites went.
#[derive(Default)]
struct Bites {
    /// The newest was taken in the place of one that waited.
    is_instead: bool,
    /// Somebody was faster with this one, and none was taken since.
    lost: Vec<TargetId>,
}

/// How long nobody did anything.
struct Silence {
    since: Duration,
    looks: u32,
    /// Somebody did, since it was asked last.
    is_broken: bool,
}

impl Others {
    fn start(&mut self, target: &TargetId) {
        self.started.insert(target.clone());
        Arc::make_mut(&mut self.all).insert(target.clone());
    }

    fn end(&mut self, target: &TargetId) {
        if self.started.remove(target) && !self.held.contains(target) {
            Arc::make_mut(&mut self.all).remove(target);
        }
    }
}

impl<'a> Share<'a> {
    pub fn new(sharing: Sharing, means: Means<'a>) -> Self {
        let silence = Silence { since: (means.elapsed)(), looks: 0, is_broken: true };
        Self {
            sharing,
            means,
            unread: Mutex::default(),
            others: Mutex::default(),
            bites: Mutex::default(),
            silence: Mutex::new(silence),
            said: Mutex::default(),
        }
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bites(&self) -> MutexGuard<'_, Bites> {
        self.bites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody said the same, and nothing happened since.
    pub(super) fn is_said(&self, event: &Event) -> bool {
        self.said().as_ref() == Some(event)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn meet(&self, Entry { event, run, at_ms, .. }: &Entry, own: &Arc<str>) {
        if let Event::Step { step: StepEvent::Started { target }, .. } = event
            && run != own
        {
            self.others().start(target);
        }
        if let Event::Step { step: StepEvent::Finished { target, .. }, .. } = event {
            self.others().end(target);
        }
        if !matches!(event, Event::RunStarted { .. }) {
            self.silence().is_broken = true; // who only comes, and comes again, does nothing about what is waited for
            *self.said() = matches!(event, Event::Settled { .. }).then(|| event.clone());
        }
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step { rollout, step } => unread.steps.push_back((rollout.clone(), step.clone(), *at_ms)),
            Event::Planned { .. } | Event::Superseded { .. } => unread.is_stale = true,
            Event::RunStarted { .. } | Event::Cleared { .. } | Event::Applied { .. } | Event::Recovered { .. } => {}
            Event::Settled { .. } | Event::DriftChecked { .. } | Event::Paused { .. } | Event::Resumed { .. } => {}
            Event::Held { .. } | Event::Released { .. } | Event::Freed { .. } => {}
            Event::KeyBegan { .. } | Event::Compacted { .. } | Event::GivenUp { .. } => {}
        }
    }

    /// Takes what came since the last time.
    fn read(&self) -> Unread {
        std::mem::take(&mut *self.unread.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long to wait before the next look, now that `head` is the newest entry; nothing when nobody wrote for too long.
    fn pause(&self) -> Option<Duration> {
        let now = (self.means.elapsed)();
        let mut silence = self.silence();
        if silence.is_broken {
            *silence = Silence { since: now, looks: 0, is_broken: false };
        }
        silence.looks += 1;
        let wait = (POLL_FIRST * 2_u32.pow(silence.looks.min(16))).min(POLL_MAX);
        (now.saturating_sub(silence.since) < self.sharing.patience).then_some(wait)
    }
}

impl Replica<'_> {
    /// What became of `rollout` since the last time, and who is at it; what they have in flight, where that `is_counted`. Where it must
    /// be asked who writes, the newest is read in any case.
    pub async fn news(&self, rollout: &str, is_counted: bool, look: Look) -> Result<News, StoreError> {
        let Some(share) = &self.share else { return Ok(News::default()) };
        let is_enough = share.others().is_enough;
        self.follow(if is_enough { look } else { Look::Newest }).await?;
        let Unread { steps, is_stale } = share.read();
        let steps = steps.into_iter().filter(|(of, ..)| **of == *rollout).map(|(_, step, at_ms)| (step, at_ms)).collect();
        let head = self.head();
        if !is_enough {
            let held = self.elsewhere().await?;
            let mut others = share.others();
            others.started.retain(|target| held.contains(target)); // the others are gone, and what they started is unknown
            others.all = Arc::new(held.clone());
            (others.held, others.is_fresh, others.is_enough) = (held, true, true);
        } else {
            share.others().is_fresh = false;
        }
        let elsewhere = share.others().all.clone();
        let in_flight = elsewhere.iter().filter(|target| is_counted && self.history().is_unknown(target)).cloned().collect();
        Ok(News { steps, head, elsewhere, in_flight, is_stale })
    }

    /// The rollout as history has it by now; what was read of it until then is in there.
    pub fn anew(&self, rollout: &str) -> Option<Progress> {
        self.share.iter().for_each(|share| drop(share.read()));
        self.history().rollout(rollout).cloned()
    }

    /// Does what a drive that came back asks of a shard, and goes on; or breaks, where there is nothing that we could do. While something
    /// is `flying`, nothing is waited for but that, and what could not be had is asked for again when it landed.
    pub async fn turn(
        &self,
        leases: &mut Leases,
        progress: &mut Progress,
        flying: &mut Flight,
        halt: Halt,
    ) -> Result<ControlFlow<Halt>, StoreError> {
        let goes_on = match halt {
            Halt::NeedsLease(offer) => match self.take_bite(leases, progress, flying, &offer).await {
                Err(error) if !flying.is_empty() => {
                    tracing::debug!(%error, "no bite was taken while something is in flight");
                    true
                }
                taken => taken?,
            },
            Halt::Others => self.asks_who_writes() || self.wait_for_others().await?,
            halt => return Ok(ControlFlow::Break(halt)),
        };
        Ok(match goes_on {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(if self.is_late() { Halt::Late } else { Halt::Others }),
        })
    }

    /// Takes some of what is on offer, of what need not wait first, and gives back what was leased, but for that of which something is in
    /// flight. Where what was leased still waits for a place, and has the time, that is only done for what need not wait; and not twice in a
    /// row without a look at what others do, so that shards do not exchange with one another for ever. What waits in a wave that stopped
    /// gets no place.
    async fn take_bite(
        &self,
        leases: &mut Leases,
        progress: &mut Progress,
        flying: &mut Flight,
        offer: &Offer,
    ) -> Result<bool, StoreError> {
        let Some(share @ Share { sharing: Sharing { shard, parallel, .. }, means, .. }) = &self.share else { return Ok(false) };
        let offered = if offer.free.is_empty() { &offer.targets } else { &offer.free };
        let waits = self.has_waiting(leases, progress, flying);
        let has_come_on = || leases.targets().any(|target| progress.outcome(target).is_some());
        if flying.is_empty() && waits && (offer.free.is_empty() || share.bites().is_instead && !has_come_on()) {
            share.bites().is_instead = false;
            return self.wait_for_others().await;
        }
        let is_full = *parallel > 0 && flying.len() >= *parallel;
        let may_have_place = !flying.is_empty() && waits; // when something lands
        let is_for_others = is_full && offered.len() < shard.of() * *parallel; // they have a place for what is left now
        if may_have_place || is_for_others {
            return Ok(true);
        }
        if self.asks_who_writes() {
            flying.goes_on();
            return Ok(true);
        }
        let done = offered.first().map_or(0, |target| progress.ended_beside(target));
        let bite = shard.bite(offered, done, *parallel);
        let last = self.give_back_all_but_one(leases, progress, flying).await?;
        let store = self.writer.store;
        let taken = match last {
            Some(last) => store.exchange(last, &bite, (means.holder)()).await,
            None => store.acquire(&bite, (means.holder)()).await,
        };
        match taken {
            Ok(taken) => {
                leases.add(taken);
                *share.bites() = Bites { is_instead: waits, lost: Vec::new() };
                flying.goes_on();
                Ok(true)
            }
            Err(StoreError::Held { .. }) => self.lost(bite, flying).await,
            Err(error) => Err(error),
        }
    }

    /// Something that is leased has not begun, and could yet.
    fn has_waiting(&self, leases: &Leases, progress: &Progress, flying: &Flight) -> bool {
        let now_ms = self.now_ms();
        let is_open = |target: &TargetId| {
            let has_come_on = flying.has(target) || progress.outcome(target).is_some();
            progress.contains(target) && !has_come_on && !progress.is_stopped(target, now_ms)
        };
        leases.targets().any(|target| is_open(target) && self.fits(target, now_ms))
    }

    /// Takes out the bites of which nothing is in flight, with their clearances; returns one, which can be exchanged, and gives back the rest.
    async fn give_back_all_but_one(
        &self,
        leases: &mut Leases,
        progress: &mut Progress,
        flying: &Flight,
    ) -> Result<Option<Lease>, StoreError> {
        let mut over = leases.take_out(|target| flying.has(target));
        over.iter().flat_map(Lease::targets).for_each(|target| progress.give_clearance_back(target));
        let last = over.pop();
        for lease in over {
            self.writer.store.release(lease).await?;
        }
        Ok(last)
    }

    /// Somebody was faster. Who has what is asked again, and only who would still take the same waits: the rest may be free.
    async fn lost(&self, bite: Vec<TargetId>, flying: &Flight) -> Result<bool, StoreError> {
        let Some(share) = &self.share else { return Ok(false) };
        if share.bites().lost == bite && flying.is_empty() {
            return self.wait_for_others().await;
        }
        share.bites().lost = bite;
        share.others().is_enough = false;
        Ok(true)
    }

    /// Gives back what a shard leased, and the clearances with it.
    pub async fn let_go(&self, leases: &mut Leases, progress: &mut Progress) {
        let Some(Share { means, .. }) = &self.share else { return };
        for lease in leases.take_out(|_| false) {
            lease.targets().for_each(|target| progress.give_clearance_back(target));
            if let Err(error) = self.writer.store.release(lease).await {
                (means.not_released)(error);
            }
        }
    }

    /// Waits a little; false when nobody wrote for so long that nobody may come.
    pub async fn wait_for_others(&self) -> Result<bool, StoreError> {
        let Some(share) = &self.share else { return Ok(false) };
        if self.is_late() {
            return Ok(false);
        }
        let Some(pause) = share.pause() else { return Ok(false) };
        tokio::select! {
            () = (share.means.sleep)(pause) => {}
            () = share.means.stop.wait() => {}
        }
        self.catch_up().await?;
        share.others().is_enough = false;
        Ok(true)
    }

    /// Somebody else writes about one of `targets`: nothing is planned over what may be under way.
    pub async fn is_written_elsewhere(&self, targets: &BTreeSet<TargetId>) -> Result<bool, StoreError> {
        if !self.is_shared() {
            return Ok(false);
        }
        let elsewhere = self.elsewhere().await?;
        Ok(targets.iter().any(|target| elsewhere.contains(target)))
    }

    /// Targets that other runs write about. Asked after the journal: what was started by then is held, or its run is gone.
    pub(super) async fn elsewhere(&self) -> Result<BTreeSet<TargetId>, StoreError> {
        let holders = self.writer.store.holders().await?;
        let others = holders.into_iter().filter(|(holder, _)| holder.run != *self.writer.run);
        Ok(others.flat_map(|(_, targets)| targets).collect())
    }

    /// Has it asked who writes, when the newest news were told without; false when there is nothing more to ask.
    fn asks_who_writes(&self) -> bool {
        let Some(share) = &self.share else { return false };
        let mut others = share.others();
        others.is_enough = false;
        !others.is_fresh
    }
}

#[cfg(test)]
mod tests;
