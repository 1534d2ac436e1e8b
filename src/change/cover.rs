//! Covered: a fresh preview holds nothing that was not cleared. Nothing happens which nobody saw, and nothing waits for ever.

use super::{Action, Change, ChangeMark, Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NOT_CLEARED: &str = "not in what was approved";
const OTHERWISE: &str = "approved with another result";
const ELSEWHERE: &str = "approved, but from another starting point";
const UNBOUND: &str = "a sensitive value that no approval can be bound to";
const TWICE: &str = "the same resource twice";
const REMAINDER: &str = "approved only together with what is gone from the preview";

/// A fresh change that no clearance covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Extra {
    pub change: ChangeMark,
    /// "not in what was approved", "approved, but from another starting point".
    pub why: &'static str,
}

impl Extra {
    /// Nothing of this address was approved.
    pub fn is_new(&self) -> bool {
        self.why == NOT_CLEARED
    }

    /// The change itself was approved; the ones it was approved with are gone, and we never started on them.
    pub fn is_remainder(&self) -> bool {
        self.why == REMAINDER
    }
}

/// Returns the changes of `fresh` that go beyond what was `cleared` since the target's last apply; empty means covered.
///
/// A change is covered by a cleared one of the same address, kind, action and after, whose before is the same or is what a cleared
/// change of that address produced. Less than was cleared is covered too, except that a remainder that deletes or replaces
/// needs our own recorded start (`started`). Unbound changes are never covered.
pub fn beyond(fresh: &[Change], cleared: &[ChangeMark], started: bool) -> Vec<Extra> {
    let cleared = by_address(cleared);
    let remainder_waits = !started && is_remainder(fresh, &cleared);
    let mut met = BTreeSet::new();

    let extras = fresh.iter().filter_map(|change| {
        let marks = cleared.get(&*change.address).map_or(&[][..], Vec::as_slice);
        let why = match fault(change, marks) {
            Some(why) => why,
            // One resource has one change; a second one is not what anybody read.
            None if !met.insert(&*change.address) => TWICE,
            None if remainder_waits && change.action.is_destructive() => REMAINDER,
            None => return None,
        };
        Some(Extra { change: change.mark(), why })
    });
    extras.collect()
}

/// Says whether `filled` is `holed` with its holes filled: the same addresses, kinds, actions and starting points, and the
/// same result wherever there was no hole.
///
/// [`beyond`] compares like with like: what was cleared with holes is compared with a fresh preview that has the same holes. Only
/// then may the filled one be applied in its place, and only when it differs in nothing but the filling; a starting
/// point that moved between the two previews is a difference. Unbound changes never match.
pub fn filled_matches(holed: &[Change], filled: &[Change]) -> bool {
    let index = |changes: &[Change]| changes.iter().map(|change| (change.address.clone(), change.clone())).collect();
    let (holed_at, filled_at): (BTreeMap<_, Change>, BTreeMap<_, Change>) = (index(holed), index(filled));
    let each_once = holed_at.len() == holed.len() && filled_at.len() == filled.len();
    let nothing_new = filled_at.keys().all(|address| holed_at.contains_key(address));
    // A hole filled with what is there already is no change any more.
    let fits = |(address, holed): (&Arc<str>, &Change)| match filled_at.get(address) {
        Some(filled) => is_filling(holed, filled),
        None => !holed.holes.is_empty() && holed.action == Action::Update && holed.bound,
    };
    each_once && nothing_new && holed_at.iter().all(fits)
}

fn is_filling(holed: &Change, filled: &Change) -> bool {
    let same_place = holed.address == filled.address && holed.kind == filled.kind && holed.action == filled.action;
    let same_start = holed.before == filled.before;
    // A hole in an after that is absent would let a delete be filled with content.
    let same_end = holed.after == filled.after || (!holed.holes.is_empty() && holed.after.is_some() && filled.after.is_some());
    same_place && same_start && same_end && holed.bound && filled.bound
}

fn by_address(cleared: &[ChangeMark]) -> BTreeMap<&str, Vec<&ChangeMark>> {
    let mut marks: BTreeMap<&str, Vec<&ChangeMark>> = BTreeMap::new();
    for mark in cleared {
        marks.entry(&mark.address).or_default().push(mark);
    }
    marks
}

