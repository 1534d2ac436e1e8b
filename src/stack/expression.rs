//! `${{ … }}`: references to region, stack, vars, inputs and other stacks' outputs; and the marks that stand in a text
//! for a value that is not known yet or must not be shown. Marks use Unicode noncharacters, which definitions may not hold.

use std::sync::Arc;

/// An output that is not known yet, named `base.outputs.id`, or `dns@prod/global.outputs.ip` from another region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hole(pub Arc<str>);

const HOLE: (char, char) = ('\u{FDD0}', '\u{FDD1}');
const SECRET: (char, char) = ('\u{FDD2}', '\u{FDD3}');

/// Returns the mark that stands for the unknown output `name`.
pub fn mark_hole(name: &str) -> String {
    format!("{}{name}{}", HOLE.0, HOLE.1)
}

/// Returns the mark that stands for the secret `name`.
pub fn mark_secret(name: &str) -> String {
    format!("{}{name}{}", SECRET.0, SECRET.1)
}
