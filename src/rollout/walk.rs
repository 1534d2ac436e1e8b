//! A long walk at random, the same on every machine: many rollouts, driven by whatever `next` offers, with failures, gates, bakes,
//! holds, crashes and resumes. After every event the promises of the room are checked.

use super::fold::Phase;
use super::trial::{clearance, id, plan, plan_by, settings};
use super::{Ending, Now, Outcome, Paces, Part, Progress, Rollout, StepEvent, Takeover, Todo, WaveState};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};

/// A tiny linear congruential generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

/// A rollout on its way, and what the walker saw of it.
struct Walk {
    dice: Dice,
    now_ms: u64,
    log: Vec<(StepEvent, u64)>,
    progress: Progress,
    flying: Vec<TargetId>,
    /// Started since the last crash or resume.
    started: BTreeSet<TargetId>,
    trouble: bool,
    resumes: usize,
}

impl Walk {
    fn new(rollout: Rollout, dice: Dice, trouble: bool) -> Self {
        let progress = Progress::new(rollout);
        Self { dice, now_ms: 1_000, log: Vec::new(), progress, flying: Vec::new(), started: BTreeSet::new(), trouble, resumes: 0 }
    }

    fn trouble(&mut self, odds: u64) -> bool {
        self.trouble && self.dice.one_in(odds)
    }

    /// Follows what is offered until it is over; the bound is what "never stuck" means.
    fn run(&mut self) -> Ending {
        let targets = self.progress.slots.len();
        for _ in 0..40 * (targets + 10) {
            let mut held = BTreeMap::new();
            if self.trouble(20) {
                held.insert(id("x@e0/r0").region, "until released: a test".to_string());
            }
            let todos = self.progress.next(&Now { held: &held, ..Now::at(self.now_ms) });
            assert!(!todos.is_empty(), "nothing to do and not over");
            for todo in todos {
                if let Some(ending) = self.follow(todo) {
                    return ending;
                }
            }
            if self.trouble(15) {
                self.crash();
            }
            self.now_ms += self.dice.below(2_000);
        }
        panic!("stuck: {:?}", self.progress.wave_views(&Now::at(self.now_ms)));
    }

    fn follow(&mut self, todo: Todo) -> Option<Ending> {
        match todo {
            Todo::NeedsClearance { targets, .. } => targets.into_iter().for_each(|target| self.judge(target)),
            Todo::Apply(step) => self.apply(step.wave, step.clearance.target().clone()),
            Todo::Ask { wave, index, .. } => {
                let why = "503".into();
                let failed = self.trouble(6);
                let answer = if failed {
                    StepEvent::GateFailed { wave, gate: index, why }
                } else {
                    StepEvent::GatePassed { wave, gate: index }
                };
                self.record(answer);
            }
            Todo::Record(event) => {
                if let StepEvent::Verified { wave } = &event {
                    self.check_verified(*wave);
                }
                self.record(event);
            }
            Todo::Wait { until_ms, .. } => self.now_ms = self.now_ms.max(until_ms),
            Todo::Paused { .. } => panic!("nobody paused"),
            Todo::InFlight => self.land(),
            Todo::Over(ending @ Ending::Complete) => return Some(ending),
            Todo::Over(ending @ Ending::Stopped(_)) => {
                if self.resumes == 1 {
                    return Some(ending);
                }
                self.resumes += 1;
                self.started.clear();
                self.record(StepEvent::Resumed);
            }
        }
        if self.dice.one_in(3) && !self.flying.is_empty() {
            self.land();
        }
        None
    }

    fn judge(&mut self, target: TargetId) {
        if self.trouble(12) {
            let outcome = if self.dice.one_in(2) { Outcome::Unchanged } else { Outcome::NotCleared("waits for sre".into()) };
            return self.record(StepEvent::Finished { target, outcome });
        }
        let clearance = clearance(&self.progress, &target);
        self.progress.clear(vec![clearance]);
    }

