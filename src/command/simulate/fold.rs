//! From the journal of a rehearsal to what is told of it.

use super::{APPLY_SECS, Request, TICK_SECS};
use crate::command::say::count;
use crate::journal::{Event, Verb};
use crate::report::{
    Forecast, ForecastEnd, ForecastMoment, ForecastState, ForecastTarget, ForecastWave, Mood, Reach, left_behind,
};
use crate::rollout::{Ending, Now, Outcome, Progress, StepEvent, WaveState};
use crate::simulate::{RUNS_MAX, Rehearsed};
use crate::stack::{RegionId, Target, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is gathered while the entries are read.
struct Fold<'a> {
    played: &'a Rehearsed,
    waves: Vec<ForecastWave>,
    targets: Vec<ForecastTarget>,
    at: BTreeMap<TargetId, usize>,
    moments: Vec<ForecastMoment>,
    /// A later run that has not done anything yet.
    quiet: Option<(u64, Verb)>,
    /// When the run was killed, until that is told.
    killed_secs: Option<u64>,
    /// What was planned, the rollout that is played first, and then those of what it left.
    rollouts: Vec<Progress>,
}

/// Tells what was played.
pub(super) fn forecast(played: &Rehearsed, targets: &[Target], request: &Request, dirty: bool) -> Forecast {
    let mut fold = Fold::new(played, targets);
    for entry in &played.entries {
        fold.told_killed(entry.at_ms);
        fold.entry(&entry.event, entry.at_ms);
    }
    fold.told_killed(u64::MAX);
    let (end, end_secs) = fold.end();
    fold.states(end_secs);

    let begun = fold.targets.iter().filter(|target| !target.applies.is_empty()).map(|target| &target.target);
    let weights: BTreeMap<&RegionId, u32> = targets.iter().map(|target| (&target.id.region, target.region.weight)).collect();
    Forecast {
        dirty,
        end,
        end_secs,
        whole: reach(targets.iter().map(|target| &target.id), &weights),
        begun: reach(begun, &weights),
        assumed: assumed(request),
        waves: fold.waves,
        targets: fold.targets,
        moments: fold.moments,
    }
}

fn reach<'a>(targets: impl Iterator<Item = &'a TargetId>, weights: &BTreeMap<&RegionId, u32>) -> Reach {
    let (mut number, mut regions) = (0, BTreeSet::new());
    for target in targets {
        number += 1;
        regions.insert(&target.region);
    }
    let weight = regions.iter().map(|region| u64::from(weights.get(*region).copied().unwrap_or(1))).sum();
    Reach { targets: number, regions: regions.len(), weight }
}

impl<'a> Fold<'a> {
    fn new(played: &'a Rehearsed, targets: &[Target]) -> Self {
        let weights: BTreeMap<&RegionId, u32> = targets.iter().map(|target| (&target.id.region, target.region.weight)).collect();
        let plan = &played.rollout.waves;
        let (mut waves, mut lines) = (Vec::new(), Vec::new());
        for (at, wave) in plan.iter().enumerate() {
            waves.push(ForecastWave {
                name: wave.name.clone(),
                after: wave.after.iter().filter_map(|before| Some(plan.get(*before)?.name.clone())).collect(),
                reach: reach(wave.targets.iter().map(|planned| &planned.target), &weights),
                max_parallel: wave.max_parallel,
                failure_tolerance: wave.failure_tolerance,
                begins_secs: None,
                verified_secs: None,
                baked_secs: None,
                applied: 0,
                failed: 0,
                skipped: 0,
                state: "".into(),
            });
            lines.extend(wave.targets.iter().map(|planned| ForecastTarget {
                target: planned.target.clone(),
                wave: at,
                state: ForecastState::NotBegun,
                applies: Vec::new(),
                why: None,
            }));
        }
        let at = lines.iter().enumerate().map(|(at, line)| (line.target.clone(), at)).collect();
        let killed_secs = played.killed_at_ms.map(|ms| ms / 1_000);
        Self { played, waves, targets: lines, at, moments: Vec::new(), quiet: None, killed_secs, rollouts: Vec::new() }
    }

    fn say(&mut self, at_secs: u64, mood: Mood, text: impl Into<Arc<str>>) {
        self.moments.push(ForecastMoment { at_secs, mood, text: text.into() });
    }

