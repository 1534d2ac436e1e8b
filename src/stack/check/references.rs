//! That what an expression names is there, in some region where its stack may run.

use super::find::{NO_REGION, NO_STACK};
use super::{Level, Plan};
use crate::stack::undefined::undefined;
use crate::stack::{Kind, Mistake, Mistakes, Reference, Region, RegionId, Stack, StackName, To, Vars, did_you_mean};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Plan<'_> {
    pub(super) fn check_references(&self, at: usize, mistakes: &mut Mistakes) {
        let (draft, before) = (&self.drafts[at], mistakes.len());
        for reference in &draft.uses_of_inputs {
            if matches!(reference.to, To::Input(_)) {
                let mistake = Mistake::at(&reference.site, "an input may not refer to an input");
                mistakes.push(mistake.hint("write here what the other input is made of"));
            }
        }
        for reference in draft.uses_of_inputs.iter().chain(&draft.uses) {
            if mistakes.are_plenty_since(before) {
                return;
            }
            if let Err((what, hint)) = self.lookup(at, reference) {
                mistakes.push(Mistake::at(&reference.site, what).hint(hint));
            }
        }
    }

    /// Says what is wrong with a reference, and what to do next.
    fn lookup(&self, at: usize, reference: &Reference) -> Result<(), (String, String)> {
        let stack = &self.drafts[at].stack;
        match &reference.to {
            To::StackName => Ok(()),
            To::InstanceName if stack.instance.is_some() || stack.unread.instances => Ok(()),
            To::InstanceName => Err((
                format!("{} has no instances, so none has a name", stack.name),
                "declare them under instances, or write stack.name".into(),
            )),
            To::Input(_) if stack.unread.inputs => Ok(()),
            To::Input(path) => {
                let known: BTreeSet<&str> = stack.inputs.iter().map(|(name, ..)| &**name).collect();
                let Some(name) = path.first().filter(|name| !known.contains(&***name)) else { return Ok(()) };
                let hint = did_you_mean(name, known).unwrap_or_else(|| "declare it under inputs".into());
                Err((format!("undefined input {name:?}"), hint))
            }
            To::Vars(path) => {
                let layers = self.layers(stack, &self.may_run_in(at));
                if self.file.unread.vars || stack.unread.vars || layers.iter().any(is_unread) {
                    return Ok(());
                }
                let fault = |hint: Option<String>| {
                    let hint = hint.unwrap_or_else(|| "set it under vars in isobar.yaml or in this file".into());
                    (format!("undefined {}: no layer of {} has it", reference.to, stack.name), hint)
                };
                undefined(&layers, path).map_err(fault)
            }
            To::Region(path) => self.lookup_region(at, path, &reference.to),
            To::Output { stack, region, path } => self.lookup_output(stack, region.as_deref(), path),
        }
    }

    fn lookup_region(&self, at: usize, path: &[Arc<str>], to: &To) -> Result<(), (String, String)> {
        let Some((key, below)) = path.split_first() else { return Ok(()) };
        let (regions, name, unread) = (self.may_run_in(at), &self.drafts[at].stack.name, &self.file.unread);
        let fault = |hint: String| (format!("undefined {to}: no region of {name} has it"), hint);
        match &**key {
            "cloud" | "labels" | "vars" if regions.is_empty() => Ok(()), // which there are was told to be unknown
            "cloud" if !unread.clouds && regions.iter().all(|region| region.cloud.is_none()) => {
                Err(fault("add cloud to its regions".into()))
            }
            "labels" if !unread.labels => {
                let levels: Vec<_> = regions.iter().map(|region| Level::Labels(&region.labels)).collect();
                undefined(&levels, below).map_err(|hint| fault(hint.unwrap_or_else(|| "add the label to its regions".into())))
            }
            "vars" if !unread.region_vars => {
                let levels: Vec<_> = regions.iter().filter_map(|region| level(&region.vars)).collect();
                if levels.iter().any(is_unread) {
                    return Ok(());
                }
                undefined(&levels, below).map_err(|hint| {
                    let elsewhere = undefined(&self.layers(&self.drafts[at].stack, &regions), below).is_ok();
                    let other = if elsewhere {
                        let shown = To::Vars(below.to_vec());
                        format!("did you mean {shown}? another layer than the region sets it")
                    } else {
                        "set it under vars of its regions in isobar.yaml".into()
                    };
                    fault(hint.filter(|_| !elsewhere).unwrap_or(other))
                })
            }
            _ => Ok(()), // id, environment, name: every region has them; the grammar knows no other, or nobody can tell
        }
    }

    fn lookup_output(&self, stack: &str, region: Option<&str>, path: &[Arc<str>]) -> Result<(), (String, String)> {
        let name = stack.parse::<StackName>().map_err(|why| (format!("bad stack name: {why}"), NO_STACK.into()))?;
        if let Some(region) = region {
            let id = region.parse::<RegionId>().map_err(|why| (format!("bad region id: {why}"), NO_REGION.into()))?;
            self.find_region(&id)?;
        }
        let Some(at) = self.find_stack(&name)? else { return Ok(()) };
        let outputs = &self.drafts[at].stack.outputs;
        if self.drafts[at].stack.unread.outputs {
            return Ok(());
        }
        let Some(output) = path.first().filter(|output| !outputs.contains_key(*output)) else { return Ok(()) };
        let known = outputs.keys().map(|known| &**known);
        let hint = did_you_mean(output, known).unwrap_or_else(|| match outputs.is_empty() {
            true => format!("declare it under outputs in {}", self.drafts[at].stack.site.path),
            false => format!("it has {}", outputs.keys().map(|known| &**known).collect::<Vec<_>>().join(", ")),
        });
        Err((format!("{name} has no output {output:?}"), hint))
    }

    /// Returns the regions in which a stack runs, and those in which it might as far as mistakes let see.
    fn may_run_in(&self, at: usize) -> Vec<&Arc<Region>> {
        match &self.regions[at] {
            Some(regions) => regions.iter().map(|at| &self.file.regions[*at]).chain(&self.file.unread.regions).collect(),
            None => self.everywhere.iter().collect(),
        }
    }

    /// Returns every layer that may give `stack` a var in one of `regions`.
    fn layers<'b>(&'b self, stack: &'b Stack, regions: &[&'b Arc<Region>]) -> Vec<Level<'b>> {
        let environments: BTreeSet<&str> = regions.iter().map(|region| region.id.environment()).collect();
        let clouds: BTreeSet<&str> = regions.iter().filter_map(|region| region.cloud.as_deref()).collect();
        let mut layers = vec![&self.file.vars, &stack.vars];
        layers.extend(stack.instance.as_ref().map(|instance| &instance.vars));
        layers.extend(environments.into_iter().filter_map(|name| self.file.environment_vars.get(name)));
        layers.extend(clouds.into_iter().filter_map(|name| self.file.cloud_vars.get(name)));
        layers.extend(&self.stray);
        layers.extend(regions.iter().map(|region| &region.vars));
        layers.into_iter().filter_map(level).collect()
    }
}

/// A layer that is no map was told already: whatever it lacks is no mistake of its own.
fn is_unread(level: &Level<'_>) -> bool {
    matches!(level, Level::Node(node) if !matches!(node.kind, Kind::Map(_)))
}

fn level(vars: &Vars) -> Option<Level<'_>> {
    vars.0.as_ref().map(Level::Node)
}
