//! Where the journal lives. Stores keep entries in order and hand out leases; they do not know what an entry means.

#[cfg(test)]
mod cases;
mod contract;
mod file;
mod memory;

pub use contract::{Boxed, Held, Holder, Lease, Store, StoreError, Stored};
pub use file::FileStore;
pub use memory::MemoryStore;
