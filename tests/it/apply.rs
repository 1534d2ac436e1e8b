//! What an apply brings where, what it takes along, and what it refuses.

use crate::support::{Sandbox, app};

#[test]
fn what_was_previewed_is_applied_and_then_nothing_is_left() {
    let fleet = app("prod/a prod/b", "");
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "applied app@prod/a app@prod/b");
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "region: a\nversion: 1\n");

    let before = fleet.journal_lines().len();
    fleet.isobar("apply").ends(0).says("Nothing to apply");
    let more: Vec<String> = fleet.journal_lines()[before..].iter().map(|entry| entry["event"].to_string()).collect();
    assert_eq!(more, ["\"run_started\"", "\"settled\""]);
}

#[test]
fn an_uncommitted_tree_is_refused_with_the_command_that_commits() {
    let fleet = app("prod/a", "");
    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: 2");
    fleet.isobar("apply").ends(64).says("1 file is not committed: app/templates/app.yaml.j2").says("git add -A && git commit");
    assert_eq!(fleet.versions(), "prod/a -");
}

#[test]
fn destinations_and_the_journal_are_not_uncommitted_work() {
    let fleet = app("prod/a", "");
    fleet.remove(".gitignore").commit("Ignore nothing");
    fleet.isobar("apply").ends(0);
    assert!(!fleet.dirty().is_empty(), "git sees what was published");
    fleet.isobar("apply").ends(0).says("Nothing to apply");
    fleet.isobar("preview").ends(0).keeps_quiet_about("uncommitted");
}

#[test]
fn older_code_is_never_put_over_newer() {
    let fleet = app("prod/a", "");
    fleet.branch("old").checkout("main").version(1, 2);
    fleet.isobar("apply").ends(0);

    fleet.checkout("old").isobar("apply").ends(1).says("older code is never put over newer");
    assert_eq!(fleet.versions(), "prod/a 2");

    fleet.checkout("main").version(2, 1);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1", "a revert is newer code");
}

#[test]
fn nothing_that_looks_at_older_code_says_to_apply_it() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.branch("old").checkout("main").version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet
        .checkout("old")
        .isobar("drift")
        .ends(2)
        .says("check out a commit that holds it")
        .keeps_quiet_about("\n  isobar apply\n");
    fleet.isobar("status").ends(0).says("1 ahead").keeps_quiet_about("behind");
    fleet.edit("live/prod/a/app/app.yaml", "version: 2", "version: 1"); // so that nothing would change
    fleet.isobar("preview").ends(0).keeps_quiet_about("\n  isobar apply\n");
}

#[test]
fn older_code_is_not_put_over_newer_that_was_begun_and_failed_either() {
    let fleet = app("prod/a", "rollout: { prod: { failure_tolerance: 1 } }");
    fleet.isobar("apply").ends(0);
    fleet.branch("old").checkout("main").version(1, 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.isobar("status").ends(0).keeps_quiet_about("Rollout "); // one failure is tolerated, so nothing is open

    fleet.checkout("old").isobar("apply").ends(1).says("older code is never put over newer");

    fleet.checkout("main").unblock("prod/a").isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
}

#[test]
fn an_apply_that_failed_in_3_of_18_targets_is_taken_along_by_the_next_merge() {
    let regions: Vec<String> = (0..18).map(|at| format!("prod/r{at:02}")).collect();
    let fleet = app(&regions.join(" "), "rollout: { prod: { failure_tolerance: 3 } }");
    let blocked = ["prod/r03", "prod/r07", "prod/r16"];
    for region in blocked {
        fleet.file(&format!("live/{region}/app/app.yaml/in-the-way"), "a directory where a document must go\n");
    }

    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.json()["counts"]["applied"], 15, "{}", ran.stdout);
    assert!(ran.states().contains("failed app@prod/r03 app@prod/r07 app@prod/r16"), "{}", ran.states());
    fleet.isobar("status").ends(0).says("15 of 18 targets applied, 3 failed");

    for region in blocked {
        fleet.remove(&format!("live/{region}/app/app.yaml"));
    }
    fleet.stack("other", "").file("other/templates/note.txt", "unrelated\n").commit("Another stack");
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.json()["counts"]["applied"], 18 + 3, "{}", ran.stdout);
    assert!(fleet.versions().split(", ").all(|version| version.ends_with(" 1")), "{}", fleet.versions());
}

#[test]
fn what_failed_is_not_tried_again_unchanged_until_somebody_says_resume() {
    let fleet = app("prod/a prod/b", "rollout: { prod: { failure_tolerance: 1 } }");
    fleet.block("prod/a");
    fleet.isobar("apply").ends(1);
    fleet.unblock("prod/a");

    let resume = "isobar resume (after mending the cause), then isobar apply";
    fleet.isobar("preview").ends(0).says("1 target failed before with the same changes").says(resume);
    let ran = fleet.isobar("apply --json").ends(1);
    assert!(ran.why("app@prod/a").contains("failed before with the same changes"), "{}", ran.stdout);
    assert_eq!(ran.json()["next"], serde_json::json!([resume]));
    fleet.isobar("status").ends(0).says("isobar resume; failed before with the same changes");
    assert_eq!(fleet.versions(), "prod/a -, prod/b 1");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
}

