//! `isobar check`: reads the definitions as they lie on disk; every mistake with its line, all at once.

use super::say::count;
use super::scene::Scene;
use super::tell;
use crate::exit::{Exit, Failure};
use crate::report::annotations;
use crate::world::World;
use serde_json::json;

pub async fn run(world: &World, as_json: bool) -> Result<Exit, Failure> {
    let snapshot = world.workspace.worktree(&[".isobar".to_string()])?;
    let read = Scene::open(world, snapshot).and_then(|scene| scene.check_targets(world).map(|()| scene));
    let scene = match read {
        Ok(scene) => scene,
        Err(Failure::Definitions(mistakes)) if as_json => {
            let list = mistakes.iter().map(|mistake| {
                let site = mistake.site.as_ref();
                json!({ "file": site.map(|site| &site.path), "line": site.map(|site| site.line), "column": site.map(|site| site.column), "what": mistake.what, "hint": mistake.hint })
            });
            tell::json(world, &json!({ "schema": "isobar/check/v1", "mistakes": list.collect::<Vec<_>>() }));
            return Err(Failure::Definitions(mistakes));
        }
        Err(Failure::Definitions(mistakes)) => {
            if world.environment.on_actions() {
                annotations(&mistakes).iter().for_each(|line| world.terminal.say_made(&format!("{line}\n")));
            }
            return Err(Failure::Definitions(mistakes));
        }
        Err(failure) => return Err(failure),
    };
    let fleet = &scene.fleet;
    if as_json {
        let counts = json!({ "schema": "isobar/check/v1", "stacks": fleet.stacks.len(), "regions": fleet.regions.len(), "targets": fleet.targets().len(), "mistakes": [] });
        tell::json(world, &counts);
    } else {
        let (stacks, regions, targets) = (fleet.stacks.len(), fleet.regions.len(), fleet.targets().len());
        let stacks = count(stacks, "stack", "stacks");
        world.terminal.say(&format!(
            "no mistakes: {stacks} × {} make {}\n",
            count(regions, "region", "regions"),
            count(targets, "target", "targets")
        ));
    }
    Ok(Exit::Clean)
}