/// Says whether something that was cleared is gone from `fresh`, so that what is left is only a part.
///
/// Why it matters: "make the new database, delete the old one" was approved as one thing. When only the delete is left and we never
/// started, somebody else made the rest go away, and nobody approved the delete alone. After our own recorded start the same
/// preview is just the second half.
///
/// Several clearances of several merges stand in one list that does not say which change belongs to which, so the question
/// is asked by address and not by change: a cleared address with no fresh change at all is gone. Asked by change, a later merge that
/// clears another result for the same address would make the earlier one look gone, and two merges before one apply would wait
/// for ever. Asked by address, whatever was cleared together with a delete must still be there in *some* cleared form; because
/// the whole list is asked, and a change's own companions are always in it, a mixture of clearances can only make
/// the answer stricter (wait, and one approval of the exact preview goes on), never laxer. Reads make nothing and so cannot be gone.
fn is_remainder(fresh: &[Change], cleared: &BTreeMap<&str, Vec<&ChangeMark>>) -> bool {
    let left: BTreeSet<&str> = fresh.iter().map(|change| &*change.address).collect();
    cleared.iter().any(|(address, marks)| !left.contains(address) && marks.iter().any(|mark| mark.action != Action::Read))
}

/// Says why no mark of the change's own address clears it, or nothing.
fn fault(change: &Change, marks: &[&ChangeMark]) -> Option<&'static str> {
    if !change.bound {
        return Some(UNBOUND);
    }
    if marks.is_empty() {
        return Some(NOT_CLEARED);
    }
    let mut alike = marks.iter().filter(|mark| ends_alike(change, mark)).peekable();
    if alike.peek().is_none() {
        return Some(OTHERWISE);
    }
    // Any cleared change of this address may have been made by now, in whole or by an apply that died; its result is a
    // starting point that we made ourselves. The order of the list is not trusted, so each of them counts.
    let ours = || marks.iter().filter_map(|mark| produced(mark)).any(|made| made == change.before.as_ref());
    if alike.any(|mark| mark.before == change.before) || ours() { None } else { Some(ELSEWHERE) }
}

/// Says whether both come to the same end. Holes must be the same too: an after with holes is a digest over their names, and
/// stands for no content.
fn ends_alike(change: &Change, mark: &ChangeMark) -> bool {
    change.kind == mark.kind && change.action == mark.action && change.after == mark.after && change.holes == mark.holes
}

