//! What this process verified of the ref, and how it reads on from there. Knows the tree, the chain and where to begin; not how the
//! tree came here, nor how it is changed.
//!
//! ```text
//! entries-000000/000000000001.jsonl    lines from entry 1 on; the next file begins with the entry after its last
//! checkpoints/000000004711.json        the history up to entry 4711, so that reading begins with the file after it
//! bases/000000000815.json              the history up to entry 815, where the entries were compacted away
//! leases/7.json                        the lease with epoch 7
//! epoch                                the number of the last lease
//! ```
//!
//! A blob is known by its hash, so what was verified once in this process is not verified again, also where it now begins a larger
//! file: its bytes are the same, and that file's own hash is not taken, for the lines after them follow the chain. Everything else is
//! read: lines follow the chain, and the chain passes through the last entry that we saw, or the journal was rewritten.

use super::fault::{broken, git_failed};
use super::lines::{Lines, Part};
use super::tip::Tip;
use super::tree::Contents;
use super::wire::Wire;
use crate::change::Digest;
use crate::journal::{Chain, Checkpoint, Dropped, Entry, Event, History, Sealer};
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use crate::store::recent::Followed;
use git2::{Oid, Repository};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The tip of the ref as far as this process verified it.
pub(super) struct Known {
    /// For people.
    place: Arc<str>,
    sealer: Option<Sealer>,
    /// `None` before the first look.
    looked: Option<Tip>,
    /// The files before the one where reading began: what is in them was not looked at.
    closed: Vec<(u64, Oid)>,
    pub(super) parts: Vec<Part>,
    pub(super) chain: Chain,
    pub(super) followed: Followed,
    pub(super) checkpoints: BTreeSet<u64>,
    /// The checkpoints that are there are of no use to us.
    pub(super) is_late: bool,
    /// Epochs, and the blobs that say who holds what.
    pub(super) leases: BTreeMap<u64, Oid>,
    /// What those say that were read: a blob never says anything else.
    pub(super) read_leases: RefCell<BTreeMap<Oid, LeaseFile>>,
    pub(super) epoch: u64,
    /// Last entries of groups that we pushed, or may have, and the one of them that was met.
    pub(super) tried: Vec<Digest>,
    pub(super) arrived: Option<Digest>,
}

/// Where reading goes on.
struct From {
    chain: Chain,
    /// The hash of the base that it begins at: an entry must name it.
    base: Option<Digest>,
    /// What the first file may have grown out of, up to the last entry that we saw.
    read: Vec<Part>,
}

/// Where reading begins, and what is known there.
pub(super) struct Start {
    pub(super) chain: Chain,
    pub(super) history: History,
    /// The hash of the base that it begins at: an entry must name it.
    pub(super) base: Option<Digest>,
    /// What the base says of the files before it.
    pub(super) dropped: Vec<Dropped>,
    is_late: bool,
}

impl Start {
    /// Begins at the first entry that is there.
    pub(super) fn first(
        place: &str,
        repository: &Repository,
        contents: &Contents,
        sealer: Option<&Sealer>,
    ) -> Result<Self, StoreError> {
        let chain = Chain::empty().sealed_by(sealer.cloned());
        let none = Self { chain, history: History::default(), base: None, dropped: Vec::new(), is_late: false };
        let Some((first, _)) = contents.parts.first().filter(|(first, _)| *first > 1) else { return Ok(none) };
        let at = format!("{place}, bases");
        let says = |what: String| broken(&at, what);
        let base = contents.bases.get(&(first - 1));
        let base = base.ok_or_else(|| says(format!("nothing stands for the entries before {first}")))?;
        let (read, hash) =
            Checkpoint::read(&text(place, repository, *base)?).map_err(|fault| StoreError::of_base(at.clone(), fault))?;
        if read.seq != first - 1 {
            return Err(says("it stands elsewhere than its name says".into()));
        }
        let chain = read.chain(None).sealed_by(sealer.cloned());
        Ok(Self { chain, history: read.history, base: Some(hash), dropped: read.dropped, ..none })
    }

