//! Where the journal lives. Stores keep entries in order and hand out leases; they do not know what an entry means.

mod after;
mod audit;
mod blocking;
#[cfg(test)]
mod cases;
mod contract;
#[cfg(test)]
mod decided;
mod file;
mod git;
mod group;
#[cfg(test)]
mod interleaved;
#[cfg(test)]
mod leased;
mod leases;
mod life;
mod location;
mod memory;
#[cfg(test)]
mod model;
mod object;
#[cfg(test)]
mod places;
mod recent;
mod sets;
mod together;
mod turn;
mod wish;

pub use after::After;
pub use audit::{Anchor, Audit, Compacted, Finding, Unproven};
pub use contract::{Append, Boxed, Held, Holder, Job, Lease, Reader, Store, StoreError, Stored, Take, Written};
pub use file::FileStore;
pub use git::{Anew, GitSite, GitStore};
pub use location::Location;
pub use memory::MemoryStore;
pub use object::{ObjectSite, ObjectStore};
