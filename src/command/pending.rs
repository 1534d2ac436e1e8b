//! Which targets have something to do, and why: level-triggered, each from its own last applied commit to the head.

use super::say::some;
use super::scene::{Scene, Scenes};
use crate::change::{Digest, Intent};
use crate::exit::Failure;
use crate::journal::{History, Record, State};
use crate::review::CommitSha;
use crate::stack::{Mistake, Mistakes, Reason, Selection, Selector, StackName, Target, TargetId, users_of_outputs};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One target with something to do.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) target: Target,
    pub(crate) intent: Intent,
    /// The definitions it is made of: the head's, or for a destroy those of its last applied commit.
    pub(crate) scene: Arc<Scene>,
    pub(crate) reasons: Vec<Reason>,
}

impl Pending {
    /// The names under which history knows it: its own first, then those it had. What is destroyed takes nothing over.
    pub(crate) fn names(&self) -> impl Iterator<Item = TargetId> {
        let most = if self.intent == Intent::Converge { usize::MAX } else { 1 };
        names(&self.target).take(most)
    }
}

/// Everything selected: what has something to do, and how many targets were looked at in all.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) pending: Vec<Pending>,
    /// Selected targets that nothing touches.
    pub(crate) untouched: Vec<TargetId>,
    /// Graph of the definitions that destroyed targets came from.
    pub(crate) before: Option<Arc<Scene>>,
    at: BTreeMap<TargetId, usize>,
    renames: Option<Digest>,
}

impl Work {
    /// Makes work of what is pending, in that order.
    pub(crate) fn of(pending: Vec<Pending>, untouched: Vec<TargetId>, before: Option<Arc<Scene>>) -> Self {
        let at = pending.iter().enumerate().map(|(at, pending)| (pending.target.id.clone(), at)).collect();
        let renames = digest_of_renames(pending.iter().map(|pending| pending.names().collect()));
        Self { pending, untouched, before, at, renames }
    }

    /// Stands for what [`Work::names`] says of every target; `None` where each has but its own.
    pub(crate) fn renames(&self) -> Option<&Digest> {
        self.renames.as_ref()
    }

    pub(crate) fn get(&self, target: &TargetId) -> Option<&Pending> {
        self.pending.get(*self.at.get(target)?)
    }

    /// The names under which history knows `target`: its own, and those it had.
    pub(crate) fn names(&self, target: &TargetId) -> Vec<TargetId> {
        self.get(target).map_or_else(|| vec![target.clone()], |pending| pending.names().collect())
    }

    /// Keeps only the pending targets that `keep` names.
    pub(crate) fn only(self, keep: impl Fn(&TargetId) -> bool) -> Self {
        let pending = self.pending.into_iter().filter(|pending| keep(&pending.target.id)).collect();
        Self::of(pending, self.untouched, self.before)
    }

    /// Targets by level: each level needs only those before it.
    pub(crate) fn levels(&self) -> Vec<Vec<TargetId>> {
        let mut depth: BTreeMap<&TargetId, usize> = BTreeMap::new();
        let order = self.pending.first().map(|pending| pending.scene.graph.order()).unwrap_or_default();
        let place: BTreeMap<&TargetId, usize> = order.into_iter().enumerate().map(|(at, id)| (id, at)).collect();
        let mut order: Vec<&Pending> = self.pending.iter().collect();
        order.sort_by_key(|pending| place.get(&pending.target.id).copied().unwrap_or(usize::MAX));
        let mut levels: Vec<Vec<TargetId>> = Vec::new();
        for pending in order {
            let id = &pending.target.id;
            let before = pending.scene.graph.dependencies(id).iter().filter_map(|dependency| depth.get(dependency));
            let level = before.max().map_or(0, |deepest| deepest + 1);
            depth.insert(id, level);
            if levels.len() <= level {
                levels.resize_with(level + 1, Vec::new);
            }
            levels[level].push(id.clone());
        }
        levels
    }
}

/// One digest of which target was called what; `None` where each has but one name.
fn digest_of_renames(names: impl Iterator<Item = Vec<TargetId>>) -> Option<Digest> {
    let said = |names: Vec<TargetId>| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let mut renamed: Vec<String> = names.filter(|names| names.len() > 1).map(said).collect();
    renamed.sort_unstable();
    let renamed: Vec<&str> = renamed.iter().map(String::as_str).collect();
    (!renamed.is_empty()).then(|| Digest::of("renames", &renamed))
}

