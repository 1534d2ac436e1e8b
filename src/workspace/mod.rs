//! Git: what files a commit, a merge or the dirty tree holds, and how commits follow each other. Knows no policy and not
//! what a region is. Everything is read from git objects; the working tree is looked at only for what is not committed.

mod history;
mod object;
mod people;
mod program;
mod scratch;
mod snapshot;

pub use history::{Earlier, UNSHALLOW};

use crate::review::CommitSha;
use crate::stack::Listing;
use git2::{ConfigLevel, ErrorCode, Oid, Repository};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What git could not do, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct WorkspaceError {
    pub what: String,
    pub hint: Option<String>,
}

/// A repository and its working tree.
pub struct Workspace {
    root: PathBuf,
    repository: Mutex<Repository>,
    /// The same repository for merges: what they write stays in memory, as nobody asked to keep it.
    merges: Mutex<Repository>,
}

/// The files of one commit, one merge, or the working tree.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `None` for a merge made in memory and for a dirty tree.
    pub commit: Option<CommitSha>,
    pub listing: Listing,
    /// Paths that are not committed, sorted; empty for a commit.
    pub dirty: Vec<Arc<str>>,
    /// Bytes that are in no git object.
    loose: BTreeMap<Arc<str>, Arc<[u8]>>,
}

/// A head merged into its base.
pub enum Merged {
    Clean(Box<Snapshot>),
    /// The paths in conflict, sorted.
    Conflict(Vec<Arc<str>>),
}

impl Workspace {
    /// Opens the repository that holds `dir`.
    pub fn open(dir: &Path) -> Result<Self, WorkspaceError> {
        let repository = Repository::discover(dir).map_err(|error| cannot_open(dir, &error))?;
        let Some(root) = repository.workdir().map(Path::to_path_buf) else {
            return Err(WorkspaceError {
                what: format!("{} is a bare repository", dir.display()),
                hint: Some("use a checkout of it".into()),
            });
        };
        let merges = Repository::open(repository.path()).map_err(git("opening the repository again"))?;
        merges.odb().and_then(|odb| odb.add_new_mempack_backend(1_000).map(drop)).map_err(git("preparing the object store"))?;
        Ok(Self { root, repository: Mutex::new(repository), merges: Mutex::new(merges) })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the address of the remote `origin`, as git's configuration resolves it.
    pub fn origin(&self) -> Option<String> {
        let repository = self.lock();
        let origin = repository.find_remote("origin").ok()?;
        origin.url().ok().map(str::to_string)
    }

    /// Says whether older commits are missing here.
    pub fn is_shallow(&self) -> bool {
        self.lock().is_shallow()
    }

    /// Says whether this repository itself has the ref `name`.
    pub fn has_reference(&self, name: &str) -> bool {
        self.lock().find_reference(name).is_ok()
    }

    /// Returns git's directory of this working tree alone.
    pub fn own_dir(&self) -> PathBuf {
        self.lock().path().to_path_buf()
    }

    /// Returns the directory that all work trees of this repository share: `.git`, outside of any work tree.
    pub fn shared_dir(&self) -> PathBuf {
        self.lock().commondir().to_path_buf()
    }

    /// Returns what this repository's own configuration says, names and values.
    pub fn settings(&self) -> Vec<(String, String)> {
        let read = || -> Result<Vec<(String, String)>, git2::Error> {
            let config = self.lock().config()?;
            let (mut found, mut entries) = (Vec::new(), config.entries(None)?);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                if let (ConfigLevel::Local | ConfigLevel::Worktree, Ok(name), Ok(value)) =
                    (entry.level(), entry.name(), entry.value())
                {
                    found.push((name.to_string(), value.to_string()));
                }
            }
            Ok(found)
        };
        read().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Repository> {
        locked(&self.repository)
    }
}

fn locked(repository: &Mutex<Repository>) -> MutexGuard<'_, Repository> {
    repository.lock().unwrap_or_else(std::sync::PoisonError::into_inner) // git2 keeps no half-made state
}

fn sha(id: Oid) -> CommitSha {
    CommitSha(id.to_string().into())
}

fn git(doing: &'static str) -> impl Fn(git2::Error) -> WorkspaceError {
    move |error| WorkspaceError { what: format!("{doing}: {}", error.message()), hint: None }
}

fn cannot_open(dir: &Path, error: &git2::Error) -> WorkspaceError {
    let hint = match error.code() {
        ErrorCode::NotFound => Some("isobar works in a git repository: git init".into()),
        ErrorCode::Owner => {
            Some(format!("the repository belongs to another user: git config --global --add safe.directory {}", dir.display()))
        }
        _ => None,
    };
    WorkspaceError { what: format!("opening the repository at {}: {}", dir.display(), error.message()), hint }
}
