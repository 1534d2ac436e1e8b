//! `isobar drift`: what moved without us. `--fix` puts it back, as a rollout like any other.

use super::account;
use super::converge::{Aim, Order, converge};
use super::court::Review;
use super::look::{keep, look, looks};
use super::must_match;
use super::pending::{self, Work, since_applied};
use super::scene::Scenes;
use super::standing::Standing;
use super::tell::{self, Form};
use crate::change::Unseen;
use crate::drift::{Class, Drift, compare};
use crate::exit::{Exit, Failure};
use crate::journal::{Event, History, Verb};
use crate::report::{Report, Told};
use crate::stack::{Selector, TargetId};
use crate::world::World;
use std::collections::BTreeSet;

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub reviews: Vec<Review>,
    /// Put back what was changed or removed by hand.
    pub fix: bool,
    pub parallel: usize,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let head = world.workspace.head()?;
    let scene = scenes.at(&head)?;
    must_match(&request.selector, &scene.fleet)?;
    let mut history = world.store.history().await?;
    let work = pending::all(&scene, &request.selector);
    let answers = look(world, &work, &Standing::of(&scenes, &history, &work), looks(world, request.parallel)).await;

    let merged = since_applied(&scenes, &history, &scene, &request.selector)?;
    let ahead =
        merged.pending.iter().filter(|pending| !pending.reasons.is_empty()).map(|pending| pending.target.id.clone()).collect();

    let drift = compare(&history, &answers, &ahead);

    note(world, &mut history, &drift, &work, &head.0, request).await?;
    if request.fix {
        let unseen: Vec<Unseen> = answers.into_iter().filter_map(Result::err).collect();
        return fix(world, &scenes, &drift, &unseen, &head, request).await;
    }
    let mut report = Report::new(Told::Drift);
    report.head = Some(head.0.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(&history);
    report.rows = tell::rows(&answers, &Default::default(), &[]);
    report.fold = tell::folded(&report.rows, &work);
    if !repairable(&drift).is_empty() {
        report.next.push("isobar drift --fix  (puts it back, under the same policy)".into());
    }
    if drift.findings.iter().any(|finding| finding.class == Class::UnappliedCommit) {
        report.next.push("isobar apply".into());
    }
    let unseen = drift.findings.iter().any(|finding| finding.class == Class::NotChecked);
    let clean = drift.is_empty();
    report.drift = Some(drift);
    keep(world, Some(&head), None, None, answers).await;
    tell::report(world, &report, &request.form)?;
    Ok(match (unseen, clean) {
        (true, _) => Exit::Unfinished,
        (false, true) => Exit::Clean,
        (false, false) => Exit::Negative,
    })
}

/// Journals what was found, where anything was ever applied.
async fn note(
    world: &World,
    history: &mut History,
    drift: &Drift,
    work: &Work,
    head: &std::sync::Arc<str>,
    request: &Request,
) -> Result<(), Failure> {
    if history.last_commit().is_none() {
        return Ok(());
    }
    let scope =
        (request.selector != Selector::default()).then(|| work.pending.iter().map(|pending| pending.target.id.clone()).collect());
    let event = Event::DriftChecked { commit: head.clone(), scope, found: drift.found(), unchecked: drift.unchecked() };
    let noted = world.store.append(vec![event], &world.run, world.clock.now_ms(), None).await?;
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
    drift: &Drift,
    unseen: &[Unseen],
    head: &crate::review::CommitSha,
    request: &Request,
) -> Result<Exit, Failure> {
    let strayed = repairable(drift);
    let unapplied = drift.findings.iter().filter(|finding| finding.class == Class::UnappliedCommit);
    let merged: BTreeSet<TargetId> = unapplied.flat_map(|finding| finding.targets.clone()).collect();
    let order = Order {
        verb: Verb::Drift,
        head: head.clone(),
        selector: &request.selector,
        reviews: &request.reviews,
        aim: Aim::PutBack { reviewed: strayed.difference(&merged).cloned().collect(), strayed },
        parallel: request.parallel,
        sharing: None,
        time: None,
    };
    let done = converge(world, scenes, order).await?;
    let mut report = account::compose(world, &done, Told::Apply, &head.0);
    for row in tell::rows(&unseen.iter().cloned().map(Err).collect::<Vec<_>>(), &Default::default(), &[]) {
        match report.rows.iter_mut().find(|known| known.target == row.target) {
            Some(known) => *known = row,
            None => report.rows.push(row),
        }
        report.nothing = None;
    }
    tell::report(world, &report, &request.form)?;
    Ok(account::exit(&done, &report))
}