/// Compares `after` with one `before` for all targets: a pull request's view.
pub(crate) fn between(before: Option<&Arc<Scene>>, after: &Arc<Scene>, selector: &Selector) -> Work {
    let side = before.map(|scene| scene.side());
    let selection = Selection::between(side.as_ref(), &after.side());
    gather(&selection, before, after, selector, |_| true)
}

/// Everything selected, touched or not.
pub(crate) fn all(after: &Arc<Scene>, selector: &Selector) -> Work {
    let selected = after.fleet.targets().iter().filter(|target| selector.matches(target));
    let pending = selected.map(|target| Pending {
        target: target.clone(),
        intent: Intent::Converge,
        scene: after.clone(),
        reasons: Vec::new(),
    });
    Work::of(pending.collect(), Vec::new(), None)
}

/// Compares `after` with each target's own last applied commit. Targets that failed, are unknown, or were never applied have
/// something to do as well.
pub(crate) fn since_applied(
    scenes: &Scenes<'_>,
    history: &History,
    after: &Arc<Scene>,
    selector: &Selector,
) -> Result<Work, Failure> {
    let mut by_commit: BTreeMap<Option<Arc<str>>, BTreeSet<TargetId>> = BTreeMap::new();
    for target in after.fleet.targets() {
        by_commit.entry(commit_of(history, target)).or_default().insert(target.id.clone());
    }
    for (id, record) in history.targets() {
        if after.fleet.target(id).is_none() && exists(record) {
            by_commit.entry(history.defined_at(id).cloned()).or_default().insert(id.clone());
        }
    }

    let mut work = Work::default();
    for (commit, members) in by_commit {
        let before = match &commit {
            Some(commit) => Some(scenes.at(&CommitSha(commit.clone()))?),
            None => None,
        };
        let side = before.as_ref().map(|scene| scene.side());
        let selection = Selection::between(side.as_ref(), &after.side());
        let part = gather(&selection, before.as_ref(), after, selector, |id| members.contains(id));
        work.pending.extend(part.pending);
        work.untouched.extend(part.untouched);
        work.before = part.before.or(work.before);
    }
    take_along(history, after, &mut work);
    let order: BTreeMap<&TargetId, usize> =
        after.fleet.targets().iter().enumerate().map(|(at, target)| (&target.id, at)).collect();
    work.pending.sort_by_key(|pending| order.get(&pending.target.id).copied().unwrap_or(usize::MAX));
    Ok(Work::of(work.pending, work.untouched, work.before))
}

/// Refuses to destroy what a target of the head is as well: the same real thing under another name is a mistake or a declared
/// move (`was:`), never a destroy.
pub(crate) fn refuse_taken(world: &World, work: &Work, after: &Scene) -> Result<(), Failure> {
    let destroys = work.pending.iter().filter(|pending| pending.intent == Intent::Destroy);
    let at = |pending: &'_ Pending| pending.scene.identity(world, &pending.target);
    let gone: BTreeMap<String, (&Target, &Scene)> =
        destroys.filter_map(|pending| Some((at(pending)?, (&pending.target, &*pending.scene)))).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let mut taken: BTreeMap<(&StackName, &StackName), Vec<(&Target, String)>> = BTreeMap::new();
    for target in after.fleet.targets() {
        let Some(identity) = after.identity(world, target) else { continue };
        let Some((old, scene)) = gone.get(&identity) else { continue };
        let place = scene.masks_of(world, old).redact(&identity);
        let what = format!("{} would be destroyed, and {} is the same thing: {place}", old.id, target.id);
        taken.entry((&old.id.stack, &target.id.stack)).or_default().push((target, what));
    }
    let mut mistakes = Mistakes::default();
    for ((from, to), told) in taken {
        let entry = if told[0].0.stack.instance.is_some() { " in its entry of instances" } else { "" };
        let hint = if from == to {
            "give it another destination; or remove the old one, apply, and add the new one".to_string()
        } else {
            format!("if {from} was renamed, say so: was: [{from}]{entry}; else give {to} another destination")
        };
        mistakes.push(once(world, &told).hint(hint));
    }
    after.refuse(world, mistakes)
}

