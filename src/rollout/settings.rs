//! The fleet's `rollout` section, read.

use crate::stack::{Fleet, Mistakes};

/// Rollout settings per environment, in rollout order.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {}

impl Settings {
    /// Reads the fleet's `rollout` section; an environment it does not name is `instant`. Every mistake at once: unknown
    /// environments and profiles, circles in `after`, waves that match no region.
    pub fn read(_fleet: &Fleet, _mistakes: &mut Mistakes) -> Self {
        todo!()
    }
}
