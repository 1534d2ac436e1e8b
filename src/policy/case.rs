//! What a rule is shown, and what it may answer.

use super::quorum::Requirement;
use super::{Facts, Subject};
use crate::change::Action;
use std::sync::Arc;

/// One target before one rule.
pub(super) struct Case<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) whole: Whole,
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

/// The change as a whole, over every subject. Targets that would not change are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) targets: u64,
    pub(super) changes: u64,
    pub(super) replaces: u64,
    pub(super) deletes: u64,
}

impl Whole {
    pub(super) fn of(facts: &Facts<'_>) -> Self {
        let mut whole = Self::default();
        for subject in &facts.subjects {
            whole.targets += u64::from(!subject.preview.is_empty());
            for change in &subject.preview.changes {
                whole.add(change.action);
            }
        }
        whole
    }

    fn add(&mut self, action: Action) {
        match action {
            Action::Create | Action::Update | Action::Move => {}
            Action::Replace => self.replaces += 1,
            Action::Delete => self.deletes += 1,
            Action::Read => return, // reading changes nothing
        }
        self.changes += 1;
    }
}

/// Returns "1 approval" or "2 approvals".
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
