//! What the code no longer holds: previewed like any other change, and destroyed with its dependents first.

use crate::support::{APPROVALS, Sandbox, app};

/// `web` uses `app`, in two regions.
fn fleet(more: &str) -> Sandbox {
    let fleet = app("prod/a prod/b", more);
    fleet.stack("web", "depends_on: [app]").file("web/templates/web.txt", "web\n").commit("Web");
    fleet
}

#[test]
fn a_removed_stack_is_previewed_and_destroyed_dependents_first() {
    let fleet = fleet("");
    fleet.isobar("apply").ends(0);
    fleet.remove("app").remove("web").commit("Gone");

    fleet.isobar("preview").ends(0).says("4 to delete").says("- app.yaml");
    fleet.isobar("apply").ends(0);
    let order = fleet.applied().split_off(4);
    let at = |target: &str| order.iter().position(|applied| applied == target);
    assert!(at("web@prod/a") < at("app@prod/a") && at("web@prod/b") < at("app@prod/b"), "{order:?}");
    assert!(fleet.live("live").is_empty(), "{:?}", fleet.live("live"));
    fleet.isobar("apply").ends(0).says("Nothing to apply");
}

#[test]
fn a_removed_region_is_destroyed_and_the_others_stay() {
    let fleet = fleet("");
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "  prod/b: {}\n", "").commit("Leave prod/b");
    let ran = fleet.isobar("apply --json").ends(0);
    assert_eq!(ran.states(), "applied app@prod/b web@prod/b; unchanged app@prod/a web@prod/a");
    assert_eq!(fleet.applied().split_off(4), ["web@prod/b", "app@prod/b"]);
    assert!(fleet.live("live/prod/b").is_empty() && !fleet.live("live/prod/a").is_empty());
}

#[test]
fn a_region_taken_from_where_is_destroyed() {
    let fleet = fleet("");
    fleet.isobar("apply").ends(0);
    fleet.edit("web/stack.yaml", "where: all", "where: { region: prod/a }").commit("Only there");
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "applied web@prod/b; unchanged app@prod/a app@prod/b web@prod/a");
    assert!(!fleet.live("live/prod/b").contains_key("web/web.txt"));
}

#[test]
fn what_was_never_applied_needs_no_destroying() {
    let fleet = fleet("");
    fleet.remove("web").commit("Never mind");
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "applied app@prod/a app@prod/b");
}

#[test]
fn a_destroy_waits_for_approval_like_any_change() {
    let fleet = fleet(APPROVALS);
    fleet.approved_apply("bob").ends(0);
    fleet.remove("web").commit("Gone");
    fleet.isobar("apply").ends(3);
    assert!(fleet.live("live/prod/a").contains_key("web/web.txt"));
    fleet.approved_apply("carol").ends(0);
    assert!(!fleet.live("live/prod/a").contains_key("web/web.txt"));
}

#[test]
fn what_is_not_ours_survives_a_destroy() {
    let fleet = fleet("");
    fleet.isobar("apply").ends(0);
    fleet.file("live/prod/a/web/mine.txt", "mine\n").remove("web").commit("Gone");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/web"), [("mine.txt".to_string(), "mine\n".to_string())].into());
}

#[test]
fn a_destroy_that_failed_is_tried_by_the_next_run_that_changes_something() {
    let fleet = fleet("");
    fleet.isobar("apply").ends(0);
    fleet.remove("live/prod/a/web/web.txt").file("live/prod/a/web/web.txt/x", "a directory\n");
    fleet.remove("web").commit("Gone");
    fleet.isobar("apply");
    fleet.remove("live/prod/a/web/web.txt").isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    fleet.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn a_renamed_stack_with_was_is_no_destroy() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let text = std::fs::read_to_string(fleet.root().join("app/templates/app.yaml.j2")).expect("a template");
    fleet.remove("app").stack("shop", "was: [app]").file("shop/templates/app.yaml.j2", &text);
    fleet.edit("shop/stack.yaml", "}/shop", "}/app").commit("Rename");
    fleet.isobar("preview").ends(0).keeps_quiet_about("to delete");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], text.replace("{{ region.name }}", "a"));
    fleet.isobar("apply").ends(0).says("Nothing to apply");
}

