//! What a lease says where it lies on no disk of ours, and whom it keeps out. Knows no place.

use super::life::{Here, Life, Trace};
use super::{Holder, StoreError};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is written of a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
