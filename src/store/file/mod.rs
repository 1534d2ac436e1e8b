//! The journal as JSON lines in a directory of any POSIX disk.
//!
//! ```text
//! entries.jsonl    the newest entries
//! segments/A-B     the entries from A to B, closed: never written again
//! checkpoints/B    the history up to B, so that reading begins there
//! bases/B          the history up to B, where the entries were compacted away
//! lock             locked by whoever writes, for one group of entries or one lease
//! leases/N.json    one lease each, locked by its owner as long as it lives
//! epoch            the number of the last lease
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
mod segments;
#[cfg(test)]
mod tampered;
#[cfg(test)]
mod tests;

use super::group::{Answered, Group, answer_all, blocking, covered, head_of, held, holds_nothing, interrupted, lives_on};
use super::{Anchor, Audit, Boxed, Compacted, Held, Holder, Lease, Reader, Store, StoreError, Stored, Take};
use crate::change::{Digest, Key};
use crate::journal::{Chain, Checkpoint, Entry, Event, History, Sealer};
use crate::stack::TargetId;
use checkpoints::Start;
use disk::Pen;
use entries::{End, Entries, Scan};
use leases::Claim;
use segments::Files;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// Bytes of the tail at which it is closed: the most that a reader folds who begins at a checkpoint.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Why a reader without the lock reads once more.
const CLOSED_MEANWHILE: &str = "a segment was closed meanwhile";

/// A directory with `entries.jsonl`, `lock`, `leases/` and `previews/`.
pub struct FileStore {
    shelf: Arc<Shelf>,
}

/// The part that the threads of the blocking calls share.
struct Shelf {
    dir: PathBuf,
    pen: Pen,
    segment_bytes: u64,
    /// Of entries and checkpoints, and of previews.
    sealer: Option<Sealer>,
    preview_sealer: Option<Sealer>,
    /// The next writer makes a checkpoint: a reader missed one.
    is_late: AtomicBool,
    /// What a reader without the lock folded up to the newest segment, so that the writer need not fold it again under the lock.
    folded: Mutex<Option<(Chain, History)>>,
    entries: Mutex<Entries>,
    /// Where the last reader came to, so that whoever follows reads on from there.
    followed: Mutex<Option<End>>,
    /// Groups that wait for the next write, in the order in which they came.
    waiting: Mutex<Vec<Group<Claim>>>,
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

    /// Says whether `dir` holds entries.
    pub fn has_entries(dir: &Path) -> bool {
        let has_tail = std::fs::metadata(segments::tail(dir)).is_ok_and(|metadata| metadata.len() > 0);
        has_tail || Files::list(dir).is_ok_and(|files| !files.segments.is_empty())
    }

    fn with_pen(dir: PathBuf, pen: Pen, segment_bytes: u64) -> Result<Self, StoreError> {
        match dir.metadata() {
            Ok(metadata) if !metadata.is_dir() => {
                let what = format!("the journal {} is not a directory", dir.display());
                return Err(StoreError::Io { what, hint: Some("set another `journal:` in isobar.yaml".into()) });
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(disk::failed("opening", &dir, &error)),
        }
        Ok(Self::new(dir, pen, segment_bytes, None))
    }

    fn new(dir: PathBuf, pen: Pen, segment_bytes: u64, key: Option<&Key>) -> Self {
        let (sealer, preview_sealer) = (key.map(Sealer::of_journal), key.map(Sealer::of_previews));
        let entries = Mutex::new(Entries::new(dir.clone(), pen, sealer.clone()));
        let (waiting, is_late, folded, followed) = (Mutex::default(), AtomicBool::new(false), Mutex::default(), Mutex::default());
        let shelf = Shelf { dir, pen, segment_bytes, sealer, preview_sealer, is_late, folded, entries, followed, waiting };
        Self { shelf: Arc::new(shelf) }
    }

    /// Writes `group` with all that wait, and waits for its answer.
    async fn write(&self, group: Group<Claim>, answered: Answered) -> Result<Vec<Entry>, StoreError> {
        held(&self.shelf.waiting).push(group);
        self.blocking(|shelf| {
            shelf.write_waiting();
            Ok(())
        })
        .await?;
        answered.await.unwrap_or_else(|_| Err(interrupted()))
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
            self.write(Group { events, run: run.clone(), at_ms, claim, after: None, answer }, answered).await
        })
    }

    fn append_after<'a>(
        &'a self,
        head: Option<&'a (u64, Digest)>,
        events: Vec<Event>,
        run: &'a Arc<str>,
        at_ms: u64,
        lease: Option<&'a Lease>,
    ) -> Boxed<'a, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            let (claim, after) = (self.shelf.claim(&events, lease)?, Some(head_of(head)));
            let (answer, answered) = oneshot::channel();
            self.write(Group { events, run: run.clone(), at_ms, claim, after, answer }, answered).await
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
            previews::save(&shelf.dir, stored, shelf.preview_sealer.as_ref())
        }))
    }

    fn saved_as<'a>(&'a self, read: Reader) -> Boxed<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.blocking(move |shelf| previews::saved(&shelf.dir, shelf.preview_sealer.as_ref(), read)))
    }
}

