//! `isobar simulate`: how a rollout would go, on a clock of its own, before anybody approves it.

use crate::support::{Ran, Sandbox, app};
use serde_json::Value;
use std::fs;

fn told(ran: &Ran) -> Vec<&str> {
    let timeline = ran.stdout.split("\nTimeline\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    timeline.lines().map(str::trim).collect()
}

#[test]
fn a_rollout_is_told_with_its_waves_bakes_and_end_and_nothing_is_touched() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("simulate").ends(0);
    assert!(ran.stdout.starts_with("5 targets in 3 waves would be done after 22 min\n"), "{}", ran.stdout);
    let expected = [
        "0:00:00  isobar apply plans 5 targets in 3 waves",
        "0:00:00  staging begins: 1 target, up to 1 at once",
        "0:01:00  staging is verified",
        "0:01:00  prod 1: canary begins: 1 target, up to 1 at once",
        "0:02:00  prod 1: canary: gate passes: test -f live/prod/a/app/app.yaml",
        "0:02:00  prod 1: canary is verified, and bakes 15 min",
        "0:20:00  isobar tick goes on",
        "0:20:00  prod 2: rest begins: 3 targets, up to 2 at once",
        "0:22:00  prod 2: rest is verified",
        "0:22:00  the rollout is complete",
    ];
    assert_eq!(told(&ran), expected);
    assert_eq!(fleet.isobar("simulate").ends(0).stdout, ran.stdout, "the same question has the same answer");
    assert_eq!((fleet.applied().len(), fleet.dirty()), (0, Vec::<String>::new()));
    assert!(!fleet.root().join(".isobar").exists(), "no journal was made");
}

#[test]
fn failures_beyond_the_tolerance_stop_it_and_the_blast_is_told() {
    let fleet = Sandbox::fleet("waves");
    let one = fleet.isobar("simulate --fail prod/c@wave3").ends(0);
    assert!(one.stdout.starts_with("5 targets in 3 waves would be done after 22 min, 1 failed\n"), "{}", one.stdout);

    let two = fleet.isobar("simulate --fail prod/c@wave3 --fail app@prod/b").ends(0);
    let headline = "The rollout would stop after 21 min: \
                    4 of 5 targets begun, in 4 of 5 regions, 63 % of the weight\nprod 2: rest: 2 of 3 targets failed, 1 may\n";
    assert!(two.stdout.starts_with(headline), "{}", two.stdout);

    let unreached = fleet.isobar("simulate --fail staging/a --fail prod/c@wave3").ends(0);
    assert!(unreached.stdout.starts_with("The rollout would stop"), "wave 3 is there, and not reached: {}", unreached.stdout);
}

#[test]
fn somebody_who_mends_and_resumes_brings_it_to_its_end() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("simulate --json --fail prod/b --fail prod/c --resume-at 1h").ends(0);
    let json = ran.json();
    assert_eq!((&json["end"], &json["end_secs"]), (&"done".into(), &3_720.into()), "{json}");
    let applies: Vec<&Value> = json["targets"].as_array().expect("a list").iter().map(|target| &target["applies"]).collect();
    assert_eq!(applies[2].as_array().map(Vec::len), Some(2), "what failed was tried twice: {applies:?}");
}

#[test]
fn who_mends_a_region_mends_what_had_not_begun_there_as_well() {
    let fleet = app("prod/a", "rollout: { prod: { max_parallel: 1 } }");
    fleet.stack("other", "").file("other/templates/app.yaml", "other\n").commit("Another");
    let ran = fleet.isobar("simulate --fail prod/a --resume-at 1h").ends(0);
    assert!(ran.stdout.starts_with("2 targets in 1 wave would be done after 1 h 2 min\n"), "{}", ran.stdout);
    ran.says("prod/a fails, once, unless it begins after the resume: by then it is mended");
}

#[test]
fn what_failed_and_was_tolerated_is_brought_by_whoever_resumes_and_applies_again() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("simulate --fail prod/c@wave3 --resume-at 1h").ends(0);
    assert!(ran.stdout.starts_with("5 targets in 3 waves would be done after 1 h 1 min\n"), "{}", ran.stdout);
    let told = told(&ran);
    assert!(told.contains(&"1:00:00  isobar apply plans 1 target in 1 wave"), "{told:?}");
    assert_eq!(told.last(), Some(&"1:01:00  the rollout is complete"));

    let held = fleet.isobar("simulate --hold prod/d --resume-at 1h").ends(0);
    assert!(
        held.stdout.starts_with("5 targets in 3 waves would be done after 21 min, 1 skipped\n"),
        "nothing failed: {}",
        held.stdout
    );
}

#[test]
fn a_resume_of_what_neither_stopped_nor_paused_begins_no_deadline_anew() {
    let fleet = Sandbox::fleet("waves");
    let late = "The rollout would stop after 5 h 21 min";
    for more in ["", "--resume-at 40m"] {
        let ran = fleet.isobar(&format!("simulate --slow prod/d=5h {more}")).ends(0);
        assert!(ran.stdout.starts_with(late), "{more}: {}", ran.stdout);
    }
}

#[test]
fn a_bake_of_months_is_no_deadlock_however_often_the_schedule_comes_round() {
    for (bake, more, headline) in [
        ("70d", "", "5 targets in 3 waves would be done after 70 d"),
        ("3h", "--tick-every 1s", "5 targets in 3 waves would be done after 3 h 4 min"),
    ] {
        let fleet = Sandbox::fleet("waves");
        fleet.edit("isobar.yaml", "bake: 15m", &format!("bake: {bake}"));
        let ran = fleet.isobar(&format!("simulate {more}")).ends(0);
        assert!(ran.stdout.starts_with(headline), "{}", ran.stdout);
    }
}

