//! Which target waits for which: the dependency graph of a fleet. Cycles were refused when the fleet was read.

use super::{Fleet, TargetId};

/// Dependencies and dependents of every target.
#[derive(Clone, Debug, Default)]
pub struct Graph {}

impl Graph {
    /// Builds the graph in O(targets + dependencies).
    pub fn of(_fleet: &Fleet) -> Self {
        todo!()
    }

    /// Returns what `target` waits for, in a stable order; empty for an unknown target.
    pub fn dependencies(&self, _target: &TargetId) -> &[TargetId] {
        todo!()
    }

    /// Returns what waits for `target`.
    pub fn dependents(&self, _target: &TargetId) -> &[TargetId] {
        todo!()
    }
}
