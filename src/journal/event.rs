//! The events, and the chain that holds them together.

use super::Class;
use crate::change::{ChangeMark, Digest, Intent};
use crate::review::User;
use crate::rollout::{Rollout, StepEvent};
use crate::stack::{RegionId, TargetId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of the entries we write; a reader refuses a newer one.
pub const SCHEMA: u32 = 1;

/// Which command wrote an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Apply,
    Tick,
    Drift,
    Recover,
    Pause,
    Resume,
    Hold,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A run began to write.
    RunStarted {
        verb: Verb,
        commit: Arc<str>,
        by: User,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pull_request: Option<u64>,
    },
    /// Policy cleared these changes of a target.
    Cleared {
        target: TargetId,
        commit: Arc<str>,
        digest: Digest,
        changes: Vec<ChangeMark>,
        by: Vec<User>,
        why: Arc<str>,
    },
    /// A rollout begins with this plan.
    Planned {
        rollout: Rollout,
    },
    /// A step of a rollout; `Started` and `Finished` are among them.
    Step {
        rollout: Arc<str>,
        step: StepEvent,
    },
    /// What a finished target now owes to which commit: `digest` is of the preview that was applied.
    Applied {
        target: TargetId,
        intent: Intent,
        commit: Arc<str>,
        digest: Digest,
        changes: Vec<ChangeMark>,
    },
    /// Every target of `scope` (all when `None`) except those `behind` is what `commit` says; `absent` ones exist no more.
    Settled {
        commit: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Vec<TargetId>>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        behind: Vec<TargetId>,
    },
    Paused {
        by: User,
        reason: Arc<str>,
    },
    Resumed {
        by: User,
    },
    /// The region is skipped until then, or until released.
    Held {
        region: RegionId,
        until_ms: Option<u64>,
        reason: Arc<str>,
        by: User,
    },
    Released {
        region: RegionId,
        by: User,
    },
    /// Reality was looked at: targets that could not be are in `unchecked`, the others are clean unless `found`.
    DriftChecked {
        commit: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Vec<TargetId>>,
        found: Vec<(TargetId, Vec<(Arc<str>, Class)>)>,
        unchecked: Vec<TargetId>,
    },
    /// `recover` answered an unknown outcome by a fresh preview.
    Recovered {
        target: TargetId,
        how: Arc<str>,
    },
}

/// One event in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub schema: u32,
    /// From 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970, of the writer's clock; evidence, never order.
    pub at_ms: u64,
    /// The run that wrote it.
    pub run: Arc<str>,
    /// Hash of the entry before; that of the empty chain for the first.
    pub prev: Digest,
    /// Over all of the above and the event.
    pub hash: Digest,
    #[serde(flatten)]
    pub event: Event,
}

/// The head of a chain: what the next entry must follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub seq: u64,
    pub head: Digest,
}

impl Chain {
    /// The chain with no entry.
    pub fn empty() -> Self {
        Self { seq: 0, head: Digest::of("journal", &["empty"]) }
    }

    /// Makes the next entry and moves the head to it.
    pub fn seal(&mut self, _event: Event, _run: &Arc<str>, _at_ms: u64) -> Entry {
        todo!()
    }

    /// Accepts `entry` when it is the next one and its hash is right; else says what is broken.
    pub fn follow(&mut self, _entry: &Entry) -> Result<(), String> {
        todo!()
    }
}
