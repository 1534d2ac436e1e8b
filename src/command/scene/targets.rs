//! What only the values of single targets tell: each is resolved once, with nothing known of other stacks.

use super::alike::Alike;
use super::hidden::Hidden;
use super::lacking::Lacking;
use super::{Scene, definitions};
use crate::change::Redactor;
use crate::command::apart::{self, Owner, Place};
use crate::exit::Failure;
use crate::stack::{
    Fleet, Known, Mistake, Mistakes, Mode, OutputFrom, Reference, Selector, Stack, StackName, Target, TargetId, To, references_in,
};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Scene {
    /// Asks of new definitions what history is not asked. Resolves every target once: mistakes of single regions, and two targets
    /// that are the same real thing.
    pub(crate) fn check_targets(&self, world: &World) -> Result<(), Failure> {
        self.check_selected(world, &Selector::default())
    }

    /// The same, of the targets of `selector` only.
    pub(crate) fn check_selected(&self, world: &World, selector: &Selector) -> Result<(), Failure> {
        let mut mistakes = self.strict.clone();
        mistakes.extend(self.mistakes_of_targets(world, |target| selector.matches(target).then_some(Trust::Whole)));
        self.refuse(world, mistakes)
    }

    /// Resolves every target, and tells as much of it as is `trusted`.
    pub(super) fn mistakes_of_targets(&self, world: &World, trusted: impl Fn(&Target) -> Option<Trust>) -> Mistakes {
        let mut mistakes = Mistakes::default();
        let mut owners: BTreeMap<String, &Target> = BTreeMap::new();
        let mut mistaken: BTreeSet<&StackName> = BTreeSet::new();
        let (mut alike, mut lacking) = (Alike::default(), Lacking::default());
        for (target, trust) in self.fleet.targets().iter().filter_map(|target| Some((target, trusted(target)?))) {
            let Some(engine) = world.engines.get(&target.stack.engine) else { continue };
            let Some(sources) = self.sources.get(target.stack.definition()) else { continue };
            match self.resolver.resolve(target, &Known::default()) {
                Err(found) => {
                    found.into_iter().filter(|_| trust == Trust::Whole).for_each(|mistake| alike.add(&target.id, mistake));
                }
                Ok(resolved) => {
                    let may_change = |to: &To| may_change(&self.fleet, &target.stack, to);
                    let uses = self.uses.get(target.stack.definition());
                    uses.iter().for_each(|uses| lacking.look(target, &resolved, uses, &may_change));
                    let mut own = Mistakes::default();
                    engine.check_target(&target.stack, sources, &resolved, &mut own);
                    if !own.is_empty() {
                        if mistaken.insert(target.stack.definition()) {
                            mistakes.extend(own); // the same in every region and instance
                        }
                        continue;
                    }
                    let Some(identity) = engine.identity(&resolved).filter(|_| !is_misnamed(&target.stack)) else { continue };
                    if let Some(blocked) = self.blocked(&identity) {
                        let what = format!("{} can't be published to {identity}: {blocked}", target.id);
                        let hint = "choose another directory, or move that away";
                        alike.add(&target.id, Mistake::at(engine.identity_site(&target.stack), what).hint(hint));
                    }
                    if let Some(other) = owners.insert(identity.clone(), target) {
                        let what = format!("{} and {} are the same thing: {identity}", other.id, target.id);
                        let own = if other.region.id == target.region.id { "stack.name" } else { "region.id" };
                        let hint = format!("give each target its own, for example with ${{{{ {own} }}}} in it");
                        alike.add(&target.id, Mistake::at(engine.identity_site(&target.stack), what).hint(hint));
                    }
                }
            }
        }
        mistakes.extend(alike.into_mistakes());
        mistakes.extend(lacking.into_mistakes());
        apart::check(self.places(world, &owners), &mut mistakes);
        mistakes
    }

    /// Says what of the repository stands where the directory `identity` must be, or above it.
    fn blocked(&self, identity: &str) -> Option<String> {
        let dir = identity.strip_prefix("file:")?;
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        ends.into_iter().find_map(|end| {
            let what = match self.snapshot.listing.get(&dir[..end])?.mode {
                Mode::File | Mode::Executable => "a file",
                Mode::Symlink => "a symlink",
                Mode::Submodule => return None,
            };
            Some(format!("{} is {what}, and must be a directory", &dir[..end]))
        })
    }

    /// What nobody may see in what is told of this fleet: the values of its sensitive inputs, wherever else they stand.
    pub(super) fn masks(&self, world: &World) -> Redactor {
        let mut hidden = Hidden::default();
        for stack in &self.fleet.stacks {
            hidden.take_written(stack);
            if stack.regions.is_empty() {
                self.possible_targets(stack).for_each(|target| self.hide(&target, &mut hidden));
            }
        }
        self.fleet.targets().iter().for_each(|target| self.hide(target, &mut hidden));
        hidden.redactor(world)
    }

    /// The targets of a stack that a mistake may have left without any.
    fn possible_targets<'a>(&'a self, stack: &'a Arc<Stack>) -> impl Iterator<Item = Target> + 'a {
        self.fleet.regions.iter().map(|region| Target {
            id: TargetId::new(stack.name.clone(), region.id.clone()),
            stack: stack.clone(),
            region: region.clone(),
        })
    }

    /// The same of one target.
    pub(crate) fn masks_of(&self, world: &World, target: &Target) -> Redactor {
        let mut hidden = Hidden::default();
        self.hide(target, &mut hidden);
        hidden.redactor(world)
    }

    fn hide(&self, target: &Target, hidden: &mut Hidden) {
        if target.stack.unread.sensitive || !target.stack.sensitive.is_empty() {
            self.resolver.sensitive(target).iter().for_each(|(name, value)| hidden.take(&format!("inputs.{name}").into(), value));
        }
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
        let journal = self.fleet.journal_path().zip(self.fleet.journal.as_ref());
        places.extend(journal.map(|(path, (_, site))| Place { path, of: Owner::Journal(site) }));
        places
    }

    /// Fails with the mistakes, each with its line; with none all is well.
    pub(crate) fn refuse(&self, world: &World, mistakes: Mistakes) -> Result<(), Failure> {
        if mistakes.is_empty() {
            return Ok(());
        }
        let definitions = definitions(world, &self.snapshot)?;
        Err(self.quoted(world, mistakes, &definitions))
    }
}

