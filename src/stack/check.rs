//! What no file can see alone: that the dependencies and references of all stacks lead somewhere, and in no circle.

use super::definition::Draft;
use super::fleet_file::FleetFile;
use super::told::{Told, some};
use super::undefined::{Level, undefined};
use super::{
    Dependency, Kind, Mistake, Mistakes, Reference, Region, RegionId, Site, Stack, StackName, To, Vars, cycle, did_you_mean,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks `drafts` against each other and the fleet, and returns the stacks, sorted by name. What refers to a directory in
/// `unread`, whose definition could not be read, is no mistake of its own.
pub(super) fn stacks(file: &FleetFile, drafts: Vec<Draft>, unread: &BTreeSet<&str>, mistakes: &mut Mistakes) -> Vec<Arc<Stack>> {
    let mut plan = Plan::new(file, drafts, unread, mistakes);
    plan.check_was(mistakes);
    let mut told = Told::default();
    for at in 0..plan.drafts.len() {
        let mut own = Mistakes::default();
        plan.check_references(at, &mut own);
        plan.check_dependencies(at, &plan.drafts[at].stack.depends_on, &mut own);
        plan.drafts[at].stack.depends_on = plan.with_every_instance(at);
        let implied = plan.implied(at);
        plan.check_dependencies(at, &implied, &mut own);
        plan.drafts[at].stack.depends_on.extend(implied);
        told.add(&plan.drafts[at].stack.name, own);
    }
    mistakes.extend(told.into_mistakes());
    cycle::check(&plan.nodes(), mistakes);

    let placed = plan.drafts.into_iter().zip(plan.regions).map(|(draft, regions)| {
        let ids = regions.unwrap_or_default().into_iter().map(|at| file.regions[at].id.clone());
        Arc::new(Stack { regions: ids.collect(), ..draft.stack })
    });
    placed.collect()
}

struct Plan<'a> {
    file: &'a FleetFile,
    /// Sorted by name, no name twice.
    drafts: Vec<Draft>,
    /// By stack, the regions in which it runs, as ascending indices; `None` where a mistake in `where` leaves it open.
    regions: Vec<Option<Vec<usize>>>,
    by_name: BTreeMap<StackName, usize>,
    /// The instances of each definition that has any.
    instances: BTreeMap<StackName, Vec<usize>>,
    by_region: BTreeMap<RegionId, usize>,
    unread: &'a BTreeSet<&'a str>,
}