#[test]
fn a_document_that_is_not_ours_is_never_overwritten() {
    let fleet = app("prod/a", "");
    fleet.file("live/prod/a/app/app.yaml", "somebody's own\n");
    fleet.isobar("apply").ends(1).says("app.yaml");
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "somebody's own\n");
}

#[test]
fn a_document_no_longer_rendered_is_removed_and_what_is_not_ours_stays() {
    let fleet = app("prod/a", "");
    fleet.file("app/templates/extra.yaml", "extra\n").commit("Extra");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/app/mine.txt", "mine\n").remove("app/templates/extra.yaml").commit("No extra");
    fleet.isobar("preview").ends(0).says("1 to delete");
    fleet.isobar("apply").ends(0);
    let live = fleet.live("live/prod/a/app");
    let files: Vec<&str> = live.keys().map(String::as_str).filter(|file| !file.starts_with(".isobar")).collect();
    assert_eq!(files, ["app.yaml", "mine.txt"]);
}

#[test]
fn only_what_was_selected_is_applied_and_the_rest_stays_behind() {
    let fleet = app("prod/a prod/b", "");
    assert_eq!(fleet.isobar("apply --json app@prod/a").ends(0).states(), "applied app@prod/a");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    fleet.version(1, 2);
    fleet.isobar("apply --json --region prod/b").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 2");
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "applied app@prod/a; unchanged app@prod/b");
}

#[test]
fn a_dependent_is_applied_after_what_it_uses_and_not_at_all_when_that_failed() {
    let fleet = app("prod/a", "rollout: { prod: { failure_tolerance: 1 } }");
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.txt", "web\n").commit("Web");
    fleet.file("live/prod/a/app/app.yaml/in-the-way", "x\n");
    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.states(), "failed app@prod/a; skipped web@prod/a");
    assert_eq!(ran.why("web@prod/a"), "dependency app@prod/a failed");

    fleet.remove("live/prod/a/app/app.yaml").isobar("resume");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.applied(), ["app@prod/a", "web@prod/a"]);
}

#[test]
fn several_merges_wait_and_one_apply_brings_the_newest() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    let head = fleet.version(2, 3);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3");
    assert_eq!(fleet.events("applied").len(), 2, "version 2 was never there");
    fleet.isobar("status").ends(0).says(&head[..7]);
}

#[test]
fn a_commit_that_nothing_uses_is_still_where_everything_is() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let head = fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 1 target applied").says(&head[..7]);
}

#[test]
fn every_selected_target_is_accounted_for() {
    let fleet = Sandbox::fleet("waves");
    let json = fleet.isobar("apply --json").ends(0).json();
    let counts = json["counts"].as_object().expect("counts by name");
    let number = |name: &str| counts.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let accounted: u64 = ["applied", "unchanged", "failed", "unknown", "unseen", "waiting", "denied", "skipped", "not_started"]
        .map(number)
        .iter()
        .sum();
    assert_eq!((accounted, number("targets")), (5, 5), "{json}");
}

#[test]
fn one_that_arrives_does_not_hide_another_that_was_not_tried() {
    let fleet = app("prod/a prod/b", "rollout: { prod: { failure_tolerance: 1 } }");
    fleet.block("prod/a");
    fleet.isobar("apply app@prod/a").ends(1);
    fleet.unblock("prod/a");
    let ran = fleet.isobar("apply --json").ends(1);
    assert_eq!(ran.states(), "applied app@prod/b; skipped app@prod/a");
}

#[test]
fn the_name_of_a_file_commands_neither_runner_nor_terminal() {
    let fleet = app("prod/a", "");
    fleet.file("a\n::error::forged\u{1b}[2J", "x\n");
    let ran = fleet.isobar("apply").ends(64);
    let all = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(!all.lines().any(|line| line.trim_start().starts_with("::")) && !all.contains('\u{1b}'), "{all}");
}

#[test]
fn an_apply_that_failed_when_all_was_changed_is_closed_by_the_next() {
    let fleet = app("prod/a", "");
    fleet.block("prod/a").isobar("apply").ends(1);
    // As if it had failed one step later: the document is there, and what the engine keeps beside it still tells of the intent.
    fleet.unblock("prod/a").file("live/prod/a/app/app.yaml", "region: a\nversion: 1\n");
    let manifest = || fleet.live("live/prod/a/app")[".isobar-manifest.json"].clone();
    assert!(manifest().contains("pending"), "{}", manifest());

    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert!(!manifest().contains("pending"), "{}", manifest());
}

#[test]
fn what_leads_on_is_named_only_where_it_does() {
    let fleet = app("prod/a", "");
    fleet.isobar("preview").ends(0);
    assert_eq!(fleet.isobar("judge --json").ends(0).json()["next"], serde_json::json!(["isobar apply"]));
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.isobar("judge --json").ends(0).json()["next"], serde_json::json!([]), "all of it was brought");

    fleet.version(1, 2);
    let told = fleet.isobar("tick --json").ends(0).json();
    assert_eq!(told["next"], serde_json::json!(["isobar apply  (begins what was merged)"]));
}
