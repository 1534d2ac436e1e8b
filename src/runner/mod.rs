//! The only place that spawns tasks: fans out previews, drives a rollout, bounds concurrency, stops on a signal.
//! Knows no policy: it starts a target only with a [`Step`](crate::rollout::Step), which holds a clearance.

mod drive;
mod flight;
mod leases;
mod look;
mod replica;
mod share;
#[cfg(test)]
mod tests;
mod work;

pub use drive::{Ask, Bounds, Drive, Halt, Look, News, Ready, STOP_PATIENCE, Signs};
pub use flight::Flight;
pub use leases::Leases;
pub use look::Looks;
pub use replica::{Replica, TimeLeft, Writer};
pub use share::{Means, Share, Sharing};
pub use work::Offer;

use crate::change::{Unseen, UnseenReason};
use crate::diagnosis;
use crate::engine::Job;
use crate::rollout::{Gate, Outcome};
use crate::stack::{Known, TargetId};

/// Something a watcher may want to show.
pub enum Moment<'a> {
    Previewed(&'a TargetId),
    Started(&'a TargetId),
    Finished(&'a TargetId, &'a Outcome),
    Gate(&'a Gate, Result<(), &'a str>),
}

/// Makes the complete job of a target, given the outputs known so far; or says why it can't be seen.
pub type MakeJob<'a> = dyn Fn(&TargetId, &Known) -> Result<Job, Unseen> + Send + Sync + 'a;

/// Says in words why a target could not be seen, what an engine said in ours.
pub fn say_unseen(reason: &UnseenReason) -> String {
    match reason {
        UnseenReason::Engine(text) => diagnosis::explain("", text).sentence.to_string(),
        UnseenReason::Needs(_)
        | UnseenReason::Conflict(_)
        | UnseenReason::SecretMissing { .. }
        | UnseenReason::Definition(_)
        | UnseenReason::Cancelled
        | UnseenReason::Lost => reason.say(),
    }
}
