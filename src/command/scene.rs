//! One side of a comparison, gathered: the fleet of a snapshot, what its stacks read, and how to make a target's job of it.

mod alike;
mod hidden;
mod lacking;
mod targets;

use crate::change::{Digest, Intent, Unseen, UnseenReason};
use crate::engine::{Engine, Job, Sources};
use crate::exit::Failure;
use crate::policy::{CodeOwners, Policy, absent};
use crate::review::CommitSha;
use crate::rollout::{Settings, Slots, programs};
use crate::stack::{
    Fleet, Graph, Known, Mistake, Mistakes, Quiet, Resolver, Side, Site, Source, Stack, StackName, Target, TargetId, Uses,
};
use crate::workspace::Snapshot;
use crate::world::World;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use targets::trusted;

/// The fleet's file.
pub(crate) const FLEET: &str = "isobar.yaml";

/// Definitions, sources and graph of one snapshot.
pub(crate) struct Scene {
    pub(crate) snapshot: Snapshot,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) graph: Graph,
    /// `None`: the fleet declares no policy.
    pub(crate) policy: Option<Policy>,
    pub(crate) settings: Settings,
    pub(crate) slots: Slots,
    /// Mistakes that only what is about to be applied must be free of.
    strict: Mistakes,
    /// What may be meant, and is worth a second look.
    pub(crate) warnings: Mistakes,
    /// By definition, as is `uses`: instances share their sources.
    sources: BTreeMap<StackName, Arc<Sources>>,
    uses: BTreeMap<StackName, Uses>,
    resolver: Resolver<Arc<Fleet>>,
    root: Arc<PathBuf>,
    code_owners: OnceLock<Result<CodeOwners, Arc<str>>>,
}

/// Where CODEOWNERS may lie; the first that is there counts.
const CODE_OWNERS: [&str; 3] = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];

impl Scene {
    /// Reads everything a snapshot defines; all mistakes of all files at once.
    pub(crate) fn open(world: &World, snapshot: Snapshot) -> Result<Self, Failure> {
        let definitions = definitions(world, &snapshot)?;
        let (fleet, mut mistakes) = Fleet::read_as_far(&definitions, &snapshot.listing);
        let fleet = Arc::new(fleet);
        let mistaken: BTreeSet<Site> = mistakes.iter().filter_map(|mistake| mistake.site.clone()).collect();
        let mut strict = fleet.strict.clone();
        strict.extend(misnamed_stacks(&snapshot));

        let (mut sources, mut uses) = (BTreeMap::new(), BTreeMap::new());
        for stack in &fleet.stacks {
            let Some(engine) = world.engines.get(&stack.engine) else { continue };
            if sources.contains_key(stack.definition()) {
                continue;
            }
            let reads = engine.reads(stack);
            strict.extend(misnamed(&snapshot, stack, &reads));
            let found = sources_of(world, &snapshot, engine.as_ref(), stack, reads)?;
            let (mut own, mut own_strict) = (Mistakes::default(), Mistakes::default());
            engine.check(stack, &found, &mut own, &mut own_strict);
            let is_news = |mistake: &Mistake| mistake.site.as_ref().is_none_or(|site| !mistaken.contains(site));
            mistakes.extend(own.into_iter().filter(is_news));
            strict.extend(own_strict.into_iter().filter(is_news));
            uses.insert(stack.definition().clone(), engine.uses(stack, &found));
            sources.insert(stack.definition().clone(), Arc::new(found));
        }
        let policy = fleet.policy.as_ref().map(|section| Policy::read(section, &fleet, &mut mistakes));
        let settings = Settings::read(&fleet, &mut mistakes);
        strict.extend(missing_programs(world, &snapshot, &fleet));
        let slots = Slots::read(&fleet, &mut mistakes);
        let mut warnings = Mistakes::default();
        warnings.extend(unread(&snapshot));
        fleet.policy.iter().for_each(|section| absent(section, &fleet, &mut strict, &mut warnings));
        let graph = Graph::of(&fleet);
        let resolver = Resolver::new(fleet.clone());
        let root = Arc::new(world.workspace.root().to_path_buf());
        let code_owners = OnceLock::new();
        let mut scene = Self {
            snapshot,
            fleet,
            graph,
            policy,
            settings,
            slots,
            strict,
            warnings,
            sources,
            uses,
            resolver,
            root,
            code_owners,
        };
        if mistakes.is_empty() {
            if !scene.warnings.is_empty() {
                let masks = scene.masks(world);
                let text_of = |path: &str| definitions.iter().find(|source| &*source.path == path).map(|source| &*source.bytes);
                scene.warnings.quote_masked(text_of, &Quiet::of(&definitions), &|text| masks.redact(text));
            }
            return Ok(scene);
        }
        let trusted = trusted(&scene.fleet, &mistakes);
        let of_targets = scene.mistakes_of_targets(world, |target| trusted.get(&target.stack.name).copied());
        let mistaken: BTreeSet<Site> = mistakes.iter().filter_map(|mistake| mistake.site.clone()).collect();
        let is_news = |mistake: &Mistake| mistake.site.as_ref().is_none_or(|site| !mistaken.contains(site));
        mistakes.extend(of_targets.into_iter().filter(is_news));
        mistakes.extend(scene.strict.clone());
        Err(scene.quoted(world, mistakes, &definitions))
    }

