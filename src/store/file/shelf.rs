//! The journal in a directory as one process sees it: what it read and verified, what waits to be written, and when a segment is
//! closed and a checkpoint made.

use super::checkpoints::{self, Start};
use super::disk::{self, Pen};
use super::entries::{self, Entries};
use super::leases;
use super::scan::{End, Scan};
use super::segments::Files;
use crate::change::Key;
use crate::journal::{Chain, Checkpoint, Entry, Event, History, Sealer};
use crate::store::StoreError;
use crate::store::blocking::held;
use crate::store::group::{self, Claim, Group, Queue, Sealed};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a reader without the lock reads once more.
const CLOSED_MEANWHILE: &str = "a segment was closed meanwhile";

/// What the threads of the blocking calls share.
pub(super) struct Shelf {
    pub(super) dir: PathBuf,
    pub(super) pen: Pen,
    pub(super) segment_bytes: u64,
    /// Of entries and checkpoints, and of previews.
    pub(super) sealer: Option<Sealer>,
    pub(super) preview_sealer: Option<Sealer>,
    /// The next writer makes a checkpoint: a reader missed one.
    pub(super) is_late: AtomicBool,
    /// What a reader without the lock folded up to the newest segment, so that the writer need not fold it again under the lock.
    pub(super) folded: Mutex<Option<(Chain, History)>>,
    pub(super) entries: Mutex<Entries>,
    pub(super) waiting: Queue,
}

impl Shelf {
    pub(super) fn new(dir: PathBuf, pen: Pen, segment_bytes: u64, key: Option<&Key>) -> Self {
        let (sealer, preview_sealer) = (key.map(Sealer::of_journal), key.map(Sealer::of_previews));
        let entries = Mutex::new(Entries::new(dir.clone(), pen, sealer.clone()));
        let (is_late, folded) = (AtomicBool::new(false), Mutex::default());
        Self { dir, pen, segment_bytes, sealer, preview_sealer, is_late, folded, entries, waiting: Queue::default() }
    }