    fn told_killed(&mut self, now_ms: u64) {
        let Some(secs) = self.killed_secs.filter(|secs| *secs <= now_ms / 1_000) else { return };
        self.killed_secs = None;
        let open = |target: &&ForecastTarget| target.applies.last().is_some_and(|(_, to)| to.is_none());
        let open = self.targets.iter().filter(open).count();
        let what = count(open, "target was in flight and is", "targets were in flight and are");
        self.say(secs, Mood::Bad, format!("the run is killed; {what} unknown until a fresh preview"));
    }

    fn entry(&mut self, event: &Event, at_ms: u64) {
        let secs = at_ms / 1_000;
        match event {
            Event::RunStarted { verb, .. } => self.quiet = (secs > 0).then_some((secs, *verb)),
            Event::Step { rollout, step } => {
                let Some(at) = self.rollouts.iter().position(|progress| progress.rollout().id == *rollout) else { return };
                self.rollouts[at].record(step, at_ms); // only steps make the rollout what it is
                self.step(at, step, secs);
            }
            Event::Paused { .. } => self.say(secs, Mood::Waits, "somebody pauses; nothing new starts"),
            Event::Resumed { .. } => self.say(secs, Mood::Plain, "isobar resume"),
            Event::Held { region, .. } => self.say(secs, Mood::Waits, format!("{region} is held")),
            Event::Planned { rollout } => {
                let targets = rollout.waves.iter().map(|wave| wave.targets.len()).sum();
                let (targets, waves) = (count(targets, "target", "targets"), count(rollout.waves.len(), "wave", "waves"));
                self.quiet = None;
                self.rollouts.push(Progress::new(rollout.clone()));
                self.say(secs, Mood::Plain, format!("isobar apply plans {targets} in {waves}"));
            }
            Event::Cleared { .. } | Event::Superseded { .. } | Event::Applied { .. } | Event::Settled { .. } => {}
            Event::Released { .. } | Event::Freed { .. } | Event::DriftChecked { .. } | Event::Recovered { .. } => {}
            Event::KeyBegan { .. } | Event::Compacted { .. } | Event::GivenUp { .. } => {}
        }
    }

    /// The wave that is told of a wave of a rollout: a later one has waves only for what was left.
    fn told_wave(&self, rollout: usize, wave: usize) -> usize {
        let planned = self.rollouts[rollout].rollout().waves.get(wave).and_then(|wave| wave.targets.first());
        planned.and_then(|planned| self.at.get(&planned.target)).map_or(wave, |at| self.targets[*at].wave)
    }

    fn step(&mut self, rollout: usize, step: &StepEvent, secs: u64) {
        if let Some((since, verb)) = self.quiet.take() {
            let verb = if verb == Verb::Tick { "tick" } else { "apply" };
            self.say(since, Mood::Plain, format!("isobar {verb} goes on"));
        }
        match step {
            StepEvent::Started { target } => self.started(target, secs),
            StepEvent::Finished { target, outcome } => self.finished(target, outcome, secs),
            StepEvent::GatePassed { wave, gate } => {
                let gate = self.rollouts[rollout].rollout().waves.get(*wave).and_then(|wave| wave.gates.get(*gate));
                let gate = gate.map(ToString::to_string).unwrap_or_default();
                let name = self.waves[self.told_wave(rollout, *wave)].name.clone();
                self.say(secs, Mood::Good, format!("{name}: gate passes: {gate}"));
            }
            StepEvent::GateFailed { wave, why, .. } => {
                let name = self.waves[self.told_wave(rollout, *wave)].name.clone();
                self.say(secs, Mood::Bad, format!("{name}: a gate fails: {why}"));
            }
            StepEvent::Verified { wave } => self.verified(self.told_wave(rollout, *wave), secs),
            StepEvent::Stopped { why } => self.say(secs, Mood::Bad, format!("the rollout stops: {why}")),
            StepEvent::Resumed => {}
        }
    }

    fn started(&mut self, target: &TargetId, secs: u64) {
        let line = &mut self.targets[self.at[target]];
        line.applies.push((secs, None));
        let wave = &mut self.waves[line.wave];
        if wave.begins_secs.is_none() {
            wave.begins_secs = Some(secs);
            let (name, targets) = (wave.name.clone(), count(wave.reach.targets, "target", "targets"));
            let most = wave.max_parallel.min(wave.reach.targets);
            self.say(secs, Mood::Plain, format!("{name} begins: {targets}, up to {most} at once"));
        }
    }

