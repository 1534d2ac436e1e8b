//! How each target came out.

use super::{Converge, paused};
use crate::change::Preview;
use crate::command::pending::Work;
use crate::command::say::{count, say_until};
use crate::command::scene::Scene;
use crate::journal::History;
use crate::policy::Verdict;
use crate::rollout::{Ending, Now, Outcome, Planned, Progress, Wave};
use crate::runner::Halt;
use crate::stack::{RegionId, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The step when something stopped, or failed and is not tried again by itself.
pub(crate) const RESUME: &str = "isobar resume (after mending the cause), then isobar apply";

/// The step when a run ended before all was begun.
pub(crate) const GOES_ON: &str = "isobar apply (goes on where this stopped)";

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
    /// Somebody paused: what was not begun waits as was asked.
    pub(crate) paused: bool,
    /// Something is left that nobody asked to wait for: another run has it, or it can never begin.
    pub(crate) left: bool,
    /// The run was to put back what drifted, and brings nothing else.
    pub(crate) puts_back: bool,
    /// One of several processes; each tells only what it met.
    pub(crate) is_shard: bool,
    /// Something in flight did not come back in time, and may still be at work.
    pub(crate) given_up: bool,
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

impl Converge<'_> {
    /// Turns what the rollout says into ends.
    pub(super) fn finish(&mut self, progress: &Progress, halt: Halt, mut ends: BTreeMap<TargetId, End>, work: &Work) {
        let unknown: BTreeSet<TargetId> = progress.unknown().into_iter().collect();
        let paused = paused(&self.history());
        let now = Now { paused: paused.as_deref(), ..Now::at(self.world.clock.now_ms()) };
        if progress.ending().is_none() && !progress.breaches(&now).is_empty() {
            self.done.next.push(RESUME.into()); // before what goes on beside it
        }
        let is_late = matches!(halt, Halt::Late);
        let mut why_not = String::new(); // of what is late each has its own
        if !is_late {
            why_not = self.say_halt(&halt);
        } else {
            let begins = |id: &TargetId| progress.outcome(id).is_some() || progress.is_in_flight(id) || unknown.contains(id);
            let found = || work.pending.iter().map(|pending| &pending.target.id);
            let longest_ms = found().filter(|id| !begins(id)).filter_map(|id| self.too_long_ms(id)).max();
            self.done.left |= longest_ms.is_some() && !self.is_spent(found()); // a job as short as this would never begin it
            self.say_late(longest_ms);
        }
        let [.., failed, _, _] = progress.counts();
        if failed > 0 && matches!(halt, Halt::Over(Ending::Complete)) {
            self.done.next.push(RESUME.into()); // tolerated, and not tried again before somebody says so
        }
        let barred = |id: &TargetId| progress.barred(id, &now).filter(|_| progress.ending().is_none());
        for pending in &work.pending {
            let id = &pending.target.id;
            let before = ends.remove(id);
            let outcome = match (progress.outcome(id), before.as_ref().map(|end| &end.outcome)) {
                (Some(outcome), known) => ended(outcome, known),
                (None, _) if progress.is_in_flight(id) => {
                    EndState::Unknown("still running when the run had to end: isobar recover".into())
                }
                (None, _) if unknown.contains(id) => EndState::Unknown("started, no outcome: isobar recover".into()),
                (None, _) if let Some(why) = barred(id) => {
                    EndState::NotStarted(format!("the rollout stopped here: {why}").into())
                }
                (None, _) if is_late => EndState::NotStarted(self.why_late(id).into()),
                (None, _) => EndState::NotStarted(why_not.clone().into()),
            };
            let (preview, verdict) = before.map_or((None, None), |end| (end.preview, end.verdict));
            let is_known =
                is_stuck(&outcome) && self.done.ends.get(id).is_some_and(|end| matches!(end.outcome, EndState::Failed(_)));
            if !is_known {
                self.done.ends.insert(id.clone(), End { outcome, preview, verdict });
            }
        }
        self.done.notes.extend(progress.rollout().waves.iter().filter_map(|wave| say_passed(progress, wave)));
    }

    /// Says what to do next; returns why what was not begun was not.
    pub(super) fn say_halt(&mut self, halt: &Halt) -> String {
        let next = &mut self.done.next;
        match halt {
            Halt::Over(Ending::Complete) | Halt::NeedsClearance(_) | Halt::NeedsLease(_) | Halt::Resumed => {
                "its wave was not reached".into()
            }
            Halt::Late => {
                self.say_late(None);
                "no time is left of the job; isobar tick goes on".into()
            }
            Halt::Others => {
                self.done.left = true; // what becomes of it, that run may never say
                next.push("isobar status (who writes), and then isobar tick or isobar apply".into());
                "another run is at work here, and wrote nothing for too long".into()
            }
            Halt::Over(Ending::Stopped(why)) => {
                next.push(RESUME.into());
                format!("the rollout stopped: {why}")
            }
            Halt::Wait { until_ms, why } => {
                next.push(format!("isobar tick  (goes on from {} on)", say_until(*until_ms)));
                self.done.wait = Some((*until_ms, why.clone()));
                format!("{why}; isobar tick goes on then")
            }
            Halt::Paused(why) => {
                self.say_paused(why);
                why.clone()
            }
            Halt::Interrupted | Halt::GivenUp => {
                let gave_up = matches!(halt, Halt::GivenUp);
                self.done.given_up |= gave_up;
                self.done.interrupted = self.world.stop.is_asked();
                if gave_up {
                    next.push("isobar recover".into());
                } else if !self.done.interrupted {
                    next.push(GOES_ON.into());
                }
                "the run was stopped by a signal".into()
            }
        }
    }
}

/// It failed before: the failure itself, where this run saw it, says more.
fn is_stuck(end: &EndState) -> bool {
    matches!(end, EndState::Skipped(why) if Outcome::Skipped(why.clone()).is_stuck())
}

/// Says of a wave that would have shown something, and of which everything is held, that it was passed.
fn say_passed(progress: &Progress, wave: &Wave) -> Option<String> {
    let what = match (wave.gates.is_empty(), wave.bake_secs) {
        (false, 0) => "its gates",
        (false, _) => "its gates and its bake",
        (true, 0) => return None,
        (true, _) => "its bake",
    };
    let is_held = |planned: &Planned| progress.outcome(&planned.target).is_some_and(Outcome::is_held);
    let regions: BTreeSet<&RegionId> = wave.targets.iter().map(|planned| &planned.target.region).collect();
    let held = match (regions.first()?, regions.len() - 1) {
        (first, 0) => format!("{first} is held"),
        (first, others) => format!("{first} and {} are held", count(others, "other region", "other regions")),
    };
    wave.targets.iter().all(is_held).then(|| format!("{held}, so {} was passed without {what}", wave.name))
}

/// How a target ended, whose outcome is recorded; `known` is what this run saw of it.
fn ended(outcome: &Outcome, known: Option<&EndState>) -> EndState {
    match (outcome, known) {
        (Outcome::NotCleared(_) | Outcome::Skipped(_), Some(left @ (EndState::NotCleared(..) | EndState::Skipped(_)))) => {
            left.clone()
        }
        (Outcome::Applied, _) => EndState::Applied,
        (Outcome::Unchanged, _) => EndState::Unchanged,
        (Outcome::Failed(text), _) => EndState::Failed(text.clone()),
        (Outcome::NotCleared(why), _) => EndState::NotCleared(why.clone(), false), // by an earlier run
        (Outcome::Skipped(why), _) => EndState::Skipped(why.clone()),
    }
}
