//! Outputs that are not known yet: named holes in a preview, filled by exactly that output.

use crate::support::{APPROVALS, Sandbox, app};

#[test]
fn base_and_its_user_new_in_one_change_the_holes_are_filled_and_it_is_applied_after_base() {
    let fleet = Sandbox::fleet("holes");
    fleet.isobar("preview").ends(0).says("base.outputs.id").says("name: base-");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "base: { id: base-prod-a-1, name: base-a }\n");
    let order = fleet.applied();
    let at = |target: &str| order.iter().position(|applied| applied == target);
    assert!(at("base@prod/a") < at("app@prod/a") && at("base@prod/b") < at("app@prod/b"), "{order:?}");
}

#[test]
fn an_approval_with_a_hole_is_for_exactly_what_fills_it() {
    let fleet = base_and_app("", "{{ inputs.base_id }}");
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/b/app")["app.yaml"], "base: base-prod-b-1\n");
}

/// A fleet with approvals and a history, in which `base` and `app` are new; `app` is one line with `look` at what base puts out.
fn base_and_app(more: &str, look: &str) -> Sandbox {
    let fleet = app("prod/a prod/b", &format!("{APPROVALS}\n{more}"));
    fleet.remove("app").stack("seed", "").file("seed/templates/seed.yaml.j2", "seed: 1\n").commit("Only a seed");
    fleet.isobar("preview");
    fleet.isobar("apply --review bob=approve").ends(0);
    fleet.stack("base", "outputs: { id: { document: ids.json, pointer: /id } }");
    fleet.file("base/templates/ids.json.j2", "{ \"id\": \"base-{{ region.environment }}-{{ region.name }}-1\" }\n");
    fleet.stack("app", "inputs: { base_id: '${{ stacks[\"base\"].outputs.id }}' }");
    fleet.file("app/templates/app.yaml.j2", &format!("base: {look}\n")).commit("Base and app");
    fleet
}

/// A template that cannot be rendered with a hole in it.
const LOOKS: &str = "{% if inputs.base_id is endingwith \"1\" %}{{ inputs.base_id }}{% endif %}";

#[test]
fn what_cannot_be_seen_before_its_base_is_applied_waits_for_an_approval_of_its_own() {
    let fleet = base_and_app("", LOOKS);
    let ran = fleet.isobar("preview --json").ends(0);
    assert_eq!(ran.states(), "changes base@prod/a base@prod/b; unchanged seed@prod/a seed@prod/b; waiting app@prod/a app@prod/b");
    fleet.isobar("preview").says("2 targets can't be previewed before what is needed was applied").says("first_apply: waits");
    fleet.isobar("judge --review bob=approve").ends(0).says("first_apply: waits");
    let ran = fleet.isobar("apply --json").ends(3);
    assert_eq!(ran.states(), "applied base@prod/a base@prod/b; unchanged seed@prod/a seed@prod/b; waiting app@prod/a app@prod/b");
    fleet.isobar("apply --review bob=approve").ends(0);
    assert_eq!(fleet.live("live/prod/b/app")["app.yaml"], "base: base-prod-b-1\n");
}

#[test]
fn a_first_apply_that_only_creates_is_covered_where_the_fleet_says_so() {
    let fleet = base_and_app("first_apply: covered", LOOKS);
    fleet.isobar("preview").ends(0).says("an approval of this preview counts if it only creates (first_apply: covered)");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "base: base-prod-a-1\n");
    let of_app = |event: &&serde_json::Value| event["target"] == "app@prod/a";
    let cleared = fleet.events("cleared");
    let by = cleared.iter().filter(of_app).map(|event| event["by"].to_string()).collect::<Vec<_>>();
    assert_eq!(by, ["[\"bob\"]"]);
}

