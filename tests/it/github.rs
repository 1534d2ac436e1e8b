//! A pull request's life on GitHub: what the action does for each event, and what people find there afterwards.

use crate::support::github::{BOT, TOKEN};
use crate::support::{APPROVALS, Forge, app};
use serde_json::json;

/// A policy that says yes to what is small.
const OPEN: &str = "policy: [{ rule: limit, targets_max: 10 }]";

fn forge() -> Forge {
    Forge::of(app("prod/a staging/a", APPROVALS))
}

#[test]
fn a_change_is_shown_approved_merged_and_applied() {
    let forge = forge();
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    let comment = forge.comment(number);
    assert!(comment.starts_with("### ") && comment.contains("**Gate closed**: 1 waiting"), "{comment}");
    assert!(comment.contains("missing 1 of platform") && comment.contains("version: 2"), "{comment}");
    assert_eq!(forge.gate(number), "pending: 2 of 2 regions will change · 1 waiting");

    forge.review(number, "bob", "APPROVED");
    forge.on_pull("pull_request_review", "submitted", number).ends(0);
    assert!(forge.comment(number).contains("**Gate open**"), "{}", forge.comment(number));
    assert_eq!(forge.gate(number), "success: 2 of 2 regions will change");

    let merged = forge.merge(number, "version-2");
    forge.on_push(&before).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2, staging/a 2");
    let comment = forge.comment(number);
    assert!(comment.starts_with("### 2 of 2 applied") && comment.contains("Applied"), "{comment}");
    assert_eq!(forge.status(&merged, "isobar apply"), "success: 2 of 2 applied");
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn what_was_changed_by_hand_is_an_issue_until_it_is_put_back() {
    let forge = Forge::of(app("staging/a", OPEN));
    forge.on_push("").ends(0);
    forge.on("schedule", &json!({})).ends(0);
    assert_eq!(forge.issues(), [""; 0]);

    forge.fleet.file("live/staging/a/app/app.yaml", "region: a\nversion: 7\n");
    for _ in 0..2 {
        forge.on("schedule", &json!({})).ends(2);
        assert_eq!(forge.issues(), ["Drift"]);
    }
    forge.fleet.isobar("drift --fix").ends(0);
    forge.on("schedule", &json!({})).ends(0);
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn an_apply_that_fails_is_an_issue_until_one_goes_well() {
    let forge = Forge::of(app("staging/a", OPEN));
    forge.fleet.block("staging/a");
    forge.on_push("").ends(1);
    assert_eq!(forge.issues(), ["An apply failed"]);
    forge.fleet.unblock("staging/a");
    forge.fleet.isobar("resume").ends(0);
    forge.fleet.version(1, 2);
    let head = forge.fleet.head();
    forge.github.people(|state| state.push_to_main("ada", &head));
    forge.on_push("").ends(0);
    assert_eq!(forge.issues(), [""; 0]);
}

#[test]
fn a_preview_that_cannot_be_made_is_told_too() {
    let forge = forge();
    let base = forge.fleet.head();
    forge.fleet.branch("broken").edit("app/stack.yaml", "where: all", "where: nowhere");
    let head = forge.fleet.commit("Break it");
    let number = forge.github.people(|state| state.open("ada", "Break it", &base, &[&head]));
    forge.on_pull("pull_request", "opened", number).ends(65);
    let comment = forge.comment(number);
    assert!(comment.starts_with("### The preview of ") && comment.contains("app/stack.yaml:1"), "{comment}");
    assert!(forge.gate(number).starts_with("error: "), "{}", forge.gate(number));
}

#[test]
fn nothing_is_applied_where_reviews_cannot_be_read() {
    let forge = Forge::of(app("staging/a", OPEN));
    forge.github.token(TOKEN, BOT, &["statuses: write"]);
    forge.on_push("").ends(1).says("pull-requests: read");
    assert_eq!(forge.fleet.versions(), "staging/a -");
}