impl<'a> Plan<'a> {
    fn new(file: &'a FleetFile, drafts: Vec<Draft>, unread: &'a BTreeSet<&str>, mistakes: &mut Mistakes) -> Self {
        let drafts = without_twins(drafts, mistakes);
        let by_name = drafts.iter().enumerate().map(|(at, draft)| (draft.stack.name.clone(), at)).collect();
        let mut instances: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, instance) in drafts.iter().enumerate().filter_map(|(at, draft)| Some((at, draft.stack.instance.as_ref()?))) {
            instances.entry(instance.of.clone()).or_default().push(at);
        }
        let by_region = file.regions.iter().enumerate().map(|(at, region)| (region.id.clone(), at)).collect();
        let regions = drafts.iter().map(|draft| place(draft, &file.regions, mistakes)).collect();
        Self { file, drafts, regions, by_name, instances, by_region, unread }
    }

    fn check_was(&self, mistakes: &mut Mistakes) {
        let mut claimed: BTreeMap<&StackName, &StackName> = BTreeMap::new();
        for draft in &self.drafts {
            for (was, site) in draft.stack.was.iter().zip(&draft.was_sites) {
                if let Some(&at) = self.by_name.get(was) {
                    let there = &self.drafts[at].stack.site.path;
                    let mistake = Mistake::at(site, format!("\"was\" names a stack that still exists: {:?}", was.as_str()));
                    mistakes.push(mistake.hint(format!("it is defined in {there}")));
                }
                if let Some(other) = claimed.insert(was, &draft.stack.name) {
                    let mistake = Mistake::at(site, format!("two stacks say that they were {:?}", was.as_str()));
                    mistakes.push(mistake.hint(format!("the other one is {other}")));
                }
            }
        }
    }

    fn check_references(&self, at: usize, mistakes: &mut Mistakes) {
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
            To::InstanceName if stack.instance.is_some() => Ok(()),
            To::InstanceName => Err((
                format!("{} has no instances, so none has a name", stack.name),
                "declare them under instances, or write stack.name".into(),
            )),
            To::Input(path) => {
                let known: BTreeSet<&str> = stack.inputs.iter().map(|(name, ..)| &**name).collect();
                let Some(name) = path.first().filter(|name| !known.contains(&***name)) else { return Ok(()) };
                let hint = did_you_mean(name, known).unwrap_or_else(|| "declare it under inputs".into());
                Err((format!("undefined input {name:?}"), hint))
            }
            To::Vars(path) => {
                let Some(regions) = self.regions_of(at) else { return Ok(()) };
                let layers = self.layers(stack, &regions);
                if layers.iter().any(is_unread) {
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
        let (Some(regions), Some((key, below))) = (self.regions_of(at), path.split_first()) else { return Ok(()) };
        let name = &self.drafts[at].stack.name;
        let fault = |hint: String| (format!("undefined {to}: no region of {name} has it"), hint);
        match &**key {
            "cloud" if regions.iter().all(|region| region.cloud.is_none()) => Err(fault("add cloud to its regions".into())),
            "labels" => {
                let levels: Vec<_> = regions.iter().map(|region| Level::Labels(&region.labels)).collect();
                undefined(&levels, below).map_err(|hint| fault(hint.unwrap_or_else(|| "add the label to its regions".into())))
            }
            "vars" => {
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
            _ => Ok(()), // id, environment, name: every region has them; the grammar knows no other
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
        let Some(output) = path.first().filter(|output| !outputs.contains_key(*output)) else { return Ok(()) };
        let known = outputs.keys().map(|known| &**known);
        let hint = did_you_mean(output, known).unwrap_or_else(|| match outputs.is_empty() {
            true => format!("declare it under outputs in {}", self.drafts[at].stack.site.path),
            false => format!("it has {}", outputs.keys().map(|known| &**known).collect::<Vec<_>>().join(", ")),
        });
        Err((format!("{name} has no output {output:?}"), hint))
    }

    /// Returns the index of one stack; nothing for one whose file could not be read.
    fn find_stack(&self, name: &StackName) -> Result<Option<usize>, (String, String)> {
        if self.instances.contains_key(name) {
            let what = format!("{name} stands for several stacks, and the outputs of one are wanted");
            return Err((what, format!("name an instance; there is {}", self.named(&self.instances[name]))));
        }
        Ok(self.find_stacks(name)?.first().copied())
    }

    /// Returns the indices of a stack or of every instance of a definition; none for one whose file could not be read.
    fn find_stacks(&self, name: &StackName) -> Result<&[usize], (String, String)> {
        if let Some(at) = self.by_name.get(name) {
            return Ok(std::slice::from_ref(at));
        }
        if let Some(all) = self.instances.get(name) {
            return Ok(all);
        }
        let definition = name.as_str().rsplit_once('/').map_or("", |(definition, _)| definition);
        if [name.as_str(), definition].iter().any(|name| self.unread.contains(name)) {
            return Ok(&[]);
        }
        let known = self.by_name.keys().chain(self.instances.keys());
        let near = did_you_mean(name.as_str(), known.map(StackName::as_str));
        Err((format!("unknown stack {:?}", name.as_str()), near.unwrap_or_else(|| NO_STACK.into())))
    }

    fn find_region(&self, id: &RegionId) -> Result<usize, (String, String)> {
        self.by_region.get(id).copied().ok_or_else(|| {
            let near = did_you_mean(id.as_str(), self.by_region.keys().map(RegionId::as_str));
            let hint = near.map_or_else(|| NO_REGION.into(), |near| format!("{near} {NO_REGION}"));
            (format!("unknown region {:?}", id.as_str()), hint)
        })
    }

    fn regions_of(&self, at: usize) -> Option<Vec<&'a Arc<Region>>> {
        Some(self.regions[at].as_ref()?.iter().map(|at| &self.file.regions[*at]).collect())
    }

    /// Returns every layer that may give `stack` a var in one of `regions`.
    fn layers<'b>(&'b self, stack: &'b Stack, regions: &[&'b Arc<Region>]) -> Vec<Level<'b>> {
        let environments: BTreeSet<&str> = regions.iter().map(|region| region.id.environment()).collect();
        let clouds: BTreeSet<&str> = regions.iter().filter_map(|region| region.cloud.as_deref()).collect();
        let mut layers = vec![&self.file.vars, &stack.vars];
        layers.extend(stack.instance.as_ref().map(|instance| &instance.vars));
        layers.extend(environments.into_iter().filter_map(|name| self.file.environment_vars.get(name)));
        layers.extend(clouds.into_iter().filter_map(|name| self.file.cloud_vars.get(name)));
        layers.extend(regions.iter().map(|region| &region.vars));
        layers.into_iter().filter_map(level).collect()
    }

    /// Returns the dependencies that uses of other stacks' outputs imply and the definition does not declare.
    fn implied(&self, at: usize) -> Vec<Dependency> {
        let draft = &self.drafts[at];
        let mut implied: Vec<Dependency> = Vec::new();
        for reference in draft.uses_of_inputs.iter().chain(&draft.uses) {
            let To::Output { stack, region, .. } = &reference.to else { continue };
            let region = region.as_ref().map(|region| region.parse::<RegionId>()).transpose();
            let (Ok(stack), Ok(region)) = (stack.parse::<StackName>(), region) else { continue };
            // A dependency that was declared in another region is the one that is meant, unless the use says a region itself.
            let is_declared = |known: &Dependency| known.stack == stack && (known.region == region || region.is_none());
            let is_implied = |known: &Dependency| known.stack == stack && known.region == region;
            let is_known = draft.stack.depends_on.iter().any(is_declared) || implied.iter().any(is_implied);
            if self.by_name.contains_key(&stack) && !is_known {
                implied.push(Dependency { written: stack.clone(), stack, region, site: reference.site.clone() });
            }
        }
        implied
    }

    /// Returns the declared dependencies, each on a definition as one on every instance of it.
    fn with_every_instance(&self, at: usize) -> Vec<Dependency> {
        let every = |dependency: &Dependency| match self.instances.get(&dependency.stack) {
            Some(all) if self.drafts[at].stack.instance.is_none() => {
                let one = |at: &usize| Dependency { stack: self.drafts[*at].stack.name.clone(), ..dependency.clone() };
                all.iter().map(one).collect()
            }
            Some(_) | None => vec![dependency.clone()],
        };
        self.drafts[at].stack.depends_on.iter().flat_map(every).collect()
    }

    fn check_dependencies(&self, at: usize, dependencies: &[Dependency], mistakes: &mut Mistakes) {
        let before = mistakes.len();
        for dependency in dependencies {
            if mistakes.are_plenty_since(before) {
                return;
            }
            if let Err((what, hint)) = self.check_dependency(at, dependency) {
                mistakes.push(Mistake::at(&dependency.site, what).hint(hint));
            }
        }
    }

    fn check_dependency(&self, at: usize, dependency: &Dependency) -> Result<(), (String, String)> {
        let region = dependency.region.as_ref().map(|id| self.find_region(id)).transpose()?;
        let (name, base) = (&self.drafts[at].stack.name, &dependency.stack);
        let bases = self.find_stacks(base)?;
        if self.drafts[at].stack.instance.is_some() && self.instances.contains_key(base) {
            let hint = format!("name one of them; there is {}", self.named(bases));
            return Err((format!("an instance can't depend on every instance of {base}"), hint));
        }
        let (Some(own), Some(theirs)) = (&self.regions[at], self.regions_of_any(bases)) else { return Ok(()) };
        let wanted = region.as_ref().map_or(own.as_slice(), std::slice::from_ref);
        let missing: Vec<usize> = wanted.iter().copied().filter(|region| theirs.binary_search(region).is_err()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let runs = format!("{base} runs in {}", self.shown(&theirs));
        match region {
            Some(_) => Err((format!("{base} does not run in {}", self.shown(&missing)), runs)),
            None => {
                let what = format!("{name} depends on {base}, which does not run in {}", self.shown(&missing));
                Err((what, format!("{runs}; another region is named as {base}@{}", self.shown(&theirs[..theirs.len().min(1)]))))
            }
        }
    }

    /// Returns the regions in which any of `stacks` runs, ascending; nothing where a mistake leaves that open.
    fn regions_of_any(&self, stacks: &[usize]) -> Option<Vec<usize>> {
        let mut regions = BTreeSet::new();
        for stack in stacks {
            regions.extend(self.regions[*stack].as_deref()?);
        }
        (!stacks.is_empty()).then(|| regions.into_iter().collect())
    }

    fn shown(&self, regions: &[usize]) -> String {
        match regions {
            [] => "no region".into(),
            regions => some(regions, |at| self.file.regions[*at].id.as_str()),
        }
    }

    fn named(&self, stacks: &[usize]) -> String {
        some(stacks, |at| self.drafts[*at].stack.name.as_str())
    }

    /// Returns every target with the targets it waits for; dependencies that lead nowhere were reported.
    fn nodes(&self) -> Vec<cycle::Node<'_>> {
        let regions: Vec<&[usize]> = self.regions.iter().map(|regions| regions.as_deref().unwrap_or_default()).collect();
        let mut starts = vec![0];
        starts.extend(regions.iter().scan(0, |end, regions| {
            *end += regions.len();
            Some(*end)
        }));
        let target = |stack: usize, region: usize| Some(starts[stack] + regions[stack].binary_search(&region).ok()?);
        let mut nodes = Vec::new();
        for (draft, regions) in self.drafts.iter().zip(&regions) {
            let resolved: Vec<_> = draft.stack.depends_on.iter().filter_map(|dependency| self.resolved(dependency)).collect();
            for at in *regions {
                let edge =
                    |(stack, region, site): &(usize, Option<usize>, _)| Some((target(*stack, region.unwrap_or(*at))?, *site));
                let edges = resolved.iter().filter_map(edge).collect();
                nodes.push(cycle::Node { stack: &draft.stack.name, region: &self.file.regions[*at].id, edges });
            }
        }
        nodes
    }

    /// Returns the stack that a dependency means, and the region if it names one.
    fn resolved<'b>(&self, dependency: &'b Dependency) -> Option<(usize, Option<usize>, &'b Site)> {
        let stack = *self.by_name.get(&dependency.stack)?;
        let region = match &dependency.region {
            Some(id) => Some(*self.by_region.get(id)?),
            None => None,
        };
        Some((stack, region, &dependency.site))
    }
}

