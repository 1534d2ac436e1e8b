//! What a group was decided on, and how much of what came since it bears. Written down as it is, so that whoever decides need not be
//! whoever writes.

use crate::change::Digest;
use crate::journal::{Chain, Entry, Event};
use crate::rollout::Leeway;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a group was decided on: it is written only while that is still so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Number and hash of the newest entry then: an empty chain's where there was none yet.
    pub head: (u64, Digest),
    pub bears: Bears,
}

/// Entries that others appended since, in spite of which a decision is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bears {
    Nothing,
    /// Those of one run: its own.
    Run(Arc<str>),
    /// What leaves starts as right as they were.
    Starts(Leeway),
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

impl Bears {
    fn all(&self, entries: &[Entry]) -> bool {
        match self {
            Self::Nothing => entries.is_empty(),
            Self::Run(run) => entries.iter().all(|entry| entry.run == *run),
            Self::Starts(leeway) => bears_starts(leeway, entries),
        }
    }
}

/// What is known of other targets changes nothing, and of steps the rollout knows.
fn bears_starts(leeway: &Leeway, entries: &[Entry]) -> bool {
    let mut steps = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::Step { rollout, step } => steps.push((&**rollout, step)),
            Event::RunStarted { .. } | Event::Cleared { .. } | Event::Applied { .. } | Event::Recovered { .. } => {}
            Event::Planned { .. } | Event::Superseded { .. } | Event::Settled { .. } | Event::DriftChecked { .. } => {
                return false;
            }
            Event::Paused { .. } | Event::Resumed { .. } | Event::Held { .. } | Event::Released { .. } => return false,
            Event::Freed { .. } | Event::KeyBegan { .. } | Event::Compacted { .. } | Event::GivenUp { .. } => return false,
        }
    }
    leeway.bears(steps)
}
