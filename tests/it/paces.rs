//! Waves go by the `rollout:` of the commits that targets are at: no change removes its own canary, and what waits keeps it for all.

use crate::support::{Sandbox, app};

const INSTANT: &str = "rollout: { prod: instant }";
const ONE_BY_ONE: &str = "rollout: { prod: { waves: [{ name: first, regions: a }, { name: rest, regions: \"*\" }] } }";
const CANARY: &str = "rollout: { prod: { waves: [{ name: canary, regions: a, bake: 1h }, { name: rest, regions: \"*\" }] } }";

/// Changes the `rollout:` of the fleet in a merge of its own.
fn roll_out(fleet: &Sandbox, from: &str, to: &str) {
    fleet.edit("isobar.yaml", from, to).commit("Roll out otherwise");
}

#[test]
fn a_held_region_keeps_no_other_from_a_canary_that_was_merged_since() {
    let fleet = app("prod/a prod/b prod/c", INSTANT);
    fleet.isobar("apply").ends(0);
    fleet.isobar("hold prod/c --reason maintenance").ends(0);
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    roll_out(&fleet, INSTANT, CANARY);
    fleet.isobar("apply").ends(0);

    fleet.version(2, 3);
    fleet.isobar("preview").ends(0).says("canary");
    fleet.isobar("apply").ends(0).says("bakes");
    assert_eq!(fleet.versions(), "prod/a 3, prod/b 2, prod/c 1");
}

/// Two stacks, of which `slow` waits for an approval.
fn slow(regions: &str, more: &str) -> Sandbox {
    let policy = "teams: { platform: [bob] }\npolicy: [{ rule: approvals, when: { stack: slow }, require: [{ team: platform, count: 1 }] }]";
    let fleet = app(regions, &format!("{policy}\n{more}"));
    fleet.stack("slow", "").file("slow/templates/slow.yaml", "version: 1\n").commit("A stack that waits");
    fleet.approved_apply("bob").ends(0);
    fleet
}

#[test]
fn what_waits_keeps_the_waves_that_it_waited_under_for_all_of_its_environment() {
    let fleet = slow("prod/a prod/b", ONE_BY_ONE);
    fleet.file("slow/templates/slow.yaml", "version: 2\n");
    fleet.edit("isobar.yaml", ONE_BY_ONE, INSTANT).version(1, 2);
    fleet.isobar("apply").ends(3).says("prod 1: first").says("prod 2: rest");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");

    fleet.version(2, 3);
    fleet.isobar("preview").ends(0).says("prod 1: first").says("prod 2: rest");
    fleet.approved_apply("bob").ends(0);
    fleet.version(3, 4);
    fleet.isobar("apply").ends(0).keeps_quiet_about("prod 1: first");
}

#[test]
fn an_environment_goes_by_the_change_that_brought_it_until_all_of_it_has_arrived() {
    let fleet = slow("staging/s", "");
    let prod = format!("  staging/s: {{}}\n  prod/a: {{}}\n  prod/b: {{}}\n{ONE_BY_ONE}\n");
    fleet.edit("isobar.yaml", "  staging/s: {}\n", &prod).commit("Prod, one region after the other");
    fleet.isobar("apply").ends(3).says("prod 1: first");
    assert_eq!(fleet.versions(), "staging/s 1, prod/a 1, prod/b 1");

    fleet.edit("isobar.yaml", ONE_BY_ONE, INSTANT).version(1, 2);
    fleet.isobar("apply").ends(3).says("prod 1: first").says("prod 2: rest");
}

#[test]
fn a_gate_that_died_is_mended_by_a_merge_of_its_own_once_what_it_stopped_was_taken_back() {
    let gated = |program: &str| {
        let gate = format!("gates: [{{ command: [\"{program}\"] }}]");
        format!("rollout: {{ prod: {{ waves: [{{ name: one, regions: a, {gate} }}, {{ name: two, regions: \"*\" }}] }} }}")
    };
    let fleet = app("prod/a prod/b", &gated("true"));
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "command: [\"true\"]", "command: [\"false\"]").version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.version(2, 3);
    fleet.isobar("apply").ends(1);

    // Nothing that is merged meanwhile speaks for what it stopped: no machine can tell a mended gate from a weakened one.
    fleet.edit("isobar.yaml", "command: [\"false\"]", "command: [\"true\"]").version(3, 4);
    for _ in 0..2 {
        fleet.isobar("resume").ends(0);
        fleet.isobar("apply").ends(1).says("false exited with 1");
        fleet.file("README.md", "words\n").commit("Words");
    }
    assert_eq!(fleet.versions(), "prod/a 4, prod/b 2");

    fleet.version(4, 2);
    fleet.isobar("apply").ends(0).says("takes back what it brought");
    fleet.version(2, 5);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 5, prod/b 5");
}

