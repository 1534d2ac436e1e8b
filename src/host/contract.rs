//! What a host must do.

use crate::review::{Approval, CommitSha, Proposed, PullRequest, Reviewed, User};
use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a host could not do: for what, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct HostError {
    pub what: String,
    pub hint: Option<String>,
}

/// A place where people review changes, and where we tell them what became of those.
pub trait Host: Send + Sync {
    /// `local`, `github`.
    fn name(&self) -> &'static str;

    /// It can be asked which changes brought a commit: then a line of commits is worth gathering.
    fn knows_commits(&self) -> bool;

    /// The changes that are asked for, with everything that people decided about them. Unreadable is an error, never an empty list.
    fn reviewed<'a>(&'a self, of: Of<'a>) -> Boxed<'a, Result<Vec<Reviewed>, HostError>>;

    /// The changes that are open from a branch, or into one.
    fn opened<'a>(&'a self, of: &'a Openings) -> Boxed<'a, Result<Vec<Opened>, HostError>>;

    /// Somebody may write here now. Unreadable is an error.
    fn may_write<'a>(&'a self, who: &'a User) -> Boxed<'a, Result<bool, HostError>>;

    /// Who is in a team that the host keeps, `ORGANISATION/TEAM`, or `TEAM` of whoever owns this repository. Unreadable is an error.
    fn team<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Vec<User>, HostError>>;

    /// Records a decision given on the command line; whoever made the `change` that it is about cannot approve it.
    fn record<'a>(&'a self, approval: &'a Approval, change: &'a PullRequest) -> Boxed<'a, Result<(), HostError>>;

    /// Tells this about a change, in the place of what was told of it before.
    fn comment<'a>(&'a self, change: u64, comment: &'a Comment) -> Boxed<'a, Result<Posted, HostError>>;

    /// Says how a commit stands, in the place of what was said of it before.
    fn check<'a>(&'a self, commit: &'a CommitSha, check: &'a Check) -> Boxed<'a, Result<Posted, HostError>>;

    /// Tells all of a kind that lasts until it is mended, each in the place of what was told of it before; what is told no more is mended.
    fn issues<'a>(&'a self, issues: &'a Issues) -> Boxed<'a, Result<Posted, HostError>>;

    /// Says where a commit was brought, and how that went, in the place of what was said of each before.
    fn deployed<'a>(&'a self, told: &'a Deployments) -> Boxed<'a, Result<Posted, HostError>>;
}

/// Which changes are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// The one of this number.
    Change(u64),
    /// Those that brought these commits, which stand from new to old, each the first parent of the one before it: of a long line the
    /// ones that were `shown`, by their numbers, and those that brought its newest commits.
    Line { commits: &'a [CommitSha], shown: &'a BTreeSet<u64> },
}

/// Which changes that are open are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Openings {
    /// Those from this branch.
    From(Branch),
    /// Those into this branch of ours.
    Into(Arc<str>),
}

/// A branch that changes come from, here or in a fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// `OWNER/NAME`.
    pub repository: String,
    pub name: String,
}

/// A change that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    pub number: u64,
    pub proposed: Proposed,
    /// Not to be looked at yet.
    pub is_draft: bool,
    /// Its author is a program.
    pub is_programs: bool,
}

/// A run of a workflow. A later one, or a later attempt of the same, is greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunNumber {
    pub id: u64,
    pub attempt: u32,
}

/// When something is told: a run tells of what it looked at itself, or of what an earlier one saw. What was looked at later goes before
/// what was looked at earlier, whoever tells of it and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    /// The run that looked.
    pub seen_by: RunNumber,
    /// The run that tells.
    pub run: RunNumber,
}

impl From<RunNumber> for Turn {
    /// Of a run that tells what it saw itself.
    fn from(run: RunNumber) -> Self {
        Self { seen_by: run, run }
    }
}

/// A text about a change. There is one of each `key`, and it says what was told in the latest turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What the text is, among ours: of lower-case letters, digits and `-`.
    pub key: String,
    /// The commit that it is about.
    pub head: CommitSha,
    pub turn: Turn,
    /// What does not fit into one goes on in the next.
    pub parts: Vec<String>,
}

/// How a commit stands, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The name that a branch may require.
    pub name: String,
    pub state: CheckState,
    /// As many characters as fit are told.
    pub sentence: String,
    pub turn: Turn,
    /// Where more is told.
    pub address: Option<String>,
}

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    Pending,
    Success,
    Failure,
    /// It could not be found out.
    Error,
}

/// All of a kind that lasts until it is mended: what was told of it in the latest turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issues {
    /// What they are, among ours: of lower-case letters, digits and `-`.
    pub kind: String,
    pub turn: Turn,
    /// None when all of it is mended.
    pub lasting: Vec<Issue>,
}

/// Something that lasts until it is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Which of its kind it is: of lower-case letters and digits; nothing for the one that is about no part.
    pub part: Option<String>,
    pub title: String,
    pub text: String,
}

/// Where a commit was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployments {
    pub commit: CommitSha,
    pub places: Vec<Deployed>,
    /// Where more is told.
    pub address: Option<String>,
}

/// How it went in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    pub environment: String,
    pub state: DeployedState,
    /// As many characters as fit are told.
    pub sentence: String,
}

/// How a commit stands in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployedState {
    /// Some of it is there, and some is to come.
    GoesOn,
    Success,
    Failure,
}

/// What became of what was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    Done,
    /// Something newer was told: ours is old.
    Overtaken,
    /// There is no such place here.
    Nowhere,
}
