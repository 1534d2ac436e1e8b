//! The vars of one layer, as a definition writes them, and the way to one of them by its dotted path.

use super::{Kind, Node, Site};
use std::sync::Arc;

/// The vars of one layer: a map node, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vars(pub Option<Node>);

impl Vars {
    /// Returns the keys with their places and values; none when there are no vars.
    pub fn entries(&self) -> &[(Arc<str>, Site, Node)] {
        match &self.0 {
            Some(Node { kind: Kind::Map(entries), .. }) => entries,
            _ => &[],
        }
    }

    /// Returns the value at the dotted `path` and the place of its key.
    pub(super) fn find(&self, path: &str) -> Option<(&Site, &Node)> {
        match find(self.entries(), path) {
            Found::Here(site, node) => Some((site, node)),
            Found::Replaced | Found::Absent => None,
        }
    }
}

/// What stands at a dotted path.
pub(super) enum Found<'a> {
    Here(&'a Site, &'a Node),
    /// A value that is no map stands above the place.
    Replaced,
    Absent,
}

/// Looks for the dotted `path`; of two keys that fit, such as `a` and `a.b`, the longer one.
pub(super) fn find<'a>(entries: &'a [(Arc<str>, Site, Node)], path: &str) -> Found<'a> {
    let fits = |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let Some((key, site, node)) = entries.iter().filter(|(key, ..)| fits(key)).max_by_key(|(key, ..)| key.len()) else {
        return Found::Absent;
    };
    match (path[key.len()..].strip_prefix('.'), &node.kind) {
        (None, _) => Found::Here(site, node),
        (Some(rest), Kind::Map(entries)) => find(entries, rest),
        (Some(_), _) => Found::Replaced,
    }
}
