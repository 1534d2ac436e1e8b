//! Bringing targets to what the repository says: the loop that apply, tick, drift --fix and recover share. Each wave is
//! previewed and judged again under the lease; what is cleared is applied, what is not waits and says so.

use super::court::{Asked, Court, Review};
use super::pending::{Pending, Work, known_outputs, since_applied};
use super::scene::{Scene, Scenes};
use crate::change::{Intent, Preview, Unseen, UnseenReason};
use crate::diagnosis;
use crate::exit::Failure;
use crate::journal::{Entry, Event, History, State, Verb};
use crate::policy::{Answer, Clearance, Policy, Verdict};
use crate::review::{CommitSha, User};
use crate::rollout::{Ending, Outcome, Progress, Rollout, StepEvent, WaveState};
use crate::runner::{self, Drive, Halt, MakeJob, Moment, PREVIEWS_AT_ONCE, Ready};
use crate::stack::{Known, Selector, TargetId};
use crate::store::{Holder, Lease};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::{Arc, Mutex};

/// Commits that are tried for a target that waits at the head, newest first.
const OLDER_COMMITS_MAX: usize = 50;

/// What to bring where.
pub(crate) struct Order<'a> {
    pub(crate) verb: Verb,
    pub(crate) head: CommitSha,
    pub(crate) selector: &'a Selector,
    pub(crate) reviews: &'a [Review],
    /// Begin a new rollout; `tick` and `recover` only go on with what is open.
    pub(crate) begin: bool,
    /// Only these targets, whatever touches them: those that drifted.
    pub(crate) only: Option<BTreeSet<TargetId>>,
    pub(crate) parallel: usize,
}

/// How each target came out, and what is left.
#[derive(Default)]
pub(crate) struct Converged {
    pub(crate) ends: BTreeMap<TargetId, End>,
    pub(crate) rollouts: Vec<Progress>,
    pub(crate) untouched: Vec<TargetId>,
    /// Every selected target, in the order of the fleet, destroyed ones last.
    pub(crate) selected: Vec<TargetId>,
    pub(crate) notes: Vec<String>,
    pub(crate) next: Vec<String>,
    /// When the next tick can go on, and why it waits.
    pub(crate) wait: Option<(u64, String)>,
    pub(crate) interrupted: bool,
    pub(crate) history: History,
    pub(crate) head_scene: Option<Arc<Scene>>,
}

/// One target's end.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) outcome: EndState,
    pub(crate) preview: Option<Arc<Preview>>,
    pub(crate) verdict: Option<Verdict>,
}

/// What became of a target in this run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum EndState {
    Applied,
    Unchanged,
    Failed(Arc<str>),
    /// Somebody must approve, or policy says no: `true` for a denial.
    NotCleared(Arc<str>, bool),
    Skipped(Arc<str>),
    Unknown(Arc<str>),
    /// A wave that was not reached.
    NotStarted(Arc<str>),
}

/// One run of the loop.
pub(crate) struct Converge<'a> {
    world: &'a World,
    scenes: &'a Scenes<'a>,
    order: Order<'a>,
    lease: Lease,
    history: Mutex<History>,
    court: Court<'a>,
    /// The commit of the rollout that is driven now.
    bringing: CommitSha,
    /// Every change of the rollout as it looked when it was planned, where a rule counts them.
    whole: Vec<Arc<Preview>>,
    done: Converged,
}

/// Runs the loop to where nothing more can begin.
pub(crate) async fn converge<'a>(world: &'a World, scenes: &'a Scenes<'a>, order: Order<'a>) -> Result<Converged, Failure> {
    let head_scene = scenes.at(&order.head)?;
    head_scene.check_targets(world)?;
    let before = world.store.history().await?;
    never_older(world, &before, &order.head)?;

    let wanted = lease_on(&before, &head_scene, order.selector);
    let holder =
        Holder { run: world.run.clone(), host: host_name(world), pid: std::process::id(), since_ms: world.clock.now_ms() };
    let lease = world.store.acquire(&wanted, holder).await?;
    let history = world.store.history().await?; // again: nobody else writes about these targets now

    let mut court = Court::open(world, scenes, Some(order.head.clone()), None).await?;
    court.take(order.reviews, None).await?;
    let mut run = Converge {
        world,
        scenes,
        bringing: order.head.clone(),
        order,
        lease,
        history: Mutex::new(history),
        court,
        whole: Vec::new(),
        done: Converged::default(),
    };
    let ran = run.run(&head_scene).await;

    let Converge { lease, history, court, order, mut done, .. } = run;
    world.store.release(lease).await?;
    ran?;
    keep_waiting(world, &order.head, &court, &done).await;
    done.history = history.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.head_scene = Some(head_scene);
    Ok(done)
}