    /// Whom CODEOWNERS names here, or why nobody can tell.
    pub(crate) fn code_owners(&self, world: &World) -> &Result<CodeOwners, Arc<str>> {
        self.code_owners.get_or_init(|| {
            for path in CODE_OWNERS {
                let found = world.workspace.read(&self.snapshot, path).map_err(|error| Arc::from(error.to_string()))?;
                let Some(source) = found else { continue };
                let text = std::str::from_utf8(&source.bytes).map_err(|_| Arc::from(format!("{path} is no text")))?;
                return CodeOwners::read(text).map_err(|why| format!("{path}, {why}").into());
            }
            Err("there is no CODEOWNERS before the change".into())
        })
    }

    pub(crate) fn side(&self) -> Side<'_> {
        Side { fleet: &self.fleet, listing: &self.snapshot.listing, uses: &self.uses }
    }

    /// The real thing that a target is, where its engine knows one without asking.
    pub(crate) fn identity(&self, world: &World, target: &Target) -> Option<String> {
        world.engines.get(&target.stack.engine)?.identity(&self.resolve(target).ok()?)
    }

    /// Makes the complete job of one target.
    pub(crate) fn job(&self, world: &World, target: &Target, intent: Intent, known: &Known) -> Result<Job, Unseen> {
        let unseen = |reason| Unseen::new(target.id.clone(), reason);
        let resolved = self.resolver.resolve(target, known).map_err(|mut mistakes| {
            let masks = self.masks_of(world, target); // without lines: what is unseen is told in one
            mistakes.quote_masked(|_| None, &Quiet::default(), &|text| masks.redact(text));
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            unseen(UnseenReason::Definition(told.join("\n").into()))
        })?;
        let names = resolved.secrets();
        let secrets = world.secrets(&names);
        if let Some(missing) = names.iter().find(|name| !secrets.contains_key(*name)) {
            let site = self.fleet.secret_site(target, missing);
            return Err(unseen(UnseenReason::SecretMissing { name: missing.clone(), site }));
        }
        Ok(Job {
            target: Arc::new(target.clone()),
            intent,
            resolved: Arc::new(resolved),
            secrets: Arc::new(secrets),
            sources: self.sources.get(target.stack.definition()).cloned().unwrap_or_default(),
            root: self.root.clone(),
            was: target.stack.was.iter().map(|name| TargetId::new(name.clone(), target.id.region.clone())).collect(),
            key: world.key.clone(),
            hands_over: false,
        })
    }

    /// Resolves one target with nothing known of other stacks.
    pub(crate) fn resolve(&self, target: &Target) -> Result<crate::stack::Resolved, Mistakes> {
        self.resolver.resolve(target, &Known::default())
    }

    /// Returns the digest of all that a target is made of, while nothing is known of other stacks: what its definition gives
    /// it, the values that its sources read, and the sources themselves. `None` when a value cannot be filled in, or is sensitive
    /// and there is no key to bind it by.
    pub(crate) fn promise(&self, world: &World, target: &Target) -> Option<Digest> {
        let resolved = self.resolve(target).ok()?;
        let names = resolved.secrets();
        let secrets = world.secrets(&names);
        if names.iter().any(|name| !secrets.contains_key(name)) {
            return None;
        }
        let is_sensitive = !names.is_empty() || resolved.inputs.values().any(|input| input.sensitive);
        let names = self.uses.get(target.stack.definition()).map(|uses| &uses.names);
        let read = names.into_iter().flatten().map(|name| json!([name, resolved.value(name)]));
        let sources = self.sources.get(target.stack.definition()).into_iter().flat_map(|sources| sources.iter());
        let given = json!({
            "target": target.id.to_string(),
            "engine": target.stack.engine,
            "section": resolved.section.to_value(),
            "inputs": resolved.inputs.iter().map(|(name, input)| json!([name, input.value])).collect::<Vec<_>>(),
            "read": read.collect::<Vec<_>>(),
            "sources": sources.map(|(path, source)| json!([path, Digest::of_bytes(&source.bytes)])).collect::<Vec<_>>(),
        });
        let given = given.to_string();
        if !is_sensitive {
            return Some(Digest::of("promise", &[&given]));
        }
        let values = secrets.iter().flat_map(|(name, value)| [&**name, &**value]);
        let parts: Vec<&str> = std::iter::once(given.as_str()).chain(values).collect();
        world.key.as_ref().map(|key| key.digest(&format!("promise {}", target.id), &parts))
    }

    /// Fails with mistakes, each with its line, and with nothing that is sensitive.
    fn quoted(&self, world: &World, mut mistakes: Mistakes, definitions: &[Source]) -> Failure {
        let defined = |path: &str| definitions.iter().find(|source| &*source.path == path);
        let read = |path: &str| self.sources.values().find_map(|sources| sources.get(path));
        let masks = self.masks(world);
        let text_of = |path: &str| defined(path).or_else(|| read(path)).map(|source| &*source.bytes);
        mistakes.quote_masked(text_of, &Quiet::of(definitions), &|text| masks.redact(text));
        Failure::Definitions(mistakes)
    }

    /// Directories of the working tree that engines publish to: not part of what is committed.
    pub(crate) fn published(&self, world: &World) -> Vec<String> {
        let places = self.fleet.targets().iter().filter_map(|target| self.identity(world, target));
        places.filter_map(|place| place.strip_prefix("file:").map(|dir| dir.trim_start_matches("./").to_string())).collect()
    }
}

