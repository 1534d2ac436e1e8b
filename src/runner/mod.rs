//! The only place that spawns tasks: fans out previews, drives a rollout, bounds concurrency, stops on a signal.
//! Knows no policy: it starts a target only with a [`Step`](crate::rollout::Step), which holds a clearance.

mod drive;
mod look;
#[cfg(test)]
mod tests;

pub use drive::{Ask, Drive, Halt, News, Ready, STOP_PATIENCE, Signs};
pub use look::Looks;

use crate::change::{Unseen, UnseenReason, say_missing};
use crate::diagnosis;
use crate::engine::Job;
use crate::rollout::{Gate, Outcome};
use crate::stack::{Known, TargetId, unbroken};

/// Something a watcher may want to show.
pub enum Moment<'a> {
    Previewed(&'a TargetId),
    Started(&'a TargetId),
    Finished(&'a TargetId, &'a Outcome),
    Gate(&'a Gate, Result<(), &'a str>),
}

/// Makes the complete job of a target, given the outputs known so far; or says why it can't be seen.
pub type MakeJob<'a> = dyn Fn(&TargetId, &Known) -> Result<Job, Unseen> + Send + Sync + 'a;

/// Says in words why a target could not be seen.
pub fn say_unseen(reason: &UnseenReason) -> String {
    match reason {
        UnseenReason::Needs(holes) => {
            format!("needs {}, which {} not known yet", holes.join(", "), if holes.len() == 1 { "is" } else { "are" })
        }
        UnseenReason::Conflict(paths) => {
            format!("the head does not merge into its base: conflict in {}", unbroken(&paths.join(", ")))
        }
        UnseenReason::SecretMissing { name, site } => say_missing(name, site.as_ref()),
        UnseenReason::Definition(text) => text.to_string(),
        UnseenReason::Engine(text) => diagnosis::explain("", text).sentence.to_string(),
        UnseenReason::Cancelled => "we were told to stop before we came to it".into(),
        UnseenReason::Lost => "no part tells of it: its shard was lost, or looked at something else".into(),
    }
}
