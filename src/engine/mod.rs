//! The engines. They know stacks and changes; not reviews, rollouts or each other.

mod contract;
mod documents;

pub use contract::{Boxed, Engine, Engines, Failure, Job, Sources};

/// Every engine in this binary, by the name of its section.
pub fn all() -> Engines {
    Engines::new(vec![std::sync::Arc::new(documents::Documents::default())])
}
