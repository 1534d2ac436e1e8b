//! What every store does with appends: many that wait are one write, and each is answered alone. Knows no place.

use super::{Lease, StoreError};
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event};
use crate::stack::TargetId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// One group to append; `Claim` is what shows that its lease is ours.
pub(super) struct Group<Claim> {
    pub(super) events: Vec<Event>,
    pub(super) run: Arc<str>,
    pub(super) at_ms: u64,
    /// And the target to name when it does not.
    pub(super) claim: Option<(Claim, TargetId)>,
    /// What the newest entry must be, where only that will do: number and hash.
    pub(super) after: Option<(u64, Digest)>,
    pub(super) answer: oneshot::Sender<Result<Vec<Entry>, StoreError>>,
}

impl<Claim> Group<Claim> {
    /// It may not stand after `chain`: somebody appended meanwhile.
    pub(super) fn comes_late(&self, chain: &Chain) -> bool {
        self.after.as_ref().is_some_and(|(seq, hash)| (chain.seq, &chain.head) != (*seq, hash))
    }
}

/// What the newest entry is where `head` was found, also when there was none.
pub(super) fn head_of(head: Option<&(u64, Digest)>) -> (u64, Digest) {
    let Chain { seq, head: none, .. } = Chain::empty();
    head.cloned().unwrap_or((seq, none))
}

/// The newest entries that this process met, for whoever follows the journal: reading it again is reading all of it.
#[derive(Default)]
pub(super) struct Recent(VecDeque<Entry>);

/// Some megabytes; who comes later than that reads all of it.
const RECENT_MAX: usize = 4096;

impl Recent {
    pub(super) fn met(&mut self, entries: &[Entry]) {
        self.0.extend(entries.iter().cloned());
        self.0.drain(..self.0.len().saturating_sub(RECENT_MAX));
    }

    /// The entries after `known` up to `newest`; `None` when they are not all here.
    pub(super) fn since(&self, known: u64, newest: u64) -> Option<Vec<Entry>> {
        if known >= newest {
            return Some(Vec::new());
        }
        let has_all = self.0.front().is_some_and(|first| first.seq <= known + 1);
        has_all.then(|| self.0.iter().filter(|entry| entry.seq > known).cloned().collect())
    }
}

pub(super) type Answer = (oneshot::Sender<Result<Vec<Entry>, StoreError>>, Result<Vec<Entry>, StoreError>);

/// Where who asked waits for what became of a group.
pub(super) type Answered = oneshot::Receiver<Result<Vec<Entry>, StoreError>>;

/// Who asked may have gone; the entries are written all the same.
pub(super) fn answer_all(answers: impl IntoIterator<Item = Answer>) {
    for (answer, said) in answers {
        let _ = answer.send(said);
    }
}

/// The sealed entries of each group, by its number, or why it may not be written for want of the key.
pub(super) type Appended = BTreeMap<usize, Result<Vec<Entry>, StoreError>>;

/// Answers each group: `written` says of those whose claim held, by their number, what became of them.
pub(super) fn answer_sealed<Claim>(groups: Vec<Group<Claim>>, written: Result<Appended, StoreError>) {
    let mut sealed = match written {
        Ok(sealed) => sealed,
        Err(error) => return answer_all(groups.into_iter().map(|group| (group.answer, Err(error.clone())))),
    };
    answer_all(groups.into_iter().enumerate().map(|(nth, group)| {
        let said = match (sealed.remove(&nth), group.claim) {
            (Some(said), _) => said,
            (None, Some((_, target))) => Err(StoreError::Fenced(target)),
            (None, None) => Err(interrupted()),
        };
        (group.answer, said)
    }));
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

/// What shows that a lease is ours where epochs say so: its own, and the target to name when it is not.
pub(super) fn claim(events: &[Event], lease: Option<&Lease>) -> Result<Option<(u64, TargetId)>, StoreError> {
    let named = covered(events, lease)?.cloned();
    Ok(lease.and_then(|lease| lease.epochs.values().next().copied()).zip(named))
}

/// Whoever panicked with the lock left what it guards as it was.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` where waiting for a disk, a lock or a network holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(interrupted()),
        },
    }
}

pub(super) fn interrupted() -> StoreError {
    let hint = "it is not sure whether it was done: see `isobar status`, and run the same command again";
    StoreError::Io { what: "we were stopped in the middle of a call to the journal".into(), hint: Some(hint.into()) }
}

/// Nobody takes from the living.
pub(super) fn lives_on(run: &str) -> StoreError {
    let hint = "wait until it has ended, or end it: what it holds is free then; isobar status shows it";
    StoreError::Io { what: format!("run {run} lives, which is proven: nothing was taken from it"), hint: Some(hint.into()) }
}

pub(super) fn holds_nothing(run: &str) -> StoreError {
    StoreError::Io { what: format!("no run {run} holds anything"), hint: Some("isobar status shows who writes".into()) }
}
