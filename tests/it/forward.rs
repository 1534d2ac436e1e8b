//! Forward only: by the rules from before the change, and never older over newer.

use crate::support::{Sandbox, app};

/// One region after the other.
const ONE_BY_ONE: &str = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";

#[test]
fn a_change_cannot_remove_its_own_canary() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);

    fleet.edit("isobar.yaml", ONE_BY_ONE, "").version(1, 2);
    fleet.isobar("apply").ends(0).says("prod 1: first").says("prod 2: rest");

    fleet.version(2, 3);
    fleet.isobar("apply").ends(0).keeps_quiet_about("prod 1: first");
}

#[test]
fn a_change_cannot_bring_its_own_gate() {
    let fleet = app("prod/a", "rollout: { prod: { bake: 0s } }");
    fleet.isobar("apply").ends(0);
    let gate = "rollout: { prod: { bake: 0s, gates: [{ command: [touch, gate-ran] }] } }";
    fleet.edit("isobar.yaml", "rollout: { prod: { bake: 0s } }", gate).version(1, 2);
    fleet.isobar("apply").ends(0);
    assert!(!fleet.live("").contains_key("gate-ran"), "the gate came with the change that it was to judge");
}

#[test]
fn a_branch_on_which_nothing_was_brought_binds_nobody() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.branch("side").checkout("side").file("README.md", "nothing that a target uses\n").commit("Say something");
    fleet.isobar("apply").ends(0);

    fleet.checkout("main");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
}

#[test]
fn a_run_from_a_dirty_tree_is_refused_whatever_the_verb() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.file("app/templates/app.yaml.j2", "edited\n");
    for verb in ["apply", "tick", "drift --fix"] {
        fleet.isobar(verb).ends(64).says("not committed");
    }
}

#[test]
fn what_was_mended_since_is_what_a_resumed_rollout_brings() {
    let fleet = app("prod/a prod/b", ONE_BY_ONE);
    fleet.isobar("apply").ends(0);
    let path = "app/templates/app.yaml.j2";
    fleet.edit(path, "version: 1", "version: {{ 1 / 0 }}").commit("Break it");
    fleet.isobar("apply").ends(1);

    fleet.edit(path, "version: {{ 1 / 0 }}", "version: 2").commit("Mend it");
    fleet.isobar("apply").ends(1).says("isobar resume");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0).says("goes on in its place");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

/// Waves of which the first is asked about and bakes.
const CANARY: &str = "rollout: { prod: { bake: 15m, waves: [{ name: canary, regions: a, gates: [{ command: [test, -e, /dev/null] }] }, { name: rest, regions: \"*\" }] } }";

#[test]
fn a_pause_and_its_resume_take_no_newer_head_round_a_bake() {
    let fleet = app("prod/a prod/b", CANARY);
    fleet.isobar("apply").ends(0).says("bakes until");
    fleet.isobar("pause --reason lunch").ends(0);
    fleet.isobar("resume").ends(0);

    fleet.file("README.md", "nothing that a target uses\n").commit("Say something");
    fleet.isobar("apply").ends(0).says("bakes until").keeps_quiet_about("goes on in its place");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
}

/// The same fleet, whose canary is asked about a file that is not there.
fn stopped_by_its_gate() -> Sandbox {
    let fleet = app("prod/a prod/b", &CANARY.replace("/dev/null", "healthy"));
    fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
    fleet
}

#[test]
fn a_newer_head_in_the_place_of_a_stopped_rollout_goes_through_gate_and_bake_again() {
    let fleet = stopped_by_its_gate();
    for nth in ["one", "two"] {
        fleet.isobar("resume").ends(0);
        fleet.file("README.md", nth).commit("Say something");
        fleet.isobar("apply").ends(1).says("goes on in its place").says("test -e healthy exited with 1");
        assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    }

    fleet.isobar("resume").ends(0);
    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("apply").ends(0).says("goes on in its place").says("bakes until");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    fleet.pass_secs(15 * 60 + 60);
    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

#[test]
fn a_gate_is_asked_again_though_the_canary_is_held_when_a_newer_head_goes_on() {
    let fleet = stopped_by_its_gate();
    fleet.isobar("hold prod/a --reason works").ends(0);
    for nth in ["one", "two"] {
        fleet.isobar("resume").ends(0);
        fleet.file("README.md", nth).commit("Say something");
        fleet.isobar("apply").ends(1).says("test -e healthy exited with 1");
        assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    }
}

#[test]
fn what_mends_a_failed_gate_goes_through_the_canary_first() {
    let fleet = stopped_by_its_gate();
    fleet.isobar("resume").ends(0);
    fleet.file("healthy", "").version(1, 2);
    fleet.isobar("apply").ends(0).says("goes on in its place").says("bakes until");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b -");
}

#[test]
fn a_part_that_leaves_the_canary_out_takes_nobodys_place() {
    let fleet = stopped_by_its_gate();
    fleet.isobar("resume").ends(0);
    fleet.file("README.md", "nothing that a target uses\n").commit("Say something");
    fleet.isobar("apply app@prod/b").ends(1).says("test -e healthy exited with 1").keeps_quiet_about("goes on in its place");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
}

#[test]
fn a_change_that_edited_the_waves_takes_nothing_round_its_canary_when_a_newer_head_goes_on() {
    let fleet = app("prod/a prod/b", &CANARY.replace("/dev/null", "healthy").replace("bake: 15m, ", ""));
    fleet.file("healthy", "").commit("Healthy");
    fleet.isobar("apply").ends(0);
    fleet.remove("healthy");
    fleet.edit("isobar.yaml", "prod: { waves", "prod: { max_parallel: 3, waves").version(1, 2);
    fleet.isobar("apply").ends(1);
    fleet.isobar("resume").ends(0);
    fleet.file("README.md", "nothing that a target uses\n").commit("Say something");
    fleet.isobar("apply").ends(1).says("goes on in its place").says("test -e healthy exited with 1");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
}
