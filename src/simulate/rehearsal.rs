//! A rollout played before it happens: on the fleet's own settings, with engines that take as long as is assumed, and with what
//! is told to go wrong. Runs come as a schedule would start them; nobody is asked, nothing is touched.

use super::run::{Run, weighed};
use super::{Clock, MadeUp, Phase, Reality};
use crate::change::Digest;
use crate::engine::Engines;
use crate::journal::{self, Entry, Event, History};
use crate::review::User;
use crate::rollout::{Ending, PlanError, Progress, Rollout, Settings, Slots};
use crate::stack::{Graph, RegionId, Target, TargetId};
use crate::stop::Stop;
use crate::store::{Boxed, MemoryStore, Store as _};
use futures::future::{AbortHandle, Abortable, Aborted};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Runs after the first; those that would find only a bake are left out, so that a rollout needs about one for each wave.
pub const RUNS_MAX: usize = 10_000;
/// The commit that is brought.
const COMMIT: &str = "head";
/// What is there afterwards.
const VERSION: u64 = 1;

/// Says of a target and the number of its wave whether it fails.
pub type Fails = dyn Fn(&TargetId, usize) -> bool + Send + Sync;

/// What people do to it.
enum Act {
    Kill,
    Pause,
    Resume,
}

/// What is played. Times are milliseconds since it begins.
pub struct Rehearsal<'a> {
    pub targets: Vec<Target>,
    pub settings: &'a Settings,
    pub graph: &'a Graph,
    pub apply_ms: Box<dyn Fn(&TargetId) -> u64 + Send + Sync>,
    /// Does it fail, in the wave of this number, from 1. Once: what was mended succeeds.
    pub fails: Box<Fails>,
    pub held: Vec<RegionId>,
    /// When the run that is at work is killed.
    pub kill_at_ms: Option<u64>,
    pub pause_at_ms: Option<u64>,
    /// When somebody says resume, and applies again.
    pub resume_at_ms: Option<u64>,
    pub tick_ms: u64,
}

/// What was played.
pub struct Rehearsed {
    pub rollout: Rollout,
    /// The journal, from time 0.
    pub entries: Vec<Entry>,
    /// When a run was killed.
    pub killed_at_ms: Option<u64>,
    pub ended_ms: u64,
    pub history: History,
    /// It had not come to its end after [`RUNS_MAX`] runs.
    pub is_cut: bool,
}

/// What the runs of a rehearsal share.
struct Stage<'a> {
    rehearsal: Rehearsal<'a>,
    rollout: Rollout,
    targets: BTreeMap<TargetId, Arc<Target>>,
    clock: Clock,
    store: MemoryStore,
    engines: Engines,
    now: Mutex<At>,
}

/// The run at work, and what was done to it.
#[derive(Default)]
struct At {
    runs: usize,
    work: Option<AbortHandle>,
    killed_at_ms: Option<u64>,
}