/// Scenes by commit, each read once.
pub(crate) struct Scenes<'a> {
    world: &'a World,
    read: Mutex<BTreeMap<CommitSha, Arc<Scene>>>,
}

impl<'a> Scenes<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world, read: Mutex::default() }
    }

    /// Returns the scene at `commit`.
    pub(crate) fn at(&self, commit: &CommitSha) -> Result<Arc<Scene>, Failure> {
        if let Some(scene) = self.lock().get(commit) {
            return Ok(scene.clone());
        }
        let scene = Arc::new(Scene::open(self.world, self.world.workspace.at(&commit.0)?)?);
        self.lock().insert(commit.clone(), scene.clone());
        Ok(scene)
    }

    /// Returns the scene at a commit that something is compared with; nothing where no fleet was there yet.
    pub(crate) fn before(&self, commit: &CommitSha) -> Result<Option<Arc<Scene>>, Failure> {
        let has_fleet = self.world.workspace.at(&commit.0)?.listing.get(FLEET).is_some();
        has_fleet.then(|| self.at(commit)).transpose()
    }

    /// Returns the scene at a commit that is only passed by: it is not kept, so that many commits cost the memory of one.
    pub(crate) fn glance(&self, commit: &CommitSha) -> Result<Arc<Scene>, Failure> {
        let kept = self.lock().get(commit).cloned();
        kept.map_or_else(|| Ok(Arc::new(Scene::open(self.world, self.world.workspace.at(&commit.0)?)?)), Ok)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CommitSha, Arc<Scene>>> {
        self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads `isobar.yaml` and every `stack.yaml`.
pub(crate) fn definitions(world: &World, snapshot: &Snapshot) -> Result<Vec<Source>, Failure> {
    let is_definition = |path: &str| path == FLEET || path == "stack.yaml" || path.ends_with("/stack.yaml");
    let paths = snapshot.listing.leaves().iter().filter(|leaf| is_definition(&leaf.path));
    let mut found = Vec::new();
    for leaf in paths {
        found.extend(world.workspace.read(snapshot, &leaf.path)?);
    }
    Ok(found)
}

/// Files among the sources of `stack` whose names are no UTF-8: nothing can include them, and their document would have no name.
fn misnamed<'a>(snapshot: &'a Snapshot, stack: &'a Stack, reads: &'a [Arc<str>]) -> impl Iterator<Item = Mistake> + 'a {
    let is_read = |path: &&Arc<str>| reads.iter().any(|dir| dir.ends_with('/') && path.starts_with(&**dir));
    let read = snapshot.listing.misnamed().iter().filter(is_read);
    read.map(|path| not_utf8(path, &format!("which {} reads", stack.name)))
}

