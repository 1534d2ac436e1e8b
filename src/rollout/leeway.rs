//! What other processes may do between the decision to start some targets and the entry that says so, without making it wrong: start and
//! bring others, as long as no more are in flight than may be. Knows no journal.

use super::{Now, Outcome, Progress, Step, StepEvent};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How much a decision to start bears. It says so by itself, so that whoever writes the decision down may be another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leeway {
    rollout: Arc<str>,
    waves: Vec<Spare>,
    /// What is started needs a slot that starts elsewhere may take as well.
    shares_slots: bool,
    /// Nothing was started yet of a wave that must end within a time: who started there meanwhile began that time.
    begins_a_deadline: bool,
}

/// One wave in which something is to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spare {
    /// Of its targets, those in flight when it was decided, here and elsewhere.
    flying: BTreeSet<TargetId>,
    /// Starts that it bears beside ours; below zero while what is started waits for outcomes that are written with it.
    starts: isize,
}

impl Progress {
    /// Returns how much the decision bears to start `steps`, which [`Progress::next`] offered at `now`. `flying` are the targets that this
    /// process has in flight, those that arrived among them.
    pub fn leeway(&self, steps: &[Step], now: &Now<'_>, flying: &BTreeSet<TargetId>, shares_slots: bool) -> Leeway {
        let flying: BTreeSet<&TargetId> = flying.iter().chain(self.flying_elsewhere(now)).collect();
        let waves: BTreeSet<usize> = steps.iter().map(|step| step.wave).collect();
        let spare = |wave: usize| {
            let run = &self.runs[wave];
            let slots = run.first..run.first + run.len;
            let count = |number: usize| isize::try_from(number).unwrap_or(isize::MAX);
            let is_in_it = |target: &&TargetId| self.slot(target).is_some_and(|slot| slots.contains(&slot));
            let flying: BTreeSet<TargetId> = flying.iter().copied().filter(is_in_it).cloned().collect();
            let begins = steps.iter().filter(|step| step.wave == wave).count();
            Spare { starts: count(self.max_parallel(wave)) - count(flying.len() + begins), flying }
        };
        let begins = |wave: &usize| {
            self.rollout.waves[*wave].progress_deadline_secs.is_some() && self.runs[*wave].first_started_at.is_none()
        };
        let (rollout, begins_a_deadline) = (self.rollout.id.clone(), waves.iter().any(begins));
        Leeway { rollout, waves: waves.into_iter().map(spare).collect(), shares_slots, begins_a_deadline }
    }
}

impl Leeway {
    /// Says whether the decision is right in spite of these steps, each of a rollout, in the order of the journal. What is no start and
    /// no arrival may change anything. Which wave a start is in is not asked: it counts in each of ours.
    pub fn bears<'a>(&self, steps: impl IntoIterator<Item = (&'a str, &'a StepEvent)>) -> bool {
        let (mut waves, mut begun) = (self.waves.clone(), BTreeSet::new());
        for (rollout, step) in steps {
            let is_ours = *rollout == *self.rollout;
            match step {
                StepEvent::Started { .. } if self.shares_slots => return false,
                StepEvent::Started { target } => {
                    if is_ours && self.begins_a_deadline {
                        return false;
                    }
                    if is_ours {
                        begun.insert(target);
                    }
                }
                StepEvent::Finished { target, outcome: Outcome::Applied | Outcome::Unchanged } => {
                    if is_ours && !begun.remove(target) {
                        for wave in &mut waves {
                            wave.starts += isize::from(wave.flying.remove(target));
                        }
                    }
                }
                StepEvent::Finished { .. } | StepEvent::GatePassed { .. } | StepEvent::GateFailed { .. } => return false,
                StepEvent::Verified { .. } | StepEvent::Stopped { .. } | StepEvent::Resumed => return false,
            }
        }
        waves.iter().all(|wave| isize::try_from(begun.len()).is_ok_and(|begun| begun <= wave.starts))
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::*;
    use super::*;
    use crate::rollout::Todo;

    const FOUR: [&str; 4] = ["a@prod/us", "b@prod/us", "c@prod/us", "d@prod/us"];

    fn started(target: &str) -> StepEvent {
        StepEvent::Started { target: id(target) }
    }

    fn ended(target: &str, outcome: Outcome) -> StepEvent {
        StepEvent::Finished { target: id(target), outcome }
    }

