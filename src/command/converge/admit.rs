//! What must hold before a run may write: what it brings is committed, it knows what it may write about, and it is not older than
//! what is there.

use crate::command::pending::{between, commit_of, since_applied};
use crate::command::say::{count, some};
use crate::command::scene::{Scene, Scenes};
use crate::command::view;
use crate::exit::Failure;
use crate::journal::History;
use crate::review::CommitSha;
use crate::stack::{Selector, TargetId};
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What lies in each destination of the tree beside its documents; a destroy takes it away too.
const MANIFEST: &str = "/.isobar-manifest.json";

/// An apply is of what is committed: anything else could not be reviewed.
pub(super) fn clean(world: &World) -> Result<(), Failure> {
    let dirty = view::uncommitted(world)?;
    if dirty.is_empty() {
        return Ok(());
    }
    let what = format!("{} not committed: {}", count(dirty.len(), "file is", "files are"), some(&dirty));
    let commit = "apply takes what is committed: git add -A && git commit -m \"…\" (isobar preview shows it as it is)";
    let is_gone = |path: &&Arc<str>| !world.workspace.root().join(&***path).exists();
    let left = dirty.iter().filter(is_gone).find_map(|path| path.strip_suffix(MANIFEST));
    let hint = match left {
        Some(dir) => {
            format!("{commit}; what is published need not be tracked: git rm -r --cached {dir}, and list it in .gitignore")
        }
        None => commit.into(),
    };
    Err(Failure::usage(what, hint))
}

/// Every target this run may write about.
pub(super) fn lease_on(history: &History, head: &Scene, selector: &Selector) -> Vec<TargetId> {
    let mut wanted: BTreeSet<TargetId> =
        head.fleet.targets().iter().filter(|target| selector.matches(target)).map(|target| target.id.clone()).collect();
    wanted.extend(history.targets().map(|(id, _)| id).filter(|id| head.fleet.target(id).is_none()).cloned());
    let open = history.rollouts().flat_map(|progress| &progress.rollout().waves).flat_map(|wave| &wave.targets);
    wanted.extend(open.map(|planned| planned.target.clone()));
    wanted.into_iter().collect()
}

/// A head that an apply refuses, because it would put older code over newer.
pub(crate) struct Older {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Older {
    fn than(head: &CommitSha, commit: &CommitSha) -> Self {
        let (head, commit) = (head.short(), commit.short());
        Self {
            what: format!("{head} does not hold {commit}, which was applied: older code is never put over newer"),
            hint: format!("check out a commit that holds it (git merge {commit}), or revert it with a new commit"),
        }
    }
}

/// Refuses a head that is older than what was applied.
pub(super) fn never_older(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    head: &CommitSha,
    scene: &Arc<Scene>,
) -> Result<(), Failure> {
    match older(world, scenes, history, head, scene)? {
        Some(older) => Err(Failure::World(older.what, Some(older.hint))),
        None => Ok(()),
    }
}

/// Newer code never goes below older: the head must hold the commit of every open rollout, and for each target that it would
/// change what that target was brought to, or was begun with. A commit on another line that changed nothing of the target binds nobody.
pub(crate) fn older(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    head: &CommitSha,
    scene: &Arc<Scene>,
) -> Result<Option<Older>, Failure> {
    for commit in history.rollouts().map(|progress| CommitSha(progress.rollout().commit.clone())) {
        if !world.workspace.is_ancestor(&commit, head)? {
            return Ok(Some(Older::than(head, &commit)));
        }
    }

    let work = since_applied(scenes, history, scene, &Selector::default())?;
    let mut at: BTreeMap<CommitSha, BTreeSet<TargetId>> = BTreeMap::new();
    for pending in &work.pending {
        let brought = commit_of(history, &pending.target).filter(|_| !pending.reasons.is_empty());
        let begun = pending.names().filter_map(|id| history.begun_at(&id).cloned());
        for commit in brought.into_iter().chain(begun) {
            at.entry(CommitSha(commit)).or_default().extend(pending.names());
        }
    }
    for (commit, targets) in at {
        if world.workspace.is_ancestor(&commit, head)? {
            continue;
        }
        let fork = scenes.at(&world.workspace.merge_base(&commit, head)?)?;
        let there = between(Some(&fork), &scenes.at(&commit)?, &Selector::default());
        if there.pending.iter().any(|pending| targets.contains(&pending.target.id)) {
            return Ok(Some(Older::than(head, &commit)));
        }
    }
    Ok(None)
}