/// Returns what exists once `mark` was made: `Some(None)` when nothing does, `None` when the mark cannot say.
fn produced(mark: &ChangeMark) -> Option<Option<&Digest>> {
    match mark.action {
        Action::Delete => Some(None),
        Action::Create | Action::Update | Action::Replace | Action::Move if mark.holes.is_empty() => {
            mark.after.as_ref().map(Some) // an absent after is unknown content here, not absence
        }
        Action::Create | Action::Update | Action::Replace | Action::Move | Action::Read => None,
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Detail;

    /// `change("a", Update, "A", "B")`; an empty text is no content, and a result in `<>` has a hole.
    fn change(address: &str, action: Action, before: &str, after: &str) -> Change {
        let digest = |text: &str| (!text.is_empty()).then(|| Digest::of_bytes(text.as_bytes()));
        Change {
            address: address.into(),
            kind: "document".into(),
            action,
            before: digest(before),
            after: digest(after),
            detail: Detail::Hidden("test".into()),
            sensitive: false,
            bound: true,
            holes: if after.starts_with('<') { vec!["base.outputs.id".into()] } else { Vec::new() },
        }
    }

    fn create(address: &str, after: &str) -> Change {
        change(address, Action::Create, "", after)
    }

    fn update(address: &str, before: &str, after: &str) -> Change {
        change(address, Action::Update, before, after)
    }

    fn delete(address: &str, before: &str) -> Change {
        change(address, Action::Delete, before, "")
    }

    fn whys(fresh: &[Change], cleared: &[Change], started: bool) -> Vec<&'static str> {
        let cleared: Vec<_> = cleared.iter().map(Change::mark).collect();
        beyond(fresh, &cleared, started).into_iter().map(|extra| extra.why).collect()
    }

    #[test]
    fn what_was_cleared_is_covered() {
        let same = [create("a", "A"), update("b", "B", "C"), delete("c", "C")];
        assert!(whys(&same, &same, false).is_empty());
    }

    #[test]
    fn nothing_is_always_covered_and_nothing_covers_nothing_else() {
        assert!(whys(&[], &[delete("a", "A")], false).is_empty());
        assert_eq!(whys(&[create("a", "A")], &[], true), [NOT_CLEARED]);
    }

    #[test]
    fn another_result_kind_or_action_is_not_covered() {
        let cleared = [update("a", "A", "B")];
        assert_eq!(whys(&[update("a", "A", "C")], &cleared, true), [OTHERWISE]);
        assert_eq!(whys(&[change("a", Action::Replace, "A", "B")], &cleared, true), [OTHERWISE]);
        let other_kind = Change { kind: "bucket".into(), ..update("a", "A", "B") };
        assert_eq!(whys(&[other_kind], &cleared, true), [OTHERWISE]);
    }

    #[test]
    fn a_change_by_hand_since_the_approval_is_another_starting_point() {
        assert_eq!(whys(&[update("a", "edited", "B")], &[update("a", "A", "B")], true), [ELSEWHERE]);
        assert_eq!(whys(&[delete("a", "edited")], &[delete("a", "A")], true), [ELSEWHERE]);
    }

    #[test]
    fn two_merges_before_one_apply_are_both_covered() {
        let cleared = [update("a", "A", "B"), update("a", "A", "C"), delete("y", "Y")];
        assert!(whys(&[update("a", "A", "C"), delete("y", "Y")], &cleared, false).is_empty());
    }

    #[test]
    fn what_the_first_merge_made_is_where_the_second_may_start() {
        let cleared = [update("a", "A", "B"), update("a", "A", "C")];
        assert!(whys(&[update("a", "B", "C")], &cleared, true).is_empty());
        let remade = [delete("a", "A"), create("a", "C")];
        assert!(whys(&[create("a", "C")], &remade, true).is_empty());
    }

    #[test]
    fn a_half_done_apply_goes_on_after_our_own_start() {
        let cleared = [create("new", "N"), delete("old", "O")];
        assert!(whys(&[delete("old", "O")], &cleared, true).is_empty());
        assert!(whys(&[create("new", "N")], &cleared, false).is_empty(), "a remainder that destroys nothing needs no start");
    }

    #[test]
    fn a_delete_whose_companion_is_gone_waits_when_we_never_started() {
        let cleared = [create("new", "N"), delete("old", "O")];
        assert_eq!(whys(&[delete("old", "O")], &cleared, false), [REMAINDER]);
        let replaced = [create("new", "N"), change("old", Action::Replace, "O", "P")];
        assert_eq!(whys(&replaced[1..], &replaced, false), [REMAINDER]);
    }

    #[test]
    fn a_read_that_is_no_longer_needed_leaves_no_remainder() {
        let cleared = [change("ami", Action::Read, "", ""), delete("old", "O")];
        assert!(whys(&cleared[1..], &cleared, false).is_empty());
    }

    #[test]
    fn a_read_produces_no_starting_point() {
        let cleared = [change("a", Action::Read, "", "X"), update("a", "A", "B")];
        assert_eq!(whys(&[update("a", "X", "B")], &cleared, true), [ELSEWHERE]);
    }

    #[test]
    fn an_unbound_change_is_never_covered() {
        let secret = Change { bound: false, ..update("a", "A", "B") };
        assert_eq!(whys(std::slice::from_ref(&secret), &[update("a", "A", "B")], true), [UNBOUND]);
    }

    #[test]
    fn one_resource_twice_is_not_what_anybody_read() {
        let cleared = [update("a", "A", "B"), update("a", "A", "C")];
        assert_eq!(whys(&cleared, &cleared, true), [TWICE]);
    }

    #[test]
    fn holes_are_covered_in_hole_form_only() {
        let cleared = [create("a", "<id>")];
        assert!(whys(&[create("a", "<id>")], &cleared, false).is_empty());
        assert_eq!(whys(&[create("a", "42")], &cleared, false), [OTHERWISE]);
        let unmarked = Change { holes: Vec::new(), ..create("a", "<id>") };
        assert_eq!(whys(&[unmarked], &cleared, false), [OTHERWISE]);
    }

    #[test]
    fn a_result_with_holes_is_no_starting_point() {
        let cleared = [create("a", "<id>"), update("a", "A", "B")];
        assert_eq!(whys(&[update("a", "<id>", "B")], &cleared, true), [ELSEWHERE]);
    }

    #[test]
    fn a_filled_preview_differs_in_nothing_but_the_filling() {
        let holed = [create("a", "<id>"), update("b", "B", "C")];
        assert!(filled_matches(&holed, &[create("a", "42"), update("b", "B", "C")]));
        assert!(filled_matches(&holed, &[update("b", "B", "C"), create("a", "42")]), "in any order");
        for (what, filled) in [
            ("another result where there was no hole", vec![create("a", "42"), update("b", "B", "D")]),
            ("another starting point", vec![create("a", "42"), update("b", "X", "C")]),
            ("another action", vec![update("a", "", "42"), update("b", "B", "C")]),
            ("one more", vec![create("a", "42"), update("b", "B", "C"), create("c", "C")]),
            ("one less", vec![create("a", "42")]),
            ("one twice", vec![create("a", "42"), create("a", "42")]),
            ("filled with nothing", vec![create("a", ""), update("b", "B", "C")]),
        ] {
            assert!(!filled_matches(&holed, &filled), "{what}");
        }
    }

    #[test]
    fn a_preview_without_holes_is_filled_by_itself() {
        let changes = [create("a", "A"), delete("b", "B")];
        assert!(filled_matches(&changes, &changes));
        let unbound = [Change { bound: false, ..create("a", "A") }];
        assert!(!filled_matches(&unbound, &unbound));
    }
}
