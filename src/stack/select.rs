//! Which targets a diff touches, and why: by comparing what each target uses on both sides, never by guessing from paths.

use super::used_files::{Both, count_files, file_reasons};
use super::used_values::{Reads, Values, count_values, outputs_used};
use super::{Fleet, Graph, Listing, RegionId, Site, Stack, StackName, Target, TargetId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// What an engine found a stack's sources to use, beyond the stack's own directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Repository paths of the sources themselves and of files they include; with `/` at the end, all below a directory.
    pub files: BTreeSet<Arc<str>>,
    /// Dotted names read in templates: `vars.owner`, `region.vars.cidr`, `inputs.id`; `vars` alone means all of them.
    pub names: BTreeSet<Arc<str>>,
}

/// One side of a comparison.
pub struct Side<'a> {
    pub fleet: &'a Fleet,
    pub listing: &'a Listing,
    pub uses: &'a BTreeMap<StackName, Uses>,
}

/// Why a target is touched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The target did not exist before.
    New,
    /// The target exists no more: it is to be destroyed.
    Removed,
    /// It takes over what `from` made, because its stack names that one in `was`.
    Renamed { from: TargetId },
    /// A file it uses was added, removed or edited.
    File { path: Arc<str> },
    /// A file under one of its `watch` globs was added, removed or edited.
    Watch { path: Arc<str>, glob: Arc<str> },
    /// A value it uses changed: `inputs.cidr`, `vars.owner`, `region.labels`.
    Value { name: Arc<str>, site: Option<Site> },
    /// The definition changed: the engine's section (by the engine's name), `engine`, `outputs.id`, `depends_on`, `directory`.
    Definition { what: Arc<str>, site: Site },
    /// A dependency whose outputs it uses is touched. One that it only waits for does not count.
    Dependency { target: TargetId },
}

/// One touched target and every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub target: TargetId,
    pub reasons: Vec<Reason>,
}

/// The touched targets, in the order of the fleet; destroyed ones last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub touched: Vec<Why>,
}

/// What was compared of a target that is not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    pub files: usize,
    /// Inputs, declared outputs, and names that the engine's sources read.
    pub values: usize,
    pub dependencies: usize,
}

impl Selection {
    /// Compares both sides. Without a `before`, everything is new.
    pub fn between(before: Option<&Side<'_>>, after: &Side<'_>) -> Self {
        let targets = after.fleet.targets();
        let Some(before) = before else {
            let new = |target: &Target| Why { target: target.id.clone(), reasons: vec![Reason::New] };
            return Self { touched: targets.iter().map(new).collect() };
        };

        let values = Values::of(before, after);
        let stacks = Stacks::of(before, after, &values);
        let mut reasons: Vec<_> = targets.iter().map(|target| stacks.reasons(target, before.fleet, &values)).collect();
        let removed = stacks.removed(before.fleet, after.fleet);
        propagate(targets, &removed, &mut reasons);

        let touched = targets.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty());
        let touched = touched.map(|(target, reasons)| Why { target: target.id.clone(), reasons: in_order(reasons) });
        let removed = removed.into_iter().map(|target| Why { target, reasons: vec![Reason::Removed] });
        Self { touched: touched.chain(removed).collect() }
    }

    /// Returns why `target` is touched. For many targets, make a map first.
    pub fn why(&self, target: &TargetId) -> Option<&Why> {
        self.touched.iter().find(|why| why.target == *target)
    }
}

impl Side<'_> {
    /// Returns what is compared of `target`, to be told of one that is not touched.
    pub fn considered(&self, target: &TargetId) -> Option<Considered> {
        let stack = &self.fleet.target(target)?.stack;
        let dependencies = Graph::of(self.fleet).dependencies(target).len();
        Some(Considered { files: count_files(self, stack), values: count_values(self, stack), dependencies })
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count| if count == 1 { "" } else { "s" };
        let Considered { files, values, dependencies } = *self;
        let ies = if dependencies == 1 { "y" } else { "ies" };
        write!(f, "{files} file{}, {values} value{} and {dependencies} dependenc{ies}", s(files), s(values))
    }
}

/// Each stack of the new side with what it was: the stack of its own name first, then those it takes over.
struct Stacks<'a>(BTreeMap<&'a StackName, Vec<Compared<'a>>>);

/// One stack against what it was.
struct Compared<'a> {
    before: &'a Stack,
    files: Vec<Reason>,
    reads: Reads,
}

