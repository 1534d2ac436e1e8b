//! What a preview shows, of which two sides, and what it never calls a green.

use crate::support::{APPROVALS, Sandbox, app};

#[test]
fn a_preview_changes_nothing_and_tells_what_would() {
    let fleet = app("prod/a prod/b", "");
    let ran = fleet.isobar("preview").ends(0).says("2 of 2 regions will change").says("isobar apply");
    assert!(ran.stdout.contains("+version: 1"), "{}", ran.stdout);
    assert_eq!((fleet.versions().as_str(), fleet.journal_lines().len()), ("prod/a -, prod/b -", 0));
}

#[test]
fn a_long_diff_is_bounded_and_full_shows_it_all() {
    let fleet = app("prod/a", "");
    let lines: String = (0..200).map(|line| format!("line {line}\n")).collect();
    fleet.file("app/templates/long.txt", &lines).commit("Long");
    let bounded = fleet.isobar("preview").ends(0).says("more lines: --full shows them all");
    assert!(!bounded.stdout.contains("+line 199\n") && bounded.stdout.lines().count() < 100, "{}", bounded.stdout);
    for line in ["preview --full", "judge --full", "apply --full"] {
        fleet.isobar(line).ends(0).says("+line 199\n").keeps_quiet_about("more line");
    }
}

#[test]
fn every_delete_is_in_the_markdown_or_in_the_parts_beside_it() {
    let fleet = app("prod/a", "");
    let name = |n: usize| format!("{}-{n}.txt", "long-name".repeat(12));
    let path = |n: usize| format!("app/templates/{}", name(n));
    for n in 0..800 {
        fleet.file(&path(n), "x\n");
    }
    fleet.commit("Many");
    fleet.isobar("apply").ends(0);
    for n in 0..800 {
        fleet.remove(&path(n));
    }
    fleet.commit("None");

    fleet.run(&["preview", "--markdown", &fleet.outside("comment.md")]).ends(0);
    let read = |file: &str| std::fs::read_to_string(fleet.outside(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let parts = [read("comment.md"), read("comment.2.md")];
    assert!(parts.iter().all(|part| part.len() <= 60_000) && parts[0].contains("goes on in parts 2 to 2"), "{}", parts[0]);
    let missing = (0..800).find(|n| !parts.iter().any(|part| part.contains(&format!("`{}`", name(*n)))));
    assert_eq!(missing, None);
}

#[test]
fn with_exit_code_a_change_is_a_two() {
    let fleet = app("prod/a", "");
    fleet.isobar("preview --exit-code").ends(2);
    fleet.isobar("apply").ends(0);
    fleet.isobar("preview --exit-code").ends(0).says("Nothing would change in 1 target");
}

#[test]
fn a_preview_that_could_not_see_all_does_not_say_to_apply() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.remove("live/prod/a/app/app.yaml").file("live/prod/a/app/app.yaml/in-the-way", "");
    let ran = fleet.isobar("preview").ends(1).says("1 unseen").says("isobar preview  (again");
    ran.keeps_quiet_about("\n  isobar apply\n");
}

#[test]
fn a_conflict_with_the_base_is_unseen_and_never_a_green() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.branch("mine").version(1, 2);
    fleet.checkout("main").version(1, 3);
    fleet.checkout("mine");

    let ran = fleet.isobar("preview --json").ends(1);
    let base = ran.json()["base"].as_str().expect("a base").to_string();
    assert_eq!(ran.states(), "unseen app@prod/a app@prod/b");
    assert_eq!(ran.why("app@prod/a"), "the head does not merge into its base, conflict in app/templates/app.yaml.j2");
    fleet.isobar("preview").ends(1).says("2 unseen").says(&format!("git merge {}", &base[..7])).keeps_quiet_about("unchanged");
}

#[test]
fn a_branch_is_previewed_as_it_would_be_after_the_merge() {
    let fleet = app("prod/a", "");
    fleet.file("app/templates/extra.yaml.j2", "extra: 1\n").commit("Extra");
    fleet.isobar("apply").ends(0);
    fleet.branch("mine").version(1, 2);
    fleet.checkout("main").edit("app/templates/extra.yaml.j2", "extra: 1", "extra: 2").commit("Meanwhile");
    fleet.isobar("apply").ends(0);

    fleet.checkout("mine");
    let ran = fleet.isobar("preview").ends(0).says("+version: 2").says("isobar apply").says("merge");
    assert!(!ran.stdout.contains("extra.yaml"), "what the base did meanwhile is no change of the branch:\n{}", ran.stdout);
    fleet.checkout("main").isobar("preview --base main --head mine").ends(0).says("+version: 2");
    fleet.isobar("preview --head mine").ends(64).says("--head needs --base");
}

