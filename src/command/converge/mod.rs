//! Bringing targets to what the repository says: the loop that apply, tick, drift --fix and recover share. Each wave is
//! previewed and judged again under the lease; what is cleared is applied, what is not waits and says so.

mod clear;
mod drive;
mod end;

use drive::paused;
pub(crate) use end::{Converged, End, EndState};

use super::court::{Court, Review};
use super::pending::{Pending, Work, between, commit_of, refuse_taken, since_applied};
use super::say::{say_held, short};
use super::scene::{Scene, Scenes};
use crate::change::{Extent, Intent, Preview};
use crate::exit::Failure;
use crate::journal::{Entry, Event, History, Verb};
use crate::policy::Policy;
use crate::review::{CommitSha, User};
use crate::rollout::{Ending, Outcome, Progress, Rollout, Settings, WaveState};
use crate::stack::{Selector, TargetId};
use crate::store::{Holder, Lease};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

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
    super::apply::clean(world)?;
    let head_scene = scenes.at(&order.head)?;
    head_scene.check_targets(world)?;
    let before = world.store.history().await?;

    let wanted = lease_on(&before, &head_scene, order.selector);
    let holder =
        Holder { run: world.run.clone(), host: host_name(world), pid: std::process::id(), since_ms: world.clock.now_ms() };
    let since_ms = holder.since_ms;
    let lease = world.store.acquire(&wanted, holder).await.map_err(|error| say_held(error, since_ms))?;
    let history = world.store.history().await?; // again: nobody else writes about these targets now
    never_older(world, scenes, &history, &order.head, &head_scene)?;

    let mut court = Court::open(world, scenes, Some(order.head.clone()), None).await?;
    let is_selected = |id: &TargetId| head_scene.fleet.target(id).is_none_or(|target| order.selector.matches(target));
    let shown = court.shown_last(is_selected);
    court.take(order.reviews, shown).await?;
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
    if digests != court.shown_last(|_| true).into_iter().collect() {
        super::preview::keep(world, Some(head), None, waiting.into_iter().map(Ok).collect()).await;
    }
}

