//! What a host must do.

use crate::review::{Approval, CommitSha, PullRequest};
use std::pin::Pin;

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a host could not do: for what, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct HostError {
    pub what: String,
    pub hint: Option<String>,
}

/// A place where people review changes.
pub trait Host: Send + Sync {
    /// `local`, `github`.
    fn name(&self) -> &'static str;

    /// The change that brought `commit`, with its author and committers.
    fn pull_request<'a>(&'a self, commit: &'a CommitSha) -> Boxed<'a, Result<PullRequest, HostError>>;

    /// The latest decision of every reviewer about any preview. Unreadable is an error, never an empty list.
    fn approvals<'a>(&'a self) -> Boxed<'a, Result<Vec<Approval>, HostError>>;

    /// Records a decision given on the command line; whoever made the `change` that it is about cannot approve it.
    fn record<'a>(&'a self, approval: &'a Approval, change: &'a PullRequest) -> Boxed<'a, Result<(), HostError>>;
}
