//! What the expressions of one target may name, and what each is there.

use super::{Resolver, Shared};
use crate::stack::layer::Merged;
use crate::stack::mark::has_secret;
use crate::stack::{
    Fleet, Known, Mistakes, Node, Reference, RegionId, Site, Stack, StackName, Target, TargetId, To, Traced, fill, has_marks,
    mark_hole, walk,
};
use serde_json::Value;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything one target's expressions may name.
pub(super) struct Scope<'a, F: Borrow<Fleet>> {
    pub(super) resolver: &'a Resolver<F>,
    pub(super) target: &'a Target,
    pub(super) known: &'a Known,
    pub(super) region: &'a Value,
    pub(super) vars: &'a Merged,
    pub(super) inputs: BTreeMap<Arc<str>, Traced>,
}

impl<F: Borrow<Fleet>> Scope<'_, F> {
    pub(super) fn fill(&self, node: &Node, mistakes: &mut Mistakes) -> Node {
        fill(node, &|reference| self.look_up(reference), mistakes)
    }

    pub(super) fn input(&self, (name, site, node): &(Arc<str>, Site, Node), mistakes: &mut Mistakes) -> (Arc<str>, Traced) {
        let value = self.fill(node, mistakes).to_value();
        let sensitive = self.target.stack.sensitive.contains(name) || has_secret(&value);
        (name.clone(), Traced { value, site: site.clone(), layer: None, over: Vec::new(), sensitive })
    }

    fn look_up(&self, reference: &Reference) -> Result<Value, String> {
        match &reference.to {
            To::Region(path) => walk(self.region, path, "region").cloned().map_err(|why| {
                let has = |shared: &Shared| walk(&shared.region, path, "region").is_ok();
                format!("{why} in {}; {}", self.target.id.region, self.resolver.elsewhere(has))
            }),
            To::StackName => Ok(Value::String(self.target.stack.name.to_string())),
            To::InstanceName => match &self.target.stack.instance {
                Some(instance) => Ok(Value::String(instance.name.to_string())),
                None => Err(format!("{} has no instances", self.target.stack.name)),
            },
            To::Vars(path) => self.var(path),
            To::Input(path) => match path.split_first() {
                Some((name, rest)) => match self.inputs.get(name) {
                    Some(input) => walk(&input.value, rest, &format!("inputs.{name}")).cloned(),
                    None => Err(format!("there is no input {name:?} that could be used here")),
                },
                None => Err("inputs alone is no value".into()),
            },
            To::Output { stack, region, path } => self.output(stack, region.as_deref(), path),
        }
    }

    fn var(&self, path: &[Arc<str>]) -> Result<Value, String> {
        let Some((key, rest)) = path.split_first() else {
            return Ok(all_of(self.vars));
        };
        let within = |vars: &Merged| match vars.get(key) {
            Some(traced) => walk(&traced.value, rest, &format!("vars.{key}")).cloned(),
            None => Err(format!("vars has no {key:?}")),
        };
        within(self.vars).map_err(|why| {
            let has = |shared: &Shared| within(&shared.vars).is_ok();
            format!("{why} in {}; {}", self.target.id.region, self.resolver.elsewhere(has))
        })
    }

    fn output(&self, stack: &str, region: Option<&str>, path: &[Arc<str>]) -> Result<Value, String> {
        let (name, elsewhere) = output_place(&self.target.stack, stack, region)?;
        let from = TargetId::new(name, elsewhere.unwrap_or_else(|| self.target.id.region.clone()));
        if self.resolver.fleet.borrow().target(&from).is_none() {
            return Err(format!("{} does not run in {}, so it has no outputs there", from.stack, from.region));
        }
        let known = self.known.0.get(&from).zip(path.split_first());
        let value = known.and_then(|(outputs, (name, rest))| outputs.get(name).map(|value| (value, name, rest)));
        match value {
            Some((Value::String(text), _, [_, ..])) if has_marks(text) => Ok(self.hole(&from, path)),
            Some((value, name, rest)) => walk(value, rest, &format!("{stack}.outputs.{name}")).cloned(),
            None => Ok(self.hole(&from, path)),
        }
    }

    fn hole(&self, from: &TargetId, path: &[Arc<str>]) -> Value {
        let place =
            if from.region == self.target.id.region { from.stack.to_string() } else { format!("{}@{}", from.stack, from.region) };
        Value::String(mark_hole(&format!("{place}.outputs.{}", path.join("."))))
    }
}

/// Returns which stack and region `stack` means by the outputs of `name`: the region that the expression says, else the one
/// that `depends_on` says, else `None` for its own.
pub(in crate::stack) fn output_place(
    stack: &Stack,
    name: &str,
    region: Option<&str>,
) -> Result<(StackName, Option<RegionId>), String> {
    let name: StackName = name.parse()?;
    if let Some(region) = region {
        return Ok((name, Some(region.parse()?)));
    }
    let mut said = stack.depends_on.iter().filter(|dependency| dependency.stack == name).map(|one| &one.region);
    let first = said.next().cloned().flatten();
    let region = first.filter(|_| said.all(Option::is_some)); // a dependency in its own region is the nearest
    Ok((name, region))
}

/// Returns merged vars as one map.
pub(in crate::stack) fn all_of(vars: &Merged) -> Value {
    Value::Object(vars.iter().map(|(key, traced)| (key.to_string(), traced.value.clone())).collect())
}
