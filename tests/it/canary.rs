//! Nothing newer comes to the later waves of a stack before its earlier ones have shown it, whatever is merged, approved, named or said
//! meanwhile; only what is held shows nothing, and lets the rest go on without it.

use crate::support::{Sandbox, app};

/// A canary in region a that is asked whether `healthy` is there, and bakes.
const CANARY: &str = "rollout: { prod: { bake: 15m, gates: [{ command: [test, -e, healthy] }], waves: [{ name: canary, regions: a }, { name: rest, regions: \"*\" }] } }";
const BAKED_SECS: u64 = 16 * 60;

/// Regions a, b and c at version 1, proven.
fn healthy() -> Sandbox {
    let fleet = app("prod/a prod/b prod/c", CANARY);
    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("apply").ends(0).says("bakes until");
    go_on(&fleet);
    fleet
}

fn go_on(fleet: &Sandbox) {
    fleet.pass_secs(BAKED_SECS);
    fleet.isobar("tick").ends(0);
}

/// The same, and version 2 stopped by its gate at the canary; `with` is merged with it.
fn stopped(with: impl Fn(&Sandbox)) -> Sandbox {
    let fleet = healthy();
    fleet.remove("healthy");
    with(&fleet);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1");
    fleet
}

/// A merge that no target uses, and on with what was stopped.
fn resumed_by_another_merge(fleet: &Sandbox) {
    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(1).says("goes on in its place").says("test -e healthy exited with 1");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1");
}

const INSTANT: &str = "rollout: { prod: instant }";

#[test]
fn a_change_that_brings_its_own_pace_is_stopped_by_that_from_before_it_whatever_comes_after() {
    let fleet = stopped(|fleet| _ = fleet.edit("isobar.yaml", CANARY, INSTANT));
    resumed_by_another_merge(&fleet);
    resumed_by_another_merge(&fleet);
}

#[test]
fn a_merge_after_the_stop_takes_its_canary_away_from_nobody() {
    let fleet = stopped(|_| ());
    fleet.edit("isobar.yaml", CANARY, INSTANT).commit("Weaker");
    fleet.isobar("apply").ends(1);
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1");
    fleet.edit("isobar.yaml", INSTANT, CANARY).commit("As it was");
    resumed_by_another_merge(&fleet);
}

/// A fleet whose gate is a program of the repository.
fn with_gate(regions: &str, pace: &str, program: &str) -> Sandbox {
    let pace = pace.replace("GATE", "gates: [{ command: [./ops/smoke] }]");
    let fleet = app(regions, &format!("rollout: {{ prod: {pace} }}"));
    fleet.program_file("ops/smoke", &format!("#!/bin/sh\n{program}\n")).commit("A gate");
    fleet.file("CHANGES.md", "words\n").commit("Words");
    fleet
}

#[test]
fn a_gate_whose_program_the_change_brings_along_is_not_asked_in_the_place_of_the_old() {
    let pace = "{ waves: [{ name: canary, regions: a, GATE }, { name: rest, regions: \"*\" }] }";
    let fleet = with_gate("prod/a prod/b", pace, "test ! -e sick");
    fleet.isobar("apply").ends(0);
    fleet.file("sick", "").program_file("ops/smoke", "#!/bin/sh\nexit 0\n").version(1, 2);
    fleet.isobar("apply").ends(1).says("./ops/smoke exited with 1");
    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(1).says("./ops/smoke exited with 1");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
}

#[test]
fn a_new_name_leads_nobody_round_the_canary_that_the_old_one_was_stopped_at() {
    let fleet = stopped(|_| ());
    let text = std::fs::read_to_string(fleet.root().join("app/stack.yaml")).expect("it is there");
    fleet.file("app/stack.yaml", &format!("name: app2\nwas: [app]\n{text}")).commit("Another name");
    fleet.isobar("apply").ends(1);
    for _ in 0..2 {
        fleet.isobar("resume").ends(0);
        fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
        assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1");
    }
}

#[test]
fn a_settings_change_in_the_middle_of_a_bake_takes_the_canary_of_the_next_change_from_nobody() {
    let fleet = healthy();
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0).says("bakes until");
    fleet.edit("isobar.yaml", "bake: 15m", "bake: 20m").commit("A longer bake");
    fleet.isobar("apply").ends(0);
    fleet.version(2, 3);
    fleet.isobar("apply").ends(0);
    go_on(&fleet);
    fleet.isobar("apply").ends(0).says("prod 1: canary").says("bakes until");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 2, prod/c 2");
}