/// Keeps what waits as it was shown now, so that the one command that approves it has something to be bound to.
async fn keep_waiting(world: &World, head: &CommitSha, court: &Court<'_>, done: &Converged) {
    let waits = |end: &&End| matches!(end.outcome, EndState::NotCleared(_, false));
    let waiting: Vec<Arc<Preview>> = done.ends.values().filter(waits).filter_map(|end| end.preview.clone()).collect();
    let digests: BTreeSet<Arc<str>> = waiting.iter().map(|preview| preview.digest().as_str().into()).collect();
    if digests != court.shown_last().into_iter().collect() {
        super::preview::keep(world, Some(head), None, waiting.into_iter().map(Ok).collect()).await;
    }
}

impl Converge<'_> {
    async fn run(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let paused = self.history().paused().map(|(by, reason)| format!("paused by {by}: {reason}"));
        self.announce().await?;
        self.go_on(head).await?;
        if self.order.begin && paused.is_none() {
            while self.begin(head).await? {}
        } else {
            let work = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
            self.account(&work, paused.as_deref());
        }
        if let Some(why) = paused {
            self.done.notes.push(why);
            self.done.next.push("isobar resume".into());
        }
        self.settle(head).await
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn append(&self, events: Vec<Event>) -> Result<Vec<Entry>, Failure> {
        let sealed = self.world.store.append(events, &self.world.run, self.world.clock.now_ms(), Some(&self.lease)).await?;
        let mut history = self.history();
        sealed.iter().for_each(|entry| history.record(entry));
        Ok(sealed)
    }

    async fn announce(&self) -> Result<(), Failure> {
        let by = self.world.workspace.operator().unwrap_or(User("unknown".into()));
        let event = Event::RunStarted { verb: self.order.verb, commit: self.order.head.0.clone(), by, pull_request: None };
        self.append(vec![event]).await.map(drop)
    }

    /// Goes on with rollouts that are open. A stopped one holds its targets, until `resume` or until the head takes back
    /// what it brought.
    async fn go_on(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let open: Vec<Progress> = self.history().rollouts().cloned().collect();
        for progress in open {
            let commit = CommitSha(progress.rollout().commit.clone());
            match progress.ending() {
                Some(Ending::Complete) => {}
                Some(Ending::Stopped(why)) => self.stopped(head, progress, &why).await?,
                None => {
                    let scene = self.scenes.at(&commit)?;
                    let work = self.work_of(&progress, &scene)?;
                    self.drive(progress, work).await?;
                }
            }
        }
        Ok(())
    }

    async fn stopped(&mut self, head: &Arc<Scene>, progress: Progress, why: &str) -> Result<(), Failure> {
        let id = progress.rollout().id.clone();
        if self.order.begin && self.takes_back(head, &progress)? {
            self.append(vec![Event::Superseded { rollout: id.clone(), commit: self.order.head.0.clone() }]).await?;
            self.done
                .notes
                .push(format!("rollout {id} had stopped ({why}); the head takes back what it brought, so its targets are free"));
            return Ok(());
        }
        self.done
            .notes
            .push(format!("rollout {id} of {} is stopped: {why}; its targets wait", short(&progress.rollout().commit)));
        self.done.next.push("isobar resume (then isobar apply), or revert the change and isobar apply".into());
        self.done.rollouts.push(progress);
        Ok(())
    }

    /// Nothing that the stopped rollout had yet to bring is in the head: the targets it did not reach are what the head says.
    fn takes_back(&self, head: &Arc<Scene>, progress: &Progress) -> Result<bool, Failure> {
        if *progress.rollout().commit == *self.order.head.0 {
            return Ok(false);
        }
        let work = since_applied(self.scenes, &self.history(), head, &Selector::default())?;
        let planned = progress.rollout().waves.iter().flat_map(|wave| &wave.targets);
        let unreached = planned.filter(|planned| match progress.outcome(&planned.target) {
            Some(Outcome::Applied | Outcome::Unchanged | Outcome::Failed(_)) => false,
            Some(Outcome::Skipped(_)) | None => true,
        });
        let touched = unreached.filter_map(|planned| work.get(&planned.target)).any(|pending| !pending.reasons.is_empty());
        Ok(!touched)
    }

    /// The work that a journalled rollout still holds, made of its own commit's definitions.
    fn work_of(&self, progress: &Progress, scene: &Arc<Scene>) -> Result<Work, Failure> {
        let mut pending = Vec::new();
        let mut before = None;
        for planned in progress.rollout().waves.iter().flat_map(|wave| &wave.targets) {
            let (found, from) = match planned.intent {
                Intent::Converge => (scene.fleet.target(&planned.target).cloned(), scene.clone()),
                Intent::Destroy => {
                    let commit = self.history().commit_of(&planned.target).cloned();
                    let Some(commit) = commit else { continue };
                    let old = self.scenes.at(&CommitSha(commit))?;
                    before = Some(old.clone());
                    (old.fleet.target(&planned.target).cloned(), old)
                }
            };
            pending.extend(found.map(|target| Pending { target, intent: planned.intent, scene: from, reasons: Vec::new() }));
        }
        Ok(Work::of(pending, Vec::new(), before))
    }

    /// Begins one rollout of what is pending and free; `false` when nothing is left that could make progress.
    async fn begin(&mut self, head: &Arc<Scene>) -> Result<bool, Failure> {
        let work = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
        let work = match &self.order.only {
            Some(only) => {
                let listed = |id: &&TargetId| only.contains(id) && work.get(id).is_none();
                let drifted = work.untouched.iter().filter(listed).filter_map(|id| head.fleet.target(id));
                let more = drifted.map(|target| Pending {
                    target: target.clone(),
                    intent: Intent::Converge,
                    scene: head.clone(),
                    reasons: Vec::new(),
                });
                let pending = work.pending.iter().filter(|pending| only.contains(&pending.target.id)).cloned().chain(more);
                Work::of(pending.collect(), work.untouched.clone(), work.before.clone())
            }
            None => work,
        };
        self.account(&work, None);
        let held = self.say_held(&work);
        let free: BTreeSet<TargetId> = {
            let tried: BTreeSet<&TargetId> = self.done.ends.keys().filter(|id| !self.may_go_on(id)).collect();
            let pending = work.pending.iter().map(|pending| &pending.target.id);
            pending.filter(|id| !held.contains(*id) && !tried.contains(id)).cloned().collect()
        };
        if free.is_empty() || self.done.interrupted {
            return Ok(false);
        }

        let work = work.only(|id| free.contains(id));
        if head.policy.as_ref().is_some_and(Policy::counts_targets) || self.authority_counts(&work)? {
            self.whole = super::preview::look(self.world, &work, self.order.parallel).await.into_iter().flatten().collect();
        }
        let id: Arc<str> = format!("{}-{}", short(&self.order.head.0), self.history().rollouts_begun() + 1).into();
        let targets = work
            .pending
            .iter()
            .map(|pending| (pending.target.id.clone(), pending.intent, pending.target.region.weight))
            .collect();
        let before = work.before.as_ref().map(|scene| &scene.graph);
        let rollout = Rollout::plan(id, self.order.head.0.clone(), &head.settings, targets, &head.graph, before)
            .map_err(|error| Failure::World(error.0, None))?;
        self.append(vec![Event::Planned { rollout: rollout.clone() }]).await?;
        let applied = self.drive(Progress::new(rollout), work).await?;
        // A target that was brought to an older commit may go on to the head: once around again.
        self.done.ends.retain(|id, end| !applied.contains(id) || end.outcome != EndState::Applied);
        Ok(!applied.is_empty() && !self.done.interrupted && self.done.wait.is_none())
    }

    fn authority_counts(&self, work: &Work) -> Result<bool, Failure> {
        let Some(first) = work.pending.first() else { return Ok(false) };
        let authority = self.court.authority(&first.target.id, work, &self.history())?;
        Ok(authority.policy.as_ref().is_some_and(Policy::counts_targets))
    }

    /// It arrived in this run with an earlier rollout, and the head wants more of it. What did not arrive is not tried twice.
    fn may_go_on(&self, id: &TargetId) -> bool {
        let arrived = |end: &End| matches!(end.outcome, EndState::Applied | EndState::Unchanged);
        self.done.ends.get(id).is_some_and(arrived)
            && self.history().commit_of(id).is_some_and(|commit| *commit != self.order.head.0)
    }

    /// Says which targets wait for an earlier rollout, and returns them.
    fn say_held(&mut self, work: &Work) -> BTreeSet<TargetId> {
        let held: BTreeMap<TargetId, String> = {
            let history = self.history();
            let rolling: Vec<(&Progress, BTreeSet<&str>)> = history
                .rollouts()
                .map(|progress| (progress, rolling_environments(progress, self.world.clock.now_ms())))
                .collect();
            let rolls = |id: &TargetId| {
                let of = |(progress, environments): &&(&Progress, BTreeSet<&str>)| {
                    environments.contains(id.region.environment()) && progress.contains(id)
                };
                rolling.iter().find(of).map(|(progress, _)| *progress)
            };
            let ids = work.pending.iter().map(|pending| &pending.target.id);
            let say =
                |holder: &Progress| format!("rollout {} of {} holds it", holder.rollout().id, short(&holder.rollout().commit));
            ids.filter_map(|id| Some((id.clone(), say(history.holder(id).or_else(|| rolls(id))?)))).collect()
        };
        for (id, why) in &held {
            let said = self.done.ends.get(id);
            if said.is_none() || self.may_go_on(id) {
                let end = End { outcome: EndState::NotStarted(why.as_str().into()), preview: None, verdict: None };
                self.done.ends.insert(id.clone(), end);
            }
        }
        held.into_keys().collect()
    }

    /// Drives one rollout until nothing of it can begin; returns the targets applied at an older commit than the head's.
    async fn drive(&mut self, mut progress: Progress, work: Work) -> Result<BTreeSet<TargetId>, Failure> {
        self.bringing = CommitSha(progress.rollout().commit.clone());
        let (world, lease) = (self.world, &self.lease);
        let held = self.holds();
        let paused = self.history().paused().map(|(by, reason)| format!("paused by {by}: {reason}"));
        let known = Mutex::new(Known::default());
        let at_commit: Mutex<BTreeMap<TargetId, Arc<Scene>>> = Mutex::default();
        let make = |id: &TargetId, known: &Known| make_job(world, &work, &at_commit, id, known);
        let bar = world.terminal.bar("applying", work.pending.len());
        let watch = |moment: Moment<'_>| tell(world, &bar, &moment);
        let history = &self.history;
        let sealed = |entries: &[Entry]| {
            let mut history = history.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            entries.iter().for_each(|entry| history.record(entry));
        };
        let now_ms = || world.clock.now_ms();
        let stopped = || world.stop.asked().is_some();
        let stop = || Box::pin(world.stop.wait()) as std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;
        let drive = Drive {
            engines: &world.engines,
            store: &*world.store,
            lease,
            run: &world.run,
            root: world.workspace.root(),
            parallel: self.order.parallel,
            gate_environment: gate_environment(world),
            paused,
            held,
            now_ms: &now_ms,
            stopped: &stopped,
            stop: &stop,
            watch: &watch,
            sealed: &sealed,
        };

        let mut ready: BTreeMap<TargetId, Ready> = BTreeMap::new();
        let mut ends: BTreeMap<TargetId, End> = BTreeMap::new();
        let mut older = BTreeSet::new();
        let halt = loop {
            let now_known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            match drive.drive(&mut progress, &ready, &make, &now_known).await? {
                Halt::NeedsClearance(targets) => {
                    let cleared = self.clear(&work, &targets, &progress, &at_commit, &make, &mut ends).await?;
                    let mut steps = cleared.steps;
                    let mut events: Vec<Event> = cleared.events;
                    events.extend(
                        steps.iter().map(|step| Event::Step { rollout: progress.rollout().id.clone(), step: step.clone() }),
                    );
                    let at_ms = world.clock.now_ms();
                    if !events.is_empty() {
                        self.append(events).await?;
                    }
                    steps.drain(..).for_each(|step| progress.record(&step, at_ms));
                    progress.clear(cleared.clearances);
                    ready.extend(cleared.ready);
                    older.extend(cleared.older);
                    *known.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = cleared.known;
                    if stopped() {
                        break Halt::Interrupted;
                    }
                }
                halt => break halt,
            }
        };
        drop(drive);
        self.finish(&progress, halt, ends, &work);
        self.done.rollouts.push(progress);
        Ok(older)
    }

    fn holds(&self) -> BTreeMap<crate::stack::RegionId, String> {
        let now_ms = self.world.clock.now_ms();
        let history = self.history();
        let say = |hold: &crate::journal::Hold| match hold.until_ms {
            Some(until) => format!("held until {}: {}", say_time(until), hold.reason),
            None => format!("held: {}", hold.reason),
        };
        history.holds(now_ms).into_iter().map(|hold| (hold.region.clone(), say(hold))).collect()
    }

    /// Previews targets afresh and judges them: the gate before every start.
    async fn clear(
        &self,
        work: &Work,
        targets: &[TargetId],
        progress: &Progress,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
        ends: &mut BTreeMap<TargetId, End>,
    ) -> Result<Cleared, Failure> {
        let wanted: BTreeSet<&TargetId> = targets.iter().collect();
        let part = Work::of(
            work.pending.iter().filter(|pending| wanted.contains(&pending.target.id)).cloned().collect(),
            Vec::new(),
            None,
        );
        let mut cleared = Cleared { known: known_outputs(self.world, &part).await, ..Cleared::default() };
        let answers = self.look(&part, &mut cleared.known, make).await;

        let mut fresh = Vec::new();
        for answer in answers {
            match answer {
                Ok(preview) if preview.is_empty() && !self.is_unknown(&preview.target) => {
                    self.nothing_left(preview, progress, &mut cleared, ends)
                }
                Ok(preview) => fresh.push(Arc::new(preview)),
                Err(unseen) => not_seen(unseen, &mut cleared, ends),
            }
        }
        let holed = self.holed(&fresh, &part, &cleared.known, make).await?;
        let asked = Asked { previews: &fresh, holed: &holed, beside: &self.whole };
        let verdicts = self.court.judge(&asked, work, &self.history())?;
        for (preview, verdict) in fresh.into_iter().zip(verdicts) {
            self.judged(preview, verdict, &part, at_commit, make, &mut cleared, ends).await?;
        }
        Ok(cleared)
    }

    async fn look(&self, part: &Work, known: &mut Known, make: &MakeJob<'_>) -> Vec<Result<Preview, Unseen>> {
        let ids: Vec<TargetId> = part.pending.iter().map(|pending| pending.target.id.clone()).collect();
        let bar = self.world.terminal.bar("previewing", ids.len());
        let stopped = || self.world.stop.asked().is_some();
        let watch = |_: Moment<'_>| bar.step();
        let parallel = if self.order.parallel == 0 { PREVIEWS_AT_ONCE } else { self.order.parallel };
        let mut proposed = known.clone(); // what is proposed here is not yet true for anybody
        let answers = runner::preview_all(&self.world.engines, &[ids], &mut proposed, parallel, make, &stopped, &watch).await;
        drop(bar);
        answers
    }

    /// For targets that were cleared with holes: the preview with those holes still open.
    async fn holed(
        &self,
        fresh: &[Arc<Preview>],
        part: &Work,
        known: &Known,
        make: &MakeJob<'_>,
    ) -> Result<BTreeMap<TargetId, Preview>, Failure> {
        let mut holed = BTreeMap::new();
        for preview in fresh {
            let names = self.court.holes(&preview.target, part, &self.history())?;
            if names.is_empty() {
                continue;
            }
            let mut withheld = known.clone();
            for (target, outputs) in &mut withheld.0 {
                let here = |name: &str| format!("{}.outputs.{name}", target.stack);
                let elsewhere = |name: &str| format!("{target}.outputs.{name}");
                outputs.retain(|name, _| !names.contains(here(name).as_str()) && !names.contains(elsewhere(name).as_str()));
            }
            let Ok(job) = make(&preview.target, &withheld) else { continue };
            let Some(engine) = self.world.engines.get(&preview.engine) else { continue };
            if let Ok(seen) = engine.preview(&job).await {
                holed.insert(preview.target.clone(), seen);
            }
        }
        Ok(holed)
    }

    fn is_unknown(&self, target: &TargetId) -> bool {
        matches!(self.history().target(target).map(|record| &record.state), Some(State::Unknown { .. }))
    }

    /// A fresh preview that is empty: the target is what the definition says, whoever made it so.
    fn nothing_left(&self, preview: Preview, progress: &Progress, cleared: &mut Cleared, ends: &mut BTreeMap<TargetId, End>) {
        let target = preview.target.clone();
        let commit = progress.rollout().commit.clone();
        let (intent, digest) = (preview.intent, preview.digest());
        cleared.events.push(Event::Applied { target: target.clone(), intent, commit, digest, changes: Vec::new() });
        cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Unchanged });
        ends.insert(target, End { outcome: EndState::Unchanged, preview: Some(preview.into()), verdict: None });
    }

    #[allow(clippy::too_many_arguments)] // one parent holds the branches; each argument is one thing it needs
    async fn judged(
        &self,
        preview: Arc<Preview>,
        verdict: Verdict,
        part: &Work,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
        cleared: &mut Cleared,
        ends: &mut BTreeMap<TargetId, End>,
    ) -> Result<(), Failure> {
        let target = preview.target.clone();
        if let Some(why) = self.failed_alike(&preview) {
            cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Skipped(why.clone()) });
            ends.insert(target, End { outcome: EndState::Skipped(why), preview: Some(preview), verdict: Some(verdict) });
            return Ok(());
        }
        let end = End { outcome: EndState::Applied, preview: Some(preview.clone()), verdict: Some(verdict.clone()) };
        match verdict.answer {
            Answer::Clear(clearance) => {
                if preview.is_empty() {
                    let how = "a fresh preview is empty: the apply had made its changes, and is closed by the engine";
                    cleared.events.push(Event::Recovered { target: target.clone(), how: how.into() });
                }
                ends.insert(target, end);
                self.grant(clearance, preview, self.bringing.0.clone(), cleared);
            }
            Answer::Wait | Answer::Deny => {
                if let Some((clearance, preview, scene)) = self.older(&target, part, at_commit, make).await? {
                    let commit = scene.snapshot.commit.clone().map_or_else(|| Arc::from(""), |commit| commit.0);
                    at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(target.clone(), scene);
                    cleared.older.insert(target.clone());
                    ends.insert(target, End { preview: Some(preview.clone()), ..end });
                    self.grant(clearance, preview, commit, cleared);
                } else {
                    let is_denied = verdict.answer == Answer::Deny;
                    let why: Arc<str> = verdict.sentence.as_str().into();
                    cleared.steps.push(StepEvent::Finished { target: target.clone(), outcome: Outcome::Skipped(why.clone()) });
                    ends.insert(target, End { outcome: EndState::NotCleared(why, is_denied), ..end });
                }
            }
        }
        Ok(())
    }

    /// The same changes failed before at this head, and nobody said `resume`.
    fn failed_alike(&self, preview: &Preview) -> Option<Arc<str>> {
        let history = self.history();
        let stuck = history.target(&preview.target).is_some_and(|record| record.is_stuck(&preview.digest()));
        let same_head = history.last_commit() == Some(&self.order.head.0);
        (stuck && same_head)
            .then(|| "failed before with the same changes; after mending the cause: isobar resume, then isobar apply".into())
    }

    fn grant(&self, clearance: Clearance, preview: Arc<Preview>, commit: Arc<str>, cleared: &mut Cleared) {
        cleared.events.push(Event::Cleared {
            target: clearance.target().clone(),
            commit: commit.clone(),
            digest: clearance.digest().clone(),
            changes: clearance.changes().to_vec(),
            by: clearance.by().to_vec(),
            why: clearance.why().into(),
        });
        cleared.ready.insert(preview.target.clone(), Ready { preview, commit });
        cleared.clearances.push(clearance);
    }

    /// Several merges wait for this target: the newest one whose fresh preview is cleared.
    async fn older(
        &self,
        target: &TargetId,
        part: &Work,
        at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
        make: &MakeJob<'_>,
    ) -> Result<Option<(Clearance, Arc<Preview>, Arc<Scene>)>, Failure> {
        let from = self.history().commit_of(target).cloned().map(CommitSha);
        let line = self.world.workspace.first_parents(from.as_ref(), &self.bringing)?;
        let (mut last, known) = (None, known_outputs(self.world, part).await);
        for commit in line.into_iter().skip(1).take(OLDER_COMMITS_MAX) {
            let Ok(scene) = self.scenes.at(&commit) else { continue };
            if scene.fleet.target(target).is_none() {
                continue;
            }
            at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(target.clone(), scene.clone());
            let seen = match (
                make(target, &known),
                part.get(target).and_then(|pending| self.world.engines.get(&pending.target.stack.engine)),
            ) {
                (Ok(job), Some(engine)) => engine.preview(&job).await,
                _ => continue,
            };
            at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(target);
            let Ok(preview) = seen.map(Arc::new) else { continue };
            if preview.is_empty() || last.replace(preview.digest()) == Some(preview.digest()) {
                continue;
            }
            let asked = Asked { beside: &self.whole, ..Asked::whole(std::slice::from_ref(&preview)) };
            let verdicts = self.court.judge(&asked, part, &self.history())?;
            if let Some(Verdict { answer: Answer::Clear(clearance), .. }) = verdicts.into_iter().next() {
                return Ok(Some((clearance, preview, scene)));
            }
        }
        Ok(None)
    }

    /// Turns what the rollout says into ends.
    fn finish(&mut self, progress: &Progress, halt: Halt, mut ends: BTreeMap<TargetId, End>, work: &Work) {
        let why_not = match &halt {
            Halt::Over(Ending::Complete) | Halt::NeedsClearance(_) => "its wave was not reached".to_string(),
            Halt::Over(Ending::Stopped(why)) => format!("the rollout stopped: {why}"),
            Halt::Wait { until_ms, why } => {
                self.done.wait = Some((*until_ms, why.clone()));
                format!("{why}; goes on with isobar tick at {}", say_time(*until_ms))
            }
            Halt::Paused(why) => why.clone(),
            Halt::Interrupted => {
                self.done.interrupted = self.world.stop.asked().is_some();
                "the run was stopped by a signal".to_string()
            }
        };
        match &halt {
            Halt::Over(Ending::Stopped(_)) => {
                self.done.next.push("isobar resume (after mending the cause), then isobar apply".into())
            }
            Halt::Wait { .. } => self.done.next.push("isobar tick".into()),
            Halt::Interrupted => self.done.next.push("isobar apply (goes on where this stopped)".into()),
            Halt::Over(Ending::Complete) | Halt::NeedsClearance(_) | Halt::Paused(_) => {}
        }
        let unknown: BTreeSet<TargetId> = progress.unknown().into_iter().collect();
        for pending in &work.pending {
            let id = &pending.target.id;
            let before = ends.remove(id);
            let outcome = match (progress.outcome(id), before.as_ref().map(|end| &end.outcome)) {
                (Some(Outcome::Skipped(_)), Some(skipped @ (EndState::NotCleared(..) | EndState::Skipped(_)))) => skipped.clone(),
                (Some(Outcome::Applied), _) => EndState::Applied,
                (Some(Outcome::Unchanged), _) => EndState::Unchanged,
                (Some(Outcome::Failed(text)), _) => EndState::Failed(text.clone()),
                (Some(Outcome::Skipped(why)), _) => EndState::Skipped(why.clone()),
                (None, _) if unknown.contains(id) => EndState::Unknown("started, no outcome: isobar recover".into()),
                (None, _) => EndState::NotStarted(why_not.clone().into()),
            };
            let (preview, verdict) = before.map_or((None, None), |end| (end.preview, end.verdict));
            self.done.ends.insert(id.clone(), End { outcome, preview, verdict });
        }
    }

    /// Notes which targets this run is about.
    fn account(&mut self, work: &Work, paused: Option<&str>) {
        self.done.untouched = work.untouched.clone();
        let known: BTreeSet<TargetId> = self.done.selected.iter().cloned().collect();
        let all = work.untouched.iter().chain(work.pending.iter().map(|pending| &pending.target.id));
        self.done.selected.extend(all.filter(|id| !known.contains(*id)).cloned());
        for pending in &work.pending {
            if self.order.begin && paused.is_none() {
                continue;
            }
            let why = paused.unwrap_or("merged and not yet part of a rollout: isobar apply");
            let end = End { outcome: EndState::NotStarted(why.into()), preview: None, verdict: None };
            self.done.ends.entry(pending.target.id.clone()).or_insert(end);
        }
    }

    /// Journals where the fleet is now: every selected target that is not behind is what the head says.
    async fn settle(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let applied_at_head = |id: &TargetId| self.history().commit_of(id).is_some_and(|commit| *commit == self.order.head.0);
        let behind: Vec<TargetId> = {
            let is_behind = |(id, end): &(&TargetId, &End)| match end.outcome {
                EndState::Applied | EndState::Unchanged => !applied_at_head(id) && head.fleet.target(id).is_some(),
                EndState::Failed(_)
                | EndState::NotCleared(..)
                | EndState::Skipped(_)
                | EndState::Unknown(_)
                | EndState::NotStarted(_) => true,
            };
            self.done.ends.iter().filter(is_behind).map(|(id, _)| id.clone()).collect()
        };
        let scope = (*self.order.selector != Selector::default() || self.order.only.is_some())
            .then(|| self.done.selected.iter().filter(|id| head.fleet.target(id).is_some()).cloned().collect());
        self.append(vec![Event::Settled { commit: self.order.head.0.clone(), scope, behind }]).await.map(drop)
    }
}

