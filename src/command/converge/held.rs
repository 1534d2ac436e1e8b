//! Targets that wait for a rollout that is open, and how what did not begin is told.

use super::{Converge, End, EndState, say_hold};
use crate::command::pending::{Pending, Work, since_applied};
use crate::command::say::short;
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::Hold;
use crate::rollout::{Outcome, Progress, STUCK, WaveState};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Converge<'_> {
    /// Says of all that is pending why this run does not begin it.
    pub(super) fn begin_nothing(&mut self, head: &Arc<Scene>, paused: Option<&str>) -> Result<(), Failure> {
        let work = since_applied(self.scenes, &self.history(), head, self.order.selector)?;
        self.account(&work);
        let held = self.held(&work);
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
    pub(super) fn say_held(&mut self, work: &Work) -> BTreeSet<TargetId> {
        let held = self.held(work);
        for (id, why) in &held {
            if !self.done.ends.contains_key(id) || self.may_go_on(id) {
                let end = self.waits(id, why);
                self.done.ends.insert(id.clone(), end);
            }
        }
        held.into_keys().collect()
    }

    /// Pending targets that wait for an earlier rollout, and for which.
    fn held(&self, work: &Work) -> BTreeMap<TargetId, String> {
        let history = self.history();
        let now_ms = self.world.clock.now_ms();
        let is_replaced = |progress: &&Progress| self.replaced.contains_key(&progress.rollout().id);
        let open = history.rollouts().filter(|progress| !is_replaced(progress));
        let rolling: Vec<(&Progress, BTreeSet<&str>)> =
            open.map(|progress| (progress, rolling_environments(progress, now_ms))).collect();
        let rolls = |id: &TargetId| {
            let of = |(progress, environments): &&(&Progress, BTreeSet<&str>)| {
                environments.contains(id.region.environment()) && progress.contains(id)
            };
            rolling.iter().find(of).map(|(progress, _)| *progress)
        };
        let holds = |pending: &Pending| {
            pending.names().find_map(|id| history.holder(&id).filter(|it| !is_replaced(it)).or_else(|| rolls(&id)))
        };
        let say = |holder: &Progress| format!("rollout {} of {} holds it", holder.rollout().id, short(&holder.rollout().commit));
        let held = |pending: &Pending| Some((pending.target.id.clone(), say(holds(pending)?)));
        work.pending.iter().filter_map(held).collect()
    }
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
