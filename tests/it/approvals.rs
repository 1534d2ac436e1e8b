//! Who may say yes, to exactly what, and for how long it counts.

use crate::support::{APPROVALS, Sandbox, app};
use std::fs;
use std::path::Path;

#[test]
fn what_nobody_approved_waits_and_says_for_whom() {
    let fleet = app("prod/a staging/a", APPROVALS);
    fleet.isobar("preview").ends(0);
    let ran = fleet.isobar("apply --json").ends(3);
    assert_eq!(ran.states(), "applied app@staging/a; waiting app@prod/a");
    assert_eq!(ran.why("app@prod/a"), "0 of 1 approval: missing 1 of platform (bob, carol, dora)");
    assert_eq!(fleet.versions(), "prod/a -, staging/a 1");

    fleet.isobar("apply --review bob=approve").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, staging/a 1");
    let cleared = fleet.events("cleared");
    assert_eq!(cleared.last().map(|event| event["by"].to_string()).as_deref(), Some("[\"bob\"]"));
}

#[test]
fn a_preview_of_what_waits_went_well_and_its_last_line_says_so() {
    let fleet = app("prod/a staging/a", APPROVALS);
    let last = |line: &str, code: i32| fleet.isobar(line).ends(code).stderr.lines().last().map(str::to_string);
    let said = |code: i32| {
        format!(
            "1 target is not cleared; the preview itself went well (exit code {code}), isobar judge and isobar apply would exit with 3"
        )
    };
    assert_eq!(last("preview", 0), Some(said(0)));
    assert_eq!(last("preview --exit-code", 2), Some(said(2)));
    fleet.isobar("judge").ends(3);
    assert_eq!(last("preview --review bob=approve", 0), None);
}

#[test]
fn the_author_may_not_approve() {
    let fleet = app("prod/a", &APPROVALS.replace("bob", "ada"));
    fleet.isobar("preview");
    fleet.isobar("judge --review ada=approve").ends(1).says("ada made this change and cannot approve it");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "prod/a -");
}

#[test]
fn somebody_outside_the_team_does_not_count() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("preview");
    fleet.isobar("judge --review mallory=approve").ends(3).says("missing 1 of platform");
    fleet.isobar("apply").ends(3);
}

#[test]
fn a_rejection_wins() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("preview");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.isobar("judge --review carol=reject").ends(3).says("rejected by carol");
    assert_eq!(fleet.isobar("apply --json").ends(3).states(), "denied app@prod/a");
    fleet.isobar("judge --review carol=approve").ends(0);
    fleet.isobar("apply").ends(0);
}

#[test]
fn an_approval_is_for_what_was_shown_and_not_for_what_came_after() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("preview");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1", "what was approved arrives, what came after waits");
}

#[test]
fn a_yes_to_what_was_applied_is_told_from_a_yes_to_another_preview() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.isobar("preview").ends(0).says("bob approved what was applied before").keeps_quiet_about("another preview");
    fleet.isobar("judge --review carol=approve").ends(0);
    fleet.version(2, 3);
    let said = "; carol approved another preview; bob approved what was applied before\n";
    fleet.isobar("preview").ends(0).says(said);
}

#[test]
fn a_preview_in_which_nothing_would_change_is_nothing_that_somebody_approved() {
    let fleet = app("prod/a", APPROVALS);
    fleet.stack("web", "").file("web/templates/web.txt", "1\n").commit("Web");
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.isobar("preview --all").ends(0);
    fleet.isobar("apply --review bob=approve").ends(0);
    fleet.remove("live/prod/a/app/app.yaml").isobar("drift").ends(2);
    fleet.edit("web/templates/web.txt", "1", "2").commit("More web");
    fleet.isobar("preview").ends(0).says("bob approved what was applied before").keeps_quiet_about("another preview");
}

