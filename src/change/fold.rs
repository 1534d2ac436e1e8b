//! Where it is the same: targets whose changes are equal once each region's own values are replaced by names are one group.
//! For reading only; approvals bind to the exact digests.

use super::{Preview, TextDiff};
use crate::stack::{StackName, TargetId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The region's own values and their names: `("{region.name}", "eu-west-1")`, `("{region.vars.cidr}", "10.2.0.0/16")`.
pub type Names = BTreeMap<TargetId, Vec<(Arc<str>, Arc<str>)>>;

/// Every changed target in exactly one group, stack by stack, the largest group of a stack first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    pub groups: Vec<Group>,
}

/// Targets of one stack with equal changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub stack: StackName,
    /// A for the largest of the stack, then B, C … Z, AA.
    pub letter: Arc<str>,
    /// In the order of the previews given.
    pub targets: Vec<TargetId>,
    /// The changes with the regions' values replaced by names.
    pub preview: Preview,
    /// The substituted values that differ between the members: name, then each target's value.
    pub values: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// For any but the largest group: each differing address, with the difference between A's lines and its own.
    pub differs: Vec<(Arc<str>, TextDiff)>,
    /// The number of lines in `differs` that are not the same.
    pub differs_lines: usize,
}

/// Folds the previews that change something. The order of `previews` is the fleet's and decides ties.
pub fn fold(_previews: &[Preview], _names: &Names) -> Fold {
    todo!()
}
