//! One story a test: who decided what, and the sentence that came of it.

use crate::change::{Action, Change, Digest};
use crate::policy::testing::{Stage, document, user};
use crate::policy::{Answer, Policy};
use crate::review::{Approval, Decision};
use serde_json::{Value, json};

const MISSING: &str = "wait: 0 of 1 approval: missing 1 of sre (dora, eve)";

/// One of sre must approve, and one target would update a document.
fn stage() -> Stage {
    of(json!([{ "rule": "approvals", "require": [{ "team": "sre" }] }]))
}

fn of(section: Value) -> Stage {
    let mut stage = Stage::of(section);
    stage.updates("network@prod/eu-west-1", &["a"]);
    stage
}

#[test]
fn nothing_to_change_is_clear() {
    let mut stage = Stage::of(json!([{ "rule": "deny", "message": "never" }]));
    stage.subject("network@prod/eu-west-1", vec![]);
    assert_eq!(stage.said(), "clear: nothing would change");
}

#[test]
fn without_a_policy_everything_is_clear_and_says_so() {
    let mut stage = Stage::without_policy();
    stage.updates("network@prod/eu-west-1", &["a"]);
    stage.cleared(&[document("b", Action::Update)], &["alice"]);
    assert_eq!(stage.said(), "clear: no policy declared");
}

#[test]
fn a_policy_of_which_no_rule_could_be_read_denies() {
    let mut stage = stage();
    stage.policy = Some(Policy::default());
    assert_eq!(stage.said(), "deny: the policy holds no rule that could be read");
}

#[test]
fn what_no_rule_is_about_is_clear() {
    let stage = of(json!([{ "rule": "approvals", "when": { "environment": "staging" }, "require": [{}] }]));
    assert_eq!(stage.said(), "clear: no rule asks for an approval of this");
}

#[test]
fn what_came_without_a_pull_request_needs_somebody_whatever_the_rules_ask() {
    let mut stage = of(json!([{ "rule": "limit", "targets_max": 10 }]));
    stage.subjects[0].direct = Some(crate::review::CommitSha("0123456789abcdef".into()));
    assert_eq!(stage.said(), "wait: 0123456 came without a pull request: 0 of 1 approval: missing 1 (anyone but the author)");
    stage.approve("mallory");
    assert!(stage.said().starts_with("wait: "), "who made it does not count: {}", stage.said());
    stage.approve("dora");
    assert_eq!(stage.said(), "clear: 0123456 came without a pull request: 1 of 1 approval: dora");
}

#[test]
fn an_approval_of_the_right_team_clears() {
    let mut stage = stage();
    stage.approve("dora");
    assert_eq!(stage.said(), "clear: 1 of 1 approval: dora (sre)");
    assert_eq!(stage.cleared_by(), ["dora"]);
}

#[test]
fn a_clearance_is_for_exactly_what_was_previewed() {
    let mut stage = stage();
    stage.approve("dora");
    let verdict = stage.verdicts().swap_remove(0);
    let crate::policy::Answer::Clear(clearance) = verdict.answer else { panic!("it is clear") };
    assert_eq!(clearance.changes(), stage.subjects[0].preview.marks());
    assert_eq!((clearance.digest(), clearance.target()), (&verdict.digest, &verdict.target));
    assert_eq!(verdict.digest, stage.subjects[0].preview.digest());
}

#[test]
fn an_approval_of_another_team_is_missing_one_still() {
    let mut stage = stage();
    stage.approve("alice");
    assert_eq!(stage.said(), MISSING);
}

#[test]
fn the_author_a_committer_and_a_bot_do_not_count_and_are_told() {
    for (who, told) in [
        ("carol", "carol (the author)"),
        ("Carol", "Carol (the author)"),
        (" CAROL ", " CAROL  (the author)"),
        ("Mallory", "Mallory (a committer of the change)"),
        ("ci[bot]", "ci[bot] (a bot)"),
        ("CI[Bot]", "CI[Bot] (a bot)"),
        ("", " (nameless)"),
    ] {
        let mut stage = of(json!([{ "rule": "approvals", "require": [{}] }]));
        stage.approve(who);
        assert_eq!(stage.said(), format!("wait: 0 of 1 approval: missing 1 (anyone but the author); not counted: {told}"));
    }
}

#[test]
fn the_author_does_not_count_for_the_own_team_either() {
    let mut stage = stage();
    stage.pull_request.author = user("Dora");
    stage.approve("dora");
    assert_eq!(stage.said(), "wait: 0 of 1 approval: missing 1 of sre (eve); not counted: dora (the author)");
}

#[test]
fn when_nobody_says_who_made_the_change_nobody_can_approve_it() {
    let mut stage = stage();
    stage.pull_request.committers.push(user(""));
    stage.approve("dora");
    let said = stage.said();
    assert!(said.starts_with("wait: 0 of 1 approval: missing 1 of sre (none of them may approve this)"), "{said}");
}

