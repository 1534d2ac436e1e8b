//! Bringing targets to what the repository says: the loop that apply, tick, drift --fix and recover share. Each wave is
//! previewed and judged again under the lease; what is cleared is applied, what is not waits and says so.

mod admit;
mod begin;
mod clear;
mod drive;
mod end;
mod gate;
mod held;
mod late;
mod led;
mod live;
mod older;
mod open;
mod round;
mod watch;

pub(crate) use admit::older;
pub(super) use begin::refuse_first;
pub(crate) use end::{Converged, End, EndState, GOES_ON, RESUME};
pub(crate) use watch::{paused, say_hold};

use super::audience::Audience;
use super::court::{Case, Court, Review};
use super::look::{keep, looks};
use super::pending::{exists, names, since_applied};
use super::say::say_held;
use super::scene::{Scene, Scenes};
use crate::change::{Extent, Preview};
use crate::exit::Failure;
use crate::journal::{Event, History, Verb};
use crate::review::{CommitSha, User};
use crate::rollout::Takeover;
use crate::runner::{Leases, Looks, Means, Replica, Share, Sharing, TimeLeft, Writer};
use crate::stack::{Selector, TargetId};
use crate::store::{Holder, Job, Lease, StoreError};
use crate::world::World;
use admit::Older;
use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};

/// What to bring where.
pub(crate) struct Order<'a> {
    pub(crate) verb: Verb,
    pub(crate) head: CommitSha,
    pub(crate) selector: &'a Selector,
    pub(crate) reviews: &'a [Review],
    pub(crate) aim: Aim,
    pub(crate) parallel: usize,
    /// Other processes bring the same with us.
    pub(crate) sharing: Option<Sharing>,
    /// What is left of the job that this run is a part of, where somebody said so.
    pub(crate) time: Option<TimeLeft>,
    /// Who hears of it while it goes on.
    pub(crate) audience: Option<&'a Audience>,
}

/// What a run is for.
#[derive(Clone)]
pub(crate) enum Aim {
    /// Goes on with what is open, and begins what was merged since.
    Bring,
    /// Goes on with what is open; begins nothing.
    GoOn,
    /// Puts targets, which drifted, back to what they were brought to; goes on with nothing but earlier fixes.
    PutBack {
        strayed: BTreeSet<TargetId>,
        /// Those that were shown as they will be put back: what was shown of others is of a merge as well.
        reviewed: BTreeSet<TargetId>,
    },
}

/// One run of the loop.
pub(crate) struct Converge<'a> {
    world: &'a World,
    scenes: &'a Scenes<'a>,
    order: Order<'a>,
    leases: Leases,
    replica: &'a Replica<'a>,
    court: Court<'a>,
    /// The commit of the rollout that is driven now.
    bringing: CommitSha,
    /// Rollouts that this run met.
    met: BTreeSet<Arc<str>>,
    /// Resumed rollouts in whose place the head goes on, once it is planned.
    takeover: Takeover,
    /// Who says how many targets may be in flight at once, as for policy: what was brought last; and what is to be brought.
    slots: [Arc<Scene>; 2],
    /// Every change of the rollout as it looked when it was planned, where a rule counts them.
    whole: Vec<Arc<Preview>>,
    done: Converged,
}

