//! `isobar matrix`: which shards a workflow should start for what is to be done now. Starts no engine.

use super::pending::{self, since_applied};
use super::scene::Scenes;
use super::tell;
use super::view::{self, After};
use crate::exit::{Exit, Failure};
use crate::journal::History;
use crate::rollout::{Now, Shard, StepEvent, Todo, shards_for};
use crate::stack::Selector;
use crate::world::World;
use serde_json::{Value, json};

/// For what.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub json: bool,
    pub base: Option<String>,
    pub head: Option<String>,
    /// At most so many; as many as there is work for when nothing is said.
    pub shards: Option<usize>,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let view = view::open(world, &scenes, "matrix", request.base.as_deref(), request.head.as_deref())?;
    let targets = match (&view.after, &view.before) {
        (After::Conflict(_), _) => 1, // one preview says so
        (After::Scene(after), before) => {
            super::must_match(&request.selector, &after.fleet)?;
            match before {
                Some(before) => pending::between(Some(before), after, &request.selector).pending.len(),
                None => {
                    let history = world.store.history().await?;
                    let work = since_applied(&scenes, &history, after, &request.selector)?;
                    work.pending.len().max(usize::from(goes_on(&history, world.clock.now_ms())))
                }
            }
        }
    };

    let of = shards_for(targets, request.shards);
    let include: Vec<Value> =
        (1..=of).filter_map(|nth| Shard::new(nth, of)).map(|shard| json!({ "shard": shard.to_string() })).collect();
    let matrix = json!({ "include": include });
    match request.json {
        true => tell::json(world, "matrix", json!({ "matrix": matrix, "shards": of, "targets": targets })),
        false => world.terminal.say(&format!("{matrix}\n")),
    }
    Ok(Exit::Clean)
}

/// A run would find something to do in an open rollout though every target is there: such as a gate that nobody asked before the last
/// run was killed.
fn goes_on(history: &History, now_ms: u64) -> bool {
    let finds = |todo: &Todo| match todo {
        Todo::NeedsClearance { .. } | Todo::Apply(_) | Todo::Ask { .. } => true,
        Todo::Record(step) => !matches!(step, StepEvent::Stopped { .. }), // it waits for a resume, written down or not
        Todo::Wait { .. } | Todo::Paused { .. } | Todo::InFlight | Todo::Over(_) => false,
    };
    history.paused().is_none() && history.rollouts().any(|progress| progress.next(&Now::at(now_ms)).iter().any(finds))
}
