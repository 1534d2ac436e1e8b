//! What it means to say resume: which rollouts go on, and what is written for it.

use super::{Event, History};
use crate::review::User;
use crate::rollout::{Ending, Now, StepEvent};
use std::sync::Arc;

impl History {
    /// Returns what is journalled when `by` says resume, and how many rollouts had stopped, as a whole or in part.
    ///
    /// One of which a wave stopped while others go on is written down as stopped first, so that it counts as resumed after a stop.
    /// What is verified keeps its bake. A pause does not stop the clock of a deadline: every rollout that it held begins its
    /// deadlines anew.
    pub fn resume(&self, by: User, now_ms: u64) -> (Vec<Event>, usize) {
        let paused = self.paused().map(|(_, reason)| reason);
        let now = Now { paused, ..Now::at(now_ms) };
        let (mut events, mut stopped) = (vec![Event::Resumed { by }], 0);
        for progress in self.rollouts() {
            let (whole, breaches) = match progress.ending() {
                Some(Ending::Stopped(_)) => (true, Vec::new()),
                Some(Ending::Complete) => continue,
                None => (false, progress.breaches(&now)),
            };
            let step = |step| Event::Step { rollout: progress.rollout().id.clone(), step };
            if !breaches.is_empty() {
                events.push(step(StepEvent::Stopped { why: Arc::from(breaches.join("; ")) }));
            }
            if whole || !breaches.is_empty() || paused.is_some() {
                events.push(step(StepEvent::Resumed));
            }
            stopped += usize::from(whole || !breaches.is_empty());
        }
        (events, stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Intent;
    use crate::journal::Chain;
    use crate::rollout::{Outcome, Planned, Rollout, Wave};
    use crate::stack::TargetId;

    fn id(text: &str) -> TargetId {
        text.parse().expect("a target's id")
    }

    /// The wave of `dev` bakes an hour before the second one; that of `prod` has a minute.
    fn begun() -> Vec<Event> {
        let wave = |name: &str, target: &str, after: Vec<usize>, bake_secs: u64, progress_deadline_secs: Option<u64>| Wave {
            name: name.into(),
            environment: name.split(' ').next().unwrap_or_default().into(),
            after,
            targets: vec![Planned { target: id(target), intent: Intent::Converge, after: Vec::new() }],
            max_parallel: 1,
            failure_tolerance: 0,
            gates: Vec::new(),
            bake_secs,
            progress_deadline_secs,
            unproven: false,
        };
        let waves = vec![
            wave("dev 1", "a@dev/x", Vec::new(), 3_600, None),
            wave("dev 2", "a@dev/y", vec![0], 0, None),
            wave("prod", "a@prod/x", Vec::new(), 0, Some(60)),
        ];
        let rollout = Rollout { id: "r1".into(), commit: "c1".into(), waves, whole: None, beside: None };
        let finished =
            Event::Step { rollout: "r1".into(), step: StepEvent::Finished { target: id("a@dev/x"), outcome: Outcome::Applied } };
        vec![
            Event::Planned { rollout },
            step(StepEvent::Started { target: id("a@dev/x") }),
            finished,
            step(StepEvent::Verified { wave: 0 }),
            step(StepEvent::Started { target: id("a@prod/x") }),
        ]
    }

    fn step(step: StepEvent) -> Event {
        Event::Step { rollout: "r1".into(), step }
    }

    /// Resumes at `at_ms`, after `more`; returns how many had stopped, whether the rollout counts as resumed after a stop, what may
    /// still bake, and whether the lane that stopped is at work again.
    fn resumed(more: Vec<Event>, at_ms: u64) -> (usize, bool, Option<u64>, bool) {
        let (mut chain, run) = (Chain::empty(), "run".into());
        let mut history = History::of(begun().into_iter().chain(more).map(|event| chain.seal(event, &run, 1_000)));
        let (events, stopped) = history.resume(User("ann".into()), at_ms);
        events.into_iter().for_each(|event| history.record(&chain.seal(event, &run, at_ms)));
        let progress = history.rollout("r1").expect("it goes on");
        let goes_on = progress.ending().is_none() && progress.breaches(&Now::at(at_ms)).is_empty();
        (stopped, progress.was_resumed(), progress.next_tick_ms(at_ms), goes_on)
    }

    #[test]
    fn a_rollout_of_which_a_wave_stopped_while_another_bakes_counts_as_resumed_and_goes_on_with_its_bake() {
        let failed = step(StepEvent::Finished { target: id("a@prod/x"), outcome: Outcome::Failed("no".into()) });
        let stopped = step(StepEvent::Stopped { why: "as a whole".into() });
        let paused = || Event::Paused { by: User("ann".into()), reason: "lunch".into() };
        assert_eq!(resumed(vec![failed.clone()], 2_000), (1, true, None, true));
        assert_eq!(resumed(vec![failed.clone(), paused()], 2_000), (1, true, None, true));
        assert_eq!(resumed(vec![failed, stopped], 2_000), (1, true, None, true));
        assert_eq!(resumed(Vec::new(), 61_000), (1, true, None, true), "late");
        assert_eq!(resumed(vec![paused()], 61_000), (0, false, None, true), "and late only because of the pause");
        assert_eq!(resumed(Vec::new(), 2_000), (0, false, None, true), "nothing had stopped");
        let arrived = step(StepEvent::Finished { target: id("a@prod/x"), outcome: Outcome::Applied });
        assert_eq!(resumed(vec![arrived, step(StepEvent::Verified { wave: 2 })], 2_000), (0, false, Some(3_601_000), true));
    }
}
