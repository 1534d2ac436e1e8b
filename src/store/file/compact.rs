//! Lets old segments go and keeps what proves them: the history they fold into, and each one's first and last hash.
//!
//! The order is what keeps it safe. The base is written; an entry names its hash, so the chain vouches for it; only then is
//! anything removed: checkpoints first, for beside a base that counts none may stand that it stands for; then other bases, because one
//! of them may be what a death left before any entry named it, and a reader who finds a gap begins at a base. Killed in between, the
//! segments are still there or the base counts, and the next compaction goes on.

use super::checkpoints::{Start, bases_dir, checkpoints_dir, file_at, numbered};
use super::disk;
use super::scan::{End, Scan};
use super::segments::{Files, Segment};
use super::shelf::Shelf;
use crate::change::Digest;
use crate::journal::{Checkpoint, Dropped, Entry, Event};
use crate::store::blocking::held;
use crate::store::{Compacted, StoreError};
use std::path::Path;
use std::sync::Arc;

impl Shelf {
    /// Compacts the segments whose newest entry is older than `before_ms`; the newest segment always stays. Closed segments are
    /// read without the lock: nobody writes to them.
    pub(super) fn compact(&self, before_ms: u64, first: Vec<Event>, run: &Arc<str>, at_ms: u64) -> Result<Compacted, StoreError> {
        let start = Start::first(&self.dir, self.sealer.as_ref())?;
        let (begin, known) = (start.chain.seq, start.files.clone());
        let old = self.older(&known, begin, before_ms)?;
        let is_left = known.segments.iter().any(|segment| segment.last <= begin);
        if old.is_empty() && !is_left {
            return Ok(Compacted::default());
        }
        if start.base.is_some() {
            let mut scan = Start::first(&self.dir, self.sealer.as_ref())?.scan();
            scan.by_ref().try_for_each(|entry| entry.map(drop))?;
            scan.end()?; // an entry vouches for what we go on from
        }
        let (base, compacted) = self.fold(start, &old)?;
        let text = base.text(None);
        let (_, hash) = Checkpoint::read(&text).map_err(|fault| broken(&self.dir, fault.to_string()))?;

        let mut entries = held(&self.entries);
        let _lock = self.lock()?;
        let (file, end) = entries.open()?;
        if !Files::list(&self.dir)?.segments.starts_with(&known.segments) {
            let what = "somebody else compacts this journal".to_string();
            return Err(StoreError::Io { what, hint: Some("run the same command again when that has ended".into()) });
        }
        if let Some(unsealed) = end.chain.refuses(&first) {
            return Err(unsealed.into());
        }
        if !old.is_empty() {
            (self.pen.replace)(&file_at(&bases_dir(&self.dir), base.seq)?, text.as_bytes())?;
            let says = Event::Compacted { through: base.seq, head: base.head.clone(), base: hash };
            let mut chain = end.chain.clone();
            let group = chain.seal_group(first.into_iter().chain([says]).collect(), run, at_ms);
            let (now, text) = entries.write(&file, &end, group.iter(), chain)?;
            if let Err(error) = entries.sync(&file) {
                entries.settle(&file, (&end, &now), &text, &error)?;
            }
        }
        self.forget(base.seq, &known)?;
        Ok(compacted)
    }

    /// The segments after `begin` that may go.
    fn older(&self, files: &Files, begin: u64, before_ms: u64) -> Result<Vec<Segment>, StoreError> {
        let mut old = Vec::new();
        for segment in files.segments.iter().filter(|segment| segment.last > begin && segment.last < files.closed()) {
            if last_entry(&segment.path)?.at_ms >= before_ms {
                break;
            }
            old.push(segment.clone());
        }
        Ok(old)
    }

    /// Folds `old` into the base that stands for them.
    fn fold(&self, mut start: Start, old: &[Segment]) -> Result<(Checkpoint, Compacted), StoreError> {
        let (mut dropped, mut compacted) = (std::mem::take(&mut start.dropped), Compacted::default());
        let mut history = std::mem::take(&mut start.history);
        let (begin, mut chain) = (start.chain.seq, start.chain);
        let pieces = start.files.after(begin);
        for (segment, piece) in old.iter().zip(pieces) {
            let prev = chain.head.clone();
            let mut scan = Scan::over(vec![piece], End::before(chain), None);
            for entry in scan.by_ref() {
                history.fold(&entry?);
            }
            chain = scan.end()?.chain;
            let bytes = disk::read_existing(&segment.path)?.unwrap_or_default();
            let (first, last, head) = (segment.first, segment.last, chain.head.clone());
            let (length, digest) = (bytes.len() as u64, Digest::of_bytes(&bytes));
            dropped.push(Dropped { first, last, prev, head, bytes: length, digest });
            compacted.segments += 1;
            compacted.entries += last - first + 1;
            compacted.bytes += length;
            compacted.through = last;
        }
        Ok((Checkpoint::of(&chain, history.resolved()).instead_of(dropped), compacted))
    }

    /// Removes what the base at `through` stands for. Of the other bases the oldest goes last: it is the one that counts until then.
    fn forget(&self, through: u64, files: &Files) -> Result<(), StoreError> {
        let (bases, checkpoints) = (bases_dir(&self.dir), checkpoints_dir(&self.dir));
        for (_, path) in numbered(&checkpoints)?.into_iter().filter(|(seq, _)| *seq <= through) {
            (self.pen.remove)(&path)?;
        }
        if checkpoints.is_dir() {
            disk::sync_dir(&checkpoints)?;
        }
        for (_, path) in numbered(&bases)?.into_iter().rev().filter(|(seq, _)| *seq != through) {
            (self.pen.remove)(&path)?;
        }
        disk::sync_dir(&bases)?; // they stay gone before any segment goes
        for segment in files.segments.iter().filter(|segment| segment.last <= through) {
            (self.pen.remove)(&segment.path)?;
        }
        Ok(())
    }
}

/// The last line of a segment.
fn last_entry(path: &Path) -> Result<Entry, StoreError> {
    let bytes = disk::read_existing(path)?.unwrap_or_default();
    Entry::last(&bytes).ok_or_else(|| broken(path, "its last line is no entry".into()))
}

fn broken(path: &Path, what: String) -> StoreError {
    StoreError::Broken { place: path.display().to_string(), what }
}