#[test]
fn what_was_left_out_waits_for_the_others_of_its_stack() {
    let fleet = healthy();
    fleet.isobar("hold prod/b --reason works").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    go_on(&fleet);
    fleet.remove("healthy");
    fleet.version(2, 3);
    fleet.isobar("apply").ends(1);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 1, prod/c 2");

    fleet.isobar("hold prod/b --release").ends(0);
    fleet.isobar("apply").ends(1).says("holds it");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 1, prod/c 2");
}

#[test]
fn a_canary_bakes_also_while_all_that_comes_after_it_is_held() {
    let fleet = healthy();
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0).says("bakes until");
    for region in ["b", "c"] {
        fleet.isobar(&format!("hold prod/{region} --reason works")).ends(0);
    }
    fleet.version(2, 3);
    fleet.pass_secs(BAKED_SECS);
    fleet.isobar("apply").ends(0);
    for region in ["b", "c"] {
        fleet.isobar(&format!("hold prod/{region} --release")).ends(0);
    }
    fleet.isobar("apply").ends(0).says("bakes until");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 1, prod/c 1");
    go_on(&fleet);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 3, prod/c 3");
}

#[test]
fn a_mend_waits_for_the_stopped_rollout_and_comes_to_its_canary_first() {
    let fleet = stopped(|_| ());
    fleet.version(2, 3);
    fleet.isobar("apply").ends(1).says("holds it");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1");

    fleet.isobar("resume").ends(0);
    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("apply").ends(0).says("goes on in its place").says("bakes until");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 1, prod/c 1");
    go_on(&fleet);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 3, prod/c 3");
}

#[test]
fn the_gate_of_an_environment_that_others_come_after_is_taken_away_by_nobody_while_it_says_no() {
    let gate = "staging: { gates: [{ command: [test, -e, healthy] }] }";
    let fleet = app("staging/s prod/a", &format!("rollout: {{ {gate}, prod: {{ after: staging }} }}"));
    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("apply").ends(0);
    fleet.remove("healthy");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(1);
    fleet.edit("isobar.yaml", gate, "staging: instant").commit("Without the gate");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    assert_eq!(fleet.versions(), "staging/s 2, prod/a 1");
}

#[test]
fn in_the_place_of_a_rollout_each_region_keeps_its_wave() {
    let smoke = "[ ! -e sick ] || ! grep -q 'version: 2' live/prod/d/app/app.yaml";
    let fleet = with_gate("prod/a prod/b prod/c prod/d", "{ profile: standard, GATE }", smoke);
    fleet.isobar("apply");
    for _ in 0..4 {
        fleet.pass_secs(3_700);
        fleet.isobar("tick").ends(0);
    }
    fleet.file("sick", "").version(1, 2);
    fleet.isobar("apply").ends(0).says("prod 1: canary");
    fleet.pass_secs(3_700);
    fleet.isobar("tick").ends(1).says("prod 2: pilot");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1, prod/d 2");

    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(1).says("pilot").says("./ops/smoke exited with 1");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1, prod/d 2");
}

#[test]
fn a_mend_that_brings_what_the_canary_needs_takes_it_along() {
    let fleet = stopped(|fleet| _ = fleet.edit("isobar.yaml", "bake: 15m", "bake: 20m"));
    fleet.stack("base", "").file("base/templates/base.yaml", "version: 1\n");
    fleet.edit("app/stack.yaml", "where: all\n", "where: all\ndepends_on: [base]\n");
    fleet.file("healthy", "").version(2, 3);
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0).says("goes on in its place").says("bakes until");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 1, prod/c 1");
    fleet.pass_secs(BAKED_SECS);
    go_on(&fleet);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 3, prod/c 3");
}

#[test]
fn what_is_approved_of_an_older_commit_comes_to_nobody_after_the_canary_had_something_newer() {
    let policy = "policy: [{ rule: approvals, require: [{ count: 1 }] }]";
    let fleet = app("prod/a prod/b", &format!("{policy}\n{CANARY}"));
    fleet.file("healthy", "").commit("Healthy");
    fleet.approved_apply("bob").ends(0);
    go_on(&fleet);
    fleet.version(1, 2);
    fleet.isobar("preview");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.version(2, 3);
    fleet.isobar("preview app@prod/a");
    fleet.isobar("apply --review bob=approve");
    for _ in 0..2 {
        fleet.pass_secs(BAKED_SECS);
        fleet.isobar("tick");
        fleet.isobar("apply");
    }
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 1");
    fleet.approved_apply("bob").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 3");
}

