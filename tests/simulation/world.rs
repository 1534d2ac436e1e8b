//! The world of one case: runs that come and go, a store that loses answers and comes late, an engine that fails, and people who
//! pause. Everything that decides is the shipped code; this only plays what surrounds it.

use super::case::{Case, Fault, Happening, Shards, Verb};
use super::check::Checker;
use super::dice::roll;
use futures::future::{AbortHandle, Abortable};
use futures::stream::{FuturesUnordered, StreamExt as _};
use isobar::change::{Digest, Preview};
use isobar::engine::Engines;
use isobar::journal::{self, Entry, Event, History, State};
use isobar::review::{Approval, Decision, User};
use isobar::rollout::{Gate, Paces, Part, Progress, Rollout, Shard, Slots, StepEvent, Takeover};
use isobar::runner::Halt;
use isobar::simulate::{Clock, MadeUp, Phase, Reality, Run, weighed};
use isobar::stack::{RegionId, TargetId};
use isobar::stop::Stop;
use isobar::store::{Append, Boxed, Held, Holder, Lease, MemoryStore, Reader, Store, StoreError, Stored, Written};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// When every story begins: 2026-01-05 12:00 UTC.
const BEGIN_MS: u64 = 1_767_614_400_000;
/// What a gate may take where it takes long: whatever people say, some of it is said meanwhile.
const GATE_SLOW_MS: u64 = 10 * super::case::MINUTE;
/// More entries than any sound story has.
const ENTRIES_MAX: usize = 3_000;
/// Runs that a calm world may need to bring everything: one a wave and bake, twice over.
const CALM_RUNS_MAX: usize = 40;

/// Something that goes on beside the story.
type Process = Pin<Box<dyn Future<Output = ()>>>;

/// What came of a story.
#[derive(Clone, Debug, Default)]
pub(crate) struct Played {
    /// The promises that were broken; empty is well.
    pub(crate) broken: Vec<String>,
    pub(crate) rollouts: usize,
    pub(crate) entries: usize,
    /// The journal in words, for a reader.
    pub(crate) told: Vec<String>,
}

/// What all runs of a story share.
struct Sim {
    case: Case,
    slots: Slots,
    clock: Clock,
    store: MemoryStore,
    reality: Reality,
    state: Mutex<Shared>,
}

struct Shared {
    checker: Checker,
    /// What each commit that arrived makes of each stack, newest last.
    versions: Vec<Vec<u64>>,
    runs: Vec<Life>,
    calm: bool,
    fails: BTreeMap<TargetId, u64>,
    blinds: BTreeMap<TargetId, u64>,
    gates: BTreeMap<String, u64>,
}

/// A run's process.
struct Life {
    id: Arc<str>,
    stop: Stop,
    abort: AbortHandle,
    gone: bool,
    /// One of several that bring the same.
    shard: Option<Shard>,
    steps: usize,
    writes: usize,
}

/// Plays the story of a case; `tell` keeps the journal in words.
pub(crate) fn play(case: Case, tell: bool) -> Played {
    let clock = Clock::at(BEGIN_MS);
    let slots = case.slots();
    let checker = Checker::new(case.ground.clone(), slots.clone());
    let shared = Shared {
        checker,
        versions: Vec::new(),
        runs: Vec::new(),
        calm: false,
        fails: BTreeMap::new(),
        blinds: BTreeMap::new(),
        gates: BTreeMap::new(),
    };
    let sim = Arc::new(Sim {
        case,
        slots,
        clock: clock.clone(),
        store: MemoryStore::default(),
        reality: Reality::default(),
        state: Mutex::new(shared),
    });
    let story = sim.clone();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| clock.play(story.play())));
    let mut shared = sim.lock();
    match ended {
        Ok(Some(())) => {}
        Ok(None) => shared.checker.break_("stuck: nothing is left that could happen, and somebody waits".into()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            shared.checker.break_(format!("panic: {said}"));
        }
    }
    let (entries, told) = sim.store.look(|entries| (entries.len(), if tell { told(entries) } else { Vec::new() }));
    Played { broken: shared.checker.broken.clone(), rollouts: shared.checker.rollouts(), entries, told }
}