impl Shelf {
    /// Reads without the lock, so that readers hold no writer up. Only a fault is looked at again under the lock: a writer may
    /// have cut off what a crash left, or closed a segment, just while we read.
    fn read<T>(&self, mut once: impl FnMut(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match once(self) {
            Err(StoreError::Broken { .. }) => {
                let _lock = disk::lock_shared(&self.dir.join("lock"))?;
                once(self)
            }
            done => done,
        }
    }

    /// Folds what follows the newest checkpoint into it.
    fn history(&self) -> Result<History, StoreError> {
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
    fn walk<T>(&self, start: Start, take: impl FnOnce(&mut dyn Iterator<Item = Entry>) -> T) -> Result<T, StoreError> {
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
                *held(&self.followed) = Some(end.clone());
                held(&self.entries).has_verified(end);
                Ok((taken, segment))
            }
        }
    }

    /// Every entry after `known`. Who read up to there reads on; anybody else begins at the first.
    fn since(&self, known: u64) -> Result<Vec<Entry>, StoreError> {
        let files = Files::list(&self.dir)?;
        let closed = files.closed();
        let followed = held(&self.followed).clone().filter(|end| end.chain.seq == known && files.follow(end.base));
        let mut scan = match followed {
            Some(end) => Scan::over(files.after(end.base), end, None),
            None => Start::first(&self.dir, self.sealer.as_ref())?.scan(),
        };
        let mut entries = Vec::new();
        for entry in scan.by_ref() {
            let entry = entry?;
            if entry.seq > known {
                entries.push(entry);
            }
        }
        let end = scan.end()?;
        if Files::list(&self.dir)?.closed() != closed {
            return Err(StoreError::Broken { place: self.dir.display().to_string(), what: CLOSED_MEANWHILE.into() });
        }
        if let Some(unsealed) = end.chain.lacks_seal() {
            return Err(unsealed.into());
        }
        *held(&self.followed) = Some(end);
        Ok(entries)
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
        let (_lock, (file, end)) = match opened {
            Ok(opened) => opened,
            Err(error) => return answer_all(groups.into_iter().map(|group| (group.answer, Err(error.clone())))),
        };

        let mut chain = end.chain.clone();
        let (mut answers, mut sealed, mut begins) = (Vec::new(), Vec::new(), false);
        for group in groups {
            if group.comes_late(&chain) {
                answer_all([(group.answer, Ok(Vec::new()))]);
                continue;
            }
            let fenced = group.claim.filter(|(claim, _)| !claim.is_ours()).map(|(_, target)| StoreError::Fenced(target));
            if let Some(refused) = fenced.or_else(|| chain.refuses(&group.events).map(Into::into)) {
                answer_all([(group.answer, Err(refused))]);
                continue;
            }
            begins |= group.events.iter().any(|event| matches!(event, Event::KeyBegan { .. }));
            sealed.push(chain.seal_group(group.events, &group.run, group.at_ms));
            answers.push(group.answer);
        }
        if sealed.is_empty() {
            return;
        }
        match entries.append(&file, &end, &sealed, chain) {
            Ok(end) => {
                answer_all(answers.into_iter().zip(sealed.into_iter().map(Ok)));
                self.tidy(&mut entries, &end, begins);
            }
            Err(error) => answer_all(answers.into_iter().map(|answer| (answer, Err(error.clone())))),
        }
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
