//! Beginning rollouts: of what was merged, or to put back what drifted.

use super::admit::never_older;
use super::watch::paused;
use super::{Converge, End, EndState, gate};
use crate::change::{Extent, Intent};
use crate::command::court::Court;
use crate::command::look::look;
use crate::command::paces::paces;
use crate::command::pending::{Pending, Work, refuse_moved, refuse_taken, since_applied};
use crate::command::scene::{Scene, Scenes};
use crate::command::standing::Standing;
use crate::exit::Failure;
use crate::journal::{Event, History};
use crate::review::CommitSha;
use crate::rollout::{Progress, Rollout, Takeover};
use crate::runner::Halt;
use crate::stack::{Selector, TargetId};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Converge<'_> {
    /// Begins one rollout of what is pending and free; `false` when nothing is left that could make progress.
    pub(super) async fn begin(&mut self, head: &Arc<Scene>) -> Result<bool, Failure> {
        let work = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
        let open: BTreeSet<Arc<str>> = self.history().rollouts().map(|progress| progress.rollout().id.clone()).collect();
        self.takeover.retain(|id| open.contains(id));
        let work = taking_along(work, head, &self.takeover.unproven());
        let now_paused = paused(&self.history());
        if let Some(why) = now_paused {
            self.begin_nothing(head, Some(&why))?; // somebody paused while we drove
            self.say_paused(&why);
            return Ok(false);
        }
        refuse_taken(self.world, &work, head)?;
        refuse_moved(self.world, self.scenes, &self.history(), &work, head)?;
        self.account(&work);
        let mut free = self.free(&work, head);
        let theirs = self.takeover.targets();
        if work.pending.iter().map(|pending| &pending.target.id).any(|id| theirs.contains(id) && !free.contains(id)) {
            // All that is left of a rollout goes on together, in its place, or by itself.
            self.give_way().await?;
            free = self.free(&work, head);
        }
        if free.is_empty() || self.done.interrupted {
            return Ok(false);
        }
        if self.replica.is_written_elsewhere(&free).await? {
            let is_worth_it = self.replica.wait_for_others().await?;
            if !is_worth_it {
                let why = self.say_halt(if self.replica.is_late() { &Halt::Late } else { &Halt::Others });
                free.iter().for_each(|id| self.not_begun(id, &why));
            }
            self.done.interrupted |= self.world.stop.is_asked();
            return Ok(is_worth_it);
        }

        let work = work.only(|id| free.contains(id));
        let whole = self.whole_of(&work, head).await?;
        if self.world.stop.is_asked() {
            self.done.interrupted = true;
            return Ok(false); // what was counted may be but a part
        }
        if self.replica.is_shared() {
            // Others may have brought something newer while we drove.
            never_older(self.world, self.scenes, &self.history(), &self.order.head, head)?;
        }
        let takeover = std::mem::take(&mut self.takeover);
        let over: Vec<Progress> =
            self.history().rollouts().filter(|it| takeover.over().any(|over| over.id == it.rollout().id)).cloned().collect();
        let mut rollout = self.plan(head, &self.order.head, &work, takeover.clone())?;
        (rollout.whole, rollout.beside) = whole.unzip();
        let Some(progress) = self.replica.plan(rollout, &takeover, &self.leases).await? else {
            self.takeover = takeover;
            return Ok(true); // somebody was first
        };
        takeover.rollouts().for_each(|rollout| self.say_taken_over(rollout));
        self.met.insert(progress.rollout().id.clone());
        let went_back = self.drive(progress, work).await?;
        self.end_over(head, over).await?;
        // A target that was brought to an older commit may go on to the head: once around again.
        Ok(!went_back.is_empty() && !self.done.interrupted)
    }

    /// The whole change that `work` is of, and its other targets, where rules count them.
    async fn whole_of(&mut self, work: &Work, head: &Arc<Scene>) -> Result<Option<(Extent, Vec<TargetId>)>, Failure> {
        self.whole.clear();
        if !self.court.counts_targets(work, &self.history())? {
            return Ok(None);
        }
        let all = since_applied(self.scenes, &self.history(), head, &Selector::default())?;
        let others = all.pending.iter().map(|pending| &pending.target.id).filter(|id| work.get(id).is_none());
        let others = others.cloned().collect();
        Ok(Some((self.count(&all).await, others)))
    }

    /// What is pending, and neither waits for an earlier rollout nor was tried in this run. A stack that goes on in an environment goes on
    /// there as a whole, also with what was tried: whoever was left out would come later, and round what the others were to show.
    fn free(&mut self, work: &Work, head: &Scene) -> BTreeSet<TargetId> {
        let held = self.say_held(work, head);
        let pending: Vec<&TargetId> = work.pending.iter().map(|pending| &pending.target.id).collect();
        let pending = || pending.iter().copied().filter(|id| !held.contains(*id));
        let is_tried = |id: &TargetId| self.done.ends.contains_key(id) && !self.may_go_on(id);
        let place = |id: &TargetId| (id.stack.clone(), Arc::<str>::from(id.region.environment()));
        let goes_on: BTreeSet<_> = pending().filter(|id| !is_tried(id)).map(place).collect();
        pending().filter(|id| goes_on.contains(&place(id))).cloned().collect()
    }

    /// Looks at a whole change, for rules that count it whatever part of it is brought; what cannot be seen counts as well.
    async fn count(&mut self, whole: &Work) -> Extent {
        let standing = Standing::of(self.scenes, &self.history(), whole);
        let seen = look(self.world, whole, &standing, self.looks()).await;
        let extent = Extent::of_answers(&seen);
        self.whole = seen.into_iter().flatten().collect();
        self.whole.iter_mut().for_each(|preview| Arc::make_mut(preview).strip());
        extent
    }

    /// Puts drifted targets back to what they were brought to, each to its own commit: what was merged since comes by an apply,
    /// in its own order.
    pub(super) async fn put_back(
        &mut self,
        head: &Arc<Scene>,
        strayed: &BTreeSet<TargetId>,
        paused: Option<&str>,
    ) -> Result<(), Failure> {
        self.done.selected.extend(strayed.iter().cloned());
        let rest = head.fleet.targets().iter();
        let rest = rest.filter(|target| self.order.selector.matches(target) && !strayed.contains(&target.id));
        self.done.untouched = rest.map(|target| target.id.clone()).collect();
        if let Some(why) = paused {
            strayed.iter().for_each(|id| self.not_begun(id, why));
            return Ok(());
        }
        // What an earlier fix had begun, this run went on with.
        let left = strayed.iter().filter(|id| !self.done.ends.contains_key(*id)).cloned().collect();
        let by_commit = self.by_commit(&left)?;
        let all = Work::of(by_commit.values().flatten().cloned().collect(), Vec::new(), None);
        let counts = self.court.counts_targets(&all, &self.history())?;
        let whole = if counts { Some(self.count(&all).await) } else { None };
        for (commit, pending) in by_commit {
            let work = Work::of(pending, Vec::new(), None);
            let held = self.say_held(&work, head);
            let work = work.only(|id| !held.contains(id));
            self.done.interrupted |= self.world.stop.is_asked();
            if work.pending.is_empty() || self.done.interrupted {
                continue;
            }
            let mut rollout = self.plan(head, &commit, &work, Takeover::default())?;
            rollout.whole = whole;
            self.append(vec![Event::Planned { rollout: rollout.clone() }]).await?;
            self.drive(Progress::new(rollout), work).await?;
        }
        Ok(())
    }

    /// Each target as the commit defines it at which it is.
    fn by_commit(&self, strayed: &BTreeSet<TargetId>) -> Result<BTreeMap<CommitSha, Vec<Pending>>, Failure> {
        let mut by_commit: BTreeMap<CommitSha, Vec<Pending>> = BTreeMap::new();
        for id in strayed {
            let Some(commit) = self.history().commit_of(id).cloned().map(CommitSha) else { continue };
            let scene = self.scenes.at(&commit)?;
            let Some(mut target) = scene.fleet.target(id).cloned() else { continue };
            if !target.stack.was.is_empty() {
                Arc::make_mut(&mut target.stack).was.clear(); // what is put back takes nothing over: its old names may be others' by now
            }
            by_commit.entry(commit).or_default().push(Pending { target, intent: Intent::Converge, scene, reasons: Vec::new() });
        }
        Ok(by_commit)
    }

    /// Plans a rollout that brings `work` to `commit`, in the place of those that it takes over.
    fn plan(&self, head: &Arc<Scene>, commit: &CommitSha, work: &Work, takeover: Takeover) -> Result<Rollout, Failure> {
        let id: Arc<str> = format!("{}-{}", commit.short(), self.history().rollout_number(&self.world.run)).into();
        let weighed =
            work.pending.iter().map(|pending| (pending.target.id.clone(), pending.intent, pending.target.region.weight));
        let graph = work.pending.first().map_or(&head.graph, |pending| match pending.intent {
            Intent::Converge => &pending.scene.graph,
            Intent::Destroy => &head.graph,
        });
        let before = work.before.as_ref().map(|scene| &scene.graph);
        let paces = paces(self.world, self.scenes, &self.court, &self.history(), head, work, takeover)?;
        let plan = Rollout::plan(id, commit.0.clone(), &paces, weighed.collect(), graph, before);
        let rollout = plan.map_err(|error| Failure::World(error.0, None))?;
        gate::refuse_missing(self.world, rollout.waves.iter().flat_map(|wave| &wave.gates))?;
        Ok(rollout)
    }

    /// It arrived in this run with an earlier rollout, and the head wants more of it. What did not arrive is not tried twice.
    pub(super) fn may_go_on(&self, id: &TargetId) -> bool {
        let arrived = |end: &End| matches!(end.outcome, EndState::Applied | EndState::Unchanged);
        self.done.ends.get(id).is_some_and(arrived)
            && self.history().commit_of(id).is_some_and(|commit| *commit != self.order.head.0)
    }
}

