//! Who decided what about which previews: decisions as the host knows them, bound to what was shown.

use crate::command::pending;
use crate::command::shown::approvable;
use crate::exit::Failure;
use crate::host::Of;
use crate::journal::History;
use crate::review::{Approval, CommitSha, Reviewed, Seen, Void, latest};
use crate::store::Stored;
use crate::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Commits of the line that is applied whose changes are asked for at most, the newest of them.
const LINE_MAX: usize = 500;

/// Returns the change that is looked at, or else those that came since what was brought longest ago, with what people decided.
pub(super) async fn changes(
    world: &World,
    history: &History,
    head: Option<&CommitSha>,
    change: Option<u64>,
) -> Result<Vec<Reviewed>, Failure> {
    if let Some(number) = change {
        return Ok(world.host.reviewed(Of::Change(number)).await?);
    }
    let line = match head {
        Some(head) if world.host.knows_commits() => line(world, history, head)?,
        Some(_) | None => Vec::new(),
    };
    Ok(world.host.reviewed(Of::Line(&line)).await?)
}

/// The line down to the oldest commit that a target is at.
fn line(world: &World, history: &History, head: &CommitSha) -> Result<Vec<CommitSha>, Failure> {
    let mut line = world.workspace.first_parents(None, head)?;
    line.truncate(LINE_MAX);
    let place: BTreeMap<&str, usize> = line.iter().enumerate().map(|(at, commit)| (&*commit.0, at)).collect();
    let applied =
        history.targets().filter(|(_, record)| pending::exists(record)).filter_map(|(_, record)| record.commit.as_ref());
    let applied = applied.chain(history.trusted_commit());
    let oldest = applied.filter_map(|commit| place.get(&**commit)).max().copied();
    line.truncate(oldest.unwrap_or(LINE_MAX));
    Ok(line)
}

/// Binds what people decided to what was shown, and tells which approvals count for nothing.
pub(super) fn bound(changes: &[Reviewed], stored: &[Stored]) -> (Vec<Approval>, BTreeSet<Void>) {
    let (mut approvals, mut void) = (Vec::new(), BTreeSet::new());
    for change in changes {
        let of = |stored: &&Stored| stored.change.is_some() && stored.change == change.change.number;
        let seen: Vec<Seen> = stored.iter().filter(of).flat_map(seen).collect();
        let (bound, without) = change.bind(&seen);
        approvals.extend(bound);
        void.extend(without);
    }
    (latest(approvals), void)
}

fn seen(stored: &Stored) -> impl Iterator<Item = Seen> {
    let commit = stored.head.clone().map(CommitSha);
    let digests = stored.previews.iter().filter_map(approvable).map(|(_, digest)| Arc::from(digest.as_str()));
    digests.filter_map(move |digest| Some(Seen { commit: commit.clone()?, digest, first_ms: stored.first_ms }))
}
