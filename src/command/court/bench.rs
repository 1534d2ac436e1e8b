//! Who decided what about which previews: decisions as the host knows them, bound to what was shown.

use super::direct;
use crate::command::pending;
use crate::command::shown;
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

/// Returns the change that is looked at, or else those that came with the line up to `line_of` since what was brought longest ago; with what
/// people decided; and the commits of that line which no change brought.
pub(super) async fn changes(
    world: &World,
    history: &History,
    line_of: Option<&CommitSha>,
    change: Option<u64>,
    stored: &[Stored],
) -> Result<(Vec<Reviewed>, Vec<CommitSha>), Failure> {
    if let Some(number) = change {
        return Ok((world.host.reviewed(Of::Change(number)).await?, Vec::new()));
    }
    let line = match line_of {
        Some(head) if world.host.knows_commits() => line(world, history, head)?,
        Some(_) | None => Vec::new(),
    };
    let shown = stored.iter().filter_map(|stored| stored.change).collect();
    let changes = world.host.reviewed(Of::Line { commits: &line, shown: &shown }).await?;
    let direct = direct::pushed(&line, &changes);
    Ok((changes, direct))
}

/// The line down to the oldest commit that a target is at, or that speaks for targets which were never applied.
fn line(world: &World, history: &History, head: &CommitSha) -> Result<Vec<CommitSha>, Failure> {
    let mut line = world.workspace.first_parents(None, head)?;
    line.truncate(LINE_MAX);
    let Some(trusted) = history.trusted_commit() else { return Ok(line) };
    let place: BTreeMap<&str, usize> = line.iter().enumerate().map(|(at, commit)| (&*commit.0, at)).collect();
    let applied =
        history.targets().filter(|(_, record)| pending::exists(record)).filter_map(|(_, record)| record.commit.as_ref());
    // A commit that is not found here is older than all of it, or on no line of ours: then all of it counts.
    let oldest = applied.chain([trusted]).map(|commit| place.get(&**commit).copied().unwrap_or(line.len())).max();
    line.truncate(oldest.unwrap_or(LINE_MAX));
    Ok(line)
}

/// Binds what people decided to what was shown, and tells which approvals count for nothing.
pub(super) fn bound(changes: &[Reviewed], stored: &[Stored]) -> (Vec<Approval>, BTreeSet<Void>) {
    let seen: Vec<Seen> = stored.iter().flat_map(seen).collect();
    let (mut approvals, mut void) = (Vec::new(), BTreeSet::new());
    let unknown = changes.iter().filter(|change| !change.is_authorship_known).filter_map(|change| change.change.number).collect();
    for change in changes {
        let (bound, without) = change.bind(&seen, &unknown);
        approvals.extend(bound);
        void.extend(without);
    }
    if changes.iter().all(|change| change.change.number.is_some()) {
        approvals.sort_by_key(|approval| approval.at_ms); // by one clock; those of a laptop stand in the order in which they were given
    }
    (latest(approvals), void)
}

/// What a set shows; an uncommitted tree is approved by its digests only.
fn seen(stored: &Stored) -> Vec<Seen> {
    let Some(commit) = stored.head.clone().map(CommitSha) else { return Vec::new() };
    let digests = shown::digests(&stored.previews);
    let set = shown::together(digests.iter().cloned());
    let seen = |digest: Arc<str>| Seen {
        change: stored.change,
        commit: commit.clone(),
        set: set.as_str().into(),
        digest,
        first_ms: stored.first_ms,
    };
    digests.into_iter().map(seen).collect()
}