#[test]
fn a_first_apply_is_covered_by_nobody_who_may_not_approve_and_not_without_an_approval() {
    let fleet = base_and_app("first_apply: covered", LOOKS);
    fleet.isobar("preview").ends(0);
    fleet.isobar("judge --review mallory=approve").ends(3);
    fleet.isobar("apply base --review carol=approve").ends(0);
    let ran = fleet.isobar("apply --json").ends(3);
    assert_eq!(ran.states(), "unchanged base@prod/a base@prod/b seed@prod/a seed@prod/b; waiting app@prod/a app@prod/b");
}

#[test]
fn a_first_apply_is_covered_as_it_was_defined_when_it_was_approved() {
    let approved = || {
        let fleet = base_and_app("first_apply: covered", LOOKS);
        fleet.isobar("preview").ends(0);
        fleet.isobar("judge --review bob=approve").ends(0);
        fleet
    };
    let fleet = approved();
    fleet.file("README.md", "words\n").commit("Words void no approval");
    fleet.isobar("apply").ends(0);

    let fleet = approved();
    fleet.edit("app/templates/app.yaml.j2", "base: ", "evil: true\nbase: ").commit("Not what was approved");
    let ran = fleet.isobar("apply --json").ends(3);
    assert_eq!(ran.states(), "applied base@prod/a base@prod/b; unchanged seed@prod/a seed@prod/b; waiting app@prod/a app@prod/b");
}

#[test]
fn a_first_apply_is_covered_with_the_secrets_it_was_approved_with_and_without_a_key_not_at_all() {
    for (key, ends) in [(Some("0123456789abcdef0123456789abcdef"), [0, 3]), (None, [3, 3])] {
        for (password, ends) in ["the-same-one", "another-one"].into_iter().zip(ends) {
            let mut fleet = base_and_app("first_apply: covered", LOOKS).env("PW", "the-same-one");
            if let Some(key) = key {
                fleet = fleet.env("ISOBAR_KEY", key);
                fleet.isobar("audit seal").ends(0); // the journal was begun without it
            }
            fleet.edit("app/stack.yaml", "inputs: { ", "inputs: { pw: !secret PW, ");
            fleet.file("app/templates/pw.yaml.j2", "pw: {{ inputs.pw }}\n").commit("A password");
            fleet.isobar("preview").ends(0);
            fleet.isobar("judge --review bob=approve").ends(0);
            fleet.env("PW", password).isobar("apply").ends(ends);
        }
    }
}

#[test]
fn a_change_does_not_say_itself_that_its_first_apply_is_covered() {
    let fleet = base_and_app("", LOOKS);
    fleet.edit("isobar.yaml", "journal:", "first_apply: covered\njournal:").commit("Covered");
    fleet.isobar("preview").ends(0).says("first_apply: waits");
    fleet.isobar("judge --review bob=approve").ends(0);
    fleet.isobar("apply").ends(3);
}

#[test]
fn an_output_that_changes_reaches_its_users_in_the_same_apply() {
    let fleet = Sandbox::fleet("holes");
    fleet.isobar("apply").ends(0);
    fleet.edit("base/templates/ids.json.j2", "-1\"", "-2\"").commit("Another id");
    fleet.isobar("preview").ends(0).says("4 of 4 targets will change");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "base: { id: base-prod-a-2, name: base-a }\n");
    fleet.isobar("drift").ends(0);
}

#[test]
fn an_output_is_asked_of_what_was_published() {
    let fleet = Sandbox::fleet("holes");
    fleet.isobar("apply").ends(0);
    fleet.edit("app/templates/app.yaml.j2", "base:", "the_base:").commit("Only app");
    let ran = fleet.isobar("preview --json").ends(0);
    assert_eq!(ran.states(), "changes app@prod/a app@prod/b; unchanged base@prod/a base@prod/b");
    fleet.isobar("preview").ends(0).says("+the_base: { id: base-prod-");
}

