//! Who may write: one file a lease in the tree of the ref, named by its epoch. Taken and given back by pushes, so that of two who
//! want a target one is refused; whoever finds the file of its epoch gone is not the owner any more.

use super::fault::git_failed;
use super::known::Known;
use crate::stack::TargetId;
use crate::store::life::{Here, Life, Trace};
use crate::store::{Holder, StoreError};
use git2::Repository;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What the file of a lease says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LeaseFile {
    pub(super) epoch: u64,
    pub(super) holder: Holder,
    pub(super) targets: Vec<TargetId>,
    pub(super) trace: Trace,
}

impl LeaseFile {
    pub(super) fn text(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a lease holds only strings and numbers")
    }

    pub(super) fn life(&self, here: &Here) -> Life {
        here.life(&self.holder, &self.trace)
    }
}

/// Every lease in the tree, whoever lives, oldest first.
pub(super) fn all(place: &str, repository: &Repository, known: &Known) -> Result<Vec<LeaseFile>, StoreError> {
    let read = |(epoch, blob): (&u64, &git2::Oid)| {
        let blob = repository.find_blob(*blob).map_err(|error| git_failed(place, "reading a lease", &error))?;
        serde_json::from_slice(blob.content()).map_err(|error| StoreError::Io {
            what: format!("the lease with epoch {epoch} at {place} cannot be read: {error}"),
            hint: Some("a newer isobar may have taken it: use that version".into()),
        })
    };
    known.leases.iter().map(read).collect()
}

/// Returns the leases whose owners are proven to have ended; refuses when somebody else has one of `wanted`.
pub(super) fn ended(held: Vec<LeaseFile>, wanted: &BTreeSet<&TargetId>, here: &Here) -> Result<Vec<LeaseFile>, StoreError> {
    let mut ended = Vec::new();
    for lease in held {
        let life = lease.life(here);
        if life == Life::Ended {
            ended.push(lease);
        } else if let Some(target) = lease.targets.into_iter().find(|target| wanted.contains(target)) {
            return Err(StoreError::Held { target, holder: Box::new(lease.holder), is_proven: life == Life::Lives });
        }
    }
    Ok(ended)
}