impl Sim {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The happenings in their order, beside the runs that they start; then the calm.
    async fn play(self: Arc<Self>) {
        let mut running: FuturesUnordered<Process> = FuturesUnordered::new();
        for at in 0..self.case.happenings.len() {
            let (at_ms, happening) = self.case.happenings[at].clone();
            let mut due = std::pin::pin!(self.clock.sleep_until(BEGIN_MS + at_ms));
            loop {
                tokio::select! {
                    biased;
                    Some(()) = running.next() => {}
                    () = &mut due => break,
                }
            }
            if self.is_broken() {
                return;
            }
            if let Some(more) = self.clone().happen(happening).await {
                running.push(more);
            }
        }
        while running.next().await.is_some() {}
        self.clock.sleep_until(BEGIN_MS + self.case.calm_ms).await;
        self.calm().await;
    }

    fn is_broken(&self) -> bool {
        !self.lock().checker.broken.is_empty()
    }

    async fn happen(self: Arc<Self>, happening: Happening) -> Option<Process> {
        match happening {
            Happening::Merge { commit: _, stacks } => {
                let mut shared = self.lock();
                let mut next = shared.versions.last().cloned().unwrap_or_else(|| vec![0; self.case.ground.stacks]);
                let version = shared.versions.len() as u64 + 1;
                stacks.into_iter().for_each(|stack| next[stack] = version);
                shared.versions.push(next);
                None
            }
            Happening::Run { verb, late, shard } => {
                let head = self.lock().versions.len().checked_sub(1 + late)?; // nothing was merged by then
                Some(self.start(verb, head, shard))
            }
            Happening::Stop => {
                self.lock().runs.iter().filter(|life| !life.gone).for_each(|life| life.stop.ask(15));
                None
            }
            Happening::Pause { for_ms } => {
                self.say(vec![Event::Paused { by: user("ann"), reason: "lunch".into() }]).await;
                Some(Box::pin(async move {
                    self.clock.sleep(for_ms).await;
                    self.resume().await;
                }))
            }
            Happening::Hold { region, for_ms } => {
                let region: RegionId = self.case.ground.regions[region].parse().expect("a region of this fleet");
                let until_ms = Some(self.clock.now_ms() + for_ms);
                self.say(vec![Event::Held { region, until_ms, reason: "power works".into(), by: user("ann") }]).await;
                None
            }
            Happening::Resume => {
                self.resume().await;
                None
            }
        }
    }

    /// `isobar resume`.
    async fn resume(&self) {
        let (events, _) = self.history().resume(user("ann"), self.clock.now_ms());
        self.say(events).await;
    }

    /// Somebody writes without a lease.
    async fn say(&self, events: Vec<Event>) {
        let run = Arc::from("somebody");
        if let Ok(entries) = self.store.append(events, &run, self.clock.now_ms(), None).await {
            self.lock().checker.saw(&entries, &self.reality);
        }
    }

    fn history(&self) -> History {
        self.store.look(|entries| History::of(entries.iter().cloned()))
    }

    /// Nothing goes wrong any more: everything that was merged must arrive, within a bound.
    async fn calm(self: Arc<Self>) {
        self.lock().calm = true;
        let Some(head) = self.lock().versions.len().checked_sub(1) else { return };
        for region in &self.case.ground.regions {
            let region = region.parse().expect("a region of this fleet");
            self.say(vec![Event::Released { region, by: user("ann") }]).await;
        }
        for _ in 0..CALM_RUNS_MAX {
            self.resume().await;
            futures::future::join_all(self.calm_runs(head)).await;
            if self.is_broken() {
                return;
            }
            let history = self.history();
            if self.pending(&history, head).is_empty() && history.rollouts().next().is_none() {
                return self.arrived(&history, head);
            }
            self.clock.sleep(5 * super::case::MINUTE).await;
        }
        let history = self.history();
        let lost: Vec<String> = self.pending(&history, head).iter().map(ToString::to_string).collect();
        let open: Vec<&str> = history.rollouts().map(|progress| &*progress.rollout().id).collect();
        let what = format!("lost: a calm world does not bring {lost:?} to c{head}, and {open:?} never end");
        self.lock().checker.break_(what);
    }

