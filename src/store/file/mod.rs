//! The journal as JSON lines in a directory of any POSIX disk.
//!
//! ```text
//! entries.jsonl    the journal
//! lock             locked by whoever writes, for one group of entries or one lease
//! leases/N.json    one lease each, locked by its owner as long as it lives
//! epoch            the number of the last lease
//! previews/        sets of previews that were shown
//! .gitignore       so that none of it makes a work tree dirty
//! ```
//!
//! Reading makes nothing, and needs neither the lock nor the right to write.

mod disk;
mod entries;
mod leases;
mod previews;
#[cfg(test)]
mod tests;

use super::group::{Group, answer_all, blocking, covered, held, holds_nothing, interrupted, lives_on};
use super::{Boxed, Held, Holder, Lease, Reader, Store, StoreError, Stored};
use crate::journal::{Entry, Event, History};
use crate::stack::TargetId;
use disk::Pen;
use entries::{Entries, Scan};
use leases::Claim;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// A directory with `entries.jsonl`, `lock`, `leases/` and `previews/`.
pub struct FileStore {
    shelf: Arc<Shelf>,
}

/// The part that the threads of the blocking calls share.
struct Shelf {
    dir: PathBuf,
    entries: Mutex<Entries>,
    /// Groups that wait for the next write, in the order in which they came.
    waiting: Mutex<Vec<Group<Claim>>>,
}

impl FileStore {
    /// Opens the journal in `dir`, which is made with the first entry, lease or preview.
    pub fn open(dir: PathBuf) -> Result<Self, StoreError> {
        Self::with_pen(dir, Pen::default())
    }

    fn with_pen(dir: PathBuf, pen: Pen) -> Result<Self, StoreError> {
        match dir.metadata() {
            Ok(metadata) if !metadata.is_dir() => {
                let what = format!("the journal {} is not a directory", dir.display());
                return Err(StoreError::Io { what, hint: Some("set another `journal:` in isobar.yaml".into()) });
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(disk::failed("opening", &dir, &error)),
        }
        let entries = Mutex::new(Entries::new(dir.join("entries.jsonl"), pen));
        Ok(Self { shelf: Arc::new(Shelf { dir, entries, waiting: Mutex::default() }) })
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

impl Store for FileStore {
    fn place(&self) -> String {
        format!("file:{}", self.shelf.dir.display())
    }

    fn read<'a>(&'a self) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.blocking(|shelf| shelf.read(|entries| entries.collect())))
    }

    fn history<'a>(&'a self) -> Boxed<'a, Result<History, StoreError>> {
        Box::pin(self.blocking(|shelf| shelf.read(|entries| History::of(entries))))
    }

    fn append<'a>(
        &'a self,
        events: Vec<Event>,
        run: &'a Arc<str>,
        at_ms: u64,
        lease: Option<&'a Lease>,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            if events.is_empty() {
                return Ok(Vec::new());
            }
            let claim = self.shelf.claim(&events, lease)?;
            let (answer, answered) = oneshot::channel();
            held(&self.shelf.waiting).push(Group { events, run: run.clone(), at_ms, claim, answer });
            self.blocking(|shelf| {
                shelf.write_waiting();
                Ok(())
            })
            .await?;
            answered.await.unwrap_or_else(|_| Err(interrupted()))
        })
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
        Box::pin(self.blocking(|shelf| disk::may_write(&shelf.dir)))
    }

    fn save<'a>(&'a self, stored: &'a Stored) -> Boxed<'a, Result<(), StoreError>> {
        let stored = stored.clone();
        Box::pin(self.blocking(move |shelf| {
            let _lock = shelf.lock()?;
            previews::save(&shelf.dir, stored)
        }))
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.blocking(move |shelf| previews::saved(&shelf.dir, read)))
    }
}

impl Shelf {
    /// Reads without the lock, so that readers hold no writer up. Only a fault is looked at again under the lock: a writer may
    /// have cut off what a crash left, just while we read it.
    fn read<T>(&self, take: fn(&mut dyn Iterator<Item = Entry>) -> T) -> Result<T, StoreError> {
        match self.read_once(take) {
            Err(StoreError::Broken { .. }) => {
                let _lock = disk::lock_shared(&self.dir.join("lock"))?;
                self.read_once(take)
            }
            done => done,
        }
    }

    fn read_once<T>(&self, take: fn(&mut dyn Iterator<Item = Entry>) -> T) -> Result<T, StoreError> {
        let path = self.dir.join("entries.jsonl");
        let Some(mut scan) = Scan::of(&path)? else { return Ok(take(&mut std::iter::empty())) };
        let mut fault = None;
        let taken = take(&mut std::iter::from_fn(|| match scan.next()? {
            Ok(entry) => Some(entry),
            Err(error) => {
                fault = Some(error);
                None
            }
        }));
        match fault {
            Some(error) => Err(error),
            None => {
                held(&self.entries).has_verified(scan.end());
                Ok(taken)
            }
        }
    }

    /// Entries about a target need a lease that covers it; that it is still ours is asked when they are written.
    fn claim(&self, events: &[Event], lease: Option<&Lease>) -> Result<Option<(Claim, TargetId)>, StoreError> {
        let named = covered(events, lease)?;
        Ok(lease.and_then(|lease| Claim::of(&self.dir, lease)).zip(named.cloned()))
    }

    /// Writes every group that waits, with one write: many appends at once cost one wait for the disk.
    fn write_waiting(&self) {
        let mut entries = held(&self.entries);
        let groups = std::mem::take(&mut *held(&self.waiting));
        if groups.is_empty() {
            return;
        }
        let opened = self.lock().and_then(|lock| Ok((lock, entries.open()?)));
        let (_lock, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return answer_all(groups.into_iter().map(|group| (group.answer, Err(error.clone())))),
        };

        let mut chain = entries.verified().chain.clone();
        let (mut answers, mut sealed) = (Vec::new(), Vec::new());
        for group in groups {
            match group.claim {
                Some((claim, target)) if !claim.is_ours() => {
                    answer_all([(group.answer, Err(StoreError::Fenced(target)))]);
                }
                Some(_) | None => {
                    sealed.push(chain.seal_group(group.events, &group.run, group.at_ms));
                    answers.push(group.answer);
                }
            }
        }
        if sealed.is_empty() {
            return;
        }
        match entries.append(&file, &sealed, chain) {
            Ok(()) => answer_all(answers.into_iter().zip(sealed.into_iter().map(Ok))),
            Err(error) => answer_all(answers.into_iter().map(|answer| (answer, Err(error.clone())))),
        }
    }

    /// Makes the directory if it is not there, and keeps every other writer out.
    fn lock(&self) -> Result<File, StoreError> {
        disk::make_dir(&self.dir)?;
        let lock = disk::lock(&self.dir.join("lock"))?;
        let ignore = self.dir.join(".gitignore");
        if !ignore.exists() {
            disk::replace(&ignore, b"*\n")?;
        }
        Ok(lock)
    }
}