    fn apply(&mut self, wave: usize, target: TargetId) {
        let plan = &self.progress.rollout().waves[wave];
        for before in &plan.after {
            assert_eq!(self.progress.wave_state(*before, self.now_ms), WaveState::Done, "{target} began before wave {before}");
        }
        let planned = plan.targets.iter().find(|planned| planned.target == target).expect("a target of its wave");
        for first in &planned.after {
            assert!(self.progress.outcome(first).is_some_and(Outcome::is_reached), "{target} began before {first}");
        }
        assert!(self.started.insert(target.clone()), "{target} was started twice");
        let run = &self.progress.runs[wave];
        assert!(run.in_flight < plan.max_parallel, "too many at once");
        if run.failed > plan.failure_tolerance {
            return; // it was offered together with what failed meanwhile; the caller asks again
        }
        self.record(StepEvent::Started { target: target.clone() });
        self.flying.push(target);
    }

    fn land(&mut self) {
        if self.flying.is_empty() {
            return; // landed while we followed the other offers
        }
        let at = self.dice.below(self.flying.len() as u64) as usize;
        let target = self.flying.swap_remove(at);
        let outcome = if self.trouble(10) { Outcome::Failed("no".into()) } else { Outcome::Applied };
        self.record(StepEvent::Finished { target, outcome });
    }

    fn check_verified(&self, wave: usize) {
        let plan = &self.progress.rollout().waves[wave];
        let outcomes: Vec<_> = plan.targets.iter().filter_map(|planned| self.progress.outcome(&planned.target)).collect();
        assert_eq!(outcomes.len(), plan.targets.len(), "verified without all outcomes");
        let failed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Failed(_))).count();
        assert!(failed <= plan.failure_tolerance);
    }

    fn record(&mut self, event: StepEvent) {
        self.progress.record(&event, self.now_ms);
        self.log.push((event, self.now_ms));
        if self.dice.one_in(4) {
            assert_eq!(facts(&self.progress), facts(&self.replayed()));
        }
    }

    fn replayed(&self) -> Progress {
        Progress::replay(self.progress.rollout().clone(), self.log.iter().map(|(event, at_ms)| (event, *at_ms)))
    }

    fn crash(&mut self) {
        let open = self.progress.unknown();
        self.progress = self.replayed();
        assert_eq!(self.progress.unknown(), open);
        self.flying.clear();
        self.started.clear();
    }
}

/// All that must be the same live and replayed: a clearance and what is in flight come back as *ask again*.
fn facts(progress: &Progress) -> Vec<String> {
    let of_wave = |(wave, run): (usize, &super::fold::Run)| {
        let in_flight = (run.first..run.first + run.len).filter(|slot| progress.slots[*slot].phase == Phase::InFlight);
        let open: BTreeSet<usize> = run.ready.iter().copied().chain(run.cleared.places()).chain(in_flight).collect();
        let doomed: Vec<_> = run.doomed.iter().map(|slot| (slot, progress.doom(*slot))).collect();
        let counts = (run.armed, run.ended, run.failed, run.skipped, run.verified_at, run.first_started_at);
        format!("{wave} {open:?} {doomed:?} {counts:?} {:?} {:?}", run.passed, run.gate_failed)
    };
    let waves = progress.runs.iter().enumerate().map(of_wave);
    let outcomes = progress.slots.iter().enumerate().map(|(at, _)| format!("{:?}", progress.outcome(progress.target(at))));
    waves.chain(outcomes).chain([format!("{:?}", progress.ending())]).collect()
}