/// What one round of clearing gave.
#[derive(Default)]
struct Cleared {
    events: Vec<Event>,
    steps: Vec<StepEvent>,
    clearances: Vec<Clearance>,
    ready: BTreeMap<TargetId, Ready>,
    older: BTreeSet<TargetId>,
    known: Known,
}

/// Environments in which an open rollout has waves that are to come or bake: all its targets there wait for it, so that a canary
/// shows what it was to show before something newer comes over it.
fn rolling_environments(progress: &Progress, now_ms: u64) -> BTreeSet<&str> {
    if progress.ending().is_some() {
        return BTreeSet::new();
    }
    let waves = progress.rollout().waves.iter().enumerate();
    let rolls = |(at, _): &(usize, &crate::rollout::Wave)| progress.wave_state(*at, now_ms) != WaveState::Done;
    waves.filter(rolls).map(|(_, wave)| &*wave.environment).collect()
}

fn not_seen(unseen: Unseen, cleared: &mut Cleared, ends: &mut BTreeMap<TargetId, End>) {
    let said: Arc<str> = runner::say_unseen(&unseen.reason).into();
    let (outcome, end) = match &unseen.reason {
        UnseenReason::Cancelled => return, // asked again by the next run
        UnseenReason::Needs(_) | UnseenReason::Conflict(_) => (Outcome::Skipped(said.clone()), EndState::Skipped(said)),
        UnseenReason::SecretMissing(_) | UnseenReason::Definition(_) | UnseenReason::Engine(_) => {
            (Outcome::Failed(said.clone()), EndState::Failed(said))
        }
    };
    cleared.steps.push(StepEvent::Finished { target: unseen.target.clone(), outcome });
    ends.insert(unseen.target, End { outcome: end, preview: None, verdict: None });
}