#[test]
fn an_old_yes_is_no_yes_to_going_back() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.approved_apply("bob").ends(0);
    fleet.version(2, 1);
    fleet.isobar("preview").ends(0).says("missing 1 of platform");
    fleet.isobar("apply").ends(3);
    fleet.approved_apply("carol").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn a_policy_weakened_in_the_same_change_is_refused() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);

    fleet.edit("isobar.yaml", "when: { environment: prod }", "when: { environment: prod, actions: delete }");
    fleet.version(1, 2);
    fleet.isobar("preview").ends(0).says("missing 1 of platform");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");

    fleet.isobar("apply --review bob=approve").ends(0);
    fleet.version(2, 3);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3", "once it was approved, the weaker policy counts");
}

#[test]
fn a_policy_removed_in_the_same_change_is_refused_and_so_is_a_new_member_of_the_team() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.edit("isobar.yaml", "[bob, carol, dora]", "[bob, carol, dora, mallory]").version(1, 2);
    fleet.isobar("preview");
    fleet.isobar("apply --review mallory=approve").ends(3);

    let text = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("the fleet");
    fleet.file("isobar.yaml", text.split("policy:").next().expect("a beginning")).commit("No policy");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn a_policy_weakened_before_the_first_apply_is_judged_by_the_commit_before() {
    let fleet = app("prod/a", APPROVALS);
    fleet.edit("isobar.yaml", "when: { environment: prod }", "when: { environment: prod, actions: delete }").commit("Weaker");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn two_changes_merged_before_one_apply_both_arrive_each_under_its_own_approval() {
    let fleet = app("prod/a", APPROVALS);
    fleet.file("app/templates/other.yaml", "other: 1\n").commit("Another document");
    fleet.approved_apply("bob").ends(0);
    fleet.branch("one").version(1, 2);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.checkout("main").branch("two").edit("app/templates/other.yaml", "1", "2").commit("Other");
    fleet.isobar("preview --base main --head two").ends(0);
    fleet.isobar("judge --review carol=approve").ends(0);

    fleet.checkout("main").merge("one");
    fleet.merge("two");
    fleet.isobar("apply").ends(0);
    let live = fleet.live("live/prod/a/app");
    assert_eq!((live["app.yaml"].as_str(), live["other.yaml"].as_str()), ("region: a\nversion: 2\n", "other: 2\n"));
    assert_eq!(fleet.events("cleared").last().expect("a clearance")["by"].to_string(), "[\"bob\",\"carol\"]");
}

#[test]
fn of_two_merges_the_approved_one_arrives_and_the_other_waits() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.branch("one").version(1, 2);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.checkout("main").merge("one");
    fleet.version(2, 3);

    let ran = fleet.isobar("apply --json").ends(3).says("1 target was brought to").says("which is cleared");
    assert_eq!(fleet.versions(), "prod/a 2", "{}", ran.stdout);
    assert_eq!(ran.states(), "waiting app@prod/a");
    fleet.approved_apply("carol").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3");
}

#[test]
fn a_preview_that_grew_since_its_approval_waits_and_one_command_approves_it() {
    let fleet = app("prod/a", APPROVALS);
    fleet.file("app/templates/other.yaml", "other\n").commit("Another document");
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.isobar("preview");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.remove("live/prod/a/app/other.yaml");

    let ran = fleet.isobar("apply").ends(3).says("would now also create other.yaml");
    assert_eq!(fleet.versions(), "prod/a 1");
    let command = ran.stdout.lines().find_map(|line| line.trim().strip_prefix("isobar ")).expect("what to type next");
    fleet.isobar(&command.replace("NAME", "carol")).ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
    assert_eq!(fleet.live("live/prod/a/app")["other.yaml"], "other\n");
}

#[test]
fn a_preview_that_shrank_keeps_its_approval() {
    let fleet = app("prod/a", APPROVALS);
    fleet.file("app/templates/other.yaml", "other: 1\n").commit("Another document");
    fleet.approved_apply("bob").ends(0);
    fleet.edit("app/templates/other.yaml", "1", "2").version(1, 2);
    fleet.isobar("preview");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.file("live/prod/a/app/other.yaml", "other: 2\n"); // somebody did half of it by hand
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
}

