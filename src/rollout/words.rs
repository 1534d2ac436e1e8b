//! Where a rollout stands, for people: each wave, and what each target waits for, since when, until when, who can unblock it.

use super::fold::Phase;
use super::{Now, Outcome, Progress};
use crate::stack::TargetId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a wave is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaveState {
    /// Waits for the waves before it.
    Blocked,
    Open,
    Baking {
        until_ms: u64,
    },
    Done,
}

/// One wave, as numbers and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveView {
    pub name: Arc<str>,
    pub targets: usize,
    /// Applied or unchanged.
    pub done: usize,
    pub failed: usize,
    /// Not cleared, or skipped for another reason.
    pub skipped: usize,
    /// "done", "2 not cleared: …", "running", "paused", "bakes until 2026-01-05 14:17 UTC", "waits for staging", "stopped: …".
    pub state: String,
    /// Something was started in it, or nothing is left to start.
    pub has_begun: bool,
}

impl Progress {
    pub fn wave_state(&self, wave: usize, now_ms: u64) -> WaveState {
        match self.baked_at(wave) {
            Some(until_ms) if until_ms > now_ms => WaveState::Baking { until_ms },
            Some(_) => WaveState::Done,
            None if self.is_open(wave, now_ms) => WaveState::Open,
            None => WaveState::Blocked,
        }
    }

    /// Returns every wave in the order of the plan.
    pub fn wave_views(&self, now: &Now<'_>) -> Vec<WaveView> {
        let view = |wave: usize| {
            let run = &self.runs[wave];
            WaveView {
                name: self.rollout.waves[wave].name.clone(),
                targets: run.len,
                done: run.ended - run.failed - run.skipped,
                failed: run.failed,
                skipped: run.skipped,
                state: self.wave_words(wave, now),
                has_begun: run.has_ended()
                    || self.slots[run.first..run.first + run.len].iter().any(|slot| has_begun(&slot.phase)),
            }
        };
        (0..self.runs.len()).filter(|wave| self.runs[*wave].len > 0).map(view).collect()
    }

    /// Returns what a target waits for, and who or what can unblock it; `None` when it has an outcome or is no part of this.
    pub fn waits_for(&self, target: &TargetId, now: &Now<'_>) -> Option<String> {
        let slot = self.slot(target)?;
        let wave = self.slots[slot].wave;
        let run = &self.runs[wave];
        match &self.slots[slot].phase {
            Phase::Ended(_) => return None,
            Phase::InFlight => return Some("is being applied".into()),
            Phase::Unknown => {
                return Some("was started and has no outcome; the next `isobar apply` or `isobar recover` looks".into());
            }
            Phase::Waiting => {}
        }
        if let Some(why) = &self.stopped {
            return Some(format!("the rollout stopped: {why}; `isobar resume`, or a revert, goes on"));
        }
        if !self.is_open(wave, now.ms) {
            return Some(format!("{}; its own wave is {}", self.wave_words(wave, now), self.rollout.waves[wave].name));
        }
        if let Some(why) = self.breach(wave, now) {
            return Some(format!("its wave stopped: {why}; `isobar resume`, or a revert, goes on"));
        }
        if run.doomed.contains(&slot) {
            return Some(self.doom(slot).to_string());
        }
        match self.missing(slot).next() {
            Some(first) => {
                Some(format!("waits for {} in {}", self.target(first), self.rollout.waves[self.slots[first].wave].name))
            }
            None if run.cleared.contains(slot) => Some(format!(
                "cleared; waits for one of {} places in {}",
                self.rollout.waves[wave].max_parallel, self.rollout.waves[wave].name
            )),
            None => Some("its turn; waits for a fresh preview and its verdict".into()),
        }
    }

    fn wave_words(&self, wave: usize, now: &Now<'_>) -> String {
        match (self.wave_state(wave, now.ms), self.breach(wave, now), &self.stopped) {
            (WaveState::Done, ..) => self.over_words(wave),
            (WaveState::Baking { until_ms }, ..) => format!("bakes until {}", moment(until_ms)),
            (WaveState::Open, Some(why), _) => format!("stopped: {why}"),
            (WaveState::Open, None, Some(why)) => format!("stopped: {why}"),
            (WaveState::Open, None, None) => match self.others_before(wave) {
                others if !others.is_empty() => self.waiting_words(others, now.ms),
                _ if now.paused.is_some() => "paused".into(),
                _ => "running".into(),
            },
            (WaveState::Blocked, ..) => self.waiting_words(self.runs[wave].after.iter().copied().collect(), now.ms),
        }
    }