    /// All that brings the head together when nothing goes wrong.
    fn calm_runs(self: &Arc<Self>, head: usize) -> Vec<Process> {
        match self.case.shards {
            None => vec![self.clone().start(Verb::Apply, head, None)],
            Some(Shards { calm, .. }) => {
                (1..=calm).map(|nth| self.clone().start(Verb::Apply, head, Shard::new(nth, calm))).collect()
            }
        }
    }

    fn arrived(&self, history: &History, head: usize) {
        let mut shared = self.lock();
        for target in self.case.targets.keys() {
            let (things, wanted) = (self.reality.things(target), shared.wanted(head, target));
            if things != [wanted; 2] {
                shared
                    .checker
                    .break_(format!("lost: {target} is told to be at c{head}, and is at {things:?} instead of {wanted}"));
            }
            if history.target(target).is_none_or(|record| record.state != State::Applied) {
                shared.checker.break_(format!("lost: nothing says that {target} was applied"));
            }
        }
    }

    /// Targets that are not what the commit says, as far as the journal knows.
    fn pending(&self, history: &History, head: usize) -> Vec<TargetId> {
        let shared = self.lock();
        let behind = |target: &&TargetId| match history.target(target) {
            None => true,
            Some(record) => match (&record.state, &record.commit) {
                (State::Applied, Some(commit)) => shared.wanted(number(commit), target) != shared.wanted(head, target),
                (State::Applied, None) => true,
                (State::Never | State::Failed { .. } | State::Unknown { .. } | State::Removed, _) => true,
            },
        };
        self.case.targets.keys().filter(behind).cloned().collect()
    }

    /// Starts a run of the loop in a process of its own.
    fn start(self: Arc<Self>, verb: Verb, head: usize, shard: Option<Shard>) -> Process {
        let (abort, registration) = AbortHandle::new_pair();
        let stop = Stop::default();
        let mut shared = self.lock();
        let nth = shared.runs.len();
        let id: Arc<str> = format!("run-{nth}").into();
        shared.runs.push(Life { id: id.clone(), stop: stop.clone(), abort, gone: false, shard, steps: 0, writes: 0 });
        shared.checker.begins(&id, shard.is_some());
        drop(shared);
        let sim = self.clone();
        let process = async move {
            sim.process(nth, id, stop, verb, head).await;
        };
        Box::pin(async move {
            let _killed = Abortable::new(process, registration).await;
            self.end(nth);
        })
    }