#[test]
fn a_new_name_takes_nobody_round_the_rules_it_waited_under() {
    let fleet = slow("prod/a prod/b", ONE_BY_ONE);
    fleet.file("slow/templates/slow.yaml", "version: 66\n");
    fleet.edit(
        "isobar.yaml",
        "policy: [{ rule: approvals, when: { stack: slow }, require: [{ team: platform, count: 1 }] }]",
        "",
    );
    fleet.edit("isobar.yaml", ONE_BY_ONE, INSTANT).commit("Weaker, and a change that waits");
    fleet.isobar("apply").ends(3);
    for file in ["stack.yaml", "templates/slow.yaml"] {
        let text = std::fs::read_to_string(fleet.root().join("slow").join(file)).expect("it is there");
        let text = if file == "stack.yaml" { format!("was: [slow]\n{text}") } else { text };
        fleet.file(&format!("other/{file}"), &text);
    }
    fleet.remove("slow").commit("Another name");
    let ran = fleet.isobar("apply").ends(3);
    assert!(ran.stdout.contains("missing 1 of platform"), "{}", ran.stdout);
}

#[test]
fn what_comes_back_is_judged_by_the_newest_word_and_not_by_that_of_its_end() {
    let fleet = app("prod/a", "");
    fleet.stack("admin", "").file("admin/templates/admin.yaml", "version: 1\n").commit("Another");
    fleet.isobar("apply").ends(0);
    fleet.remove("admin").commit("It goes");
    fleet.isobar("apply").ends(0);
    let rule = "teams: { platform: [bob] }\npolicy: [{ rule: approvals, require: [{ team: platform, count: 1 }] }]";
    fleet.edit("isobar.yaml", "journal:", &format!("{rule}\njournal:")).commit("A rule");
    fleet.isobar("apply").ends(0);
    fleet.stack("admin", "").file("admin/templates/admin.yaml", "version: 2\n").commit("It comes back");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    fleet.edit("isobar.yaml", rule, "").commit("Weaker, and it still waits");
    for _ in 0..2 {
        fleet.isobar("apply").ends(3).says("missing 1 of platform");
    }
}

#[test]
fn a_dependent_that_waits_takes_what_it_needs_round_no_canary() {
    let policy = "teams: { platform: [bob] }\npolicy: [{ rule: approvals, when: { stack: slow }, require: [{ team: platform, count: 1 }] }]";
    let fleet = app("prod/a prod/b", &format!("{policy}\n{INSTANT}"));
    fleet.stack("slow", "depends_on: [app]").file("slow/templates/slow.yaml", "version: 1\n").commit("It needs app");
    fleet.approved_apply("bob").ends(0);
    fleet.file("slow/templates/slow.yaml", "version: 2\n").commit("It waits");
    fleet.isobar("apply").ends(3);
    roll_out(&fleet, INSTANT, CANARY);
    fleet.isobar("apply").ends(3);
    fleet.version(1, 2);
    fleet.isobar("apply");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
}

#[test]
fn a_dependent_that_waited_for_the_canary_of_another_commit_is_not_late_for_that() {
    let policy = "teams: { platform: [bob] }\npolicy: [{ rule: approvals, when: { stack: [slow, lone] }, require: [{ team: platform, count: 1 }] }]";
    let deadline = "rollout: { prod: { progress_deadline: 30m } }";
    let fleet = app("prod/a prod/b", &format!("{policy}\n{deadline}"));
    fleet.stack("slow", "depends_on: [app]").stack("lone", "");
    let both = |text: &str| fleet.file("slow/templates/x.yaml", text).file("lone/templates/x.yaml", text).commit("Both");
    both("version: 1\n");
    fleet.approved_apply("bob").ends(0);
    both("version: 2\n");
    fleet.isobar("apply").ends(3);
    roll_out(&fleet, deadline, &CANARY.replace("{ waves:", "{ progress_deadline: 30m, waves:"));
    fleet.isobar("apply").ends(3);
    fleet.version(1, 2);

    fleet.approved_apply("bob").ends(0).says("bakes until").keeps_quiet_about("running");
    fleet.isobar("status").ends(0).keeps_quiet_about("nobody is at it");
    fleet.isobar("recover").ends(0).says("goes on after the bake").keeps_quiet_about("going on");
    fleet.pass_secs(3_700);
    fleet.isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}