    /// "done" when everything was tried; else what was not, with the reason where it is one.
    fn over_words(&self, wave: usize) -> String {
        let run = &self.runs[wave];
        let (mut uncleared, mut skipped) = (Vec::new(), Vec::new());
        for slot in &self.slots[run.first..run.first + run.len] {
            match &slot.phase {
                Phase::Ended(Outcome::NotCleared(why)) => uncleared.push(why),
                Phase::Ended(Outcome::Skipped(why)) => skipped.push(why),
                Phase::Ended(Outcome::Applied | Outcome::Unchanged | Outcome::Failed(_)) => {}
                Phase::Waiting | Phase::InFlight | Phase::Unknown => {}
            }
        }
        let told = |reasons: &[&Arc<str>], word: &str| match reasons {
            [first, rest @ ..] if rest.iter().all(|why| why == first) => format!("{} {word}: {first}", reasons.len()),
            _ => format!("{} {word}", reasons.len()),
        };
        match (&*uncleared, &*skipped) {
            ([], []) => "done".into(),
            (uncleared, []) => told(uncleared, "not cleared"),
            ([], skipped) => told(skipped, "skipped"),
            (uncleared, skipped) => format!("{} not cleared, {} skipped", uncleared.len(), skipped.len()),
        }
    }

    /// The other waves that all that is left of an open one waits for; none while it has something to do.
    fn others_before(&self, wave: usize) -> BTreeSet<usize> {
        let run = &self.runs[wave];
        let left = (run.first..run.first + run.len).filter(|slot| !run.has_work() && self.slots[*slot].phase == Phase::Waiting);
        left.flat_map(|slot| self.missing(slot)).map(|first| self.slots[first].wave).filter(|other| *other != wave).collect()
    }

    fn waiting_words(&self, waves: BTreeSet<usize>, now_ms: u64) -> String {
        let told = |before: usize| {
            let name = &self.rollout.waves[before].name;
            match self.wave_state(before, now_ms) {
                WaveState::Baking { until_ms } => format!("{name}, which bakes until {}", moment(until_ms)),
                WaveState::Blocked | WaveState::Open | WaveState::Done => name.to_string(),
            }
        };
        let open = |before: &usize| self.wave_state(*before, now_ms) != WaveState::Done;
        let names: Vec<String> = waves.into_iter().filter(open).map(told).collect();
        format!("waits for {}", names.join(" and "))
    }

    /// Counts the targets per kind of outcome: applied, unchanged, failed, skipped (or not cleared), none yet.
    pub fn counts(&self) -> [usize; 5] {
        let mut counts = [0; 5];
        for slot in &self.slots {
            let at = match &slot.phase {
                Phase::Ended(Outcome::Applied) => 0,
                Phase::Ended(Outcome::Unchanged) => 1,
                Phase::Ended(Outcome::Failed(_)) => 2,
                Phase::Ended(Outcome::NotCleared(_) | Outcome::Skipped(_)) => 3,
                Phase::Waiting | Phase::InFlight | Phase::Unknown => 4,
            };
            counts[at] += 1;
        }
        counts
    }
}

fn has_begun(phase: &Phase) -> bool {
    match phase {
        Phase::InFlight | Phase::Unknown => true,
        Phase::Ended(Outcome::Applied | Outcome::Unchanged | Outcome::Failed(_)) => true,
        Phase::Waiting | Phase::Ended(Outcome::NotCleared(_) | Outcome::Skipped(_)) => false,
    }
}