    fn finished(&mut self, target: &TargetId, outcome: &Outcome, secs: u64) {
        let line = &mut self.targets[self.at[target]];
        let is_open = line.applies.last().is_some_and(|(_, to)| to.is_none());
        match outcome {
            Outcome::Applied | Outcome::Unchanged => {
                if let (Some(apply), true) = (line.applies.last_mut(), is_open) {
                    apply.1 = Some(secs);
                }
                line.why = None;
            }
            Outcome::Failed(why) => {
                if let (Some(apply), true) = (line.applies.last_mut(), is_open) {
                    apply.1 = Some(secs);
                }
                line.why = Some(why.clone());
                self.say(secs, Mood::Bad, format!("{target} fails"));
            }
            Outcome::NotCleared(why) | Outcome::Skipped(why) => {
                line.why = Some(why.clone());
                self.skipped(secs, why);
            }
        }
    }

    /// Skips of one moment and reason are one line.
    fn skipped(&mut self, secs: u64, why: &str) {
        let told = format!(" skipped: {why}");
        if let Some(last) = self.moments.last_mut().filter(|last| last.at_secs == secs && last.text.ends_with(&told)) {
            let before = last.text.split(' ').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(1);
            last.text = format!("{} targets{told}", before + 1).into();
        } else {
            self.say(secs, Mood::Waits, format!("1 target{told}"));
        }
    }

    fn verified(&mut self, at: usize, secs: u64) {
        let plan = &self.played.rollout.waves[at];
        let wave = &mut self.waves[at];
        let bake_secs = if wave.begins_secs.is_some() { plan.bake_secs } else { 0 };
        wave.verified_secs = Some(secs);
        wave.baked_secs = Some(secs + bake_secs);
        let name = wave.name.clone();
        match bake_secs {
            0 => self.say(secs, Mood::Good, format!("{name} is verified")),
            _ => self.say(secs, Mood::Good, format!("{name} is verified, and bakes {}", minutes(bake_secs))),
        }
    }

    /// How it ends, and when the last thing happened.
    fn end(&mut self) -> (ForecastEnd, u64) {
        let last = self.moments.last().map_or(0, |moment| moment.at_secs);
        let history = &self.played.history;
        let end = |progress: &Progress| match (progress.ending(), history.paused()) {
            (Some(Ending::Complete), _) => ForecastEnd::Done,
            (Some(Ending::Stopped(why)), _) => ForecastEnd::Stopped(why),
            (None, Some(_)) => ForecastEnd::Paused("nothing new starts until isobar resume (--resume-at plays it)".into()),
            (None, None) if self.played.is_cut => {
                ForecastEnd::Waits(format!("{RUNS_MAX} runs did not bring it to its end, and no more are played").into())
            }
            (None, None) => ForecastEnd::Waits("its targets wait for one another".into()),
        };
        let open = self.rollouts.iter().map(end).find(|end| *end != ForecastEnd::Done);
        let end = match open {
            Some(end) => end,
            None if self.rollouts.is_empty() => ForecastEnd::Waits("the run was killed before it had planned anything".into()),
            None => ForecastEnd::Done,
        };
        if end == ForecastEnd::Done {
            let count = |is_meant: fn(&Outcome) -> bool| {
                self.targets.iter().filter(|line| self.outcome(&line.target).is_some_and(is_meant)).count()
            };
            let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
            let skipped = count(|outcome| matches!(outcome, Outcome::NotCleared(_) | Outcome::Skipped(_)));
            match (failed, skipped) {
                (0, 0) => self.say(last, Mood::Good, "the rollout is complete"),
                _ => self.say(last, Mood::Waits, format!("the rollout is over{}", left_behind(failed, skipped))),
            }
        }
        (end, last)
    }

    /// How a target ended in the last rollout that has it.
    fn outcome(&self, target: &TargetId) -> Option<&Outcome> {
        self.rollouts.iter().rfind(|progress| progress.contains(target))?.outcome(target)
    }