#[test]
fn local_reviews_are_refused_on_github_actions() {
    let fleet = app("prod/a", APPROVALS).env("GITHUB_ACTIONS", "true");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(1).says("do not count on GitHub Actions");
    fleet.isobar("apply --review bob=approve").ends(1).says("do not count on GitHub Actions");
    assert_eq!(fleet.versions(), "prod/a -");
}

#[test]
fn reviews_inside_the_tree_are_refused() {
    let fleet = app("prod/a", APPROVALS).env("ISOBAR_REVIEWS", "reviews.jsonl");
    fleet.isobar("preview").ends(1).says("inside the work tree").says("a change must not bring its own approval");
}

#[test]
fn a_review_that_is_none_is_an_error_with_the_form() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("apply --review bob").ends(64).says("USER=approve");
    fleet.isobar("apply --review bob=approve").ends(64).says("nothing was shown yet that bob could approve");
}

#[test]
fn a_review_with_a_digest_is_for_that_preview_alone() {
    let fleet = app("prod/a prod/b", APPROVALS);
    let json = fleet.isobar("preview --json").ends(0).json();
    let digest = json["targets"][1]["digest"].as_str().expect("a digest").to_string();
    fleet.isobar(&format!("apply --review bob=approve@{}", &digest[..12])).ends(3);
    assert_eq!(fleet.versions(), "prod/a -, prod/b 1");

    let mistyped = fleet.isobar("apply --review bob=approve@deadbeef").ends(64);
    mistyped.says("no digest that was shown begins with \"deadbeef\"").keeps_quiet_about("nothing was shown");
}

#[test]
fn too_many_deletes_are_denied_whoever_approves() {
    let more = "policy: [{ rule: limit, deletes_max: 1 }]";
    let fleet = app("prod/a prod/b", more);
    fleet.file("app/templates/other.yaml", "other\n").commit("Another");
    fleet.isobar("apply").ends(0);
    fleet.remove("app/templates/other.yaml").commit("Not any more");
    fleet.isobar("preview").ends(0).says("2 denied");
    assert_eq!(fleet.isobar("apply --json").ends(3).states(), "denied app@prod/a app@prod/b");
    assert!(fleet.live("live/prod/a/app").contains_key("other.yaml"));
}

#[test]
fn a_freeze_holds_changes_until_its_end() {
    let more = "policy: [{ rule: freeze, from: 2026-11-20, to: 2026-11-23, reason: launch }]";
    let fleet = app("prod/a", more);
    fleet.isobar("apply").ends(3).says("frozen until 2026-11-23 00:00 UTC: launch");
    fleet.pass_secs(24 * 3600).isobar("apply").ends(0);
}

#[test]
fn the_demo_asks_two_teams_for_a_delete() {
    let fleet = Sandbox::fleet("demo");
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review ada=approve --review grace=approve").ends(1).says("ada made this change");
    fleet.isobar("apply --review grace=approve").ends(0);
    fleet.remove("edge/templates/addons.yaml.j2").commit("No add-ons");
    fleet.isobar("preview").ends(0).says("missing 1 of platform").says("1 of sre");
}

#[test]
fn the_author_of_an_earlier_commit_may_not_approve_it_under_a_later_ones_name() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    let fleet = fleet.by("carol");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3);
    let fleet = fleet.by("ada");
    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review carol=approve");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn a_destroy_can_be_judged_after_it_was_shown() {
    let fleet = app("prod/a", APPROVALS);
    fleet.stack("other", "").file("other/templates/other.txt", "other\n").commit("Other");
    fleet.approved_apply("bob").ends(0);
    fleet.remove("other").commit("Gone");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review carol=approve").ends(0).says("1 to delete");
    fleet.isobar("apply").ends(0);
    assert!(!fleet.live("live/prod/a").contains_key("other/other.txt"));
}