    async fn process(self: &Arc<Self>, nth: usize, id: Arc<str>, stop: Stop, verb: Verb, head: usize) {
        let wire = Wire { sim: self.clone(), nth, met: Arc::default() };
        let fated = wire.clone();
        let fate = move |target: &TargetId, phase: Phase| -> Boxed<'static, Result<(), Arc<str>>> {
            let (wire, target) = (fated.clone(), target.clone());
            Box::pin(async move { wire.fate(&target, phase).await })
        };
        let engines = Engines::new(vec![Arc::new(MadeUp::new(self.reality.clone(), Box::new(fate)))]);
        let job = |commit: &str, target: &TargetId| {
            let version = self.lock().wanted(number(commit), target);
            MadeUp::job(&self.case.ground.targets[target], version)
        };
        let run = Run {
            clock: &self.clock,
            store: &wire,
            engines: &engines,
            stop: &stop,
            id,
            verb: if verb == Verb::Apply { journal::Verb::Apply } else { journal::Verb::Tick },
            head: commit(head),
            parallel: self.case.parallel,
            sharing: self.case.sharing(self.lock().runs[nth].shard),
            slots: &self.slots,
            targets: &self.case.targets,
            job: &job,
            admits: &|history| self.admits(history, head),
            pending: &|history| self.pending(history, head),
            comes_after: &|late, early| self.case.ground.settings.comes_after(late, early),
            plan: &|id, targets, takeover| self.plan(id, head, &targets, takeover),
            policy: self.case.with_policy.then_some(&self.case.ground.policy),
            approvals: &|previews| approvals(previews),
            ask: &|gate| self.clone().gate(nth, gate),
            watch: &|_| (),
            left: &|progress, halt, history| self.left(nth, progress, halt, history),
        };
        let _told_by_exit_code = run.run().await;
    }

    /// Newer code never goes below older.
    fn admits(&self, history: &History, head: usize) -> bool {
        let open = history.rollouts().map(|progress| &progress.rollout().commit);
        let applied = history.targets().filter_map(|(_, record)| record.commit.as_ref());
        let begun = history.targets().filter_map(|(target, _)| history.begun_at(target));
        open.chain(applied).chain(begun).all(|commit| number(commit) <= head)
    }

    fn plan(&self, id: Arc<str>, head: usize, targets: &[TargetId], takeover: Takeover) -> Rollout {
        let ground = &self.case.ground;
        let targets: Vec<_> = targets.iter().map(|target| &*ground.targets[target]).collect();
        let asked: BTreeSet<TargetId> = targets.iter().map(|target| target.id.clone()).collect();
        let part = Part { settings: ground.settings.clone(), targets: Vec::new() };
        let paces = Paces::taking_over(vec![part], takeover);
        let rollout = Rollout::plan(id, commit(head), &paces, weighed(&targets), &ground.graph, None);
        let rollout = rollout.unwrap_or_else(|why| panic!("dependencies stay in their region: {why}"));
        self.lock().checker.planned(&rollout, &asked);
        rollout
    }

    /// What a drive left must be what its journal says to somebody who was not there.
    fn left(&self, nth: usize, progress: &Progress, halt: &Halt, history: &History) {
        let now_ms = self.clock.now_ms();
        let mut shared = self.lock();
        let run = shared.runs[nth].id.clone();
        // A shard may not have read yet what others wrote since.
        let read = shared.runs[nth].shard.and_then(|_| history.head()).map_or(u64::MAX, |(seq, _)| seq);
        let replayed = self.store.look(|entries| History::of(entries.iter().filter(|entry| entry.seq <= read).cloned()));
        shared.checker.same_progress(&run, progress, halt, &replayed, now_ms);
        if !history.misses_entries() {
            // What others wrote after its own last entry, a run alone does not know either.
            let read = history.head().map_or(0, |(seq, _)| seq);
            let replayed = self.store.look(|entries| History::of(entries.iter().filter(|entry| entry.seq <= read).cloned()));
            shared.checker.same_history(history, &replayed);
        }
    }

    fn gate(self: Arc<Self>, nth: usize, gate: Gate) -> Boxed<'static, Result<(), String>> {
        Box::pin(async move {
            {
                let mut shared = self.lock();
                let run = shared.runs[nth].id.clone();
                shared.checker.asks(&run);
            }
            let is_slow = roll(self.case.seed, &[9], 8) == 0;
            self.clock.sleep(roll(self.case.seed, &[7], if is_slow { GATE_SLOW_MS } else { 2_000 })).await;
            let Gate::Command { argv, .. } = &gate else { return Ok(()) };
            let environment: String = argv[1].to_string();
            let mut shared = self.lock();
            let no = |fault: &Fault| match fault {
                Fault::Gate { environment: of, times } if format!("e{of}") == environment => Some(*times),
                _ => None,
            };
            let times = self.case.faults.iter().filter_map(no).max().unwrap_or(0);
            let calm = shared.calm;
            let asked = shared.gates.entry(environment).or_default();
            *asked += 1;
            if *asked <= times && !calm { Err("503".into()) } else { Ok(()) }
        })
    }

    /// The process is over, one way or another: its locks are free, as the system sees to it.
    fn end(&self, nth: usize) {
        let mut shared = self.lock();
        shared.runs[nth].gone = true;
        let id = shared.runs[nth].id.clone();
        shared.checker.ended(&id);
        self.store.end(&id);
    }
}