#[test]
fn a_login_in_another_case_is_the_same_person() {
    let mut stage = of(json!([{ "rule": "approvals", "require": [{ "team": "SRE", "count": 2 }] }]));
    stage.approve("DORA");
    stage.approve("dora");
    assert_eq!(stage.said(), "wait: 1 of 2 approvals: dora (SRE); missing 1 of SRE (eve)");
}

#[test]
fn an_approval_of_something_else_does_not_count_and_is_told() {
    let mut stage = stage();
    stage.approve("dora");
    let earlier = stage.subjects[0].preview.digest();
    stage.subjects[0].preview.changes.push(document("b", Action::Create));
    assert_eq!(stage.said(), MISSING);
    stage.subjects[0].past.shown.insert(earlier);
    assert_eq!(stage.said(), format!("{MISSING}; dora approved another preview"));
    stage.subjects[0].past.spent = stage.subjects[0].past.shown.clone();
    assert_eq!(stage.said(), format!("{MISSING}; dora approved what was applied before"));
}

#[test]
fn a_yes_that_is_still_to_come_counts_from_its_time_on_and_is_told_with_it() {
    let mut stage = of(json!([{ "rule": "approvals", "require": [{ "count": 2 }] }]));
    stage.approve("dora");
    stage.approvals[0].at_ms = 1_795_338_000_000;
    let to_come = "what dora approved counts from 2026-11-22 09:00 UTC on, by a clock that is ahead; or they approve again now";
    stage.now_ms = 1_795_338_000_000 - 60_001;
    assert_eq!(stage.said(), format!("wait: 0 of 2 approvals: missing 2 (anyone but the author); {to_come}"));
    stage.approve("eve");
    assert_eq!(stage.said(), format!("wait: {to_come}"));
    assert_eq!(stage.verdicts()[0].answer, Answer::Wait { approval: false });
    stage.now_ms += 1;
    assert_eq!(stage.said(), "clear: 2 of 2 approvals: dora, eve");

    stage.approvals[0].decision = Decision::Reject;
    stage.now_ms = 0;
    assert_eq!(stage.said(), "deny: rejected by dora", "no clock takes a no away");
}

#[test]
fn a_shortened_digest_binds_nothing() {
    let mut stage = stage();
    stage.approve("dora");
    let short = stage.subjects[0].preview.digest().short().into();
    stage.approvals[0].digests = vec![short];
    assert_eq!(stage.said(), MISSING);
}

#[test]
fn an_approval_of_one_target_is_none_of_another() {
    let mut stage = stage();
    stage.approve("dora");
    stage.updates("network@prod/us-east-1", &["a"]);
    assert_eq!(stage.all_said(), ["clear: 1 of 1 approval: dora (sre)", MISSING]);
}

#[test]
fn a_rejection_denies_whatever_others_approved() {
    let mut stage = stage();
    stage.approve("dora");
    stage.reject("bob");
    assert_eq!(stage.said(), "deny: rejected by bob");
}

#[test]
fn whoever_rejected_may_think_again_and_the_other_way_round() {
    let mut stage = stage();
    stage.reject("dora");
    stage.approve("dora");
    assert_eq!(stage.said(), "clear: 1 of 1 approval: dora (sre)");
    stage.reject("Dora");
    assert_eq!(stage.said(), "deny: rejected by Dora");
    stage.approvals.swap(1, 2);
    assert_eq!(stage.said(), "clear: 1 of 1 approval: dora (sre)", "the order in which they were given decides, not a clock");
}

#[test]
fn a_rejection_of_whoever_made_it_counts_and_one_of_another_preview_is_none() {
    let mut stage = stage();
    stage.reject("carol");
    assert_eq!(stage.said(), "deny: rejected by carol");
    stage.approvals[0] =
        crate::review::Approval { by: user("bob"), decision: Decision::Reject, digests: vec!["0".repeat(64).into()], at_ms: 0 };
    assert_eq!(stage.said(), MISSING);
}

#[test]
fn a_secret_without_a_key_waits_with_and_without_a_policy() {
    let mut stage = stage();
    let unbound = Change { sensitive: true, bound: false, ..document("s", Action::Update) };
    stage.subjects[0].preview.changes = vec![unbound];
    stage.approve("dora");
    let said = "wait: changes a sensitive value, and without ISOBAR_KEY no approval can be bound to it";
    assert_eq!(stage.said(), said);
    stage.policy = None;
    assert_eq!(stage.said(), said);
}

