//! Covered: a fresh preview holds nothing that was not cleared. Nothing happens which nobody saw, and nothing waits for ever.

use super::{Change, ChangeMark};

/// A fresh change that no clearance covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Extra {
    pub change: ChangeMark,
    /// "not in what was approved", "approved, but from another starting point".
    pub why: &'static str,
}

/// Returns the changes of `fresh` that go beyond what was `cleared` since the target's last apply; empty means covered.
///
/// A change is covered by a cleared one of the same address, kind, action and after, whose before is the same or is what a cleared
/// change of that address produced. Less than was cleared is covered too, except that a remainder that deletes or replaces
/// needs our own recorded start (`started`). Unbound changes are never covered.
pub fn beyond(_fresh: &[Change], _cleared: &[ChangeMark], _started: bool) -> Vec<Extra> {
    todo!()
}