    /// Two of four may be in flight. This process has `a`, others have `elsewhere`; of what is offered, one is to start.
    fn leeway(elsewhere: &[&str], arrived: &[&str], shares_slots: bool) -> Leeway {
        let paces = settings("prod: { max_parallel: 2 }", &["prod/us"]);
        let mut progress = Progress::new(plan(&paces, &FOUR, &[]).expect("it can be planned"));
        let todos = progress.next(&Now::at(0));
        clear_all(&mut progress, &todos);
        progress.record(&started("a@prod/us"), 0);
        let [elsewhere, arrived] = [elsewhere, arrived].map(|ids| ids.iter().copied().map(id).collect::<BTreeSet<_>>());
        for target in &elsewhere {
            progress.give_clearance_back(target);
            progress.record(&StepEvent::Started { target: target.clone() }, 0);
        }
        let now = Now { elsewhere: &elsewhere, arrived: &arrived, ..Now::at(0) };
        let steps =
            progress.next(&now).into_iter().filter_map(|todo| if let Todo::Apply(step) = todo { Some(step) } else { None });
        let steps: Vec<Step> = steps.take(1).collect();
        assert_eq!(steps.len(), 1, "there is a place");
        progress.leeway(&steps, &now, &BTreeSet::from([id("a@prod/us")]), shares_slots)
    }

    #[track_caller]
    fn check(leeway: &Leeway, steps: &[StepEvent], bears: bool) {
        assert_eq!(leeway.bears(steps.iter().map(|step| ("r1", step))), bears, "{steps:?}");
    }

    #[test]
    fn a_start_bears_no_start_of_others_in_the_last_place() {
        let it = leeway(&[], &[], false);
        check(&it, &[], true);
        check(&it, &[started("d@prod/us")], false);
        check(&it, &[started("d@prod/us"), ended("d@prod/us", Outcome::Applied)], true);
        check(&it, &[started("d@prod/us"), ended("d@prod/us", Outcome::Applied), started("c@prod/us")], false);
    }

    #[test]
    fn whoever_starts_in_its_own_place_is_in_nobodys_way() {
        let it = leeway(&["d@prod/us"], &["a@prod/us"], false);
        let own = ended("a@prod/us", Outcome::Applied);
        check(&it, std::slice::from_ref(&own), true);
        check(&it, &[ended("d@prod/us", Outcome::Applied), started("c@prod/us"), own.clone()], true);
        check(&it, &[started("c@prod/us"), own], false);
        check(&it, &[], false); // its own place is not free before its own outcome is written
    }

    #[test]
    fn what_arrives_without_having_been_in_flight_gives_no_place() {
        let it = leeway(&[], &[], false);
        check(&it, &[ended("c@prod/us", Outcome::Applied), started("d@prod/us")], false);
    }

    #[test]
    fn the_first_start_of_a_wave_with_a_deadline_bears_no_other_start() {
        let paces = settings("prod: { max_parallel: 2, progress_deadline: 30m }", &["prod/us"]);
        let mut progress = Progress::new(plan(&paces, &FOUR, &[]).expect("it can be planned"));
        let mut bears = |begun: &[&str]| {
            begun.iter().for_each(|target| progress.record(&started(target), 0));
            let todos = progress.next(&Now::at(0));
            clear_all(&mut progress, &todos);
            let step = |todo| if let Todo::Apply(step) = todo { Some(step) } else { None };
            let steps: Vec<Step> = progress.next(&Now::at(0)).into_iter().filter_map(step).take(1).collect();
            let leeway = progress.leeway(&steps, &Now::at(0), &begun.iter().copied().map(id).collect(), false);
            leeway.bears([("r1", &started("d@prod/us")), ("r1", &ended("d@prod/us", Outcome::Applied))])
        };
        assert!(!bears(&[]), "the time has begun, and is over or not");
        assert!(bears(&["a@prod/us"]), "it was known since when");
    }

    #[test]
    fn other_rollouts_take_no_place_of_a_wave_but_may_take_a_slot() {
        let step = started("d@prod/us");
        assert!(leeway(&[], &[], false).bears([("r2", &step)]));
        assert!(!leeway(&[], &[], true).bears([("r2", &step)]));
    }

    #[test]
    fn whatever_else_happens_is_decided_anew() {
        let why: Arc<str> = "it broke".into();
        for step in [
            ended("d@prod/us", Outcome::Failed(why.clone())),
            ended("d@prod/us", Outcome::Skipped(why.clone())),
            ended("d@prod/us", Outcome::NotCleared(why.clone())),
            StepEvent::GatePassed { wave: 0, gate: 0 },
            StepEvent::GateFailed { wave: 0, gate: 0, why: why.clone() },
            StepEvent::Verified { wave: 0 },
            StepEvent::Stopped { why },
            StepEvent::Resumed,
        ] {
            check(&leeway(&[], &[], false), &[step], false);
        }
    }
}