impl Shared {
    /// What a commit makes of a target.
    fn wanted(&self, commit: usize, target: &TargetId) -> u64 {
        let stack: usize = target.stack.as_str()[1..].parse().expect("stacks are s0, s1, …");
        self.versions.get(commit).map_or(0, |versions| versions[stack])
    }
}

/// What one process has of the world: every step of it may be its last.
#[derive(Clone)]
struct Wire {
    sim: Arc<Sim>,
    nth: usize,
    /// The newest entry that it read or wrote.
    met: Arc<AtomicU64>,
}

impl Wire {
    fn has_met(&self, seq: u64) {
        self.met.fetch_max(seq, Ordering::Relaxed);
    }

    /// A step of the process; it never returns from one that is its last.
    async fn step(&self) {
        let last = {
            let mut shared = self.sim.lock();
            let (calm, life) = (shared.calm, &mut shared.runs[self.nth]);
            let step = life.steps;
            life.steps += 1;
            let killed = |fault: &Fault| matches!(fault, Fault::Kill { run, step: at } if (*run, *at) == (self.nth, step));
            life.gone || !calm && self.sim.case.faults.iter().any(killed)
        };
        if last {
            self.die().await;
        }
    }

    async fn die(&self) -> Infallible {
        self.sim.end(self.nth);
        self.sim.lock().runs[self.nth].abort.abort();
        std::future::pending().await
    }

    async fn take(&self, names: &[u64], ms: u64) {
        let ms = roll(self.sim.case.seed, names, ms);
        self.sim.clock.sleep(ms).await;
    }

    /// What one shard asks of the store is a little old when it hears it, so that others may be first.
    async fn takes_a_moment(&self, name: u64) {
        let is_shard = self.sim.lock().runs[self.nth].shard.is_some();
        if is_shard {
            self.take(&[name, self.nth as u64, self.sim.clock.now_ms()], 20).await;
        }
    }

    async fn fate(&self, target: &TargetId, phase: Phase) -> Result<(), Arc<str>> {
        let case = &self.sim.case;
        let at = case.ground.targets.keys().position(|known| known == target).unwrap_or_default();
        let slow = |fault: &Fault| match fault {
            Fault::Slow { region, times } if case.ground.regions[*region] == *target.region.as_str() => Some(*times),
            _ => None,
        };
        let times = if self.sim.lock().calm { 1 } else { case.faults.iter().filter_map(slow).max().unwrap_or(1) };
        let pace = match phase {
            Phase::Looks => 200,
            Phase::Begins | Phase::Halfway | Phase::Made => 4_000 * times,
        };
        self.step().await;
        if phase == Phase::Begins {
            let run = self.sim.lock().runs[self.nth].id.clone();
            self.sim.lock().checker.engine_begins(&run, target);
        }
        self.take(&[2, at as u64, phase as u64, self.nth as u64], pace).await;
        self.step().await;
        let mut shared = self.sim.lock();
        let calm = shared.calm;
        let after = match phase {
            Phase::Looks => {
                let blind = |fault: &Fault| match fault {
                    Fault::Blind { target, times } if *target == at => Some(*times),
                    _ => None,
                };
                let times = case.faults.iter().filter_map(blind).max().unwrap_or(0);
                let tries = shared.blinds.entry(target.clone()).or_default();
                *tries += u64::from(!calm);
                return if *tries <= times && !calm { Err("the region does not answer".into()) } else { Ok(()) };
            }
            Phase::Begins => 0,
            Phase::Halfway => 1,
            Phase::Made => 2,
        };
        let failing = |fault: &Fault| match fault {
            Fault::Fail { target, times, after: when } if (*target, *when) == (at, after) => Some(*times),
            _ => None,
        };
        let times = case.faults.iter().filter_map(failing).max().unwrap_or(0);
        let tries = shared.fails.entry(target.clone()).or_default();
        let fails = *tries < times && !calm;
        *tries += u64::from(fails);
        if phase == Phase::Made || fails {
            let run = shared.runs[self.nth].id.clone();
            shared.checker.engine_ends(&run, target);
        }
        shared.checker.touched(target, self.sim.reality.things(target));
        if fails { Err("no quota".into()) } else { Ok(()) }
    }

