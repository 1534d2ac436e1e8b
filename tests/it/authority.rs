//! Who may not say yes to what: the tricks by which a change could judge itself, each refused.

use crate::support::{APPROVALS, Sandbox, app};

#[test]
fn a_base_of_ones_own_choice_hides_no_author() {
    let fleet = app("prod/a", &APPROVALS.replace("bob, carol", "ada, bob, carol"));
    fleet.approved_apply("bob").ends(0);
    fleet.version(1, 2);
    let fleet = fleet.by("carol");
    fleet.file("README.md", "a typo\n").commit("A typo");
    fleet.isobar("preview --base HEAD^ --head HEAD --all").ends(0);
    fleet.isobar("judge --review ada=approve");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");
    fleet.approved_apply("bob").ends(0);
}

#[test]
fn who_wrote_a_fleet_before_its_first_apply_may_not_approve_it() {
    let fleet = app("prod/a", &APPROVALS.replace("bob, carol", "ada, bob, carol"));
    let fleet = fleet.by("carol");
    fleet.file("README.md", "a typo\n").commit("A typo");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review ada=approve");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    fleet.isobar("apply --review bob=approve").ends(0);
}

#[test]
fn a_fleet_whose_first_commits_had_mistakes_is_judged_by_the_newest_one_before_it_that_can_be_read() {
    let fleet = app("prod/a", APPROVALS);
    fleet.file("isobar.yaml", "version: one\n").commit("Broken");
    fleet.file("isobar.yaml", "version: 1\nregions: { prod/a: {} }\njournal: file:.isobar/journal\n").commit("No policy");
    fleet.isobar("preview").ends(0).says("missing 1 of platform");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    fleet.isobar("apply --review bob=approve").ends(0);

    let fleet = Sandbox::of("isobar.yaml | polcy: []");
    let mended = app("prod/a", APPROVALS);
    for path in ["isobar.yaml", "app/stack.yaml", "app/templates/app.yaml.j2", ".gitignore"] {
        fleet.file(path, &std::fs::read_to_string(mended.root().join(path)).expect("a file of the fleet"));
    }
    fleet.commit("Mended");
    fleet.isobar("preview").ends(0).says("missing 1 of platform");
    fleet.isobar("apply").ends(3);
    fleet.isobar("apply --review bob=approve").ends(0);
}

