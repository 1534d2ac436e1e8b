//! The journal below a prefix of a bucket.
//!
//! It is a book. Everything that is written is a page of it: entries appended, a lease taken, leases given back. Pages are numbered
//! without a gap, and each is put only where there is none yet: of two who write the same page one is refused, turns to what was
//! written, asks again whether its lease is its own, and writes the next. No page is ever deleted, and none is changed but when its
//! entries are compacted away, so when an answer is lost, one look at the page settles whose it is.
//!
//! ```text
//! pages/000000000065.jsonl              one write: a line about itself, then its entries
//! volumes/000000000001-3fa8….jsonl      the entries of many pages, bound
//! checkpoints/000000000065-9b1c….json   the history up to an entry, so that reading begins after it
//! bases/000000000065-77d0….jsonl        what stands for entries that were compacted away
//! contents.json                         which of these there are, and how things stood at the last page in a volume
//! trial                                 written once, to see whether the service keeps conditions
//! previews/…                            what was shown; no part of the book
//! ```
//!
//! Whoever comes new reads the contents, the newest checkpoint that it can use, the volumes after it, and the few pages after them. What
//! is in no contents is nothing, and all but pages and bases can be made again.

mod acts;
mod audit;
mod bind;
mod book;
mod compact;
mod contents;
mod copies;
mod desk;
mod fault;
#[cfg(test)]
mod killed;
mod lines;
#[cfg(test)]
mod long;
mod page;
mod previews;
mod start;
mod sweep;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod tests;

use super::blocking::{blocking, held};
use super::group::{self, Queue};
use super::life::Life;
use super::together;
use super::{Anchor, Append, Audit, Boxed, Compacted, Held, Holder, Lease, Reader, Store, StoreError, Stored, Take, Written};
use crate::bucket::{Address, Buckets, Fault};
use crate::change::{Digest, Key};
use crate::journal::{Entry, Event, History};
use crate::stack::TargetId;
use desk::Desk;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Where a journal in a bucket lies.
#[derive(Clone)]
pub struct ObjectSite {
    pub address: Address,
    pub buckets: Buckets,
    /// Of this user on this machine: where runs keep the files that prove that they live.
    pub locks: PathBuf,
}

/// A prefix with a journal.
pub struct ObjectStore {
    place: String,
    bench: Arc<Bench>,
}

/// The part that the threads of the blocking calls share.
struct Bench {
    desk: Mutex<Desk>,
    waiting: Queue,
}

impl ObjectStore {
    /// Opens the journal, and asks nobody yet; its first page is made with the first entry or lease.
    pub fn open(site: ObjectSite) -> Result<Self, Fault> {
        let desk = Desk::open(site)?;
        let place = desk.place.to_string();
        Ok(Self { place, bench: Arc::new(Bench { desk: Mutex::new(desk), waiting: Queue::default() }) })
    }

    /// The same journal, whose entries and previews are sealed and whose seals are checked.
    pub fn sealed_by(self, key: Option<&Key>) -> Self {
        held(&self.bench.desk).seal_by(key);
        self
    }

    /// Says whether nothing was ever journalled there.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        self.looking(|desk| Ok(desk.book.chain.seq == 0)).await
    }

    /// Works at the desk, where waiting for a lock or a network holds nobody up.
    async fn working<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let bench = self.bench.clone();
        blocking(move || work(&mut held(&bench.desk))).await
    }

    /// The same, with the newest page.
    async fn looking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.working(|desk| {
            desk.look()?;
            work(desk)
        })
        .await
    }
}

impl Store for ObjectStore {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.looking(Desk::all))
    }

    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(self.looking(|desk| desk.book.is_believed().map(|()| desk.book.followed.history())))
    }

    fn each<'a>(&'a self, mut take: Take) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.looking(move |desk| desk.each(&mut take)))
    }

    fn since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| *seq);
        Box::pin(self.looking(move |desk| {
            desk.book.is_believed()?;
            desk.entries_after(known)
        }))
    }

    fn met_since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| *seq);
        Box::pin(self.working(move |desk| {
            if !desk.book.is_open() {
                desk.look()?;
            }
            desk.book.is_believed()?;
            desk.entries_after(known)
        }))
    }

    fn audit<'a>(&'a self, anchors: &'a [Anchor]) -> Boxed<'a, Result<Audit, StoreError>> {
        let anchors = anchors.to_vec();
        Box::pin(self.working(move |desk| audit::audit(desk, &anchors)))
    }

    fn compact<'a>(
        &'a self,
        before_ms: u64,
        first: Vec<Event>,
        run: &'a Arc<str>,
        at_ms: u64,
    ) -> Boxed<'a, Result<Compacted, StoreError>> {
        let run = run.clone();
        Box::pin(self.working(move |desk| desk.compact(before_ms, &first, &run, at_ms)))
    }

    fn write<'a>(&'a self, append: Append<'a>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        group::one(self.write_all(vec![append]))
    }

    fn write_all<'a>(&'a self, appends: Vec<Append<'a>>) -> Boxed<'a, Vec<Written>> {
        let bench = self.bench.clone();
        Box::pin(self.bench.waiting.append(appends, move || bench.write_waiting()))
    }

    fn acquire<'a>(&'a self, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        let targets = targets.to_vec();
        Box::pin(self.working(move |desk| together::exchange(desk, None, targets, holder)))
    }

    fn release<'a>(&'a self, lease: Lease) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.working(move |desk| together::release(desk, &lease)))
    }

    fn exchange<'a>(&'a self, lease: Lease, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        let targets = targets.to_vec();
        Box::pin(self.working(move |desk| together::exchange(desk, Some(&lease), targets, holder)))
    }

    fn holders<'a>(&'a self) -> Boxed<'a, Result<Vec<Held>, StoreError>> {
        Box::pin(self.looking(|desk| {
            let held = desk.book.leases.values().filter(|lease| lease.life(&desk.here) != Life::Ended);
            Ok(held.map(|lease| (lease.holder.clone(), lease.targets.clone())).collect())
        }))
    }

    fn free<'a>(
        &'a self,
        of: &'a str,
        event: Event,
        run: &'a Arc<str>,
        at_ms: u64,
    ) -> Boxed<'a, Result<Vec<TargetId>, StoreError>> {
        let (of, run) = (of.to_string(), run.clone());
        Box::pin(self.working(move |desk| desk.free(&of, &event, &run, at_ms)))
    }

    fn may_append<'a>(&'a self) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.looking(|desk| desk.try_anew()))
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        let stored = stored.clone();
        Box::pin(self.working(move |desk| previews::save(desk, stored)))
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.working(move |desk| previews::saved(desk, read)))
    }
}

impl Bench {
    /// Writes every group that waits on one page, and those of other processes of this machine.
    fn write_waiting(&self) {
        let mut desk = held(&self.desk);
        self.waiting.write(|groups| together::append(&mut *desk, groups));
    }
}