const NO_STACK: &str = "a stack is a directory with a stack.yaml; `isobar list` shows them";
const NO_REGION: &str = "regions are listed in isobar.yaml";

/// Sorts by name; of two definitions that give one name the second is reported, and what it gives left out.
fn without_twins(mut drafts: Vec<Draft>, mistakes: &mut Mistakes) -> Vec<Draft> {
    drafts.sort_by(|a, b| (&a.stack.name, &a.stack.dir).cmp(&(&b.stack.name, &b.stack.dir)));
    let mut owners: BTreeMap<StackName, Arc<str>> = BTreeMap::new();
    drafts.retain(|Draft { stack, .. }| {
        let path = &stack.site.path;
        for name in [&stack.name, stack.definition()] {
            let owner = owners.entry(name.clone()).or_insert_with(|| path.clone());
            if owner != path {
                let mistake = Mistake::at(&stack.site, format!("two stacks are named {:?}: {owner} and {path}", name.as_str()));
                mistakes.push(mistake.hint("write name: another in one of them"));
                return false;
            }
        }
        true
    });
    drafts
}

/// Returns the regions in which a stack runs, or nothing after a mistake in its `where`.
fn place(draft: &Draft, regions: &[Arc<Region>], mistakes: &mut Mistakes) -> Option<Vec<usize>> {
    let wanted = draft.wanted.as_ref()?;
    let before = mistakes.len();
    wanted.iter().for_each(|wanted| wanted.check(regions, mistakes));
    let matches = |at: &usize| wanted.iter().all(|wanted| wanted.matches(&regions[*at]));
    let matched: Vec<_> = (0..regions.len()).filter(matches).collect();
    let each_matches = wanted.iter().all(|wanted| regions.iter().any(|region| wanted.matches(region)));
    if matched.is_empty() && each_matches {
        let mistake = Mistake::at(&draft.stack.site, format!("{} runs in no region", draft.stack.name));
        mistakes.push(mistake.hint("the where of an instance narrows that of its stack; no region matches both"));
    }
    (mistakes.len() == before).then_some(matched)
}

/// A layer that is no map was told already: whatever it lacks is no mistake of its own.
fn is_unread(level: &Level<'_>) -> bool {
    matches!(level, Level::Node(node) if !matches!(node.kind, Kind::Map(_)))
}

fn level(vars: &Vars) -> Option<Level<'_>> {
    vars.0.as_ref().map(Level::Node)
}