#[test]
fn a_run_that_is_killed_leaves_an_unknown_target_that_the_next_tick_takes_up() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("simulate --kill-at 90s").ends(0);
    let told = told(&ran);
    assert!(
        told.contains(&"0:01:30  the run is killed; 1 target was in flight and is unknown until a fresh preview"),
        "{told:?}"
    );
    assert!(told.contains(&"0:10:00  isobar tick goes on"), "{told:?}");
    assert!(ran.stdout.contains("would be done after"), "{}", ran.stdout);
}

#[test]
fn a_pause_that_nobody_ends_and_a_region_that_is_held_are_told() {
    let fleet = Sandbox::fleet("waves");
    let paused = fleet.isobar("simulate --pause-at 5m").ends(0);
    let headline = "The rollout would be paused at 5 min: 2 of 5 targets begun, in 2 of 5 regions, 18 % of the weight\n";
    assert!(paused.stdout.starts_with(headline), "{}", paused.stdout);

    let held = fleet.isobar("simulate --hold prod/d").ends(0);
    assert!(held.stdout.starts_with("5 targets in 3 waves would be done after 21 min, 1 skipped\n"), "{}", held.stdout);
    assert!(held.stdout.contains("1 target skipped: region held until released: as asked\n"), "{}", held.stdout);
}

#[test]
fn times_are_taken_as_they_are_assumed() {
    let fleet = Sandbox::fleet("waves");
    let ran = fleet.isobar("simulate --json --apply 30s --apply prod=2m --slow prod/d=1h --tick-every 1m").ends(0);
    let json = ran.json();
    let took = |at: usize| {
        let apply = &json["targets"][at]["applies"][0];
        apply["to_secs"].as_u64().zip(apply["from_secs"].as_u64()).map(|(to, from)| to - from)
    };
    let names: Vec<&str> = json["targets"].as_array().expect("a list").iter().filter_map(|one| one["target"].as_str()).collect();
    assert_eq!(names, ["app@staging/a", "app@prod/a", "app@prod/b", "app@prod/c", "app@prod/d"]);
    assert_eq!([took(0), took(1), took(4)], [Some(30), Some(120), Some(3_600)]);
    let schema = fleet.isobar("schema report").ends(0).json();
    let validator = jsonschema::validator_for(&schema).expect("a schema is one");
    let wrong: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(json["waves"][2]["begins_secs"], 1_080, "the tick after the bake: {json}");
}

#[test]
fn a_share_fails_by_a_seed_and_a_part_is_played_alone() {
    let fleet = Sandbox::fleet("waves");
    let ran = |flags: &str| fleet.isobar(&format!("simulate --json @prod/* --fail 50% {flags}")).ends(0).stdout;
    assert_eq!(ran("--seed 1"), ran("--seed 1"));
    let seeds: std::collections::BTreeSet<String> = (0..8).map(|seed| ran(&format!("--seed {seed}"))).collect();
    assert!(seeds.len() > 2, "another seed means other targets");
    assert_eq!(fleet.isobar("simulate --json @staging/*").ends(0).stdout.matches("\"target\":").count(), 1);
}

#[test]
fn the_page_is_one_file_that_asks_for_nothing() {
    let fleet = Sandbox::fleet("waves");
    let path = fleet.outside("forecast.html");
    fleet.isobar(&format!("simulate --fail prod/b --fail prod/c --html {path}")).ends(0);
    let page = fs::read_to_string(&path).expect("the page");
    for word in ["prod 1: canary", "prod/d", "63 % of the weight", "<rect class=\"bake\"", "<rect class=\"bad\""] {
        assert!(page.contains(word), "{word}: {page}");
    }
    for foreign in ["<script", "http://", "https://", "<link", "<img"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn what_is_asked_of_nobody_is_a_usage_error_with_a_way_out() {
    let fleet = Sandbox::fleet("waves");
    for wrong in
        ["--fail prod/x", "--fail app@prod/x@wave2", "--slow prod/x=5m", "--hold prod/x", "--apply dev=5m", "nobody@prod/*"]
    {
        fleet.isobar(&format!("simulate {wrong}")).ends(64).says("isobar list");
    }
    for wrong in ["--fail prod/a@wave0", "--slow prod/a", "--apply 5", "--kill-at soon", "--fail 0%"] {
        fleet.isobar(&format!("simulate {wrong}")).ends(64);
    }
}

#[test]
fn a_wave_that_never_comes_is_a_usage_error_that_names_those_there_are() {
    let fleet = Sandbox::fleet("waves");
    let all = "there is @wave1 (staging), @wave2 (prod 1: canary), @wave3 (prod 2: rest)";
    for (wrong, what, hint) in [
        ("prod/c@wave1", "prod/c is in no wave 1", "there is @wave3 (prod 2: rest)"),
        ("app@prod/c@wave9", "app@prod/c is in no wave 9", "there is @wave3 (prod 2: rest)"),
        ("prod/*@wave1", "prod/* is in no wave 1", "there is @wave2 (prod 1: canary), @wave3 (prod 2: rest)"),
        ("5%@wave4", "5% is in no wave 4", all),
    ] {
        fleet.isobar(&format!("simulate --fail {wrong}")).ends(64).says(what).says(hint);
    }
    fleet.isobar("simulate --fail 5%@wave1").ends(0);
}

#[test]
fn an_edit_that_is_not_committed_is_played_and_said_so() {
    let fleet = Sandbox::fleet("waves");
    fleet.edit("isobar.yaml", "max_parallel: 2", "max_parallel: 3");
    let ran = fleet.isobar("simulate").ends(0);
    assert!(
        ran.stdout.starts_with("5 targets in 3 waves would be done after 21 min\nwith edits that are not committed\n"),
        "{}",
        ran.stdout
    );
}
