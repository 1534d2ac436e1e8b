//! What was cleared before and not yet applied to its end: does it cover what would change now?

use super::Subject;
use super::votes::login;
use super::words::counted;
use crate::change::{Action, ChangeMark, Extra, beyond};
use crate::review::User;
use std::collections::{BTreeMap, BTreeSet};

/// How a fresh preview stands to the clearances since the target's last apply.
pub(super) enum Before {
    /// Nothing was cleared.
    Nothing,
    /// Each of its changes was cleared, by these people.
    Covered { by: Vec<User>, sentence: String },
    /// It goes beyond what these people approved; nobody, when no rule asked for anybody.
    Grown { by: Vec<User>, sentence: String },
}

/// Compares the subject's preview with what was cleared before.
pub(super) fn look_back(subject: &Subject<'_>) -> Before {
    let (fresh, past) = (&subject.preview.changes, &subject.past);
    if past.cleared.is_empty() {
        return Before::Nothing;
    }
    let marks: Vec<ChangeMark> = past.cleared.iter().map(|(mark, _)| mark.clone()).collect();
    let extras = beyond(fresh, &marks, past.started);
    let resources = marks.iter().map(|mark| &mark.address).collect::<BTreeSet<_>>().len();

    if extras.is_empty() {
        let ends: BTreeSet<_> = fresh.iter().map(|change| end(&change.mark())).collect();
        let by = people(past.cleared.iter().filter(|(mark, _)| ends.contains(&end(mark))));
        let sentence = covered_sentence(&by, fresh.len(), resources);
        Before::Covered { by, sentence }
    } else {
        let by = people(past.cleared.iter());
        let sentence = grown_sentence(&by, &extras, resources);
        Before::Grown { by, sentence }
    }
}

/// Returns the mark without its starting point: what a clearance of it was for.
fn end(mark: &ChangeMark) -> ChangeMark {
    ChangeMark { before: None, ..mark.clone() }
}

/// Everybody once, in the order of the logins.
fn people<'a>(cleared: impl Iterator<Item = &'a (ChangeMark, Vec<User>)>) -> Vec<User> {
    let by: BTreeMap<String, &User> = cleared.flat_map(|(_, by)| by).map(|user| (login(user), user)).collect();
    by.into_values().cloned().collect()
}

fn covered_sentence(by: &[User], left: usize, cleared: usize) -> String {
    let what = match cleared > left {
        true => format!("{left} of {} left", counted(cleared as u64, "change")),
        false => counted(left as u64, "change"),
    };
    let by: Vec<String> = by.iter().map(ToString::to_string).collect();
    match &*by {
        [] => format!("cleared before, when no rule asked for an approval: {what}"),
        by => format!("cleared before by {}: {what}", by.join(", ")),
    }
}

fn grown_sentence(by: &[User], extras: &[Extra], cleared: usize) -> String {
    let verb = if by.is_empty() { "cleared" } else { "approved" };
    let done = format!("{verb} {}", counted(cleared as u64, "change"));
    match extras.iter().all(Extra::is_remainder) {
        true => format!("{done} together, would now only {}", listed(extras, |_| None)),
        false => format!("{done}, would now also {}", listed(extras, why_of)),
    }
}

/// What was approved in another form needs its reason; what was not approved at all is told by "also".
fn why_of(extra: &Extra) -> Option<&'static str> {
    Some(extra.why).filter(|_| !extra.is_new())
}

