//! What only the values of single targets tell: each is resolved once, with nothing known of other stacks.

use super::{Scene, definitions, quoted};
use crate::command::apart::{self, Owner, Place};
use crate::exit::Failure;
use crate::stack::{
    Fleet, Known, Mistake, Mistakes, OutputFrom, Reference, Selector, Stack, StackName, Target, To, references_in,
};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};

impl Scene {
    /// Asks of new definitions what history is not asked. Resolves every target once: mistakes of single regions, and two targets
    /// that are the same real thing.
    pub(crate) fn check_targets(&self, world: &World) -> Result<(), Failure> {
        self.check_selected(world, &Selector::default())
    }

    /// The same, of the targets of `selector` only.
    pub(crate) fn check_selected(&self, world: &World, selector: &Selector) -> Result<(), Failure> {
        let mut mistakes = self.strict.clone();
        mistakes.extend(self.mistakes_of_targets(world, |target| selector.matches(target)));
        self.refuse(world, mistakes)
    }

    /// Resolves every target that is `chosen`.
    pub(super) fn mistakes_of_targets(&self, world: &World, chosen: impl Fn(&Target) -> bool) -> Mistakes {
        let mut mistakes = Mistakes::default();
        let mut owners: BTreeMap<String, &Target> = BTreeMap::new();
        let mut mistaken: BTreeSet<&StackName> = BTreeSet::new();
        for target in self.fleet.targets().iter().filter(|target| chosen(target)) {
            let Some(engine) = world.engines.get(&target.stack.engine) else { continue };
            let Some(sources) = self.sources.get(target.stack.definition()) else { continue };
            match self.resolver.resolve(target, &Known::default()) {
                Err(found) => mistakes.extend(found),
                Ok(resolved) => {
                    let mut own = Mistakes::default();
                    engine.check_target(&target.stack, sources, &resolved, &mut own);
                    if !own.is_empty() {
                        if mistaken.insert(target.stack.definition()) {
                            mistakes.extend(own); // the same in every region and instance
                        }
                        continue;
                    }
                    let Some(identity) = engine.identity(&resolved) else { continue };
                    if let Some(other) = owners.insert(identity.clone(), target) {
                        let what = format!("{} and {} are the same thing: {identity}", other.id, target.id);
                        let own = if other.region.id == target.region.id { "stack.name" } else { "region.id" };
                        let hint = format!("give each target its own, for example with ${{{{ {own} }}}} in it");
                        mistakes.push(Mistake::at(engine.identity_site(&target.stack), what).hint(hint));
                    }
                }
            }
        }
        apart::check(self.places(world, &owners), &mut mistakes);
        mistakes
    }

    /// What must lie apart: destinations, whose owners are given, what stacks read, and the journal.
    fn places<'a>(&'a self, world: &World, owners: &BTreeMap<String, &'a Target>) -> Vec<Place<'a>> {
        let mut places = Vec::new();
        for (identity, target) in owners {
            let Some(engine) = world.engines.get(&target.stack.engine) else { continue };
            let path = identity.strip_prefix("file:").unwrap_or(identity).to_string(); // else a URL, part by part like a path
            let site = engine.identity_site(&target.stack);
            places.push(Place { path, of: Owner::Published(&target.id, target.stack.definition(), site) });
        }
        let mut seen = BTreeSet::new();
        for stack in self.fleet.stacks.iter().filter(|stack| seen.insert(stack.definition())) {
            let Some(engine) = world.engines.get(&stack.engine) else { continue };
            let reads = engine.reads(stack);
            let dirs: Vec<&str> = reads.iter().filter_map(|path| path.strip_suffix('/')).collect();
            let sources = self.sources.get(stack.definition()).into_iter().flat_map(|sources| sources.keys());
            let is_below = |path: &str| reads.iter().any(|dir| dir.ends_with('/') && path.starts_with(&**dir));
            let included = sources.map(|path| &**path).filter(|path| !is_below(path));
            let of = Owner::Sources(stack.definition());
            places.extend(dirs.iter().copied().chain(included).map(|path| Place { path: path.into(), of }));
        }
        places.extend(self.fleet.journal_path().map(|path| Place { path, of: Owner::Journal }));
        places
    }

    /// Fails with the mistakes, each with its line; with none all is well.
    pub(crate) fn refuse(&self, world: &World, mistakes: Mistakes) -> Result<(), Failure> {
        if mistakes.is_empty() {
            return Ok(());
        }
        let definitions = definitions(world, &self.snapshot)?;
        Err(quoted(mistakes, &definitions, &self.sources))
    }
}

/// Returns the stacks of whose targets can be said what is wrong with them, in spite of `mistakes`: nothing is wrong with their own
/// definitions, nor with those whose outputs they use, and no value may be missing only because of a mistake.
pub(super) fn sound<'f>(fleet: &'f Fleet, mistakes: &Mistakes) -> BTreeSet<&'f StackName> {
    let unread = &fleet.unread;
    if unread.region_ids || unread.clouds || unread.labels || unread.vars {
        return BTreeSet::new();
    }
    let mistaken: BTreeSet<&str> = mistakes.iter().filter_map(|mistake| Some(&*mistake.site.as_ref()?.path)).collect();
    let is_right = |stack: &Stack| !mistaken.contains(&*stack.site.path);
    let uses = |stack: &Stack| {
        let outputs = stack.outputs.values().map(|from| match from {
            OutputFrom::Value(node) | OutputFrom::Engine(node) => node,
        });
        let nodes = stack.inputs.iter().map(|(.., node)| node).chain([&stack.section]).chain(outputs);
        nodes.flat_map(references_in).collect::<Vec<_>>()
    };
    let is_there = |reference: &Reference| match &reference.to {
        To::Output { stack, .. } => stack.parse().ok().and_then(|name| fleet.stack(&name)).is_some_and(|stack| is_right(stack)),
        To::Region(_) | To::StackName | To::InstanceName | To::Vars(_) | To::Input(_) => true,
    };
    let stacks = fleet.stacks.iter().filter(|stack| is_right(stack) && uses(stack).iter().all(is_there));
    stacks.map(|stack| &stack.name).collect()
}