#[test]
fn what_a_revert_has_not_reached_yet_is_not_forgotten() {
    let policy = "policy: [{ rule: approvals, require: [{ count: 1 }] }]";
    let fleet = app("prod/a prod/b prod/c", &format!("{policy}\n{CANARY}"));
    fleet.file("healthy", "").commit("Healthy");
    fleet.approved_apply("bob").ends(0);
    go_on(&fleet);
    fleet.remove("healthy");
    fleet.version(1, 2);
    fleet.approved_apply("bob").ends(1);
    fleet.version(2, 1);
    fleet.isobar("apply").ends(1).says("missing 1").keeps_quiet_about("its targets are free");
    fleet.version(1, 2);
    fleet.isobar("preview");
    for command in ["apply --review bob=approve", "resume", "apply"] {
        fleet.isobar(command);
        assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1", "{command}");
    }

    fleet.version(2, 1);
    fleet.file("healthy", "").commit("Healthy");
    fleet.approved_apply("bob").ends(0).says("its targets are free");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1, prod/c 1");
    fleet.version(1, 3);
    fleet.approved_apply("bob").ends(0).says("bakes until");
}

#[test]
fn a_gate_that_said_no_at_the_end_is_asked_by_whatever_comes_next() {
    let fleet =
        app("staging/s prod/a", "rollout: { staging: { gates: [{ command: [test, -e, healthy] }] }, prod: { after: staging } }");
    fleet.stack("web", "").edit("web/stack.yaml", "where: all", "where: { environment: staging }");
    fleet.file("web/templates/web.yaml", "web: 1\n").file("healthy", "").commit("Healthy");
    fleet.isobar("apply").ends(0);
    fleet.remove("healthy").file("web/templates/web.yaml", "web: 2\n").commit("Web 2");
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    for nth in ["one", "two"] {
        fleet.file("README.md", nth).commit("Words");
        fleet.isobar("apply").ends(1).says("all of its targets were brought").says("test -e healthy exited with 1");
        fleet.isobar("status").ends(0).says("All 3 targets applied · 1 rollout stopped");
    }
    fleet.isobar("resume").ends(0);
    fleet.file("README.md", "three").commit("Words");
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    fleet.edit("web/stack.yaml", "where: { environment: staging }", "where: all").commit("Web goes to prod");
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    assert!(fleet.live("live/prod/a/web").is_empty());
    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert!(!fleet.live("live/prod/a/web").is_empty());
}

#[test]
fn what_was_resumed_goes_on_by_itself_while_something_newer_is_under_way_before_it() {
    let prod = "prod: { after: staging, gates: [{ command: [test, -e, healthy] }], waves: [{ name: canary, regions: a }, { name: rest, regions: \"*\" }] }";
    let staging = "staging: { waves: [{ name: one, regions: s, bake: 4h }, { name: two, regions: t }] }";
    let fleet = app("staging/s staging/t prod/a prod/b", &format!("rollout: {{ {staging}, {prod} }}"));
    fleet.file("healthy", "").commit("Healthy");
    let four_hours = 4 * 3_600 + 60;
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(four_hours);
    fleet.isobar("tick").ends(0);
    fleet.remove("healthy");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(four_hours);
    fleet.isobar("tick").ends(1);
    fleet.version(2, 3);
    fleet.isobar("apply").ends(1);
    assert_eq!(fleet.versions(), "staging/s 3, staging/t 2, prod/a 2, prod/b 1");

    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "staging/s 3, staging/t 2, prod/a 2, prod/b 2");
}

const STAGED: &str = "rollout: { staging: { bake: 4h }, prod: { after: staging, waves: [{ name: canary, regions: a, bake: 1h }, { name: rest, regions: \"*\" }] } }";

#[test]
fn an_environment_bakes_to_its_end_also_while_the_next_one_was_busy() {
    let fleet = app("staging/s prod/a prod/b", STAGED);
    fleet.isobar("apply").ends(0);
    for _ in 0..2 {
        fleet.pass_secs(4 * 3_600 + 60);
        fleet.isobar("tick").ends(0);
    }
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(4 * 3_600 + 60);
    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "staging/s 2, prod/a 2, prod/b 1");

    fleet.version(2, 3);
    fleet.isobar("apply").ends(0).says("staging").says("bakes until");
    fleet.pass_secs(3_660);
    fleet.isobar("apply").ends(0).says("isobar tick");
    assert_eq!(fleet.versions(), "staging/s 3, prod/a 2, prod/b 2");
    fleet.pass_secs(3 * 3_600);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "staging/s 3, prod/a 3, prod/b 2");
}

#[test]
fn a_revert_ends_also_a_rollout_that_nothing_stopped() {
    let fleet = healthy();
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0).says("bakes until");
    fleet.version(2, 1);
    fleet.pass_secs(BAKED_SECS);
    fleet.isobar("tick").ends(0).says("isobar apply").says("takes back what it brought");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1");
    fleet.isobar("apply").ends(0).says("takes back what it brought");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1, prod/c 1");
}