/// Runs the loop to where nothing more can begin.
pub(crate) async fn converge(world: &World, scenes: &Scenes<'_>, order: Order<'_>) -> Result<Converged, Failure> {
    admit::clean(world)?;
    let head_scene = scenes.at(&order.head)?;
    head_scene.check_targets(world)?;
    let before = world.store.history().await?;

    let wanted = match order.sharing {
        None => admit::lease_on(&before, &head_scene, order.selector),
        Some(_) => Vec::new(), // bite by bite
    };
    let holder = holder(world);
    let since_ms = holder.since_ms;
    let lease = world.store.acquire(&wanted, holder).await.map_err(|error| say_held(error, since_ms))?;
    let (history, court) = match admitted(world, scenes, &order, &head_scene).await {
        Ok(admitted) => admitted,
        Err(refused) => {
            give_back(world, lease).await;
            return Err(refused);
        }
    };
    let share = order.sharing.map(|sharing| Share::new(sharing, means(world)));
    let now_ms = Box::new(|| world.clock.now_ms());
    let writer = Writer { store: &*world.store, run: &world.run, now_ms, time: order.time };
    let trusted = history.trusted_commit().and_then(|commit| scenes.at(&CommitSha(commit.clone())).ok());
    let slots = [trusted.unwrap_or_else(|| head_scene.clone()), head_scene.clone()];
    let replica = Replica::new(writer, history, share);
    let mut run = Converge {
        world,
        scenes,
        bringing: order.head.clone(),
        order,
        leases: Leases::new(lease),
        replica: &replica,
        court,
        met: BTreeSet::new(),
        takeover: Takeover::default(),
        slots,
        whole: Vec::new(),
        done: Converged::default(),
    };
    let ran = run.run(&head_scene).await;

    let Converge { leases, court, order, mut done, .. } = run;
    let is_at_work = done.given_up || ran.is_err() && replica.may_have_in_flight(&leases);
    match is_at_work {
        false => {
            for lease in leases.into_all() {
                give_back(world, lease).await;
            }
        }
        // Something may still be at work that cannot be stopped: the leases end with the process, and not before.
        true => std::mem::forget(leases),
    }
    ran.map_err(|failure| if is_at_work { failure.and_then(LEFT_UNKNOWN) } else { failure })?;
    keep_waiting(world, &order.head, &court, &done).await;
    done.notes.extend(court.void());
    done.puts_back = matches!(order.aim, Aim::PutBack { .. });
    done.is_shard = order.sharing.is_some();
    done.history = replica.into_history();
    done.head_scene = Some(head_scene);
    Ok(done)
}

/// The journal could not be told of what was in flight.
const LEFT_UNKNOWN: &str =
    "isobar status tells what is unknown until then, and what was applied before stands there; isobar recover looks at it";

/// What is known once nobody else writes about these targets, when the head may be brought.
async fn admitted<'a>(
    world: &'a World,
    scenes: &'a Scenes<'a>,
    order: &Order<'a>,
    head_scene: &Arc<Scene>,
) -> Result<(History, Court<'a>), Failure> {
    let history = world.store.history().await?;
    admit::never_older(world, scenes, &history, &order.head, head_scene)?;
    let case = Case { head: Some(order.head.clone()), reviews: order.reviews, ..Case::default() };
    let mut court = Court::open(world, scenes, &history, case).await?;
    let is_selected = |id: &TargetId| head_scene.fleet.target(id).is_none_or(|target| order.selector.matches(target));
    let shown = court.shown_last(|id| match &order.aim {
        Aim::Bring | Aim::GoOn => is_selected(id),
        Aim::PutBack { reviewed, .. } => reviewed.contains(id),
    });
    court.take(order.reviews, shown).await?;
    Ok((history, court))
}

/// Gives the lease back. When that fails, what was done is told all the same, and how the targets become free.
async fn give_back(world: &World, lease: Lease) {
    if let Err(error) = world.store.release(lease).await {
        not_released(world, &error);
    }
}

fn not_released(world: &World, error: &StoreError) {
    let run = &world.run;
    let hint = format!("isobar recover --release {run} --reason \"it has ended\" frees what this run held");
    world.terminal.complain(&format!("the lease could not be given back: {error}\n  hint: {hint}"));
}

fn holder(world: &World) -> Holder {
    let set = |name: &str| world.environment.get(name).map(Arc::from);
    let job = || {
        let (run_id, attempt) = (set("GITHUB_RUN_ID")?, set("GITHUB_RUN_ATTEMPT")?);
        Some(Job {
            repository: set("GITHUB_REPOSITORY")?,
            run_id,
            attempt,
            name: set("GITHUB_JOB")?,
            server: set("GITHUB_SERVER_URL"),
        })
    };
    let host = set("HOSTNAME").unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into());
    let job = job().filter(|_| world.environment.on_actions());
    Holder { run: world.run.clone(), host, pid: std::process::id(), since_ms: world.clock.now_ms(), job }
}