#[test]
fn a_renamed_stack_without_was_is_an_error_and_never_a_destroy() {
    for tolerance in [0, 1] {
        let fleet = app("prod/a prod/b", &format!("rollout: {{ prod: {{ failure_tolerance: {tolerance} }} }}"));
        fleet.isobar("apply").ends(0);
        let text = std::fs::read_to_string(fleet.root().join("app/templates/app.yaml.j2")).expect("a template");
        fleet.remove("app").stack("shop", "").file("shop/templates/app.yaml.j2", &text);
        fleet.edit("shop/stack.yaml", "}/shop", "}/app").commit("Rename");

        for line in ["preview", "apply"] {
            fleet
                .isobar(line)
                .ends(65)
                .says("shop/stack.yaml:3:49: ")
                .says("app@prod/a would be destroyed, and shop@prod/a is the same thing")
                .says("; so it is with shop@prod/b")
                .says("was: [app]");
        }
        assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "region: a\nversion: 1\n");
        fleet.edit("shop/stack.yaml", "where: all", "where: all\nwas: [app]").commit("Declare it");
        fleet.isobar("apply").ends(0);
        assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "region: a\nversion: 1\n");
    }
}

#[test]
fn a_place_is_not_left_behind_with_what_was_published_there() {
    let fleet = app("prod/a prod/b", "");
    fleet.isobar("apply").ends(0);
    fleet.edit("app/stack.yaml", "}}/app", "}}/elsewhere").commit("Elsewhere");
    for verb in ["preview", "apply"] {
        let ran = fleet.isobar(verb).ends(65).says("would leave what it published behind: it is at file:live/prod/a/app");
        ran.says("app/stack.yaml:3:49: ").says("; so it is with app@prod/b");
    }
    fleet.edit("app/stack.yaml", "where: all", "where: { region: prod/none }");
    fleet.edit("app/stack.yaml", "{ region: prod/none }", "{ region: prod/b }").edit("app/stack.yaml", "}}/elsewhere", "}}/app");
    fleet.commit("Not in a");
    fleet.isobar("apply").ends(0);
    assert!(!fleet.live("live/prod/a/app").contains_key("app.yaml"));
    fleet.edit("app/stack.yaml", "{ region: prod/b }", "{ region: prod/a }");
    fleet.edit("app/stack.yaml", "}}/app", "}}/elsewhere").commit("Elsewhere, and only in a");
    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/a/elsewhere").contains_key("app.yaml"));
    assert!(!fleet.live("live/prod/b/app").contains_key("app.yaml"));
}

#[test]
fn what_a_destroy_removed_and_git_tracks_is_told_with_the_way_out() {
    let fleet = app("prod/a", "");
    fleet.file(".gitignore", "/.isobar/\n").commit("Track live");
    fleet.isobar("apply").ends(0);
    fleet.commit("What was published");
    fleet.stack("other", "").file("other/templates/o", "o\n").remove("app").commit("Another stack");
    fleet.isobar("apply").ends(0);
    let ran = fleet.isobar("apply").ends(64).says("not committed").says("git add -A && git commit");
    ran.says("git rm -r --cached live/prod/a/app");
}

#[test]
fn a_renamed_target_that_waits_is_not_forgotten() {
    let fleet = app("prod/a prod/b", crate::support::APPROVALS);
    fleet.isobar("preview").ends(0);
    fleet.isobar("apply --review bob=approve").ends(0);
    let definition = std::fs::read_to_string(fleet.root().join("app/stack.yaml")).expect("a definition");
    fleet.remove("app").file("web/stack.yaml", &format!("was: app\n{definition}"));
    fleet.file("web/templates/app.yaml.j2", "region: {{ region.name }}\nversion: 2\n").commit("Another name, another version");
    for _ in 0..2 {
        fleet.isobar("apply").ends(3).says("missing 1 of platform");
    }
    fleet.isobar("apply --review bob=approve").ends(0);
    assert_eq!(fleet.versions(), "prod/a 2, prod/b 2");
}