    /// What becomes of the next write: is it refused, is its answer lost, or does it come too late.
    fn next_write(&self) -> (bool, bool, Option<u64>) {
        let mut shared = self.sim.lock();
        let (calm, life) = (shared.calm, &mut shared.runs[self.nth]);
        let now = (self.nth, life.writes);
        life.writes += 1;
        let (mut refused, mut lost, mut late) = (false, false, None);
        for fault in self.sim.case.faults.iter().filter(|_| !calm) {
            match fault {
                Fault::Refused { run, write } if (*run, *write) == now => refused = true,
                Fault::Lost { run, write } if (*run, *write) == now => lost = true,
                Fault::Late { run, write, ms } if (*run, *write) == now => late = Some(*ms),
                Fault::Kill { .. } | Fault::Lost { .. } | Fault::Refused { .. } | Fault::Late { .. } | Fault::Fail { .. } => {}
                Fault::Blind { .. } | Fault::Slow { .. } | Fault::Gate { .. } => {}
            }
        }
        (refused, lost, late)
    }

    fn may_write(&self, run: &Arc<str>, events: &[Event]) -> bool {
        let mut shared = self.sim.lock();
        if shared.runs[self.nth].stop.is_asked() && events.iter().any(is_start) {
            shared.checker.break_(format!("{run} starts a target after it was told to stop"));
        }
        let grows = self.sim.store.look(<[Entry]>::len) > ENTRIES_MAX;
        if grows {
            shared.checker.break_("the journal grows without an end".into());
        }
        !grows
    }

    /// Who holds nothing is refused only where others wrote since.
    fn came_late(&self, run: &Arc<str>, is_fenced: bool, entries: &[Entry]) {
        let mut shared = self.sim.lock();
        if is_fenced && !entries.is_empty() {
            shared.checker.break_(format!("{run} was taken for dead, and its late write is taken all the same"));
        }
        shared.checker.saw(entries, &self.sim.reality);
    }

    /// Groups of one stroke: what befalls one befalls all.
    async fn write_through(&self, appends: Vec<Append<'_>>) -> Vec<Written> {
        let Some(Append { run, at_ms, .. }) = appends.first() else { return Vec::new() };
        let (run, at_ms, groups) = (*run, *at_ms, appends.len());
        let events: Vec<Event> = appends.iter().flat_map(|append| append.events.iter().cloned()).collect();
        if !self.may_write(run, &events) {
            self.die().await;
        }
        let (refused, lost, late) = self.next_write();
        let broken = |what: &str| vec![Err(StoreError::Io { what: what.into(), hint: None }); groups];
        self.step().await;
        self.take(&[3, self.nth as u64, at_ms], 50).await;
        if let Some(ms) = late {
            self.sim.end(self.nth); // somebody takes it for dead; its engines are gone
            self.sim.clock.sleep(ms).await;
            let is_fenced = appends.iter().any(|append| append.lease.is_some_and(|lease| lease.targets().next().is_some()));
            let written = self.sim.store.write_all(appends).await;
            let entries: Vec<Entry> = written.into_iter().flatten().flatten().collect();
            self.came_late(run, is_fenced, &entries);
            match self.die().await {}
        }
        if refused {
            return broken("the store is not there");
        }
        let written = self.sim.store.write_all(appends).await;
        let entries: Vec<Entry> = written.iter().flatten().flatten().cloned().collect();
        self.sim.lock().checker.saw(&entries, &self.sim.reality);
        self.step().await;
        self.take(&[4, self.nth as u64, at_ms], 50).await;
        entries.iter().for_each(|entry| self.has_met(entry.seq));
        if lost { broken("the store's answer was lost") } else { written }
    }
}