/// What a shard needs of the world.
fn means(world: &World) -> Means<'_> {
    let began = tokio::time::Instant::now();
    Means {
        holder: Box::new(|| holder(world)),
        not_released: Box::new(|error| not_released(world, &error)),
        elapsed: Box::new(move || began.elapsed()),
        sleep: Box::new(|pause| Box::pin(tokio::time::sleep(pause))),
        stop: &world.stop,
    }
}

/// Keeps what waits as it was shown now, so that the one command that approves it has something to be bound to.
async fn keep_waiting(world: &World, head: &CommitSha, court: &Court<'_>, done: &Converged) {
    let waits = |end: &&End| matches!(end.outcome, EndState::NotCleared(_, false));
    let waiting: Vec<Arc<Preview>> = done.ends.values().filter(waits).filter_map(|end| end.preview.clone()).collect();
    let digests: BTreeSet<Arc<str>> = waiting.iter().map(|preview| preview.digest().as_str().into()).collect();
    if !waiting.is_empty() && digests != court.shown_last(|_| true).into_iter().collect() {
        let whole = done.rollouts.iter().filter_map(|progress| progress.rollout().whole).reduce(Extent::at_least);
        keep(world, Some(head), None, None, whole, waiting.into_iter().map(Ok).collect()).await;
    }
}

