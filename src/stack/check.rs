//! What no file can see alone: that the dependencies and references of all stacks lead somewhere, and in no circle.

mod dependencies;
mod find;
mod references;

use super::draft::Draft;
use super::fleet_file::FleetFile;
use super::told::Told;
use super::undefined::Level;
use super::{Mistake, Mistakes, Region, RegionId, Site, Stack, StackName, Vars, cycle};
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
        if !plan.drafts[at].stack.unread.depends_on {
            plan.check_dependencies(at, &implied, &mut own); // else one that is declared may be met in another region
        }
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
    /// By stack, the regions in which it runs, as ascending indices; `None` where a mistake leaves that open.
    regions: Vec<Option<Vec<usize>>>,
    /// Every region, those last whose ids could not be read.
    everywhere: Vec<Arc<Region>>,
    /// Layers of environments and clouds that may be those of any region, because of mistakes.
    stray: Vec<&'a Vars>,
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
        let regions = drafts.iter().map(|draft| place(draft, file, mistakes)).collect();
        let everywhere = file.regions.iter().chain(&file.unread.regions).cloned().collect();
        let stray = stray(file);
        Self { file, drafts, regions, everywhere, stray, by_name, instances, by_region, unread }
    }

    /// Tells each name in `was` once, where it stands: what the `was` of a definition means for each of its instances follows from it.
    fn check_was(&self, mistakes: &mut Mistakes) {
        let mut still: BTreeMap<&Site, (&StackName, &Draft)> = BTreeMap::new();
        let mut twice: BTreeMap<&Site, (&StackName, &StackName)> = BTreeMap::new();
        let mut claimed: BTreeMap<&StackName, &StackName> = BTreeMap::new();
        for draft in &self.drafts {
            for (was, site) in &draft.was_of_all {
                // A definition with instances may give some of them away, and is there still.
                let is_own = was == draft.stack.definition();
                if let Some(there) = self.by_name.get(was).map(|at| &self.drafts[*at]).or(is_own.then_some(draft)) {
                    still.insert(site, (was, there));
                }
            }
            // What follows from a name that could not be read is nobody's.
            for (was, site) in draft.stack.was.iter().zip(&draft.was_sites).filter(|(was, _)| !was.is_unread()) {
                if let Some(at) = self.by_name.get(was) {
                    still.entry(site).or_insert((was, &self.drafts[*at]));
                }
                if let Some(other) = claimed.insert(was, &draft.stack.name) {
                    twice.entry(site).or_insert((was, other));
                }
            }
        }
        for (site, (was, there)) in still {
            let mistake = Mistake::at(site, format!("\"was\" names a stack that still exists: {:?}", was.as_str()));
            mistakes.push(mistake.hint(format!("it is defined in {}", there.stack.site.path)));
        }
        for (site, (was, other)) in twice {
            let mistake = Mistake::at(site, format!("two stacks say that they were {:?}", was.as_str()));
            mistakes.push(mistake.hint(format!("the other one is {other}")));
        }
    }
}

/// Returns the layers of which nobody knows what regions they are for: their name is wrong, or what a region would need to have.
fn stray(file: &FleetFile) -> Vec<&Vars> {
    let in_environment = |name: &str| file.regions.iter().any(|region| region.id.environment() == name);
    let in_cloud = |name: &str| file.regions.iter().any(|region| region.cloud.as_deref() == Some(name));
    let environments = file.environment_vars.iter().filter(|(name, _)| file.unread.region_ids || !in_environment(name));
    let clouds = file.cloud_vars.iter().filter(|(name, _)| file.unread.clouds || !in_cloud(name));
    environments.chain(clouds).map(|(_, vars)| vars).collect()
}

/// Sorts by name; of two definitions that give one name the second is reported, and goes on under its path. Which of the two is
/// meant by whoever names them, nobody knows.
fn without_twins(mut drafts: Vec<Draft>, mistakes: &mut Mistakes) -> Vec<Draft> {
    drafts.sort_by(|a, b| (&a.stack.name, &a.stack.dir).cmp(&(&b.stack.name, &b.stack.dir)));
    let mut owners: BTreeMap<StackName, Arc<str>> = BTreeMap::new();
    let mut ambiguous = BTreeSet::new();
    for Draft { stack, .. } in drafts.iter_mut().filter(|draft| !draft.stack.unread.name) {
        let path = stack.site.path.clone();
        for name in [stack.name.clone(), stack.definition().clone()] {
            let owner = owners.entry(name.clone()).or_insert_with(|| path.clone());
            if *owner != path {
                let mistake = Mistake::at(&stack.site, format!("two stacks are named {:?}: {owner} and {path}", name.as_str()));
                mistakes.push(mistake.hint("write name: another in one of them"));
                ambiguous.insert(owner.clone());
                stack.go_by(StackName::unread(&path));
                break;
            }
        }
    }
    for draft in drafts.iter_mut().filter(|draft| ambiguous.contains(&draft.stack.site.path)) {
        draft.is_open = true;
        draft.stack.unread.outputs = true;
    }
    drafts.sort_by(|a, b| a.stack.name.cmp(&b.stack.name));
    drafts
}

/// Returns the regions in which a stack runs, or nothing after a mistake in its `where`.
fn place(draft: &Draft, file: &FleetFile, mistakes: &mut Mistakes) -> Option<Vec<usize>> {
    let (wanted, regions, before) = (&draft.wanted, &file.regions, mistakes.len());
    wanted.iter().for_each(|wanted| wanted.check(regions, &file.unread, mistakes));
    if draft.is_open || wanted.iter().any(|wanted| wanted.is_open(&file.unread)) {
        return None;
    }
    let matches = |at: &usize| wanted.iter().all(|wanted| wanted.matches(&regions[*at]));
    let matched: Vec<_> = (0..regions.len()).filter(matches).collect();
    let each_matches = wanted.iter().all(|wanted| regions.iter().any(|region| wanted.matches(region)));
    if matched.is_empty() && each_matches && !file.unread.region_ids {
        let mistake = Mistake::at(&draft.stack.site, format!("{} runs in no region", draft.stack.name));
        mistakes.push(mistake.hint("the where of an instance narrows that of its stack; no region matches both"));
    }
    (mistakes.len() == before).then_some(matched)
}
