//! `isobar apply` and `isobar tick`: brings targets to the head of the code, in waves, as far as policy clears.

use super::account;
use super::converge::{Aim, Order, converge};
use super::court::Review;
use super::say::short;
use super::scene::Scenes;
use super::tell::{self, Form};
use super::view::default_base;
use crate::exit::{Exit, Failure};
use crate::journal::Verb;
use crate::report::Told;
use crate::review::CommitSha;
use crate::runner::{Sharing, TimeLeft};
use crate::stack::Selector;
use crate::world::World;
use std::time::Duration;

/// What to apply.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub reviews: Vec<Review>,
    /// Targets in flight at most; 0 for what the rollout says.
    pub parallel: usize,
    /// Other processes bring the same with this one.
    pub sharing: Option<Sharing>,
    /// How much is left of the job that this run is a part of.
    pub time_left: Option<Duration>,
}

/// Applies what the head says.
pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    bring(world, request, Verb::Apply, Aim::Bring, Told::Apply).await
}

/// Goes on with what is open, and begins nothing.
pub async fn tick(world: &World, request: &Request) -> Result<Exit, Failure> {
    bring(world, request, Verb::Tick, Aim::GoOn, Told::Tick).await
}

async fn bring(world: &World, request: &Request, verb: Verb, aim: Aim, told: Told) -> Result<Exit, Failure> {
    let time = request.time_left.map(|left| {
        let whole_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        TimeLeft { whole_ms, until_ms: world.clock.now_ms().saturating_add(whole_ms) }
    });
    let scenes = Scenes::new(world);
    let head = world.workspace.head()?;
    super::must_match(&request.selector, &scenes.at(&head)?.fleet)?;

    let order = Order {
        verb,
        head: head.clone(),
        selector: &request.selector,
        reviews: &request.reviews,
        aim,
        parallel: request.parallel,
        sharing: request.sharing,
        time,
        audience: request.form.audience.as_ref(),
    };
    let done = converge(world, &scenes, order).await?;

    let mut report = account::compose(world, &done, told, &head.0);
    report.notes.extend(unmerged(world, &head)?.map(tell::warning));
    tell::report(world, &report, &request.form).await?;
    Ok(account::exit(&done, &report))
}

/// A branch that nobody merged may be applied where no host proves a merge; whoever does that should know.
fn unmerged(world: &World, head: &CommitSha) -> Result<Option<String>, Failure> {
    let Some(tip) = default_base(world)? else { return Ok(None) };
    if world.workspace.is_ancestor(head, &tip)? {
        return Ok(None);
    }
    let (head, tip) = (short(&head.0), short(&tip.0));
    Ok(Some(format!(
        "{head} is not merged into the default branch ({tip}); until it is, applying that is refused where it would go below this"
    )))
}
