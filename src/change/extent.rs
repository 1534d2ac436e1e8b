//! How much a change is, counted over many targets.

use super::{Action, Preview};
use serde::{Deserialize, Serialize};

/// Targets that would change, and what would happen in them. Reading changes nothing and is not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