/// Refuses to publish anew elsewhere what a target published before: nobody would remove the old.
pub(crate) fn refuse_moved(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    work: &Work,
    after: &Scene,
) -> Result<(), Failure> {
    let mut moved: BTreeMap<&StackName, Vec<(&Target, String)>> = BTreeMap::new();
    for pending in work.pending.iter().filter(|pending| pending.intent == Intent::Converge) {
        let target = &pending.target;
        let there: Vec<TargetId> = names(target).filter(|id| history.target(id).is_some_and(exists)).collect();
        let arrived = there.iter().filter(|id| history.commit_of(id).is_some()).count();
        for id in there {
            let Some(commit) = history.defined_at(&id).cloned() else { continue };
            let before = scenes.at(&CommitSha(commit))?;
            let Some(old_target) = before.fleet.target(&id) else { continue };
            let places = (before.identity(world, old_target), pending.scene.identity(world, target));
            let (Some(old), Some(new)) = places else {
                if arrived > 1 && id != target.id && history.commit_of(&id).is_some() {
                    let what =
                        format!("{} would take over {id}, and nobody knows yet whether that is at the same place", target.id);
                    moved.entry(target.stack.definition()).or_default().push((target, what));
                }
                continue;
            };
            if old != new {
                let old = before.masks_of(world, old_target).redact(&old);
                let whose = if id == target.id { "it".to_string() } else { id.to_string() };
                let what = format!(
                    "{} would leave what {whose} published behind: it is at {old}, and {new} is another place",
                    target.id
                );
                moved.entry(target.stack.definition()).or_default().push((target, what));
            }
        }
    }
    let mut mistakes = Mistakes::default();
    for told in moved.into_values() {
        let hint = "keep the place; or take it out, apply (that removes it there), and bring it back with the other";
        mistakes.push(once(world, &told).hint(hint));
    }
    after.refuse(world, mistakes)
}

/// One mistake for all targets of a definition, where it says its place: what is said of the first, and which others it is true of.
fn once(world: &World, told: &[(&Target, String)]) -> Mistake {
    let (target, what) = &told[0];
    let site =
        world.engines.get(&target.stack.engine).map_or(&target.stack.section.site, |engine| engine.identity_site(&target.stack));
    let others: Vec<Arc<str>> = told.iter().skip(1).map(|(target, _)| target.id.to_string().into()).collect();
    let others = if others.is_empty() { String::new() } else { format!("; so it is with {}", some(&others)) };
    Mistake::at(site, format!("{what}{others}"))
}

/// A target under its own name and under those it had.
pub(crate) fn names(target: &Target) -> impl Iterator<Item = TargetId> {
    let former = target.stack.was.iter().map(|name| TargetId::new(name.clone(), target.id.region.clone()));
    std::iter::once(target.id.clone()).chain(former)
}

/// Moves untouched targets to those with something to do: what failed or is unknown; what drift found to lack an apply, such as a
/// secret that was rotated; and what was last brought before a target whose outputs it uses changed.
fn take_along(history: &History, after: &Arc<Scene>, work: &mut Work) {
    let targets = after.fleet.targets();
    let users = users_of_outputs(targets);
    let mut outdated: BTreeSet<&TargetId> = BTreeSet::new();
    for (id, record) in history.targets() {
        let users = users.get(id).into_iter().flatten().map(|at| &targets[*at].id);
        let older = |user: &&TargetId| history.target(user).is_some_and(|user| user.is_older_than(record));
        outdated.extend(users.filter(older));
    }
    let tried = |id: &TargetId| {
        let former = after.fleet.target(id).into_iter().flat_map(names).skip(1);
        known_as(history, former).any(is_unfinished)
    };
    let unfinished = |id: &TargetId| match history.target(id) {
        _ if tried(id) => true,
        Some(record) => match &record.state {
            State::Failed { .. } | State::Unknown { .. } => true,
            State::Applied => record.lacks_an_apply() || outdated.contains(id),
            State::Never | State::Removed => false,
        },
        None => false,
    };
    let (again, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut work.untouched).into_iter().partition(unfinished);
    work.untouched = rest;
    let targets = again.iter().filter_map(|id| after.fleet.target(id));
    work.pending.extend(targets.map(|target| Pending {
        target: target.clone(),
        intent: Intent::Converge,
        scene: after.clone(),
        reasons: Vec::new(),
    }));
}

