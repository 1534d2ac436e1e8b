//! What must hold before a wave counts as verified.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One gate; the runner asks it, the rollout only knows the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Gate {
    /// A GET that must answer with a status of 200 to 299.
    Http { url: Arc<str>, timeout_secs: u64 },
    /// A program that must exit with 0; an argument vector, no shell. Runs in the repository's root.
    Command { argv: Vec<Arc<str>>, timeout_secs: u64 },
}
