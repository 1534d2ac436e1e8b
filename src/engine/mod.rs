//! The engines. They know stacks and changes; not reviews, rollouts or each other.

mod contract;
mod documents;

pub use contract::{Boxed, Engine, Engines, Failure, Job, Sources};

use crate::bucket::Buckets;
use std::sync::Arc;

/// Every engine in this binary, by the name of its section; those that publish to object storage do it through `buckets`.
pub fn all(buckets: &Buckets) -> Engines {
    Engines::new(vec![Arc::new(documents::Documents::new(buckets.clone()))])
}