impl Converge<'_> {
    async fn run(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let paused = paused(&self.history());
        self.announce().await?;
        self.go_on(head).await?;
        if let (true, None, Some(only)) = (self.order.begin, &paused, self.order.only.clone()) {
            self.put_back(head, &only).await?;
        } else if self.order.begin && paused.is_none() {
            while self.begin(head).await? {}
        } else {
            let work = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
            self.account(&work, paused.as_deref());
        }
        if let Some(why) = paused {
            self.say_paused(&why);
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
                None if self.order.begin && self.order.only.is_none() && progress.was_resumed() && commit != self.order.head => {
                    self.take_over(&progress).await?;
                }
                None => {
                    let scene = self.scenes.at(&commit)?;
                    let work = self.work_of(&progress, &scene)?;
                    self.drive(progress, work).await?;
                }
            }
        }
        Ok(())
    }

    /// The head goes on in the place of an older rollout that was resumed: what it had yet to bring may be what was mended since.
    async fn take_over(&mut self, progress: &Progress) -> Result<(), Failure> {
        let rollout = progress.rollout();
        let (id, commit) = (rollout.id.clone(), self.order.head.0.clone());
        self.done.notes.push(format!(
            "rollout {id} of {} was resumed; {} goes on in its place",
            short(&rollout.commit),
            short(&commit)
        ));
        self.append(vec![Event::Superseded { rollout: id, commit }]).await.map(drop)
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
            Some(Outcome::NotCleared(_) | Outcome::Skipped(_)) | None => true,
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
                    let commit = self.history().defined_at(&planned.target).cloned();
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
        let now_paused = paused(&self.history());
        if let Some(why) = now_paused {
            self.account(&work, Some(&why)); // somebody paused while we drove
            return Ok(false);
        }
        refuse_taken(self.world, &work, head)?;
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
        if self.authority_counts(&work)? {
            // Limits count the whole change, whatever part of it was selected.
            let whole = since_applied(self.scenes, &self.history(), head, &Selector::default())?;
            self.whole = super::preview::look(self.world, &whole, self.order.parallel).await.into_iter().flatten().collect();
        }
        let mut rollout = self.plan(head, &self.order.head, &work)?;
        rollout.whole = (!self.whole.is_empty()).then(|| Extent::of(self.whole.iter().map(|preview| &**preview)));
        self.append(vec![Event::Planned { rollout: rollout.clone() }]).await?;
        let applied = self.drive(Progress::new(rollout), work).await?;
        // A target that was brought to an older commit may go on to the head: once around again.
        Ok(!applied.is_empty() && !self.done.interrupted && self.done.wait.is_none())
    }

    /// Puts drifted targets back to what they were brought to, each to its own commit: what was merged since comes by an apply,
    /// in its own order.
    async fn put_back(&mut self, head: &Arc<Scene>, only: &BTreeSet<TargetId>) -> Result<(), Failure> {
        self.done.selected.extend(only.iter().cloned());
        let rest = head.fleet.targets().iter().filter(|target| self.order.selector.matches(target) && !only.contains(&target.id));
        self.done.untouched = rest.map(|target| target.id.clone()).collect();
        let mut by_commit: BTreeMap<CommitSha, Vec<Pending>> = BTreeMap::new();
        for id in only {
            let Some(commit) = self.history().commit_of(id).cloned().map(CommitSha) else { continue };
            let scene = self.scenes.at(&commit)?;
            let Some(target) = scene.fleet.target(id).cloned() else { continue };
            by_commit.entry(commit).or_default().push(Pending { target, intent: Intent::Converge, scene, reasons: Vec::new() });
        }
        for (commit, pending) in by_commit {
            let work = Work::of(pending, Vec::new(), None);
            let held = self.say_held(&work);
            let work = work.only(|id| !held.contains(id));
            if work.pending.is_empty() || self.done.interrupted {
                continue;
            }
            let rollout = self.plan(head, &commit, &work)?;
            self.append(vec![Event::Planned { rollout: rollout.clone() }]).await?;
            self.drive(Progress::new(rollout), work).await?;
        }
        Ok(())
    }

    /// Plans a rollout that brings `work` to `commit`.
    fn plan(&self, head: &Arc<Scene>, commit: &CommitSha, work: &Work) -> Result<Rollout, Failure> {
        let id: Arc<str> = format!("{}-{}", commit.short(), self.history().rollout_number(&self.world.run)).into();
        let weighed =
            work.pending.iter().map(|pending| (pending.target.id.clone(), pending.intent, pending.target.region.weight));
        let graph = work.pending.first().map_or(&head.graph, |pending| match pending.intent {
            Intent::Converge => &pending.scene.graph,
            Intent::Destroy => &head.graph,
        });
        let before = work.before.as_ref().map(|scene| &scene.graph);
        let settings = self.settings(head, work)?;
        let plan = Rollout::plan(id, commit.0.clone(), &settings, weighed.collect(), graph, before);
        plan.map_err(|error| Failure::World(error.0, None))
    }

    /// Some policy that judges a pending target counts targets.
    fn authority_counts(&self, work: &Work) -> Result<bool, Failure> {
        let history = self.history();
        for pending in &work.pending {
            let authority = self.court.authority(&pending.target.id, work, &history)?;
            if authority.policy.as_ref().is_some_and(Policy::counts_targets) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How the rollout goes: as the commit before the change says, so that no change removes its own canary or brings its own
    /// gate. Environments that the change itself brings go by the change.
    fn settings(&self, head: &Arc<Scene>, work: &Work) -> Result<Settings, Failure> {
        let trusted = self.history().trusted_commit().cloned();
        let authority = match (trusted, work.pending.first()) {
            (Some(commit), _) => self.scenes.at(&CommitSha(commit))?,
            (None, Some(first)) => self.court.authority(&first.target.id, work, &self.history())?,
            (None, None) => head.clone(),
        };
        Ok(authority.settings.clone().with_new_of(&head.settings))
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

    /// Journals where the fleet is now: every selected target is what the head says, except those that still have something to
    /// do. That is asked of history again: a target without an end is behind, never done.
    async fn settle(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let left = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
        let left = left.only(|id| self.order.only.as_ref().is_none_or(|only| only.contains(id)));
        let why: Arc<str> = match self.done.interrupted {
            true => "the run was stopped by a signal before its turn".into(),
            false => "merged and not yet brought: isobar apply".into(),
        };
        for pending in &left.pending {
            let end = End { outcome: EndState::NotStarted(why.clone()), preview: None, verdict: None };
            self.done.ends.entry(pending.target.id.clone()).or_insert(end);
        }
        let behind = left.pending.iter().map(|pending| pending.target.id.clone()).collect();
        let scope = (*self.order.selector != Selector::default() || self.order.only.is_some())
            .then(|| self.done.selected.iter().filter(|id| head.fleet.target(id).is_some()).cloned().collect());
        self.append(vec![Event::Settled { commit: self.order.head.0.clone(), scope, behind }]).await.map(drop)
    }
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

/// Newer code never goes below older: the head must hold the commit of every open rollout, and for each target that it would
/// change what that target was brought to. A commit on another line that changed nothing of the target binds nobody.
fn never_older(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    head: &CommitSha,
    scene: &Arc<Scene>,
) -> Result<(), Failure> {
    let refuse = |commit: &CommitSha| {
        let (head, commit) = (head.short(), commit.short());
        let what = format!("{head} does not hold {commit}, which was applied: older code is never put over newer");
        let hint = format!("check out a commit that holds it (git merge {commit}), or revert it with a new commit");
        Err(Failure::World(what, Some(hint)))
    };
    for commit in history.rollouts().map(|progress| CommitSha(progress.rollout().commit.clone())) {
        if !world.workspace.is_ancestor(&commit, head)? {
            return refuse(&commit);
        }
    }

    let work = since_applied(scenes, history, scene, &Selector::default())?;
    let mut at: BTreeMap<CommitSha, BTreeSet<&TargetId>> = BTreeMap::new();
    for pending in work.pending.iter().filter(|pending| !pending.reasons.is_empty()) {
        if let Some(commit) = commit_of(history, &pending.target) {
            at.entry(CommitSha(commit)).or_default().insert(&pending.target.id);
        }
    }
    for (commit, targets) in at {
        if world.workspace.is_ancestor(&commit, head)? {
            continue;
        }
        let fork = scenes.at(&world.workspace.merge_base(&commit, head)?)?;
        let there = between(Some(&fork), &scenes.at(&commit)?, &Selector::default());
        if there.pending.iter().any(|pending| targets.contains(&pending.target.id)) {
            return refuse(&commit);
        }
    }
    Ok(())
}

fn host_name(world: &World) -> Arc<str> {
    world.environment.get("HOSTNAME").unwrap_or("localhost").into()
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
