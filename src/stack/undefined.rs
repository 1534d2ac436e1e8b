//! Whether a dotted path leads to a value in one of several maps, and if not, what was probably meant.

use super::{Kind, Node, did_you_mean};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A map that a path may lead into.
#[derive(Clone, Copy)]
pub(super) enum Level<'a> {
    Node(&'a Node),
    Labels(&'a BTreeMap<Arc<str>, Arc<str>>),
    /// A value with nothing below it.
    Leaf,
}

impl<'a> Level<'a> {
    fn below(&self, step: &str) -> Option<Level<'a>> {
        match self {
            Level::Labels(labels) => labels.contains_key(step).then_some(Level::Leaf),
            Level::Leaf => None,
            Level::Node(node) => match &node.kind {
                Kind::Map(_) => node.get(step).map(Level::Node),
                Kind::List(items) => items.get(step.parse::<usize>().ok()?).map(Level::Node),
                Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => None,
            },
        }
    }

    fn keys(&self) -> Vec<&'a str> {
        match self {
            Level::Labels(labels) => labels.keys().map(|key| &**key).collect(),
            Level::Node(Node { kind: Kind::Map(entries), .. }) => entries.iter().map(|(key, ..)| &**key).collect(),
            Level::Node(_) | Level::Leaf => Vec::new(),
        }
    }
}

/// Returns an error when no level has a value at `path`; in it the hint, if a key there is spelled nearly the same.
pub(super) fn undefined(levels: &[Level<'_>], path: &[Arc<str>]) -> Result<(), Option<String>> {
    let mut here = levels.to_vec();
    for step in path {
        let below: Vec<_> = here.iter().filter_map(|level| level.below(step)).collect();
        if below.is_empty() {
            let known: BTreeSet<&str> = here.iter().flat_map(Level::keys).collect();
            return Err(did_you_mean(step, known));
        }
        here = below;
    }
    Ok(())
}
