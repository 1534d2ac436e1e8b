//! What moved without us: previews of unchanged code against history.

use crate::change::{Preview, Unseen};
use crate::journal::History;
use crate::stack::TargetId;
use std::sync::Arc;

pub use crate::journal::Class;

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
