//! That every dependency is met, in each region where the stack runs.

use super::Plan;
use crate::stack::cycle;
use crate::stack::told::some;
use crate::stack::{Dependency, Mistake, Mistakes, RegionId, Site, StackName, To};
use std::collections::BTreeSet;

impl Plan<'_> {
    /// Returns the dependencies that uses of other stacks' outputs imply and the definition does not declare.
    pub(super) fn implied(&self, at: usize) -> Vec<Dependency> {
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
    pub(super) fn with_every_instance(&self, at: usize) -> Vec<Dependency> {
        let every = |dependency: &Dependency| match self.instances.get(&dependency.stack) {
            Some(all) if self.drafts[at].stack.instance.is_none() => {
                let one = |at: &usize| Dependency { stack: self.drafts[*at].stack.name.clone(), ..dependency.clone() };
                all.iter().map(one).collect()
            }
            Some(_) | None => vec![dependency.clone()],
        };
        self.drafts[at].stack.depends_on.iter().flat_map(every).collect()
    }

    pub(super) fn check_dependencies(&self, at: usize, dependencies: &[Dependency], mistakes: &mut Mistakes) {
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
        let region = match &dependency.region {
            Some(id) => match self.find_region(id)? {
                Some(region) => Some(region),
                None => return self.find_stacks(&dependency.stack).map(drop),
            },
            None if self.drafts[at].vague.contains(&dependency.site) => return self.find_stacks(&dependency.stack).map(drop),
            None => None,
        };
        let (name, base) = (&self.drafts[at].stack.name, &dependency.stack);
        let bases = self.find_stacks(base)?;
        if self.drafts[at].stack.instance.is_some() && self.instances.contains_key(base) {
            let hint = format!("name one of them; there is {}", self.named(bases));
            return Err((format!("an instance can't depend on every instance of {base}"), hint));
        }
        let (Some(own), Some(theirs)) = (&self.regions[at], self.regions_of_any(bases)) else { return Ok(()) };
        if bases.iter().any(|base| self.drafts[*base].stack.unread.instances) {
            return Ok(()); // each of them may narrow where it runs
        }
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

    /// Returns every target with the targets it waits for; dependencies that lead nowhere were reported.
    pub(super) fn nodes(&self) -> Vec<cycle::Node<'_>> {
        // Where mistakes leave open where a stack runs, it may run everywhere: a circle that needs that is one of its definitions.
        let unread = self.file.regions.len()..self.everywhere.len();
        let regions: Vec<Vec<usize>> = self
            .regions
            .iter()
            .map(|regions| match regions {
                Some(regions) => regions.iter().copied().chain(unread.clone()).collect(),
                None => (0..self.everywhere.len()).collect(),
            })
            .collect();
        let mut starts = vec![0];
        starts.extend(regions.iter().scan(0, |end, regions| {
            *end += regions.len();
            Some(*end)
        }));
        let target = |stack: usize, region: usize| Some(starts[stack] + regions[stack].binary_search(&region).ok()?);
        let mut nodes = Vec::new();
        for (draft, regions) in self.drafts.iter().zip(&regions) {
            let resolved: Vec<_> = draft.stack.depends_on.iter().filter_map(|dependency| self.resolved(dependency)).collect();
            for &at in regions {
                let edge =
                    |(stack, region, site): &(usize, Option<usize>, _)| Some((target(*stack, region.unwrap_or(at))?, *site));
                let edges = resolved.iter().filter_map(edge).collect();
                nodes.push(cycle::Node { stack: &draft.stack.name, region: &self.everywhere[at].id, edges });
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
