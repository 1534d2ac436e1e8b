//! Rollouts that are open: a run goes on with one as a whole, or leaves it alone and says so.

use super::{Aim, Converge, RESUME, paused};
use crate::change::Intent;
use crate::command::pending::{Pending, Work, exists, names, since_applied};
use crate::command::say::{count, say_until, short};
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::Event;
use crate::review::CommitSha;
use crate::rollout::{Ending, Now, Outcome, Progress, Rollout, Takeover, Todo};
use crate::stack::{Selector, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Converge<'_> {
    /// Goes on with rollouts that are open, as far as this run is about all that they have yet to bring. A stopped one holds its
    /// targets, until `resume` or until the head takes back what it brought.
    pub(super) async fn go_on(&mut self, head: &Arc<Scene>) -> Result<(), Failure> {
        let open: Vec<Arc<str>> = self.history().rollouts().map(|progress| progress.rollout().id.clone()).collect();
        for id in open {
            let is_new = self.met.insert(id.clone());
            while is_new && !self.go_on_with(head, &id).await? {}
        }
        Ok(())
    }

    /// Goes on with one of them as history has it now; `false` when others wrote before it could be ended: then it is decided anew.
    async fn go_on_with(&mut self, head: &Arc<Scene>, id: &str) -> Result<bool, Failure> {
        let Some(progress) = self.history().rollout(id).cloned() else { return Ok(true) }; // others brought it to its end
        let stopped = match progress.ending() {
            Some(Ending::Complete) => return Ok(true),
            Some(Ending::Stopped(why)) => Some(why),
            None => None,
        };
        match (stopped, self.beyond(&progress)?) {
            (Some(why), beyond) => return self.stopped(head, progress, &why, beyond.is_none()).await,
            (None, Some(beyond)) => self.leave_alone(&progress, &beyond),
            (None, None) => match self.is_taken_over(head, &progress).await? {
                None => return Ok(false),
                Some(true) => {}
                Some(false) => self.go_on_alone(progress).await?,
            },
        }
        Ok(true)
    }

    /// Goes on with a rollout as it was planned.
    pub(super) async fn go_on_alone(&mut self, progress: Progress) -> Result<(), Failure> {
        let scene = self.scenes.at(&CommitSha(progress.rollout().commit.clone()))?;
        let work = self.work_of(&progress, &scene)?;
        self.drive(progress, work).await.map(drop)
    }

    /// Why this run is not about all that a rollout has yet to bring; `None` when it is.
    fn beyond(&self, progress: &Progress) -> Result<Option<String>, Failure> {
        if matches!(self.order.aim, Aim::PutBack { .. }) && !self.puts_back(progress) {
            return Ok(Some("a fix does not go on with it".into()));
        }
        if self.order.selector.is_empty() {
            return Ok(None);
        }
        let scene = self.scenes.at(&CommitSha(progress.rollout().commit.clone()))?;
        let work = self.work_of(progress, &scene)?;
        let is_selected = |id: &TargetId| work.get(id).is_some_and(|pending| self.order.selector.matches(&pending.target));
        let unfinished: Vec<TargetId> = unfinished(progress).cloned().collect();
        let beyond = unfinished.iter().filter(|id| !is_selected(id)).count();
        let of = count(unfinished.len(), "unfinished target", "unfinished targets");
        let verb = if beyond == 1 { "is" } else { "are" };
        Ok((beyond > 0).then(|| format!("{beyond} of its {of} {verb} not selected")))
    }

    /// A fix: each of its targets had been brought before to the very commit that it brings.
    fn puts_back(&self, progress: &Progress) -> bool {
        let (history, rollout) = (self.history(), progress.rollout());
        let mut planned = rollout.waves.iter().flat_map(|wave| &wave.targets);
        planned.all(|planned| planned.intent == Intent::Converge && history.commit_of(&planned.target) == Some(&rollout.commit))
    }

    /// Says that a rollout waits, and what goes on with it. Its targets are held like those of any open rollout.
    fn leave_alone(&mut self, progress: &Progress, why: &str) {
        let rollout = progress.rollout();
        let (id, commit) = (&rollout.id, short(&rollout.commit));
        self.done.notes.push(format!("rollout {id} of {commit} is left alone and its targets wait: {why}"));
        let pause = paused(&self.history());
        let now = Now { paused: pause.as_deref(), ..Now::at(self.world.clock.now_ms()) };
        if !progress.breaches(&now).is_empty() {
            self.done.next.push(RESUME.into());
            self.done.rollouts.push(progress.clone()); // it stopped in part, whoever is to go on with it
        }
        let mut from = String::new();
        for todo in progress.next(&Now::at(self.world.clock.now_ms())) {
            if let Todo::Wait { until_ms, why, .. } = todo {
                from = format!(" from {} on", say_until(until_ms));
                self.done.wait = Some((until_ms, why)); // it bakes, so nobody could go on with it now
            }
        }
        self.done.next.push(format!("isobar tick  (goes on with it{from}; so does isobar apply without a selector)"));
    }

    /// Nobody brings on what was taken back meanwhile, also where nothing had stopped it.
    fn leave_to_an_apply(&mut self, progress: &Progress) {
        let (id, commit) = (&progress.rollout().id, short(&progress.rollout().commit));
        let head = self.order.head.short();
        self.done.notes.push(format!("rollout {id} of {commit} is left alone: {head} takes back what it brought"));
        self.done.next.push("isobar apply  (takes back what was reverted)".into());
    }

    /// The head goes on in the place of an older rollout: it takes back all that this had yet to bring, or the rollout had stopped and
    /// was resumed, and what it had yet to bring may be what was mended since. Says `false` when the rollout is to go on by itself, and
    /// `None` when others wrote meanwhile.
    ///
    /// It keeps its place until the new plan says so: a run that is killed between the two would forget its waves.
    async fn is_taken_over(&mut self, head: &Arc<Scene>, progress: &Progress) -> Result<Option<bool>, Failure> {
        let (id, commit) = (progress.rollout().id.clone(), self.order.head.0.clone());
        let is_older = progress.rollout().commit != commit;
        if matches!(self.order.aim, Aim::PutBack { .. }) || !is_older {
            return Ok(Some(false));
        }
        let has_left = unfinished(progress).next().is_some();
        if !has_left && (!progress.was_resumed() || progress.unverified(self.world.clock.now_ms()).is_empty()) {
            return Ok(Some(false)); // it bakes
        }
        // What a fix puts back is no change of any commit, so none takes it back by not touching it.
        let is_over = !has_left || !self.puts_back(progress) && self.takes_back(head, progress)?;
        if is_over {
            match self.order.aim {
                Aim::Bring => return Ok(self.end(head, progress).await?.then_some(true)),
                Aim::GoOn | Aim::PutBack { .. } => self.leave_to_an_apply(progress),
            }
            return Ok(Some(true));
        }
        if !matches!(self.order.aim, Aim::Bring) || !progress.was_resumed() {
            return Ok(Some(false));
        }
        let now_called = self.now_called(head);
        let is_added = self.takeover.add(progress, self.world.clock.now_ms(), now_called);
        if !is_added {
            let (of, head) = (short(&progress.rollout().commit), self.order.head.short());
            self.done.notes.push(format!(
                "rollout {id} of {of} was resumed and goes on by itself before {head} does: this run brings nothing of a wave that \
                 it has not proven"
            ));
        }
        Ok(Some(is_added))
    }

    /// The names that a target of an earlier rollout has now: those of the head, or its own while it is to be destroyed.
    fn now_called(&self, head: &Scene) -> impl Fn(&TargetId) -> Vec<TargetId> + use<> {
        let mut called: BTreeMap<TargetId, Vec<TargetId>> = BTreeMap::new();
        let selected = head.fleet.targets().iter().filter(|target| self.order.selector.matches(target));
        for target in selected {
            names(target).for_each(|name| called.entry(name).or_default().push(target.id.clone()));
        }
        let history = self.history();
        let left = history.targets().filter(|(id, record)| head.fleet.target(id).is_none() && exists(record));
        for (id, _) in left {
            called.entry(id.clone()).or_insert_with(|| vec![id.clone()]);
        }
        move |id| called.get(id).cloned().unwrap_or_default()
    }

    pub(super) fn say_taken_over(&mut self, rollout: &Rollout) {
        let (id, commit) = (&rollout.id, short(&rollout.commit));
        self.done.notes.push(format!("rollout {id} of {commit} was resumed; {} goes on in its place", self.order.head.short()));
    }

    /// Only a run that is about all of a stopped rollout may take it back: what it freed would else wait for nobody.
    async fn stopped(&mut self, head: &Arc<Scene>, progress: Progress, why: &str, is_whole: bool) -> Result<bool, Failure> {
        let is_newer = is_whole && matches!(self.order.aim, Aim::Bring) && *progress.rollout().commit != *self.order.head.0;
        let has_left = unfinished(&progress).next().is_some();
        if is_newer && (!has_left || self.takes_back(head, &progress)?) {
            return self.end(head, &progress).await;
        }
        self.say_stopped(progress, why);
        Ok(true)
    }

    /// Ends a rollout of which nothing more is to come, when all that it brought is at something newer or gone: until then nobody knows
    /// what its waves would have shown. What is not is gone through in the next plan. `false` when others wrote since it was read: they may
    /// have brought something of it.
    async fn end(&mut self, head: &Arc<Scene>, progress: &Progress) -> Result<bool, Failure> {
        let now_called = self.now_called(head);
        let (now_ms, commit) = (self.world.clock.now_ms(), &progress.rollout().commit);
        let is_there = |id: &TargetId| self.history().commit_of(id) == Some(commit);
        let left: Vec<TargetId> = progress.unverified(now_ms).iter().flat_map(&now_called).filter(is_there).collect();
        if !left.is_empty() && self.takeover.add_over(progress, now_ms, now_called) {
            return Ok(true);
        }
        let rollout = progress.rollout().id.clone();
        let superseded = Event::Superseded { rollout, commit: self.order.head.0.clone() };
        if !self.replica.decide(vec![superseded], &self.leases).await? {
            return Ok(false);
        }
        self.say_ended(progress);
        Ok(true)
    }

    /// Ends rollouts of which nothing more was to come, as far as the plan in their place brought what they had not proven.
    pub(super) async fn end_over(&mut self, head: &Arc<Scene>, over: Vec<Progress>) -> Result<(), Failure> {
        for progress in over {
            loop {
                let Some(now) = self.history().rollout(&progress.rollout().id).cloned() else {
                    self.say_ended(&progress); // the plan has all of it
                    break;
                };
                if self.end(head, &now).await? {
                    break;
                }
            }
        }
        let left = std::mem::take(&mut self.takeover);
        self.say_not_ended(&left);
        Ok(())
    }

    /// Takes over nothing more: what was resumed goes on as it was planned, and of what was to end it is said that it waits.
    pub(super) async fn give_way(&mut self) -> Result<(), Failure> {
        let takeover = std::mem::take(&mut self.takeover);
        self.say_not_ended(&takeover);
        for rollout in takeover.rollouts() {
            let progress = self.history().rollout(&rollout.id).cloned();
            if let Some(progress) = progress {
                self.go_on_alone(progress).await?;
            }
        }
        Ok(())
    }

    fn say_not_ended(&mut self, takeover: &Takeover) {
        for over in takeover.over() {
            let progress = self.history().rollout(&over.id).cloned();
            match progress.as_ref().and_then(Progress::ending) {
                Some(Ending::Stopped(why)) => progress.into_iter().for_each(|progress| self.say_stopped(progress, &why)),
                Some(Ending::Complete) | None => {
                    let (id, of) = (&over.id, short(&over.commit));
                    let what = "its targets wait until what it brought is taken back";
                    self.done.notes.push(format!("rollout {id} of {of} goes on no more; {what}"));
                }
            }
        }
    }

    fn say_ended(&mut self, progress: &Progress) {
        let id = &progress.rollout().id;
        let free = match unfinished(progress).next() {
            Some(_) => "the head takes back what it brought, so its targets are free".into(),
            None => format!("all of its targets were brought, so {} goes on in its place", self.order.head.short()),
        };
        self.done.notes.push(match progress.ending() {
            Some(Ending::Stopped(why)) => format!("rollout {id} had stopped ({why}); {free}"),
            Some(Ending::Complete) | None => format!("rollout {id} of {}: {free}", short(&progress.rollout().commit)),
        });
    }

    fn say_stopped(&mut self, progress: Progress, why: &str) {
        let (id, has_left) = (&progress.rollout().id, unfinished(&progress).next().is_some());
        let held = if has_left { "its targets wait" } else { "all of its targets were brought" };
        self.done.notes.push(format!("rollout {id} of {} is stopped: {why}; {held}", short(&progress.rollout().commit)));
        self.done.next.push("isobar resume (then isobar apply), or revert the change and isobar apply".into());
        self.done.rollouts.push(progress);
    }

    /// Nothing that the stopped rollout had yet to bring is in the head: the targets it did not reach, and those that failed, are
    /// what the head says.
    fn takes_back(&self, head: &Arc<Scene>, progress: &Progress) -> Result<bool, Failure> {
        let work = since_applied(self.scenes, &self.history(), head, &Selector::default())?;
        let touched = work.pending.iter().filter(|pending| !pending.reasons.is_empty());
        let touched: BTreeSet<TargetId> = touched.flat_map(Pending::names).collect();
        Ok(!unfinished(progress).any(|id| touched.contains(id)))
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
}

/// Targets that a rollout has yet to bring; those of a stopped one are also those that it tried in vain.
fn unfinished(progress: &Progress) -> impl Iterator<Item = &TargetId> {
    let has_stopped = progress.ending().is_some();
    let planned = progress.rollout().waves.iter().flat_map(|wave| &wave.targets).map(|planned| &planned.target);
    planned.filter(move |target| match progress.outcome(target) {
        None => true,
        Some(Outcome::Applied | Outcome::Unchanged) => false,
        Some(Outcome::Failed(_) | Outcome::NotCleared(_) | Outcome::Skipped(_)) => has_stopped,
    })
}
