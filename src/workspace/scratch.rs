//! Making history: a scratch repository for the demo. Nothing here is called on a user's own repository.

use super::{Workspace, WorkspaceError, git, sha};
use crate::review::CommitSha;
use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, build::CheckoutBuilder};
use std::path::Path;

impl Workspace {
    /// Makes a repository with the branch `main` in `dir`, in which `author` works.
    pub fn init(dir: &Path, author: &str) -> Result<Self, WorkspaceError> {
        let mut options = RepositoryInitOptions::new();
        options.initial_head("main").mkpath(true).external_template(false);
        let repository = Repository::init_opts(dir, &options).map_err(git("making a repository"))?;
        let named = repository.config().and_then(|mut config| {
            config.set_str("user.name", author)?;
            config.set_str("user.email", &email(author))
        });
        named.map_err(git("naming the author"))?;
        Self::open(dir)
    }

    /// Commits everything that is not ignored, as `author`.
    pub fn commit_all(&self, message: &str, author: &str) -> Result<CommitSha, WorkspaceError> {
        let repository = self.lock();
        let mut index = repository.index().map_err(git("reading the index"))?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None).and_then(|()| index.write()).map_err(git("staging the files"))?;
        let tree = index.write_tree().and_then(|id| repository.find_tree(id)).map_err(git("writing the tree"))?;
        let who = signature(author)?;
        let parent = repository.head().and_then(|head| head.peel_to_commit()).ok();
        let parents: Vec<_> = parent.iter().collect();
        repository.commit(Some("HEAD"), &who, &who, message, &tree, &parents).map(sha).map_err(git("committing"))
    }

    /// Makes a branch at `HEAD` and checks it out.
    pub fn new_branch(&self, name: &str) -> Result<(), WorkspaceError> {
        let repository = self.lock();
        let head = repository.head().and_then(|head| head.peel_to_commit()).map_err(git("reading HEAD"))?;
        repository.branch(name, &head, false).map(drop).map_err(git("making a branch"))?;
        repository.set_head(&format!("refs/heads/{name}")).map_err(git("switching to the branch"))
    }

    /// Checks out the branch `name`.
    pub fn switch(&self, name: &str) -> Result<(), WorkspaceError> {
        let repository = self.lock();
        repository.set_head(&format!("refs/heads/{name}")).map_err(git("switching to the branch"))?;
        repository.checkout_head(Some(CheckoutBuilder::new().force())).map_err(git("checking out the branch"))
    }

    /// Merges the branch `name` into the one that is checked out, with a merge commit by `author`.
    pub fn merge_branch(&self, name: &str, author: &str) -> Result<CommitSha, WorkspaceError> {
        let repository = self.lock();
        let ours = repository.head().and_then(|head| head.peel_to_commit()).map_err(git("reading HEAD"))?;
        let theirs = repository.find_branch(name, git2::BranchType::Local).and_then(|branch| branch.get().peel_to_commit());
        let theirs = theirs.map_err(git("finding the branch"))?;
        let mut index = repository.merge_commits(&ours, &theirs, None).map_err(git("merging"))?;
        let tree = index.write_tree_to(&repository).and_then(|id| repository.find_tree(id)).map_err(git("writing the tree"))?;
        let who = signature(author)?;
        let message = format!("Merge {name}");
        let merged =
            repository.commit(Some("HEAD"), &who, &who, &message, &tree, &[&ours, &theirs]).map_err(git("committing"))?;
        repository.checkout_head(Some(CheckoutBuilder::new().force())).map_err(git("checking out the merge"))?;
        Ok(sha(merged))
    }
}

fn signature(author: &str) -> Result<Signature<'static>, WorkspaceError> {
    Signature::now(author, &email(author)).map_err(git("signing"))
}

fn email(author: &str) -> String {
    format!("{author}@example.com")
}
