//! `isobar matrix`: which shards a workflow should start for what is to be done now. Starts no engine.

use super::pending::{self, since_applied};
use super::scene::Scenes;
use super::tell;
use super::view::{self, After};
use crate::exit::{Exit, Failure};
use crate::rollout::{Shard, shards_for};
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
            let work = match before {
                Some(before) => pending::between(Some(before), after, &request.selector),
                None => since_applied(&scenes, &world.store.history().await?, after, &request.selector)?,
            };
            work.pending.len()
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
