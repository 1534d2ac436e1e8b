//! What judges on GitHub where a fleet says little: the built-in policy, a fleet that speaks for itself, and what came without a pull
//! request.

use crate::support::github::Role;
use crate::support::{Forge, Ran, Sandbox, app};
use std::fs;

/// A policy that asks nobody.
const OPEN: &str = "policy: [{ rule: limit, targets_max: 10 }]";

/// Somebody pushes to the default branch, and the workflow runs.
fn push(forge: &Forge, by: &str) -> Ran {
    let head = forge.fleet.head();
    forge.github.people(|state| state.push_to_main(by, &head));
    forge.on_push("")
}

/// A pull request for the next version is shown, approved by these, merged and applied.
fn lands(forge: &Forge, (from, to): (u32, u32), approved_by: &[&str]) -> Ran {
    let before = forge.fleet.head();
    let number = forge.propose(from, to);
    forge.on_pull("pull_request", "opened", number).ends(0);
    approved_by.iter().for_each(|by| forge.review(number, by, "APPROVED"));
    forge.merge(number, &format!("version-{to}"));
    forge.on_push(&before)
}

#[test]
fn without_a_policy_somebody_approves_every_change() {
    let forge = Forge::of(app("prod/a", ""));
    assert_eq!(forge.fleet.versions(), "prod/a 1");
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    let comment = forge.comment(number);
    assert!(comment.contains("built-in: 0 of 1 approval: missing 1 (anyone but the author)"), "{comment}");
    assert!(comment.contains("no policy declared: one person approves a change"), "{comment}");
    forge.fleet.checkout("main");

    let forge = Forge::of(app("prod/a", ""));
    lands(&forge, (1, 2), &[]).ends(3).says("built-in: 0 of 1 approval");
    assert_eq!(forge.fleet.versions(), "prod/a 1");
    let forge = Forge::of(app("prod/a", ""));
    lands(&forge, (1, 2), &["ada"]).ends(3); // who made it
    let forge = Forge::of(app("prod/a", ""));
    lands(&forge, (1, 2), &["bob"]).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2");
}

#[test]
fn without_a_policy_two_approve_a_delete() {
    let played = |approved_by: &[&str]| {
        let fleet = app("prod/a", "");
        fleet.file("app/templates/more.yaml.j2", "more: 1\n").commit("More");
        let forge = Forge::of(fleet);
        let before = forge.fleet.head();
        forge.fleet.branch("less").remove("app/templates/more.yaml.j2");
        let head = forge.fleet.commit("Less");
        let number = forge.github.people(|state| state.open("ada", "Less", &before, &[&head]));
        forge.on_pull("pull_request", "opened", number).ends(0);
        forge.github.people(|state| _ = state.people.insert("carol".into(), Role::Write));
        approved_by.iter().for_each(|by| forge.review(number, by, "APPROVED"));
        forge.merge(number, "less");
        let ran = forge.on_push(&before);
        let is_gone = !forge.fleet.live("live/prod/a/app").contains_key("more.yaml");
        (ran, is_gone)
    };
    let (ran, is_gone) = played(&["bob"]);
    assert!(!ran.ends(3).says("built-in: 1 of 2 approvals: bob; missing 1").stdout.is_empty() && !is_gone);
    let (ran, is_gone) = played(&["bob", "carol"]);
    ran.ends(0);
    assert!(is_gone);
}

#[test]
fn a_fleet_that_nobody_spoke_for_before_asks_the_built_in_policy_too() {
    // Its own policy asks nobody, and came with the very commit that is applied first.
    let forge = Forge::new(app("prod/a", OPEN));
    forge.on_push("").ends(3).says("built-in: 0 of 1 approval");
    assert_eq!(forge.fleet.versions(), "prod/a -");
    lands(&forge, (1, 2), &[]).ends(3).says("built-in: 0 of 1 approval");
    lands(&forge, (2, 3), &["bob"]).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 3");
    // From then on its own policy speaks.
    lands(&forge, (3, 4), &[]).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 4");
}

#[test]
fn what_came_without_a_pull_request_waits_until_somebody_looks_at_it() {
    let forge = Forge::of(app("prod/a", OPEN));
    forge.fleet.version(1, 2);
    let pushed = forge.fleet.head();
    push(&forge, "ada").ends(3).says(&format!("{} came without a pull request: 0 of 1 approval", &pushed[..7]));
    assert_eq!(forge.fleet.versions(), "prod/a 1");
    // What a pull request brings on top is no reason to let it through.
    lands(&forge, (2, 3), &[]).ends(3).says("came without a pull request");
    assert_eq!(forge.fleet.versions(), "prod/a 1");
    // Who approves one that shows all of it has looked at it.
    lands(&forge, (3, 4), &["bob"]).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 4");
    lands(&forge, (4, 5), &[]).ends(0);
}

