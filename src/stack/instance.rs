//! Instances: one definition that stands for several stacks, such as one a tenant. Knows what an instance may say of its own,
//! not which other definitions there are.

use super::definition::{self, Draft, Instance};
use super::fleet_file::vars;
use super::place::Where;
use super::{Fields, Kind, Mistake, Mistakes, Node, Site, Stack, StackName, Vars};
use std::sync::Arc;

/// Instances of one definition at most; with ten regions that is as many targets as a whole fleet is meant to have.
const INSTANCES_MAX: usize = 1_000;

/// Values of all instances of one definition at most: what they share is kept for each of them.
const VALUES_MAX: usize = 1_000_000;

/// One entry of `instances`, read.
struct Entry {
    /// A name of one part.
    name: StackName,
    site: Site,
    vars: Vars,
    /// `None` after a mistake in its `where`.
    narrowed: Option<Vec<Where>>,
    was: Vec<(StackName, Site)>,
}

/// Makes the stacks of one definition: one an instance, or itself where it declares none.
pub(super) fn stacks_of(draft: Draft, mistakes: &mut Mistakes) -> Vec<Draft> {
    let Some(node) = &draft.instances else { return vec![draft] };
    let entries = match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries.as_slice(),
        Kind::Null | Kind::Map(_) => {
            let mistake = Mistake::at(&node.site, "the stack has no instance");
            mistakes.push(mistake.hint("such as acme: {vars: {size: large}}; without the key, the stack itself is the only one"));
            return Vec::new();
        }
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Secret(_) => {
            let mistake = Mistake::at(&node.site, format!("\"instances\" must be a map, and this is {}", node.kind_name()));
            mistakes.push(mistake.hint("such as {acme: {vars: {size: large}}, globex: {}}"));
            return Vec::new();
        }
    };
    let values = entries.len() * draft.shared;
    if entries.len() > INSTANCES_MAX || values > VALUES_MAX {
        let what = format!("{} instances with {values} values together", entries.len());
        let hint = format!("at most {INSTANCES_MAX} and {VALUES_MAX}; make a second stack of some, in a directory of its own");
        mistakes.push(Mistake::at(&node.site, what).hint(hint));
        return Vec::new();
    }
    entries.iter().filter_map(|entry| read(entry, mistakes)).map(|entry| stack_of(&draft, entry)).collect()
}

fn read((name, site, node): &(Arc<str>, Site, Node), mistakes: &mut Mistakes) -> Option<Entry> {
    let mut fields = Fields::of(node, "an instance", mistakes);
    let vars = vars(fields.get("vars"), fields.mistakes());
    let narrowed = match fields.get("where") {
        Some(node) => Where::read(node, fields.mistakes()).map(|wanted| vec![wanted]),
        None => Some(Vec::new()),
    };
    let was = definition::was(&mut fields);
    fields.finish();
    let parsed = match name.contains('/') {
        true => Err(format!("{name:?} has more than one part")),
        false => name.parse(),
    };
    match parsed {
        Ok(name) => Some(Entry { name, site: site.clone(), vars, narrowed, was }),
        Err(why) => {
            let mistake = Mistake::at(site, format!("bad instance name: {why}"));
            mistakes.push(mistake.hint("such as acme, which makes the stack STACK/acme"));
            None
        }
    }
}

fn stack_of(draft: &Draft, Entry { name, site, vars, narrowed, was }: Entry) -> Draft {
    let of = draft.stack.name.clone();
    let inherited = draft.stack.was.iter().map(|former| former.join(&name)).zip(draft.was_sites.iter().cloned());
    let (was, was_sites) = was.into_iter().chain(inherited).unzip();
    let wanted = draft.wanted.clone().zip(narrowed).map(|(wanted, narrowed)| [wanted, narrowed].concat());
    let instance = Instance { name: name.as_str().into(), of, vars };
    let stack = Stack { name: draft.stack.name.join(&name), site, was, instance: Some(instance), ..draft.stack.clone() };
    Draft { stack, wanted, was_sites, instances: None, ..draft.clone() }
}
