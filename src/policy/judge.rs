//! The judgement.

use super::{Facts, Verdict};

/// Judges every subject, in the order given. Rules, approvals, freezes and clearances of the past; nothing else.
pub fn judge(_facts: &Facts<'_>) -> Vec<Verdict> {
    todo!()
}
