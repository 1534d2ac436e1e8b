//! `isobar list`: the targets, or those that a change touches. Starts no engine and asks no network.

use super::pending::{self, since_applied};
use super::scene::Scenes;
use super::tell;
use super::view::{self, After};
use crate::change::Intent;
use crate::exit::{Exit, Failure};
use crate::stack::{Reason, Selector, unbroken};
use crate::world::World;
use serde_json::{Value, json};

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub json: bool,
    pub changed: bool,
    pub base: Option<String>,
    pub head: Option<String>,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let view = view::open(world, &scenes, "list", request.base.as_deref(), request.head.as_deref())?;
    let after = match view.after {
        After::Scene(scene) => scene,
        After::Conflict(paths) => {
            let what = format!("the head does not merge into its base: conflict in {}", super::say::some(&paths));
            return Err(Failure::World(what, Some("merge the base into the branch first".into())));
        }
    };
    super::must_match(&request.selector, &after.fleet)?;
    let work = match (&view.before, request.changed) {
        (_, false) => pending::all(&after, &request.selector),
        (Some(before), true) => pending::between(Some(before), &after, &request.selector),
        (None, true) => since_applied(&scenes, &world.store.history().await?, &after, &request.selector)?,
    };

    if request.json {
        let targets: Vec<Value> = work.pending.iter().map(target_json).collect();
        tell::json(world, "list", json!({ "targets": targets }));
        return Ok(Exit::Clean);
    }
    let mut text = String::new();
    for pending in &work.pending {
        let sign = if pending.intent == Intent::Destroy { "- " } else { "" };
        let why = if request.changed {
            pending.reasons.first().map(|reason| format!("  # {}", say(reason))).unwrap_or_default()
        } else {
            String::new()
        };
        text.push_str(&format!("{sign}{}{why}\n", pending.target.id));
    }
    world.terminal.say(&text);
    if work.pending.is_empty() {
        world.terminal.note("no target: nothing that one uses changed");
    }
    Ok(Exit::Clean)
}

fn target_json(pending: &pending::Pending) -> Value {
    let reasons: Vec<String> = pending.reasons.iter().map(say).collect();
    let intent = match pending.intent {
        Intent::Converge => "converge",
        Intent::Destroy => "destroy",
    };
    let region = &pending.target.region;
    json!({
        "target": pending.target.id, "stack": pending.target.id.stack, "region": region.id, "environment": region.id.environment(),
        "cloud": region.cloud, "directory": pending.target.stack.dir, "engine": pending.target.stack.engine, "intent": intent, "reasons": reasons,
    })
}

/// One reason, in words.
pub(crate) fn say(reason: &Reason) -> String {
    let at = |site: &Option<crate::stack::Site>| site.as_ref().map(|site| format!(" ({site})")).unwrap_or_default();
    match reason {
        Reason::New => "it is new".into(),
        Reason::Removed => "it is defined no more".into(),
        Reason::Renamed { from } => format!("it was {from} before"),
        Reason::File { path } => format!("{} changed", unbroken(path)),
        Reason::Watch { path, glob } => format!("{} changed, which it watches as {glob}", unbroken(path)),
        Reason::Value { name, site } => format!("{name} changed{}", at(site)),
        Reason::Definition { what, site } => format!("{what} changed ({site})"),
        Reason::Dependency { target } => format!("it uses outputs of {target}, which is touched"),
    }
}
