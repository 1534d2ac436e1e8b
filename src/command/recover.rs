//! `isobar recover`: explains every unknown outcome, and looks again where an open rollout has the target: closes it or goes on with it.
//! Begins no rollout. Safe to repeat.

use super::account;
use super::control::operator;
use super::converge::{Aim, Order, RESUME, converge, paused, refuse_first};
use super::court::{Case, Court};
use super::history_place;
use super::must_match;
use super::say::{count, say_time};
use super::scene::Scenes;
use super::tell::{self, Form};
use crate::exit::{Exit, Failure};
use crate::journal::{Event, History, State, Verb};
use crate::report::{Report, Told};
use crate::review::User;
use crate::rollout::{Now, Progress, Todo};
use crate::stack::{Selector, TargetId};
use crate::world::World;
use std::collections::BTreeSet;

/// What to recover.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    /// What somebody who knows says first.
    pub testimony: Option<Testimony>,
}

/// What cannot be proven from here, and is done on somebody's word.
#[derive(Clone, Debug)]
pub enum Testimony {
    /// That run has ended: take from it what it holds.
    Release { run: String, reason: String },
    /// That place of the journal is gone for good.
    GiveUp { place: String, reason: String },
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    match &request.testimony {
        Some(Testimony::Release { run, reason }) => release(world, run, reason).await?,
        Some(Testimony::GiveUp { place, reason }) => give_up(world, place, reason).await?,
        None => {}
    }
    let scenes = Scenes::new(world);
    let head = world.workspace.head()?;
    let scene = scenes.at(&head)?;
    let history = world.store.history().await?;
    let unknown = unknown(&history);
    if unknown.iter().all(|(id, _)| scene.fleet.target(id).is_some()) {
        must_match(&request.selector, &scene.fleet)?;
    }
    let mine: BTreeSet<TargetId> = unknown
        .iter()
        .map(|(target, _)| target)
        .filter(|id| scene.fleet.target(id).is_none_or(|target| request.selector.matches(target)))
        .cloned()
        .collect();
    let open = || history.rollouts().filter(|progress| progress.ending().is_none());
    if mine.is_empty() && open().all(Progress::rests) {
        let mut report = Report::new(Told::Recover);
        report.head = Some(head.0.clone());
        report.journal = tell::journal_head(&history);
        report.nothing = Some("no target has an unknown outcome".into());
        let pause = paused(&history);
        let now = Now { paused: pause.as_deref(), ..Now::at(world.clock.now_ms()) };
        let awaits = |progress: &Progress| progress.next(&now).iter().any(|todo| matches!(todo, Todo::Wait { .. }));
        let way_on = match (&pause, open().all(awaits)) {
            (Some(_), _) => "isobar resume",
            (None, true) => "isobar tick  (goes on after the bake)",
            (None, false) => "isobar tick  (goes on)",
        };
        let has_stopped = open().any(|progress| !progress.breaches(&now).is_empty());
        report.next.extend(has_stopped.then(|| RESUME.into()));
        report.next.extend(open().next().map(|_| way_on.into()));
        tell::report(world, &report, &request.form).await?;
        return Ok(Exit::Clean);
    }
    if mine.is_empty() {
        world.terminal.note("no target has an unknown outcome; going on with what was left in the middle");
    }
    for (target, since_ms) in unknown.iter().filter(|(target, _)| mine.contains(target)) {
        // Whether it is looked at is not known yet: its rollout may have stopped, or be left alone.
        let who =
            if history.holder(target).is_none() { "; no open rollout has it, so isobar apply looks at it again" } else { "" };
        let since = say_time(*since_ms);
        world.terminal.note(&format!("{target}: an apply was started at {since} and its end was never recorded{who}"));
    }

    let order = Order {
        verb: Verb::Recover,
        head: head.clone(),
        selector: &request.selector,
        reviews: &[],
        aim: Aim::GoOn,
        parallel: 0,
        sharing: None,
        time: None,
        audience: request.form.audience.as_ref(),
    };
    let done = converge(world, &scenes, order).await?;

    let report = account::compose(world, &done, Told::Recover, &head.0);
    tell::report(world, &report, &request.form).await?;
    Ok(account::exit(&done, &report))
}

/// Frees what a run holds that has ended, as somebody says; the journal keeps who and why.
async fn release(world: &World, of: &str, reason: &str) -> Result<(), Failure> {
    let by = world.workspace.operator().unwrap_or(User("unknown".into()));
    let event = Event::Freed { of: of.into(), by, reason: reason.into() };
    let freed = world.store.free(of, event, &world.run, world.clock.now_ms()).await?;
    world.terminal.note(&format!("{} taken from run {of}, and journalled", count(freed.len(), "target was", "targets were")));
    Ok(())
}

/// Notes in the journal that a place is gone, which this run could not open, and on this machine that somebody here said so.
async fn give_up(world: &World, place: &str, reason: &str) -> Result<(), Failure> {
    let place = history_place::spelled(place)?;
    let mut history = world.store.history().await?;
    if !history.given_up().contains_key(&*place) {
        let (by, head, scenes) = (operator(world), world.workspace.head()?, Scenes::new(world));
        let case = Case { head: Some(head.clone()), ..Case::default() };
        let court = Court::open(world, &scenes, &history, case).await?;
        // In a journal that begins with this, the commit before it speaks from now on.
        refuse_first(world, &scenes, &court, &history, &scenes.at(&head)?, &Selector::default())?;
        let commit = head.0;
        let begun = Event::RunStarted { verb: Verb::Recover, commit, by: by.clone(), pull_request: None };
        let event = Event::GivenUp { place: place.as_str().into(), by, reason: reason.into() };
        let entries = world.store.append(vec![begun, event], &world.run, world.clock.now_ms(), None).await?;
        entries.iter().for_each(|entry| history.record(entry));
    }
    if let Some(given) = history.given_up().get(&*place) {
        history_place::witness(&world.environment, world.workspace.root(), &given.entry)?;
    }
    world.terminal.note(&format!("{place} is given up, and that is journalled at {}", world.store.place()));
    Ok(())
}

fn unknown(history: &History) -> Vec<(TargetId, u64)> {
    let since = |(target, record): (&TargetId, &crate::journal::Record)| match record.state {
        State::Unknown { since_ms } => Some((target.clone(), since_ms)),
        State::Never | State::Applied | State::Failed { .. } | State::Removed => None,
    };
    history.targets().filter_map(since).collect()
}
