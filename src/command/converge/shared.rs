//! Several processes that bring one rollout together. Each leases a bite of what is on offer, does that, gives it back and takes the
//! next; what it decides stands on the newest entry of the journal, or is decided anew. So each target is done once, and waves,
//! tolerance and `max_parallel` hold over all of them, however many there are and whoever is lost.

use super::{Converge, give_back, holder};
use crate::exit::Failure;
use crate::journal::{Entry, Event, History};
use crate::rollout::{Progress, Rollout, Shard, StepEvent, Takeover};
use crate::runner::News;
use crate::stack::TargetId;
use crate::store::StoreError;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at what others did: at first, and at most. A look at a journal far away is a request or two.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(3);

/// Which part of the work is taken first, and how long others may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    pub shard: Shard,
    pub patience: Duration,
}

/// What a shard knows besides history. What it decides, it decides on one entry after the other, as the journal has them.
pub(super) struct Shared {
    sharing: Sharing,
    unread: Mutex<Unread>,
    others: Mutex<Others>,
    silence: Mutex<Silence>,
}

/// What others are at, as far as it was asked and read. Who writes is asked rarely: what is started since counts as theirs until then.
#[derive(Default)]
struct Others {
    /// Leased when it was asked last.
    held: BTreeSet<TargetId>,
    /// Started by others, without an outcome that was read.
    started: BTreeSet<TargetId>,
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

/// How long nobody wrote.
struct Silence {
    since: Instant,
    head: u64,
    looks: u32,
}

impl Shared {
    pub(super) fn new(sharing: Sharing) -> Self {
        let silence = Silence { since: Instant::now(), head: 0, looks: 0 };
        Self { sharing, unread: Mutex::default(), others: Mutex::default(), silence: Mutex::new(silence) }
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, Entry { event, run, at_ms, .. }: &Entry, own: &Arc<str>) {
        if let Event::Step { step: StepEvent::Started { target }, .. } = event
            && run != own
        {
            self.others().started.insert(target.clone());
        }
        if let Event::Step { step: StepEvent::Finished { target, .. }, .. } = event {
            self.others().started.remove(target);
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
    fn pause(&self, head: u64) -> Option<Duration> {
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if silence.head != head {
            *silence = Silence { since: Instant::now(), head, looks: 0 };
        }
        silence.looks += 1;
        let wait = (POLL_FIRST * 2_u32.pow(silence.looks.min(16))).min(POLL_MAX);
        (silence.since.elapsed() < self.sharing.patience).then_some(wait)
    }
}

impl Converge<'_> {
    /// Folds into history what was appended since, by whomever; false when that was nothing but others who came.
    pub(super) async fn catch_up(&self) -> Result<bool, StoreError> {
        let Some(shared) = &self.shared else { return Ok(false) };
        let head = head(&self.history());
        let fresh = self.world.store.since(head.as_ref()).await?;
        let mut history = self.history();
        for entry in &fresh {
            history.record(entry);
            shared.meet(entry, &self.world.run);
        }
        Ok(fresh.iter().any(|entry| !matches!(entry.event, Event::RunStarted { .. })))
    }

    /// What became of `rollout` since the last time, and who is at it.
    pub(super) async fn news(&self, rollout: &str) -> Result<News, StoreError> {
        self.catch_up().await?;
        let Some(shared) = &self.shared else { return Ok(News::default()) };
        let Unread { steps, is_stale } = shared.read();
        let steps = steps.into_iter().filter(|(of, ..)| **of == *rollout).map(|(_, step, at_ms)| (step, at_ms)).collect();
        let head = head(&self.history());
        if !shared.others().is_enough {
            let held = self.elsewhere().await?;
            let mut others = shared.others();
            others.started.retain(|target| held.contains(target)); // the others are gone, and what they started is unknown
            (others.held, others.is_fresh, others.is_enough) = (held, true, true);
        } else {
            shared.others().is_fresh = false;
        }
        let others = shared.others();
        let elsewhere: BTreeSet<TargetId> = others.held.union(&others.started).cloned().collect();
        let is_counted = !self.slots[0].slots.is_empty();
        let in_flight = elsewhere.iter().filter(|target| is_counted && self.history().is_unknown(target)).cloned().collect();
        Ok(News { steps, head, elsewhere, in_flight, is_stale })
    }

    /// Targets that other runs write about. Asked after the journal: what was started by then is held, or its run is gone.
    pub(super) async fn elsewhere(&self) -> Result<BTreeSet<TargetId>, StoreError> {
        let holders = self.world.store.holders().await?;
        let others = holders.into_iter().filter(|(holder, _)| holder.run != self.world.run);
        Ok(others.flat_map(|(_, targets)| targets).collect())
    }

    /// Has it asked who writes, when the newest news were told without; false when there is nothing more to ask.
    pub(super) fn asks_who_writes(&self) -> bool {
        let Some(shared) = &self.shared else { return false };
        let mut others = shared.others();
        others.is_enough = false;
        !others.is_fresh
    }

    /// The rollout as history has it by now; what was read of it until then is in there.
    pub(super) fn anew(&self, rollout: &str) -> Option<Progress> {
        self.shared.iter().for_each(|shared| drop(shared.read()));
        self.history().rollout(rollout).cloned()
    }

    /// Gives back what was leased and takes some of what is on offer, unless what was leased still waits for a place, and has the time.
    /// What waits in a wave that stopped gets no place.
    pub(super) async fn take_bite(&mut self, progress: &mut Progress, offered: &[TargetId]) -> Result<bool, Failure> {
        let Some(shard) = self.shared.as_ref().map(|shared| shared.sharing.shard) else { return Ok(false) };
        let now_ms = self.world.clock.now_ms();
        let is_open = |target: &TargetId| {
            progress.contains(target) && progress.outcome(target).is_none() && !progress.is_stopped(target, now_ms)
        };
        if self.lease.targets().any(|target| is_open(target) && self.fits(target, now_ms)) {
            return self.wait_for_others().await;
        }
        if self.asks_who_writes() {
            return Ok(true);
        }
        self.let_go(progress).await?;
        match self.world.store.acquire(&shard.bite(offered), holder(self.world)).await {
            Ok(lease) => {
                self.lease = lease;
                Ok(true)
            }
            Err(StoreError::Held { .. }) => self.wait_for_others().await, // somebody was faster
            Err(error) => Err(error.into()),
        }
    }

    /// Gives back what was leased, and the clearances with it.
    pub(super) async fn let_go(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        if self.shared.is_some() && self.lease.targets().next().is_some() {
            let nothing = self.world.store.acquire(&[], holder(self.world)).await?;
            give_back(self.world, std::mem::replace(&mut self.lease, nothing)).await;
            progress.give_clearances_back();
        }
        Ok(())
    }

    /// Waits a little; false when nobody wrote for so long that nobody may come.
    pub(super) async fn wait_for_others(&self) -> Result<bool, Failure> {
        let Some(shared) = &self.shared else { return Ok(false) };
        if self.is_late() {
            return Ok(false);
        }
        let head = head(&self.history()).map_or(0, |(seq, _)| seq);
        let Some(pause) = shared.pause(head) else { return Ok(false) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.world.stop.wait() => {}
        }
        self.catch_up().await?;
        shared.others().is_enough = false;
        Ok(true)
    }

    /// Somebody else writes about one of `targets`: nothing is planned over what may be under way.
    pub(super) async fn is_written_elsewhere(&self, targets: &BTreeSet<TargetId>) -> Result<bool, Failure> {
        if self.shared.is_none() {
            return Ok(false);
        }
        let elsewhere = self.elsewhere().await?;
        Ok(targets.iter().any(|target| elsewhere.contains(target)))
    }

    /// Journals a plan and returns what is to be driven; nothing when others did something meanwhile that it knows nothing of.
    pub(super) async fn announce_plan(&self, rollout: Rollout, takeover: &Takeover) -> Result<Option<Progress>, Failure> {
        let commit = &rollout.commit;
        let superseded = takeover.rollouts().map(|old| Event::Superseded { rollout: old.id.clone(), commit: commit.clone() });
        let events: Vec<Event> = superseded.chain([Event::Planned { rollout: rollout.clone() }]).collect();
        if self.shared.is_none() {
            self.append(events).await?;
            return Ok(Some(Progress::new(rollout)));
        }
        let id = rollout.id.clone();
        Ok(if self.append_on_newest(events).await? { self.anew(&id) } else { None })
    }

    /// Appends what was decided on history as it is here, if nobody wrote since. Who only came is no reason to decide anew.
    pub(super) async fn append_on_newest(&self, events: Vec<Event>) -> Result<bool, Failure> {
        loop {
            let known = head(&self.history());
            let (run, at_ms) = (&self.world.run, self.world.clock.now_ms());
            let events = events.clone();
            let sealed = self.world.store.append_after(known.as_ref(), events, run, at_ms, Some(&self.lease)).await?;
            if !sealed.is_empty() {
                self.catch_up().await?;
                return Ok(true);
            }
            if self.catch_up().await? {
                return Ok(false);
            }
        }
    }
}

fn head(history: &History) -> Option<(u64, crate::change::Digest)> {
    history.head().map(|(seq, hash)| (seq, hash.clone()))
}
