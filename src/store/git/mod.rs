//! The journal as a ref of a git repository, on a disk or behind https and ssh.
//!
//! Everything that is written is one commit on the tip, pushed so that it is taken only when the tip is still the one it stands on:
//! appends, leases taken, leases given back. Who comes too late looks again, asks again whether its lease is its own, seals its entries
//! anew and pushes again. When an answer is lost, the ref is read back: the hash of our last entry is in the chain, or it is not.
//!
//! The ref lies outside `refs/heads`: no checkout shows it, and no ordinary fetch brings it.

mod acts;
mod audit;
mod busy;
mod compact;
mod desk;
mod draft;
mod fault;
mod known;
mod leases;
mod lines;
#[cfg(test)]
mod long;
mod previews;
mod program;
mod reach;
mod refs;
mod seen;
#[cfg(test)]
mod tests;
mod tip;
mod tree;
mod wire;

use super::blocking::{blocking, held};
use super::group::{self, Queue};
use super::life::Life;
use super::together;
use super::{
    Anchor, Append, Audit, Boxed, Compacted, Held, Holder, Lease, Location, Reader, Store, StoreError, Stored, Take, Written,
};
use crate::change::{Digest, Key};
use crate::journal::{Entry, Event, History};
use crate::stack::TargetId;
use desk::{Around, Desk};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Where a journal in git lies, and what is needed to get there.
#[derive(Clone, Debug)]
pub struct GitSite {
    pub location: Location,
    pub reference: Arc<str>,
    /// Of this clone, outside its work tree; what is in there may be deleted while nobody of it writes.
    pub cache: PathBuf,
    /// Of this user on this machine: where runs keep the files that prove that they live.
    pub locks: PathBuf,
    /// The process's environment; of it, `git` gets what it needs.
    pub variables: BTreeMap<String, String>,
    /// Of the repository's own configuration.
    pub settings: Vec<(String, String)>,
    pub anew: Anew,
}

/// Whether a journal may be begun at a place where none is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anew {
    /// Nobody is about to: the place is looked at.
    Unasked,
    /// Unless this clone has seen one there.
    UnlessSeenHere,
    /// Unless this clone has seen one of that ref anywhere: the name of a remote may come to mean another place.
    UnlessSeen,
}

/// A ref with a journal.
pub struct GitStore {
    bench: Arc<Bench>,
}

/// The part that the threads of the blocking calls share.
struct Bench {
    site: GitSite,
    around: Arc<Around>,
    key: Option<Key>,
    desk: Mutex<Option<Desk>>,
    waiting: Queue,
}

impl GitStore {
    /// Opens the journal; the ref is made with the first entry or lease.
    pub fn open(site: GitSite) -> Self {
        Self::with(site, Arc::new(|push| push()))
    }

    fn with(site: GitSite, around: Arc<Around>) -> Self {
        Self::new(site, around, None)
    }

    fn new(site: GitSite, around: Arc<Around>, key: Option<Key>) -> Self {
        Self { bench: Arc::new(Bench { site, around, key, desk: Mutex::default(), waiting: Queue::default() }) }
    }

    /// The same journal, whose entries and previews are sealed and whose seals are checked.
    pub fn sealed_by(self, key: Option<&Key>) -> Self {
        Self::new(self.bench.site.clone(), self.bench.around.clone(), key.cloned())
    }

    /// Says whether nothing was ever journalled there.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        self.looking(|desk| Ok(desk.known.chain.seq == 0)).await
    }

    /// Works at the desk, where waiting for a disk, a lock or a network holds nobody up.
    async fn working<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let bench = self.bench.clone();
        blocking(move || bench.at_desk(work)).await
    }

    /// The same, with the newest tip.
    async fn looking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Desk) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.working(|desk| {
            desk.look()?;
            work(desk)
        })
        .await
    }
}

impl Store for GitStore {
    fn place(&self) -> String {
        let GitSite { location, reference, .. } = &self.bench.site;
        format!("git:{}#{reference}", location.shown())
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.looking(|desk| {
            let mut entries = Vec::new();
            desk.known.each(&desk.wire, &desk.repository, &mut |entry| entries.push(entry))?;
            desk.known.is_believed().map(|()| entries)
        }))
    }

    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(self.looking(|desk| desk.known.is_believed().map(|()| desk.known.followed.history())))
    }

    fn each<'a>(&'a self, mut take: Take) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.looking(move |desk| {
            desk.known.each(&desk.wire, &desk.repository, &mut take)?;
            desk.known.is_believed()
        }))
    }

    fn since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| *seq);
        Box::pin(self.looking(move |desk| {
            desk.known.is_believed()?;
            desk.entries_after(known)
        }))
    }

    fn met_since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| *seq);
        Box::pin(self.working(move |desk| {
            if !desk.known.has_looked() {
                desk.look()?;
            }
            desk.known.is_believed()?;
            desk.entries_after(known)
        }))
    }

    fn audit<'a>(&'a self, anchors: &'a [Anchor]) -> Boxed<'a, Result<Audit, StoreError>> {
        let anchors = anchors.to_vec();
        Box::pin(self.working(move |desk| {
            let _turn = desk.turn_at_cache();
            audit::audit(desk, &anchors)
        }))
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
            let all = leases::all(&desk.place, &desk.repository, &desk.known)?;
            let held = all.into_iter().filter(|lease| lease.life(&desk.here) != Life::Ended);
            Ok(held.map(|lease| (lease.holder, lease.targets)).collect())
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
        Box::pin(self.looking(|desk| desk.wire.may_push(&desk.place, &desk.repository, &desk.reference, desk.known.tip())))
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        let stored = stored.clone();
        Box::pin(self.working(move |desk| {
            let _turn = desk.turn();
            desk.make_durable()?;
            previews::save(desk, stored)
        }))
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.working(move |desk| {
            let _turn = desk.turn_at_cache();
            previews::saved(desk, read)
        }))
    }
}

impl Bench {
    fn at_desk<T>(&self, work: impl FnOnce(&mut Desk) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut desk = held(&self.desk);
        match &mut *desk {
            Some(desk) => work(desk),
            none => work(none.insert(Desk::open(&self.site, self.around.clone(), self.key.as_ref())?)),
        }
    }

    /// Pushes every group that waits with one commit, and those of other processes of this clone.
    fn write_waiting(&self) {
        let at_desk = self.at_desk(|desk| {
            self.waiting.write(|groups| together::append(desk, groups));
            Ok(())
        });
        if let Err(error) = at_desk {
            self.waiting.write(|_| Err(error)); // there was no desk to take them to
        }
    }
}
