//! `isobar simulate`: how a rollout of these targets would go, by the fleet's own settings. Touches nothing.

mod ask;
mod fold;

pub use ask::{ApplyTime, Fail, Slow, Span};

use super::scene::{Scene, Scenes};
use super::{out, tell, view};
use crate::exit::{Exit, Failure};
use crate::report;
use crate::rollout::{Rollout, Wave};
use crate::simulate::{Rehearsal, is_chosen};
use crate::stack::{RegionId, Selector, Target, TargetId};
use crate::world::World;
use ask::Who;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Seconds that an apply takes unless somebody says otherwise.
const APPLY_SECS: u64 = 60;
/// A tick every ten minutes, as the docs advise.
const TICK_SECS: u64 = 600;

/// What to play.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub json: bool,
    /// Write the page to this file.
    pub html: Option<PathBuf>,
    pub apply: Vec<ApplyTime>,
    pub slow: Vec<Slow>,
    pub fail: Vec<Fail>,
    pub hold: Vec<String>,
    pub kill_at: Option<Span>,
    pub pause_at: Option<Span>,
    pub resume_at: Option<Span>,
    pub tick_every: Option<Span>,
    pub seed: u64,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let dirty = view::uncommitted(world)?;
    let scene = match dirty.is_empty() {
        true => scenes.at(&world.workspace.head()?)?,
        false => Arc::new(Scene::open(world, world.workspace.worktree(&view::published(world))?)?),
    };
    super::must_match(&request.selector, &scene.fleet)?;
    let targets: Vec<Target> = scene.fleet.targets().iter().filter(|target| request.selector.matches(target)).cloned().collect();
    let rehearsal = rehearsal(request, &scene, targets)?;
    let rollout = rehearsal.plan().map_err(|error| Failure::World(error.0, None))?;
    check_waves(request, &rollout, &rehearsal.targets)?;

    let targets = rehearsal.targets.clone();
    // A runtime of its own in a thread of its own: the play has its own time, and blocks while it is played.
    let played = std::thread::scope(|scope| scope.spawn(|| rehearsal.play()).join());
    let played = played.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let played = played.map_err(|error| Failure::World(error.0, None))?;
    let forecast = fold::forecast(&played, &targets, request, !dirty.is_empty());

    if let Some(path) = &request.html {
        out::page(world, path, &report::forecast_page(&forecast))?;
    }
    if request.json {
        tell::json(world, "report", report::forecast_json(&forecast));
    } else if request.html.is_none() {
        world.terminal.say_made(&report::forecast_text(&forecast, world.terminal.style));
    }
    Ok(Exit::Clean)
}

fn rehearsal<'a>(request: &Request, scene: &'a Scene, targets: Vec<Target>) -> Result<Rehearsal<'a>, Failure> {
    let mut held = Vec::new();
    for text in &request.hold {
        let region: RegionId =
            text.parse().map_err(|why: String| Failure::usage(why, "isobar simulate --hold prod/eu-west-1"))?;
        if !targets.iter().any(|target| target.id.region == region) {
            return Err(Failure::usage(format!("no selected target is in {region}"), "isobar list shows them all"));
        }
        held.push(region);
    }
    let secs = apply_secs(request, &targets)?;
    let fails = fails(request, &targets)?;
    let ms = |span: Option<Span>| span.map(|span| span.0 * 1_000);
    Ok(Rehearsal {
        settings: &scene.settings,
        graph: &scene.graph,
        apply_ms: Box::new(move |target| secs.get(target).copied().unwrap_or(APPLY_SECS) * 1_000),
        fails: Box::new(move |target, wave| {
            fails.get(target).is_some_and(|waves| waves.iter().any(|at| at.is_none_or(|at| at == wave)))
        }),
        held,
        kill_at_ms: ms(request.kill_at),
        pause_at_ms: ms(request.pause_at),
        resume_at_ms: ms(request.resume_at),
        tick_ms: request.tick_every.map_or(TICK_SECS, |span| span.0) * 1_000,
        targets,
    })
}

