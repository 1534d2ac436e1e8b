//! What can go wrong with a ref, said with the next step. Knows the words of libgit2 and of `git`; not what was asked of them.

use crate::store::StoreError;
use git2::{Error, ErrorClass, ErrorCode};

/// For whoever is not let in to write.
pub(super) const MAY_NOT_WRITE: &str = "the journal is pushed: on GitHub Actions give the job `permissions: contents: write` and \
    GITHUB_TOKEN in its environment; elsewhere use credentials that may push; or set another `journal:` in isobar.yaml";

/// The journal is not what was written.
pub(super) fn broken(place: &str, what: impl Into<String>) -> StoreError {
    StoreError::Broken { place: place.into(), what: what.into() }
}

/// What libgit2 could not do. An object that is not what its name says, or not there, is a journal that is broken.
pub(super) fn git_failed(place: &str, doing: &str, error: &Error) -> StoreError {
    let said = error.message();
    let lost = match error.class() {
        ErrorClass::Odb | ErrorClass::Object | ErrorClass::Tree | ErrorClass::Zlib => true,
        ErrorClass::Reference => error.code() != ErrorCode::NotFound,
        _ => false, // the classes of libgit2 are not ours to list
    };
    let on_disk = ["No space left", "Permission denied", "Operation not permitted", "Read-only file system"];
    if lost && !on_disk.iter().any(|words| said.contains(words)) {
        return broken(place, format!("{doing}: {said}"));
    }
    let hint = match () {
        () if said.contains("No space left") => "free some space on that disk, then run the same command again",
        () if said.contains("Read-only file system") => "the disk is read-only: set another `journal:` in isobar.yaml",
        () if said.contains("ermi") && on_disk.iter().any(|words| said.contains(words)) => MAY_NOT_WRITE,
        () if error.code() == ErrorCode::Owner => {
            "the repository belongs to another user: git config --global --add safe.directory DIR"
        }
        () if error.code() == ErrorCode::NotFound => {
            "there is no git repository: see the url of `origin`, or `journal:` in isobar.yaml"
        }
        () => "see whether the repository is sound (git fsck), then run the same command again",
    };
    StoreError::Io { what: format!("{doing} at {place}: {said}"), hint: Some(hint.into()) }
}

/// The same, of something whose effect nobody knows.
pub(super) fn in_doubt(error: StoreError) -> StoreError {
    match error {
        StoreError::Io { what, hint } => {
            StoreError::Io { what: format!("{what}; it is not sure whether it was journalled"), hint }
        }
        other @ (StoreError::Held { .. } | StoreError::Fenced(_) | StoreError::Broken { .. } | StoreError::Newer(_)) => other,
    }
}