impl Converge<'_> {
    async fn run(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let paused = paused(&self.history());
        let (may_begin, taken_up) = (paused.is_none(), self.taken_up()?);
        refuse_first(self.world, self.scenes, &self.court, &self.history(), head, self.order.selector)?;
        self.announce(head).await?;
        self.go_on(head).await?;
        match (self.order.aim.clone(), &paused) {
            (Aim::Bring, None) if self.replica.is_shared() => self.bring_together(head).await?,
            (Aim::PutBack { strayed, .. }, _) => self.put_back(head, &strayed, paused.as_deref()).await?,
            (Aim::Bring, None) => {
                while self.begin(head).await? {}
                self.give_way().await?;
            }
            (Aim::Bring, Some(_)) | (Aim::GoOn, _) => self.begin_nothing(head, paused.as_deref())?,
        }
        if let Some(why) = paused {
            self.say_paused(&why);
        }
        // A run that may begin nothing does not take the head up: its policy speaks for nobody yet.
        let at = match self.order.aim {
            Aim::Bring if may_begin => Some(head.clone()),
            Aim::Bring | Aim::GoOn if self.met.is_empty() => None, // and went on with nothing
            Aim::Bring | Aim::GoOn | Aim::PutBack { .. } => taken_up.map(|commit| self.scenes.at(&commit)).transpose()?,
        };
        match at {
            // Nor does anybody say where the fleet is while something may still be at work.
            Some(scene) if self.leaves_behind(&scene)? || self.done.given_up => self.settled(&scene, None).map(drop),
            Some(scene) => self.settle(&scene).await,
            None => Ok(()),
        }
    }

    /// Says, and notes, that a commit lacks what an apply took up before: whatever it brought, it takes back no rule that holds since.
    fn leaves_behind(&mut self, scene: &Scene) -> Result<bool, Failure> {
        let (Some(commit), Some(newest)) = (&scene.snapshot.commit, self.taken_up()?) else { return Ok(false) };
        let lacks = !self.world.workspace.is_ancestor(&newest, commit)?;
        if lacks {
            let (commit, newest) = (commit.short(), newest.short());
            self.done
                .notes
                .push(format!("{commit} does not hold {newest}, which was taken up before: what that says goes on counting"));
        }
        Ok(lacks)
    }

    /// The newest commit that an apply took up before this run.
    fn taken_up(&self) -> Result<Option<CommitSha>, Failure> {
        let history = self.history();
        let settled = history.last_commit().filter(|commit| self.world.workspace.commit(commit).is_ok());
        let mut newest: Option<CommitSha> = None;
        for commit in settled.into_iter().chain(history.rollouts().map(|progress| &progress.rollout().commit)) {
            let commit = CommitSha(commit.clone());
            let is_newer = newest.as_ref().map_or(Ok(true), |newest| self.world.workspace.is_ancestor(newest, &commit))?;
            newest = if is_newer { Some(commit) } else { newest };
        }
        Ok(newest)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.replica.history()
    }

    fn looks(&self) -> Looks<'_> {
        self.looks_beside(0)
    }

    /// As many at once as there is room for beside what is in flight; one in any case.
    fn looks_beside(&self, in_flight: usize) -> Looks<'_> {
        let parallel = self.order.parallel;
        looks(self.world, if parallel == 0 { 0 } else { parallel.saturating_sub(in_flight).max(1) })
    }

    async fn append(&self, events: Vec<Event>) -> Result<(), Failure> {
        Ok(self.replica.append(events, &self.leases).await?)
    }

    async fn announce(&self, head: &Arc<Scene>) -> Result<(), Failure> {
        let by = self.world.workspace.operator().unwrap_or(User("unknown".into()));
        let event = Event::RunStarted { verb: self.order.verb, commit: self.order.head.0.clone(), by, pull_request: None };
        if self.replica.announce(event, &self.leases).await? {
            admit::never_older(self.world, self.scenes, &self.history(), &self.order.head, head)?;
        }
        Ok(())
    }

    /// Begins what nobody began and goes on with what others did, until there is nothing more.
    async fn bring_together(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        loop {
            self.replica.catch_up().await?;
            admit::never_older(self.world, self.scenes, &self.history(), &self.order.head, head)?;
            self.go_on(head).await?;
            if !self.begin(head).await? {
                return self.give_way().await;
            }
        }
    }

    /// Journals where the fleet is now: every selected target is what the scene says, except those that still have something to
    /// do. That is asked of history again: a target without an end is behind, never done. Whoever was overtaken meanwhile says it to
    /// people only.
    async fn settle(&mut self, scene: &Arc<Scene>) -> Result<(), Failure> {
        loop {
            self.replica.catch_up().await?;
            let overtaken = self.overtaken(scene)?;
            let settled = self.settled(scene, overtaken.as_ref())?;
            if overtaken.is_some() || self.replica.append_as_last(settled, &self.leases).await? {
                return Ok(());
            }
        }
    }

    /// Others brought something newer, while we brought what we had begun.
    fn overtaken(&self, scene: &Arc<Scene>) -> Result<Option<Older>, Failure> {
        match self.order.aim {
            Aim::Bring if self.replica.is_shared() => {
                admit::older(self.world, self.scenes, &self.history(), &self.order.head, scene)
            }
            Aim::Bring | Aim::GoOn | Aim::PutBack { .. } => Ok(None),
        }
    }

    fn settled(&mut self, scene: &Arc<Scene>, overtaken: Option<&Older>) -> Result<Event, Failure> {
        let left = since_applied(self.scenes, &self.history(), scene, self.order.selector)?;
        let (left, is_part) = match &self.order.aim {
            Aim::PutBack { strayed, .. } => (left.only(|id| strayed.contains(id)), true),
            Aim::Bring | Aim::GoOn => (left, !self.order.selector.is_empty()),
        };
        let why: Arc<str> = match overtaken {
            _ if self.done.interrupted => "the run was stopped by a signal before its turn".into(),
            Some(Older { what, hint }) => format!("{what}; {hint}").into(),
            None => "merged and not yet brought: isobar apply".into(),
        };
        for pending in &left.pending {
            self.not_begun(&pending.target.id, &why);
        }
        let history = self.history();
        let is_known = |(nth, id): &(usize, TargetId)| *nth == 0 || history.target(id).is_some_and(exists);
        let known = |names: Vec<TargetId>| names.into_iter().enumerate().filter(is_known).map(|(_, id)| id).collect::<Vec<_>>();
        let behind = left.pending.iter().flat_map(|pending| known(pending.names().collect())).collect();
        let selected = self.done.selected.iter().filter_map(|id| scene.fleet.target(id));
        let scope = is_part.then(|| selected.flat_map(|target| known(names(target).collect())).collect());
        let commit = scene.snapshot.commit.clone().unwrap_or_else(|| self.order.head.clone()).0;
        Ok(Event::Settled { commit, scope, behind })
    }
}
