//! How a group is shown: names where its members' values differ, and the difference to another group.

use super::super::{Change, Detail, FieldChange, Preview, TextDiff};
use super::Member;
use super::lines::{change_text, effect_text};
use super::substitute::{Piece, Values};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How one class's texts are shown: values that vary as names, all else as it is.
pub(super) struct Shown<'a> {
    values: Values<'a>,
    names: &'a [(Arc<str>, Arc<str>)],
    /// One a name: its values differ.
    varies: Vec<bool>,
    /// The names that were written.
    pub(super) used: BTreeSet<Arc<str>>,
}

impl<'a> Shown<'a> {
    /// Shows the first of `alike`; a name varies when it differs among `alike` and `others`. Nothing does when not `named`.
    pub(super) fn of(alike: &[Member<'a>], named: bool, others: &[Member<'_>]) -> Self {
        let names = if named { alike[0].names } else { &[] };
        let differs = |(at, (name, value)): (usize, &(Arc<str>, Arc<str>))| {
            alike[1..].iter().chain(others).any(|member| value_of(member.names, at, name) != Some(value))
        };
        Self { values: Values::new(names), names, varies: names.iter().enumerate().map(differs).collect(), used: BTreeSet::new() }
    }

    fn text(&mut self, text: &Arc<str>) -> Arc<str> {
        let (names, varies, used) = (self.names, &self.varies, &mut self.used);
        let (mut shown, mut replaced) = (String::new(), false);
        self.values.split(text, |piece| match piece {
            Piece::Text(text) => shown.push_str(text),
            Piece::Name(at) if varies[at] => {
                replaced = true;
                used.insert(names[at].0.clone());
                shown.push_str(&names[at].0);
            }
            Piece::Name(at) => shown.push_str(&names[at].1),
        });
        if replaced { shown.into() } else { text.clone() }
    }

    pub(super) fn preview(&mut self, preview: &Preview) -> Preview {
        Preview {
            target: preview.target.clone(),
            engine: preview.engine.clone(),
            intent: preview.intent,
            changes: preview.changes.iter().map(|change| self.change(change)).collect(),
            outputs: BTreeMap::new(),
            strays: Vec::new(),
            sides: Default::default(),
        }
    }

    fn change(&mut self, change: &Change) -> Change {
        let detail = match &change.detail {
            Detail::Hidden(why) => Detail::Hidden(self.text(why)),
            Detail::Text(diff) => {
                let mut diff = diff.clone();
                diff.hunks.iter_mut().flat_map(|hunk| &mut hunk.lines).for_each(|line| line.text = self.text(&line.text));
                Detail::Text(diff)
            }
            Detail::Fields(fields) => Detail::Fields(fields.iter().map(|field| self.field(field)).collect()),
        };
        Change {
            address: self.text(&change.address),
            holes: change.holes.iter().map(|hole| self.text(hole)).collect(),
            detail,
            ..change.clone()
        }
    }

    fn field(&mut self, field: &FieldChange) -> FieldChange {
        FieldChange {
            path: self.text(&field.path),
            before: field.before.as_ref().map(|value| self.text(value)),
            after: field.after.as_ref().map(|value| self.text(value)),
        }
    }
}

/// Returns what differs between the two previews, address by address: in what changes, or where that is the same, in where it
/// stands.
pub(super) fn difference(
    theirs: &mut Shown<'_>,
    their: &Preview,
    ours: &mut Shown<'_>,
    our: &Preview,
) -> Vec<(Arc<str>, TextDiff)> {
    let mut sides: BTreeMap<Arc<str>, [Side; 2]> = BTreeMap::new();
    for (at, preview) in [theirs.preview(their), ours.preview(our)].iter().enumerate() {
        for change in &preview.changes {
            let sides = sides.entry(change.address.clone()).or_default();
            sides[at].whole += &change_text(change);
            sides[at].effect += &effect_text(change);
        }
    }
    let between = |[theirs, ours]: &[Side; 2]| match theirs.effect == ours.effect {
        true => TextDiff::between(&theirs.whole, &ours.whole),
        false => {
            let (theirs, ours) = without_common_head(&theirs.effect, &ours.effect);
            TextDiff::between(theirs, ours)
        }
    };
    sides.retain(|_, [theirs, ours]| theirs.whole != ours.whole);
    sides.iter().map(|(address, sides)| (address.clone(), between(sides))).collect()
}

/// One side's changes of an address, as lines.
#[derive(Default)]
struct Side {
    whole: String,
    /// Without the lines that stay and the places of hunks, which shift with every line before them.
    effect: String,
}

/// What happens to which kind stands in the first line; it is told only where it differs.
fn without_common_head<'t>(theirs: &'t str, ours: &'t str) -> (&'t str, &'t str) {
    match (theirs.split_once('\n'), ours.split_once('\n')) {
        (Some((their_head, theirs)), Some((our_head, ours))) if their_head == our_head => (theirs, ours),
        _ => (theirs, ours),
    }
}

/// Returns each used name with the value that each member has for it.
pub(super) fn values(alike: &[Member<'_>], used: &BTreeSet<Arc<str>>) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let of = |member: &Member<'_>, name: &Arc<str>| value_of(member.names, 0, name).cloned().unwrap_or_default();
    used.iter().map(|name| (name.clone(), alike.iter().map(|member| of(member, name)).collect())).collect()
}

/// Returns the value of `name`, looking first where another target of the fleet has it.
fn value_of<'a>(names: &'a [(Arc<str>, Arc<str>)], at: usize, name: &str) -> Option<&'a Arc<str>> {
    let there = names.get(at).filter(|(label, _)| **label == *name);
    there.or_else(|| names.iter().find(|(label, _)| **label == *name)).map(|(_, value)| value)
}
