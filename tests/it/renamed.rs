//! A stack under another name is the same thing: nothing is left under the old one, and no rule is left behind with it.

use crate::support::{Sandbox, app};

const RULE: &str = "teams: { platform: [bob] }\npolicy: [{ rule: approvals, require: [{ team: platform, count: 1 }] }]\njournal:";

/// Writes and commits that the stack in `from` is in `to` from now on, at the same place and as `version`.
fn rename(fleet: &Sandbox, from: &str, to: &str, version: u32) {
    let read = |file: &str| std::fs::read_to_string(fleet.root().join(from).join(file)).expect("it is there");
    let (definition, template) = (read("stack.yaml"), read("templates/app.yaml.j2"));
    let definition: String =
        definition.lines().filter(|line| !line.starts_with("was:")).map(|line| format!("{line}\n")).collect();
    let template = template.lines().next().expect("its region");
    fleet.remove(from).file(&format!("{to}/stack.yaml"), &format!("was: [{from}]\n{definition}"));
    fleet.file(&format!("{to}/templates/app.yaml.j2"), &format!("{template}\nversion: {version}\n"));
    fleet.commit("Another name");
}

/// Brings `app` at version 1, and fails with version 2.
fn failed(more: &str) -> Sandbox {
    let fleet = app("prod/a", more);
    fleet.isobar("apply").ends(0);
    fleet.version(1, 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a");
    fleet
}

/// Failures stop nothing.
const TOLERANT: &str = "rollout: { prod: { failure_tolerance: 100% } }";

#[test]
fn an_old_name_that_failed_leads_back_round_no_rule() {
    let fleet = failed(TOLERANT);
    rename(&fleet, "app", "web", 2);
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "journal:", RULE).commit("A rule");
    fleet.isobar("apply").ends(0);
    fleet.edit("web/templates/app.yaml.j2", "version: 2", "version: 3").commit("It waits");
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    rename(&fleet, "web", "app", 3);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 2");
}

#[test]
fn what_is_back_under_its_first_name_is_brought_back_from_where_the_other_was() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "web", 2);
    fleet.isobar("apply web@*").ends(0);
    rename(&fleet, "web", "app", 1);
    fleet.isobar("preview").ends(0).says("1 to update");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1");
    fleet.isobar("status").ends(0).says("All 1 target applied");
}

#[test]
fn what_died_half_way_under_the_other_name_is_finished_under_the_first() {
    let fleet = app("prod/a", TOLERANT);
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "web", 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a");
    rename(&fleet, "web", "app", 1);
    fleet.isobar("status").ends(0).keeps_quiet_about("applied.");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 1 target applied");
}

#[test]
fn a_name_that_arrived_may_lose_its_was() {
    let fleet = failed(TOLERANT);
    rename(&fleet, "app", "web", 2);
    fleet.isobar("apply").ends(0);
    fleet.edit("web/stack.yaml", "was: [app]\n", "").commit("Long ago");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status --json").ends(0).keeps_quiet_about("app@prod/a");
    fleet.isobar("drift").ends(0);
    let looked = fleet.events("drift_checked").pop().expect("a look");
    assert!(looked.get("scope").is_none(), "all was looked at, and no list of it is kept: {looked}");
}

#[test]
fn of_two_stacks_that_become_one_neither_leaves_anything_behind() {
    let fleet = app("prod/a", "");
    fleet.stack("two", "").file("two/templates/two.yaml", "version: 1\n").commit("Another");
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "one", 1);
    fleet.remove("two").edit("one/stack.yaml", "was: [app]", "was: [app, two]").commit("One of two");
    for verb in ["preview", "apply"] {
        fleet
            .isobar(verb)
            .ends(65)
            .says("one@prod/a would leave what two@prod/a published behind: it is at file:live/prod/a/two");
    }
    fleet.edit("one/stack.yaml", "was: [app, two]", "was: [app]").commit("It goes");
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/a/two").is_empty());
}

#[test]
fn what_is_left_of_a_counted_change_is_judged_as_a_part_of_it_under_any_name() {
    let more = "teams: { platform: [bob] }\nrollout: { prod: { failure_tolerance: 100% } }\n\
        policy: [{ rule: approvals, when: { targets_min: 4 }, require: [{ team: platform, count: 1 }] }]";
    let fleet = app("prod/a prod/b", more);
    fleet.stack("base", "").file("base/templates/base.yaml", "version: 1\n").commit("Another");
    fleet.approved_apply("bob").ends(0);
    fleet.file("base/templates/base.yaml", "version: 2\n").version(1, 2);
    fleet.block("prod/a").block("prod/b").approved_apply("bob").ends(1);
    fleet.unblock("prod/a").unblock("prod/b");
    rename(&fleet, "app", "web", 3);
    fleet.isobar("apply").ends(3).says("missing 1 of platform");
}