    /// Begins at the newest checkpoint that can be used, among the entries that are there; at the first of them when there is none.
    fn newest(
        place: &str,
        wire: &Wire,
        repository: &Repository,
        contents: &Contents,
        sealer: Option<&Sealer>,
    ) -> Result<Self, StoreError> {
        for (seq, blob) in contents.checkpoints.range(contents.first()..).rev().filter(|(seq, _)| contents.breaks_at(**seq)) {
            wire.bring(place, repository, &[*blob])?;
            match Checkpoint::read_sealed(&text(place, repository, *blob)?, sealer) {
                Ok(read) if read.seq == *seq => {
                    let chain = read.chain(sealer.cloned());
                    return Ok(Self { chain, history: read.history, base: None, dropped: Vec::new(), is_late: false });
                }
                Ok(_) => tracing::warn!(place, seq, "the checkpoint stands elsewhere"),
                Err(why) => tracing::warn!(place, seq, %why, "the checkpoint cannot be used"),
            }
        }
        let is_late = !contents.checkpoints.is_empty();
        wire.bring(place, repository, &contents.bases.values().copied().collect::<Vec<_>>())?;
        Ok(Self { is_late, ..Self::first(place, repository, contents, sealer)? })
    }
}

/// What is not text cannot be closed by its hash either.
pub(super) fn text(place: &str, repository: &Repository, blob: Oid) -> Result<String, StoreError> {
    let blob = repository.find_blob(blob).map_err(|error| git_failed(place, "reading a checkpoint", &error))?;
    Ok(String::from_utf8_lossy(blob.content()).into_owned())
}

impl Known {
    /// What is known before the first look; with a key, seals are made and checked.
    pub(super) fn nothing(place: Arc<str>, sealer: Option<Sealer>) -> Self {
        Self {
            place,
            chain: Chain::empty().sealed_by(sealer.clone()),
            sealer,
            looked: None,
            closed: Vec::new(),
            parts: Vec::new(),
            followed: Followed::default(),
            checkpoints: BTreeSet::new(),
            is_late: false,
            leases: BTreeMap::new(),
            read_leases: RefCell::default(),
            epoch: 0,
            tried: Vec::new(),
            arrived: None,
        }
    }

    /// The commit that was verified last; `None` before the first look, and without a journal.
    pub(super) fn tip(&self) -> Tip {
        self.looked.flatten()
    }

    /// Whoever has a key believes what that key sealed.
    pub(super) fn is_believed(&self) -> Result<(), StoreError> {
        self.chain.lacks_seal().map_or(Ok(()), |unsealed| Err(unsealed.into()))
    }

    pub(super) fn has_looked(&self) -> bool {
        self.looked.is_some()
    }

    /// Nothing came since the last look.
    pub(super) fn is_at(&self, tip: Tip) -> bool {
        self.looked == Some(tip)
    }

    pub(super) fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    /// Files up to this entry are not written again: a checkpoint stands at their end.
    pub(super) fn shut(&self) -> u64 {
        self.checkpoints.last().copied().unwrap_or(0)
    }

    /// Verifies what `tip`, whose tree holds `contents`, has beyond what is known.
    pub(super) fn follow(
        &mut self,
        wire: &Wire,
        repository: &Repository,
        tip: Tip,
        contents: Contents,
    ) -> Result<(), StoreError> {
        if self.has_looked() && self.begins(&contents) {
            let (own, known) = (&contents.parts[self.closed.len()..], self.chain.seq);
            let is_same = |(known, (first, blob)): &(&Part, &(u64, Oid))| known.first == *first && known.blob == *blob;
            let same = self.parts.iter().zip(own).take_while(is_same).count();
            let chain = self.parts.get(same).map_or(&self.chain, |part| &part.before).clone();
            let from = From { chain, base: None, read: self.parts[same..].to_vec() };
            let (fresh, chain, parts) = self.read_on(wire, repository, &own[same..], from, |entries| {
                entries.filter(|entry| entry.seq > known).collect::<Vec<_>>()
            })?;
            self.followed.met(&fresh);
            self.parts.truncate(same);
            self.parts.extend(parts);
            self.chain = chain;
        } else {
            // Nothing was known; or files that we know were compacted away, and what we saw must be found again.
            let mut start = match self.has_looked() {
                true => {
                    wire.bring(&self.place, repository, &contents.bases.values().copied().collect::<Vec<_>>())?;
                    Start::first(&self.place, repository, &contents, self.sealer.as_ref())?
                }
                false => Start::newest(&self.place, wire, repository, &contents, self.sealer.as_ref())?,
            };
            if start.chain.seq > self.chain.seq && self.chain.seq > 0 {
                let what = format!("{} was compacted beyond entry {}, which we saw last", self.place, self.chain.seq);
                return Err(StoreError::Io { what, hint: Some("run the same command again".into()) });
            }
            let (history, is_late) = (std::mem::take(&mut start.history), start.is_late);
            let own = contents.after(start.chain.seq);
            let closed = contents.parts[..contents.parts.len() - own.len()].to_vec();
            let from = From { chain: start.chain, base: start.base, read: Vec::new() };
            let (history, chain, parts) = self.read_on(wire, repository, own, from, |entries| history.and(entries))?;
            self.followed = Followed::at(history); // what came between was not kept
            (self.chain, self.parts, self.closed, self.is_late) = (chain, parts, closed, is_late);
        }
        self.checkpoints = contents.checkpoints.into_keys().collect();
        (self.leases, self.epoch, self.looked) = (contents.leases, contents.epoch, Some(tip));
        Ok(())
    }