/// Brings targets along that nothing touches, as the head has them.
fn taking_along(work: Work, head: &Arc<Scene>, again: &BTreeSet<TargetId>) -> Work {
    let Work { mut pending, untouched, before, .. } = work;
    let (again, untouched): (Vec<TargetId>, _) = untouched.into_iter().partition(|id| again.contains(id));
    let targets = again.iter().filter_map(|id| head.fleet.target(id)).cloned();
    pending.extend(targets.map(|target| Pending { target, intent: Intent::Converge, scene: head.clone(), reasons: Vec::new() }));
    Work::of(pending, untouched, before)
}

/// Refuses a first run for which nobody speaks, or whose gates could only say no, before it leaves a trace: from then on it would
/// be so for ever. Of every environment, whatever part of the fleet is brought: what speaks for the rest is fixed with it.
pub(in crate::command) fn refuse_first(
    world: &World,
    scenes: &Scenes<'_>,
    court: &Court<'_>,
    history: &History,
    head: &Arc<Scene>,
    selector: &Selector,
) -> Result<(), Failure> {
    if history.first_commit().is_some() {
        return Ok(());
    }
    court.beginning(history)?;
    let work = since_applied(scenes, history, head, selector)?;
    gate::refuse_missing(world, paces(world, scenes, court, history, head, &work, Takeover::default())?.gates())
}
