//! What runs where: the model of `isobar status`.

use crate::stack::TargetId;
use std::sync::Arc;

/// The whole fleet now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Head of the default branch, in full.
    pub head: Option<Arc<str>>,
    pub at_ms: u64,
    /// The journal's newest entry.
    pub journal: Option<super::JournalHead>,
    /// In the order of the fleet.
    pub rows: Vec<StatusRow>,
    /// Open and stopped rollouts, oldest first.
    pub rollouts: Vec<RolloutLine>,
    pub paused: Option<Arc<str>>,
    /// Region, until, reason.
    pub holds: Vec<(Arc<str>, Option<u64>, Arc<str>)>,
    /// Places of the journal that are gone for good.
    pub given_up: Vec<GivenUpLine>,
    pub writers: Vec<WriterLine>,
}

/// One target now.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusRow {
    pub target: TargetId,
    /// "applied", "behind", "ahead" of a head that is older, "failed", "unknown", "never applied", "to be destroyed".
    pub state: &'static str,
    pub commit: Option<Arc<str>>,
    pub applied_at_ms: Option<u64>,
    pub pull_request: Option<u64>,
    /// Who approved it, or else who ran it.
    pub by: Vec<Arc<str>>,
    pub is_approved: bool,
    /// "out-of-band: a.yaml", "clean", "not checked".
    pub drift: Arc<str>,
    pub drift_checked_at_ms: Option<u64>,
    /// What it waits for, since when, who can unblock it.
    pub waits: Option<Arc<str>>,
}

/// A place of the journal that somebody gave up.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenUpLine {
    /// As `journal:` named it.
    pub place: Arc<str>,
    pub by: Arc<str>,
    pub at_ms: u64,
    pub reason: Arc<str>,
}

/// Who writes now. What it says of itself may be anything.
#[derive(Clone, Debug, PartialEq)]
pub struct WriterLine {
    pub run: Arc<str>,
    pub host: Arc<str>,
    pub pid: u32,
    /// The job of a forge that runs it, and where people find that.
    pub job: Option<Arc<str>>,
    pub address: Option<Arc<str>>,
    pub since_ms: u64,
    /// How many it may write about, and the first of them.
    pub targets: usize,
    pub first: Vec<TargetId>,
    /// The command for whoever knows that it ended.
    pub release: Arc<str>,
}

/// One rollout now.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutLine {
    pub id: Arc<str>,
    pub commit: Arc<str>,
    pub state: Arc<str>,
    /// All of it, or a part, goes on only when somebody says so.
    pub is_stopped: bool,
    pub waves: Vec<super::WaveLine>,
    /// When the next `tick` can go on, milliseconds since 1970.
    pub next_tick_ms: Option<u64>,
}