impl Store for Wire {
    fn place(&self) -> String {
        "wire".into()
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        self.sim.store.read()
    }

    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(async {
            self.step().await;
            let history = self.sim.store.history().await?;
            self.has_met(history.head().map_or(0, |(seq, _)| seq));
            Ok(history)
        })
    }

    fn write<'a>(&'a self, append: Append<'a>) -> Boxed<'a, Written> {
        Box::pin(async { self.write_through(vec![append]).await.pop().unwrap_or(Ok(Vec::new())) })
    }

    fn write_all<'a>(&'a self, appends: Vec<Append<'a>>) -> Boxed<'a, Vec<Written>> {
        Box::pin(self.write_through(appends))
    }

    fn since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            self.step().await;
            let fresh = self.sim.store.since(head).await;
            fresh.iter().flatten().for_each(|entry| self.has_met(entry.seq));
            self.takes_a_moment(8).await;
            fresh
        })
    }

    /// Nobody is asked for it, so it takes no time, and is no older than the last that this process read or wrote.
    fn met_since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let met = self.met.load(Ordering::Relaxed);
        Box::pin(async move {
            let fresh = self.sim.store.since(head).await?;
            Ok(fresh.into_iter().filter(|entry| entry.seq <= met).collect())
        })
    }

    fn acquire<'a>(&'a self, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            self.step().await;
            let run = holder.run.clone();
            let lease = self.sim.store.acquire(targets, holder).await?;
            self.sim.lock().checker.acquired(&run, targets);
            self.takes_a_moment(5).await;
            Ok(lease)
        })
    }

    fn release<'a>(&'a self, lease: Lease) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.takes_a_moment(6).await;
            self.sim.lock().checker.released(lease.run(), lease.targets());
            self.sim.store.release(lease).await
        })
    }

    fn holders<'a>(&'a self) -> Boxed<'a, Result<Vec<Held>, StoreError>> {
        Box::pin(async {
            let held = self.sim.store.holders().await;
            self.takes_a_moment(7).await;
            held
        })
    }

    fn free<'a>(
        &'a self,
        of: &'a str,
        event: Event,
        run: &'a Arc<str>,
        at_ms: u64,
    ) -> Boxed<'a, Result<Vec<TargetId>, StoreError>> {
        self.sim.store.free(of, event, run, at_ms)
    }

    fn may_append<'a>(&'a self) -> Boxed<'a, Result<(), StoreError>> {
        self.sim.store.may_append()
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        self.sim.store.save(stored)
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        self.sim.store.saved_as(read)
    }
}

fn is_start(event: &Event) -> bool {
    matches!(event, Event::Step { step: StepEvent::Started { .. }, .. })
}

fn user(name: &str) -> User {
    User(name.into())
}

/// People approve whole changes, never what a run left half-way: that must be covered by what they approved.
fn approvals(previews: &[Arc<Preview>]) -> Vec<Approval> {
    let whole = previews.iter().filter(|preview| preview.changes.len() == 2);
    let digests: Vec<Arc<str>> = whole.map(|preview| preview.digest().as_str().into()).collect();
    vec![Approval { by: user("bob"), decision: Decision::Approve, digests, at_ms: 0 }]
}

fn commit(number: usize) -> Arc<str> {
    format!("c{number}").into()
}

/// The number of a commit.
pub(crate) fn number(commit: &str) -> usize {
    commit[1..].parse().expect("commits are c0, c1, …")
}

fn told(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| {
        let secs = (entry.at_ms - BEGIN_MS) / 1_000;
        let what = match &entry.event {
            Event::Step { rollout, step } => format!("{rollout}: {step:?}"),
            Event::Planned { rollout } => {
                let wave = |wave: &isobar::rollout::Wave| {
                    let targets: Vec<String> = wave.targets.iter().map(|planned| planned.target.to_string()).collect();
                    format!("{} after {:?}: {}", wave.name, wave.after, targets.join(" "))
                };
                format!("{} is planned: {}", rollout.id, rollout.waves.iter().map(wave).collect::<Vec<_>>().join("; "))
            }
            Event::Cleared { target, commit, .. } => format!("{target} is cleared for {commit}"),
            Event::Applied { target, commit, changes, .. } => format!("{target} is at {commit}, by {} changes", changes.len()),
            other => format!("{other:?}"),
        };
        format!("{secs:>5} s  {:<8} {what}", entry.run)
    };
    entries.iter().map(line).collect()
}