    fn states(&mut self, end_secs: u64) {
        let unknown: BTreeSet<TargetId> = self.rollouts.iter().flat_map(Progress::unknown).collect();
        let outcomes: Vec<Option<Outcome>> = self.targets.iter().map(|line| self.outcome(&line.target).cloned()).collect();
        for (line, outcome) in self.targets.iter_mut().zip(outcomes) {
            let wave = &mut self.waves[line.wave];
            line.state = match outcome {
                Some(Outcome::Applied | Outcome::Unchanged) => {
                    wave.applied += 1;
                    ForecastState::Applied
                }
                Some(Outcome::Failed(_)) => {
                    wave.failed += 1;
                    ForecastState::Failed
                }
                Some(Outcome::NotCleared(_) | Outcome::Skipped(_)) => {
                    wave.skipped += 1;
                    ForecastState::Skipped
                }
                None if unknown.contains(&line.target) => ForecastState::Unknown,
                None => ForecastState::NotBegun,
            };
        }
        let end_ms = end_secs.saturating_mul(1_000);
        let none = Progress::new(self.played.rollout.clone()); // where the first run was killed before it planned
        let progress = self.rollouts.first().unwrap_or(&none);
        let breaches = progress.breaches(&Now { paused: self.played.history.paused().map(|(_, why)| why), ..Now::at(end_ms) });
        for (at, wave) in self.waves.iter_mut().enumerate() {
            let breach = breaches.iter().find_map(|why| why.strip_prefix(&format!("{}: ", wave.name)));
            wave.state = match (progress.wave_state(at, end_ms), breach) {
                (WaveState::Done | WaveState::Baking { .. }, _) => done(wave),
                (WaveState::Open, Some(why)) => format!("stopped: {why}").into(),
                (WaveState::Open, None) if wave.begins_secs.is_some() => "not finished".into(),
                (WaveState::Open | WaveState::Blocked, _) => "not reached".into(),
            };
        }
    }
}

fn done(wave: &ForecastWave) -> Arc<str> {
    match (wave.failed, wave.skipped) {
        (0, 0) => "done".into(),
        (failed, 0) => format!("done, {failed} failed").into(),
        (0, skipped) => format!("done, {skipped} skipped").into(),
        (failed, skipped) => format!("done, {failed} failed, {skipped} skipped").into(),
    }
}

fn minutes(secs: u64) -> String {
    match secs {
        _ if secs.is_multiple_of(3_600) => format!("{} h", secs / 3_600),
        _ if secs.is_multiple_of(60) => format!("{} min", secs / 60),
        _ => format!("{secs} s"),
    }
}

/// What was taken for given, so that nobody takes it for measured.
fn assumed(request: &Request) -> Vec<Arc<str>> {
    let mut told: Vec<String> = Vec::new();
    let general = request.apply.iter().rfind(|time| time.environment.is_none()).map_or(APPLY_SECS, |time| time.span.0);
    told.push(format!("an apply takes {}", minutes(general)));
    for time in &request.apply {
        told.extend(time.environment.as_ref().map(|name| format!("in {name} it takes {}", minutes(time.span.0))));
    }
    told.extend(request.slow.iter().map(|slow| format!("in {} it takes {}", slow.region, minutes(slow.span.0))));
    told.push("every target changes, everything is approved, and gates say yes at once".into());
    told.push(format!("isobar tick runs every {}", minutes(request.tick_every.map_or(TICK_SECS, |span| span.0))));
    let until = if request.resume_at.is_some() { ", unless it begins after the resume: by then it is mended" } else { "" };
    told.extend(request.fail.iter().map(|fail| format!("{fail} fails, once{until}")));
    if request.fail.iter().any(|fail| matches!(fail.who, super::Who::Share(_))) {
        told.push(format!("chance comes from --seed {}", request.seed));
    }
    told.into_iter().map(Arc::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Intent;
    use crate::journal::{Chain, History};
    use crate::rollout::{Planned, Rollout, Wave};

    #[test]
    fn a_play_that_was_cut_is_told_as_that_and_not_as_a_deadlock() {
        let wave = Wave {
            name: "prod".into(),
            environment: "prod".into(),
            after: Vec::new(),
            targets: vec![Planned { target: "a@prod/x".parse().expect("a target"), intent: Intent::Converge, after: Vec::new() }],
            max_parallel: 1,
            failure_tolerance: 0,
            gates: Vec::new(),
            bake_secs: 0,
            progress_deadline_secs: None,
            unproven: false,
        };
        let rollout = Rollout { id: "r1".into(), commit: "head".into(), waves: vec![wave], whole: None, beside: None };
        let entries = vec![Chain::empty().seal(Event::Planned { rollout: rollout.clone() }, &"run-1".into(), 0)];
        let history = History::of(entries.iter().cloned());
        let played = Rehearsed { rollout, entries, killed_at_ms: None, ended_ms: 0, history, is_cut: true };
        let told = forecast(&played, &[], &Request::default(), false);
        assert_eq!(told.end, ForecastEnd::Waits("10000 runs did not bring it to its end, and no more are played".into()));
    }
}