#[test]
fn who_spoke_before_is_not_hidden_behind_many_commits_with_mistakes() {
    let fleet = app("prod/a", APPROVALS);
    let text = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("the fleet");
    for number in 0..50 {
        fleet.file("isobar.yaml", &format!("version: one # {number}\n")).commit("Broken");
    }
    let mine = text.split("teams:").next().expect("a beginning");
    let head = fleet.file("isobar.yaml", mine).commit("No policy");
    let refused = fleet.isobar("apply").ends(1);
    let refused =
        refused.says("none of the 50 commits before it can be read").says("isobar.yaml:1:1: ").says("hint: commit a fleet");
    assert!(!refused.stderr.contains(&head[..7]), "{}", refused.stderr);
    assert_eq!((fleet.versions(), fleet.journal_lines().len()), ("prod/a -".into(), 0));

    fleet.isobar("pause --reason lunch").ends(0);
    fleet.isobar("resume").ends(0);
    fleet.file("isobar.yaml", &text).commit("The policy again");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    fleet.file("isobar.yaml", mine).commit("No policy");
    fleet.version(2, 3);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn who_spoke_before_is_not_hidden_behind_a_commit_without_a_fleet() {
    let hide: [fn(&Sandbox); 2] = [
        |_| {},
        |fleet| {
            fleet.file("isobar.yaml/a.txt", "no fleet\n");
        },
    ];
    for hide in hide {
        let fleet = app("prod/a", APPROVALS);
        let text = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("the fleet");
        fleet.remove("isobar.yaml");
        hide(&fleet);
        fleet.commit("No fleet");
        if fleet.root().join("isobar.yaml").exists() {
            fleet.remove("isobar.yaml");
        }
        fleet.file("isobar.yaml", text.split("teams:").next().expect("a beginning")).commit("No policy");
        fleet.isobar("preview").ends(0).says("missing 1 of platform");
        fleet.isobar("apply").ends(3).says("missing 1 of platform");
        assert_eq!(fleet.versions(), "prod/a -");
    }
}

#[test]
fn a_policy_that_no_apply_took_up_speaks_for_nobody() {
    for between in
        [&["tick"] as &[&str], &["pause --reason lunch", "apply", "resume"], &["drift --fix", "drift --fix --review bob=approve"]]
    {
        let fleet = app("prod/a", APPROVALS);
        fleet.approved_apply("bob").ends(0);
        fleet.file("live/prod/a/app/app.yaml", "by hand\n");
        let text = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("the fleet");
        fleet.file("isobar.yaml", text.split("teams:").next().expect("a beginning")).commit("No policy");
        let ran = between.iter().map(|line| fleet.pass_secs(1).isobar(line)).last().expect("one at least");
        ran.ends(0);
        fleet.version(1, 2);
        fleet.pass_secs(1).isobar("apply").ends(3).says("missing 1 of platform");
    }
}

#[test]
fn where_no_approval_is_missing_none_is_asked_for() {
    let fleet = app("prod/a", "policy: [{ rule: freeze, from: 2020-01-01, to: 2090-01-01, reason: winter }]");
    for line in ["preview", "judge", "apply"] {
        let ran = fleet.isobar(line).says("no approval is missing: frozen until 2090-01-01 00:00 UTC: winter");
        assert!(!ran.stdout.contains("--review"), "{}", ran.stdout);
    }
}

#[test]
fn a_co_author_may_not_approve() {
    let fleet = app("prod/a", &APPROVALS.replace("carol", "Carol Jones"));
    fleet
        .file("README.md", "words\n")
        .commit("Words\n\nCo-authored-by: Carol Jones <cj@isobar.example>\nco-authored-by: Bob <bob@isobar.example>");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(1).says("bob made this change and cannot approve it");
    fleet.isobar("judge").ends(3).says("missing 1 of platform (dora)");
    fleet.isobar("judge --review dora=approve").ends(0);
}

#[test]
fn a_stored_preview_is_judged_as_the_whole_that_was_shown() {
    let policy = "teams: { platform: [pam], sre: [sue] }\n\
        policy: [{ rule: approvals, require: [{ team: platform }] }, \
        { rule: approvals, when: { targets_min: 3 }, require: [{ team: sre }] }]";
    let fleet = app("prod/a prod/b prod/c", policy);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review pam=approve").ends(3).says("sre");
    fleet.isobar("apply").ends(3).says("sre");
    assert_eq!(fleet.versions(), "prod/a -, prod/b -, prod/c -");
    fleet.isobar("apply --review sue=approve").ends(0);
}

#[test]
fn a_change_that_is_shown_and_approved_bit_by_bit_is_judged_as_the_whole_that_it_is_a_bit_of() {
    let policy = "teams: { platform: [pam], sre: [sue] }\n\
        policy: [{ rule: approvals, require: [{ team: platform }] }, \
        { rule: approvals, when: { targets_min: 3 }, require: [{ team: sre }] }]";
    let fleet = app("prod/a prod/b prod/c", policy);
    for target in ["app@prod/a", "app@prod/b", "app@prod/c"] {
        fleet.isobar(&format!("preview {target}")).ends(0).says("sre");
        fleet.isobar(&format!("judge {target} --review pam=approve")).ends(3).says("sre");
        fleet.isobar(&format!("apply {target}")).ends(3).says("sre");
    }
    fleet.isobar("apply").ends(3).says("sre");
    assert_eq!(fleet.versions(), "prod/a -, prod/b -, prod/c -");
}

#[test]
fn what_was_shown_of_another_head_is_judged_with_a_word_about_it() {
    let fleet = app("prod/a", APPROVALS);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge").ends(3).keeps_quiet_about("is checked out");
    fleet.version(1, 2);
    fleet.isobar("judge").ends(3).says("is checked out: isobar preview shows that");
}

#[test]
fn a_branch_that_nobody_merged_is_applied_with_a_word_about_it() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0).keeps_quiet_about("not merged");
    fleet.branch("mine").version(1, 2);
    fleet.isobar("apply").ends(0).says("is not merged into the default branch");
    fleet.checkout("main").merge("mine");
    fleet.isobar("apply").ends(0).keeps_quiet_about("not merged");
}

