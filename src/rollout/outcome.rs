//! How a target and a rollout end.

use crate::stack::TargetId;
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
    /// Not applied, because policy waits or denies: its sentence.
    NotCleared(Arc<str>),
    /// Not applied for another reason: a dependency failed, its region is held, …
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

/// How the reason of a target begins that is skipped because its region is held.
const HELD: &str = "region held";

/// The reason of a target that is skipped because it is not tried again by itself.
pub const STUCK: &str = "failed before with the same changes; after mending the cause: isobar resume, then isobar apply";

impl Outcome {
    /// Returns the outcome of a target whose region is held; `how_long` is "until 14:00 UTC: power works".
    pub fn held(how_long: &str) -> Self {
        Self::Skipped(format!("{HELD} {how_long}").into())
    }

    /// Why `behind` is skipped, which had to come after the held target `first`: the hold itself in the same region, else whose it is.
    pub(super) fn held_on(&self, first: &TargetId, behind: &TargetId) -> Arc<str> {
        match self {
            Self::Skipped(why) if first.region == behind.region => why.clone(),
            Self::Applied | Self::Unchanged | Self::Failed(_) | Self::NotCleared(_) | Self::Skipped(_) => {
                format!("{HELD}: that of {first}, which comes first").into()
            }
        }
    }

    /// The target is what the rollout brings.
    pub fn is_reached(&self) -> bool {
        match self {
            Self::Applied | Self::Unchanged => true,
            Self::Failed(_) | Self::NotCleared(_) | Self::Skipped(_) => false,
        }
    }

    /// Skipped because it failed before with the same changes, in this run or an earlier one of the rollout.
    pub fn is_stuck(&self) -> bool {
        matches!(self, Self::Skipped(why) if **why == *STUCK)
    }

    /// Skipped because its region is held, or that of what comes before it: nothing is known against the change, so the stack goes
    /// on elsewhere.
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Skipped(why) if why.starts_with(HELD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_region_is_told_from_other_reasons_to_skip() {
        assert!(Outcome::held("until released: power works").is_held());
        assert!(!Outcome::Skipped("dependency a@prod/us failed".into()).is_held());
        assert!(!Outcome::Applied.is_held());
        assert!(Outcome::Skipped(STUCK.into()).is_stuck() && !Outcome::Failed(STUCK.into()).is_stuck());
    }
}