/// Tells when something is over, to the minute after which that is true, or in milliseconds where no calendar reaches.
pub(super) fn moment(at_ms: u64) -> String {
    let minute_ms = at_ms.div_ceil(60_000).saturating_mul(60_000);
    let time = i64::try_from(minute_ms).ok().and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    time.map_or_else(|| format!("{at_ms} ms"), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::StepEvent;
    use super::super::trial::{clear_all, id, plan, settings};
    use super::*;

    #[test]
    fn everybody_is_told_what_they_wait_for() {
        let text = "staging: { bake: 15m, max_parallel: 1 }\nprod: { after: staging }";
        let targets = ["a@staging/us", "b@staging/us", "c@staging/us", "a@prod/us"];
        let needs = [("c@staging/us", "b@staging/us")];
        let rollout = plan(&settings(text, &["staging/us", "prod/us"]), &targets, &needs).expect("a plan");
        let mut progress = Progress::new(rollout);
        let waits = |progress: &Progress, target: &str| progress.waits_for(&id(target), &Now::at(0)).unwrap_or_default();
        assert_eq!(waits(&progress, "a@staging/us"), "its turn; waits for a fresh preview and its verdict");

        let todos = progress.next(&Now::at(0));
        clear_all(&mut progress, &todos);
        progress.record(&StepEvent::Started { target: id("a@staging/us") }, 0);
        assert_eq!(waits(&progress, "a@staging/us"), "is being applied");
        assert_eq!(waits(&progress, "b@staging/us"), "cleared; waits for one of 1 places in staging");
        assert_eq!(waits(&progress, "c@staging/us"), "waits for b@staging/us in staging");
        assert_eq!(waits(&progress, "a@prod/us"), "waits for staging; its own wave is prod");

        for target in ["a@staging/us", "b@staging/us", "c@staging/us"] {
            progress.record(&StepEvent::Finished { target: id(target), outcome: Outcome::Applied }, 0);
        }
        progress.record(&StepEvent::Verified { wave: 0 }, 0);
        let baking = "waits for staging, which bakes until 1970-01-01 00:15 UTC; its own wave is prod";
        assert_eq!(waits(&progress, "a@prod/us"), baking);
        assert_eq!(progress.waits_for(&id("a@staging/us"), &Now::at(0)), None);
    }

    #[test]
    fn a_wave_whose_turn_comes_in_a_pause_is_told_as_paused() {
        let rollout = plan(&settings("{}", &["prod/us"]), &["a@prod/us"], &[]).expect("a plan");
        let (progress, paused) = (Progress::new(rollout), Now { paused: Some("lunch"), ..Now::at(0) });
        assert_eq!([Now::at(0), paused].map(|now| progress.wave_views(&now)[0].state.clone()), ["running", "paused"]);
    }

    #[test]
    fn a_bake_is_over_at_the_minute_that_is_told() {
        assert_eq!([900_000, 900_001, 903_000, 960_000].map(moment), [15, 16, 16, 16].map(|n| format!("1970-01-01 00:{n} UTC")));
        assert_eq!(moment(u64::MAX), format!("{} ms", u64::MAX));
    }

    #[test]
    fn a_wave_that_brought_nothing_is_not_told_as_done() {
        let targets = ["a@prod/us", "b@prod/us", "c@prod/us"];
        let told = |outcomes: [Outcome; 3]| {
            let mut progress = Progress::new(plan(&settings("{}", &["prod/us"]), &targets, &[]).expect("a plan"));
            for (target, outcome) in targets.iter().zip(outcomes) {
                progress.record(&StepEvent::Finished { target: id(target), outcome }, 0);
            }
            progress.record(&StepEvent::Verified { wave: 0 }, 0);
            progress.wave_views(&Now::at(0))[0].state.clone()
        };
        let uncleared = |why: &str| Outcome::NotCleared(why.into());
        let (one, held) = (uncleared("1 of sre is missing"), Outcome::held("until released: works"));
        assert_eq!(told([one.clone(), Outcome::Applied, one.clone()]), "2 not cleared: 1 of sre is missing");
        assert_eq!(told([held.clone(), held.clone(), Outcome::Unchanged]), "2 skipped: region held until released: works");
        assert_eq!(told([one.clone(), uncleared("frozen"), Outcome::Applied]), "2 not cleared");
        assert_eq!(told([one, held.clone(), held]), "1 not cleared, 2 skipped");
        assert_eq!(told([Outcome::Applied, Outcome::Unchanged, Outcome::Applied]), "done");
    }

    #[test]
    fn a_wave_is_told_in_numbers_and_words() {
        let rollout = plan(&settings("{}", &["prod/us"]), &["a@prod/us", "b@prod/us"], &[]).expect("a plan");
        let mut progress = Progress::new(rollout);
        let failed = Outcome::Failed("no".into());
        progress.record(&StepEvent::Finished { target: id("a@prod/us"), outcome: failed }, 0);
        let state = "stopped: prod: 1 of 2 targets failed, 0 may".to_string();
        let expected = WaveView { name: "prod".into(), targets: 2, done: 0, failed: 1, skipped: 0, state, has_begun: true };
        assert_eq!(progress.wave_views(&Now::at(0)), [expected]);
    }
}
