//! Targets that wait for a rollout that is open, and how what did not begin is told.

use super::{Aim, Converge, End, EndState, say_hold};
use crate::command::pending::{Pending, Work, since_applied};
use crate::command::say::short;
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::Hold;
use crate::review::CommitSha;
use crate::rollout::{Bars, Outcome, Progress, STUCK};
use crate::stack::{StackName, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Converge<'_> {
    /// Says of all that is pending why this run does not begin it.
    pub(super) fn begin_nothing(&mut self, head: &Arc<Scene>, paused: Option<&str>) -> Result<(), Failure> {
        let work = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
        self.account(&work);
        let held = self.held(&work, head);
        let holds: Vec<Hold> = self.history().holds(self.world.clock.now_ms()).into_iter().cloned().collect();
        for pending in &work.pending {
            let id = &pending.target.id;
            match (paused.or(held.get(id).map(String::as_str)), self.not_by_an_apply(id, &holds)) {
                (None, Some(outcome)) if !self.done.ends.contains_key(id) => {
                    self.done.ends.insert(id.clone(), End { outcome, preview: None, verdict: None });
                }
                (Some(why), _) => self.not_begun(id, why),
                (None, _) => {
                    if !self.done.ends.contains_key(id) {
                        self.done.next.push("isobar apply  (begins what was merged)".into());
                    }
                    self.not_begun(id, "merged and not yet part of a rollout: isobar apply");
                }
            }
        }
        Ok(())
    }

    /// Why an apply would not begin it either.
    fn not_by_an_apply(&self, id: &TargetId, holds: &[Hold]) -> Option<EndState> {
        if self.history().target(id).is_some_and(|record| record.awaits_resume(&self.order.head.0)) {
            return Some(EndState::Skipped(STUCK.into()));
        }
        let hold = holds.iter().find(|hold| hold.region == id.region)?;
        match Outcome::held(&say_hold(hold)) {
            Outcome::Skipped(why) => Some(EndState::Skipped(why)),
            Outcome::Applied | Outcome::Unchanged | Outcome::Failed(_) | Outcome::NotCleared(_) => None,
        }
    }

    /// Notes which targets this run is about.
    pub(super) fn account(&mut self, work: &Work) {
        self.done.untouched = work.untouched.clone();
        let known: BTreeSet<TargetId> = self.done.selected.iter().cloned().collect();
        let all = work.untouched.iter().chain(work.pending.iter().map(|pending| &pending.target.id));
        self.done.selected.extend(all.filter(|id| !known.contains(*id)).cloned());
    }

    /// Tells of a target that has no end yet why it was not begun; one whose outcome is unknown stays that.
    pub(super) fn not_begun(&mut self, id: &TargetId, why: &str) {
        if !self.done.ends.contains_key(id) {
            let end = self.waits(id, why);
            self.done.ends.insert(id.clone(), end);
        }
    }

    fn waits(&self, id: &TargetId, why: &str) -> End {
        let outcome = match self.history().is_unknown(id) {
            true => EndState::Unknown(format!("started, no outcome; {why}").into()),
            false => EndState::NotStarted(why.into()),
        };
        End { outcome, preview: None, verdict: None }
    }

    /// Says which targets wait for an earlier rollout, and returns them.
    pub(super) fn say_held(&mut self, work: &Work, head: &Scene) -> BTreeSet<TargetId> {
        let held = self.held(work, head);
        for (id, why) in &held {
            if !self.done.ends.contains_key(id) || self.may_go_on(id) {
                let end = self.waits(id, why);
                self.done.ends.insert(id.clone(), end);
            }
        }
        held.into_keys().collect()
    }

    /// Pending targets that wait for an earlier rollout, and for which. A fix waits for less: it brings nothing newer.
    fn held(&self, work: &Work, head: &Scene) -> BTreeMap<TargetId, String> {
        let history = self.history();
        let now_ms = self.world.clock.now_ms();
        let open = history.rollouts().filter(|progress| !self.takeover.takes(&progress.rollout().id));
        let bars = |progress| {
            let scene = self.scenes.at(&CommitSha(Progress::rollout(progress).commit.clone())).ok();
            let was: BTreeMap<&StackName, &[StackName]> =
                scene.iter().flat_map(|scene| &scene.fleet.stacks).map(|stack| (&stack.name, &*stack.was)).collect();
            progress.bars(now_ms).also_called(|name| was.get(name).map_or_else(Vec::new, |was| was.to_vec()))
        };
        let bars: Vec<Bars<'_>> = open.map(bars).collect();
        let is_fix = matches!(self.order.aim, Aim::PutBack { .. });
        let bars = |pending: &Pending, id: &TargetId| {
            let environment = pending.target.region.id.environment();
            let before = || self.court.behind(&pending.target.id, work, &history).ok(); // told when it is planned
            let comes_after = |early: &str| {
                head.settings.comes_after(environment, early)
                    || before().is_some_and(|scene| scene.settings.comes_after(environment, early))
            };
            let it = bars.iter().find(|it| if is_fix { it.rolls(id) } else { it.bar(id, comes_after) });
            it.map(Bars::of)
        };
        let holds = |pending: &Pending| {
            let holder = |id: &TargetId| history.holder(id).filter(|it| !self.takeover.takes(&it.rollout().id));
            pending.names().find_map(|id| holder(&id).or_else(|| bars(pending, &id)))
        };
        let say = |holder: &Progress| format!("rollout {} of {} holds it", holder.rollout().id, short(&holder.rollout().commit));
        let held = |pending: &Pending| Some((pending.target.id.clone(), say(holds(pending)?)));
        work.pending.iter().filter_map(held).collect()
    }
}
