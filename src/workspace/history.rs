//! How commits follow each other: branches, merge bases, lines of first parents, versions of a file.

use super::object::{find_commit, mode_of};
use super::{Snapshot, Workspace, WorkspaceError, git, sha};
use crate::review::CommitSha;
use crate::stack::{BlobId, Leaf, Listing};
use git2::{Commit, ObjectType, Oid, Repository};
use std::collections::{BTreeMap, BTreeSet};

/// Commits that [`Workspace::first_parents`] walks at most.
const WALK_MAX: usize = 10_000;

/// Commits that [`Workspace::earlier_with`] walks at most: some seconds, until the first apply, of a monorepo that begins with a fleet.
const EARLIER_WALK_MAX: usize = 100_000;

/// Commits that [`Workspace::versions`] looks at, newest first: looking further would cost every command of an old monorepo.
const VERSIONS_WALK_MAX: usize = 2_000;

/// What a shallow clone lacks.
pub const UNSHALLOW: &str = "this clone is shallow: git fetch --unshallow (or fetch-depth: 0 in actions/checkout)";

/// Commits that hold a file.
pub struct Earlier {
    pub commits: Vec<CommitSha>,
    /// There is no commit before those that were looked at.
    pub is_whole: bool,
}

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
    pub fn earlier_with(&self, path: &str, new: &CommitSha, max: usize) -> Result<Earlier, WorkspaceError> {
        self.earlier_within(EARLIER_WALK_MAX, path, new, max)
    }

    fn earlier_within(&self, walk_max: usize, path: &str, new: &CommitSha, max: usize) -> Result<Earlier, WorkspaceError> {
        let repository = self.lock();
        let mut next = before(&repository, &find_commit(&repository, &new.0)?)?;
        let mut commits = Vec::new();
        for _ in 0..walk_max {
            if commits.len() == max {
                break;
            }
            let Some(commit) = next else { break };
            if holds(&commit, path)? {
                commits.push(sha(commit.id()));
            }
            next = before(&repository, &commit)?;
        }
        let is_whole = next.is_none() && !repository.is_shallow();
        Ok(Earlier { commits, is_whole })
    }

    /// Returns the newest commit up to `new`, on its line of first parents, that holds no file at `path`. Nothing where all do that can be
    /// looked at.
    pub fn newest_without(&self, path: &str, new: &CommitSha) -> Result<Option<CommitSha>, WorkspaceError> {
        let repository = self.lock();
        let mut next = Some(find_commit(&repository, &new.0)?);
        for _ in 0..EARLIER_WALK_MAX {
            let Some(commit) = next else { break };
            if !holds(&commit, path)? {
                return Ok(Some(sha(commit.id())));
            }
            next = before(&repository, &commit)?;
        }
        Ok(None)
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

fn holds(commit: &Commit<'_>, path: &str) -> Result<bool, WorkspaceError> {
    let tree = commit.tree().map_err(git("reading the tree"))?;
    Ok(tree.get_name(path).is_some_and(|entry| entry.kind() != Some(ObjectType::Tree)))
}

/// The first parent, if there is one. One that cannot be read is not none.
fn before<'r>(repository: &Repository, commit: &Commit<'r>) -> Result<Option<Commit<'r>>, WorkspaceError> {
    if commit.parent_count() == 0 {
        return Ok(None);
    }
    let unread = |error: git2::Error| WorkspaceError {
        what: format!("reading the commit before {}: {}", sha(commit.id()).short(), error.message()),
        hint: Some(match repository.is_shallow() {
            true => UNSHALLOW.into(),
            false => "git fsck tells what is missing here; a fresh clone of the whole history has it".into(),
        }),
    };
    commit.parent(0).map(Some).map_err(unread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::Signature;

    /// A repository of so many commits, of which only the first has the file, and their ids.
    fn line(commits: usize) -> (tempfile::TempDir, Workspace, Vec<CommitSha>) {
        let dir = tempfile::tempdir().expect("a directory");
        let repository = Repository::init(dir.path()).expect("a repository");
        let ann = Signature::now("ann", "ann@example.com").expect("a name");
        let mut line: Vec<CommitSha> = Vec::new();
        for nth in 0..commits {
            let mut tree = repository.treebuilder(None).expect("a tree");
            let blob = repository.blob(b"text").expect("a blob");
            tree.insert(if nth == 0 { "fleet" } else { "other" }, blob, 0o100_644).expect("an entry");
            let tree = repository.find_tree(tree.write().expect("a tree")).expect("a tree");
            let parent = line.last().map(|parent| find_commit(&repository, &parent.0).expect("a commit"));
            let parents: Vec<&Commit<'_>> = parent.iter().collect();
            let id = repository.commit(Some("HEAD"), &ann, &ann, &nth.to_string(), &tree, &parents).expect("a commit");
            line.push(sha(id));
        }
        let workspace = Workspace::open(dir.path()).expect("a workspace");
        (dir, workspace, line)
    }

    #[test]
    fn a_line_that_was_not_walked_to_its_end_says_so() {
        let (_dir, workspace, line) = line(4);
        let within = |most: usize| workspace.earlier_within(most, "fleet", &line[3], 5).expect("it is whole");
        assert_eq!((within(3).commits, within(3).is_whole), (vec![line[0].clone()], true));
        assert_eq!((within(2).commits, within(2).is_whole), (vec![], false));
        let enough = workspace.earlier_within(9, "other", &line[3], 1).expect("it is whole");
        assert_eq!((enough.commits, enough.is_whole), (vec![line[2].clone()], false));
    }

    #[test]
    fn a_commit_that_cannot_be_read_does_not_end_a_line() {
        let (dir, workspace, line) = line(3);
        let (first, rest) = line[0].0.split_at(2);
        std::fs::remove_file(dir.path().join(".git/objects").join(first).join(rest)).expect("it was there");
        let error = workspace.earlier_with("fleet", &line[2], 5).err().expect("its beginning is gone");
        assert!(error.what.starts_with(&format!("reading the commit before {}", line[1].short())), "{error:?}");
        assert!(error.hint.is_some_and(|hint| hint.contains("git fsck")));
    }
}