impl Rehearsal<'_> {
    /// The rollout that is played.
    pub fn plan(&self) -> Result<Rollout, PlanError> {
        let targets: Vec<&Target> = self.targets.iter().collect();
        Rollout::plan("rehearsal".into(), COMMIT.into(), &self.settings.clone().into(), weighed(&targets), self.graph, None)
    }

    /// Plays it to where it goes no further by itself.
    pub fn play(self) -> Result<Rehearsed, PlanError> {
        let rollout = self.plan()?;
        let mut is_cut = false;
        let clock = Clock::at(0);
        let stage = Stage {
            targets: self.targets.iter().map(|target| (target.id.clone(), MadeUp::target(target))).collect(),
            engines: self.engines(&rollout, &clock),
            store: MemoryStore::default(),
            now: Mutex::default(),
            rehearsal: self,
            rollout,
            clock: clock.clone(),
        };
        // What waits for ever, such as for a resume that nobody gives, ends the play.
        clock.play(async {
            tokio::select! {
                biased;
                came_to_its_end = stage.runs() => is_cut = !came_to_its_end,
                () = stage.people() => {}
            }
        });
        let entries = stage.store.look(<[Entry]>::to_vec);
        let killed_at_ms = stage.now().killed_at_ms;
        Ok(Rehearsed {
            history: History::of(entries.iter().cloned()),
            entries,
            killed_at_ms,
            ended_ms: clock.now_ms(),
            rollout: stage.rollout,
            is_cut,
        })
    }

    fn engines(&self, rollout: &Rollout, clock: &Clock) -> Engines {
        let waves = rollout.waves.iter().enumerate();
        let wave_of: BTreeMap<TargetId, usize> =
            waves.flat_map(|(at, wave)| wave.targets.iter().map(move |planned| (planned.target.clone(), at + 1))).collect();
        let plans: BTreeMap<TargetId, (u64, bool)> = wave_of
            .into_iter()
            .map(|(target, wave)| {
                let plan = ((self.apply_ms)(&target), (self.fails)(&target, wave));
                (target, plan)
            })
            .collect();
        let (clock, plans, mended_at_ms) = (clock.clone(), Arc::new(Mutex::new(plans)), self.resume_at_ms);
        let fate = move |target: &TargetId, phase: Phase| -> Boxed<'static, Result<(), Arc<str>>> {
            let (clock, plans, target) = (clock.clone(), plans.clone(), target.clone());
            Box::pin(async move {
                let lock = || plans.lock().unwrap_or_else(PoisonError::into_inner);
                let (ms, fails) = lock().get(&target).copied().unwrap_or_default();
                match phase {
                    Phase::Looks | Phase::Made => Ok(()),
                    Phase::Begins => {
                        if mended_at_ms.is_some_and(|at_ms| clock.now_ms() >= at_ms) {
                            lock().insert(target, (ms, false));
                        }
                        clock.sleep(ms / 2).await;
                        Ok(())
                    }
                    Phase::Halfway => {
                        clock.sleep(ms - ms / 2).await;
                        lock().insert(target, (ms, false));
                        if fails { Err("it was told to fail".into()) } else { Ok(()) }
                    }
                }
            })
        };
        Engines::new(vec![Arc::new(MadeUp::new(Reality::default(), Box::new(fate)))])
    }
}

