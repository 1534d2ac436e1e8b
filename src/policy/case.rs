//! What a rule is shown, and what it may answer.

use super::Subject;
use super::quorum::Requirement;
use crate::change::Extent;
use std::sync::Arc;

/// One target before one rule.
pub(super) struct Case<'a> {
    pub(super) subject: &'a Subject<'a>,
    /// What is judged, as a whole.
    pub(super) change: Extent,
    /// The change as a whole: that, with what was brought before of the change that left the target behind.
    pub(super) whole: Extent,
    pub(super) now_ms: u64,
}

/// What a rule says of a case that it matches.
#[derive(Debug, PartialEq)]
pub(super) enum Finding {
    /// Nothing against it.
    Silent,
    Deny(String),
    Wait(String),
    /// People must approve it.
    Ask(Arc<[Requirement]>),
}
