//! `isobar drift`: what moved without us. `--fix` puts it back, as a rollout like any other.

mod gone;
mod owned;

use super::account;
use super::converge::{Aim, Converged, EndState, Order, converge, older, paused};
use super::court::Review;
use super::look::keep;
use super::must_match;
use super::pending::{self, Pending, Work, since_applied};
use super::scene::Scenes;
use super::tell::{self, Form};
use crate::change::Unseen;
use crate::drift::{Class, Drift, compare};
use crate::exit::{Exit, Failure};
use crate::journal::{Event, History, State, Verb};
use crate::report::{Report, Told};
use crate::review::CommitSha;
use crate::stack::{Selector, TargetId, users_of_outputs};
use crate::world::World;
use gone::look_for_gone;
use owned::by_owner;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub reviews: Vec<Review>,
    /// Put back what was changed or removed by hand.
    pub fix: bool,
    pub parallel: usize,
    /// Commits that wait to be applied are no finding: whoever applies them tells what they wait for.
    pub only_news: bool,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let head = world.workspace.head()?;
    let scene = scenes.at(&head)?;
    must_match(&request.selector, &scene.fleet)?;
    let mut history = world.store.history().await?;
    let work = pending::all(&scene, &request.selector);
    let merged = since_applied(&scenes, &history, &scene, &request.selector)?;
    let ahead: BTreeSet<TargetId> =
        merged.pending.iter().filter(|pending| !pending.reasons.is_empty()).map(|pending| pending.target.id.clone()).collect();
    let known = known_names(&history, &work);
    let answers = look_for_gone(world, &scenes, &history, &work, &known, &ahead, request.parallel).await?;

    let drift = compare(&answers, |id| never(&history, &work, id), &ahead);

    // What is there and not in this commit was not looked at.
    let looked_at: BTreeSet<&TargetId> = known.values().collect();
    let is_all =
        request.selector.is_empty() && history.targets().all(|(id, record)| !pending::exists(record) || looked_at.contains(id));
    note(world, &mut history, &drift, is_all, &known, &head).await?;
    if request.fix {
        let unseen: Vec<Unseen> = answers.into_iter().filter_map(Result::err).collect();
        return fix(world, &scenes, (&drift, &known), &unseen, &ahead, &head, request).await;
    }
    let mut report = Report::new(Told::Drift);
    report.head = Some(head.0.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(&history);
    report.rows = tell::rows(&answers, &Default::default(), &[]);
    report.fold = tell::folded(&report.rows, &work);
    let bring = match older(world, &scenes, &history, &head, &scene)? {
        Some(older) => older.hint,
        None if paused(&history).is_some() => "isobar resume  (then isobar apply)".into(),
        None => "isobar apply".into(),
    };
    report.next = next(&drift, &bring);
    let unseen = drift.findings.iter().any(|finding| finding.class == Class::NotChecked);
    let clean = !drift.findings.iter().any(|finding| !request.only_news || finding.is_news());
    report.drift = Some(drift);
    keep(world, Some(&head), None, None, None, answers).await;
    tell::report(world, &report, &request.form).await?;
    if let Some(audience) = &request.form.audience {
        audience.tell_drift(world, &by_owner(&report, &scene.fleet, &work, &bring)).await;
    }
    Ok(match (unseen, clean) {
        (true, _) => Exit::Unfinished,
        (false, true) => Exit::Clean,
        (false, false) => Exit::Negative,
    })
}

/// What mends this; `bring` is how what was merged is applied.
fn next(drift: &Drift, bring: &str) -> Vec<Arc<str>> {
    let put_back = (!repairable(drift).is_empty()).then_some("isobar drift --fix  (puts it back, under the same policy)");
    let is_behind = drift.findings.iter().any(|finding| finding.class == Class::UnappliedCommit);
    put_back.into_iter().chain(is_behind.then_some(bring)).map(Arc::from).collect()
}

/// Nothing of it was ever applied, under whatever name.
fn never(history: &History, work: &Work, id: &TargetId) -> bool {
    pending::known_as(history, work.names(id)).all(|record| record.state == State::Never)
}

/// The name under which history has what is there of each target: its own, or until it arrives under that the one it had.
fn known_names(history: &History, work: &Work) -> BTreeMap<TargetId, TargetId> {
    let is_there = |id: &TargetId| history.target(id).is_some_and(|record| pending::exists(record) && record.commit.is_some());
    let known = |pending: &Pending| pending.names().find(is_there).unwrap_or_else(|| pending.target.id.clone());
    work.pending.iter().map(|pending| (pending.target.id.clone(), known(pending))).collect()
}

