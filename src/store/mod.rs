//! Where the journal lives. Stores keep entries in order and hand out leases; they do not know what an entry means.

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

pub use audit::{Anchor, Audit, Compacted, Finding};
pub use contract::{After, Append, Bears, Boxed, Held, Holder, Job, Lease, Reader, Store, StoreError, Stored, Take, Written};
pub use file::FileStore;
pub use git::{Anew, GitSite, GitStore};
pub use location::Location;
pub use memory::MemoryStore;
pub use object::{ObjectSite, ObjectStore};
