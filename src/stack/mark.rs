//! Marks that stand in a text for a value that is not known yet or must not be shown. They are made of Unicode
//! noncharacters, which definitions may not hold, so no text of a user can look like one.

use serde_json::Value;
use std::sync::Arc;

/// An output that is not known yet, named `base.outputs.id`, or `dns@prod/global.outputs.ip` from another region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hole(pub Arc<str>);

const HOLE: (char, char) = ('\u{FDD0}', '\u{FDD1}');
const SECRET: (char, char) = ('\u{FDD2}', '\u{FDD3}');

/// A stretch of a text with marks in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Text(&'a str),
    Hole(Hole),
    /// The name of the environment variable.
    Secret(Arc<str>),
}

/// Returns the mark that stands for the unknown output `name`.
pub fn mark_hole(name: &str) -> String {
    format!("{}{name}{}", HOLE.0, HOLE.1)
}

/// Returns the mark that stands for the secret `name`.
pub fn mark_secret(name: &str) -> String {
    format!("{}{name}{}", SECRET.0, SECRET.1)
}

/// Tells whether `c` is one of the characters kept for marks.
pub fn is_mark_character(c: char) -> bool {
    ('\u{FDD0}'..='\u{FDEF}').contains(&c)
}

/// Tells whether `text` holds a hole or a secret.
pub fn has_marks(text: &str) -> bool {
    split_marks(text).iter().any(|part| !matches!(part, Part::Text(_)))
}

/// Takes `text` apart at its marks. A mark without an end is plain text.
pub fn split_marks(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut plain, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = text[at..].find([HOLE.0, SECRET.0]).map(|found| at + found) {
        let is_hole = text[open..].starts_with(HOLE.0);
        let (begin, end) = if is_hole { HOLE } else { SECRET };
        let inside = open + begin.len_utf8();
        at = inside;
        let Some(close) = text[inside..].find(is_mark_character).map(|found| inside + found) else { break };
        if !text[close..].starts_with(end) {
            continue;
        }
        if plain < open {
            parts.push(Part::Text(&text[plain..open]));
        }
        let name = Arc::from(&text[inside..close]);
        parts.push(if is_hole { Part::Hole(Hole(name)) } else { Part::Secret(name) });
        at = close + end.len_utf8();
        plain = at;
    }
    if plain < text.len() {
        parts.push(Part::Text(&text[plain..]));
    }
    parts
}

/// Returns the holes in `text`, in their order.
pub fn holes(text: &str) -> Vec<Hole> {
    let hole = |part| match part {
        Part::Hole(hole) => Some(hole),
        Part::Text(_) | Part::Secret(_) => None,
    };
    split_marks(text).into_iter().filter_map(hole).collect()
}

/// Shows every part of every text in `value`.
pub(super) fn marks_in(value: &Value, see: &mut dyn FnMut(Part<'_>)) {
    match value {
        Value::String(text) => split_marks(text).into_iter().for_each(see),
        Value::Array(items) => items.iter().for_each(|item| marks_in(item, see)),
        Value::Object(map) => map.values().for_each(|value| marks_in(value, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Tells whether a secret stands anywhere in `value`.
pub(super) fn has_secret(value: &Value) -> bool {
    let mut found = false;
    marks_in(value, &mut |mark| found |= matches!(mark, Part::Secret(_)));
    found
}

/// Writes marks for people: `‹base.outputs.id›` and `‹secret NAME›`.
pub fn show_marks(text: &str) -> String {
    let show = |part: Part<'_>| match part {
        Part::Text(text) => text.to_string(),
        Part::Hole(hole) => format!("‹{}›", hole.0),
        Part::Secret(name) => format!("‹secret {name}›"),
    };
    split_marks(text).into_iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_shown_by_name() {
        let text = format!("id={} pw={}.", mark_hole("base.outputs.id"), mark_secret("DB_PASSWORD"));
        assert_eq!(show_marks(&text), "id=‹base.outputs.id› pw=‹secret DB_PASSWORD›.");
        assert_eq!(holes(&text), [Hole("base.outputs.id".into())]);
        assert!(has_marks(&text));
    }

    #[test]
    fn a_text_comes_back_whole_from_its_parts() {
        let text = format!("a{}{}b", mark_hole("x"), mark_secret("y"));
        let expected = [Part::Text("a"), Part::Hole(Hole("x".into())), Part::Secret("y".into()), Part::Text("b")];
        assert_eq!(split_marks(&text), expected);
    }

    #[test]
    fn a_torn_mark_is_plain_text() {
        for torn in ["a\u{FDD0}b", "\u{FDD1}b", "\u{FDD0}b\u{FDD3}", ""] {
            assert!(!has_marks(torn), "{torn:?}");
            assert_eq!(show_marks(torn), torn);
        }
        let nested = format!("\u{FDD0}b{}", mark_secret("c"));
        assert_eq!(show_marks(&nested), "\u{FDD0}b‹secret c›");
    }
}
