//! What a ref names, what is asked of it, and how that ended. Knows no way to it.

use super::fault::git_failed;
use crate::store::StoreError;
use git2::{ErrorCode, Oid, Repository};
use std::path::PathBuf;

/// The commit that the ref names; `None` when there is no such ref.
pub(super) type Tip = Option<Oid>;

/// One ref that is to be changed.
pub(super) struct Update<'a> {
    pub(super) reference: &'a str,
    /// `None` removes it.
    pub(super) new: Option<Oid>,
    /// What it must be now.
    pub(super) old: Old,
}

/// What a ref must be for an update of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Old {
    /// This, or not there: else somebody was first.
    Just(Tip),
    /// Whatever it is.
    Any,
}

/// How a push ended.
#[derive(Debug)]
pub(super) enum Pushed {
    Done,
    /// Somebody else was first: nothing was changed. The file is git's lock of the ref, where that was in the way.
    Lost(Option<PathBuf>),
    /// The answer was lost.
    Unsure(StoreError),
}

/// A ref that cannot be read is an error, never one that is not there.
pub(super) fn find(place: &str, repository: &Repository, reference: &str) -> Result<Tip, StoreError> {
    match repository.refname_to_id(reference) {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(git_failed(place, "reading the ref", &error)),
    }
}