impl Stage<'_> {
    /// An apply, a tick whenever the schedule comes round, and an apply of whoever said resume, once nobody else is at work. Returns
    /// whether it came to its end.
    async fn runs(&self) -> bool {
        for region in self.rehearsal.held.clone() {
            self.say(vec![Event::Held { region, until_ms: None, reason: "as asked".into(), by: somebody() }]).await;
        }
        self.run(journal::Verb::Apply).await;
        let mut resume_at_ms = self.rehearsal.resume_at_ms;
        for _ in 0..RUNS_MAX {
            let (is_over, apply_at_ms) = (self.is_over(), resume_at_ms.map(|at_ms| at_ms + 1)); // right after it was said
            let wake_ms = match apply_at_ms {
                None if is_over => return true,
                Some(_) if is_over && !self.has_left() => return true, // nobody has anything to mend
                None if self.is_blocked() => std::future::pending().await, // nothing goes on before somebody says so
                Some(at_ms) if is_over || self.is_blocked() => at_ms,
                Some(at_ms) => at_ms.min(self.next_tick_ms()),
                None => self.next_tick_ms(),
            };
            self.clock.sleep_until(wake_ms).await;
            match apply_at_ms.filter(|at_ms| *at_ms <= self.clock.now_ms()) {
                Some(_) => {
                    resume_at_ms = None;
                    self.run(journal::Verb::Apply).await;
                }
                None => self.run(journal::Verb::Tick).await,
            }
        }
        self.is_over()
    }

    /// The next tick; while all that is open bakes, the first that finds something to do.
    fn next_tick_ms(&self) -> u64 {
        let (now_ms, tick_ms) = (self.clock.now_ms(), self.rehearsal.tick_ms.max(1_000));
        let baked_at: Option<Vec<u64>> = self.history().rollouts().map(|progress| progress.next_tick_ms(now_ms)).collect();
        let baked_at = baked_at.and_then(|baked_at| baked_at.into_iter().min()).unwrap_or(0);
        baked_at.max(now_ms + 1).div_ceil(tick_ms) * tick_ms
    }

    /// What people do to it, each at its time.
    async fn people(&self) {
        let Rehearsal { kill_at_ms, pause_at_ms, resume_at_ms, .. } = &self.rehearsal;
        let acts = [(kill_at_ms, Act::Kill), (pause_at_ms, Act::Pause), (resume_at_ms, Act::Resume)];
        let mut acts: Vec<(u64, Act)> = acts.into_iter().filter_map(|(at_ms, act)| Some((*at_ms.as_ref()?, act))).collect();
        acts.sort_by_key(|(at_ms, _)| *at_ms); // of one time, in the order above
        for (at_ms, act) in acts {
            self.clock.sleep_until(at_ms).await;
            match act {
                Act::Kill => self.kill(),
                Act::Pause => self.say(vec![Event::Paused { by: somebody(), reason: "as asked".into() }]).await,
                Act::Resume => self.resume().await,
            }
        }
        std::future::pending().await
    }

    fn kill(&self) {
        let mut now = self.now();
        if let Some(work) = now.work.take() {
            work.abort();
            now.killed_at_ms = Some(self.clock.now_ms());
        }
    }

    async fn resume(&self) {
        let (events, _) = self.history().resume(somebody(), self.clock.now_ms());
        self.say(events).await;
    }

    async fn say(&self, events: Vec<Event>) {
        let said = self.store.append(events, &"somebody".into(), self.clock.now_ms(), None).await;
        said.expect("memory takes what concerns no single target from anybody");
    }

    async fn run(&self, verb: journal::Verb) {
        let (abort, registration) = AbortHandle::new_pair();
        let id: Arc<str> = {
            let mut now = self.now();
            now.runs += 1;
            now.work = Some(abort);
            format!("run-{}", now.runs).into()
        };
        let stop = Stop::default();
        let run = Run {
            clock: &self.clock,
            store: &self.store,
            engines: &self.engines,
            stop: &stop,
            id: id.clone(),
            verb,
            head: COMMIT.into(),
            parallel: 0,
            sharing: None,
            slots: &Slots::default(),
            targets: &self.targets,
            job: &|_, target| MadeUp::job(&self.targets[target], VERSION),
            admits: &|_| true,
            pending: &|history| self.pending(history),
            comes_after: &|_, _| false,
            plan: &|id, targets, _| self.planned(id, &targets),
            policy: None,
            approvals: &|_| Vec::new(),
            ask: &|_| Box::pin(async { Ok(()) }),
            watch: &|_| (),
            left: &|_, _, _| (),
        };
        let ran = Abortable::new(run.run(), registration).await;
        self.now().work = None;
        self.store.end(&id);
        match ran {
            Ok(Ok(_)) | Err(Aborted) => {}
            Ok(Err(error)) => unreachable!("memory refuses nobody who holds a lease: {error}"),
        }
    }

    /// The rollout that is played; later ones are of what it left.
    fn planned(&self, id: Arc<str>, targets: &[TargetId]) -> Rollout {
        if self.history().rollouts_begun() == 0 {
            return self.rollout.clone();
        }
        let Rehearsal { targets: all, settings, graph, .. } = &self.rehearsal;
        let left: Vec<&Target> = all.iter().filter(|target| targets.contains(&target.id)).collect();
        let plan = Rollout::plan(id, COMMIT.into(), &(*settings).clone().into(), weighed(&left), graph, None);
        plan.expect("a part of what could be planned as a whole can be planned")
    }

    /// What is not brought yet.
    fn pending(&self, history: &History) -> Vec<TargetId> {
        self.targets.keys().filter(|id| history.commit_of(id).is_none_or(|commit| **commit != *COMMIT)).cloned().collect()
    }

    /// Something is not brought that no hold keeps back.
    fn has_left(&self) -> bool {
        self.pending(&self.history()).iter().any(|id| !self.rehearsal.held.contains(&id.region))
    }

    fn history(&self) -> History {
        self.store.look(|entries| History::of(entries.iter().cloned()))
    }

    fn is_over(&self) -> bool {
        self.history().rollouts().next().is_none()
    }

    fn is_blocked(&self) -> bool {
        let history = self.history();
        let stopped = |progress: &Progress| matches!(progress.ending(), Some(Ending::Stopped(_)));
        history.paused().is_some() || history.rollouts().all(stopped)
    }

    fn now(&self) -> MutexGuard<'_, At> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn somebody() -> User {
    User("somebody".into())
}

/// Says whether `target` is among so many of 10,000, the same for the same seed on every machine.
pub fn is_chosen(seed: u64, target: &TargetId, of_ten_thousand: u64) -> bool {
    let digest = Digest::of("chosen", &[&seed.to_string(), &target.to_string()]);
    u64::from_str_radix(&digest.as_str()[..12], 16).is_ok_and(|number| number % 10_000 < of_ten_thousand)
}
