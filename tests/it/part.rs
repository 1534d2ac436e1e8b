//! A run about a part of the fleet, and a rollout that is open: it goes on whole, or not at all.

use crate::support::{Sandbox, app};

/// One region after the other.
const ONE_BY_ONE: &str = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";

/// A rollout whose bake is over: `prod/b`, `prod/c` and `prod/d` are unfinished.
fn baked() -> Sandbox {
    let fleet = Sandbox::fleet("waves");
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(15 * 60);
    fleet
}

#[test]
fn an_apply_of_one_target_does_not_drag_a_rollout_along() {
    let fleet = baked();
    let ran = fleet.isobar("apply app@prod/b --json").ends(1).says("left alone").says("isobar tick");
    assert_eq!(ran.states(), "not_started app@prod/b");
    assert!(ran.why("app@prod/b").contains("holds it"), "{}", ran.stdout);
    assert_eq!(fleet.applied(), ["app@staging/a", "app@prod/a"]);

    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.applied().len(), 5);
}

#[test]
fn a_tick_of_a_part_goes_on_only_when_all_that_is_unfinished_is_in_it() {
    let fleet = baked();
    fleet.isobar("tick app@prod/b app@prod/c").ends(0).says("1 of its 3 unfinished targets is not selected");
    fleet.isobar("tick --region staging/*").ends(0).says("3 of its 3 unfinished targets are not selected");
    assert_eq!(fleet.applied().len(), 2);

    let ran = fleet.isobar("tick app@prod/b app@prod/c app@prod/d --json").ends(0).keeps_quiet_about("left alone");
    assert!(ran.states().ends_with("app@prod/b app@prod/c app@prod/d"), "{}", ran.states());
    assert_eq!(fleet.applied().len(), 5);
}

#[test]
fn a_part_of_a_rollout_that_bakes_says_when_it_goes_on() {
    let fleet = Sandbox::fleet("waves");
    fleet.isobar("apply").ends(0);
    fleet.isobar("apply app@prod/b").ends(0).says("isobar tick  (goes on with it from 2026-11-22 09:16 UTC on");
}

#[test]
fn a_fix_of_drift_goes_on_with_no_rollout() {
    let fleet = baked();
    fleet.file("live/staging/a/app/app.yaml", "by hand\n");
    fleet.isobar("drift --fix").ends(0).says("a fix does not go on with it").says("isobar tick");
    assert_eq!(fleet.applied(), ["app@staging/a", "app@prod/a", "app@staging/a"]);

    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.applied().len(), 6);
}

#[test]
fn a_fix_of_drift_takes_no_stopped_rollout_back() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a").version(2, 1);
    fleet.file("live/prod/b/app/app.yaml", "by hand\n");

    fleet.isobar("drift --fix").ends(1).says("isobar resume");
    assert!(fleet.events("superseded").is_empty());
    fleet.isobar("apply").ends(0).says("takes back what it brought");
}

#[test]
fn a_part_takes_no_resumed_rollout_over() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    let path = "app/templates/app.yaml.j2";
    fleet.edit(path, "version: 1", "version: {{ 1 / 0 }}").commit("Break it");
    fleet.isobar("apply").ends(1);
    fleet.edit(path, "version: {{ 1 / 0 }}", "version: 2").commit("Mend it");
    fleet.isobar("resume").ends(0);

    fleet.isobar("apply app@prod/a").ends(1).says("left alone");
    assert!(fleet.events("superseded").is_empty());
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("apply app@prod/a app@prod/b").ends(0).says("goes on in its place");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn a_part_takes_no_stopped_rollout_back() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a").version(2, 1);

    fleet.isobar("apply app@prod/a").ends(1).says("is stopped").says("isobar resume");
    assert!(fleet.events("superseded").is_empty(), "prod/b is unfinished and was not selected");
    fleet.isobar("apply").ends(0).says("takes back what it brought");
}

/// A fleet at version 1, whose apply of version 2 was killed in its first wave: `prod/a` is unknown, `prod/b` unfinished.
fn killed() -> Sandbox {
    let gate = "gates: [{ command: [sh, -c, \"[ ! -e kill ] || { rm kill; kill -9 $PPID; }\"] }]";
    let waves = format!("waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}]");
    let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ {waves} }} }}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/kill").commit("Ignore");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.file("kill", "").isobar("apply").ends(137);
    fleet.cut_journal_after("started");
    fleet
}

#[test]
fn what_is_unknown_stays_so_when_its_rollout_is_left_alone() {
    let fleet = killed();
    let ran = fleet.isobar("recover app@prod/a --json").ends(1).says("left alone");
    assert_eq!(ran.states(), "unknown app@prod/a");
    fleet.isobar("status").ends(0).says("1 unknown");

    fleet.isobar("recover").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn a_recover_leaves_behind_what_was_merged_since() {
    let fleet = killed();
    fleet.version(2, 3);
    fleet.isobar("recover").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 3");
}
