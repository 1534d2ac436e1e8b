//! Teams that GitHub keeps: who is in them is asked with a token of the organisation, and what cannot be asked is no yes.

use crate::support::github::Role;
use crate::support::{Forge, app};
use std::fs;

/// A GitHub App's.
const ORG_TOKEN: &str = "canary-token-of-an-organisation";

/// A fleet with this policy, whose organisation has a team of bob's, and the number of a pull request that bob approved.
fn approved_by_bob(policy: &str, token: Option<&[&str]>) -> (Forge, u64, String) {
    let forge = Forge::of(app("prod/a", policy));
    forge.github.people(|state| {
        state.people.insert("bob".into(), Role::Write);
        state.teams.insert("site-reliability".into(), ["bob".to_string(), "eve".to_string()].into());
    });
    if let Some(allowed) = token {
        forge.github.token(ORG_TOKEN, "isobar-app[bot]", allowed);
        forge.with("ISOBAR_ORG_TOKEN", ORG_TOKEN);
    }
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    forge.review(number, "bob", "APPROVED");
    (forge, number, before)
}

/// Merges it, and returns the version that runs then and all that was said.
fn applied((forge, number, before): (Forge, u64, String)) -> (String, String) {
    forge.merge(number, "version-2");
    let ran = forge.on_push(&before).keeps_quiet_about(ORG_TOKEN);
    (forge.fleet.versions(), format!("{}{}{}", ran.stdout, ran.stderr, forge.comments(number).concat()))
}

const LISTED: &str =
    "teams: { sre: \"@acme/site-reliability\", ops: [zed] }\npolicy: [{ rule: approvals, require: [{ team: sre }] }]";
const UNLISTED: &str = "policy: [{ rule: approvals, require: [{ team: Site-Reliability }] }]";
const READS: Option<&[&str]> = Some(&["members: read"]);

#[test]
fn a_member_of_a_team_of_the_organisation_approves() {
    for policy in [LISTED, UNLISTED] {
        let (runs, said) = applied(approved_by_bob(policy, READS));
        assert_eq!(runs, "prod/a 2", "{policy}: {said}");
    }
}

#[test]
fn somebody_outside_of_it_does_not_and_who_may_is_named() {
    let (forge, number, _) = approved_by_bob(LISTED, READS);
    forge
        .github
        .people(|state| _ = state.teams.insert("site-reliability".into(), ["dora".to_string(), "eve".to_string()].into()));
    forge.on_pull("pull_request_review", "submitted", number);
    let comment = forge.comment(number);
    assert!(comment.contains("missing 1 of sre (dora, eve)"), "{comment}");
}

#[test]
fn who_left_the_team_before_the_merge_counts_for_nothing() {
    let (forge, number, before) = approved_by_bob(LISTED, READS);
    forge.on_pull("pull_request_review", "submitted", number).ends(0);
    assert!(forge.gate(number).starts_with("success"), "{}", forge.gate(number));
    forge.github.people(|state| _ = state.teams.insert("site-reliability".into(), ["eve".to_string()].into()));
    assert_eq!(applied((forge, number, before)).0, "prod/a -");
}

#[test]
fn what_cannot_be_asked_is_no_yes_and_says_what_it_needs() {
    for (token, says) in [
        (None, "that needs an org-token, as the token of a workflow sees no teams"),
        (Some(&["contents: read"][..]), "404 Not Found"),
    ] {
        let (runs, said) = applied(approved_by_bob(UNLISTED, token));
        assert_eq!(runs, "prod/a -", "{said}");
        assert!(said.contains(&format!("reading who is in acme/site-reliability: {says}")), "{said}");
        assert!(said.contains("members: read"), "{said}");
    }
    let (forge, number, before) = approved_by_bob(LISTED, READS);
    forge.github.people(|state| state.teams.clear());
    let (runs, said) = applied((forge, number, before));
    assert_eq!(runs, "prod/a -", "{said}");
}

#[test]
fn a_pull_request_puts_nobody_into_a_team() {
    let (forge, number, before) = approved_by_bob(LISTED, READS);
    let mine = fs::read_to_string(forge.fleet.root().join("isobar.yaml")).expect("a fleet");
    let mine = mine.replace("sre: \"@acme/site-reliability\"", "sre: [mallory]");
    let head = forge.fleet.file("isobar.yaml", &mine).commit("Me too");
    forge.github.people(|state| {
        state.people.insert("mallory".into(), Role::Write);
        state.teams.insert("site-reliability".into(), ["eve".to_string()].into());
        state.push(number, "ada", &head);
    });
    forge.on_pull("pull_request", "synchronize", number).ends(0);
    forge.review(number, "mallory", "APPROVED");
    assert_eq!(applied((forge, number, before)).0, "prod/a -");
}

