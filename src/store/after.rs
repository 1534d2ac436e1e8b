//! What a group was decided on: the newest entry then, and what it bears since.

use crate::change::Digest;
use crate::journal::{Bears, Chain, Entry};
use serde::{Deserialize, Serialize};

/// What a group was decided on: it is written only while that is still so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Number and hash of the newest entry then: an empty chain's where there was none yet.
    pub head: (u64, Digest),
    pub bears: Bears,
}

impl After {
    /// `head` is `None` where there was no entry yet.
    pub fn new(head: Option<&(u64, Digest)>, bears: Bears) -> Self {
        let Chain { seq, head: none, .. } = Chain::empty();
        Self { head: head.cloned().unwrap_or((seq, none)), bears }
    }

    /// Nothing came since.
    pub(super) fn is_newest(&self, chain: &Chain) -> bool {
        (chain.seq, &chain.head) == (self.head.0, &self.head.1)
    }

    /// `since` are all entries that came since, and they do not matter. Asked where nobody else can write.
    pub(super) fn bears(&self, since: &[Entry]) -> bool {
        since.first().is_some_and(|first| first.prev == self.head.1) && self.bears.all(since)
    }
}
