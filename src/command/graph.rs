//! `isobar graph`: which stack waits for which.

use super::scene::Scenes;
use super::view::{self, After};
use super::{must_match, tell};
use crate::exit::{Exit, Failure};
use crate::stack::{Level, Selector};
use crate::world::World;
use serde_json::json;

/// The drawing's language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drawing {
    #[default]
    Text,
    Dot,
    Mermaid,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What is drawn, with all that it waits for.
    pub selector: Selector,
    pub json: bool,
    pub drawing: Drawing,
    /// Draw targets, not stacks.
    pub targets: bool,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let After::Scene(scene) = view::open(world, &scenes, "graph", None, None)?.after else {
        return Err(Failure::World(
            "the head does not merge into its base".into(),
            Some("merge the base into the branch first".into()),
        ));
    };
    must_match(&request.selector, &scene.fleet)?;
    let selected = scene.fleet.targets().iter().filter(|target| request.selector.matches(target));
    let graph = scene.graph.below(selected.map(|target| &target.id));
    if request.json {
        let edges = graph.targets().iter().flat_map(|target| {
            let needs = graph.dependencies(target);
            needs.iter().map(move |dependency| json!({ "from": target, "needs": dependency }))
        });
        tell::json(world, "graph", json!({ "targets": graph.targets(), "edges": edges.collect::<Vec<_>>() }));
        return Ok(Exit::Clean);
    }
    let level = if request.targets { Level::Targets } else { Level::Stacks };
    let text = match request.drawing {
        Drawing::Text => graph.text(level),
        Drawing::Dot => graph.dot(level),
        Drawing::Mermaid => graph.mermaid(level),
    };
    world.terminal.say(&text);
    Ok(Exit::Clean)
}
