//! What moved without us: previews of unchanged code against history.

use crate::change::{Preview, Unseen};
use crate::journal::History;
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why reality is not what the code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Somebody changed what we made.
    OutOfBand,
    /// Somebody removed what we made.
    Missing,
    /// Somebody added what we did not make.
    Unmanaged,
    /// Nobody touched it: our own code was merged and not applied.
    UnappliedCommit,
    /// We could not look; not the same as clean.
    NotChecked,
}

/// The same drift, in however many targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub class: Class,
    pub stack: Arc<str>,
    /// Addresses in it, sorted; empty for `NotChecked`.
    pub addresses: Vec<Arc<str>>,
    /// In the order of the previews.
    pub targets: Vec<TargetId>,
    /// For `NotChecked`: why.
    pub why: Option<Arc<str>>,
}

/// All that was found, most targets first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    pub findings: Vec<Finding>,
    /// Targets looked at.
    pub checked: usize,
}

impl Drift {
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Compares what engines say of unchanged code with history. One entry a target: seen, or why not.
pub fn compare(_history: &History, _previews: &[Result<Preview, Unseen>]) -> Drift {
    todo!()
}