fn listed(extras: &[Extra], why: impl Fn(&Extra) -> Option<&'static str>) -> String {
    const SHOWN: usize = 3; // the report lists them all
    let mut extras: Vec<&Extra> = extras.iter().collect();
    extras.sort_by_key(|extra| !extra.change.action.is_destructive()); // stable: what destroys is named first
    let told = extras.iter().take(SHOWN).map(|extra| match why(extra) {
        Some(why) => format!("{} {} ({why})", verb(extra.change.action), extra.change.address),
        None => format!("{} {}", verb(extra.change.action), extra.change.address),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    match extras.len() {
        0..=SHOWN => told,
        more => format!("{told} and {} more", more - SHOWN),
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Read => "read",
        Action::Move => "move",
    }
}

#[cfg(test)]
mod tests {
    use crate::change::Action;
    use crate::policy::testing::{Stage, change, document};
    use serde_json::json;

    /// A policy that asks for one of platform, and a target that would delete `x.yaml`, update `a.yaml` and `b.yaml`.
    fn stage() -> Stage {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "team": "platform" }] }]));
        let changes = ["a.yaml", "b.yaml"].map(|address| document(address, Action::Update));
        stage.subject("network@prod/eu-west-1", [changes.to_vec(), vec![document("x.yaml", Action::Delete)]].concat());
        stage
    }

    fn a_and_b() -> Vec<crate::change::Change> {
        vec![document("a.yaml", Action::Update), document("b.yaml", Action::Update)]
    }

    #[test]
    fn what_was_cleared_before_needs_no_new_approval() {
        let mut stage = stage();
        stage.cleared(&a_and_b(), &["alice"]);
        stage.cleared(&[document("x.yaml", Action::Delete)], &["bob", "Alice"]);
        assert_eq!(stage.said(), "clear: cleared before by Alice, bob: 3 changes");
        assert_eq!(stage.cleared_by(), ["Alice", "bob"]);
    }

    #[test]
    fn a_preview_that_grew_waits_and_names_what_is_new() {
        let mut stage = stage();
        stage.cleared(&a_and_b(), &["alice"]);
        assert_eq!(
            stage.said(),
            "wait: approved 2 changes, would now also delete x.yaml; 0 of 1 approval: missing 1 of platform (alice, bob)"
        );
    }

    #[test]
    fn one_approval_of_the_grown_preview_lets_it_go_on() {
        let mut stage = stage();
        stage.cleared(&a_and_b(), &["alice"]);
        stage.approve("bob");
        assert_eq!(stage.said(), "clear: 1 of 1 approval: bob (platform)");
    }

    #[test]
    fn a_half_done_apply_goes_on_without_a_new_approval() {
        let mut stage = stage();
        stage.cleared(&[a_and_b(), vec![document("c.yaml", Action::Create)]].concat(), &["alice"]);
        stage.cleared(&[document("x.yaml", Action::Delete)], &["alice"]);
        assert_eq!(
            stage.said(),
            "wait: approved 4 changes together, would now only delete x.yaml; \
             0 of 1 approval: missing 1 of platform (alice, bob)"
        );
        stage.subjects[0].past.started = true;
        assert_eq!(stage.said(), "clear: cleared before by alice: 3 of 4 changes left");
    }

    #[test]
    fn an_edit_by_hand_since_the_approval_is_told_as_another_starting_point() {
        let mut stage = stage();
        let elsewhere = crate::change::Change { before: None, ..document("x.yaml", Action::Delete) };
        stage.cleared(&[a_and_b(), vec![elsewhere]].concat(), &["alice"]);
        stage.subjects[0].preview.changes[2].before = Some(crate::change::Digest::of_bytes(b"by hand"));
        assert!(
            stage.said().contains("would now also delete x.yaml (approved, but from another starting point)"),
            "{}",
            stage.said()
        );
    }

    #[test]
    fn what_destroys_is_named_before_what_does_not() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{}] }]));
        let mut changes: Vec<_> = ["a", "b", "c", "d"].map(|address| document(address, Action::Create)).to_vec();
        changes.push(document("z", Action::Replace));
        stage.subject("network@prod/eu-west-1", changes);
        stage.cleared(&[document("y", Action::Update)], &["alice"]);
        let said = stage.said();
        assert!(said.starts_with("wait: approved 1 change, would now also replace z, create a, create b and 2 more;"), "{said}");
    }

    #[test]
    fn a_denial_holds_for_what_was_cleared_before_too() {
        let mut stage = Stage::of(json!([{ "rule": "deny", "when": { "kinds": "bucket" }, "message": "buckets stay" }]));
        let delete = change("b", "bucket", Action::Delete);
        stage.subject("network@prod/eu-west-1", vec![delete.clone()]);
        stage.cleared(&[delete], &["alice"]);
        assert_eq!(stage.said(), "deny: buckets stay");
    }

    #[test]
    fn a_freeze_holds_for_what_was_cleared_before_too() {
        let mut stage = Stage::of(json!([{ "rule": "freeze", "from": "1970-01-01", "to": "1970-01-02" }]));
        stage.subject("network@prod/eu-west-1", a_and_b());
        stage.cleared(&a_and_b(), &["alice"]);
        assert_eq!(stage.said(), "wait: frozen until 1970-01-02 00:00 UTC");
        stage.now_ms = 86_400_000;
        assert_eq!(stage.said(), "clear: cleared before by alice: 2 changes");
    }

    #[test]
    fn growth_beyond_an_approval_waits_even_where_no_rule_asks_now() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "when": { "environment": "staging" }, "require": [{}] }]));
        stage.subject("network@prod/eu-west-1", a_and_b());
        stage.cleared(&[document("x.yaml", Action::Delete)], &["alice"]);
        assert_eq!(stage.said(), "wait: approved 1 change, would now also update a.yaml, update b.yaml");
        stage.approve("dora");
        assert_eq!(stage.said(), "clear: approved by dora, beyond what was cleared before");
        assert_eq!(stage.cleared_by(), ["dora"]);
    }

    #[test]
    fn growth_that_was_shown_is_clear_where_no_rule_asks() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "when": { "environment": "staging" }, "require": [{}] }]));
        stage.subject("network@prod/eu-west-1", a_and_b());
        stage.cleared(&[document("x.yaml", Action::Delete)], &["alice"]);
        let digest = stage.subjects[0].preview.digest();
        stage.subjects[0].past.shown.insert(digest);
        assert_eq!(stage.said(), "clear: no rule asks for an approval of this");
    }

    #[test]
    fn where_nobody_had_to_approve_and_nobody_has_to_there_is_nothing_to_go_beyond() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "when": { "environment": "staging" }, "require": [{}] }]));
        stage.subject("network@prod/eu-west-1", a_and_b());
        stage.cleared(&[document("x.yaml", Action::Delete)], &[]);
        assert_eq!(stage.said(), "clear: no rule asks for an approval of this");
    }

    #[test]
    fn what_was_cleared_without_anybody_says_so() {
        let mut stage = stage();
        stage.cleared(&[a_and_b(), vec![document("x.yaml", Action::Delete)]].concat(), &[]);
        assert_eq!(stage.said(), "clear: cleared before, when no rule asked for an approval: 3 changes");
    }
}
