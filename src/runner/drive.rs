//! Drives one rollout: every start is journalled before the engine begins, every outcome after. Starts a target only with a
//! [`Step`], which holds a clearance.

use super::flight::{Flight, Landing, say_lost};
use super::work::{Offer, Work};
use super::{Leases, MakeJob, Moment};
use crate::change::{Digest, Preview};
use crate::engine::Engines;
use crate::journal::{Bears, Entry, Event};
use crate::rollout::{Ending, Gate, Now, Pool, Progress, Step, StepEvent, Taken};
use crate::stack::{Known, RegionId, TargetId};
use crate::stop::Stop;
use crate::store::{After, Append, Boxed, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What is in flight when we are told to stop may finish within this time; what is left of 7 s is for the journal and the report.
pub const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// What became of a rollout that several processes drive, since the last time somebody asked.
#[derive(Default)]
pub struct News {
    /// Its steps in the order of the journal, our own among them, each with its time.
    pub steps: Vec<(StepEvent, u64)>,
    /// The newest entry by then.
    pub head: Option<(u64, Digest)>,
    /// Targets that others write about.
    pub elsewhere: Arc<BTreeSet<TargetId>>,
    /// Those of them that they have in flight, of whatever rollout.
    pub in_flight: Vec<TargetId>,
    /// More than steps: a newer rollout took targets over, or this one is no more. The journal has it anew.
    pub is_stale: bool,
}

/// How far the journal is read before something is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As far as this process knows it anyway: enough for what is written only where it bears what came since.
    Known,
    /// To the newest entry.
    Newest,
}

/// Asks for [`News`].
pub type Ask<'a> = dyn Fn(Look) -> Boxed<'a, Result<News, StoreError>> + Sync + 'a;

/// What people say to a rollout that runs.
pub struct Signs {
    pub paused: Option<String>,
    pub held: BTreeMap<RegionId, String>,
    /// How much the journal says about this rollout as a whole.
    pub decisions: usize,
    /// The newest entry that is known.
    pub head: Option<(u64, Digest)>,
}

/// What a drive needs of the world.
pub struct Drive<'a> {
    pub engines: &'a Engines,
    pub store: &'a dyn Store,
    pub leases: &'a Leases,
    pub run: &'a Arc<str>,
    /// Targets in flight at most, below what the waves allow; 0 for no further bound.
    pub parallel: usize,
    /// Asks a gate.
    pub ask: &'a (dyn Fn(Gate) -> Boxed<'a, Result<(), String>> + Sync),
    /// Reads what people say, before every group of starts.
    pub signs: &'a (dyn Fn(u64) -> Boxed<'a, Result<Signs, StoreError>> + Sync),
    pub now_ms: &'a (dyn Fn() -> u64 + Sync),
    pub stop: &'a Stop,
    /// Ends when what is in flight has had its time to finish, counted from when we were told to stop.
    pub patience: &'a (dyn Fn() -> Boxed<'a, ()> + Sync),
    pub watch: &'a (dyn Fn(Moment<'_>) + Sync),
    /// Takes each group as it was sealed, so that the caller's history stays current.
    pub sealed: &'a (dyn Fn(&[Entry]) + Sync),
    pub bounds: Bounds<'a>,
}

/// What bounds a drive besides its rollout.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Where other processes drive the same rollout: the lease is on a part of it, and what is decided stands on the newest entry, or
    /// bears what came since.
    pub others: Option<&'a Ask<'a>>,
    /// Says whether a target may still begin at a time: what usually takes longer than is left does not.
    pub fits: &'a (dyn Fn(&TargetId, u64) -> bool + Sync),
    /// Pools that a target needs a slot of while it is in flight.
    pub pools: &'a (dyn Fn(&TargetId) -> Vec<Pool> + Sync),
}

impl Default for Bounds<'_> {
    /// Alone, with all the time and all the slots that there are.
    fn default() -> Self {
        Self { others: None, fits: &|_, _| true, pools: &|_| Vec::new() }
    }
}

