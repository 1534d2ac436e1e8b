//! The branch moves on under changes that are open: the check of those that were shown to change the same waits for another look.

use crate::command::audience::Audience;
use crate::command::moved::Moved;
use crate::command::say::count;
use crate::exit::Failure;
use crate::host::{Check, CheckState, Opened, Openings, RunNumber, Turn};
use crate::store::Stored;
use crate::world::World;

/// Changes that are set back at most: each takes a few requests.
const SET_BACK_MAX: usize = 100;

/// Sets the check of every other open change back that was shown to change what came with a push, and names what did.
pub(super) async fn set_back(world: &World, audience: &Audience, moved: &Moved, brought: &[u64], check: &str) {
    if moved.targets.is_empty() || !world.host.knows_commits() {
        return;
    }
    if let Err(failure) = try_set_back(world, audience, moved, brought, check).await {
        world.terminal.complain(&format!("warning: open pull requests were not set back: {failure}"));
    }
}

async fn try_set_back(world: &World, audience: &Audience, moved: &Moved, brought: &[u64], check: &str) -> Result<(), Failure> {
    let saved = world.store.saved_as(Stored::read_bare).await?;
    let opened = world.host.opened(&Openings::Into(moved.branch.clone())).await?;
    let old: Vec<(&Opened, &Stored, usize)> = opened
        .iter()
        .filter_map(|one| Some((one, newest(&saved, one, audience)?)))
        .map(|(one, set)| (one, set, touched(set, moved)))
        .filter(|(_, _, touched)| *touched > 0)
        .collect();
    let by: Vec<String> = brought.iter().map(|number| format!("#{number}")).collect();
    let by = if by.is_empty() { format!("a push to {}", moved.branch) } else { by.join(", ") };
    if old.len() > SET_BACK_MAX {
        world.terminal.note(&format!("note: {} open pull requests are old, and the first {SET_BACK_MAX} are told", old.len()));
    }
    for (one, set, touched) in old.into_iter().take(SET_BACK_MAX) {
        let seen_by = set.run.map(|(id, attempt)| RunNumber { id, attempt }).unwrap_or_default();
        let told = Check {
            name: audience.check_name(check),
            state: CheckState::Pending,
            sentence: format!("{by} touches {} as well: preview it again", count(touched, "target", "targets")),
            turn: Turn { seen_by, run: audience.turn.run },
            address: audience.address.clone(),
        };
        if let Err(error) = world.host.check(&one.proposed.head, &told).await {
            world.terminal.complain(&format!("warning: #{} was not set back: {}", one.number, error.what));
        }
    }
    Ok(())
}

/// What was shown last of a change as it is now.
fn newest<'s>(saved: &'s [Stored], one: &Opened, audience: &Audience) -> Option<&'s Stored> {
    saved.iter().rfind(|set| {
        set.change == Some(one.number) && set.head.as_ref() == Some(&one.proposed.head.0) && set.part == audience.part
    })
}

fn touched(set: &Stored, moved: &Moved) -> usize {
    let shown = set.previews.iter().flatten().filter(|preview| !preview.is_empty());
    shown.filter(|preview| moved.targets.contains(&preview.target)).count()
}