#[test]
fn an_output_that_one_apply_changed_reaches_its_users_with_the_next() {
    let fleet = Sandbox::fleet("holes");
    fleet.isobar("apply").ends(0);
    fleet.edit("base/templates/ids.json.j2", "-1\"", "-2\"").commit("Another id");
    fleet.isobar("apply base").ends(0);
    fleet.file("README.md", "words\n").commit("Words");
    fleet.isobar("apply").ends(0);
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "base: { id: base-prod-a-2, name: base-a }\n");
    fleet.isobar("drift").ends(0);
    fleet.isobar("apply").ends(0).says("Nothing to apply");
}

#[test]
fn an_output_that_a_fix_put_back_reaches_its_users() {
    let fleet = Sandbox::fleet("holes");
    fleet.isobar("apply").ends(0);
    fleet.edit("live/prod/a/base/ids.json", "-1\"", "-9\"");
    fleet.isobar("apply").ends(0).says("Nothing to apply");
    fleet.isobar("drift --fix").ends(0);
    assert_eq!(fleet.isobar("apply --json").ends(0).states(), "unchanged app@prod/a app@prod/b base@prod/a base@prod/b");
    fleet.isobar("apply").ends(0).says("Nothing to apply");
}

#[test]
fn an_output_is_asked_of_what_its_stack_was_last_applied_as() {
    let fleet = Sandbox::fleet("holes");
    fleet.isobar("apply").ends(0);
    fleet.edit("base/stack.yaml", "ids.json", "new.json").edit("base/stack.yaml", "region.id }}/base", "region.id }}/moved");
    let text = std::fs::read_to_string(fleet.root().join("base/templates/ids.json.j2")).expect("it is there");
    fleet.remove("base/templates/ids.json.j2").file("base/templates/new.json.j2", &text);
    fleet.edit("app/templates/app.yaml.j2", "base:", "the_base:").commit("Move base, edit app");

    let ran = fleet.isobar("apply app --json").ends(0);
    assert_eq!(ran.states(), "applied app@prod/a app@prod/b");
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "the_base: { id: base-prod-a-1, name: base-a }\n");
}

#[test]
fn an_output_that_was_handed_on_is_known_to_whoever_uses_it_next() {
    let fleet = Sandbox::fleet("holes");
    fleet
        .stack("edge", "inputs: { id: '${{ stacks[\"relay\"].outputs.id }}' }")
        .file("edge/templates/id.txt.j2", "{{ inputs.id }}\n");
    let relay = "inputs: { id: '${{ stacks[\"base\"].outputs.id }}' }\noutputs: { id: '${{ inputs.id }}' }";
    fleet.stack("relay", relay).file("relay/templates/relay.txt", "relay\n").commit("A relay between");
    fleet.isobar("apply").ends(0);

    fleet.edit("edge/templates/id.txt.j2", "{{", "id: {{").commit("Only edge");
    assert_eq!(fleet.isobar("apply edge --json").ends(0).states(), "applied edge@prod/a edge@prod/b");
    assert_eq!(fleet.live("live/prod/b/edge")["id.txt"], "id: base-prod-b-1\n");
}

#[test]
fn what_a_removed_region_used_is_known_beside_what_stays() {
    let fleet = Sandbox::fleet("holes");
    fleet.edit("app/stack.yaml", "region.id }}/app", "region.id }}/${{ inputs.base_id }}").commit("Where base says");
    fleet.isobar("apply").ends(0);
    fleet
        .edit("isobar.yaml", "  prod/b: {}\n", "")
        .edit("app/templates/app.yaml.j2", "base:", "the_base:")
        .commit("Leave prod/b");

    fleet.isobar("apply").ends(0);
    assert!(fleet.live("live/prod/b").is_empty(), "{:?}", fleet.live("live/prod/b"));
    assert_eq!(fleet.live("live/prod/a/base-prod-a-1")["app.yaml"], "the_base: { id: base-prod-a-1, name: base-a }\n");
}