/// What is ready to be applied: the preview that was cleared, and at which commit.
pub struct Ready {
    pub preview: Arc<Preview>,
    pub commit: Arc<str>,
}

/// Why a drive came back.
#[derive(Debug)]
pub enum Halt {
    /// These targets must be previewed and judged now.
    NeedsClearance(Vec<TargetId>),
    /// These targets must be leased first.
    NeedsLease(Offer),
    /// What may begin would usually take longer than the time that is left.
    Late,
    /// Others are at work, and there is nothing that we could do meanwhile.
    Others,
    /// Nothing may begin before then.
    Wait {
        until_ms: u64,
        why: String,
    },
    Paused(String),
    /// Others said something about this rollout while it was driven: what is known of it here is old, and the journal has it anew.
    Resumed,
    Over(Ending),
    /// A signal came; what was in flight is recorded.
    Interrupted,
    /// A signal came, and something in flight did not come back in time: it has no outcome, and may still be at work.
    GivenUp,
}

impl Drive<'_> {
    /// Drives `progress` until somebody else must decide. Every start is journalled before the engine is, every outcome after. A shard
    /// comes back for its next targets, and for their clearance, while something is in flight; else nothing is.
    pub async fn drive(
        &self,
        progress: &mut Progress,
        flying: &mut Flight,
        ready: &BTreeMap<TargetId, Ready>,
        make: &MakeJob<'_>,
        known: &Known,
    ) -> Result<Halt, StoreError> {
        match self.drive_on(progress, flying, ready, make, known).await {
            Err(error) => Err(self.end_after(error, progress, flying).await),
            halt => halt,
        }
    }

    async fn drive_on(
        &self,
        progress: &mut Progress,
        flying: &mut Flight,
        ready: &BTreeMap<TargetId, Ready>,
        make: &MakeJob<'_>,
        known: &Known,
    ) -> Result<Halt, StoreError> {
        let (mut news, mut is_stale) = (News::default(), false);
        let mut look = flying.next_look();
        loop {
            if self.is_full(flying) {
                let is_more = progress.cleared().any(|target| !flying.has(target));
                if self.looks_ahead(flying) && !is_more {
                    look = Look::Newest;
                } else if matches!(self.land(flying).await, Landing::GivenUp) {
                    return Ok(Halt::GivenUp); // what others did meanwhile is read once something could begin
                }
            }
            let has_failed = flying.arrived.iter().any(|landed| landed.result.is_err());
            if has_failed || self.stop.is_asked() {
                self.record_arrived(progress, flying).await?; // nothing begins in its place without another look
            }
            let (ms, signs) = self.look(&mut news, look).await?;
            news.steps.drain(..).for_each(|(step, at_ms)| progress.record(&step, at_ms));
            is_stale |= news.is_stale;
            if is_stale || signs.decisions > progress.decisions() {
                self.record_arrived(progress, flying).await?;
                match self.land(flying).await {
                    Landing::Empty => return Ok(Halt::Resumed),
                    Landing::Arrived => continue,
                    Landing::GivenUp => return Ok(Halt::GivenUp),
                }
            }
            let (paused, held, elsewhere) = (signs.paused.as_deref(), &signs.held, &news.elsewhere);
            let (taken, arrived) = (self.taken(flying, &news), flying.arrived());
            let only_starts = look == Look::Known;
            let now = Now { ms, paused, held, elsewhere, taken: &taken, arrived: &arrived, only_starts };
            let todos = progress.next(&now);
            let is_leased = |target: &TargetId| self.bounds.others.is_none() || self.leases.covers(target);
            let work = Work::of(todos, progress.rollout(), is_leased, |target| (self.bounds.fits)(target, ms));
            let stopped = self.stop.is_asked();
            let room = if self.parallel == 0 { usize::MAX } else { self.parallel.saturating_sub(flying.tasks.len()) };
            let begins = work.late.is_empty() && work.records.is_empty() && !stopped && room > 0 && !work.steps.is_empty();
            if look == Look::Known && !begins {
                look = Look::Newest; // what begins is written on what it was decided on; whatever else is done, or not done, is not
                continue;
            }

            if !work.late.is_empty() {
                work.late.iter().for_each(|target| progress.give_clearance_back(target)); // what fits may take its place
                continue;
            }
            if begins {
                let steps: Vec<Step> = self.of_one_lease(work.steps).into_iter().take(room).collect();
                let after = match self.bounds.others {
                    Some(_) => Some(self.beside_others(progress, &steps, &now, flying, &news)),
                    None => self.behind_own(flying, &signs),
                };
                let is_borne_next = !self.shares_slots(&steps);
                let has_begun = self.begin(progress, &steps, after, flying).await?;
                if has_begun {
                    self.start(steps, ready, make, known, flying);
                }
                // What we wrote was read back, and that is enough where the next start is likely to be borne as this one was.
                flying.next_look = Some(Look::Known).filter(|_| has_begun && is_borne_next);
                flying.is_all_ready = self.parallel == 0; // who takes all that it gets takes the next once one of these has landed
                look = flying.next_look();
                continue;
            }
            if !flying.arrived.is_empty() {
                self.record_arrived(progress, flying).await?;
                continue;
            }
            if !work.records.is_empty() {
                self.record(progress, work.records, &news).await?;
                continue;
            }
            let halt = match work.halt {
                Halt::NeedsLease(offer) => Halt::NeedsLease(offer.with_room(progress, self.bounds.pools, &now)),
                halt => halt,
            };
            if self.looks_ahead(flying) {
                flying.is_all_ready = !matches!(halt, Halt::NeedsClearance(_));
                let is_free = matches!(&halt, Halt::NeedsLease(offer) if !offer.free.is_empty());
                if is_free || matches!(halt, Halt::NeedsClearance(_)) {
                    flying.next_look = None; // what is asked next is no start
                    return Ok(halt);
                }
            }
            match self.land(flying).await {
                Landing::Empty => {}
                Landing::Arrived => {
                    look = flying.next_look();
                    continue;
                }
                Landing::GivenUp => return Ok(Halt::GivenUp), // leaving drops what is in flight, and an engine that can be stopped stops
            }
            if stopped {
                return Ok(Halt::Interrupted);
            }
            // Who asks a gate keeps what it has leased from others meanwhile, so that comes first.
            let is_kept = self.bounds.others.is_some() && matches!(halt, Halt::NeedsClearance(_));
            if let Some(asked) = work.gate.filter(|_| !is_kept) {
                self.ask(progress, asked, &signs).await?;
                continue;
            }
            return Ok(halt);
        }
    }

    /// A shard gets its next targets ready while something is in flight: what one of them takes does not keep the places of the others empty.
    fn looks_ahead(&self, flying: &Flight) -> bool {
        self.bounds.others.is_some() && !flying.is_empty() && !flying.is_all_ready && !self.stop.is_asked()
    }

    /// Those that the lease of the first covers: what is decided with one entry is written with one.
    fn of_one_lease(&self, steps: Vec<Step>) -> Vec<Step> {
        let lease = |step: &Step| self.leases.over(step.clearance.target()).map(std::ptr::from_ref);
        let first = steps.first().and_then(lease);
        steps.into_iter().filter(|step| lease(step) == first).collect()
    }

    /// Nothing more can begin before something comes back.
    fn is_full(&self, flying: &Flight) -> bool {
        self.parallel > 0 && flying.tasks.len() >= self.parallel
    }

    /// What became of the rollout, the time, and what people say by then.
    async fn look(&self, news: &mut News, look: Look) -> Result<(u64, Signs), StoreError> {
        if let Some(ask) = self.bounds.others {
            *news = News::default(); // what was told is not held while it changes
            *news = ask(look).await?;
        }
        let ms = (self.now_ms)();
        Ok((ms, (self.signs)(ms).await?))
    }

    /// The slots that are taken by what we and others have in flight.
    fn taken(&self, flying: &Flight, news: &News) -> Taken {
        let arrived = flying.arrived();
        let ours = flying.targets.iter().filter(|target| !arrived.contains(*target));
        let mut taken = Taken::new();
        for pool in ours.chain(&news.in_flight).flat_map(|target| (self.bounds.pools)(target)) {
            *taken.entry(pool.name).or_default() += 1;
        }
        taken
    }

    /// What a decision to start stands on, where others drive the same rollout.
    fn beside_others(&self, progress: &Progress, steps: &[Step], now: &Now<'_>, flying: &Flight, news: &News) -> After {
        let leeway = progress.leeway(steps, now, &flying.targets, self.shares_slots(steps));
        After::new(news.head.as_ref(), Bears::Starts(leeway))
    }

    /// Whoever starts anything elsewhere may take a slot that they need: beside others that is seldom borne.
    fn shares_slots(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| !(self.bounds.pools)(step.clearance.target()).is_empty())
    }

    /// What a decision to start stands on that is written with what arrived, where nobody else drives the rollout: an outcome that meets
    /// what people said meanwhile comes before whatever they said it about.
    fn behind_own(&self, flying: &Flight, signs: &Signs) -> Option<After> {
        (!flying.arrived.is_empty()).then(|| After::new(signs.head.as_ref(), Bears::Run(self.run.clone())))
    }

    /// Appends what arrived and the starts, with one stroke. False when others did something since that the starts do not bear: then
    /// they must be decided anew.
    async fn begin(
        &self,
        progress: &mut Progress,
        steps: &[Step],
        after: Option<After>,
        flying: &mut Flight,
    ) -> Result<bool, StoreError> {
        let landed = std::mem::take(&mut flying.arrived);
        let (ended, more) = self.told(landed, flying);
        let started: Vec<StepEvent> =
            steps.iter().map(|step| StepEvent::Started { target: step.clearance.target().clone() }).collect();
        let at_ms = (self.now_ms)();
        let append = |(events, lease), after| Append { events, run: self.run, at_ms, lease: Some(lease), after };
        let outcomes = self.leases.groups(self.events(progress, &ended, more)).into_iter().map(|group| append(group, None));
        let starts = self.leases.groups(self.events(progress, &started, Vec::new())).into_iter();
        let starts = starts.map(|group| append(group, after.clone())); // one
        let mut written = self.store.write_all(outcomes.chain(starts).collect()).await;
        let begun = written.pop().unwrap_or(Ok(Vec::new()));
        let arrived = written.into_iter().collect::<Result<Vec<_>, _>>().inspect_err(|error| say_lost(&ended, error))?.concat();
        self.fold(progress, &ended, at_ms);
        self.journalled(&arrived);
        self.watch_ends(&ended);
        let begun = begun?;
        if !begun.is_empty() {
            self.fold(progress, &started, at_ms);
        }
        self.journalled(&begun);
        Ok(!begun.is_empty())
    }

    /// Appends what arrived.
    pub(super) async fn record_arrived(&self, progress: &mut Progress, flying: &mut Flight) -> Result<(), StoreError> {
        let landed = std::mem::take(&mut flying.arrived);
        if landed.is_empty() {
            return Ok(());
        }
        let (ended, more) = self.told(landed, flying);
        self.append(progress, &ended, more).await.inspect_err(|error| say_lost(&ended, error))?;
        self.watch_ends(&ended);
        Ok(())
    }

    /// Appends the steps as one group and folds them in.
    async fn record(&self, progress: &mut Progress, steps: Vec<StepEvent>, news: &News) -> Result<(), StoreError> {
        if self.bounds.others.is_none() {
            self.append(progress, &steps, Vec::new()).await?;
            self.watch_ends(&steps);
            return Ok(());
        }
        // What another lease covers is decided anew, on this; and all of it when others wrote since.
        let Some((events, lease)) = self.leases.groups(self.events(progress, &steps, Vec::new())).into_iter().next() else {
            return Ok(());
        };
        let at_ms = (self.now_ms)();
        let sealed = self.store.append_after(news.head.as_ref(), events, self.run, at_ms, Some(lease)).await?;
        let step = |entry: &Entry| if let Event::Step { step, .. } = &entry.event { Some(step.clone()) } else { None };
        self.watch_ends(&sealed.iter().filter_map(step).collect::<Vec<_>>());
        Ok(())
    }

    async fn append(&self, progress: &mut Progress, steps: &[StepEvent], more: Vec<Event>) -> Result<(), StoreError> {
        let at_ms = self.write(self.events(progress, steps, more)).await?;
        self.fold(progress, steps, at_ms);
        Ok(())
    }

    /// Appends events, each group under the lease that covers it; returns the time that they have.
    pub(super) async fn write(&self, events: Vec<Event>) -> Result<u64, StoreError> {
        let at_ms = (self.now_ms)();
        let append = |(events, lease)| Append { events, run: self.run, at_ms, lease: Some(lease), after: None };
        let written = self.store.write_all(self.leases.groups(events).into_iter().map(append).collect()).await;
        let sealed = written.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        self.journalled(&sealed);
        Ok(at_ms)
    }

    fn events(&self, progress: &Progress, steps: &[StepEvent], more: Vec<Event>) -> Vec<Event> {
        let rollout = &progress.rollout().id;
        steps.iter().map(|step| Event::Step { rollout: rollout.clone(), step: step.clone() }).chain(more).collect()
    }

    /// Folds in what was appended; beside others it comes back as news, in the order of the journal.
    fn fold(&self, progress: &mut Progress, steps: &[StepEvent], at_ms: u64) {
        if self.bounds.others.is_none() {
            steps.iter().for_each(|step| progress.record(step, at_ms));
        }
    }

    fn journalled(&self, entries: &[Entry]) {
        tracing::debug!(entries = entries.len(), "journalled a group");
        (self.sealed)(entries);
    }

    pub(super) fn watch_ends(&self, steps: &[StepEvent]) {
        for step in steps {
            if let StepEvent::Finished { target, outcome } = step {
                (self.watch)(Moment::Finished(target, outcome));
            }
        }
    }

    /// A gate may take long, and nothing of it is lost when the next run asks it again. Its answer is of what it was asked about: where
    /// somebody said go on meanwhile, what is tried again comes first, and then it is asked again.
    async fn ask(&self, progress: &mut Progress, asked: (usize, usize, Gate), signs: &Signs) -> Result<(), StoreError> {
        let (wave, index, gate) = asked;
        let answer = tokio::select! {
            biased;
            answer = (self.ask)(gate.clone()) => answer,
            () = self.stop.wait() => return Ok(()),
        };
        let step = match &answer {
            Ok(()) => StepEvent::GatePassed { wave, gate: index },
            Err(why) => StepEvent::GateFailed { wave, gate: index, why: why.as_str().into() },
        };
        let steps = [step];
        let (events, at_ms) = (self.events(progress, &steps, Vec::new()), (self.now_ms)());
        let after = Some(After::new(signs.head.as_ref(), Bears::Answer(progress.rollout().id.clone())));
        let sealed = self.store.write(Append { events, run: self.run, at_ms, lease: Some(self.leases.newest()), after }).await?;
        if sealed.is_empty() {
            return self.read_on(signs).await;
        }
        let told = match &answer {
            Ok(()) => Ok(()),
            Err(why) => Err(why.as_str()),
        };
        (self.watch)(Moment::Gate(&gate, told));
        self.fold(progress, &steps, at_ms);
        self.journalled(&sealed);
        Ok(())
    }

    /// Reads what people said since; beside others that comes as news.
    async fn read_on(&self, signs: &Signs) -> Result<(), StoreError> {
        if self.bounds.others.is_none() {
            let fresh = self.store.since(signs.head.as_ref()).await?;
            (self.sealed)(&fresh);
        }
        Ok(())
    }
}
