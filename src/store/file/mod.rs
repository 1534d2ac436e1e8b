//! The journal as JSON lines in a directory of any POSIX disk.
//!
//! ```text
//! entries.jsonl    the newest entries
//! segments/A-B     the entries from A to B, closed: never written again
//! checkpoints/B    the history up to B, so that reading begins there
//! bases/B          the history up to B, where the entries were compacted away
//! lock             locked by whoever writes, for one group of entries or one lease
//! leases/N.json    one lease each, locked by its owner as long as it lives
//! epoch            the number of the last lease; without it the clock says one that is greater
//! previews/        sets of previews that were shown
//! .gitignore       so that none of it makes a work tree dirty
//! ```
//!
//! Reading makes nothing, and needs neither the lock nor the right to write.

mod audit;
mod checkpoints;
mod compact;
mod disk;
mod entries;
mod leases;
#[cfg(test)]
mod long;
mod previews;
mod scan;
mod segments;
mod shelf;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod tests;

use super::blocking::blocking;
use super::group;
use super::leases::{holds_nothing, lives_on};
use super::{Anchor, Append, Audit, Boxed, Compacted, Held, Holder, Lease, Reader, Store, StoreError, Stored, Take, Written};
use crate::change::{Digest, Key};
use crate::journal::{Entry, Event, History};
use crate::stack::TargetId;
use checkpoints::Start;
use disk::Pen;
use segments::Files;
use shelf::Shelf;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the tail at which it is closed: the most that a reader folds who begins at a checkpoint.
const SEGMENT_BYTES: u64 = 16 << 20;

/// A directory with `entries.jsonl`, `lock`, `leases/` and `previews/`.
pub struct FileStore {
    shelf: Arc<Shelf>,
}

impl FileStore {
    /// Opens the journal in `dir`, which is made with the first entry, lease or preview.
    pub fn open(dir: PathBuf) -> Result<Self, StoreError> {
        Self::with_pen(dir, Pen::default(), SEGMENT_BYTES)
    }

    /// The same journal, whose entries, checkpoints and previews are sealed and whose seals are checked.
    pub fn sealed_by(self, key: Option<&Key>) -> Self {
        let Shelf { dir, pen, segment_bytes, .. } = &*self.shelf;
        Self::new(dir.clone(), *pen, *segment_bytes, key)
    }

    /// Says whether `dir` holds entries; fails where it, or what would hold them, is there and cannot be looked at.
    pub fn has_entries(dir: &Path) -> Result<bool, StoreError> {
        Ok(is_dir(dir)? && (disk::length(&segments::tail(dir))? > 0 || !Files::list(dir)?.segments.is_empty()))
    }

    fn with_pen(dir: PathBuf, pen: Pen, segment_bytes: u64) -> Result<Self, StoreError> {
        is_dir(&dir)?;
        Ok(Self::new(dir, pen, segment_bytes, None))
    }

    fn new(dir: PathBuf, pen: Pen, segment_bytes: u64, key: Option<&Key>) -> Self {
        Self { shelf: Arc::new(Shelf::new(dir, pen, segment_bytes, key)) }
    }

    /// Runs `work` where waiting for a disk or a lock holds nobody up.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shelf = self.shelf.clone();
        blocking(move || work(&shelf)).await
    }
}

/// Says whether the journal's directory is there; anything else in its place is an error.
fn is_dir(dir: &Path) -> Result<bool, StoreError> {
    match disk::existing(dir)? {
        Some(metadata) if !metadata.is_dir() => {
            let what = format!("the journal {} is not a directory", dir.display());
            Err(StoreError::Io { what, hint: Some("put the directory back, or move what is in its place away".into()) })
        }
        metadata => Ok(metadata.is_some()),
    }
}

impl Store for FileStore {
    fn place(&self) -> String {
        format!("file:{}", self.shelf.dir.display())
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.blocking(|shelf| {
            shelf.read(|shelf| shelf.walk(Start::first(&shelf.dir, shelf.sealer.as_ref())?, |entries| entries.collect()))
        }))
    }

    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(self.blocking(|shelf| shelf.read(Shelf::history)))
    }

    fn each<'a>(&'a self, mut take: Take) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.blocking(move |shelf| {
            let mut given = 0;
            shelf.read(|shelf| {
                let start = Start::first(&shelf.dir, shelf.sealer.as_ref())?;
                shelf.walk(start, |entries| {
                    for entry in entries {
                        if entry.seq > given {
                            given = entry.seq;
                            take(entry);
                        }
                    }
                })
            })
        }))
    }

    fn since<'a>(&'a self, head: Option<&'a (u64, Digest)>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        let known = head.map_or(0, |(seq, _)| *seq);
        Box::pin(self.blocking(move |shelf| shelf.read(|shelf| shelf.since(known))))
    }

    fn audit<'a>(&'a self, anchors: &'a [Anchor]) -> Boxed<'a, Result<Audit, StoreError>> {
        let anchors = anchors.to_vec();
        Box::pin(self.blocking(move |shelf| shelf.audit(&anchors)))
    }

    fn compact<'a>(
        &'a self,
        before_ms: u64,
        first: Vec<Event>,
        run: &'a Arc<str>,
        at_ms: u64,
    ) -> Boxed<'a, Result<Compacted, StoreError>> {
        let run = run.clone();
        Box::pin(self.blocking(move |shelf| shelf.compact(before_ms, first, &run, at_ms)))
    }

    fn write<'a>(&'a self, append: Append<'a>) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        group::one(self.write_all(vec![append]))
    }

    fn write_all<'a>(&'a self, appends: Vec<Append<'a>>) -> Boxed<'a, Vec<Written>> {
        let shelf = self.shelf.clone();
        Box::pin(self.shelf.waiting.append(appends, move || shelf.write_waiting()))
    }

    fn acquire<'a>(&'a self, targets: &'a [TargetId], holder: Holder) -> Boxed<'a, Result<Lease, StoreError>> {
        let targets = targets.to_vec();
        Box::pin(self.blocking(move |shelf| {
            let _lock = shelf.lock()?;
            leases::acquire(&shelf.dir, &targets, holder)
        }))
    }

    fn release<'a>(&'a self, lease: Lease) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.blocking(move |shelf| leases::release(&shelf.dir, lease)))
    }

    fn holders<'a>(&'a self) -> Boxed<'a, Result<Vec<Held>, StoreError>> {
        Box::pin(self.blocking(|shelf| {
            let _lock = disk::lock_shared(&shelf.dir.join("lock"))?;
            leases::holders(&shelf.dir)
        }))
    }

    fn free<'a>(&'a self, of: &'a str, _: Event, _: &'a Arc<str>, _: u64) -> Boxed<'a, Result<Vec<TargetId>, StoreError>> {
        Box::pin(async move {
            let lives = self.holders().await?.iter().any(|(holder, _)| *holder.run == *of);
            Err(if lives { lives_on(of) } else { holds_nothing(of) })
        })
    }

    fn may_append<'a>(&'a self) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.blocking(|shelf| disk::may_write(&shelf.dir, &segments::tail(&shelf.dir))))
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        let stored = stored.clone();
        Box::pin(self.blocking(move |shelf| {
            let _lock = shelf.lock()?;
            previews::save(&shelf.dir, stored, shelf.preview_sealer.as_ref())
        }))
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.blocking(move |shelf| previews::saved(&shelf.dir, shelf.preview_sealer.as_ref(), read)))
    }
}
