//! The branch moves on under changes that are open: the check of those that were shown to change the same waits for another look.

use super::{CHECK, Request};
use crate::command::judge::{last_of, run_of};
use crate::command::moved::Moved;
use crate::command::say::count;
use crate::exit::Failure;
use crate::host::{Check, CheckState, Opened, Openings, Turn};
use crate::review::CommitSha;
use crate::store::Stored;
use crate::world::World;

/// Changes that are set back at most: each takes a few requests.
const SET_BACK_MAX: usize = 100;

/// A push, and the changes that came with it.
pub(super) struct Push<'p> {
    pub(super) branch: &'p str,
    pub(super) before: &'p CommitSha,
    pub(super) head: &'p CommitSha,
    pub(super) brought: &'p [u64],
}

impl Request {
    /// Sets the check of every other open change back that was shown to change what came with a push, and names what did.
    pub(super) async fn set_back(&self, world: &World, push: Option<Push<'_>>) {
        let Some(push) = push.filter(|_| world.host.knows_commits()) else { return };
        if let Err(failure) = self.try_set_back(world, &push).await {
            world.terminal.complain(&format!("warning: open pull requests were not set back: {failure}"));
        }
    }

    async fn try_set_back(&self, world: &World, push: &Push<'_>) -> Result<(), Failure> {
        let Push { branch, before, head, brought } = push;
        let opened = world.host.opened(&Openings::Into((*branch).into())).await?;
        let saved = world.store.saved_as(Stored::read_bare).await?;
        let shown = |one: &Opened| last_of(&saved, &(one.proposed.head.clone(), self.of_change(one.number)));
        let shown: Vec<(&Opened, &Stored)> = opened.iter().filter_map(|one| Some((one, shown(one)?))).collect();
        if shown.is_empty() {
            return Ok(()); // what came is read for nobody
        }
        let moved = Moved::between(world, branch, before, head)?;
        let touched = shown.into_iter().map(|(one, set)| (one, set, touched(set, &moved)));
        let old: Vec<(&Opened, &Stored, usize)> = touched.filter(|(_, _, touched)| *touched > 0).collect();
        let by: Vec<String> = brought.iter().map(|number| format!("#{number}")).collect();
        let by = if by.is_empty() { format!("a push to {branch}") } else { by.join(", ") };
        if old.len() > SET_BACK_MAX {
            let what = format!("note: {} open pull requests are old, and the first {SET_BACK_MAX} are told", old.len());
            world.terminal.note(&what);
        }
        for (one, set, touched) in old.into_iter().take(SET_BACK_MAX) {
            let told = Check {
                name: self.audience.check_name(CHECK),
                state: CheckState::Pending,
                sentence: format!("{by} touches {} as well: preview it again", count(touched, "target", "targets")),
                turn: Turn { seen_by: run_of(set), ..self.audience.turn },
                address: self.audience.address.clone(),
            };
            if let Err(error) = world.host.check(&one.proposed.head, &told).await {
                world.terminal.complain(&format!("warning: #{} was not set back: {}", one.number, error.what));
            }
        }
        Ok(())
    }
}

fn touched(set: &Stored, moved: &Moved) -> usize {
    let shown = set.previews.iter().flatten().filter(|preview| !preview.is_empty());
    shown.filter(|preview| moved.targets.contains(&preview.target)).count()
}