#[test]
fn an_apply_of_nothing_uses_up_no_approval_of_what_is_still_to_come() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.edit("app/templates/app.yaml.j2", "version: 1", "version: 2");
    fleet.isobar("preview --review carol=approve").ends(0).says("uncommitted");

    fleet.edit("app/templates/app.yaml.j2", "version: 2", "version: 1{# the same #}").commit("A comment in the template");
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "unchanged app@prod/a");
    fleet.edit("app/templates/app.yaml.j2", "version: 1{# the same #}", "version: 2").commit("What carol saw");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");

    fleet.version(2, 1);
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review dora=approve").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn what_was_squashed_into_one_commit_keeps_its_approval_over_an_apply_of_nothing() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.branch("one").version(1, 2);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review carol=approve").ends(0);
    fleet.checkout("main").edit("app/templates/app.yaml.j2", "version: 1", "version: 1{# the same #}").commit("A comment");
    fleet.isobar("apply").ends(0);

    fleet.edit("app/templates/app.yaml.j2", "version: 1{# the same #}", "version: 2").commit("One, squashed");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
}

#[test]
fn what_was_taken_back_before_it_arrived_needs_a_new_approval() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review carol=approve").ends(0);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a").version(2, 1);
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "applied app@prod/a", "what had begun is closed");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn each_target_arrives_at_the_newest_commit_that_is_cleared_for_it() {
    let fleet = app("prod/a prod/b prod/c", APPROVALS).env("ISOBAR_LOG", "isobar=debug");
    fleet.approved_apply("bob").ends(0);
    let show = |fleet: &crate::support::Sandbox| -> Vec<String> {
        let json = fleet.isobar("preview --json").ends(0).json();
        let digest = |target: &serde_json::Value| target["digest"].as_str().expect("a digest").to_string();
        json["targets"].as_array().expect("targets").iter().map(digest).collect()
    };
    fleet.version(1, 2);
    for digest in show(&fleet) {
        fleet.isobar(&format!("judge --review bob=approve@{}", &digest[..16]));
    }
    fleet.file("README.md", "words\n").commit("Words");
    fleet.version(2, 3);
    let of_b = show(&fleet)[1].clone();
    fleet.isobar(&format!("judge --review carol=approve@{}", &of_b[..16]));
    fleet.version(3, 4);

    let ran = fleet.isobar("apply --json").ends(3);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 3, prod/c 2");
    assert_eq!(ran.states(), "waiting app@prod/a app@prod/b app@prod/c");
    let looks = ran.stderr.lines().filter(|line| line.contains("looking at an older commit")).count();
    assert!((1..=4).contains(&looks), "two rounds, two commits each at most: {looks}\n{}", ran.stderr);
}

#[test]
fn the_decision_given_last_counts_whatever_the_clock_says_for_the_run_that_takes_it_and_for_the_next() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("preview --review bob=approve").ends(0);
    fleet.set_now_ms(fleet.now_ms() - 600_000); // a machine whose clock is behind
    fleet.isobar("judge --review bob=reject").ends(3).says("rejected by bob");
    fleet.isobar("apply").ends(3).says("rejected by bob");
    fleet.run(&["judge", "--review", "bob=reject", "--review", "bob=approve"]).ends(0);
    fleet.isobar("apply").ends(0);
}

#[test]
fn a_rejection_from_a_machine_whose_clock_is_behind_counts_after_an_apply() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.pass_secs(300).version(1, 2);
    fleet.isobar("preview --review carol=approve").ends(0);
    let now_ms = fleet.now_ms();
    fleet.set_now_ms(now_ms - 600_000);
    fleet.isobar("judge --review bob=reject").ends(3).says("rejected by bob");
    fleet.set_now_ms(now_ms);
    fleet.isobar("apply").ends(3).says("rejected by bob");
    assert_eq!(fleet.versions(), "prod/a 1");

    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
}

#[test]
fn a_review_is_checked_against_the_authors_of_what_is_judged_and_not_of_what_is_checked_out() {
    let fleet = app("prod/a", APPROVALS);
    fleet.branch("feature").version(1, 2);
    let fleet = fleet.by("bob");
    fleet.checkout("main").file("README.md", "hello\n").commit("Beside");
    let view = "preview --base main --head feature --review";
    fleet.isobar(&format!("{view} bob=approve")).ends(0).keeps_quiet_about("cannot approve").keeps_quiet_about("not cleared");
    fleet.isobar(&format!("{view} ada=approve")).ends(1).says("ada made this change and cannot approve it");
}

