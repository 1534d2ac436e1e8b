//! What an engine did.

use super::ChangeMark;
use crate::stack::TargetId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The outputs of one target as they are after an apply.
pub type Outputs = BTreeMap<Arc<str>, Value>;

/// One target that was applied to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    pub target: TargetId,
    /// The changes that were made, sorted by address.
    pub changes: Vec<ChangeMark>,
    pub outputs: Outputs,
}
