//! An outcome that nobody recorded: said to be unknown, looked at again, and never guessed.

use crate::support::{Sandbox, app};

/// A fleet whose apply was killed after `app@prod/a` was journalled as started.
fn killed() -> Sandbox {
    let gate = "gates: [{ command: [sh, -c, \"[ -e killed ] || { touch killed; kill -9 $PPID; }\"] }]";
    let fleet = app("prod/a", &format!("rollout: {{ prod: {{ {gate} }} }}"));
    fleet.edit(".gitignore", "/live/", "/live/\n/killed").commit("Ignore");
    fleet.isobar("apply").ends(137);
    fleet.cut_journal_after("started");
    fleet
}

#[test]
fn a_start_without_an_outcome_is_unknown_and_recover_answers_it() {
    let fleet = killed();
    fleet.isobar("status").ends(0).says("1 unknown");
    fleet.isobar("recover").ends(0).says("its end was never recorded");
    assert_eq!(fleet.events("recovered").len(), 1);
    fleet.isobar("status").ends(0).says("All 1 target applied");
    fleet.isobar("recover").ends(0).says("no target has an unknown outcome");
}

#[test]
fn an_apply_answers_it_too() {
    let fleet = killed();
    fleet.remove("live/prod/a"); // what was done by then is gone
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1");
    fleet.isobar("status").ends(0).says("All 1 target applied");
}

#[test]
fn recover_goes_on_with_what_is_left() {
    let fleet = killed();
    fleet.remove("live/prod/a");
    fleet.isobar("recover").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn a_journal_that_somebody_changed_stops_everything() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let journal = fleet.root().join(".isobar/journal/entries.jsonl");
    let text = std::fs::read_to_string(&journal).expect("a journal");
    std::fs::write(&journal, text.replacen("\"ada\"", "\"eve\"", 1)).expect("it can be forged");
    fleet.isobar("apply").ends(1).says("nothing is applied on a broken journal");
    fleet.isobar("status").ends(1);
}

#[test]
fn what_a_first_apply_left_half_done_is_destroyed_when_its_stack_is_gone() {
    let fleet = killed();
    fleet.stack("other", "").file("other/templates/other.txt", "other\n").remove("app").commit("Another");
    assert_eq!(fleet.isobar("preview --json").states(), "changes other@prod/a app@prod/a");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply");
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/a/app").is_empty(), "{:?}", fleet.live("live/prod/a/app"));
}

#[test]
fn recover_goes_on_with_a_rollout_that_has_no_unknown_outcome_any_more() {
    let fleet = killed_between_waves();
    fleet.isobar("status").ends(0).says("open").keeps_quiet_about("unknown");
    fleet.isobar("recover").ends(0).says("going on with what was left in the middle");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

#[test]
fn recover_with_nothing_unknown_brings_no_wave_that_waited_for_a_bake() {
    let waves = "{ name: first, regions: a, bake: 15m }, { name: rest, regions: \"*\" }";
    let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ waves: [{waves}] }} }}"));
    fleet.isobar("apply").ends(0);
    fleet.isobar("recover").ends(0).says("isobar tick  (goes on after the bake)");
    fleet.pass_secs(16 * 60);
    let said = fleet.isobar("recover").ends(0).says("no target has an unknown outcome");
    said.says("isobar tick  (goes on)").keeps_quiet_about("going on").keeps_quiet_about("bake");
    fleet.isobar("status").ends(0).says("can begin; isobar tick goes on").keeps_quiet_about("nobody is at it");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

/// A fleet whose apply was killed when the first of two waves was recorded.
fn killed_between_waves() -> Sandbox {
    let gate = "gates: [{ command: [sh, -c, \"[ -e killed ] || { touch killed; kill -9 $PPID; }\"] }]";
    let waves =
        format!("rollout: {{ prod: {{ waves: [{{ name: first, regions: a, {gate} }}, {{ name: rest, regions: \"*\" }}] }} }}");
    let fleet = app("prod/a prod/b", &waves);
    fleet.edit(".gitignore", "/live/", "/live/\n/killed").commit("Ignore");
    fleet.isobar("apply").ends(137);
    fleet
}

#[test]
fn recover_names_the_apply_that_looks_again_where_no_rollout_has_the_target_any_more() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("started"); // as if it had been killed right then
    fleet.version(2, 1);
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("superseded"); // and this one when it had ended the rollout, and planned none in its place

    for _ in 0..2 {
        let ran = fleet.isobar("recover").ends(1).says("its end was never recorded").keeps_quiet_about("looking again");
        ran.says("no open rollout has it, so isobar apply looks at it again").says("isobar apply  (begins what was merged)");
    }
    fleet.isobar("apply").ends(0);
    fleet.isobar("recover").ends(0).says("no target has an unknown outcome");
}

#[test]
fn recover_of_a_part_does_not_say_that_it_looks_where_the_rollout_is_left_alone() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.cut_journal_after("started"); // both were in flight
    let ran = fleet.isobar("recover app@prod/a").ends(1).says("app@prod/a: an apply was started at");
    ran.says("is left alone and its targets wait").keeps_quiet_about("looking again");
    fleet.isobar("recover").ends(0);
}