#[test]
fn what_is_left_of_a_change_keeps_its_waves() {
    let policy = "policy: [{ rule: approvals, require: [{ count: 1 }] }]";
    let standard = "rollout: { prod: { profile: standard } }";
    let fleet = app("prod/a prod/b prod/c prod/d prod/e", &format!("{policy}\n{standard}"));
    fleet.approved_apply("bob");
    for _ in 0..5 {
        fleet.pass_secs(3_700);
        fleet.isobar("tick").ends(0);
    }
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1, prod/c 1, prod/d 1, prod/e 1");
    fleet.version(1, 2);
    fleet.isobar("preview app@prod/a");
    fleet.isobar("apply --review bob=approve");
    fleet.pass_secs(3_700);
    fleet.isobar("tick");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1, prod/d 1, prod/e 1");

    fleet.isobar("preview");
    fleet.isobar("apply --review bob=approve").says("pilot");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1, prod/c 1, prod/d 1, prod/e 2");
}

const APPROVED: &str = "policy: [{ rule: approvals, require: [{ count: 1 }] }]";
const FIRST_A: &str =
    "rollout: { prod: { failure_tolerance: 1, waves: [{ name: canary, regions: a }, { name: rest, regions: \"*\" }] } }";

/// Bob approves what waits of one target.
fn approve(fleet: &Sandbox, target: &str) {
    fleet.isobar(&format!("preview {target}"));
    fleet.isobar("judge --review bob=approve").ends(0);
}

/// Version 2 is approved for `first` alone, and version 3 for `then` alone.
fn approved_apart(regions: &str, pace: &str, first: &str, then: &str) -> Sandbox {
    let fleet = app(regions, &format!("{APPROVED}\n{pace}"));
    fleet.approved_apply("bob").ends(0);
    go_on(&fleet);
    fleet.version(1, 2);
    approve(&fleet, first);
    fleet.version(2, 3);
    approve(&fleet, then);
    fleet
}

#[test]
fn what_is_approved_of_the_head_waits_while_its_canary_went_back_to_an_older_commit() {
    let fleet = approved_apart("prod/a prod/b", FIRST_A, "app@prod/a", "app@prod/b");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");

    approve(&fleet, "app@prod/a");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 3");
}

#[test]
fn what_is_approved_of_the_head_waits_while_an_earlier_environment_went_back_to_an_older_commit() {
    let pace = "rollout: { prod: { after: staging } }";
    let fleet = approved_apart("staging/s prod/a", pace, "app@staging/s", "app@prod/a");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "staging/s 2, prod/a 1");
}

#[test]
fn while_a_canary_bakes_at_an_older_commit_the_rest_says_which_one_it_waits_for() {
    let fleet = approved_apart("prod/a prod/b", &FIRST_A.replace("waves", "bake: 15m, waves"), "app@prod/a", "app@prod/b");
    fleet.isobar("apply").says("bakes until");
    fleet.pass_secs(BAKED_SECS);
    fleet.isobar("tick").says("waits for app@prod/a at ");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
}

#[test]
fn a_canary_that_is_held_keeps_nobody_from_the_head_and_it_is_said_that_its_gates_were_not_asked() {
    let fleet = healthy();
    fleet.remove("healthy");
    fleet.isobar("hold prod/a --reason works").ends(0);
    fleet.version(1, 2);
    let gates = "prod/a is held, so prod 1: canary was passed without its gates";
    fleet.isobar("apply").ends(1).says(gates).says("test -e healthy exited with 1"); // those of the rest
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 2, prod/c 2");
}

#[test]
fn an_environment_that_is_new_to_a_stopped_stack_waits_though_the_change_takes_away_after_which_it_comes() {
    let waves =
        "gates: [{ command: [test, -e, healthy] }], waves: [{ name: canary, regions: s }, { name: rest, regions: \"*\" }]";
    let fleet = app("staging/s staging/t prod/a", &format!("rollout: {{ staging: {{ {waves} }}, prod: {{ after: staging }} }}"));
    fleet.file("healthy", "").edit("app/stack.yaml", "where: all", "where: { environment: staging }").commit("In staging");
    fleet.isobar("apply").ends(0);
    fleet.remove("healthy").version(1, 2);
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    fleet.edit("app/stack.yaml", "where: { environment: staging }", "where: all");
    fleet.edit("isobar.yaml", "prod: { after: staging }", "prod: instant").commit("In production, too");
    fleet.isobar("apply").ends(1).says("holds it");
    assert_eq!(fleet.versions(), "staging/s 2, staging/t 1, prod/a -");
}

#[test]
fn a_failure_of_this_run_is_told_though_another_target_goes_on_to_the_head_afterwards() {
    let fleet = approved_apart("prod/a prod/b", "rollout: { prod: { failure_tolerance: 1 } }", "app@prod/a", "app@prod/b");
    fleet.block("prod/b");
    fleet.isobar("apply").ends(1).says("1 failed, 1 waiting");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
}