/// What is known of a target as it is now: under its own name, or under the one that it still has for history.
pub(crate) fn record_of<'h>(history: &'h History, target: &Target) -> Option<&'h Record> {
    let is_there = |record: &&Record| is_unfinished(record) || record.commit.is_some() && record.state != State::Removed;
    known_as(history, names(target)).find(is_there).or_else(|| history.target(&target.id))
}

/// Its last apply came to no good end.
fn is_unfinished(record: &Record) -> bool {
    matches!(record.state, State::Failed { .. } | State::Unknown { .. })
}

/// Why a target has something to do that nothing touches.
pub(crate) fn taken_along(history: &History, target: &Target) -> &'static str {
    let record = known_as(history, names(target)).find(|record| is_unfinished(record)).or_else(|| history.target(&target.id));
    match record.map(|record| &record.state) {
        Some(State::Failed { .. }) => "its last apply failed",
        Some(State::Unknown { .. }) => "the end of its last apply is unknown",
        Some(State::Applied) if record.is_some_and(Record::lacks_an_apply) => {
            "drift found a new value, of a secret or of an output that it uses"
        }
        Some(State::Applied | State::Never | State::Removed) | None => {
            "an output that it uses may have changed since it was applied"
        }
    }
}

fn gather(
    selection: &Selection,
    before: Option<&Arc<Scene>>,
    after: &Arc<Scene>,
    selector: &Selector,
    mine: impl Fn(&TargetId) -> bool,
) -> Work {
    let mut work = Work::default();
    let touched: BTreeMap<&TargetId, &[Reason]> =
        selection.touched.iter().map(|why| (&why.target, why.reasons.as_slice())).collect();
    for target in after.fleet.targets().iter().filter(|target| mine(&target.id) && selector.matches(target)) {
        match touched.get(&target.id) {
            None => work.untouched.push(target.id.clone()),
            Some(reasons) => {
                let (target, scene, reasons) = (target.clone(), after.clone(), reasons.to_vec());
                work.pending.push(Pending { target, intent: Intent::Converge, scene, reasons });
            }
        }
    }
    if let Some(before) = before {
        for target in before.fleet.targets().iter().filter(|target| mine(&target.id) && selector.matches(target)) {
            if after.fleet.target(&target.id).is_none()
                && let Some(reasons) = touched.get(&target.id)
            {
                let (target, scene, reasons) = (target.clone(), before.clone(), reasons.to_vec());
                work.pending.push(Pending { target, intent: Intent::Destroy, scene, reasons });
                work.before = Some(before.clone());
            }
        }
    }
    Work::of(work.pending, work.untouched, work.before)
}

/// The commit a target is at, under whatever name; of one that is gone, the commit with which it went.
pub(crate) fn commit_of(history: &History, target: &Target) -> Option<Arc<str>> {
    history.at(names(target)).or_else(|| history.commit_of(&target.id)).cloned()
}

/// What is known of a target that had each of these names.
pub(crate) fn known_as(history: &History, names: impl IntoIterator<Item = TargetId>) -> impl Iterator<Item = &Record> {
    names.into_iter().filter_map(|name| history.target(&name))
}

/// Something of it may be in the world.
pub(crate) fn exists(record: &Record) -> bool {
    match record.state {
        State::Never => record.started,
        State::Removed => false,
        State::Applied | State::Failed { .. } | State::Unknown { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_were_called_before_tells_works_apart_and_their_order_does_not() {
        let digest = |all: &[&str]| {
            let ids = |names: &&str| names.split(' ').map(|name| name.parse().expect("a target")).collect();
            digest_of_renames(all.iter().map(ids))
        };
        assert_eq!(digest(&["app@prod/a", "web@prod/a"]), None);
        let renamed = digest(&["app@prod/a", "web@prod/a old@prod/a"]);
        assert!(renamed.is_some());
        assert_eq!(renamed, digest(&["web@prod/a old@prod/a"]));
        let others = [&["app@prod/a old@prod/a"][..], &["web@prod/a older@prod/a"], &["web@prod/a", "old@prod/a"]];
        assert!(others.iter().all(|other| digest(other) != renamed));
        let two = ["a@prod/a b@prod/a", "c@prod/a d@prod/a"];
        assert_eq!(digest(&two), digest(&[two[1], two[0]]));
        assert_ne!(digest(&two), digest(&["a@prod/a b@prod/a c@prod/a d@prod/a"]));
    }
}