/// Stacks in directories whose names are no UTF-8.
fn misnamed_stacks(snapshot: &Snapshot) -> impl Iterator<Item = Mistake> {
    let stacks = snapshot.listing.misnamed().iter().filter(|path| path.ends_with("/stack.yaml"));
    stacks.map(|path| not_utf8(path, "which defines a stack"))
}

/// Programs of the repository that gates name, and that cannot be run.
fn missing_programs<'a>(world: &'a World, snapshot: &'a Snapshot, fleet: &'a Fleet) -> impl Iterator<Item = Mistake> + 'a {
    let programs = fleet.rollout.as_ref().map(programs).unwrap_or_default();
    programs.into_iter().filter_map(|(path, site)| {
        let error = world.workspace.program(snapshot, &path).err()?;
        let mistake = Mistake::at(site, error.what);
        Some(error.hint.into_iter().fold(mistake, |mistake, hint| mistake.hint(hint)))
    })
}

/// Files that are named nearly as a definition is, and not read.
fn unread(snapshot: &Snapshot) -> impl Iterator<Item = Mistake> {
    let near = snapshot.listing.leaves().iter().filter_map(|leaf| {
        let name = leaf.path.rsplit('/').next()?;
        let meant = if name == "stack.yml" { "stack.yaml" } else { FLEET };
        (name == "stack.yml" || &*leaf.path == "isobar.yml").then_some((&leaf.path, meant))
    });
    near.map(|(path, meant)| {
        let what = format!("this file is not read: a definition is named {meant}");
        Mistake::at(&Site::new(path.clone(), 1, 1), what).hint(format!("rename it to {meant}, or give it another name"))
    })
}

fn not_utf8(path: &Arc<str>, of: &str) -> Mistake {
    let what = format!("the name of this file, {of}, is not UTF-8");
    Mistake::at(&Site::new(path.clone(), 1, 1), what).hint("rename it; each � stands for bytes that are no text")
}

/// Reads what the engine asks for, until it asks for nothing new.
fn sources_of(
    world: &World,
    snapshot: &Snapshot,
    engine: &dyn Engine,
    stack: &Stack,
    reads: Vec<Arc<str>>,
) -> Result<Sources, Failure> {
    let mut found = Sources::new();
    read_into(world, snapshot, reads, &mut found)?;
    loop {
        let more: Vec<_> = engine.reads_more(stack, &found).into_iter().filter(|path| !found.contains_key(path)).collect();
        let before = found.len();
        read_into(world, snapshot, more, &mut found)?;
        if found.len() == before {
            return Ok(found);
        }
    }
}

fn read_into(world: &World, snapshot: &Snapshot, paths: Vec<Arc<str>>, found: &mut Sources) -> Result<(), Failure> {
    for path in paths {
        let leaves: Vec<Arc<str>> = match path.strip_suffix('/') {
            Some(dir) => snapshot.listing.under(dir).iter().map(|leaf| leaf.path.clone()).collect(),
            None => vec![path],
        };
        for leaf in leaves {
            if !found.contains_key(&leaf)
                && let Some(source) = world.workspace.read(snapshot, &leaf)?
            {
                found.insert(leaf, source);
            }
        }
    }
    Ok(())
}
