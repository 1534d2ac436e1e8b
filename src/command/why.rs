//! `isobar why TARGET`: why it is touched or not, where each of its values comes from, and what it waits for.

use super::list::say;
use super::pending::{self, commit_of, since_applied};
use super::say::short;
use super::scene::{Scene, Scenes};
use super::tell;
use super::view::{self, After};
use crate::change::inert;
use crate::exit::{Exit, Failure};
use crate::stack::{Considered, Resolved, Selector, TargetId, Traced, did_you_mean};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

pub async fn run(world: &World, target: &str, base: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let said = look(world, target, base, |found| if as_json { Err(found.json()) } else { Ok(found.text()) }).await?;
    match said {
        Ok(text) => world.terminal.say(&text),
        Err(json) => tell::json(world, "why", json),
    }
    Ok(Exit::Clean)
}

/// The same as text, about what is checked out and was applied.
pub(crate) async fn text(world: &World, target: &str) -> Result<String, Failure> {
    look(world, target, None, |found| found.text()).await
}

async fn look<T>(world: &World, target: &str, base: Option<&str>, say_it: impl FnOnce(&Found<'_>) -> T) -> Result<T, Failure> {
    let id: TargetId = target.parse().map_err(|why: String| Failure::usage(why, "isobar why network@prod/eu-west-1"))?;
    let scenes = Scenes::new(world);
    let view = view::open(world, &scenes, "why", base, None)?;
    let After::Scene(scene) = view.after else {
        return Err(Failure::World(
            "the head does not merge into its base".into(),
            Some("merge the base into the branch first".into()),
        ));
    };
    let history = world.store.history().await?;
    let work = match &view.before {
        Some(before) => pending::between(Some(before), &scene, &Selector::default()),
        None => since_applied(&scenes, &history, &scene, &Selector::default())?,
    };
    let touched = work.get(&id);
    let Some(target) = scene.fleet.target(&id).or(touched.map(|pending| &pending.target)) else {
        let near = did_you_mean(
            target,
            scene.fleet.targets().iter().map(|target| target.id.to_string()).collect::<Vec<_>>().iter().map(String::as_str),
        );
        return Err(Failure::usage(format!("no target {id}"), near.unwrap_or_else(|| "isobar list shows them all".into())));
    };
    let resolved = scene.resolve(target)?;
    let untouched = || vec![pending::taken_along(&history, target).to_string()];
    let found = Found {
        since: view.base.as_ref().map(|base| base.0.clone()).or_else(|| commit_of(&history, target)),
        reasons: touched.map(|pending| match pending.reasons.as_slice() {
            [] => untouched(),
            reasons => reasons.iter().map(say).collect(),
        }),
        considered: scene.side().considered(&id),
        needs: scene.graph.dependencies(&id),
        holder: pending::names(target).find_map(|name| history.holder(&name)).map(|progress| progress.rollout().id.to_string()),
        hidden: hidden(&scene, &resolved),
        resolved,
        id,
    };
    Ok(say_it(&found))
}

/// What is known of one target.
struct Found<'a> {
    id: TargetId,
    /// The commit it was compared with.
    since: Option<Arc<str>>,
    /// `None`: it is not touched.
    reasons: Option<Vec<String>>,
    considered: Option<Considered>,
    resolved: Resolved,
    needs: &'a [TargetId],
    /// The rollout that holds it.
    holder: Option<String>,
    hidden: Vec<String>,
}

impl Found<'_> {
    fn json(&self) -> Value {
        let values = |of: &BTreeMap<Arc<str>, Traced>| -> Value {
            of.iter().map(|(name, traced)| (name.to_string(), traced_json(traced, &self.hidden))).collect()
        };
        json!({
            "target": self.id, "touched": self.reasons.is_some(), "since": self.since, "reasons": self.reasons.as_deref().unwrap_or_default(),
            "inputs": values(&self.resolved.inputs), "vars": values(&self.resolved.vars), "waits_for": self.needs, "held_by": self.holder,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let since = self.since.as_ref().map(|commit| format!("compared with {}", short(commit)));
        let since = since.unwrap_or_else(|| "nothing of it was ever applied".into());
        let verdict = if self.reasons.is_some() { "is touched" } else { "is not touched" };
        let _ = writeln!(text, "{} {verdict} ({since})", self.id);
        match (self.reasons.as_deref(), &self.considered) {
            (Some(reasons), _) => reasons.iter().for_each(|reason| text.push_str(&format!("  because {reason}\n"))),
            (None, Some(used)) => text.push_str(&format!("  none of its {used} changed\n")),
            (None, None) => {}
        }
        section(&mut text, "inputs", &self.resolved.inputs, &self.hidden);
        section(&mut text, "vars", &self.resolved.vars, &self.hidden);
        if !self.needs.is_empty() {
            text.push_str("waits for\n");
            self.needs.iter().for_each(|dependency| text.push_str(&format!("  {dependency}\n")));
        }
        if let Some(rollout) = &self.holder {
            let _ = writeln!(text, "held by rollout {rollout} (isobar status)");
        }
        text
    }
}

/// Values of sensitive inputs: where one comes from a var, the var is not shown either, whichever stack says that it is sensitive.
fn hidden(scene: &Scene, resolved: &Resolved) -> Vec<String> {
    fn of(resolved: &Resolved) -> Vec<String> {
        let sensitive = resolved.inputs.values().filter(|input| input.sensitive);
        let texts = sensitive.map(|input| input.value.as_str().map_or_else(|| input.value.to_string(), str::to_string));
        let quoted = |text: String| {
            let json = Value::from(text.as_str()).to_string();
            [json[1..json.len() - 1].to_string(), text] // as it stands in a value that is shown, and by itself
        };
        texts.filter(|text| !text.is_empty()).flat_map(quoted).collect()
    }
    let others = scene.fleet.targets().iter().filter(|other| !other.stack.sensitive.is_empty());
    let all: BTreeSet<String> = others.filter_map(|other| scene.resolve(other).ok()).flat_map(|other| of(&other)).collect();
    all.into_iter().chain(of(resolved)).collect()
}

/// Returns the value as it may be shown.
fn shown(traced: &Traced, hidden: &[String]) -> String {
    let value = traced.value.to_string();
    if traced.sensitive || hidden.iter().any(|text| value.contains(text.as_str())) {
        return "‹sensitive›".into();
    }
    crate::stack::show_marks(&value)
}

fn section(text: &mut String, title: &str, values: &BTreeMap<Arc<str>, Traced>, hidden: &[String]) {
    if values.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}");
    for (name, traced) in values {
        let value = inert(&shown(traced, hidden));
        let layer = traced.layer.as_ref().map(|layer| format!(" of {layer}")).unwrap_or_default();
        let _ = writeln!(text, "  {name} = {value}\n    {}{layer}", traced.site);
        for (layer, site) in &traced.over {
            let _ = writeln!(text, "    over {site} of {layer}");
        }
    }
}

fn traced_json(traced: &Traced, hidden: &[String]) -> Value {
    let value = shown(traced, hidden);
    let over: Vec<Value> =
        traced.over.iter().map(|(layer, site)| json!({ "layer": layer.to_string(), "at": site.to_string() })).collect();
    json!({ "value": value, "at": traced.site.to_string(), "layer": traced.layer.as_ref().map(ToString::to_string), "over": over })
}
