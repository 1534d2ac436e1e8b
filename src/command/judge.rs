//! `isobar judge`: policy again on the previews that were shown last; starts no engine.

use super::court::{Asked, Court, Review, digests};
use super::pending::{Pending, Work};
use super::scene::Scenes;
use super::tell::{self, Form};
use crate::change::{Intent, Preview, Unseen, UnseenReason};
use crate::exit::{Exit, Failure};
use crate::journal::History;
use crate::policy::{Answer, Verdict};
use crate::report::{Report, Told};
use crate::review::CommitSha;
use crate::stack::{Selector, TargetId};
use crate::store::Stored;
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to judge.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub selector: Selector,
    pub form: Form,
    pub reviews: Vec<Review>,
}

pub async fn run(world: &World, request: &Request) -> Result<Exit, Failure> {
    let scenes = Scenes::new(world);
    let history = world.store.history().await?;
    let stored = latest(world).await?;
    let head = stored.head.clone().map(CommitSha);
    let scene = match &head {
        Some(head) => scenes.at(head)?,
        None => Arc::new(super::scene::Scene::open(world, world.workspace.worktree(&super::view::published(world))?)?),
    };
    let base = (!stored.base.is_empty()).then(|| CommitSha(stored.base.clone()));
    let base = base.map(|base| scenes.at(&base)).transpose()?;
    let work = work_of(&scenes, &history, &stored, &scene, base.as_ref(), &request.selector)?;
    let previews: Vec<Arc<Preview>> =
        stored.previews.iter().flatten().filter(|preview| work.get(&preview.target).is_some()).cloned().collect();

    let unseen = unseen(&stored, &scene, base.as_ref(), &request.selector);

    let mut court = Court::open(world, &scenes, head, base).await?;
    let shown: Vec<_> = previews.iter().cloned().map(Ok).chain(unseen.iter().cloned().map(Err)).collect();
    court.take(&request.reviews, digests(&shown)).await?;
    let verdicts = court.judge(&Asked::whole(&previews), &work, &history)?;

    // What needs an output that nobody has made yet is asked about when it can be seen: after the apply of what makes it.
    let is_blind = unseen.iter().any(|unseen| !matches!(unseen.reason, UnseenReason::Needs(_)));
    let waits = verdicts.iter().any(|verdict| !matches!(verdict.answer, Answer::Clear(_)));
    let verdicts: BTreeMap<TargetId, Verdict> = verdicts.into_iter().map(|verdict| (verdict.target.clone(), verdict)).collect();
    let mut report = Report::new(Told::Judge);
    report.head = Some(stored.head.clone().unwrap_or_else(|| "dirty".into()));
    report.base = (!stored.base.is_empty()).then(|| stored.base.clone());
    report.at_ms = Some(world.clock.now_ms());
    report.journal = tell::journal_head(&history);
    report.notes.extend(court.say_unseen_yet(&shown, &work, &history)?.map(tell::note));
    report.rows = tell::rows(&shown, &verdicts, &[]);
    tell::in_order(&mut report.rows, scene.fleet.targets());
    report.fold = tell::folded(&report.rows, &work);
    report.next = vec![if is_blind {
        "isobar preview  (looks again at what could not be seen)".into()
    } else if waits {
        "isobar judge --review NAME=approve  (a reviewer who is not the author)".into()
    } else {
        "isobar apply".into()
    }];
    tell::report(world, &report, &request.form)?;
    Ok(match (is_blind, waits) {
        (true, _) => Exit::Unfinished,
        (false, true) => Exit::NotCleared,
        (false, false) => Exit::Clean,
    })
}

/// Selected targets that the preview could not see: nothing can be said of them, least of all yes.
fn unseen(
    stored: &Stored,
    scene: &super::scene::Scene,
    base: Option<&Arc<super::scene::Scene>>,
    selector: &Selector,
) -> Vec<Unseen> {
    let target = |id: &TargetId| scene.fleet.target(id).or_else(|| base?.fleet.target(id));
    let is_selected = |unseen: &&Unseen| target(&unseen.target).is_none_or(|target| selector.matches(target));
    stored.previews.iter().filter_map(|answer| answer.as_ref().err()).filter(is_selected).cloned().collect()
}

/// The newest shown set, of the head if there is one.
async fn latest(world: &World) -> Result<Stored, Failure> {
    let saved = world.store.saved().await?;
    let head = world.workspace.head().ok();
    let of_head = saved.iter().rposition(|stored| head.as_ref().is_some_and(|head| stored.head.as_ref() == Some(&head.0)));
    let last = of_head.or(saved.len().checked_sub(1)).and_then(|at| saved.into_iter().nth(at));
    last.ok_or_else(|| Failure::usage("no preview was shown yet", "isobar preview"))
}

/// What was destroyed in a preview is defined by its base, or by the commit at which the target was last applied.
fn work_of(
    scenes: &Scenes<'_>,
    history: &History,
    stored: &Stored,
    scene: &Arc<super::scene::Scene>,
    base: Option<&Arc<super::scene::Scene>>,
    selector: &Selector,
) -> Result<Work, Failure> {
    let mut pending = Vec::new();
    for preview in stored.previews.iter().flatten() {
        let applied = match (base, history.defined_at(&preview.target)) {
            (None, Some(commit)) if preview.intent == Intent::Destroy => Some(scenes.at(&CommitSha(commit.clone()))?),
            (_, _) => base.cloned(),
        };
        let sides = [Some(scene.clone()), applied];
        let found = sides.into_iter().flatten().find_map(|side| Some((side.fleet.target(&preview.target)?.clone(), side)));
        if let Some((target, scene)) = found.filter(|(target, _)| selector.matches(target)) {
            pending.push(Pending { target, intent: preview.intent, scene, reasons: Vec::new() });
        }
    }
    Ok(Work::of(pending, Vec::new(), None))
}
