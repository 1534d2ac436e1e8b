//! What every store does with appends: many that wait are one write, and each is answered alone. A store says only how what waits is
//! written. Knows no place.

use super::blocking::{blocking, held, interrupted};
use super::{Append, Lease, StoreError};
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// The sealed entries of a group, or why it is refused.
pub(super) type Sealed = Result<Vec<Entry>, StoreError>;

/// One group to append. Cloned only by who may have to write it again, for a wave may have ten thousand clearances.
#[derive(Clone)]
pub(super) struct Group {
    events: Vec<Event>,
    run: Arc<str>,
    at_ms: u64,
    claim: Option<Claim>,
    after: Option<(u64, Digest)>,
}

/// A group, and whom to tell what became of it.
type Asked = (Group, oneshot::Sender<Sealed>);

/// What shows that a lease is ours; whether it still is, is asked when the group is written.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) epoch: u64,
    /// Which file keeps the lease alive: its device and number there.
    pub(super) guard: Option<(u64, u64)>,
    /// To name when it is not ours.
    target: TargetId,
}

/// Groups that wait for the next write, in the order in which they came.
#[derive(Default)]
pub(super) struct Queue(Mutex<Vec<Asked>>);

impl Claim {
    /// `None` without a lease, or with one over nothing.
    fn of(events: &[Event], lease: Option<&Lease>) -> Result<Option<Self>, StoreError> {
        let Some((target, lease)) = covered(events, lease)?.zip(lease) else { return Ok(None) };
        let guard = lease.guard.as_ref().and_then(|guard| guard.metadata().ok()).map(|file| (file.dev(), file.ino()));
        Ok(lease.epochs.values().next().map(|epoch| Self { epoch: *epoch, guard, target: target.clone() }))
    }
}

impl Queue {
    /// Lets a group wait, has `write` call [`Queue::write`] where waiting holds nobody up, and returns what became of the group: it is
    /// written then, by this call or by another one's.
    pub(super) async fn append(&self, append: Append<'_>, write: impl FnOnce() + Send + 'static) -> Sealed {
        let Append { events, run, at_ms, lease, after } = append;
        if events.is_empty() && after.is_none() {
            return Ok(Vec::new());
        }
        let claim = Claim::of(&events, lease)?;
        let (answer, answered) = oneshot::channel();
        held(&self.0).push((Group { events, run: run.clone(), at_ms, claim, after }, answer));
        blocking(move || {
            write();
            Ok(())
        })
        .await?;
        answered.await.unwrap_or_else(|_| Err(interrupted()))
    }

    /// Has `write` write every group that waits at once, and answers each. Only in a store's turn: who comes meanwhile waits for the
    /// next one, and many appends at once cost one way to the journal.
    pub(super) fn write(&self, write: impl FnOnce(Vec<Group>) -> Result<Vec<Sealed>, StoreError>) {
        let (groups, answers): (Vec<_>, Vec<_>) = std::mem::take(&mut *held(&self.0)).into_iter().unzip();
        if groups.is_empty() {
            return;
        }
        let sealed = write(groups).unwrap_or_else(|error| vec![Err(error); answers.len()]);
        for (answer, sealed) in answers.into_iter().zip(sealed) {
            let _ = answer.send(sealed); // who asked may have gone; the entries are written all the same
        }
    }
}

/// Seals each group after `chain`, or says why it may not be written. `is_ours` says whether a claim still holds.
pub(super) fn seal(groups: Vec<Group>, chain: &mut Chain, is_ours: impl Fn(&Claim) -> bool) -> Vec<Sealed> {
    let sealed = groups.into_iter().map(|group| {
        if let Some(claim) = group.claim.filter(|claim| !is_ours(claim)) {
            return Err(StoreError::Fenced(claim.target));
        }
        if group.after.as_ref().is_some_and(|(seq, hash)| (chain.seq, &chain.head) != (*seq, hash)) {
            return Ok(Vec::new()); // somebody appended meanwhile
        }
        match chain.refuses(&group.events) {
            Some(unsealed) => Err(unsealed.into()),
            None => Ok(chain.seal_group(group.events, &group.run, group.at_ms)),
        }
    });
    sealed.collect()
}

/// The entries of all groups that may be written, in order.
pub(super) fn entries(sealed: &[Sealed]) -> impl Iterator<Item = &Entry> + Clone {
    sealed.iter().flatten().flatten()
}

/// Whether one of them may only stand after a certain entry, which may be newer than what a store knows.
pub(super) fn follows(groups: &[Group]) -> bool {
    groups.iter().any(|group| group.after.is_some())
}

/// Returns the target to name when a group is refused: entries about a target need a lease that covers it. `None` without a
/// lease, or with one over nothing. That the lease is still ours is asked when the group is written.
pub(super) fn covered<'a>(events: &'a [Event], lease: Option<&'a Lease>) -> Result<Option<&'a TargetId>, StoreError> {
    let mut targets = events.iter().filter_map(Event::target);
    if let Some(target) = targets.clone().find(|target| !lease.is_some_and(|lease| lease.covers(target))) {
        return Err(StoreError::Fenced(target.clone()));
    }
    Ok(lease.and_then(|lease| targets.next().or(lease.epochs.keys().next())))
}