#[test]
fn a_change_that_takes_the_policy_away_is_not_told_as_cleared_for_want_of_one() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.edit("isobar.yaml", APPROVALS, "").version(1, 2);
    for (line, code) in [("preview", 0), ("apply", 3)] {
        fleet.isobar(line).ends(code).says("missing 1 of platform").keeps_quiet_about("everything is cleared");
    }
    let bare = app("prod/a", "");
    bare.isobar("preview").ends(0).says("no policy declared: on a laptop everything is cleared");
    bare.isobar("apply").ends(0).says("no policy declared: on a laptop everything is cleared");
}

/// A dangerous change waits on the main line, and a harmless one on a branch.
fn two_changes() -> Sandbox {
    let fleet = app("prod/a prod/b", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.branch("pr").checkout("pr").file("app/templates/more.yaml", "harmless: true\n").commit("Harmless");
    fleet.checkout("main").version(1, 66);
    fleet.isobar("preview").ends(0).says("version: 66");
    fleet.isobar("preview --base main~1 --head pr").ends(0).keeps_quiet_about("version: 66");
    fleet
}

#[test]
fn a_yes_is_about_what_was_shown_last_and_not_about_what_lies_further_back() {
    let fleet = two_changes();
    fleet.isobar("judge --review bob=approve").ends(0).keeps_quiet_about("version: 66");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");

    let fleet = two_changes();
    fleet.isobar("apply --review bob=approve").ends(64).says("what was shown last is").says("isobar preview");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review bob=approve").ends(0);
    assert_eq!(fleet.versions(), "prod/a 66, prod/b 66");
}

#[test]
fn nobody_says_yes_to_what_is_not_committed_nor_after_it_to_what_was() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.isobar("preview").ends(0);
    fleet.edit("app/templates/app.yaml.j2", "version: 2", "version: 3");
    fleet.isobar("preview").ends(0).says("version: 3");
    fleet.isobar("judge --review bob=approve").ends(64).says("not committed");
    fleet.edit("app/templates/app.yaml.j2", "version: 3", "version: 2");
    fleet.isobar("apply").ends(3);

    fleet.isobar("preview").ends(0);
    fleet.isobar("preview --base main --head main").ends(0).says("Nothing would change");
    fleet.isobar("judge --review bob=approve").ends(64).says("nothing to decide");
    fleet.isobar("apply").ends(3);
}

#[test]
fn a_yes_to_a_fix_is_no_yes_to_what_was_merged_beside_it() {
    let fleet = app("prod/a prod/b", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n");
    fleet.isobar("drift").ends(2);
    fleet.isobar("drift --fix --review bob=approve");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions().split_once(", ").map(|(_, b)| b), Some("prod/b 1"));
}

#[test]
fn nobody_approves_his_own_change_by_another_of_his_names() {
    let fleet = app("prod/a", "policy: [{ rule: approvals, require: [{ count: 1 }] }]");
    fleet.isobar("preview").ends(0);
    for own in ["ada", "ADA", "ada@isobar.example"] {
        fleet.isobar(&format!("judge --review {own}=approve")).ends(1).says("cannot approve it");
    }
    for nobody in ["ada@", "@ada", "ada\u{200b}"] {
        fleet.isobar(&format!("judge --review {nobody}=approve")).ends(64).says("is no name");
    }
    fleet.isobar("apply").ends(3);
}

#[test]
fn the_very_same_shown_later_to_another_is_still_what_was_shown_here() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("preview").ends(0);
    let shown = fleet.root().join(".git/isobar/shown.json");
    let here = std::fs::read(&shown).expect("it is remembered");
    fleet.pass_secs(600);
    fleet.isobar("preview").ends(0); // as by another clone, which remembers by itself
    std::fs::write(&shown, here).expect("it can be written");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.isobar("apply").ends(0);
}