#[test]
fn every_page_of_a_team_is_read() {
    let (forge, number, before) = approved_by_bob(LISTED, READS);
    forge.github.people(|state| {
        let many = (0..230).map(|nth| format!("a{nth:03}")).chain(["bob".to_string()]);
        state.teams.insert("site-reliability".into(), many.collect());
    });
    assert_eq!(applied((forge, number, before)).0, "prod/a 2");
}

/// A fleet with a policy that asks whom this CODEOWNERS names, in which bob approves a pull request; the version that runs then, and all
/// that was said.
fn owned(file: Option<(&str, &str)>, brings: impl FnOnce(&Forge)) -> (String, String) {
    let fleet = app("prod/a", "policy: [{ rule: limit, targets_max: 9 }]");
    fleet.isobar("apply").ends(0);
    fleet.edit("isobar.yaml", "rule: limit, targets_max: 9", "rule: approvals, require: [{ code_owners: true }]");
    if let Some((path, text)) = file {
        fleet.file(path, text);
    }
    fleet.commit("Owners");
    let forge = Forge::of(fleet);
    forge.github.token(ORG_TOKEN, "isobar-app[bot]", &["members: read"]);
    forge.with("ISOBAR_ORG_TOKEN", ORG_TOKEN);
    forge.github.people(|state| {
        state.people.insert("bob".into(), Role::Write);
        state.teams.insert("sre".into(), ["bob".to_string()].into());
    });
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    brings(&forge);
    let head = forge.fleet.head();
    forge.github.people(|state| {
        if state.pull(number).head != head {
            state.push(number, "ada", &head)
        }
    });
    forge.on_pull("pull_request", "opened", number).ends(0);
    forge.review(number, "bob", "APPROVED");
    applied((forge, number, before))
}

#[test]
fn whom_codeowners_names_before_the_change_approves() {
    for (path, text) in [
        ("CODEOWNERS", "* @zed\n/app/ @bob\n"),
        (".github/CODEOWNERS", "app/stack.yaml @Bob @zed\n"),
        ("docs/CODEOWNERS", "* @acme/sre\n"),
    ] {
        let (runs, said) = owned(Some((path, text)), |_| ());
        assert_eq!(runs, "prod/a 2", "{text}: {said}");
    }
}

#[test]
fn whom_codeowners_does_not_name_or_not_in_words_that_can_be_read_does_not() {
    for (file, why) in [
        (Some(("CODEOWNERS", "* @bob\n/app/ @zed\n")), "missing 1 of code owners of app/stack.yaml (zed)"),
        (Some(("CODEOWNERS", "* @bob\n/app/\n")), "CODEOWNERS names nobody for it"),
        (Some(("CODEOWNERS", "* bob\n")), "CODEOWNERS, line 1: \"bob\" is no owner"),
        (Some(("CODEOWNERS", "* bob@acme.example\n")), "nobody can tell"),
        (Some(("CODEOWNERS", "* @acme/nobody\n")), "reading who is in acme/nobody: 404"),
        (Some((".github/CODEOWNERS", "* @zed\n")), "(zed)"),
        (None, "there is no CODEOWNERS before the change"),
    ] {
        let (runs, said) = owned(file, |forge| _ = forge.fleet.file("docs/CODEOWNERS", "* @bob\n").commit("Me"));
        assert_eq!(runs, "prod/a 1", "{file:?}: {said}");
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn a_change_that_edits_codeowners_or_moves_the_stack_is_owned_as_it_was() {
    let theirs = "* @bob\n/app/ @zed\n";
    let edited = owned(Some(("CODEOWNERS", theirs)), |forge| _ = forge.fleet.file("CODEOWNERS", "* @bob\n").commit("Mine now"));
    assert_eq!(edited.0, "prod/a 1", "{}", edited.1);
    let moved = owned(Some(("CODEOWNERS", theirs)), |forge| {
        for path in ["stack.yaml", "templates/app.yaml.j2"] {
            let text = fs::read_to_string(forge.fleet.root().join("app").join(path)).expect("a file of the stack");
            let text = if path == "stack.yaml" { format!("name: app\n{text}") } else { text };
            forge.fleet.file(&format!("mine/{path}"), &text);
        }
        forge.fleet.remove("app").commit("Moved");
    });
    assert_eq!(moved.0, "prod/a 1", "{}", moved.1);
    assert!(moved.1.contains("code owners of app/stack.yaml (zed)"), "{}", moved.1);
}