#[test]
fn only_the_regions_that_a_change_touches_are_previewed() {
    let fleet = app("prod/a prod/b prod/c", "");
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "  prod/b: {}", "  prod/b: { vars: { x: 2 } }").commit("A var that nothing uses");
    assert_eq!(fleet.isobar("preview --json").ends(0).states(), "unchanged app@prod/a app@prod/b app@prod/c");

    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: {{ vars.x | default(1) }}").commit("Use it");
    let ran = fleet.isobar("preview --json").ends(0);
    assert_eq!(ran.json()["groups"].as_array().map(Vec::len), Some(1), "{}", ran.stdout);
    assert_eq!(ran.states(), "changes app@prod/b; unchanged app@prod/a app@prod/c");
}

#[test]
fn equal_changes_are_shown_once_with_the_regions_own_values_as_names() {
    let fleet = app("prod/eu-west-1 prod/us-east-1 prod/us-east-2", "");
    let ran = fleet
        .isobar("preview")
        .ends(0)
        .says("prod/eu-west-1, prod/us-east-1, prod/us-east-2 · +1")
        .says("+region: {region.name}");
    assert_eq!(ran.stdout.matches("+version: 1").count(), 1, "{}", ran.stdout);
}

#[test]
fn an_uncommitted_tree_is_shown_and_said_so() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: 2");
    let ran = fleet.isobar("preview --json").ends(0);
    assert_eq!((ran.json()["dirty"].as_bool(), ran.json().get("head")), (Some(true), None));
    fleet
        .isobar("preview")
        .ends(0)
        .says("+version: 2")
        .says("1 file is uncommitted: app/templates/app.yaml.j2")
        .says("git add -A && git commit");
}

#[test]
fn a_policy_speaks_in_a_preview_and_says_who_is_missing() {
    let fleet = app("prod/a staging/a", crate::support::APPROVALS);
    let ran = fleet.isobar("preview --json").ends(0);
    assert_eq!(ran.why("app@prod/a"), "0 of 1 approval: missing 1 of platform (bob, carol, dora)");
    assert_eq!(ran.why("app@staging/a"), "no rule asks for an approval of this");
}

#[test]
fn a_markdown_comment_is_written_beside() {
    let fleet = app("prod/a", "");
    let file = fleet.outside("comment.md");
    fleet.run(&["preview", "--markdown", &file]).ends(0);
    let comment = std::fs::read_to_string(&file).expect("it was written");
    assert!(comment.contains("1 of 1 target will change") && comment.contains("+version: 1"), "{comment}");
}

#[test]
fn a_fleet_that_does_not_exist_says_how_to_begin() {
    let nothing = Sandbox::of("README.md | # Shop");
    nothing.isobar("preview").ends(65).says("isobar init");
    Sandbox::empty().isobar("preview").ends(1).says("nothing is committed yet");
}

#[test]
fn what_policy_denies_altogether_is_not_told_to_be_applied_next() {
    let fleet = app("prod/a prod/b", "policy: [{ rule: deny, message: not now, when: { region: prod/a } }]");
    fleet.isobar("preview").ends(0).says("1 denied").says("\n  isobar apply\n");
    let ran = fleet
        .isobar("preview @prod/a")
        .ends(0)
        .says("\nNext\n  isobar preview  (again, once the change, or the policy that denies it, is another)\n");
    assert!(!ran.stdout.contains("\n  isobar apply"), "{}", ran.stdout);
}

#[test]
fn what_is_not_committed_is_committed_and_shown_before_it_is_approved() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: 2");
    let ran = fleet.isobar("preview").ends(0).says("isobar preview  (what is committed can be approved)");
    assert!(!ran.stdout.contains("--review"), "{}", ran.stdout);
    let ran = fleet.isobar("judge").says("Judged dirty").says("isobar preview  (what is committed can be approved)");
    assert!(!ran.stdout.contains("--review"), "{}", ran.stdout);
}
