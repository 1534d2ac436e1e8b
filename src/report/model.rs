//! What is told, whatever the form.

use crate::change::{Action, Fold, Preview};
use crate::drift::Drift;
use crate::stack::TargetId;
use std::sync::Arc;

/// What the report is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    Preview,
    Judge,
    Apply,
    Tick,
    Drift,
    Recover,
}

/// Everything a command has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub told: Told,
    /// Commit previewed or applied, in full; `None` for an uncommitted tree.
    pub head: Option<Arc<str>>,
    pub base: Option<Arc<str>>,
    /// Uncommitted changes were shown too.
    pub dirty: bool,
    /// Milliseconds since 1970, given by the caller; only in the state line.
    pub at_ms: Option<u64>,
    /// The journal's newest entry that this is told of: whoever keeps it can prove later that it was there.
    pub journal: Option<JournalHead>,
    /// One a selected target, in the order of the fleet. Success means that every one is accounted for.
    pub rows: Vec<Row>,
    /// Why nothing was selected, when nothing was.
    pub nothing: Option<Arc<str>>,
    pub fold: Fold,
    pub waves: Vec<WaveLine>,
    pub drift: Option<Drift>,
    /// What stopped the run before its end, and what is left.
    pub stopped: Option<Arc<str>>,
    /// It is told while it goes on: what is to come has no end yet.
    pub goes_on: bool,
    /// Things to know: no policy declared, a key is missing, a rollout is stopped.
    pub notes: Vec<Note>,
    /// What to type next, most useful first.
    pub next: Vec<Arc<str>>,
    /// What surrounds the report where it is published.
    pub frame: Frame,
}

/// The newest entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalHead {
    pub seq: u64,
    /// In full.
    pub hash: Arc<str>,
}

/// What surrounds a published report: where it stands, and where more is to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// What is cut is in the summary of a workflow's run.
    pub has_summary: bool,
    /// Name of the branch that `base` is on.
    pub branch: Option<Arc<str>>,
    /// Label and address: the run, the full output.
    pub links: Vec<(Arc<str>, Arc<str>)>,
}

/// One target.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub target: TargetId,
    pub state: RowState,
    /// What the preview said; `None` when it could not be seen.
    pub preview: Option<Arc<Preview>>,
    pub verdict: Option<VerdictLine>,
}

/// How a target stands at the end of the command.
#[derive(Clone, Debug, PartialEq)]
pub enum RowState {
    /// A preview: it would change.
    Changes,
    Unchanged,
    Applied,
    /// Cause and next step.
    Failed(Arc<str>, Option<Arc<str>>),
    /// Started without an outcome.
    Unknown(Arc<str>),
    /// Could not be looked at: a conflict, a secret that is not set, a template that fails.
    Unseen(Arc<str>),
    /// Waits for approval, a window, a dependency, a rollout.
    Waiting(Arc<str>),
    Denied(Arc<str>),
    Skipped(Arc<str>),
    /// A wave that was not reached.
    NotStarted(Arc<str>),
}

/// The verdict on one target, as words.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictLine {
    /// "clear", "wait" or "deny".
    pub answer: &'static str,
    pub sentence: Arc<str>,
    pub digest: Arc<str>,
}

/// One wave of the rollout, or of its forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveLine {
    pub name: Arc<str>,
    pub targets: usize,
    pub done: usize,
    pub failed: usize,
    /// "done", "running", "paused", "bakes until 14:17 UTC", "waits for staging", "stopped: …".
    pub state: Arc<str>,
}

/// Something to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub warning: bool,
    pub text: Arc<str>,
}

/// How many targets and how many changes, in the order in which every form tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub targets: usize,
    pub change: usize,
    pub unchanged: usize,
    pub applied: usize,
    pub failed: usize,
    pub unknown: usize,
    pub unseen: usize,
    pub waiting: usize,
    pub denied: usize,
    pub skipped: usize,
    pub not_started: usize,
    pub create: usize,
    pub update: usize,
    pub replace: usize,
    pub delete: usize,
    pub moved: usize,
}

impl Report {
    /// Returns a report with nothing in it yet, for struct update: `Report { rows, ..Report::new(Told::Preview) }`.
    pub fn new(told: Told) -> Self {
        Self {
            told,
            head: None,
            base: None,
            dirty: false,
            at_ms: None,
            journal: None,
            rows: Vec::new(),
            nothing: None,
            fold: Fold::default(),
            waves: Vec::new(),
            drift: None,
            stopped: None,
            goes_on: false,
            notes: Vec::new(),
            next: Vec::new(),
            frame: Frame::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        let mut counts = Counts { targets: self.rows.len(), ..Counts::default() };
        for row in &self.rows {
            counts.add_row(&row.state);
            for change in row.preview.iter().flat_map(|preview| &preview.changes) {
                counts.add_action(change.action);
            }
        }
        counts
    }
}

impl std::fmt::Display for JournalHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "journal head {}:{}", self.seq, self.hash)
    }
}

impl Counts {
    fn add_row(&mut self, state: &RowState) {
        let count = match state {
            RowState::Changes => &mut self.change,
            RowState::Unchanged => &mut self.unchanged,
            RowState::Applied => &mut self.applied,
            RowState::Failed(..) => &mut self.failed,
            RowState::Unknown(_) => &mut self.unknown,
            RowState::Unseen(_) => &mut self.unseen,
            RowState::Waiting(_) => &mut self.waiting,
            RowState::Denied(_) => &mut self.denied,
            RowState::Skipped(_) => &mut self.skipped,
            RowState::NotStarted(_) => &mut self.not_started,
        };
        *count += 1;
    }

    fn add_action(&mut self, action: Action) {
        let count = match action {
            Action::Create => &mut self.create,
            Action::Update => &mut self.update,
            Action::Replace => &mut self.replace,
            Action::Delete => &mut self.delete,
            Action::Move => &mut self.moved,
            Action::Read => return, // reading is neither change nor drift
        };
        *count += 1;
    }
}