impl<'a> Stacks<'a> {
    fn of(before: &'a Side<'_>, after: &'a Side<'_>, values: &Values<'_>) -> Self {
        let pairs: Vec<_> = after.fleet.stacks.iter().flat_map(|stack| pasts(stack, before.fleet, after.fleet)).collect();
        let files = file_reasons(before, after, &pairs);
        let mut stacks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (Both { before, after }, files) in pairs.into_iter().zip(files) {
            let reads = values.reads(before, after);
            stacks.entry(&after.name).or_default().push(Compared { before, files, reads });
        }
        Self(stacks)
    }

    /// Returns the reasons that `target` itself gives, without its dependencies.
    fn reasons(&self, target: &Target, before: &Fleet, values: &Values<'_>) -> Vec<Reason> {
        let pasts = self.0.get(&target.id.stack).into_iter().flatten();
        let mut pasts = pasts.filter_map(|past| Some((past, before.target(&in_region(past.before, &target.id.region))?)));
        let Some((past, was)) = pasts.next() else { return vec![Reason::New] };

        let mut reasons = past.files.clone();
        reasons.extend(values.reasons(was, target, &past.reads));
        let others = pasts.map(|(_, other)| other).chain((was.id != target.id).then_some(was));
        reasons.extend(others.map(|other| Reason::Renamed { from: other.id.clone() }));
        reasons
    }

    /// Returns the targets of `before` that are gone and that no target of `after` takes over.
    fn removed(&self, before: &Fleet, after: &Fleet) -> Vec<TargetId> {
        let mut heirs: BTreeMap<&StackName, Vec<&StackName>> = BTreeMap::new();
        for (name, pasts) in &self.0 {
            pasts.iter().for_each(|past| heirs.entry(&past.before.name).or_default().push(name));
        }
        let has_heir = |id: &TargetId| {
            let names = heirs.get(&id.stack).into_iter().flatten();
            names.copied().any(|name| after.target(&TargetId::new(name.clone(), id.region.clone())).is_some())
        };
        before.targets().iter().map(|target| &target.id).filter(|id| !has_heir(id)).cloned().collect()
    }
}

/// Returns `stack` against everything it was.
fn pasts<'a>(stack: &'a Stack, before: &'a Fleet, after: &Fleet) -> impl Iterator<Item = Both<'a>> {
    let renamed = stack.was.iter().filter(|name| **name != stack.name && after.stack(name).is_none());
    let names: Vec<_> = [&stack.name].into_iter().chain(renamed).collect();
    names.into_iter().filter_map(|name| before.stack(name)).map(|was| Both { before: was, after: stack })
}

fn in_region(stack: &Stack, region: &RegionId) -> TargetId {
    TargetId::new(stack.name.clone(), region.clone())
}

/// Gives every target that uses outputs of a touched one a reason, and what uses theirs, and so on.
fn propagate(targets: &[Target], removed: &[TargetId], reasons: &mut [Vec<Reason>]) {
    let touched = targets.iter().zip(&*reasons).filter(|(_, reasons)| !reasons.is_empty()).map(|(target, _)| &target.id);
    let mut queue: Vec<TargetId> = touched.chain(removed).cloned().collect();
    if queue.is_empty() {
        return;
    }
    let users = users_of_outputs(targets);
    while let Some(target) = queue.pop() {
        for user in users.get(&target).into_iter().flatten() {
            let own = &mut reasons[*user];
            if own.is_empty() {
                queue.push(targets[*user].id.clone());
            }
            if !own.contains(&Reason::New) {
                own.push(Reason::Dependency { target: target.clone() });
            }
        }
    }
}

/// Returns, for each target whose outputs are used, the places in `targets` of those who use them. For lookup only.
fn users_of_outputs(targets: &[Target]) -> HashMap<TargetId, Vec<usize>> {
    let mut users: HashMap<_, Vec<_>> = HashMap::new();
    let mut stacks: HashMap<&StackName, BTreeSet<(StackName, Option<RegionId>)>> = HashMap::new();
    for (at, target) in targets.iter().enumerate() {
        let used = stacks.entry(&target.id.stack).or_insert_with(|| outputs_used(&target.stack));
        for (stack, region) in &*used {
            let region = region.as_ref().unwrap_or(&target.id.region);
            users.entry(TargetId::new(stack.clone(), region.clone())).or_default().push(at);
        }
    }
    users
}

fn in_order(mut reasons: Vec<Reason>) -> Vec<Reason> {
    reasons.sort();
    reasons.dedup();
    reasons
}
