//! History: what the journal says about every target, rollout and region now.

use super::{Class, Entry};
use crate::change::{ChangeMark, Digest};
use crate::review::User;
use crate::rollout::Progress;
use crate::stack::{RegionId, TargetId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fold over all entries; reading it costs nothing but memory: about 300 bytes a target.
#[derive(Clone, Debug, Default)]
pub struct History {
    targets: BTreeMap<TargetId, Record>,
}

/// What is known of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The commit whose definition it is at: its last apply, or a later commit at which it was found unchanged.
    pub commit: Option<Arc<str>>,
    /// Digest of the preview last applied, when and by which run, pull request and people.
    pub applied: Option<Digest>,
    pub applied_at_ms: Option<u64>,
    pub pull_request: Option<u64>,
    pub by: Vec<User>,
    pub state: State,
    /// Cleared since its last successful apply.
    pub cleared: Vec<(ChangeMark, Vec<User>)>,
    /// We recorded a start since its last successful apply.
    pub started: bool,
    pub drift: Option<DriftNote>,
    pub drift_checked_at_ms: Option<u64>,
}

/// How a target stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Nothing of it was ever applied.
    Never,
    Applied,
    /// Its last apply failed with this digest; retried after a change or `resume`.
    Failed {
        why: Arc<str>,
        digest: Option<Digest>,
        at_ms: u64,
    },
    /// Started without an outcome.
    Unknown {
        since_ms: u64,
    },
    /// Destroyed.
    Removed,
}

/// The last drift that was found and not yet gone.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftNote {
    pub since_ms: u64,
    pub found: Vec<(Arc<str>, Class)>,
}

/// A region that is skipped.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    pub region: RegionId,
    pub until_ms: Option<u64>,
    pub reason: Arc<str>,
    pub by: User,
}

impl History {
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut history = Self::default();
        for entry in entries {
            history.record(&entry);
        }
        history
    }

    /// Folds one entry in.
    pub fn record(&mut self, _entry: &Entry) {
        todo!()
    }

    pub fn target(&self, target: &TargetId) -> Option<&Record> {
        self.targets.get(target)
    }

    pub fn targets(&self) -> impl Iterator<Item = (&TargetId, &Record)> {
        self.targets.iter()
    }

    /// Commit of the last `Settled` of any scope: where the fleet as a whole was brought to last.
    pub fn last_commit(&self) -> Option<&Arc<str>> {
        todo!()
    }

    /// Rollouts that have not ended, and stopped ones that nobody resumed or superseded; oldest first.
    pub fn rollouts(&self) -> impl Iterator<Item = &Progress> {
        std::iter::empty()
    }

    /// The open or stopped rollout that still holds `target`.
    pub fn holder(&self, _target: &TargetId) -> Option<&Progress> {
        todo!()
    }

    pub fn paused(&self) -> Option<(&User, &str)> {
        todo!()
    }

    /// Holds in force at `now_ms`.
    pub fn holds(&self, _now_ms: u64) -> Vec<&Hold> {
        todo!()
    }
}