#[test]
fn a_new_name_waits_for_the_canary_of_the_old_one() {
    let canary = "rollout: { prod: { waves: [{ name: canary, regions: a, bake: 1h }, { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b", canary);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(7200).isobar("tick").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "web", 3);
    fleet.isobar("apply").says("holds it");
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 1");
}

#[test]
fn a_stopped_rollout_is_taken_back_by_no_new_name() {
    let fleet = failed("");
    rename(&fleet, "app", "web", 3);
    fleet.isobar("apply").ends(1).says("holds it");
    assert_eq!(fleet.versions(), "prod/a 1");
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.versions(), "prod/a 3");
    fleet.isobar("status").ends(0).says("All 1 target applied");
}

const DELETES: &str = "teams: { platform: [bob] }\n\
    policy: [{ rule: approvals, when: { actions: [delete, replace] }, require: [{ team: platform, count: 1 }] }]";

/// `web`, which was `app`, is to go; a stack that has nothing to do with it takes the free name.
fn replaced(more: &str) -> Sandbox {
    let fleet = app("prod/a", more);
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "web", 1);
    fleet.isobar("apply").ends(0);
    fleet.remove("web").stack("app", "").file("app/templates/other.yaml", "version: 7\n");
    fleet.edit("app/stack.yaml", "}/app", "}/other");
    fleet
}

#[test]
fn what_takes_a_free_name_says_nothing_about_who_had_it() {
    let fleet = replaced(DELETES);
    fleet.edit("isobar.yaml", DELETES, "").commit("One goes, another comes, and so does the rule");
    for _ in 0..2 {
        fleet.isobar("apply").ends(3).says("missing 1 of platform");
    }
    assert_eq!(fleet.versions(), "prod/a 1");
    fleet.file("README.md", "more\n").commit("Nothing of them");
    fleet.isobar("apply").ends(3);
    let status = fleet.isobar("status --json").json();
    assert_eq!(status["targets"][0]["commit"], status["head"], "{status}");
}

#[test]
fn what_goes_takes_nobody_along_who_has_its_old_name() {
    let fleet = replaced("");
    fleet.commit("One goes, another comes");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 1 target applied");
    fleet.remove("app").stack("last", "").file("last/templates/last.yaml", "version: 1\n").commit("It goes");
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/a/other").is_empty());
}

#[test]
fn what_is_put_back_takes_nobody_along_who_has_its_old_name() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "web", 1);
    fleet.isobar("apply").ends(0);
    fleet.edit("web/stack.yaml", "was: [app]\n", "").stack("app", "").file("app/templates/other.yaml", "version: 7\n");
    fleet.edit("app/stack.yaml", "}/app", "}/other").commit("Another has the name");
    fleet.isobar("apply app@*").ends(0);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n").isobar("drift --fix").ends(0);
    fleet.isobar("status").ends(0).keeps_quiet_about("never applied");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn a_name_of_something_else_leads_round_no_rule() {
    let rule = DELETES.replace("actions: [delete, replace]", "stack: web");
    let fleet = app("prod/a", &rule);
    fleet.stack("web", "").file("web/templates/app.yaml.j2", "region: a\nversion: 1\n");
    fleet.stack("base", "outputs: { place: x }").file("base/templates/base.yaml", "version: 1\n");
    let place = "file:./live/${{ region.id }}/${{ stacks.base.outputs.place }}";
    let definition = format!("where: all\ndocuments: {{ source: ./templates, destination: \"{place}\" }}\n");
    fleet.file("x/stack.yaml", &definition).file("x/templates/x.yaml", "version: 1\n").commit("All of them");
    fleet.approved_apply("bob").ends(0);
    fleet.file("x/templates/x.yaml", "version: 2\n").file("web/templates/app.yaml.j2", "region: a\nversion: 2\n");
    fleet.edit("isobar.yaml", &rule, "").commit("It waits");
    fleet.isobar("apply").ends(3);
    fleet.remove("x").edit("web/stack.yaml", "where: all", "was: [x]\nwhere: all").commit("It never was");
    fleet
        .isobar("apply")
        .ends(65)
        .says("web@prod/a would take over x@prod/a, and nobody knows yet whether that is at the same place");
}

