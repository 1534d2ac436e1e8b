//! What a stack is wired to, as its definition says: dependencies, inputs and outputs.

use super::expression::check_expressions;
use super::{Dependency, Fields, Kind, Mistake, Mistakes, Node, OutputFrom, Reference, RegionId, Site, StackName, did_you_mean};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Returns the dependencies that could be read, and the places of those that could be in part.
pub(super) fn depends_on(fields: &mut Fields<'_>) -> (Vec<Dependency>, Vec<Site>) {
    let (mut found, mut vague) = (Vec::new(), Vec::new());
    let Some(node) = fields.get("depends_on") else { return (found, vague) };
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null => &[],
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) | Kind::Secret(_) => std::slice::from_ref(node),
    };
    for item in items {
        let before = fields.mistakes().len();
        found.extend(dependency(item, fields.mistakes()));
        vague.extend((fields.mistakes().len() > before).then(|| item.site.clone()));
    }
    (found, vague)
}

fn dependency(node: &Node, mistakes: &mut Mistakes) -> Option<Dependency> {
    let (stack, region) = match &node.kind {
        Kind::Text(text) => match text.split_once('@') {
            Some((stack, region)) => (Some((stack, node)), Some((region, node))),
            None => (Some((&**text, node)), None),
        },
        Kind::Map(_) => {
            let mut fields = Fields::of(node, "a dependency", mistakes);
            fields.need("stack", "stack: dns");
            fields.text("stack");
            fields.text("region");
            let (stack, region) = (fields.meant_by("stack"), fields.meant_by("region"));
            fields.finish();
            let text_of = |key: &str| node.get(key).and_then(|node| Some((node.as_str()?, node)));
            (text_of(&stack), text_of(&region))
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Secret(_) => {
            let what = format!("a dependency must be a stack's name or a map, and this is {}", node.kind_name());
            mistakes
                .push(Mistake::at(&node.site, what).hint("such as base, dns@prod/global or {stack: dns, region: prod/global}"));
            return None;
        }
    };
    let mut bad = |site: &Site, what: &str, why: String| {
        mistakes
            .push(Mistake::at(site, format!("bad {what}: {why}")).hint("such as base, or dns@prod/global for another region"));
    };
    let region: Option<RegionId> = match region {
        Some((text, node)) => Some(text.parse().map_err(|why| bad(&node.site, "region id", why)).ok()?),
        None => None,
    };
    let (text, _) = stack?;
    let stack: StackName = text.parse().map_err(|why| bad(&node.site, "stack name", why)).ok()?;
    Some(Dependency { written: stack.clone(), stack, region, site: node.site.clone() })
}

/// Refuses names that no expression could spell.
fn check_name(what: &str, name: &str, site: &Site, mistakes: &mut Mistakes) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.chars().all(allowed) || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let mistake = Mistake::at(site, format!("bad name of {what} {name:?}"));
        mistakes.push(mistake.hint("letters, digits, _ and -, and a letter or _ first"));
    }
}

pub(super) fn inputs(fields: &mut Fields<'_>) -> Vec<(Arc<str>, Site, Node)> {
    let inputs = fields.map("inputs").unwrap_or_default();
    inputs.iter().for_each(|(name, site, _)| check_name("an input", name, site, fields.mistakes()));
    inputs.to_vec()
}

/// Reads what is sensitive: inputs that hold a secret, and those that are named so.
pub(super) fn sensitive(
    inputs: &[(Arc<str>, Site, Node)],
    named: Vec<(Arc<str>, Site)>,
    unread: bool,
    mistakes: &mut Mistakes,
) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> =
        inputs.iter().filter(|(_, _, node)| holds_secret(node)).map(|(name, ..)| name.clone()).collect();
    for (name, site) in named {
        match inputs.iter().find(|(known, ..)| *known == name) {
            Some((known, ..)) if names.contains(known) => {}
            Some((known, ..)) => names.push(known.clone()),
            None if unread => {}
            None => {
                let mistake = Mistake::at(&site, format!("\"sensitive\" names no input: {name:?}"));
                let near = did_you_mean(&name, inputs.iter().map(|(known, ..)| &**known));
                mistakes.push(mistake.hint(near.unwrap_or_else(|| "declare it under inputs".into())));
            }
        }
    }
    names
}

fn holds_secret(node: &Node) -> bool {
    match &node.kind {
        Kind::Secret(_) => true,
        Kind::List(items) => items.iter().any(holds_secret),
        Kind::Map(entries) => entries.iter().any(|(_, _, node)| holds_secret(node)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => false,
    }
}

pub(super) fn outputs(fields: &mut Fields<'_>) -> BTreeMap<Arc<str>, OutputFrom> {
    let mut outputs = BTreeMap::new();
    for (name, site, node) in fields.map("outputs").unwrap_or_default() {
        check_name("an output", name, site, fields.mistakes());
        let from = match node.kind {
            Kind::Map(_) => OutputFrom::Engine(node.clone()),
            Kind::Null => {
                let mistake = Mistake::at(&node.site, format!("output {name:?} has no value"));
                fields.mistakes().push(mistake.hint("such as ${{ inputs.id }}, or a map that says where the engine finds it"));
                OutputFrom::Value(node.clone())
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Secret(_) => OutputFrom::Value(node.clone()),
        };
        outputs.insert(name.clone(), from);
    }
    outputs
}

pub(super) fn uses_of_output(output: &OutputFrom, mistakes: &mut Mistakes) -> Vec<Reference> {
    match output {
        OutputFrom::Value(node) => check_expressions(node, mistakes),
        OutputFrom::Engine(node) => {
            for reference in check_expressions(node, mistakes) {
                let mistake = Mistake::at(&reference.site, "what the engine reads an output from can't hold an expression");
                mistakes.push(mistake.hint("write the expression itself as the output"));
            }
            Vec::new()
        }
    }
}
