//! How much a change is, counted over many targets.

use super::{Action, ChangeMark, Preview, Unseen};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Targets that would change, and what would happen in them. Reading changes nothing and is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Extent {
    pub targets: u64,
    pub changes: u64,
    pub replaces: u64,
    pub deletes: u64,
}

impl Extent {
    pub fn of<'a>(previews: impl IntoIterator<Item = &'a Preview>) -> Self {
        let mut tally = Self::default();
        for preview in previews {
            tally.targets += u64::from(!preview.is_empty());
            preview.changes.iter().for_each(|change| tally.add(change.action));
        }
        tally
    }

    /// Counts what was looked at: a target that could not be seen is one that would change.
    pub fn of_answers(answers: &[Result<Arc<Preview>, Unseen>]) -> Self {
        let seen = Self::of(answers.iter().flatten().map(|preview| &**preview));
        let unseen = answers.iter().filter(|answer| answer.is_err()).count();
        Self { targets: seen.targets + unseen as u64, ..seen }
    }

    /// What was done to one target: nothing, when there are no changes.
    pub fn of_applied(changes: &[ChangeMark]) -> Self {
        let mut tally = Self { targets: u64::from(!changes.is_empty()), ..Self::default() };
        changes.iter().for_each(|change| tally.add(change.action));
        tally
    }

    /// Returns the sum of each count.
    pub fn plus(self, other: Self) -> Self {
        Self {
            targets: self.targets + other.targets,
            changes: self.changes + other.changes,
            replaces: self.replaces + other.replaces,
            deletes: self.deletes + other.deletes,
        }
    }

    /// Returns the greater of each count.
    pub fn at_least(self, other: Self) -> Self {
        Self {
            targets: self.targets.max(other.targets),
            changes: self.changes.max(other.changes),
            replaces: self.replaces.max(other.replaces),
            deletes: self.deletes.max(other.deletes),
        }
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