fn make_job(
    world: &World,
    work: &Work,
    at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
    id: &TargetId,
    known: &Known,
) -> Result<crate::engine::Job, Unseen> {
    let gone = || Unseen { target: id.clone(), reason: UnseenReason::Engine("its definition is gone".into()) };
    let pending = work.get(id).ok_or_else(gone)?;
    let older = at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(id).cloned();
    match older {
        Some(scene) => {
            let target = scene.fleet.target(id).ok_or_else(gone)?;
            scene.job(world, target, pending.intent, known)
        }
        None => pending.scene.job(world, &pending.target, pending.intent, known),
    }
}

fn tell(world: &World, bar: &crate::world::Bar, moment: &Moment<'_>) {
    match moment {
        Moment::Previewed(_) => {}
        Moment::Started(target) => {
            if world.terminal.is_live() {
                world.terminal.note(&format!("  … {target}"));
            }
        }
        Moment::Finished(target, outcome) => {
            bar.step();
            let line = match outcome {
                Outcome::Applied => format!("  ✓ {target} applied"),
                Outcome::Unchanged => format!("  · {target} unchanged"),
                Outcome::Failed(text) => format!("  ✗ {target} failed: {}", diagnosis::explain("", text).sentence),
                Outcome::Skipped(why) => format!("  o {target} skipped: {why}"),
            };
            world.terminal.note(&crate::change::inert(&line));
        }
        Moment::Gate(gate, Ok(())) => world.terminal.note(&format!("  ✓ gate passed: {}", say_gate(gate))),
        Moment::Gate(gate, Err(why)) => {
            world.terminal.note(&crate::change::inert(&format!("  ✗ gate failed: {}: {why}", say_gate(gate))))
        }
    }
}