#[test]
fn a_review_is_not_bound_to_what_was_shown_of_another_head() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.branch("other").version(1, 2);
    fleet.isobar("preview").ends(0);
    fleet.checkout("main").file("README.md", "words\n").commit("Words");
    fleet.isobar("apply --review bob=approve").ends(64).says("isobar preview");
    fleet.merge("other");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn a_rule_about_a_label_that_leaves_with_its_region_still_judges_its_end_and_harms_nothing_then() {
    let more = "  prod/b: { labels: { tier: one } }\nteams: { sre: [sue] }\n\
        policy: [{ rule: approvals, when: { labels: { tier: one } }, require: [{ team: sre }] }]";
    let fleet = app("prod/a", more);
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review sue=approve").ends(0);

    fleet.edit("isobar.yaml", "  prod/b: { labels: { tier: one } }\n", "").commit("No more b");
    fleet.isobar("check").ends(0).says("no region and no stack has the label \"tier\"");
    fleet.isobar("preview").ends(0).says("missing 1 of sre (sue)");
    fleet.isobar("apply --review sue=approve").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/b").len(), 0);
}

#[test]
fn a_base_with_mistakes_that_only_new_definitions_are_asked_for_can_be_mended() {
    let broken = "teams: { sre: [] }\npolicy: [{ rule: deny, message: no, when: { labels: { tire: one } } }]";
    let fleet = app("prod/a", &format!("  prod/b: {{ labels: {{ tier: one }} }}\n{broken}"));
    fleet.file("app/templates/_unused", "{{ region.name|uper }}").commit("Broken");
    fleet.isobar("preview").ends(65).says("3 mistakes");
    fleet.branch("mend").edit("isobar.yaml", "sre: []", "sre: [sue]").edit("isobar.yaml", "tire:", "tier:");
    fleet.edit("app/templates/_unused", "uper", "upper").commit("Mended");
    fleet.isobar("preview").ends(0);
}

#[test]
fn what_was_approved_stays_approved_until_it_is_merged_and_applied() {
    let fleet = app("prod/a", APPROVALS);
    fleet.file("app/templates/other.yaml", "other: 1\n").commit("Another document");
    fleet.approved_apply("bob").ends(0);
    fleet.branch("one").version(1, 2);
    fleet.isobar("preview --review bob=approve").ends(0);
    fleet.checkout("main").branch("two").edit("app/templates/other.yaml", "1", "2").commit("Other");
    fleet.isobar("preview --review carol=approve").ends(0);

    fleet.checkout("main").merge("one");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2");
    fleet.merge("two");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["other.yaml"], "other: 2\n");
}

