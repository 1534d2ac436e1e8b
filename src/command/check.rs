//! `isobar check`: reads the definitions as they lie on disk; every mistake with its line, all at once. Values and templates are
//! looked at of what is selected; files are read as a whole.

use super::say::count;
use super::scene::Scene;
use super::{must_match, tell};
use crate::exit::{Exit, Failure};
use crate::report::{annotations, warning_annotations};
use crate::stack::{Mistakes, Selector};
use crate::world::World;
use serde_json::{Value, json};

pub async fn run(world: &World, selector: &Selector, as_json: bool) -> Result<Exit, Failure> {
    let snapshot = world.workspace.worktree(&[".isobar".to_string()])?;
    let read = Scene::open(world, snapshot).and_then(|scene| {
        must_match(selector, &scene.fleet)?;
        scene.check_selected(world, selector).map(|()| scene)
    });
    let scene = match read {
        Ok(scene) => scene,
        Err(Failure::Definitions(mistakes)) => {
            if world.environment.on_actions() && !as_json {
                annotations(&mistakes).iter().for_each(|line| world.terminal.say_made(&format!("{line}\n")));
            }
            return Err(Failure::Definitions(mistakes));
        }
        Err(failure) => return Err(failure),
    };
    let (fleet, warnings) = (&scene.fleet, &scene.warnings);
    let selected = fleet.targets().iter().filter(|target| selector.matches(target)).count();
    if as_json {
        let counts = json!({ "stacks": fleet.stacks.len(), "regions": fleet.regions.len(), "targets": fleet.targets().len(), "selected": selected, "mistakes": [], "warnings": list(warnings) });
        tell::json(world, "check", counts);
    } else {
        if world.environment.on_actions() {
            warning_annotations(warnings).iter().for_each(|line| world.terminal.say_made(&format!("{line}\n")));
        }
        warnings.iter().for_each(|warning| world.terminal.note(&format!("warning: {warning}\n")));
        let (stacks, regions, targets) = (fleet.stacks.len(), fleet.regions.len(), fleet.targets().len());
        let stacks = count(stacks, "stack", "stacks");
        let (regions, targets) = (count(regions, "region", "regions"), count(targets, "target", "targets"));
        let looked =
            if selector.is_empty() { String::new() } else { format!("; of {selected} of them every value was looked at") };
        world.terminal.say(&format!("no mistakes: {stacks} × {regions} make {targets}{looked}\n"));
    }
    Ok(Exit::Clean)
}

fn list(mistakes: &Mistakes) -> Vec<Value> {
    let one = |mistake: &crate::stack::Mistake| {
        let site = mistake.site.as_ref();
        json!({ "file": site.map(|site| &site.path), "line": site.map(|site| site.line), "column": site.map(|site| site.column), "what": mistake.what, "hint": mistake.hint })
    };
    mistakes.iter().map(one).collect()
}