fn say_gate(gate: &crate::rollout::Gate) -> String {
    match gate {
        crate::rollout::Gate::Http { url, .. } => url.to_string(),
        crate::rollout::Gate::Command { argv, .. } => argv.join(" "),
    }
}

/// A gate sees what a shell would need to find programs, and nothing secret.
fn gate_environment(world: &World) -> BTreeMap<OsString, OsString> {
    ["PATH", "HOME", "LANG", "TMPDIR"]
        .iter()
        .filter_map(|name| Some((name.into(), world.environment.get(name)?.into())))
        .collect()
}

/// Every target this run may write about.
fn lease_on(history: &History, head: &Scene, selector: &Selector) -> Vec<TargetId> {
    let mut wanted: BTreeSet<TargetId> =
        head.fleet.targets().iter().filter(|target| selector.matches(target)).map(|target| target.id.clone()).collect();
    wanted.extend(history.targets().map(|(id, _)| id).filter(|id| head.fleet.target(id).is_none()).cloned());
    let open = history.rollouts().flat_map(|progress| &progress.rollout().waves).flat_map(|wave| &wave.targets);
    wanted.extend(open.map(|planned| planned.target.clone()));
    wanted.into_iter().collect()
}

/// Newer code never goes below older: the head must hold the commit that was applied last.
fn never_older(world: &World, history: &History, head: &CommitSha) -> Result<(), Failure> {
    let Some(last) = history.last_commit().cloned().map(CommitSha) else { return Ok(()) };
    let holds = match world.workspace.commit(&last.0) {
        Ok(last) => world.workspace.is_ancestor(&last, head)?,
        Err(_) => false,
    };
    if holds {
        return Ok(());
    }
    let what =
        format!("{} does not hold {}, which was applied last: older code is never put over newer", head.short(), last.short());
    Err(Failure::World(
        what,
        Some(format!("check out a commit that holds it (git merge {}), or revert it with a new commit", last.short())),
    ))
}

fn host_name(world: &World) -> Arc<str> {
    world.environment.get("HOSTNAME").unwrap_or("localhost").into()
}

/// Returns the first seven characters of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// `2026-11-02 14:02 UTC`.
pub(crate) fn say_time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "an unknown time".into(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