/// How much can be said of a target in spite of mistakes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// All that is wrong with it.
    Whole,
    /// What is wrong with values that could be filled in; one that could not may be missing only because of a mistake.
    Filled,
}

/// Returns the stacks of whose targets can be said what is wrong with them, in spite of `mistakes`. All, where nothing is wrong with
/// their own definitions, nor with those whose outputs they use. Nothing, where a value may be another once a mistake is mended.
pub(super) fn trusted<'f>(fleet: &'f Fleet, mistakes: &Mistakes) -> BTreeMap<&'f StackName, Trust> {
    let mistaken: BTreeSet<&str> = mistakes.iter().filter_map(|mistake| Some(&*mistake.site.as_ref()?.path)).collect();
    let is_right = |stack: &Stack| !mistaken.contains(&*stack.site.path);
    let is_there = |reference: &Reference| match &reference.to {
        To::Output { stack, .. } => {
            stack.parse().ok().and_then(|name| fleet.stack(&name)).is_some_and(|stack| is_right(stack) && !stack.unread.outputs)
        }
        To::Region(_) | To::StackName | To::InstanceName | To::Vars(_) | To::Input(_) => true,
    };
    let trust = |stack: &'f Arc<Stack>| {
        let uses = references(stack);
        if uses.iter().any(|reference| may_change(fleet, stack, &reference.to)) {
            return None;
        }
        let is_whole = is_right(stack) && uses.iter().all(is_there);
        Some((&stack.name, if is_whole { Trust::Whole } else { Trust::Filled }))
    };
    fleet.stacks.iter().filter_map(trust).collect()
}

/// An instance whose name could not be read: nobody knows which target it makes, so it is not told by one.
fn is_misnamed(stack: &Stack) -> bool {
    stack.instance.as_ref().is_some_and(|instance| instance.name.parse::<StackName>().is_err())
}

/// Says whether a mistake left unread what a reference leads to.
fn may_change(fleet: &Fleet, stack: &Stack, to: &To) -> bool {
    let (of_fleet, own) = (&fleet.unread, &stack.unread);
    match to {
        To::Vars(_) => of_fleet.vars || own.vars,
        To::Region(path) => match path.first().map(|key| &**key) {
            Some("cloud") => of_fleet.clouds,
            Some("labels") => of_fleet.labels,
            Some("vars") => of_fleet.region_vars,
            Some(_) | None => false,
        },
        // One that could not be read, or that two stacks have, is that of no stack.
        To::StackName => own.name || stack.name.as_str().parse::<StackName>().is_err(),
        To::InstanceName => own.name || own.instances,
        To::Input(_) => own.inputs,
        To::Output { .. } => false, // a hole, whatever it leads to
    }
}

fn references(stack: &Stack) -> Vec<Reference> {
    let outputs = stack.outputs.values().map(|from| match from {
        OutputFrom::Value(node) | OutputFrom::Engine(node) => node,
    });
    stack.inputs.iter().map(|(.., node)| node).chain([&stack.section]).chain(outputs).flat_map(references_in).collect()
}
