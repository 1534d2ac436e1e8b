//! What one target is given, filled in; and what it still waits for.

use super::mark::{has_marks, marks_in};
use super::resolve::all_of;
use super::{Node, OutputFrom, Part, Traced};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything a target is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub inputs: BTreeMap<Arc<str>, Traced>,
    /// The merged vars, one entry a top-level key.
    pub vars: BTreeMap<Arc<str>, Traced>,
    /// `region.*` as expressions and templates see it: id, environment, name, cloud, labels, vars.
    pub region: Value,
    /// The engine's section with expressions filled in.
    pub section: Node,
    /// Declared outputs; `OutputFrom::Value` is filled in.
    pub outputs: BTreeMap<Arc<str>, OutputFrom>,
}

impl Resolved {
    /// Returns the names of the secrets that inputs, section and outputs hold.
    pub fn secrets(&self) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        self.each_mark(&mut |mark| match mark {
            Part::Secret(name) => drop(names.insert(name)),
            Part::Hole(_) | Part::Text(_) => {}
        });
        names
    }

    /// Returns the names of the outputs that inputs, section and outputs still wait for.
    pub fn holes(&self) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        self.each_mark(&mut |mark| match mark {
            Part::Hole(hole) => drop(names.insert(hole.0)),
            Part::Secret(_) | Part::Text(_) => {}
        });
        names
    }

    /// Returns the value with the dotted `name`, as templates see it: `vars.owner`, `region.labels.tier`, `inputs.id`;
    /// `vars` alone is all of them.
    pub fn value(&self, name: &str) -> Option<Value> {
        let (root, rest) = name.split_once('.').map_or((name, None), |(root, rest)| (root, Some(rest)));
        let whole = match root {
            "vars" => all_of(&self.vars),
            "inputs" => all_of(&self.inputs),
            "region" => self.region.clone(),
            _ => return None,
        };
        match rest {
            Some(rest) => below(&whole, rest).cloned(),
            None => Some(whole),
        }
    }

    /// Returns the dotted `name` up to the step that leads nowhere, and what there is instead. `None` where it leads to a value, or may
    /// once outputs and secrets are known.
    pub fn lacks<'a>(&'a self, name: &'a str) -> Option<(&'a str, Vec<&'a str>)> {
        let (root, mut rest) = name.split_once('.').unwrap_or((name, ""));
        let mut step = || {
            let (step, below) = rest.split_once('.').unwrap_or((rest, ""));
            rest = below;
            let end = name.len() - below.len() - usize::from(!below.is_empty());
            (!step.is_empty()).then(|| (step, &name[..end]))
        };
        let mut here = match root {
            "vars" | "inputs" => {
                let map = if root == "vars" { &self.vars } else { &self.inputs };
                let (first, upto) = step()?;
                let Some(traced) = map.get(first) else { return Some((upto, map.keys().map(|key| &**key).collect())) };
                &traced.value
            }
            "region" => &self.region,
            _ => return None,
        };
        while let Some((step, upto)) = step() {
            here = match here {
                Value::Object(map) => match map.get(step) {
                    Some(value) => value,
                    None => return Some((upto, map.keys().map(String::as_str).collect())),
                },
                Value::Array(_) => return None,
                Value::String(text) if has_marks(text) || step.parse::<usize>().is_ok() => return None, // a mark may be anything yet
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Some((upto, Vec::new())),
            };
        }
        None
    }

    fn each_mark(&self, see: &mut dyn FnMut(Part<'_>)) {
        self.inputs.values().for_each(|input| marks_in(&input.value, see));
        marks_in(&self.section.to_value(), see);
        for from in self.outputs.values() {
            let (OutputFrom::Value(node) | OutputFrom::Engine(node)) = from;
            marks_in(&node.to_value(), see);
        }
    }
}

/// Goes down a dotted path. A key may hold dots itself, as labels do; the shorter key is tried first.
pub(super) fn below<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let step = |key: &str| match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => key.parse::<usize>().ok().and_then(|nth| items.get(nth)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    let dots = path.match_indices('.').map(|(at, _)| at);
    dots.into_iter().find_map(|dot| below(step(&path[..dot])?, &path[dot + 1..])).or_else(|| step(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_leads_nowhere_is_told_up_to_that_step() {
        let site = super::super::Site::new("isobar.yaml", 1, 1);
        let traced = |value| Traced { value, site: site.clone(), layer: None, over: Vec::new(), sensitive: false };
        let resolved = Resolved {
            inputs: BTreeMap::from([("id".into(), traced(json!(super::super::mark_hole("base.outputs.id"))))]),
            vars: BTreeMap::from([("net".into(), traced(json!({ "cidr": "10.0.0.0/8", "zones": ["a"] })))]),
            region: json!({ "id": "prod/a", "vars": {} }),
            section: Node::from_value(&json!({}), &site),
            outputs: BTreeMap::new(),
        };
        assert_eq!(resolved.lacks("vars.nte"), Some(("vars.nte", vec!["net"])));
        assert_eq!(resolved.lacks("vars.net.cdir"), Some(("vars.net.cdir", vec!["cidr", "zones"])));
        assert_eq!(resolved.lacks("region.vars.cidr"), Some(("region.vars.cidr", vec![])));
        assert_eq!(resolved.lacks("inputs.name"), Some(("inputs.name", vec!["id"])));
        assert_eq!(resolved.lacks("vars.a.b.c"), Some(("vars.a", vec!["net"])));
        assert_eq!(resolved.lacks("region.cloud"), Some(("region.cloud", vec!["id", "vars"])));
        for there in ["vars", "vars.net", "vars.net.cidr", "vars.net.zones.7", "inputs.id.x", "region.id", "stack.nme"] {
            assert_eq!(resolved.lacks(there), None, "{there}");
        }
    }

    #[test]
    fn names_are_found_with_dots_in_their_keys() {
        let value = json!({ "labels": { "app.io/name": "x", "a": { "b": 1 } } });
        assert_eq!(below(&value, "labels.app.io/name"), Some(&json!("x")));
        assert_eq!(below(&value, "labels.a.b"), Some(&json!(1)));
        assert_eq!(below(&value, "labels.a.c"), None);
    }
}
