//! Who may write: one file a lease in the tree of the ref, named by its epoch. Taken and given back by pushes, so that of two who
//! want a target one is refused; whoever finds the file of its epoch gone is not the owner any more.

use super::fault::git_failed;
use super::known::Known;
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use git2::{Oid, Repository};

/// Every lease in the tree, whoever lives, oldest first.
pub(super) fn all(place: &str, repository: &Repository, known: &Known) -> Result<Vec<LeaseFile>, StoreError> {
    let mut known_before = known.read_leases.take();
    let mut all = Vec::new();
    for (epoch, blob) in &known.leases {
        let lease = match known_before.remove(blob) {
            Some(lease) => lease,
            None => read(place, repository, *epoch, *blob)?,
        };
        known.read_leases.borrow_mut().insert(*blob, lease.clone());
        all.push(lease);
    }
    Ok(all)
}

fn read(place: &str, repository: &Repository, epoch: u64, blob: Oid) -> Result<LeaseFile, StoreError> {
    let blob = repository.find_blob(blob).map_err(|error| git_failed(place, "reading a lease", &error))?;
    serde_json::from_slice(blob.content()).map_err(|error| StoreError::Io {
        what: format!("the lease with epoch {epoch} at {place} cannot be read: {error}"),
        hint: Some("a newer isobar may have taken it: use that version".into()),
    })
}