#[test]
fn an_old_yes_is_used_up_under_every_name() {
    let fleet = app(
        "prod/a",
        "teams: { platform: [bob, carol] }\npolicy: [{ rule: approvals, require: [{ team: platform, count: 1 }] }]",
    );
    fleet.approved_apply("carol").ends(0);
    fleet.branch("before").checkout("main");
    rename(&fleet, "app", "web", 2);
    fleet.pass_secs(60).isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.pass_secs(60).remove("web");
    let stack = "where: all\n\ndocuments: { source: ./templates, destination: \"file:./live/${{ region.id }}/app\" }\n";
    fleet
        .file("app/stack.yaml", stack)
        .file("app/templates/app.yaml.j2", "region: {{ region.name }}\nversion: 1\n")
        .commit("Revert");
    for version in [3, 1] {
        fleet.pass_secs(60).file("app/templates/app.yaml.j2", &format!("region: {{{{ region.name }}}}\nversion: {version}\n"));
        fleet.commit("Another version");
        fleet.approved_apply("carol").ends(0);
    }
    rename(&fleet, "app", "web", 2);
    fleet.pass_secs(60).isobar("apply").ends(3).says("missing 1 of platform");
    fleet.edit("web/templates/app.yaml.j2", "version: 2", "version: 10").commit("Nobody was shown this");
    fleet.pass_secs(60).isobar("apply").ends(3).says("missing 1 of platform");
    assert_eq!(fleet.versions(), "prod/a 1");
}

#[test]
fn older_code_is_put_over_nothing_that_was_begun_under_another_name() {
    let fleet = app("prod/a", TOLERANT);
    fleet.isobar("apply").ends(0);
    fleet.branch("side").file("app/templates/a.yaml", "version: 2\n").version(1, 2);
    fleet.block("prod/a").isobar("apply").ends(1);
    fleet.unblock("prod/a").checkout("main");
    rename(&fleet, "app", "web", 3);
    fleet.isobar("apply").ends(1).says("older code is never put over newer");
}

#[test]
fn a_status_knows_a_target_that_waits_under_its_new_name() {
    let fleet =
        app("prod/a", "teams: { platform: [bob] }\npolicy: [{ rule: approvals, require: [{ team: platform, count: 1 }] }]");
    fleet.approved_apply("bob").ends(0);
    rename(&fleet, "app", "web", 2);
    fleet.isobar("apply").ends(3);
    fleet.isobar("status").ends(0).says("behind").keeps_quiet_about("never applied");
}

#[test]
fn what_was_changed_by_hand_is_found_and_put_back_before_its_new_name_arrives() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    rename(&fleet, "app", "web", 1);
    fleet.file("live/prod/a/app/app.yaml", "by hand\n").remove("live/prod/b/app/app.yaml");
    fleet.isobar("drift").ends(2).says("Changed by somebody else").says("Missing");
    fleet.isobar("status").ends(0).says("2 drifted");
    fleet.isobar("drift --fix").ends(0);
    assert_eq!(fleet.versions(), "prod/a 1, prod/b 1");
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 2 targets applied");
    fleet.isobar("drift").ends(0);
}

#[test]
fn a_status_tells_what_holds_the_old_name() {
    let fleet = failed("");
    rename(&fleet, "app", "web", 3);
    fleet.isobar("status").ends(0).says("1 failed").says("failed in rollout");
}

#[test]
fn what_goes_while_its_new_name_is_on_its_way_waits_for_it_and_then_goes() {
    let canary = "rollout: { prod: { waves: [{ name: canary, regions: a, bake: 1h }, { name: rest, regions: \"*\" }] } }";
    let fleet = app("prod/a prod/b prod/c", canary);
    fleet.isobar("apply").ends(0);
    fleet.pass_secs(3_700);
    fleet.isobar("tick").ends(0);
    let text = std::fs::read_to_string(fleet.root().join("app/stack.yaml")).expect("it is there");
    fleet.file("app/stack.yaml", &format!("name: app2\nwas: [app]\n{text}"));
    fleet.version(1, 2);
    fleet.isobar("apply").ends(0).says("bakes until");

    fleet.edit("isobar.yaml", "  prod/c: {}\n", "").commit("Without c");
    fleet.isobar("apply").ends(0).says("holds it");
    assert!(!fleet.live("live/prod/c/app").is_empty(), "it went before its turn");
    fleet.pass_secs(3_700);
    for _ in 0..3 {
        fleet.isobar("apply").ends(0);
        fleet.pass_secs(3_700);
    }
    assert!(fleet.live("live/prod/c/app").is_empty());
    fleet.isobar("status").ends(0).says("All 2 targets applied");
}