#[test]
fn what_was_pushed_between_the_commits_of_a_pull_request_did_not_come_with_it() {
    let forge = Forge::of(app("prod/a", OPEN));
    let base = forge.fleet.head();
    let words = forge.fleet.file("README.md", "words\n").commit("Words");
    let pushed = forge.fleet.version(1, 2);
    let squashed = forge.fleet.file("README.md", "more words\n").commit("Words (#1)");
    forge.github.people(|state| {
        let number = state.open("ada", "Words", &base, &[&words]);
        [&words, &pushed].iter().for_each(|commit| state.push_to_main("ada", commit));
        state.merge(number, "bob", &squashed);
    });
    forge.on_push("").ends(3).says(&format!("{} came without a pull request", &pushed[..7]));
    assert_eq!(forge.fleet.versions(), "prod/a 1");
}

#[test]
fn what_is_pushed_beside_a_target_keeps_nothing_from_it() {
    let forge = Forge::of(app("prod/a", OPEN));
    forge.fleet.file("README.md", "words\n").commit("Words");
    push(&forge, "ada").ends(0);
    lands(&forge, (1, 2), &[]).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2");
}

#[test]
fn a_fleet_may_let_pushes_through_and_no_push_can_say_so_for_itself() {
    let forge = Forge::of(app("prod/a", &format!("direct_push: allow\n{OPEN}")));
    forge.fleet.version(1, 2);
    push(&forge, "ada").ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2");

    let forge = Forge::of(app("prod/a", OPEN));
    forge.fleet.edit("isobar.yaml", "journal:", "direct_push: allow\njournal:");
    forge.fleet.version(1, 2);
    push(&forge, "ada").ends(3).says("came without a pull request");
    assert_eq!(forge.fleet.versions(), "prod/a 1");
}

#[test]
fn however_it_was_merged_a_pull_request_brought_it() {
    let merged = |merge: fn(&Forge, u64)| {
        let forge = Forge::of(app("prod/a", OPEN));
        let number = forge.propose(1, 2);
        forge.on_pull("pull_request", "opened", number).ends(0);
        forge.fleet.checkout("main");
        merge(&forge, number);
        forge.on_push("").ends(0);
        assert_eq!(forge.fleet.versions(), "prod/a 2");
    };
    // A squash: one commit, which is no commit of the pull request.
    merged(|forge, number| {
        let commit = forge.fleet.version(1, 2);
        forge.github.people(|state| state.merge(number, "bob", &commit));
    });
    // A rebase: the commits come one by one.
    merged(|forge, number| {
        let first = forge.fleet.file("app/templates/more.yaml.j2", "more: 1\n").commit("More");
        let last = forge.fleet.version(1, 2);
        forge.github.people(|state| {
            state.push_to_main("ada", &first);
            state.pull(number).commits.push(first);
            state.merge(number, "bob", &last);
        });
    });
}

/// A repository without a fleet, and a pull request of two commits, from a branch called `fleet`, that brings one.
pub(crate) fn bringing() -> (Forge, u64) {
    let fleet = app("prod/a", OPEN);
    let whole = ["isobar.yaml", "app/stack.yaml", "app/templates/app.yaml.j2"];
    let forge = Forge::new(Sandbox::of("README.md | words"));
    let before = forge.fleet.head();
    forge.fleet.branch("fleet");
    for path in whole {
        forge.fleet.file(path, &fs::read_to_string(fleet.root().join(path)).expect("a file of the fleet"));
    }
    let first = forge.fleet.commit("A fleet");
    let head = forge.fleet.file(".gitignore", "/live/\n/.isobar/\n").commit("And what is not its own");
    let number = forge.github.people(|state| state.open("ada", "A fleet", &before, &[&first, &head]));
    (forge, number)
}

#[test]
fn the_pull_request_that_brings_the_fleet_is_shown_approved_and_applied() {
    let (forge, number) = bringing();
    let before = forge.github.people(|state| state.pull(number).base.clone());
    forge.on_pull("pull_request", "opened", number).ends(0);
    let comment = forge.comment(number);
    assert!(comment.contains("built-in: 0 of 1 approval: missing 1"), "{comment}");
    forge.review(number, "bob", "APPROVED");
    forge.on_pull("pull_request_review", "submitted", number).ends(0);
    assert!(forge.gate(number).starts_with("success"), "{}", forge.gate(number));
    forge.merge(number, "fleet");
    forge.on_push(&before).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 1");
}
