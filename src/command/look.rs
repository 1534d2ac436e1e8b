//! Looking at what is pending, and keeping what was shown: what every verb that previews does alike.

use super::pending::Work;
use super::shown;
use super::standing::Standing;
use crate::change::{Extent, Preview, Unseen, UnseenReason};
use crate::engine::Job;
use crate::host::RunNumber;
use crate::review::CommitSha;
use crate::runner::{Looks, Moment};
use crate::stack::{Known, TargetId};
use crate::store::Stored;
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Of which change a preview is shown, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfChange {
    pub number: u64,
    /// The targets that are asked for, as they are written; `None` for all.
    pub part: Option<Arc<str>>,
    /// The workflow's run.
    pub run: RunNumber,
}

/// How this run takes looks: so many at once, 0 for the default.
pub(crate) fn looks(world: &World, parallel: usize) -> Looks<'_> {
    Looks { engines: &world.engines, parallel, stop: &world.stop }
}

/// Previews all that is pending, each target after those whose outputs it uses.
pub(crate) async fn look(world: &World, work: &Work, standing: &Standing, looks: Looks<'_>) -> Vec<Result<Arc<Preview>, Unseen>> {
    look_for(world, work, standing, looks, false).await
}

/// The same, also for who is handed what was seen, and believes nothing (`hands_over`).
pub(crate) async fn look_for(
    world: &World,
    work: &Work,
    standing: &Standing,
    looks: Looks<'_>,
    hands_over: bool,
) -> Vec<Result<Arc<Preview>, Unseen>> {
    let mut known = standing.outputs(world, looks).await;
    let bar = world.terminal.bar("previewing", work.pending.len());
    let make = |id: &TargetId, known: &Known| match work.get(id) {
        Some(pending) => {
            let job = pending.scene.job(world, &pending.target, pending.intent, known)?;
            Ok(Job { hands_over, ..job })
        }
        None => Err(Unseen::new(id.clone(), UnseenReason::Cancelled)),
    };
    let watch = |_: Moment<'_>| bar.step();
    let answers = looks.preview(&work.levels(), &mut known, &make, &watch).await;
    let mut answers: Vec<Result<Arc<Preview>, Unseen>> = answers.into_iter().map(|answer| answer.map(Arc::new)).collect();
    let place: BTreeMap<&TargetId, usize> =
        work.pending.iter().enumerate().map(|(at, pending)| (&pending.target.id, at)).collect();
    for unseen in answers.iter_mut().filter_map(|answer| answer.as_mut().err()) {
        if let (UnseenReason::Needs(_), Some(pending)) = (&unseen.reason, work.get(&unseen.target)) {
            unseen.promise = pending.scene.promise(world, &pending.target);
        }
    }
    answers.sort_by_key(|answer| {
        let target = match answer {
            Ok(preview) => &preview.target,
            Err(unseen) => &unseen.target,
        };
        place.get(target).copied()
    });
    answers
}

/// Keeps what was shown, so that a review can be bound to it. Not being able to is no failure of a preview.
pub(crate) async fn keep(
    world: &World,
    head: Option<&CommitSha>,
    base: Option<Arc<str>>,
    of: Option<&OfChange>,
    whole: Option<Extent>,
    answers: Vec<Result<Arc<Preview>, Unseen>>,
) {
    let is_nothing = |answer: &Result<Arc<Preview>, Unseen>| match answer {
        Ok(preview) => preview.is_empty(),
        Err(unseen) => unseen.promise.is_none(),
    };
    if world.stop.is_asked() {
        return; // cut short, it would be a part that looks like the whole
    }
    let nothing_to_decide = answers.iter().all(is_nothing);
    let now_ms = world.clock.now_ms();
    let base = base.unwrap_or_else(|| "".into());
    let stored = Stored {
        head: head.map(|head| head.0.clone()),
        base,
        at_ms: now_ms,
        first_ms: now_ms,
        change: of.map(|of| of.number),
        part: of.and_then(|of| of.part.clone()),
        run: of.map(|of| (of.run.id, of.run.attempt)),
        whole,
        previews: answers,
    };
    shown::remember(world, &stored);
    // That nothing of a change is left to decide goes before what was shown of it earlier.
    if nothing_to_decide && (of.is_none() || stored.previews.is_empty()) {
        return;
    }
    if let Err(error) = world.store.save(&stored).await {
        world.terminal.note(&format!("note: this preview could not be kept, so no review can be bound to it: {error}"));
    }
}
