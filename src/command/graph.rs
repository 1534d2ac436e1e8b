//! `isobar graph`: which stack waits for which.

use super::scene::Scenes;
use super::tell;
use super::view::{self, After};
use crate::exit::{Exit, Failure};
use crate::stack::Level;
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

pub async fn run(world: &World, drawing: Drawing, targets: bool, as_json: bool) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let After::Scene(scene) = view::open(world, &scenes, None, None)?.after else {
        return Err(Failure::World(
            "the head does not merge into its base".into(),
            Some("merge the base into the branch first".into()),
        ));
    };
    if as_json {
        let edges = scene.fleet.targets().iter().flat_map(|target| {
            let needs = scene.graph.dependencies(&target.id);
            needs.iter().map(move |dependency| json!({ "from": target.id, "needs": dependency }))
        });
        let targets: Vec<_> = scene.fleet.targets().iter().map(|target| &target.id).collect();
        tell::json(world, "graph", json!({ "targets": targets, "edges": edges.collect::<Vec<_>>() }));
        return Ok(Exit::Clean);
    }
    let level = if targets { Level::Targets } else { Level::Stacks };
    let text = match drawing {
        Drawing::Text => scene.graph.text(level),
        Drawing::Dot => scene.graph.dot(level),
        Drawing::Mermaid => scene.graph.mermaid(level),
    };
    world.terminal.say(&text);
    Ok(Exit::Clean)
}
