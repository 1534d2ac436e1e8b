//! What is told of several stacks at once: one mistake that instances share, and names of which only some are said.

use super::{Mistake, Mistakes, Site, StackName};
use std::collections::BTreeMap;

/// Regions or stacks that a mistake names before it only counts.
const NAMED_MAX: usize = 5;

/// What is wrong by place. What several instances of one definition have wrong there is told of the first, with the others' names.
#[derive(Default)]
pub(super) struct Told(BTreeMap<Site, (StackName, Vec<Mistake>, Vec<StackName>)>);

impl Told {
    pub(super) fn add(&mut self, stack: &StackName, own: Mistakes) {
        for mistake in own {
            let Some(site) = mistake.site.clone() else { continue };
            let (first, mistakes, others) = self.0.entry(site).or_insert_with(|| (stack.clone(), Vec::new(), Vec::new()));
            if first == stack {
                mistakes.push(mistake);
            } else if others.last() != Some(stack) {
                others.push(stack.clone());
            }
        }
    }

    pub(super) fn into_mistakes(self) -> impl Iterator<Item = Mistake> {
        self.0.into_values().flat_map(|(_, mistakes, others)| {
            mistakes.into_iter().map(move |mistake| match (others.as_slice(), mistake.hint.clone()) {
                ([], _) | (_, None) => mistake,
                (others, Some(hint)) => mistake.hint(format!("{hint}; the same is wrong in {}", some(others, StackName::as_str))),
            })
        })
    }
}

/// Names the first of `all` and counts the others.
pub(super) fn some<'a, T>(all: &'a [T], name: impl Fn(&'a T) -> &'a str) -> String {
    let named = all.iter().take(NAMED_MAX).map(name).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
