//! What a hold, a pause, a tolerated failure or a gate that said no lets go on, and what is said of it meanwhile.

use crate::support::{APPROVALS, Sandbox, app};

/// One region after the other.
const ONE_BY_ONE: &str = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";

/// One region after the other, of which one target may fail.
const TOLERANT: &str =
    "rollout: { prod: { failure_tolerance: 1, waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";

/// A fleet with `web` on top of `app` in regions a and b.
fn with_web(more: &str) -> Sandbox {
    let fleet = app("prod/a prod/b", more);
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.yaml", "x: 1\n").commit("Web");
    fleet
}

/// A fleet of one wave whose gate says no while there is no file `healthy`.
fn gated() -> Sandbox {
    let fleet = app("prod/a prod/b", "rollout: { prod: { gates: [{ command: [test, -e, healthy] }] } }");
    fleet.edit(".gitignore", "/live/", "/live/\n/healthy").commit("Ignore");
    fleet
}

#[test]
fn a_held_region_holds_back_what_depends_on_it_there_and_nothing_elsewhere() {
    let fleet = with_web(ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    fleet.isobar("hold prod/a --reason works").ends(0);
    fleet.edit("web/templates/web.yaml", "x: 1", "x: 2").version(1, 2);
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied app@prod/b web@prod/b; skipped app@prod/a web@prod/a");
    assert_eq!(ran.why("web@prod/a"), "region held until released: works");

    fleet.isobar("hold prod/a --release").ends(0);
    let ran = fleet.isobar("apply --json").ends(0);
    assert!(ran.states().contains("applied app@prod/a web@prod/a"), "{}", ran.states());

    let json = fleet.isobar("simulate --json --hold prod/a").ends(0).json();
    let states: Vec<&str> = json["targets"].as_array().expect("a list").iter().filter_map(|it| it["state"].as_str()).collect();
    assert_eq!(states, ["skipped", "skipped", "applied", "applied"], "{json}");
}

#[test]
fn what_is_tolerated_lets_later_waves_go_on_and_the_next_step_is_told() {
    let fleet = with_web(TOLERANT);
    fleet.block("prod/a");
    let ran = fleet.isobar("apply").ends(1);
    assert_eq!(fleet.versions(), "prod/a -, prod/b 1", "{}", ran.stdout);
    assert!(ran.stdout.starts_with("2 of 4 applied, 1 failed, 1 skipped\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("\nNext\n  isobar resume (after mending the cause), then isobar apply\n"), "{}", ran.stdout);

    fleet.unblock("prod/a").isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

#[test]
fn a_simulation_that_leaves_something_behind_is_over_and_not_complete() {
    let fleet = with_web(TOLERANT);
    let ran = fleet.isobar("simulate --fail app@prod/a").ends(0).says("the rollout is over, 1 failed and 1 skipped");
    assert!(!ran.stdout.contains("complete"), "{}", ran.stdout);
    fleet.isobar("simulate").ends(0).says("the rollout is complete");
}

#[test]
fn a_gate_that_said_no_is_in_the_headline_and_what_was_brought_waits_for_nobody() {
    let fleet = gated();
    let ran = fleet.isobar("apply").ends(1);
    assert!(ran.stdout.starts_with("2 of 2 applied · stopped, a gate said no\n"), "{}", ran.stdout);

    fleet.version(1, 2);
    fleet.isobar("tick").ends(1).says("all of its targets were brought").keeps_quiet_about("its targets wait");
    fleet.file("healthy", "");
    let ran = fleet.isobar("apply").ends(0).says("all of its targets were brought").says("goes on in its place");
    assert!(!ran.stdout.contains("takes back"), "{}", ran.stdout);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn what_a_failure_says_to_do_is_what_next_says() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.file("live/prod/a/app/.isobar-tmp-app.yaml", "").remove("live/prod/a/app/.isobar-tmp-app.yaml").block("prod/a");

    let ran = fleet.isobar("apply").ends(1).says("isobar resume (after mending the cause), then isobar apply");

    ran.says("as Next says").keeps_quiet_about("then run isobar apply again");
}

#[test]
fn a_tick_says_of_what_an_apply_would_leave_what_the_apply_would_say() {
    let fleet = app("prod/a prod/b", TOLERANT);
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a");
    let failed = "failed before with the same changes";
    fleet.isobar("apply").ends(1).says(failed);
    let ran = fleet.isobar("tick").ends(1).says(failed).says("\nNext\n  isobar resume");
    ran.keeps_quiet_about("not yet part of a rollout");
    fleet.isobar("resume").ends(0);
    fleet.isobar("tick").ends(0).says("isobar apply").keeps_quiet_about(failed);
    fleet.isobar("apply").ends(0);

    fleet.isobar("hold prod/a --reason works").ends(0);
    fleet.version(2, 3);
    fleet.isobar("apply").ends(0).says("region held until released: works");
    let ran = fleet.isobar("tick").ends(0).says("region held until released: works");
    ran.keeps_quiet_about("not yet part of a rollout");
}

#[test]
fn a_tick_during_a_bake_says_how_what_waits_for_an_approval_is_approved() {
    let waves = "rollout: { prod: { waves: [{ name: one, regions: a, bake: 15m }, { name: two, regions: c }] } }";
    let policy = "policy: [{ rule: approvals, when: { region: prod/b }, require: [{ count: 1 }] }]";
    let fleet = app("prod/a prod/b prod/c", &format!("{policy}\n{}", waves.replace("regions: a,", "regions: [a, b],")));
    fleet.isobar("apply").ends(3).says("--review NAME=approve");
    fleet.isobar("tick").ends(3).says("bakes until").says("isobar preview  (shows what waits");
}

#[test]
fn a_wait_that_somebody_asked_for_is_no_failure_however_much_it_leaves() {
    let fleet = with_web("");
    fleet.isobar("pause --reason lunch").ends(0);
    fleet.isobar("apply").ends(0).says("paused by ada: lunch").says("isobar resume");
    fleet.isobar("tick").ends(0).says("paused by ada: lunch");
    fleet.isobar("resume").ends(0);

    for region in ["a", "b"] {
        fleet.isobar(&format!("hold prod/{region} --reason works")).ends(0);
    }
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "skipped app@prod/a app@prod/b web@prod/a web@prod/b");
    fleet.isobar("hold prod/b --release").ends(0);
    fleet.isobar("apply").ends(0);
    fleet.isobar("hold prod/a --release").ends(0);
    fleet.block("prod/a").isobar("apply").ends(1).says("failed");
}

#[test]
fn a_status_and_a_preview_tell_a_hold_and_a_pause() {
    let fleet = app("prod/a prod/b", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.isobar("preview --review bob=approve").ends(0);
    fleet.isobar("hold prod/a --reason works").ends(0);
    let json = fleet.isobar("status --json").ends(0).json();
    assert_eq!(json["targets"][0]["waits"], "region held until released: works; isobar hold prod/a --release", "{json}");

    let held = "prod/a is held until released: works";
    for line in ["preview", "judge"] {
        fleet.isobar(line).ends(0).says(held).says("\nNext\n  isobar apply\n");
    }
    fleet.isobar("hold prod/b --reason works").ends(0);
    for line in ["preview", "judge"] {
        let ran = fleet.isobar(line).ends(0).says("\nNext\n  isobar hold prod/a --release\n");
        assert!(!ran.stdout.contains("  isobar apply\n"), "{}", ran.stdout);
    }
    fleet.isobar("pause --reason lunch").ends(0);
    for line in ["preview", "judge"] {
        let ran = fleet.isobar(line).ends(0).says("paused by ada: lunch").says("isobar resume");
        assert!(!ran.stdout.contains("  isobar apply\n"), "{}", ran.stdout);
    }
    let json = fleet.isobar("status --json").ends(0).json();
    assert_eq!(json["targets"][0]["waits"], "paused by ada: lunch; isobar resume", "{json}");
}

#[test]
fn a_preview_of_what_an_apply_would_refuse_says_so_and_what_helps() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.branch("feature").version(1, 2);
    let feature = fleet.commit("Tip");
    fleet.isobar("apply").ends(0);
    fleet.checkout("main").edit("app/templates/app.yaml.j2", "region: ", "place: ");
    fleet.commit("Meanwhile");
    let refused = format!("git merge {}", &feature[..7]);
    fleet.isobar("apply").ends(1).says("does not hold").says(&refused);
    let ran = fleet.isobar("preview").ends(0).says("does not hold").says(&refused);
    assert!(!ran.stdout.contains("  isobar apply\n"), "{}", ran.stdout);
}

#[test]
fn two_rollouts_of_one_commit_are_told_apart_by_name() {
    let fleet = app("prod/a prod/b", "");
    fleet.block("prod/a").isobar("apply --region prod/a").ends(1);
    fleet.unblock("prod/a").isobar("resume").ends(0);
    let ran = fleet.isobar("apply").ends(0);
    let waves = ran.stdout.split("\nWaves\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let names: Vec<&str> = waves.lines().skip(1).map(|line| line.split("  ").find(|it| !it.is_empty()).unwrap_or(line)).collect();
    let mut apart = names.clone();
    apart.dedup();
    assert_eq!(names, apart, "{}", ran.stdout);
}
