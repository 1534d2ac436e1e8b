//! What lies in a repository by a name of git's: a commit, and the kind of a file.

use super::WorkspaceError;
use crate::stack::Mode;
use git2::Repository;

/// Finds the commit that `rev` names.
pub(super) fn find_commit<'a>(repository: &'a Repository, rev: &str) -> Result<git2::Commit<'a>, WorkspaceError> {
    let found = repository.revparse_single(rev).and_then(|object| object.peel_to_commit());
    found.map_err(|error| WorkspaceError {
        what: match error.code() {
            git2::ErrorCode::NotFound => format!("no commit {rev:?} in this repository"),
            _ => format!("no commit {rev:?} in this repository: {}", error.message()),
        },
        hint: match (error.code(), rev) {
            (_, "HEAD") => Some("nothing is committed yet: git add -A && git commit -m \"First fleet\"".into()),
            _ if repository.is_shallow() => {
                Some("this clone is shallow: git fetch --deepen=200 (or fetch-depth: 0 in actions/checkout)".into())
            }
            _ => Some("git branch --all shows what is here; git fetch brings what is not".into()),
        },
    })
}

/// The kinds of tree entries, see git-fast-import(1).
pub(super) fn mode_of(mode: i32) -> Mode {
    match mode {
        0o100_755 => Mode::Executable,
        0o120_000 => Mode::Symlink,
        0o160_000 => Mode::Submodule,
        _ => Mode::File,
    }
}
