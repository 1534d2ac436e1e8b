//! How a target and a rollout end.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The outcome of one target in one rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Applied,
    /// The fresh preview was empty.
    Unchanged,
    Failed(Arc<str>),
    /// Not applied, with the reason: waits for approval, a dependency failed, its region is held, …
    Skipped(Arc<str>),
}

/// How a rollout ended, or why it goes no further now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every target has an outcome and no tolerance was breached.
    Complete,
    /// A breach or a failed gate; the targets not reached are held until `resume` or a revert.
    Stopped(Arc<str>),
}