/// Journals what was found, where anything was ever applied, by the names that history knows; what was looked at as well, unless it
/// `is_all`. When others wrote since, what was clean may be so no more, and only what was found is told.
async fn note(
    world: &World,
    history: &mut History,
    drift: &Drift,
    is_all: bool,
    known: &BTreeMap<TargetId, TargetId>,
    head: &CommitSha,
) -> Result<(), Failure> {
    if history.last_commit().is_none() {
        return Ok(());
    }
    let scope = (!is_all).then(|| known.values().cloned().collect());
    let name = |id: TargetId| known.get(&id).cloned().unwrap_or(id);
    let found: Vec<_> = drift.found().into_iter().map(|(id, found)| (name(id), found)).collect();
    let (commit, unchecked) = (head.0.clone(), drift.unchecked().into_iter().map(name).collect::<Vec<_>>());
    let checked =
        |scope| Event::DriftChecked { commit: commit.clone(), scope, found: found.clone(), unchecked: unchecked.clone() };
    let newest = history.head().map(|(seq, hash)| (seq, hash.clone()));
    let (run, now_ms) = (&world.run, world.clock.now_ms());
    let mut noted = world.store.append_after(newest.as_ref(), vec![checked(scope)], run, now_ms, None).await?;
    if noted.is_empty() {
        let only = found.iter().map(|(target, _)| target.clone()).collect();
        noted = world.store.append(vec![checked(Some(only))], run, now_ms, None).await?;
    }
    noted.iter().for_each(|entry| history.record(entry));
    Ok(())
}

/// Targets whose own documents were changed or removed by hand. What we did not make we do not touch.
fn repairable(drift: &Drift) -> BTreeSet<TargetId> {
    let ours = |class: Class| match class {
        Class::OutOfBand | Class::Missing => true,
        Class::Unmanaged | Class::UnappliedCommit | Class::NotChecked => false,
    };
    drift.findings.iter().filter(|finding| ours(finding.class)).flat_map(|finding| finding.targets.clone()).collect()
}

async fn fix(
    world: &World,
    scenes: &Scenes<'_>,
    (drift, known): (&Drift, &BTreeMap<TargetId, TargetId>),
    unseen: &[Unseen],
    ahead: &BTreeSet<TargetId>,
    head: &CommitSha,
    request: &Request,
) -> Result<Exit, Failure> {
    let name = |id: &TargetId| known.get(id).unwrap_or(id).clone();
    let strayed: BTreeSet<TargetId> = repairable(drift).iter().map(name).collect();
    // Of one that is behind, what drift showed may be what the newer commit makes, and what is put back is another.
    let behind: BTreeSet<TargetId> = ahead.iter().map(name).collect();
    let order = Order {
        verb: Verb::Drift,
        head: head.clone(),
        selector: &request.selector,
        reviews: &request.reviews,
        aim: Aim::PutBack { reviewed: strayed.difference(&behind).cloned().collect(), strayed },
        parallel: request.parallel,
        sharing: None,
        time: None,
        audience: request.form.audience.as_ref(),
    };
    let mut done = converge(world, scenes, order).await?;
    look_again(world, scenes, &mut done, ahead, head, request.parallel).await?;
    let mut report = account::compose(world, &done, Told::Apply, &head.0);
    for row in tell::rows(&unseen.iter().cloned().map(Err).collect::<Vec<_>>(), &Default::default(), &[]) {
        match report.rows.iter_mut().find(|known| known.target == row.target) {
            Some(known) => *known = row,
            None => report.rows.push(row),
        }
        report.nothing = None;
    }
    tell::report(world, &report, &request.form).await?;
    Ok(account::exit(&done, &report))
}

/// Looks again at who uses an output of what was put back: while that was another, it looked as if it had to be given a new value.
async fn look_again(
    world: &World,
    scenes: &Scenes<'_>,
    done: &mut Converged,
    ahead: &BTreeSet<TargetId>,
    head: &CommitSha,
    parallel: usize,
) -> Result<(), Failure> {
    let scene = scenes.at(head)?;
    let targets = scene.fleet.targets();
    let users = users_of_outputs(targets);
    let brought = done.ends.iter().filter(|(_, end)| end.outcome == EndState::Applied).map(|(target, _)| target);
    let users: BTreeSet<&TargetId> =
        brought.flat_map(|target| users.get(target).into_iter().flatten()).map(|at| &targets[*at].id).collect();
    let work = pending::all(&scene, &Selector::default()).only(|id| users.contains(id) && !done.ends.contains_key(id));
    if work.pending.is_empty() || done.interrupted {
        return Ok(());
    }
    done.history = world.store.history().await?;
    let known = known_names(&done.history, &work);
    let answers = look_for_gone(world, scenes, &done.history, &work, &known, ahead, parallel).await?;
    let drift = compare(&answers, |id| never(&done.history, &work, id), ahead);
    note(world, &mut done.history, &drift, false, &known, head).await
}
