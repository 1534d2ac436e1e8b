//! The pull-request comment: one, readable, within a byte budget, destructive changes never folded away.

use super::Report;

/// The default budget of a comment in bytes of UTF-8.
pub const COMMENT_BYTES: usize = 60_000;

/// A composed comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub body: String,
    /// The whole text, when `body` had to be shortened: for the step summary.
    pub whole: Option<String>,
}

/// Composes the comment within `budget` bytes; what never shrinks comes first, then the rest is filled up.
pub fn comment(_report: &Report, _budget: usize) -> Comment {
    todo!()
}