    /// What we know of is still there: nothing of it was compacted away.
    fn begins(&self, contents: &Contents) -> bool {
        let next = self.parts.first().map_or(self.chain.seq + 1, |part| part.first);
        let own = contents.parts.strip_prefix(self.closed.as_slice());
        own.is_some_and(|own| own.first().is_none_or(|(first, _)| *first == next))
    }

    /// Reads `parts`, which follow `from`, and hands their entries on. The chain must pass through the last entry that we saw.
    fn read_on<T>(
        &mut self,
        wire: &Wire,
        repository: &Repository,
        parts: &[(u64, Oid)],
        from: From,
        take: impl FnOnce(&mut dyn Iterator<Item = Entry>) -> T,
    ) -> Result<(T, Chain, Vec<Part>), StoreError> {
        wire.bring(&self.place, repository, &parts.iter().map(|(_, blob)| *blob).collect::<Vec<_>>())?;
        let known = &self.chain;
        let place = self.place.clone();
        let From { chain: from, base: mut unvouched, read } = from;
        let mut arrived = None;
        let mut rewritten = from.seq == known.seq && from.head != known.head;
        let mut lines = Lines::new(&place, repository, parts, from);
        if !read.is_empty() {
            lines.resume(&read, known)?;
        }
        let taken = take(&mut (&mut lines).inspect(|entry| {
            rewritten |= entry.seq == known.seq && entry.hash != known.head;
            if self.tried.contains(&entry.hash) {
                arrived = Some(entry.hash.clone());
            }
            if let Event::Compacted { base, .. } = &entry.event {
                unvouched.take_if(|named| named == base);
            }
        }));
        let (chain, parts) = lines.end()?;
        if rewritten || chain.seq < known.seq {
            let what =
                format!("entry {}, which was there, is gone or another one: somebody rewrote or moved back the ref", known.seq);
            return Err(broken(&place, what));
        }
        if let Some(base) = unvouched {
            let what = format!("no entry says that anything was compacted into what has the hash {base}");
            return Err(broken(&place, what));
        }
        self.arrived = arrived.or(self.arrived.take());
        Ok((taken, chain, parts))
    }

    /// Reads every entry that is there again, and hands it on.
    pub(super) fn each(&self, wire: &Wire, repository: &Repository, take: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        let contents = Contents::read(&self.place, repository, self.tip())?;
        let blobs = contents.parts.iter().map(|(_, blob)| *blob).chain(contents.bases.values().copied());
        wire.bring(&self.place, repository, &blobs.collect::<Vec<_>>())?;
        let start = Start::first(&self.place, repository, &contents, self.sealer.as_ref())?;
        let mut lines = Lines::new(&self.place, repository, contents.after(start.chain.seq), start.chain);
        (&mut lines).for_each(take);
        lines.end().map(drop)
    }

    /// These files, up to entry `last`, were compacted away.
    pub(super) fn let_go(&mut self, files: &[u64], last: u64) {
        self.closed.retain(|(first, _)| !files.contains(first));
        self.checkpoints.retain(|seq| *seq > last);
    }

    /// Takes over what we made ourselves, on top of what is known.
    pub(super) fn adopt(&mut self, commit: Oid, parts: Vec<Part>, chain: Chain, entries: &[Entry]) {
        self.followed.met(entries);
        (self.looked, self.parts, self.chain) = (Some(Some(commit)), parts, chain);
    }
}