/// How long each target takes: what was said of its region, else of its environment, else of all.
fn apply_secs(request: &Request, targets: &[Target]) -> Result<BTreeMap<TargetId, u64>, Failure> {
    for time in &request.apply {
        let here = |target: &Target| time.environment.as_ref().is_none_or(|name| target.id.region.environment() == name.as_str());
        if !targets.iter().any(here) {
            let what = format!("no selected target is in environment {:?}", time.environment.as_deref().unwrap_or_default());
            return Err(Failure::usage(what, "isobar list shows them all"));
        }
    }
    let mut secs: BTreeMap<TargetId, u64> = BTreeMap::new();
    let general = request.apply.iter().rfind(|time| time.environment.is_none());
    for target in targets {
        let own = |time: &&ApplyTime| time.environment.as_deref() == Some(target.id.region.environment());
        let said = request.apply.iter().rfind(own).or(general);
        secs.insert(target.id.clone(), said.map_or(APPLY_SECS, |time| time.span.0));
    }
    for slow in &request.slow {
        let region = Selector::parse(&[], std::slice::from_ref(&slow.region), &[]);
        let region = region.map_err(|why| Failure::usage(why, "isobar list shows them all"))?;
        let slowed: Vec<TargetId> =
            targets.iter().filter(|target| region.matches(target)).map(|target| target.id.clone()).collect();
        if slowed.is_empty() {
            return Err(Failure::usage(format!("no selected target is in {:?}", slow.region), "isobar list shows them all"));
        }
        secs.extend(slowed.into_iter().map(|target| (target, slow.span.0)));
    }
    Ok(secs)
}

/// Refuses a wave in which none of those is that are told to fail in it. One that is there and not reached is no slip: the forecast says
/// where it ends.
fn check_waves(request: &Request, rollout: &Rollout, targets: &[Target]) -> Result<(), Failure> {
    for fail in &request.fail {
        let Some(number) = fail.wave else { continue };
        let chosen: BTreeSet<&TargetId> = chosen(fail, request.seed, targets)?.iter().map(|target| &target.id).collect();
        let has = |wave: &Wave| wave.targets.iter().any(|planned| chosen.contains(&planned.target));
        let is_there = match fail.who {
            Who::Share(_) => number <= rollout.waves.len(), // which targets it falls on is chance
            Who::Region(_) | Who::Target(_) => rollout.waves.get(number - 1).is_some_and(has),
        };
        if !is_there {
            let numbered = || (1..).zip(&rollout.waves);
            let named = |(number, wave): (usize, &Wave)| format!("@wave{number} ({})", wave.name);
            let own: Vec<String> = numbered().filter(|(_, wave)| has(wave)).map(named).collect();
            let own = if own.is_empty() { numbered().map(named).collect() } else { own };
            return Err(Failure::usage(format!("{} is in no wave {number}", fail.who), format!("there is {}", own.join(", "))));
        }
    }
    Ok(())
}

/// Whom `fail` means.
fn chosen<'t>(fail: &Fail, seed: u64, targets: &'t [Target]) -> Result<Vec<&'t Target>, Failure> {
    let selector = match &fail.who {
        Who::Share(_) => None,
        Who::Region(region) => Some(Selector::parse(&[], std::slice::from_ref(region), &[])),
        Who::Target(target) => Some(Selector::parse(std::slice::from_ref(target), &[], &[])),
    };
    let selector = selector.transpose().map_err(|why| Failure::usage(why, "isobar list shows every target"))?;
    let is_chosen = |target: &&Target| match (&selector, &fail.who) {
        (Some(selector), _) => selector.matches(target),
        (None, Who::Share(share)) => is_chosen(seed, &target.id, share * 100),
        (None, Who::Region(_) | Who::Target(_)) => false,
    };
    let matched: Vec<&Target> = targets.iter().filter(is_chosen).collect();
    if matched.is_empty() && selector.is_some() {
        return Err(Failure::usage(format!("{} matches no selected target", fail.who), "isobar list shows them all"));
    }
    Ok(matched)
}

/// The targets that fail, each with the waves in which they do; any wave where none is named.
fn fails(request: &Request, targets: &[Target]) -> Result<BTreeMap<TargetId, Vec<Option<usize>>>, Failure> {
    let mut fails: BTreeMap<TargetId, Vec<Option<usize>>> = BTreeMap::new();
    for fail in &request.fail {
        let matched = chosen(fail, request.seed, targets)?;
        matched.into_iter().for_each(|target| fails.entry(target.id.clone()).or_default().push(fail.wave));
    }
    Ok(fails)
}