/// A rollout of up to three environments, four regions each and six stacks, some of which depend on others, here or in another
/// region; its targets go by the word of up to three commits.
fn any_rollout(dice: &mut Dice) -> Rollout {
    let (environments, regions, stacks) = (1 + dice.below(3), 1 + dice.below(4), 1 + dice.below(6));
    let after: Vec<bool> = (0..environments).map(|environment| environment > 0 && dice.one_in(2)).collect();
    let ids: Vec<String> = (0..environments).flat_map(|e| (0..regions).map(move |r| format!("e{e}/r{r}"))).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let part = |dice: &mut Dice| Part { settings: settings(&any_pace(&after, dice), &ids), targets: Vec::new() };
    let mut parts: Vec<Part> = (0..1 + dice.below(3)).map(|_| part(dice)).collect();
    let mut targets = Vec::new();
    let mut needs = Vec::new();
    for (at, region) in ids.iter().enumerate() {
        for stack in 0..stacks {
            let destroyed = if dice.one_in(8) { "-" } else { "" };
            targets.push(format!("{destroyed}s{stack}@{region}"));
            let at_part = dice.below(parts.len() as u64) as usize;
            parts[at_part].targets.push(id(&format!("s{stack}@{region}")));
            for early in 0..stack {
                let first = at / regions as usize * regions as usize; // of its environment
                let there = if dice.one_in(4) { ids[first + dice.below(regions) as usize] } else { region };
                if dice.one_in(3) {
                    needs.push((format!("s{stack}@{region}"), format!("s{early}@{there}")));
                }
            }
        }
    }
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let needs: Vec<(&str, &str)> = needs.iter().map(|(late, early)| (late.as_str(), early.as_str())).collect();
    plan_by(&Paces::of(parts), &targets, &needs).expect("dependencies stay in their environment")
}

/// The settings of as many environments; each may come after the one before.
fn any_pace(after: &[bool], dice: &mut Dice) -> String {
    let mut text = String::new();
    for (environment, after) in after.iter().enumerate() {
        let profile = ["instant", "standard"][dice.below(2) as usize];
        let after = if *after { format!(", after: e{}", environment - 1) } else { String::new() };
        let gates = if dice.one_in(3) { ", gates: [{ command: [smoke] }, { http: 'https://x' }]" } else { "" };
        let deadline = if dice.one_in(6) { ", progress_deadline: 30s" } else { "" };
        let (parallel, tolerated, bake) = (1 + dice.below(4), dice.below(3), dice.below(2) * 60);
        let limits = format!("max_parallel: {parallel}, failure_tolerance: {tolerated}, bake: {bake}s");
        text += &format!("e{environment}: {{ profile: {profile}, {limits}{after}{gates}{deadline} }}\n");
    }
    text
}

#[test]
fn whatever_goes_wrong_the_promises_hold_and_it_ends() {
    let (mut complete, mut stopped, mut unproven) = (0, 0, 0);
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let rollout = any_rollout(&mut dice);
        let mut walk = Walk::new(rollout, dice, true);
        match walk.run() {
            Ending::Complete => {
                complete += 1;
                assert_eq!(walk.progress.counts()[4], 0, "complete, and a target has no outcome");
            }
            Ending::Stopped(_) => {
                stopped += 1;
                walk.record(StepEvent::Resumed);
                unproven += check_takeover(&walk.progress, walk.now_ms, &mut walk.dice);
            }
        }
    }
    assert!(complete > 100 && stopped > 20, "the walk must see both endings: {complete} and {stopped}");
    assert!(unproven > 10, "the walk must see waves that were not proven: {unproven}");
}