    /// Reads without the lock, so that readers hold no writer up. Only a fault is looked at again under the lock: a writer may
    /// have cut off what a crash left, or closed a segment, just while we read.
    pub(super) fn read<T>(&self, mut once: impl FnMut(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match once(self) {
            Err(StoreError::Broken { .. }) => {
                let _lock = disk::lock_shared(&self.dir.join("lock"))?;
                once(self)
            }
            done => done,
        }
    }

    /// Folds what follows the newest checkpoint into it.
    pub(super) fn history(&self) -> Result<History, StoreError> {
        let mut start = Start::newest(&self.dir, self.sealer.as_ref())?;
        self.is_late.fetch_or(start.is_late, Ordering::Relaxed);
        let mut history = std::mem::take(&mut start.history);
        let (closed, is_late) = (start.files.closed(), start.is_late);
        let ((history, folded), chain) = self.walk_on(start, |entries| {
            let mut folded = None;
            for entry in entries {
                history.fold(&entry);
                if is_late && entry.seq == closed {
                    folded = Some(history.clone());
                }
            }
            (history.resolved(), folded)
        })?;
        if let (Some(folded), Some(chain)) = (folded, chain) {
            *held(&self.folded) = Some((chain, folded.resolved()));
        }
        Ok(history)
    }

    /// Hands on every entry after `start`, up to the first fault.
    pub(super) fn walk<T>(&self, start: Start, take: impl FnOnce(&mut dyn Iterator<Item = Entry>) -> T) -> Result<T, StoreError> {
        self.walk_on(start, take).map(|(taken, _)| taken)
    }

    /// The same, and returns the chain at the end of the newest segment, if any was read.
    fn walk_on<T>(
        &self,
        start: Start,
        take: impl FnOnce(&mut dyn Iterator<Item = Entry>) -> T,
    ) -> Result<(T, Option<Chain>), StoreError> {
        let closed = start.files.closed();
        let (mut scan, mut fault) = (start.scan(), None);
        let taken = take(&mut std::iter::from_fn(|| match scan.next()? {
            Ok(entry) => Some(entry),
            Err(error) => {
                fault = Some(error);
                None
            }
        }));
        if let Some(error) = fault {
            return Err(error);
        }
        let segment = scan.closed().cloned();
        let end = scan.end()?;
        if Files::list(&self.dir)?.closed() != closed {
            return Err(StoreError::Broken { place: self.dir.display().to_string(), what: CLOSED_MEANWHILE.into() });
        }
        match end.chain.lacks_seal() {
            Some(unsealed) => Err(unsealed.into()),
            None => {
                held(&self.entries).has_verified(end);
                Ok((taken, segment))
            }
        }
    }

    /// Every entry after `known`. Who read up to there reads on; anybody else begins at the first.
    pub(super) fn since(&self, known: u64) -> Result<Vec<Entry>, StoreError> {
        let files = Files::list(&self.dir)?;
        let closed = files.closed();
        let (entries, end) = held(&self.entries).since(known, &files).unzip();
        let mut scan = match end {
            Some(end) => Scan::over(files.after(end.base), end, None),
            None => Start::first(&self.dir, self.sealer.as_ref())?.scan(),
        };
        let mut fresh = Vec::new();
        for entry in scan.by_ref() {
            let entry = entry?;
            if entry.seq > known {
                fresh.push(entry);
            }
        }
        let end = scan.end()?;
        if Files::list(&self.dir)?.closed() != closed {
            return Err(StoreError::Broken { place: self.dir.display().to_string(), what: CLOSED_MEANWHILE.into() });
        }
        if let Some(unsealed) = end.chain.lacks_seal() {
            return Err(unsealed.into());
        }
        if end.chain.seq < known {
            return Err(entries::gone(&self.dir, known));
        }
        if known > 0 && entries.is_none() && fresh.first().is_some_and(|first| first.seq > known + 1) {
            let what = format!("file:{} was compacted beyond entry {known}, which we saw last", self.dir.display());
            return Err(StoreError::Io { what, hint: Some("run the same command again".into()) });
        }
        held(&self.entries).has_followed(&fresh, end);
        Ok(entries.into_iter().flatten().chain(fresh).collect())
    }

    /// Writes every group that waits, with one write.
    pub(super) fn write_waiting(&self) {
        let mut entries = held(&self.entries);
        self.waiting.write(|groups| self.append(&mut entries, groups));
    }

    fn append(&self, entries: &mut Entries, groups: Vec<Group>) -> Result<Vec<Sealed>, StoreError> {
        let lock = self.lock()?;
        let (file, end) = entries.open()?;
        let mut chain = end.chain.clone();
        let is_ours = |claim: &Claim| leases::is_ours(&self.dir, claim.epoch, claim.guard);
        let sealed = group::seal(groups, &mut chain, is_ours, |seq| entries.recent(seq));
        if group::entries(&sealed).next().is_none() {
            return Ok(sealed);
        }
        let begins = group::entries(&sealed).any(|entry| matches!(entry.event, Event::KeyBegan { .. }));
        let (now, text) = entries.write(&file, &end, group::entries(&sealed), chain)?;
        let is_to_tidy = begins || now.offset >= self.segment_bytes || self.is_late.load(Ordering::Relaxed);
        // Others may write behind us while the disk is at it: whoever builds on what we wrote makes it durable before it acts.
        let lock = Some(lock).filter(|_| is_to_tidy);
        if let Err(error) = entries.sync(&file) {
            let _lock = lock.map_or_else(|| self.lock(), Ok).map_err(|_| entries.not_appended(&error, false))?;
            entries.settle(&file, (&end, &now), &text, &error)?;
        }
        if is_to_tidy {
            self.tidy(entries, &now, begins);
        }
        Ok(sealed)
    }

    /// Closes the tail when it is long, or when a key begins, which can use no checkpoint of the key before it. What was appended
    /// is safe by now, so that this fails is no failure: it is tried again.
    fn tidy(&self, entries: &mut Entries, end: &End, begins: bool) {
        let is_long = end.offset >= self.segment_bytes;
        let tidied = if is_long || begins { entries.close(end) } else { Ok(()) };
        let tidied = tidied.and_then(|()| {
            if is_long || begins || self.is_late.swap(false, Ordering::Relaxed) {
                self.keep_checkpoint(begins)?;
            }
            Ok(())
        });
        if let Err(error) = tidied {
            self.is_late.store(true, Ordering::Relaxed);
            tracing::warn!(%error, "the journal's checkpoint could not be made");
        }
    }

    /// Makes the checkpoint of the newest segment. Only under the journal's lock.
    fn keep_checkpoint(&self, only: bool) -> Result<(), StoreError> {
        let mut start = Start::newest(&self.dir, self.sealer.as_ref())?;
        let closed = start.files.closed();
        if let Some((chain, history)) =
            held(&self.folded).take().filter(|(chain, _)| (start.chain.seq..=closed).contains(&chain.seq))
        {
            (start.chain, start.history, start.base) = (chain, history, None);
        }
        if start.is_late {
            let (history, dropped) = (std::mem::take(&mut start.history), std::mem::take(&mut start.dropped));
            let mut pieces = start.files.after(start.chain.seq);
            pieces.pop(); // the tail
            let mut scan = Scan::over(pieces, End::before(start.chain), start.base);
            let mut fault = None;
            let history = history.and(std::iter::from_fn(|| scan.next()?.map_err(|error| fault = Some(error)).ok()));
            if let Some(error) = fault {
                return Err(error);
            }
            let end = scan.end()?;
            if end.chain.lacks_seal().is_some() {
                return Ok(()); // nothing that our key could stand for yet
            }
            let kept = Checkpoint::of(&end.chain, history).instead_of(dropped);
            let path = checkpoints::file_at(&checkpoints::checkpoints_dir(&self.dir), closed)?;
            (self.pen.replace)(&path, kept.text(self.sealer.as_ref()).as_bytes())?;
        }
        checkpoints::prune(&self.dir, only.then_some(1))
    }

    /// Makes the directory if it is not there, and keeps every other writer out.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        disk::make_dir(&self.dir)?;
        let lock = disk::lock(&self.dir.join("lock"))?;
        let ignore = self.dir.join(".gitignore");
        if !ignore.exists() {
            disk::replace(&ignore, b"*\n")?;
        }
        Ok(lock)
    }
}
