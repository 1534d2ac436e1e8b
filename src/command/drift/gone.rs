//! What was applied and is gone without a trace, where the code is newer: the commit that the target was brought to knows what must be
//! there. Knows no classes.

use crate::change::{Action, Intent, Preview, Stray, StrayKind, Unseen};
use crate::command::look::{look, looks};
use crate::command::pending::{Pending, Work};
use crate::command::scene::Scenes;
use crate::command::standing::Standing;
use crate::exit::Failure;
use crate::journal::{History, State};
use crate::review::CommitSha;
use crate::stack::TargetId;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Answer = Result<Arc<Preview>, Unseen>;

/// Looks at `work`; at those of `ahead` that would be made anew also as of the commit that each was brought to, and says as strays
/// what lacks of that. `known` is what history calls them.
pub(super) async fn look_for_gone(
    world: &World,
    scenes: &Scenes<'_>,
    history: &History,
    work: &Work,
    known: &BTreeMap<TargetId, TargetId>,
    ahead: &BTreeSet<TargetId>,
    parallel: usize,
) -> Result<Vec<Answer>, Failure> {
    let mut answers = look(world, work, &Standing::of(scenes, history, work), looks(world, parallel)).await;

    let mut at: BTreeMap<TargetId, usize> = BTreeMap::new();
    let mut by_commit: BTreeMap<&Arc<str>, Vec<Pending>> = BTreeMap::new();
    for (nth, answer) in answers.iter().enumerate() {
        let Some(preview) = answer.as_ref().ok().filter(|preview| ahead.contains(&preview.target) && is_anew(preview)) else {
            continue;
        };
        let id = known.get(&preview.target).unwrap_or(&preview.target);
        // Of one whose last apply came to no good end nobody knows what must be there.
        let record = history.target(id).filter(|record| record.state == State::Applied);
        let Some(commit) = record.and_then(|record| record.commit.as_ref()) else { continue };
        let scene = scenes.at(&CommitSha(commit.clone()))?;
        let Some(target) = scene.fleet.target(id).cloned() else { continue };
        at.insert(id.clone(), nth);
        by_commit.entry(commit).or_default().push(Pending { target, intent: Intent::Converge, scene, reasons: Vec::new() });
    }
    // One commit after the other: what is in order there, is so by the graph of that commit.
    for pending in by_commit.into_values() {
        let brought = Work::of(pending, Vec::new(), None);
        for back in look(world, &brought, &Standing::of(scenes, history, &brought), looks(world, parallel)).await {
            let id = back.as_ref().map_or_else(|unseen| &unseen.target, |preview| &preview.target);
            if let Some(nth) = at.get(id) {
                add(&mut answers[*nth], back);
            }
        }
    }
    Ok(answers)
}

/// All that would change is made anew, and nothing shows that we were there: what we would know it by may be gone as well.
fn is_anew(preview: &Preview) -> bool {
    let is_ours = |stray: &Stray| match stray.kind {
        StrayKind::Changed | StrayKind::Missing => true,
        StrayKind::Unmanaged => false,
    };
    let mut changes = preview.changes.iter();
    !preview.changes.is_empty() && changes.all(|change| change.action == Action::Create) && !preview.strays.iter().any(is_ours)
}

/// Adds what `back` would make anew. Where nobody can look back, nobody knows whether something is gone, and that is never a green.
fn add(answer: &mut Answer, back: Answer) {
    let Ok(preview) = answer else { return };
    match back {
        Ok(back) => {
            let gone = back.changes.iter().filter(|change| change.action == Action::Create);
            let gone: Vec<Stray> =
                gone.map(|change| Stray { address: change.address.clone(), kind: StrayKind::Missing }).collect();
            if !gone.is_empty() {
                let preview = Arc::make_mut(preview);
                preview.strays.extend(gone);
                preview.strays.sort();
            }
        }
        Err(unseen) => *answer = Err(Unseen::new(preview.target.clone(), unseen.reason)),
    }
}