/// Another rollout goes on in the place of one, by any other settings: what came after a wave comes after its gates again, and what was
/// brought and not proven before all of that. Returns how many waves were not proven.
fn check_takeover(progress: &Progress, now_ms: u64, dice: &mut Dice) -> usize {
    let mut takeover = Takeover::default();
    assert!(takeover.add(progress, now_ms, |id| vec![id.clone()]));
    let old = progress.rollout();
    let targets: Vec<TargetId> = takeover.targets().into_iter().cloned().collect();
    let ids: BTreeSet<String> = targets.iter().map(|target| target.region.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let environments: BTreeSet<&str> = targets.iter().map(|target| target.region.environment()).collect();
    let mut part = || {
        let after: Vec<bool> = environments.iter().enumerate().map(|(nth, _)| nth > 0 && dice.one_in(2)).collect();
        let settings = settings(&any_pace(&after, dice), &ids);
        Part { settings, targets: targets.iter().filter(|_| dice.one_in(2)).cloned().collect() }
    };
    let parts = vec![part(), part(), part()];
    let names: Vec<String> = targets.iter().map(TargetId::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let new = plan_by(&Paces::taking_over(parts, takeover.clone()), &names, &[]).expect("nothing needs anything");
    let ahead = super::order::ahead_of(&new.waves);
    let wave_of = |target: &TargetId| {
        let holds = |wave: &super::Wave| wave.targets.iter().any(|planned| planned.target == *target);
        new.waves.iter().position(holds).expect("it is in the plan")
    };
    let old_ahead = super::order::ahead_of(&old.waves);
    for (late, early) in (0..old.waves.len()).flat_map(|late| old_ahead[late].iter().map(move |early| (late, *early))) {
        let (late, early) = (&old.waves[late], &old.waves[early]);
        for (after, before) in late.targets.iter().flat_map(|after| early.targets.iter().map(move |before| (after, before))) {
            let ahead = &ahead[wave_of(&after.target)];
            assert!(ahead.contains(&wave_of(&before.target)), "{} goes round {}", after.target, before.target);
            let asks = |gate| ahead.iter().any(|wave| new.waves[*wave].gates.contains(gate));
            assert!(early.gates.iter().all(asks), "{} goes round a gate of {}", after.target, early.name);
            assert!(ahead.iter().any(|wave| new.waves[*wave].bake_secs >= early.bake_secs), "{} goes round a bake", after.target);
        }
    }
    let unproven = takeover.unproven();
    assert!(unproven.iter().all(|target| new.waves[wave_of(target)].unproven), "what was brought must be proven");
    progress.unproven(now_ms).len()
}

#[test]
fn without_trouble_everything_is_applied_once() {
    for seed in 0..100 {
        let mut dice = Dice(seed);
        let rollout = any_rollout(&mut dice);
        let targets: usize = rollout.waves.iter().map(|wave| wave.targets.len()).sum();
        let mut walk = Walk::new(rollout, dice, false);
        let ending = walk.run();
        let starts = walk.log.iter().filter(|(event, _)| matches!(event, StepEvent::Started { .. })).count();
        assert_eq!((ending, walk.progress.counts()[0], starts), (Ending::Complete, targets, targets));
    }
}

#[test]
fn ten_thousand_targets_are_no_strain() {
    let ids: Vec<String> = (0..10).map(|region| format!("prod/r{region}")).collect();
    let mut targets = Vec::new();
    let mut needs = Vec::new();
    for region in &ids {
        for stack in 0..1_000 {
            targets.push(format!("s{stack}@{region}"));
            needs.extend((stack >= 100).then(|| (format!("s{stack}@{region}"), format!("s{}@{region}", stack - 100))));
        }
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    let needs: Vec<(&str, &str)> = needs.iter().map(|(late, early)| (late.as_str(), early.as_str())).collect();
    for profile in ["prod: instant", "prod: standard"] {
        let rollout = plan(&settings(profile, &ids), &targets, &needs).expect("a plan");
        let mut progress = Progress::new(rollout);
        let mut now_ms = 0;
        let mut flying: Vec<TargetId> = Vec::new();
        'over: loop {
            for todo in progress.next(&Now::at(now_ms)) {
                match todo {
                    Todo::NeedsClearance { targets, .. } => {
                        let clearance = |target| crate::policy::Clearance::given(target, crate::change::Intent::Converge);
                        progress.clear(targets.into_iter().map(clearance).collect());
                    }
                    Todo::Apply(step) => {
                        let target = step.clearance.target().clone();
                        progress.record(&StepEvent::Started { target: target.clone() }, now_ms);
                        flying.push(target);
                    }
                    Todo::Record(event) => progress.record(&event, now_ms),
                    Todo::Wait { until_ms, .. } => now_ms = until_ms,
                    Todo::InFlight => {
                        // One by one, so that `next` is asked after each event.
                        let target = flying.pop().expect("in flight, so somebody flies");
                        progress.record(&StepEvent::Finished { target, outcome: Outcome::Applied }, now_ms);
                    }
                    Todo::Over(ending) => {
                        assert_eq!(ending, Ending::Complete);
                        break 'over;
                    }
                    Todo::Ask { .. } | Todo::Paused { .. } => panic!("no gates and no pause here"),
                }
            }
        }
        assert_eq!(progress.counts(), [10_000, 0, 0, 0, 0]);
    }
}
