//! What may happen next, and when: one rule a test.

use super::super::trial::{clear_all, clearance, id, plan, settings};
use super::super::{Pool, Rollout, WaveState};
use super::*;

const FLEET: [&str; 3] = ["staging/us", "prod/us", "prod/eu"];

fn progress(text: &str, targets: &[&str], needs: &[(&str, &str)]) -> Progress {
    let rollout: Rollout = plan(&settings(text, &FLEET), targets, needs).expect("a plan");
    Progress::new(rollout)
}

fn started(target: &str) -> StepEvent {
    StepEvent::Started { target: id(target) }
}

fn finished(target: &str, outcome: Outcome) -> StepEvent {
    StepEvent::Finished { target: id(target), outcome }
}

fn failed() -> Outcome {
    Outcome::Failed("no quota".into())
}

fn waits() -> Outcome {
    Outcome::NotCleared("waits for sre".into())
}

/// What is offered, in short; asked targets are cleared.
fn offers(progress: &mut Progress, now: &Now<'_>) -> Vec<String> {
    let todos = progress.next(now);
    clear_all(progress, &todos);
    let short = |todo: &Todo| match todo {
        Todo::NeedsClearance { targets, .. } => {
            format!("ask {}", targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        Todo::Apply(step) => format!("apply {}", step.clearance.target()),
        Todo::Ask { gate, .. } => format!("gate {gate}"),
        Todo::Record(StepEvent::Finished { target, outcome: Outcome::Skipped(why) }) => format!("skip {target}: {why}"),
        Todo::Record(StepEvent::Verified { wave }) => format!("verified {wave}"),
        Todo::Record(StepEvent::Stopped { why }) => format!("stop: {why}"),
        Todo::Record(event) => format!("{event:?}"),
        Todo::Wait { why, .. } | Todo::Paused { why } => why.clone(),
        Todo::InFlight => "in flight".into(),
        Todo::Over(ending) => format!("over: {ending:?}"),
    };
    todos.iter().map(short).collect()
}

#[track_caller]
fn expect(progress: &mut Progress, ms: u64, expected: &[&str]) {
    assert_eq!(offers(progress, &Now::at(ms)), expected);
}

fn record(progress: &mut Progress, events: &[StepEvent]) {
    events.iter().for_each(|event| progress.record(event, 0));
}

#[test]
fn a_target_is_asked_about_when_its_dependency_is_there() {
    let mut progress = progress("{}", &["net@prod/us", "base@prod/us"], &[("net@prod/us", "base@prod/us")]);
    expect(&mut progress, 0, &["ask base@prod/us"]);
    expect(&mut progress, 0, &["apply base@prod/us"]);
    record(&mut progress, &[started("base@prod/us")]);
    expect(&mut progress, 0, &["in flight"]);
    record(&mut progress, &[finished("base@prod/us", Outcome::Applied)]);
    expect(&mut progress, 0, &["ask net@prod/us"]);
    record(&mut progress, &[finished("net@prod/us", Outcome::Unchanged)]);
    expect(&mut progress, 0, &["verified 0"]);
    record(&mut progress, &[StepEvent::Verified { wave: 0 }]);
    expect(&mut progress, 0, &["over: Complete"]);
}

#[test]
fn what_depends_on_a_failure_is_skipped_with_its_root_and_the_rest_goes_on() {
    let needs = [("b@prod/us", "a@prod/us"), ("c@prod/us", "b@prod/us")];
    let targets = ["a@prod/us", "b@prod/us", "c@prod/us", "other@prod/us"];
    let mut progress = progress("prod: { failure_tolerance: 1 }", &targets, &needs);
    expect(&mut progress, 0, &["ask a@prod/us other@prod/us"]);
    record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", failed())]);
    expect(&mut progress, 0, &["skip b@prod/us: dependency a@prod/us failed", "apply other@prod/us"]);
    record(&mut progress, &[finished("b@prod/us", Outcome::Skipped("dependency a@prod/us failed".into()))]);
    expect(&mut progress, 0, &["skip c@prod/us: dependency a@prod/us failed", "apply other@prod/us"]);
}

#[test]
fn a_breach_starts_nothing_new_and_what_flies_may_land() {
    let targets = ["a@prod/us", "b@prod/us", "c@prod/us"];
    let mut progress = progress("prod: { max_parallel: 2 }", &targets, &[]);
    expect(&mut progress, 0, &["ask a@prod/us b@prod/us c@prod/us"]);
    expect(&mut progress, 0, &["apply a@prod/us", "apply b@prod/us"]);
    record(&mut progress, &[started("a@prod/us"), started("b@prod/us"), finished("a@prod/us", failed())]);
    let why = "prod: 1 of 3 targets failed, 0 may";
    expect(&mut progress, 0, &[&format!("stop: {why}")]);
    record(&mut progress, &[StepEvent::Stopped { why: why.into() }]);
    expect(&mut progress, 0, &["in flight"]);
    record(&mut progress, &[finished("b@prod/us", Outcome::Applied)]);
    expect(&mut progress, 0, &[&format!("over: Stopped({why:?})")]);
    assert!(progress.holds(&id("c@prod/us")) && !progress.holds(&id("b@prod/us")));
}

#[test]
fn resume_tries_the_failed_again_and_asks_for_fresh_clearances() {
    let mut progress = progress("{}", &["a@prod/us", "b@prod/us"], &[]);
    expect(&mut progress, 0, &["ask a@prod/us b@prod/us"]);
    record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", failed()), StepEvent::Stopped { why: "x".into() }]);
    record(&mut progress, &[StepEvent::Resumed]);
    expect(&mut progress, 0, &["ask a@prod/us b@prod/us"]);
}

#[test]
fn environments_that_do_not_wait_for_a_breach_go_on_before_the_rollout_stops() {
    let mut progress = progress("{}", &["a@staging/us", "a@prod/us", "b@prod/us"], &[]);
    expect(&mut progress, 0, &["ask a@staging/us", "ask a@prod/us b@prod/us"]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", failed())]);
    assert_eq!(progress.breaches(&Now::at(0)), ["staging: 1 of 1 targets failed, 0 may"]);
    expect(&mut progress, 0, &["apply a@prod/us", "apply b@prod/us"]);
    record(&mut progress, &[finished("a@prod/us", Outcome::Applied), finished("b@prod/us", Outcome::Applied)]);
    expect(&mut progress, 0, &["verified 1"]);
    record(&mut progress, &[StepEvent::Verified { wave: 1 }]);
    expect(&mut progress, 0, &["stop: staging: 1 of 1 targets failed, 0 may"]);
}

/// Staging and production are on their own; the canary of staging bakes an hour.
fn two_lanes() -> Progress {
    let waves = "waves: [{ name: canary, regions: us, bake: 1h }, { name: rest, regions: eu }]";
    let gated = "waves: [{ name: canary, regions: us, gates: [{ command: [smoke] }] }, { name: rest, regions: eu }]";
    let text = format!("staging: {{ {waves} }}\nprod: {{ progress_deadline: 30m, {gated} }}");
    let targets = ["a@staging/us", "a@staging/eu", "a@prod/us", "a@prod/eu"];
    let settings = settings(&text, &["staging/us", "staging/eu", "prod/us", "prod/eu"]);
    let mut progress = Progress::new(plan(&settings, &targets, &[]).expect("a plan"));
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    record(&mut progress, &[StepEvent::Verified { wave: 0 }, started("a@prod/us")]);
    progress
}

#[test]
fn a_lane_that_stopped_bars_its_own_targets_while_another_bakes() {
    let bakes = "staging 1: canary bakes until 1970-01-01 01:00 UTC";
    let no = StepEvent::GateFailed { wave: 2, gate: 0, why: "503".into() };
    let ends = [vec![finished("a@prod/us", failed())], vec![finished("a@prod/us", Outcome::Applied), no]];
    let reasons = ["prod 1: canary: 1 of 1 targets failed, 0 may", "prod 1: canary: gate smoke failed: 503"];
    for (steps, why) in ends.into_iter().zip(reasons) {
        let mut progress = two_lanes();
        assert!(!progress.rests(), "in the middle of a wave");
        record(&mut progress, &steps);
        expect(&mut progress, 0, &[bakes]);
        let paused = Now { paused: Some("lunch"), ..Now::at(0) };
        for now in [Now::at(0), paused] {
            assert_eq!(progress.breaches(&now), [why]);
            let barred = ["a@staging/eu", "a@prod/us", "a@prod/eu"].map(|target| progress.barred(&id(target), &now));
            assert_eq!(barred, [None, Some(why.into()), Some(why.into())]);
        }
        assert!(progress.rests(), "what is left comes after the bake, or after somebody resumes");
    }
}

#[test]
fn nothing_is_late_in_a_pause() {
    let progress = two_lanes();
    let paused = Now { paused: Some("lunch"), ..Now::at(1_800_000) };
    let late = "prod 1: canary: not verified within 30m of its first start";
    assert_eq!((progress.breaches(&Now::at(1_800_000)), progress.breaches(&paused)), (vec![late.to_string()], Vec::new()));
}

#[test]
fn a_breach_beside_which_nothing_is_left_is_still_to_be_told_and_does_not_rest() {
    let mut progress = progress("{}", &["a@staging/us"], &[]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", failed())]);
    assert!(!progress.rests());
}

#[test]
fn a_stack_that_waits_in_staging_is_not_tried_in_production_and_others_are() {
    let targets = ["a@staging/us", "b@staging/us", "a@prod/us", "b@prod/us"];
    let mut progress = progress("prod: { after: staging }", &targets, &[]);
    record(&mut progress, &[finished("a@staging/us", waits()), finished("b@staging/us", Outcome::Applied)]);
    record(&mut progress, &[StepEvent::Verified { wave: 0 }]);
    let skip = "skip a@prod/us: a@staging/us, of an earlier wave, was not cleared";
    expect(&mut progress, 0, &[skip, "ask b@prod/us"]);
}

#[test]
fn however_long_the_chain_is_the_reason_names_the_target_that_is_to_blame() {
    let targets = ["a@staging/us", "b@staging/us", "b@prod/us", "c@prod/us"];
    let needs = [("b@staging/us", "a@staging/us"), ("c@prod/us", "b@prod/us")];
    let mut progress = progress("prod: { after: staging }", &targets, &needs);
    record(&mut progress, &[finished("a@staging/us", waits())]);
    let mut told = Vec::new();
    while let Some(Todo::Record(event)) = progress.next(&Now::at(0)).into_iter().next() {
        if let StepEvent::Finished { target, outcome: Outcome::Skipped(why) } = &event {
            told.push(format!("{target}: {why}"));
        }
        progress.record(&event, 0);
    }
    let expected = [
        "b@staging/us: dependency a@staging/us was not cleared",
        "b@prod/us: a@staging/us, of an earlier wave, was not cleared",
        "c@prod/us: dependency a@staging/us was not cleared",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_held_region_is_skipped_and_its_stacks_go_on_elsewhere() {
    let held = BTreeMap::from([(id("a@staging/us").region, "until 14:00 UTC: power works".to_string())]);
    let mut progress = progress("prod: { after: staging }", &["a@staging/us", "a@prod/us"], &[]);
    let now = Now { held: &held, ..Now::at(0) };
    assert_eq!(offers(&mut progress, &now), ["skip a@staging/us: region held until 14:00 UTC: power works"]);
    record(&mut progress, &[finished("a@staging/us", Outcome::held("until 14:00 UTC: power works"))]);
    record(&mut progress, &[StepEvent::Verified { wave: 0 }]);
    expect(&mut progress, 0, &["ask a@prod/us"]);
}

#[test]
fn what_depends_on_a_held_target_waits_with_it_and_its_stack_goes_on_elsewhere() {
    let targets = ["a@prod/eu", "b@prod/eu", "c@prod/us", "a@prod/us", "b@prod/us"];
    let needs = [("b@prod/eu", "a@prod/eu"), ("c@prod/us", "a@prod/eu"), ("b@prod/us", "a@prod/us")];
    let waves = "prod: { waves: [{ name: first, regions: eu }, { name: rest, regions: '*' }] }";
    let mut progress = progress(waves, &targets, &needs);
    let hold = Outcome::held("until released: works");
    record(&mut progress, &[finished("a@prod/eu", hold.clone())]);
    expect(&mut progress, 0, &["skip b@prod/eu: region held until released: works"]);
    record(&mut progress, &[finished("b@prod/eu", hold), StepEvent::Verified { wave: 0 }]);
    let waits = "skip c@prod/us: region held: that of a@prod/eu, which comes first";
    expect(&mut progress, 0, &[waits, "ask a@prod/us"]);
    record(&mut progress, &[finished("a@prod/us", Outcome::Applied)]);
    expect(&mut progress, 0, &[waits, "ask b@prod/us"]);
}

#[test]
fn a_tolerated_failure_lets_later_waves_go_on_but_no_other_environment() {
    let targets = ["a@staging/us", "a@prod/us", "b@prod/us", "a@prod/eu", "b@prod/eu"];
    let needs = [("b@prod/us", "a@prod/us"), ("b@prod/eu", "a@prod/eu")];
    let waves = "failure_tolerance: 1, waves: [{ name: first, regions: us }, { name: rest, regions: '*' }]";
    let mut prod = progress(&format!("prod: {{ {waves} }}"), &targets[1..], &needs);
    let skipped = Outcome::Skipped("dependency a@prod/us failed".into());
    record(&mut prod, &[finished("a@prod/us", failed()), finished("b@prod/us", skipped), StepEvent::Verified { wave: 0 }]);
    expect(&mut prod, 0, &["ask a@prod/eu"]);
    record(&mut prod, &[finished("a@prod/eu", Outcome::Applied)]);
    expect(&mut prod, 0, &["ask b@prod/eu"]);

    let text = "staging: { failure_tolerance: 1 }\nprod: { after: staging }";
    let mut staged = progress(text, &targets[..2], &[]);
    record(&mut staged, &[finished("a@staging/us", failed()), StepEvent::Verified { wave: 0 }]);
    expect(&mut staged, 0, &["skip a@prod/us: a@staging/us, of an earlier wave, failed"]);
}

#[test]
fn nothing_begins_while_paused() {
    let mut progress = progress("{}", &["a@prod/us"], &[]);
    let now = Now { paused: Some("paused by alice: incident; `isobar resume`"), ..Now::at(0) };
    assert_eq!(offers(&mut progress, &now), ["paused by alice: incident; `isobar resume`"]);
}

#[test]
fn a_rollout_rests_from_a_bake_on_until_something_is_begun() {
    let mut progress = progress("staging: { bake: 15m }\nprod: { after: staging }", &["a@staging/us", "a@prod/us"], &[]);
    assert!(!progress.rests(), "it has yet to begin");
    record(&mut progress, &[started("a@staging/us")]);
    assert!(!progress.rests(), "in the middle of a wave");
    record(&mut progress, &[finished("a@staging/us", Outcome::Applied), StepEvent::Verified { wave: 0 }]);
    assert!(progress.rests());
    record(&mut progress, &[started("a@prod/us")]);
    assert!(!progress.rests(), "in the middle of the next");

    let text =
        "staging: { bake: 15m }\nprod: { after: staging, waves: [{ name: one, regions: us }, { name: two, regions: eu }] }";
    let mut progress = self::progress(text, &["a@staging/us", "a@prod/us", "a@prod/eu"], &[]);
    for (wave, target) in ["a@staging/us", "a@prod/us"].into_iter().enumerate() {
        record(&mut progress, &[started(target), finished(target, Outcome::Applied), StepEvent::Verified { wave }]);
    }
    assert!(!progress.rests(), "the wave after it comes after no bake");
}

#[test]
fn a_bake_begins_when_the_wave_is_verified_and_the_next_wave_waits_for_its_end() {
    let mut progress = progress("staging: { bake: 15m }\nprod: { after: staging }", &["a@staging/us", "a@prod/us"], &[]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    progress.record(&StepEvent::Verified { wave: 0 }, 60_000);
    let why = "staging bakes until 1970-01-01 00:16 UTC";
    expect(&mut progress, 60_000 + 14 * 60_000, &[why]);
    assert_eq!(progress.wave_state(0, 0), WaveState::Baking { until_ms: 960_000 });
    assert_eq!((progress.next_tick_ms(60_000), progress.next_tick_ms(960_000)), (Some(960_000), None));
    expect(&mut progress, 960_000, &["ask a@prod/us"]);
}

#[test]
fn gates_are_asked_when_all_have_outcomes_and_a_failed_one_stops() {
    let text = "staging: { gates: [{ http: 'https://x/health' }, { command: [./smoke] }] }\nprod: { after: staging }";
    let mut progress = progress(text, &["a@staging/us", "a@prod/us"], &[]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    expect(&mut progress, 0, &["gate GET https://x/health", "gate ./smoke"]);
    record(&mut progress, &[StepEvent::GatePassed { wave: 0, gate: 1 }]);
    expect(&mut progress, 0, &["gate GET https://x/health"]);
    record(&mut progress, &[StepEvent::GateFailed { wave: 0, gate: 0, why: "status 503".into() }]);
    expect(&mut progress, 0, &["stop: staging: gate GET https://x/health failed: status 503"]);
}

#[test]
fn what_a_gate_said_is_nothing_while_something_of_its_wave_is_tried_again() {
    let text = "prod: { failure_tolerance: 1, gates: [{ command: [./smoke] }] }";
    let no = StepEvent::GateFailed { wave: 0, gate: 0, why: "exit 1".into() };
    for late in [StepEvent::GatePassed { wave: 0, gate: 0 }, no] {
        let mut progress = progress(text, &["a@prod/us", "b@prod/us"], &[]);
        record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", Outcome::Applied)]);
        record(&mut progress, &[started("b@prod/us"), finished("b@prod/us", failed()), StepEvent::Resumed, late]);
        expect(&mut progress, 0, &["ask b@prod/us"]);
        record(&mut progress, &[started("b@prod/us"), finished("b@prod/us", Outcome::Applied)]);
        expect(&mut progress, 0, &["gate ./smoke"]);
    }
}

#[test]
fn where_nothing_bakes_the_next_wave_opens_by_any_clock() {
    let mut progress = progress("prod: { after: staging }", &["a@staging/us", "a@prod/us"], &[]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    progress.record(&StepEvent::Verified { wave: 0 }, 60_000);
    expect(&mut progress, 59_000, &["ask a@prod/us"]);
}

#[test]
fn a_gate_that_fails_during_the_bake_takes_the_verification_back() {
    let text = "staging: { bake: 15m, gates: [{ command: [./smoke] }] }\nprod: { after: staging }";
    let mut progress = progress(text, &["a@staging/us", "a@prod/us"], &[]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    record(&mut progress, &[StepEvent::GatePassed { wave: 0, gate: 0 }, StepEvent::Verified { wave: 0 }]);
    record(&mut progress, &[StepEvent::GateFailed { wave: 0, gate: 0, why: "exit 1".into() }]);
    expect(&mut progress, 900_000, &["stop: staging: gate ./smoke failed: exit 1"]);
}

#[test]
fn a_wave_in_which_all_was_skipped_asks_no_gate_and_does_not_bake() {
    let text = "staging: { bake: 15m, gates: [{ command: [./smoke] }] }\nprod: { after: staging }";
    let mut progress = progress(text, &["a@staging/us", "b@prod/us"], &[]);
    record(&mut progress, &[finished("a@staging/us", waits())]);
    expect(&mut progress, 0, &["verified 0"]);
    record(&mut progress, &[StepEvent::Verified { wave: 0 }]);
    expect(&mut progress, 0, &["ask b@prod/us"]);
}

#[test]
fn a_wave_that_takes_too_long_stops_and_resume_gives_it_time_again() {
    let mut progress = progress("prod: { progress_deadline: 10m }", &["a@prod/us"], &[]);
    expect(&mut progress, 0, &["ask a@prod/us"]);
    progress.record(&started("a@prod/us"), 1_000);
    expect(&mut progress, 600_999, &["in flight"]);
    expect(&mut progress, 601_000, &["stop: prod: not verified within 10m of its first start"]);
    progress.record(&StepEvent::Stopped { why: "late".into() }, 601_000);
    progress.record(&finished("a@prod/us", Outcome::Applied), 602_000);
    progress.record(&StepEvent::Resumed, 700_000);
    expect(&mut progress, 700_000, &["verified 0"]);
}

#[test]
fn a_wave_that_was_done_in_time_is_not_late_because_a_run_died_before_it_said_so() {
    let landed_at = |at_ms: u64| {
        let mut progress = progress("prod: { progress_deadline: 10m }", &["a@prod/us"], &[]);
        progress.record(&started("a@prod/us"), 1_000);
        progress.record(&finished("a@prod/us", Outcome::Applied), at_ms);
        offers(&mut progress, &Now::at(9_000_000))
    };
    assert_eq!(landed_at(600_999), ["verified 0"]);
    assert_eq!(landed_at(601_000), ["stop: prod: not verified within 10m of its first start"]);
}

/// `lone` and `b` go together; `b` waits for `a`, which comes after the bake of the canary.
fn beside_a_canary() -> Progress {
    let text = "staging: { progress_deadline: 30m }\nprod: { waves: [{ name: canary, regions: eu, bake: 1h }, { name: rest, regions: us }] }";
    let targets = ["lone@staging/us", "b@staging/us", "a@prod/eu", "a@prod/us"];
    let mut progress = progress(text, &targets, &[("b@staging/us", "a@prod/us")]);
    record(&mut progress, &[started("lone@staging/us"), started("a@prod/eu"), finished("a@prod/eu", Outcome::Applied)]);
    record(&mut progress, &[StepEvent::Verified { wave: 1 }]);
    progress
}

#[test]
fn a_wave_of_which_all_that_is_left_waits_for_others_is_not_late_when_its_turn_comes_and_is_from_then_on() {
    let mut progress = beside_a_canary();
    progress.record(&finished("lone@staging/us", Outcome::Applied), 60_000);
    expect(&mut progress, 3_599_999, &["prod 1: canary bakes until 1970-01-01 01:00 UTC"]);
    expect(&mut progress, 3_600_000, &["ask a@prod/us"]);
    progress.record(&started("a@prod/us"), 3_600_000);
    progress.record(&finished("a@prod/us", Outcome::Applied), 3_700_000);
    expect(&mut progress, 3_700_000, &["ask b@staging/us", "verified 2"]);
    progress.record(&StepEvent::Verified { wave: 2 }, 3_700_000);
    progress.record(&started("b@staging/us"), 3_700_000);
    expect(&mut progress, 5_499_999, &["in flight"]);
    expect(&mut progress, 5_500_000, &["stop: staging: not verified within 30m of its first start"]);
}

#[test]
fn what_does_not_come_on_is_late_whoever_else_of_its_wave_waits() {
    let mut progress = beside_a_canary();
    assert_eq!(progress.breaches(&Now::at(1_799_999)), [""; 0]);
    assert_eq!(progress.breaches(&Now::at(1_800_000)), ["staging: not verified within 30m of its first start"]);
    expect(&mut progress, 1_800_000, &["prod 1: canary bakes until 1970-01-01 01:00 UTC"]);
}

#[test]
fn a_rollout_rests_though_a_wave_that_was_begun_waits_for_what_comes_after_the_bake() {
    let mut progress = beside_a_canary();
    assert!(!progress.rests(), "in the middle of a wave");
    record(&mut progress, &[finished("lone@staging/us", Outcome::Applied)]);
    assert!(progress.rests());
    assert_eq!(progress.wave_views(&Now::at(0))[0].state, "waits for prod 2: rest");
    record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", failed())]);
    assert!(!progress.rests(), "what comes after a failure is yet to be told as skipped");
}

#[test]
fn a_start_without_an_outcome_is_asked_about_again_after_a_crash_and_never_guessed() {
    let mut before = progress("{}", &["a@prod/us", "b@prod/us"], &[]);
    expect(&mut before, 0, &["ask a@prod/us b@prod/us"]);
    let log = [started("a@prod/us")];
    record(&mut before, &log);

    let mut after = Progress::replay(before.rollout().clone(), log.iter().map(|event| (event, 0)));
    assert_eq!(after.unknown(), [id("a@prod/us")]);
    expect(&mut after, 0, &["ask a@prod/us b@prod/us"]);
    record(&mut after, &[finished("a@prod/us", Outcome::Unchanged)]);
    expect(&mut after, 0, &["apply b@prod/us"]);
}

#[test]
fn an_unknown_target_in_a_held_region_is_looked_at_and_not_told_as_skipped() {
    let mut progress = progress("{}", &["a@prod/us"], &[]);
    record(&mut progress, &[started("a@prod/us")]);
    let held = BTreeMap::from([(id("a@prod/us").region, "until released".to_string())]);
    assert_eq!(offers(&mut progress, &Now { held: &held, ..Now::at(0) }), ["ask a@prod/us"]);
}

/// What is offered while others write about `elsewhere`.
#[track_caller]
fn expect_beside(progress: &mut Progress, elsewhere: &[&str], expected: &[&str]) {
    let elsewhere = elsewhere.iter().copied().map(id).collect();
    assert_eq!(offers(progress, &Now { elsewhere: &elsewhere, ..Now::at(0) }), expected);
}

#[test]
fn what_others_write_about_is_not_offered_and_what_they_started_takes_a_place() {
    let targets = ["a@prod/us", "b@prod/us", "c@prod/us", "d@prod/us"];
    let mut progress = progress("prod: { max_parallel: 2 }", &targets, &[]);
    expect_beside(&mut progress, &["a@prod/us", "b@prod/us"], &["ask c@prod/us d@prod/us"]);
    expect_beside(&mut progress, &["a@prod/us", "b@prod/us"], &["apply c@prod/us", "apply d@prod/us"]);
    record(&mut progress, &[started("a@prod/us")]);
    expect_beside(&mut progress, &["a@prod/us", "b@prod/us"], &["apply c@prod/us"]);
    record(&mut progress, &[started("b@prod/us")]);
    expect_beside(&mut progress, &["a@prod/us", "b@prod/us"], &["in flight"]);
    record(&mut progress, &[finished("a@prod/us", Outcome::Applied)]);
    expect_beside(&mut progress, &["b@prod/us"], &["apply c@prod/us"]);
}

#[test]
fn what_others_started_is_asked_about_once_they_are_gone() {
    let mut progress = progress("prod: { max_parallel: 1 }", &["a@prod/us"], &[]);
    record(&mut progress, &[started("a@prod/us")]);
    expect_beside(&mut progress, &["a@prod/us"], &["in flight"]);
    expect_beside(&mut progress, &[], &["ask a@prod/us"]);
}

#[test]
fn a_rollout_of_which_others_do_the_rest_neither_stops_nor_is_over() {
    let mut progress = progress("prod: { failure_tolerance: 0 }", &["a@prod/us", "b@prod/us"], &[]);
    expect_beside(&mut progress, &["a@prod/us", "b@prod/us"], &["in flight"]);
    record(&mut progress, &[started("a@prod/us"), started("b@prod/us"), finished("a@prod/us", failed())]);
    expect_beside(&mut progress, &["b@prod/us"], &["stop: prod: 1 of 2 targets failed, 0 may"]);
    record(&mut progress, &[StepEvent::Stopped { why: "1 failed".into() }]);
    expect_beside(&mut progress, &["b@prod/us"], &["in flight"]);
}

#[test]
fn one_of_many_asks_the_gates_of_a_wave() {
    let mut progress = progress("prod: { gates: [{ command: [./smoke] }] }", &["a@prod/us", "b@prod/us"], &[]);
    record(&mut progress, &[finished("a@prod/us", Outcome::Applied), finished("b@prod/us", Outcome::Applied)]);
    expect_beside(&mut progress, &["a@prod/us"], &["in flight"]);
    expect_beside(&mut progress, &["b@prod/us"], &["gate ./smoke"]);
}

#[test]
fn a_permission_that_is_given_back_is_asked_for_again() {
    let mut progress = progress("prod: { max_parallel: 1 }", &["a@prod/us", "b@prod/us"], &[]);
    expect(&mut progress, 0, &["ask a@prod/us b@prod/us"]);
    record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", Outcome::Applied)]);
    progress.give_clearance_back(&id("b@prod/us"));
    expect(&mut progress, 0, &["ask b@prod/us"]);
}

#[test]
fn what_no_slot_is_free_for_is_passed_over_and_stops_nothing() {
    let targets = ["a@prod/us", "b@prod/us", "c@prod/us"];
    let mut progress = progress("prod: { max_parallel: 2 }", &targets, &[]);
    let asked = progress.next(&Now::at(0));
    assert!(matches!(asked.as_slice(), [Todo::NeedsClearance { .. }]), "{asked:?}");
    let clearances = targets.iter().map(|target| super::super::trial::clearance(&progress, &id(target))).collect();
    let one = |target: &TargetId| match target.to_string().starts_with('c') {
        true => Vec::new(),
        false => vec![Pool { name: "account one".into(), slots: 1 }],
    };
    progress.clear_for(clearances, one);
    expect(&mut progress, 0, &["apply a@prod/us", "apply c@prod/us"]);
    let taken = Taken::from([("account one".into(), 1)]);
    let now = Now { taken: &taken, ..Now::at(0) };
    assert_eq!(offers(&mut progress, &now), ["apply c@prod/us"]);
    record(&mut progress, &[started("c@prod/us"), finished("c@prod/us", Outcome::Applied)]);
    assert_eq!(offers(&mut progress, &now), ["in flight"], "somewhere else, and it will end");
    progress.give_clearance_back(&id("a@prod/us"));
    expect(&mut progress, 0, &["ask a@prod/us", "apply b@prod/us"]);
}

#[test]
fn a_clearance_for_something_else_is_no_permission() {
    let mut progress = progress("{}", &["-a@prod/us"], &[]);
    let converge = crate::policy::Clearance::given(id("a@prod/us"), crate::change::Intent::Converge);
    progress.clear(vec![converge]);
    expect(&mut progress, 0, &["ask a@prod/us"]);
}

#[test]
fn a_re_apply_takes_the_verification_back_and_with_it_the_bake() {
    let mut progress = progress("staging: { bake: 15m }\nprod: { after: staging }", &["a@staging/us", "a@prod/us"], &[]);
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    record(&mut progress, &[StepEvent::Verified { wave: 0 }, started("a@staging/us")]);
    assert_eq!((progress.wave_state(0, 0), progress.wave_state(1, 0)), (WaveState::Open, WaveState::Blocked));
    record(&mut progress, &[finished("a@staging/us", Outcome::Applied)]);
    progress.record(&StepEvent::Verified { wave: 0 }, 500_000);
    assert_eq!(progress.wave_state(0, 500_000), WaveState::Baking { until_ms: 1_400_000 });
}

#[test]
fn a_plan_that_can_never_end_stops_and_says_so() {
    let mut rollout = plan(&settings("{}", &FLEET), &["a@prod/us", "b@prod/us"], &[]).expect("a plan");
    rollout.waves[0].targets[0].after = vec![id("b@prod/us")];
    rollout.waves[0].targets[1].after = vec![id("a@prod/us")];
    expect(&mut Progress::new(rollout), 0, &["stop: its targets wait for one another"]);
}

#[test]
fn what_was_brought_in_waves_that_are_not_done_is_unproven_as_long_as_others_come_after_them() {
    let text = "staging: { bake: 15m, gates: [{ command: [./smoke] }] }\nprod: { after: staging }";
    let mut progress = progress(text, &["a@staging/us", "a@prod/us"], &[]);
    assert!(progress.unproven(0).is_empty(), "nothing was brought");
    record(&mut progress, &[started("a@staging/us"), finished("a@staging/us", Outcome::Applied)]);
    let staging = vec![BTreeSet::from([id("a@staging/us")])];
    assert_eq!(progress.unproven(0), staging, "its gate was not asked");
    record(&mut progress, &[StepEvent::GatePassed { wave: 0, gate: 0 }, StepEvent::Verified { wave: 0 }]);
    assert_eq!((progress.unproven(899_999), progress.unproven(900_000)), (staging, Vec::new()));
    record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", Outcome::Applied)]);
    assert!(progress.unproven(0).is_empty(), "nothing comes after it");
}

#[test]
fn an_unproven_wave_asks_its_gates_and_bakes_though_nothing_of_it_is_started() {
    let text = "staging: { bake: 15m, gates: [{ command: [./smoke] }] }\nprod: { after: staging }";
    for outcome in [Outcome::Unchanged, waits()] {
        let mut rollout = plan(&settings(text, &FLEET), &["a@staging/us", "b@prod/us"], &[]).expect("a plan");
        rollout.waves[0].unproven = true;
        let mut progress = Progress::new(rollout);
        record(&mut progress, &[finished("a@staging/us", outcome)]);
        expect(&mut progress, 0, &["gate ./smoke"]);
        record(&mut progress, &[StepEvent::GatePassed { wave: 0, gate: 0 }, StepEvent::Verified { wave: 0 }]);
        expect(&mut progress, 0, &["staging bakes until 1970-01-01 00:15 UTC"]);
    }
}

#[test]
fn what_is_said_of_a_rollout_as_a_whole_is_counted_whoever_says_it() {
    let mut progress = progress("{}", &["a@prod/us"], &[]);
    record(&mut progress, &[started("a@prod/us"), finished("a@prod/us", Outcome::Applied)]);
    assert_eq!(progress.decisions(), 0, "that is for the one who holds it");
    record(&mut progress, &[StepEvent::Stopped { why: "late".into() }]);
    assert_eq!(progress.decisions(), 1);
    record(&mut progress, &[StepEvent::Resumed, StepEvent::Verified { wave: 0 }]);
    assert_eq!(progress.decisions(), 3);
}

#[test]
fn only_one_that_had_stopped_counts_as_resumed() {
    let mut progress = progress("{}", &["a@prod/us"], &[]);
    record(&mut progress, &[StepEvent::Resumed]);
    assert!(!progress.was_resumed(), "it was paused");
    record(&mut progress, &[StepEvent::Stopped { why: "late".into() }, StepEvent::Resumed]);
    assert!(progress.was_resumed());
}

#[test]
fn who_asks_only_for_starts_is_not_told_what_must_be_previewed_first() {
    let mut progress = progress("prod: { max_parallel: 1 }", &["a@prod/us", "b@prod/us"], &[]);
    let now = Now { only_starts: true, ..Now::at(0) };
    let is_preview = |todo: &Todo| matches!(todo, Todo::NeedsClearance { .. });
    assert!(progress.next(&Now::at(0)).iter().any(is_preview) && !progress.next(&now).iter().any(is_preview));
    let cleared = clearance(&progress, &id("a@prod/us"));
    progress.clear(vec![cleared]);
    assert!(matches!(progress.next(&now).as_slice(), [Todo::Apply(_)]));
    assert_eq!(progress.next(&Now::at(0)).iter().filter(|todo| is_preview(todo)).count(), 1, "of b");
}
