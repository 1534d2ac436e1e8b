//! Going back: where the head waits, a target is brought to the newest commit before it that is cleared, and never below what it is.

use crate::support::{Sandbox, app};

/// One of sre for every delete; what deletes nothing is asked of nobody.
const DELETES: &str =
    "teams: { sre: [sue] }\npolicy: [{ rule: approvals, when: { actions: [delete] }, require: [{ team: sre }] }]";

/// `app` with a second document, applied.
fn two_documents() -> Sandbox {
    let fleet = app("prod/a", DELETES);
    fleet.file("app/templates/b.yaml", "b: 1\n").commit("Two documents");
    fleet.isobar("apply").ends(0);
    fleet
}

#[test]
fn a_commit_that_does_not_hold_what_was_applied_is_not_gone_back_to() {
    let fleet = two_documents();
    fleet.branch("feature").remove("app/templates/b.yaml").commit("No b");
    fleet.checkout("main").version(1, 2);
    fleet.isobar("apply").ends(0);
    fleet.checkout("feature").merge("main");
    let merged = fleet.root().join(".git/refs/heads/feature");
    std::fs::copy(merged, fleet.root().join(".git/refs/heads/main")).expect("main goes forward to it");
    fleet.checkout("main");
    fleet.isobar("apply").ends(3).says("missing 1 of sre");
    assert_eq!(fleet.versions(), "prod/a 2");
    assert!(fleet.live("live/prod/a/app").contains_key("b.yaml"));
}

#[test]
fn an_output_that_only_the_older_commit_uses_is_asked_for_it() {
    let fleet = two_documents();
    fleet.stack("base", "outputs: { id: { document: ids.json, pointer: /id } }");
    fleet.file("base/templates/ids.json", "{ \"id\": \"base-1\" }\n").commit("Base");
    fleet.isobar("apply").ends(0);
    let plain = std::fs::read_to_string(fleet.root().join("app/stack.yaml")).expect("a definition");
    fleet.stack("app", "inputs: { id: '${{ stacks[\"base\"].outputs.id }}' }");
    fleet.file("app/templates/app.yaml.j2", "region: {{ inputs.id }}\nversion: 2\n").commit("With an id");
    fleet.file("app/stack.yaml", &plain).file("app/templates/app.yaml.j2", "version: 3\n");
    fleet.remove("app/templates/b.yaml").commit("Without it, and no b");
    fleet.isobar("apply").ends(3).says("missing 1 of sre");
    assert_eq!(fleet.live("live/prod/a/app")["app.yaml"], "region: base-1\nversion: 2\n");
}

#[test]
fn a_commit_that_would_be_refused_at_the_head_is_not_gone_back_to() {
    let fleet = two_documents();
    fleet.stack("other", "").file("other/templates/other.yaml", "o: 1\n");
    fleet.edit("other/stack.yaml", "}}/other", "}}/app").version(1, 2);
    fleet.isobar("apply").ends(65).says("are the same thing");
    fleet.edit("other/stack.yaml", "}}/app", "}}/other").remove("app/templates/b.yaml").commit("Mended, and no b");
    fleet.isobar("apply").ends(3).says("missing 1 of sre");
    assert_eq!(fleet.versions(), "prod/a 1");
}
