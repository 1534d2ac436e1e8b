//! How commits follow each other: branches, merge bases, lines of first parents, versions of a file.

use super::object::{find_commit, mode_of};
use super::{Snapshot, Workspace, WorkspaceError, git, sha};
use crate::review::CommitSha;
use crate::stack::{BlobId, Leaf, Listing};
use git2::{ObjectType, Oid};
use std::collections::{BTreeMap, BTreeSet};

/// Commits that [`Workspace::first_parents`] and [`Workspace::earlier_with`] walk at most.
const WALK_MAX: usize = 10_000;

/// Commits that [`Workspace::versions`] looks at, newest first: looking further would cost every command of an old monorepo.
const VERSIONS_WALK_MAX: usize = 2_000;

impl Workspace {
    /// Resolves `rev` to a commit.
    pub fn commit(&self, rev: &str) -> Result<CommitSha, WorkspaceError> {
        Ok(sha(find_commit(&self.lock(), rev)?.id()))
    }

    pub fn head(&self) -> Result<CommitSha, WorkspaceError> {
        self.commit("HEAD")
    }

    /// Returns the branch that is checked out; `None` when detached or unborn.
    pub fn branch(&self) -> Option<String> {
        let repository = self.lock();
        let head = repository.head().ok()?;
        head.is_branch().then(|| head.shorthand().ok().map(str::to_string)).flatten()
    }

    /// Returns the default branch: what `origin/HEAD` names, else `main`, else `master`, whichever exists; as a revision.
    pub fn default_branch(&self) -> Option<String> {
        let repository = self.lock();
        if let Ok(remote) = repository.find_reference("refs/remotes/origin/HEAD")
            && let Ok(Some(name)) = remote.symbolic_target()
            && let Some(branch) = name.strip_prefix("refs/remotes/origin/")
        {
            return Some(branch.to_string());
        }
        ["main", "master"]
            .into_iter()
            .find(|name| repository.find_branch(name, git2::BranchType::Local).is_ok())
            .map(str::to_string)
    }

    /// Returns the newest commit that both sides have.
    pub fn merge_base(&self, one: &CommitSha, other: &CommitSha) -> Result<CommitSha, WorkspaceError> {
        let repository = self.lock();
        let (one_id, other_id) = (find_commit(&repository, &one.0)?.id(), find_commit(&repository, &other.0)?.id());
        let base = repository.merge_base(one_id, other_id).map_err(|_| WorkspaceError {
            what: format!("{} and {} have no commit in common here", one.short(), other.short()),
            hint: repository
                .is_shallow()
                .then(|| "this clone is shallow: git fetch --deepen=200 (or fetch-depth: 0 in actions/checkout)".to_string()),
        })?;
        Ok(sha(base))
    }

    /// `old` is `new` or one of its ancestors.
    pub fn is_ancestor(&self, old: &CommitSha, new: &CommitSha) -> Result<bool, WorkspaceError> {
        if old == new {
            return Ok(true);
        }
        let repository = self.lock();
        let (old_id, new_id) = (find_commit(&repository, &old.0)?.id(), find_commit(&repository, &new.0)?.id());
        repository.graph_descendant_of(new_id, old_id).map_err(git("walking the history"))
    }

    /// Returns the commits of the first-parent line from `new` down to, not including, `old`; newest first. The whole line
    /// when `old` is `None` or not on it.
    pub fn first_parents(&self, old: Option<&CommitSha>, new: &CommitSha) -> Result<Vec<CommitSha>, WorkspaceError> {
        let repository = self.lock();
        let mut line = Vec::new();
        let mut next = Some(find_commit(&repository, &new.0)?);
        while let Some(commit) = next.take() {
            let id = sha(commit.id());
            if Some(&id) == old || line.len() == WALK_MAX {
                break;
            }
            line.push(id);
            next = commit.parent(0).ok();
        }
        Ok(line)
    }

    /// Returns the commits before `new`, on its line of first parents, that hold a file at `path`; newest first, at most `max`.
    pub fn earlier_with(&self, path: &str, new: &CommitSha, max: usize) -> Result<Vec<CommitSha>, WorkspaceError> {
        let repository = self.lock();
        let new = find_commit(&repository, &new.0)?;
        let line = std::iter::successors(new.parent(0).ok(), |commit| commit.parent(0).ok()).take(WALK_MAX);
        let mut found = Vec::new();
        for commit in line {
            let tree = commit.tree().map_err(git("reading the tree"))?;
            if tree.get_name(path).is_some_and(|entry| entry.kind() != Some(ObjectType::Tree)) {
                found.push(sha(commit.id()));
            }
            if found.len() == max {
                break;
            }
        }
        Ok(found)
    }

    /// Returns every version of the file `path` that the newest commits up to `HEAD` hold, each as a snapshot of that file alone.
    pub fn versions(&self, path: &str) -> Result<Vec<Snapshot>, WorkspaceError> {
        let Ok(head) = self.head() else { return Ok(Vec::new()) };
        let repository = self.lock();
        let mut walk = repository.revwalk().map_err(git("walking the history"))?;
        walk.push(find_commit(&repository, &head.0)?.id()).map_err(git("walking the history"))?;
        let mut seen: BTreeSet<Oid> = BTreeSet::new();
        let mut found = Vec::new();
        for id in walk.take(VERSIONS_WALK_MAX) {
            let commit = id.and_then(|id| repository.find_commit(id)).map_err(git("walking the history"))?;
            let tree = commit.tree().map_err(git("reading the tree"))?;
            let Some(entry) = tree.get_name(path).filter(|entry| entry.kind() != Some(ObjectType::Tree)) else { continue };
            if seen.insert(entry.id()) {
                let leaf = Leaf { path: path.into(), mode: mode_of(entry.filemode()), id: BlobId(entry.id().to_string().into()) };
                let (commit, listing) = (Some(sha(commit.id())), Listing::new(vec![leaf]));
                found.push(Snapshot { commit, listing, dirty: Vec::new(), loose: BTreeMap::new() });
            }
        }
        Ok(found)
    }
}
