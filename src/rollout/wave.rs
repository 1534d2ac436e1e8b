//! What a plan is made of: targets in waves, as it is journalled.

use super::Gate;
use crate::change::{Extent, Intent};
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::fmt;
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
    /// 0 for a wave that no other waits for: a last bake would delay nothing but the end.
    pub bake_secs: u64,
    /// Seconds from the wave's first start, or from the next one after it had nothing to do but wait for others, in which it must be
    /// verified; `None` for no bound.
    pub progress_deadline_secs: Option<u64>,
    /// An earlier rollout brought targets of it and did not come to the end of its gates and bake: they are due though nothing of it
    /// is started again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
}

/// A rollout as planned; journalled whole, so that any later run goes on with the same plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub id: Arc<str>,
    /// The commit it brings.
    pub commit: Arc<str>,
    pub waves: Vec<Wave>,
    /// What the whole change was when it was planned, where a rule counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Extent>,
    /// The other targets of that change, which this rollout leaves out; `None` where it brings no change, or nothing counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Vec<TargetId>>,
}

/// Why no plan can be made, with the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError(pub String);

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlanError {}
