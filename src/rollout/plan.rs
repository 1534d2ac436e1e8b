//! The plan: which wave holds which targets.

use super::{Gate, Settings};
use crate::change::Intent;
use crate::stack::{Fleet, Graph, TargetId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A target with what we want of it, and what else in the rollout must come first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub target: TargetId,
    pub intent: Intent,
    /// Only targets of the same rollout; for a destroy its dependents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TargetId>,
}

/// One wave: targets in parallel, then gates, then the bake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wave {
    /// Unique and readable: `staging`, `prod 1: canary`.
    pub name: Arc<str>,
    pub environment: Arc<str>,
    /// Indexes of the waves that must be verified first.
    pub after: Vec<usize>,
    pub targets: Vec<Planned>,
    pub max_parallel: usize,
    /// Failures that may happen before the wave is breached.
    pub failure_tolerance: usize,
    pub gates: Vec<Gate>,
    pub bake_secs: u64,
    /// Seconds from the wave's first start in which it must be verified; `None` for no bound.
    pub progress_deadline_secs: Option<u64>,
}

/// A rollout as planned; journalled whole, so that any later run goes on with the same plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub id: Arc<str>,
    /// The commit it brings.
    pub commit: Arc<str>,
    pub waves: Vec<Wave>,
}

/// Why no plan can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError(pub String);

impl Rollout {
    /// Puts `targets` in waves. `graph` orders converging targets; `graph_before`, of the last applied definitions, orders destroys,
    /// dependents first.
    pub fn plan(
        _id: Arc<str>,
        _commit: Arc<str>,
        _settings: &Settings,
        _fleet: &Fleet,
        _targets: Vec<(TargetId, Intent, u32)>,
        _graph: &Graph,
        _graph_before: Option<&Graph>,
    ) -> Result<Self, PlanError> {
        todo!()
    }
}