/// The first region was shown here after `spoil`, and then both of them elsewhere.
fn shown_here_after(spoil: impl Fn(&Path)) -> Sandbox {
    let fleet = app("prod/a prod/b", APPROVALS);
    let (notes, aside) = (fleet.root().join(".git/isobar"), fleet.outside("aside"));
    spoil(&notes);
    fleet.isobar("preview app@prod/a").ends(0);
    fs::rename(&notes, &aside).expect("it is there");
    fleet.pass_secs(600);
    fleet.isobar("preview").ends(0).says("prod/b"); // as by another clone, which remembers by itself
    fs::remove_dir_all(&notes).and_then(|()| fs::rename(&aside, &notes)).expect("it was there");
    fleet
}

#[test]
fn what_a_killed_run_left_beside_the_note_of_what_was_shown_is_in_nobodys_way() {
    let fleet = shown_here_after(|notes| fs::create_dir_all(notes.join("shown.new")).expect("it has room"));
    fleet.isobar("apply --review bob=approve").ends(3);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
}

#[test]
fn where_nobody_can_note_what_was_shown_nothing_was_and_a_digest_is_asked_for() {
    let nowhere = |notes: &Path| std::os::unix::fs::symlink("/nowhere/at/all", notes).expect("it has room");
    let in_the_way = |notes: &Path| fs::create_dir_all(notes.join("shown.json")).expect("it has room");
    for spoil in [&nowhere, &in_the_way] as [&dyn Fn(&Path); 2] {
        let fleet = shown_here_after(spoil);
        fleet.isobar("apply --review bob=approve").ends(64).says("what was shown last is not known").says("@DIGEST");
        let ran = fleet.isobar("preview app@prod/a --json").ends(0).says("name a digest with --review");
        fleet.isobar("judge --review bob=approve").ends(64).says("what was shown last is not known");
        assert_eq!(fleet.versions(), "prod/a -, prod/b -");
        let json = ran.json();
        let digest = json["targets"][0]["digest"].as_str().expect("a digest");
        fleet.isobar(&format!("apply --review bob=approve@{digest}")).ends(3);
        assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
    }
}

#[test]
fn a_yes_by_a_clock_that_is_ahead_clears_nothing_twice() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.pass_secs(60).version(1, 2);
    let now_ms = fleet.now_ms();
    fleet.isobar("preview").ends(0);
    fleet.set_now_ms(now_ms + 3_600_000);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.set_now_ms(now_ms);
    fleet.isobar("apply").ends(3).says("what bob approved at");
    fleet.set_now_ms(now_ms + 3_660_000);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(60).version(2, 1);
    fleet.approved_apply("bob").ends(0);
    fleet.pass_secs(60).version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn a_yes_by_a_clock_that_is_ahead_clears_a_first_apply_from_its_time_on_and_nothing_after_it() {
    let fleet = app("prod/a", APPROVALS);
    let now_ms = fleet.now_ms();
    fleet.isobar("preview").ends(0);
    fleet.set_now_ms(now_ms + 3_600_000);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.set_now_ms(now_ms);
    let said = "what bob approved counts from 2026-11-22 10:00 UTC on, by a clock that is ahead; or they approve again now";
    let ran = fleet.isobar("apply --json").ends(3).keeps_quiet_about("never applied");
    assert_eq!((ran.why("app@prod/a").as_str(), fleet.versions().as_str()), (said, "prod/a -"));
    fleet.set_now_ms(now_ms + 3_660_000);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(60).remove("live/prod/a/app/app.yaml").isobar("drift --fix").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a -");
}

#[test]
fn a_yes_that_is_still_to_come_is_not_told_as_one_to_what_was_applied_before() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.pass_secs(60).version(1, 2);
    fleet.isobar("preview").ends(0);
    let now_ms = fleet.now_ms();
    fleet.set_now_ms(now_ms + 3_600_000);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.set_now_ms(now_ms);
    let said = "isobar apply  (later; no approval is missing: what bob approved counts from 2026-11-22 10:01 UTC on, by a clock that is ahead; or they approve again now)";
    fleet.isobar("apply").ends(3).says(said).keeps_quiet_about("applied before").keeps_quiet_about("missing 1");
    fleet.isobar("apply --review bob=approve").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2", "a clock that is right may say it again");
}