#[test]
fn a_later_look_at_the_same_head_takes_no_approval_away() {
    let fleet = app("prod/a prod/b", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.branch("one").version(1, 2);
    fleet.isobar("preview --review bob=approve").ends(0);
    fleet.isobar("preview app@prod/b").ends(0);
    fleet.checkout("main").file("README.md", "words\n").commit("Words");
    fleet.merge("one");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn a_rename_leaves_no_rule_behind() {
    let policy = "teams: { platform: [pam], sre: [sue] }\n\
        policy: [{ rule: approvals, when: { labels: { tier: one } }, require: [{ team: platform }] }, \
        { rule: approvals, when: { stack: \"ba*\" }, require: [{ team: sre }] }]";
    let fleet = app("prod/a", policy);
    fleet.stack("base", "labels: { tier: one }").file("base/templates/base.txt", "1\n").commit("Base");
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review pam=approve --review sue=approve").ends(0);

    fleet.remove("base").stack("core", "was: base").file("core/templates/base.txt", "2\n");
    fleet.edit("core/stack.yaml", "}}/core", "}}/base").commit("Renamed");
    let ran = fleet.isobar("apply").ends(3);
    ran.says("missing 1 of platform").says("missing 1 of sre");
}

#[test]
fn no_policy_is_no_yes_on_github_actions() {
    let fleet = app("prod/a", "").env("GITHUB_ACTIONS", "true");
    fleet.isobar("apply").ends(3).says("no policy declared");
    assert_eq!(fleet.versions(), "prod/a -");
}

#[test]
fn a_change_cannot_move_the_history_it_is_judged_by_in_two_commits() {
    let fleet = app("prod/a", APPROVALS);
    fleet.approved_apply("bob").ends(0);
    let text = std::fs::read_to_string(fleet.root().join("isobar.yaml")).expect("the fleet");
    let begin = text.split("policy:").next().expect("a beginning").replace(".isobar/journal", ".isobar/j2");
    fleet.file("isobar.yaml", &begin).commit("Another journal, no policy");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");

    std::fs::create_dir_all(fleet.root().join(".isobar/j2")).expect("it has room");
    std::fs::write(fleet.root().join(".isobar/j2/entries.jsonl"), "{}\n").expect("it has room");
    fleet.isobar("apply").ends(64).says("history lies in two places");
}

#[test]
fn a_limit_counts_what_earlier_waves_brought_and_what_was_not_selected() {
    let rules = "policy: [{ rule: limit, targets_max: 1, when: { region: b } }]\n\
        rollout: { prod: { waves: [{ name: one, regions: a, bake: 15m }, { name: two, regions: b }] } }";
    let fleet = app("prod/a prod/b", rules);
    let denied = "the whole change would touch 2 targets, and the limit is 1";
    fleet.isobar("apply app@prod/b").ends(3).says(denied);
    fleet.isobar("apply");
    fleet.pass_secs(16 * 60);
    fleet.isobar("tick").ends(3).says(denied);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b -");
}

#[test]
fn a_label_that_leaves_in_one_merge_guards_the_next_until_an_apply_comes_between() {
    let more = "  prod/b: { labels: { tier: one } }\nteams: { sre: [sue] }\n\
        policy: [{ rule: approvals, when: { labels: { tier: one } }, require: [{ team: sre }] }]";
    for between in [false, true] {
        let fleet = app("prod/a", more);
        fleet.isobar("preview").ends(0);
        fleet.isobar("apply --review sue=approve").ends(0);
        fleet.edit("isobar.yaml", "  prod/b: { labels: { tier: one } }\n", "  prod/b: {}\n").commit("No label");
        if between {
            fleet.isobar("apply").ends(0);
        }
        fleet.version(1, 2);
        let ran = fleet.isobar("apply");
        let _told = if between { ran.ends(0) } else { ran.ends(3).says("missing 1 of sre (sue)") };
    }
}

#[test]
fn an_older_commit_or_a_branch_that_brings_nothing_takes_no_rule_away() {
    let policy = "policy: [{ rule: approvals, require: [{ count: 1 }] }]\n";
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    fleet.branch("older").checkout("main");
    fleet.edit("isobar.yaml", "version: 1\n", &format!("version: 1\n{policy}")).commit("A rule");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3);

    fleet.checkout("older");
    fleet.isobar("apply").ends(0).says("was taken up before: what that says goes on counting");
    fleet.checkout("main");
    fleet.isobar("apply").ends(3);

    fleet.branch("side").edit("isobar.yaml", policy, "").commit("Without the rule");
    fleet.isobar("apply");
    fleet.checkout("main");
    fleet.isobar("apply").ends(3);
    assert_eq!(fleet.versions(), "prod/a 1");
}
