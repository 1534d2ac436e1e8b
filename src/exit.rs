//! How a command ends: the whole table of exit codes.

use crate::host::HostError;
use crate::stack::Mistakes;
use crate::store::StoreError;
use crate::workspace::WorkspaceError;

/// A command that did its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to do, or all good; a wait that somebody asked for is good: a bake, a hold, a pause, the end of the job.
    Clean,
    /// A clear answer that is not "clean": drift was found, doctor or an audit finds something or misses an anchor, or with `--exit-code` something would change.
    Negative,
    /// Policy denies, or somebody must approve first.
    NotCleared,
    /// Targets failed or are unknown, a rollout or a wave of it stopped, something is left that nobody asked to wait for, or not every target is
    /// accounted for.
    Unfinished,
    /// A signal asked us to stop; what was done is recorded.
    Interrupted(i32),
}

/// A command that could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Mistakes in definitions, all of them.
    Definitions(Mistakes),
    /// The request makes no sense here: what, and the next step.
    Usage(String, Option<String>),
    /// The world did not cooperate: git, disk, store, host.
    World(String, Option<String>),
}

/// The table, in the order of the docs.
pub const CODES: &[(u8, &str)] = &[
    (
        0,
        "nothing to do, or all good (a wait that somebody asked for is good: a bake, a hold, a pause, the end of the job; so is a preview of what is not cleared yet)",
    ),
    (
        1,
        "a target failed or is unknown, a rollout stopped, as a whole or in part, something is left that nobody asked to wait for, or the command could not do its work",
    ),
    (
        2,
        "a clear answer that is not \"clean\": drift was found, doctor misses something, the journal is not what was written or an anchor of it was not met, or with --exit-code something would change",
    ),
    (3, "policy denies, or somebody must approve first (judge, apply, tick, recover and drift --fix; a preview of that is good)"),
    (64, "what was asked makes no sense here: the command line, a tree that is not committed, a key that is not set"),
    (65, "mistakes in definitions; each is printed with its line"),
    (130, "stopped by SIGINT; what was done is recorded, what did not come back within 5 s is unknown"),
    (143, "stopped by SIGTERM; the same"),
];

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Unfinished => 1,
            Exit::Negative => 2,
            Exit::NotCleared => 3,
            Exit::Interrupted(signal) => 128_u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        }
    }
}

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Failure::World(..) => 1,
            Failure::Usage(..) => 64,
            Failure::Definitions(_) => 65,
        }
    }

    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Failure::Usage(what.into(), Some(hint.into()))
    }

    /// The same, with one more step after those that it names.
    pub fn and_then(self, next: &str) -> Self {
        let more = |hint: Option<String>| Some(hint.map_or_else(|| next.into(), |hint| format!("{hint}; {next}")));
        match self {
            Failure::World(what, hint) => Failure::World(what, more(hint)),
            Failure::Usage(what, hint) => Failure::Usage(what, more(hint)),
            definitions @ Failure::Definitions(_) => definitions,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Definitions(mistakes) => {
                for mistake in mistakes.iter() {
                    writeln!(f, "{mistake}\n")?;
                }
                let plural = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
                write!(f, "{} {plural} in the definitions", mistakes.len())
            }
            Failure::Usage(what, hint) | Failure::World(what, hint) => {
                write!(f, "error: {what}")?;
                hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
            }
        }
    }
}

impl From<Mistakes> for Failure {
    fn from(mistakes: Mistakes) -> Self {
        Failure::Definitions(mistakes)
    }
}

impl From<WorkspaceError> for Failure {
    fn from(error: WorkspaceError) -> Self {
        Failure::World(error.what, error.hint)
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Failure::World(error.what, error.hint)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Held { .. } => Some("wait until that run has ended; isobar status shows who writes".to_string()),
            StoreError::Fenced(_) => Some("another run took over; this one stopped writing: isobar status".into()),
            StoreError::Broken { .. } => Some(
                "nothing is applied on a broken journal; isobar audit verify says where it is, what it means and what to do"
                    .into(),
            ),
            StoreError::Newer(_) => Some("use the version of isobar that wrote it, or a newer one".into()),
            StoreError::Io { hint, .. } => hint.clone(),
        };
        Failure::World(error.to_string(), hint)
    }
}
