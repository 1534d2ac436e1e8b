//! A journal in this process's memory, for worlds that are made up: the same order, groups, epochs and fences as on disk, and
//! nothing of it is left. Several runs may share it; which of them lives is said by [`MemoryStore::end`].

use super::group::covered;
use super::leases::{holds_nothing, lives_on};
use super::sets::{Name, text};
use super::{After, Append, Boxed, Held, Holder, Lease, Reader, Store, StoreError, Stored};
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event, History};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A journal that its clones share.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Shelf>>);

struct Shelf {
    chain: Chain,
    entries: Vec<Entry>,
    /// By epoch.
    leases: BTreeMap<u64, (Holder, BTreeSet<TargetId>)>,
    epoch: u64,
    previews: Vec<Stored>,
    /// What becomes of the next writes, the last of them first; those after them are made.
    #[cfg(test)]
    fates: Vec<Result<(), StoreError>>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            chain: Chain::empty(),
            entries: Vec::new(),
            leases: BTreeMap::new(),
            epoch: 0,
            previews: Vec::new(),
            #[cfg(test)]
            fates: Vec::new(),
        }
    }
}

impl MemoryStore {
    /// The process of `run` ended: its leases are free from now on, and what it still has on its way is refused.
    pub fn end(&self, run: &str) {
        self.lock().leases.retain(|_, (holder, _)| *holder.run != *run);
    }

    /// Gives the entries to `look`, in order, without a copy.
    pub fn look<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.lock().entries)
    }

    /// Says what becomes of the next writes; those after them are made.
    #[cfg(test)]
    pub(crate) fn foretell(&self, fates: impl IntoIterator<Item = Result<(), StoreError>, IntoIter: DoubleEndedIterator>) {
        self.lock().fates = fates.into_iter().rev().collect();
    }

    /// How many of them are still to come.
    #[cfg(test)]
    pub(crate) fn foretold(&self) -> usize {
        self.lock().fates.len()
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// Entries about a target need a lease that covers it, and whoever shows a lease must still have it.
    fn check(&self, events: &[Event], lease: Option<&Lease>) -> Result<(), StoreError> {
        let Some(named) = covered(events, lease)? else { return Ok(()) };
        let is_ours = lease.and_then(|lease| lease.epochs.values().next()).is_none_or(|epoch| self.leases.contains_key(epoch));
        if is_ours { Ok(()) } else { Err(StoreError::Fenced(named.clone())) }
    }

    /// Nothing came since, or nothing that matters.
    fn stands(&self, after: &After) -> bool {
        let since = usize::try_from(after.head.0).ok().and_then(|seq| self.entries.get(seq..)).unwrap_or_default();
        after.is_newest(&self.chain) || after.bears(since)
    }

    fn acquire(&mut self, targets: &[TargetId], holder: Holder) -> Result<Lease, StoreError> {
        for (other, held) in self.leases.values() {
            if let Some(target) = targets.iter().find(|target| held.contains(target)) {
                return Err(StoreError::Held { target: target.clone(), holder: Box::new(other.clone()), is_proven: true });
            }
        }
        if targets.is_empty() {
            return Ok(Lease::over_nothing(holder));
        }
        let run = holder.run.clone();
        self.epoch += 1;
        self.leases.insert(self.epoch, (holder, targets.iter().cloned().collect()));
        Ok(Lease { run, epochs: targets.iter().map(|target| (target.clone(), self.epoch)).collect(), guard: None, trace: None })
    }
}

impl Store for MemoryStore {
    fn place(&self) -> String {
        "memory".into()
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async { Ok(self.lock().entries.clone()) })
    }

    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(async { Ok(History::of(self.lock().entries.iter().cloned())) })
    }

    fn since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| usize::try_from(*seq).unwrap_or(usize::MAX));
        Box::pin(async move { Ok(self.lock().entries.iter().skip(known).cloned().collect()) })
    }

    fn write<'a>(&'a self, append: Append<'a>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let Append { events, run, at_ms, lease, after } = append;
        Box::pin(async move {
            let mut shelf = self.lock();
            #[cfg(test)]
            shelf.fates.pop().unwrap_or(Ok(()))?;
            shelf.check(&events, lease)?;
            if after.is_some_and(|after| !shelf.stands(&after)) {
                return Ok(Vec::new());
            }
            let sealed = shelf.chain.seal_group(events, run, at_ms);
            shelf.entries.extend(sealed.iter().cloned());
            Ok(sealed)
        })
    }

    fn acquire<'a>(&'a self, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        Box::pin(async move { self.lock().acquire(targets, holder) })
    }

    fn release<'a>(&'a self, lease: Lease) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if let Some(epoch) = lease.epochs.values().next() {
                self.lock().leases.remove(epoch);
            }
            Ok(())
        })
    }

    fn holders<'a>(&'a self) -> Boxed<'a, Result<Vec<Held>, StoreError>> {
        let held = |(holder, targets): &(Holder, BTreeSet<TargetId>)| (holder.clone(), targets.iter().cloned().collect());
        Box::pin(async move { Ok(self.lock().leases.values().map(held).collect()) })
    }

    fn free<'a>(&'a self, of: &'a str, _: Event, _: &'a Arc<str>, _: u64) -> Boxed<'a, Result<Vec<TargetId>, StoreError>> {
        let lives = || self.lock().leases.values().any(|(holder, _)| *holder.run == *of);
        Box::pin(async move { Err(if lives() { lives_on(of) } else { holds_nothing(of) }) })
    }

    fn may_append<'a>(&'a self) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut shelf = self.lock();
            let name = Name::of(stored);
            let same = |kept: &Stored| Name::of(kept) == name;
            let first_ms = shelf.previews.iter().find(|kept| same(kept)).map_or(stored.at_ms, |kept| kept.first_ms);
            shelf.previews.retain(|kept| !same(kept));
            shelf.previews.push(Stored { first_ms, ..stored.clone() });
            Ok(())
        })
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(async move {
            let unreadable = |error: serde_json::Error| StoreError::Io { what: error.to_string(), hint: None };
            self.lock().previews.iter().map(|stored| read(text(stored, None).as_bytes()).map_err(unreadable)).collect()
        })
    }
}

#[cfg(test)]
mod tests;
