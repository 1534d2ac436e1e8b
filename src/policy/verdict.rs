//! A verdict says seen, wanted and missing in one sentence; a clearance is the permission that only this room can make.

use crate::change::{ChangeMark, Digest, Intent};
use crate::review::User;
use crate::stack::TargetId;
use std::sync::Arc;

/// The judgement of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub target: TargetId,
    pub digest: Digest,
    pub answer: Answer,
    /// "1 of 2 approvals: alice (platform); one of sre is missing".
    pub sentence: String,
}

/// May it be applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Clear(Clearance),
    /// Not yet: an approval is missing, or only a window must open, or a key or a policy must be set up.
    Wait {
        approval: bool,
    },
    /// Never as it is.
    Deny,
}

/// The permission to apply exactly these changes to one target. Only `policy` can make one.
#[derive(Clone, Debug, PartialEq)]
pub struct Clearance {
    target: TargetId,
    intent: Intent,
    digest: Digest,
    changes: Vec<ChangeMark>,
    by: Vec<User>,
    why: Arc<str>,
}

impl Clearance {
    pub(super) fn new(
        target: TargetId,
        intent: Intent,
        digest: Digest,
        changes: Vec<ChangeMark>,
        by: Vec<User>,
        why: Arc<str>,
    ) -> Self {
        Self { target, intent, digest, changes, by, why }
    }

    /// A clearance out of thin air, for the tests of rooms that are only handed one.
    #[cfg(test)]
    pub(crate) fn given(target: TargetId, intent: Intent) -> Self {
        Self::new(target, intent, Digest::of("test", &[]), Vec::new(), Vec::new(), "given".into())
    }

    pub fn target(&self) -> &TargetId {
        &self.target
    }

    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// Digest of the preview that was judged.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    pub fn changes(&self) -> &[ChangeMark] {
        &self.changes
    }

    pub fn by(&self) -> &[User] {
        &self.by
    }

    /// The verdict's sentence.
    pub fn why(&self) -> &str {
        &self.why
    }
}