#[test]
fn every_rule_that_asks_is_told_in_the_order_of_the_file() {
    let mut stage = of(json!([
        { "rule": "approvals", "name": "users", "require": [{ "user": "bob" }] },
        { "rule": "freeze", "from": "1970-01-01", "to": "1970-01-02", "name": "new year" },
        { "rule": "approvals", "require": [{ "team": "sre" }] },
    ]));
    stage.approve("bob");
    assert_eq!(
        stage.said(),
        "wait: new year: frozen until 1970-01-02 00:00 UTC; users: 1 of 1 approval: bob; \
         0 of 1 approval: missing 1 of sre (dora, eve)"
    );
}

#[test]
fn a_frozen_change_that_has_its_approvals_waits_only_for_the_window() {
    let mut stage = of(json!([
        { "rule": "approvals", "require": [{ "team": "sre" }] },
        { "rule": "freeze", "from": "1970-01-01", "to": "1970-01-02" },
    ]));
    stage.approve("eve");
    assert_eq!(stage.said(), "wait: frozen until 1970-01-02 00:00 UTC");
}

#[test]
fn a_denial_wins_over_a_freeze_and_over_approvals() {
    let mut stage = of(json!([
        { "rule": "freeze", "from": "1970-01-01", "to": "1970-01-02" },
        { "rule": "approvals", "require": [{}] },
        { "rule": "deny", "message": "never", "name": "guard" },
        { "rule": "deny", "message": "never", "name": "guard" },
        { "rule": "limit", "changes_max": 0 },
    ]));
    stage.approve("dora");
    assert_eq!(stage.said(), "deny: guard: never; the whole change would make 1 change, and the limit is 0");
}

#[test]
fn a_rule_that_another_one_includes_is_not_told_twice() {
    let platform = json!({ "team": "platform" });
    let mut stage = of(json!([
        { "rule": "approvals", "require": [platform] },
        { "rule": "approvals", "require": [platform, { "team": "sre" }] },
        { "rule": "approvals", "require": [platform] },
    ]));
    stage.approve("alice");
    assert_eq!(stage.said(), "wait: 1 of 2 approvals: alice (platform); missing 1 of sre (dora, eve)");
    let twice = of(json!([
        { "rule": "approvals", "name": "one", "require": [platform] },
        { "rule": "approvals", "name": "two", "require": [platform] },
    ]));
    assert_eq!(twice.said(), "wait: one: 0 of 1 approval: missing 1 of platform (alice, bob)", "of two equal ones the first");
}

#[test]
fn two_rules_may_count_the_same_person() {
    let mut stage = of(json!([
        { "rule": "approvals", "require": [{ "team": "sre" }] },
        { "rule": "approvals", "require": [{}] },
    ]));
    stage.approve("dora");
    assert_eq!(stage.said(), "clear: 1 of 1 approval: dora (sre); 1 of 1 approval: dora");
    assert_eq!(stage.cleared_by(), ["dora"]);
}

#[test]
fn verdicts_stand_in_the_order_of_the_subjects() {
    let mut stage = Stage::without_policy();
    let targets = ["network@staging/eu-west-1", "db@prod/eu-west-1", "network@prod/eu-west-1"];
    for target in targets {
        stage.updates(target, &["a"]);
    }
    let judged: Vec<_> = stage.verdicts().iter().map(|verdict| verdict.target.to_string()).collect();
    assert_eq!(judged, targets);
}

/// A target that was approved before it could be seen, and would now do this.
fn promised(actions: &[Action]) -> Stage {
    let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "team": "sre" }] }]));
    stage.subject("network@prod/eu-west-1", actions.iter().map(|action| document(&format!("{action:?}"), *action)).collect());
    let promise = Digest::of("test", &["promise"]);
    decide_about(&mut stage, &promise, "dora", Decision::Approve);
    stage.subjects[0].past.promise = Some(promise);
    stage
}

fn decide_about(stage: &mut Stage, digest: &Digest, by: &str, decision: Decision) {
    let at_ms = stage.approvals.len() as u64;
    stage.approvals.push(Approval { by: user(by), decision, digests: [digest.as_str().into()].into(), at_ms });
}

#[test]
fn an_approval_of_a_first_apply_counts_while_it_only_creates() {
    assert_eq!(promised(&[Action::Create]).said(), "clear: 1 of 1 approval: dora (sre)");
    assert_eq!(promised(&[Action::Create, Action::Delete]).said(), MISSING);
    assert_eq!(promised(&[Action::Update]).said(), MISSING);
    assert_eq!(promised(&[Action::Create, Action::Move]).said(), MISSING);
}

#[test]
fn a_first_apply_that_somebody_rejected_is_denied_until_they_approve_what_they_then_see() {
    let mut stage = promised(&[Action::Create]);
    decide_about(&mut stage, &Digest::of("test", &["promise"]), "eve", Decision::Reject);
    assert_eq!(stage.said(), "deny: rejected by eve");
    stage.approve("eve");
    assert_eq!(stage.said(), "clear: 1 of 1 approval: dora (sre)");
}
