//! Why something failed, in one sentence, with the next step. The same cause in many targets is one finding.

use std::sync::Arc;

/// A cause that was recognised in an engine's text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// Stable name: `permission`, `disk_full`, `template`.
    pub name: &'static str,
    pub sentence: Arc<str>,
    pub next_step: Arc<str>,
}

/// Explains an engine's text; text that no rule knows is told as it is.
pub fn explain(_engine: &str, _text: &str) -> Cause {
    todo!()
}
