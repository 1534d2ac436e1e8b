//! Rules that count the whole change count all of it: every wave, every part that is looked at, every run, and what nobody could see.

use crate::support::{Sandbox, app};

/// One of platform for everything, and one of sre for what touches three targets.
const WIDE: &str = "teams: { platform: [pam], sre: [sue] }\n\
    policy: [{ rule: approvals, require: [{ team: platform }] }, \
    { rule: approvals, when: { targets_min: 3 }, require: [{ team: sre }] }]";

/// `app` in three regions at version 1, with two commits that were not applied: versions 2 and 3 as a reviewer sees them.
fn wide(more: &str) -> Sandbox {
    let fleet = app("prod/a prod/b prod/c", &format!("{WIDE}\n{more}"));
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review pam=approve --review sue=approve").ends(0);
    fleet
}

#[test]
fn a_look_for_drift_of_one_target_after_the_other_is_no_way_round() {
    let fleet = wide("");
    fleet.version(1, 2);
    for region in ["a", "b", "c"] {
        fleet.isobar(&format!("drift app@prod/{region}"));
        fleet.isobar("judge --review pam=approve");
    }
    fleet.isobar("apply").ends(3).says("missing 1 of sre");
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1, prod/c 1");
}

#[test]
fn what_nobody_could_see_counts_too() {
    let fleet = app("prod/a prod/b prod/c", WIDE).env("ISOBAR_KEY", "0123456789abcdef0123456789abcdef");
    fleet.edit("app/stack.yaml", "where: all", "where: { region: [prod/a, prod/b] }");
    fleet.stack("sec", "inputs: { pw: !secret PW }").edit("sec/stack.yaml", "where: all", "where: { region: prod/c }");
    fleet.file("sec/templates/sec.yaml.j2", "pw: {{ inputs.pw }}\n").commit("A secret");
    fleet.isobar("preview").ends(1).says("the secret PW is not set");
    fleet.isobar("judge --review pam=approve").ends(1).says("missing 1 of sre");
    let fleet = fleet.env("PW", "hush-hush");
    fleet.isobar("apply").ends(3).says("missing 1 of sre");
    assert_eq!(fleet.versions(), "prod/a -, prod/b -, prod/c -");
}

#[test]
fn a_part_is_judged_as_a_part_of_what_was_shown() {
    let fleet = app("prod/a prod/b prod/c", "policy: [{ rule: limit, targets_max: 2 }]");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge").ends(3).says("would touch 3 targets");
    fleet.isobar("judge app@prod/a").ends(3).says("would touch 3 targets");
}

#[test]
fn a_limit_holds_when_the_same_commit_is_applied_again() {
    let more = "rollout: { prod: { profile: instant, after: staging } }\n\
        policy: [{ rule: limit, when: { environment: prod }, targets_max: 2 }]";
    let fleet = app("staging/a staging/b prod/a", more);
    for _ in 0..2 {
        fleet.isobar("apply").ends(3).says("would touch 3 targets, and the limit is 2");
        assert_eq!(fleet.versions(), "staging/a 1, staging/b 1, prod/a -");
    }
}

#[test]
fn what_is_left_of_a_change_is_a_part_of_it_whatever_was_merged_since() {
    let more = "rollout: { prod: { profile: instant, after: staging } }\n\
        policy: [{ rule: limit, when: { environment: prod }, targets_max: 2 }]";
    let fleet = app("staging/a staging/b prod/a", more);
    fleet.isobar("apply").ends(3).says("would touch 3 targets, and the limit is 2");
    fleet.file("NOTES.md", "nothing of the fleet\n").commit("Notes");
    fleet.isobar("preview").says("it is left of a change that would touch 3 targets, and the limit is 2");
    fleet.isobar("apply").ends(3).says("it is left of a change that would touch 3 targets, and the limit is 2");
    assert_eq!(fleet.versions(), "staging/a 1, staging/b 1, prod/a -");
}

#[test]
fn what_was_denied_and_reverted_counts_no_more() {
    let fleet = app("prod/a prod/b prod/c", "policy: [{ rule: limit, changes_max: 3 }]");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.file("app/templates/second.yaml.j2", "kind: second\n").commit("One more");
    fleet.isobar("apply").ends(3).says("the whole change would make 6 changes, and the limit is 3");
    fleet.remove("app/templates/second.yaml.j2").commit("Revert it");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2, prod/c 2");
}

