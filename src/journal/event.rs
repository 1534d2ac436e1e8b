//! The events: what can happen. The members stand in the order in which the types below declare them; to change that order, or anything
//! but to add an optional member, is a new [`SCHEMA`](super::SCHEMA).

use super::Class;
use crate::change::{ChangeMark, Digest, Intent};
use crate::review::User;
use crate::rollout::{Rollout, StepEvent};
use crate::stack::{RegionId, TargetId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What drifted in one target: addresses, and how.
pub type Drifted = Vec<(Arc<str>, Class)>;

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
    Audit,
}

impl Verb {
    /// Says whether such a run may bring something, or takes the place of those that did: a recovery that gives a lost history up.
    pub(super) fn may_bring(self) -> bool {
        match self {
            Verb::Apply | Verb::Tick | Verb::Drift | Verb::Recover => true,
            Verb::Pause | Verb::Resume | Verb::Hold | Verb::Audit => false,
        }
    }
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
        /// The commit whose policy cleared them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authority: Option<Arc<str>>,
    },
    /// A rollout begins with this plan.
    Planned {
        rollout: Rollout,
    },
    /// The head takes back what a stopped rollout brought: it holds no target any more.
    Superseded {
        rollout: Arc<str>,
        commit: Arc<str>,
    },
    /// A step of a rollout; `Started` and `Finished` are among them.
    Step {
        rollout: Arc<str>,
        step: StepEvent,
    },
    /// What a finished target now owes to which commit: `digest` is of the preview that was applied. It took over what it was under the
    /// names `was`, so nothing is there under them any more.
    Applied {
        target: TargetId,
        intent: Intent,
        commit: Arc<str>,
        digest: Digest,
        changes: Vec<ChangeMark>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        was: Vec<TargetId>,
    },
    /// Every applied target of `scope` (all when `None`) except those `behind` is what `commit` says.
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
        found: Vec<(TargetId, Drifted)>,
        unchecked: Vec<TargetId>,
    },
    /// What became of a start was answered: by a fresh preview, or by the engine that says it touched nothing.
    Recovered {
        target: TargetId,
        how: Arc<str>,
        /// The start counts as not made: what it would have deleted still needs its own clearance.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untouched: bool,
    },
    /// From here on this key seals every entry: the first key of a journal that had none, or the next one.
    KeyBegan {
        /// Names the key; see [`Sealer::id`](super::Sealer::id).
        key: Digest,
        by: User,
    },
    /// The entries up to `through`, whose hash is `head`, may be gone; what they folded into is the text with the hash `base`.
    Compacted {
        through: u64,
        head: Digest,
        base: Digest,
    },
    /// Somebody said that the run `of` had ended, and took from it what it held.
    Freed {
        of: Arc<str>,
        by: User,
        reason: Arc<str>,
    },
    /// Somebody said that a place which `journal:` once named is gone for good, with whatever history it held.
    GivenUp {
        place: Arc<str>,
        by: User,
        reason: Arc<str>,
    },
}

impl Event {
    /// Returns the one target it writes about: only who holds that target's lease may.
    pub fn target(&self) -> Option<&TargetId> {
        match self {
            Event::Cleared { target, .. } | Event::Applied { target, .. } | Event::Recovered { target, .. } => Some(target),
            Event::Step { step: StepEvent::Started { target } | StepEvent::Finished { target, .. }, .. } => Some(target),
            Event::Step {
                step:
                    StepEvent::GatePassed { .. }
                    | StepEvent::GateFailed { .. }
                    | StepEvent::Verified { .. }
                    | StepEvent::Stopped { .. }
                    | StepEvent::Resumed,
                ..
            } => None,
            Event::RunStarted { .. }
            | Event::Planned { .. }
            | Event::Superseded { .. }
            | Event::Settled { .. }
            | Event::DriftChecked { .. } => None,
            Event::Paused { .. } | Event::Resumed { .. } | Event::Held { .. } | Event::Released { .. } => None,
            Event::KeyBegan { .. } | Event::Compacted { .. } | Event::Freed { .. } | Event::GivenUp { .. } => None,
        }
    }
}
