//! What can go wrong with a ref, said with the next step. Knows the words of libgit2 and of `git`; not what was asked of them.

use crate::store::StoreError;
use crate::store::blocking::IN_DOUBT;
use git2::{Error, ErrorClass, ErrorCode};

/// For whoever is not let in to write.
pub(super) const MAY_NOT_WRITE: &str = "the journal is pushed: on GitHub Actions give the job `permissions: contents: write` and \
    GITHUB_TOKEN in its environment; elsewhere use credentials that may push; or set another `journal:` in isobar.yaml";

/// The journal is not what was written.
pub(super) fn broken(place: &str, what: impl Into<String>) -> StoreError {
    StoreError::Broken { place: place.into(), what: what.into() }
}

/// What libgit2 could not do. An object that is not what its name says, of another kind, or not there, is a journal that is broken.
pub(super) fn git_failed(place: &str, doing: &str, error: &Error) -> StoreError {
    let said = error.message();
    let lost = match error.class() {
        ErrorClass::Odb | ErrorClass::Object | ErrorClass::Tree | ErrorClass::Zlib => true,
        ErrorClass::Reference => error.code() != ErrorCode::NotFound,
        ErrorClass::Invalid => error.code() == ErrorCode::NotFound, // it is there, and of another kind than was asked for
        _ => false,                                                 // the classes of libgit2 are not ours to list
    };
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    let (full, read_only) = (says(&["No space left"]), says(&["Read-only file system"]));
    let forbidden = says(&["Permission denied", "Operation not permitted"]);
    if lost && !full && !read_only && !forbidden {
        return broken(place, format!("{doing}: {said}"));
    }
    let hint = match error.code() {
        _ if full => "free some space on that disk, then run the same command again",
        _ if read_only => "the disk is read-only: set another `journal:` in isobar.yaml",
        _ if forbidden => MAY_NOT_WRITE,
        ErrorCode::Owner => "the repository belongs to another user: git config --global --add safe.directory DIR",
        ErrorCode::NotFound if matches!(error.class(), ErrorClass::Repository | ErrorClass::Os) => {
            "there is no git repository: see the url of `origin`, or `journal:` in isobar.yaml; when it is gone and `journal:` still \
                names it, name another place there first, and commit that"
        }
        _ => "see whether the repository is sound (git fsck), then run the same command again",
    };
    StoreError::Io { what: format!("{doing} at {place}: {said}"), hint: Some(hint.into()) }
}

/// The same, of something whose effect nobody knows.
pub(super) fn in_doubt(error: StoreError) -> StoreError {
    match error {
        StoreError::Io { what, hint } => StoreError::Io { what: format!("{what}; {IN_DOUBT}"), hint },
        other @ (StoreError::Held { .. } | StoreError::Fenced(_) | StoreError::Broken { .. } | StoreError::Newer(_)) => other,
    }
}