#[test]
fn what_is_left_is_a_part_of_its_change_also_when_it_was_put_back_meanwhile() {
    let more = "rollout: { prod: { profile: instant, after: staging } }\n\
        policy: [{ rule: limit, when: { environment: prod }, targets_max: 2 }]";
    let fleet = app("staging/a staging/b prod/a", &more.replace("targets_max: 2", "targets_max: 9"));
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "targets_max: 9", "targets_max: 2").commit("Two at once");
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(3).says("would touch 3 targets, and the limit is 2");
    assert_eq!(fleet.versions(), "staging/a 2, staging/b 2, prod/a 1");
    fleet.edit("live/prod/a/app/app.yaml", "version: 1", "version: by hand");
    fleet.isobar("drift --fix app@prod/a");
    fleet.file("NOTES.md", "nothing of the fleet\n").commit("Notes");
    fleet.isobar("apply").ends(3).says("it is left of a change that would touch 3 targets, and the limit is 2");
}

#[test]
fn what_is_new_is_not_judged_as_a_part_of_what_was_left() {
    let fleet = wide("");
    fleet.version(1, 2);
    fleet.isobar("hold prod/c --reason spike").ends(0);
    fleet.isobar("preview");
    fleet.isobar("apply --review pam=approve --review sue=approve").says("held until released");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2, prod/c 1");
    fleet.stack("other", "").edit("other/stack.yaml", "where: all", "where: { region: prod/a }");
    fleet.file("other/templates/other.yaml.j2", "kind: other\n").commit("One more");
    fleet.isobar("preview other").ends(0);
    fleet.isobar("apply other --review pam=approve").ends(0);
}

#[test]
fn a_fix_of_drift_is_one_change_over_all_its_waves() {
    let waves =
        "rollout: { prod: { waves: [{ name: one, regions: a }, { name: two, regions: b }, { name: three, regions: c }] } }";
    let fleet = app("prod/a prod/b prod/c", waves);
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "rollout:", "policy: [{ rule: limit, targets_max: 2 }]\nrollout:").commit("A limit");
    fleet.isobar("apply").ends(0);
    for region in ["a", "b", "c"] {
        fleet.edit(&format!("live/prod/{region}/app/app.yaml"), "version: 1", "version: by hand");
    }
    fleet.isobar("drift --fix").ends(3).says("would touch 3 targets");
    assert_eq!(fleet.versions(), "prod/a by hand, prod/b by hand, prod/c by hand");
}

const BAKES: &str =
    "rollout: { staging: { waves: [{ name: all, regions: \"*\", bake: 15m }] }, prod: { profile: instant, after: staging } }";

#[test]
fn a_tick_that_goes_back_to_an_older_commit_counts_what_the_rollout_was_planned_with() {
    let policy = "teams: { sre: [sue] }\n\
        policy: [{ rule: approvals, when: { environment: prod, targets_min: 3 }, require: [{ team: sre }] }]";
    let fleet = app("staging/a staging/b prod/a", &format!("{BAKES}\n{policy}"));
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review sue=approve").ends(0);
    fleet.pass_secs(1_000).isobar("tick").ends(0);
    fleet.version(1, 2);
    fleet.version(2, 3);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(1_000).isobar("tick").ends(3).says("missing 1 of sre");
    assert_eq!(fleet.versions(), "staging/a 3, staging/b 3, prod/a 1");
}

#[test]
fn what_a_tick_found_waiting_is_approved_as_the_part_of_a_whole_that_it_is() {
    let waves = "rollout: { staging: { waves: [{ name: all, regions: \"*\", bake: 15m }] }, prod: { after: staging, waves: [\
        { name: one, regions: a }, { name: two, regions: b }, { name: three, regions: c }] } }";
    let policy = WIDE.replace("approvals, require", "approvals, when: { environment: prod }, require");
    let policy = policy.replace("{ targets_min: 3 }", "{ environment: prod, targets_min: 3 }");
    let fleet = app("staging/a prod/a prod/b prod/c", &format!("{waves}\n{policy}"));
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(1_000).isobar("tick").ends(3).says("missing 1 of sre");
    for _ in 0..2 {
        fleet.isobar("apply --review pam=approve").ends(3).says("missing 1 of sre");
    }
    assert_eq!(fleet.versions(), "staging/a 1, prod/a -, prod/b -, prod/c -");
}

#[test]
fn a_rule_about_a_label_that_the_change_brings_judges_every_wave() {
    let more = "rollout: { prod: { profile: instant, after: staging } }\nteams: { platform: [pam], sre: [sue] }\n\
        policy: [{ rule: approvals, require: [{ team: platform }] }, \
        { rule: approvals, when: { environment: prod, labels: { tier: critical } }, require: [{ team: sre }] }]";
    let fleet = app("staging/a prod/a", more);
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review pam=approve").ends(0);
    fleet.edit("isobar.yaml", "prod/a: {}", "prod/a: { labels: { tier: critical } }").version(1, 2);
    fleet.isobar("preview").ends(0).says("missing 1 of sre");
    fleet.isobar("judge --review pam=approve").ends(3).says("missing 1 of sre");
    fleet.isobar("apply").ends(3).says("missing 1 of sre");
    assert!(fleet.live("live/prod/a/app")["app.yaml"].ends_with("version: 1\n"));
}
