//! What this process verified of the ref, and how it reads on from there. Knows the tree, the lines and the chain; not how the
//! tree came here, nor how it is changed.
//!
//! ```text
//! entries-000000/000000000001.jsonl    lines from entry 1 on; the next file begins with the entry after its last
//! leases/7.json                        the lease with epoch 7
//! epoch                                the number of the last lease
//! ```
//!
//! A blob is known by its hash, so what was verified once in this process is not read again. Everything else is: lines follow the
//! chain, and the chain passes through the last entry that we saw, or the journal was rewritten.

use super::fault::{broken, git_failed};
use crate::change::Digest;
use crate::journal::{Chain, Entry, Fault, History, Sealer};
use crate::store::StoreError;
use git2::{Blob, Oid, Repository, Tree};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Begins the names of the directories of entries, one for a million; one directory less is one object less for every push.
const ENTRIES: &str = "entries-";

/// A file of entries.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) blob: Oid,
    pub(super) size: usize,
    /// The chain that its first entry follows.
    before: Chain,
}

/// The tip of the ref as far as this process verified it.
pub(super) struct Known {
    /// For people.
    place: Arc<str>,
    sealer: Option<Sealer>,
    /// `None` before the first look.
    looked: Option<Tip>,
    pub(super) parts: Vec<Part>,
    pub(super) chain: Chain,
    pub(super) history: History,
    /// Epochs, and the blobs that say who holds what.
    pub(super) leases: BTreeMap<u64, Oid>,
    pub(super) epoch: u64,
    /// Last entries of groups that we pushed, or may have, and the one of them that was met.
    pub(super) tried: Vec<Digest>,
    pub(super) arrived: Option<Digest>,
}

/// The commit that the ref names; `None` when there is no such ref.
pub(super) type Tip = Option<Oid>;

impl Part {
    /// Where the part that begins with entry `first` stands in the tree.
    pub(super) fn path(first: u64) -> String {
        format!("{ENTRIES}{:06}/{first:012}.jsonl", first / 1_000_000)
    }

    pub(super) fn new(first: u64, blob: Oid, size: usize, before: Chain) -> Self {
        Self { first, blob, size, before }
    }

    pub(super) fn before(&self) -> &Chain {
        &self.before
    }
}

impl Known {
    /// What is known before the first look; with a key, seals are made and checked.
    pub(super) fn nothing(place: Arc<str>, sealer: Option<Sealer>) -> Self {
        Self {
            place,
            chain: Chain::empty().sealed_by(sealer.clone()),
            sealer,
            looked: None,
            parts: Vec::new(),
            history: History::default(),
            leases: BTreeMap::new(),
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

    /// Verifies what `tip` holds beyond what is known.
    pub(super) fn follow(&mut self, repository: &Repository, tip: Tip) -> Result<(), StoreError> {
        if self.looked == Some(tip) {
            return Ok(());
        }
        let contents = Contents::read(&self.place, repository, tip)?;
        let is_same = |(known, (first, blob)): &(&Part, &(u64, Oid))| known.first == *first && known.blob == *blob;
        let same = self.parts.iter().zip(&contents.parts).take_while(is_same).count();
        let from = self.parts.get(same).map_or(&self.chain, |part| &part.before).clone();
        let mut lines = Lines::new(&self.place, repository, &contents.parts[same..], from);

        let (known, mut arrived) = (self.chain.clone(), None);
        let mut rewritten = false;
        let fresh = (&mut lines).filter(|entry| {
            rewritten |= entry.seq == known.seq && entry.hash != known.head;
            if self.tried.contains(&entry.hash) {
                arrived = Some(entry.hash.clone());
            }
            entry.seq > known.seq
        });
        let (history, fresh): (Option<History>, Vec<Entry>) =
            if known.seq == 0 { (Some(History::of(fresh)), Vec::new()) } else { (None, fresh.collect()) };
        let (chain, parts) = lines.end()?;
        if rewritten || chain.seq < known.seq {
            let what =
                format!("entry {}, which was there, is gone or another one: somebody rewrote or moved back the ref", known.seq);
            return Err(broken(&self.place, what));
        }

        match history {
            Some(history) => self.history = history,
            None => fresh.iter().for_each(|entry| self.history.record(entry)),
        }
        self.parts.truncate(same);
        self.parts.extend(parts);
        self.arrived = arrived.or(self.arrived.take());
        (self.chain, self.leases, self.epoch, self.looked) = (chain, contents.leases, contents.epoch, Some(tip));
        Ok(())
    }

    /// Takes over what we made ourselves, on top of what is known.
    pub(super) fn adopt(&mut self, commit: Oid, parts: Vec<Part>, chain: Chain, entries: &[Entry]) {
        entries.iter().for_each(|entry| self.history.record(entry));
        (self.looked, self.parts, self.chain) = (Some(Some(commit)), parts, chain);
    }

    /// Reads every entry again.
    pub(super) fn entries(&self, repository: &Repository) -> Result<Vec<Entry>, StoreError> {
        let parts: Vec<(u64, Oid)> = self.parts.iter().map(|part| (part.first, part.blob)).collect();
        let mut lines = Lines::new(&self.place, repository, &parts, Chain::empty().sealed_by(self.sealer.clone()));
        let entries = (&mut lines).collect();
        lines.end().map(|_| entries)
    }
}

/// The names in the tree of a tip.
#[derive(Default)]
struct Contents {
    parts: Vec<(u64, Oid)>,
    leases: BTreeMap<u64, Oid>,
    epoch: u64,
}

impl Contents {
    fn read(place: &str, repository: &Repository, tip: Tip) -> Result<Self, StoreError> {
        let Some(tip) = tip else { return Ok(Self::default()) };
        let failed = |error: git2::Error| git_failed(place, "reading the journal's commit", &error);
        let tree = repository.find_commit(tip).and_then(|commit| commit.tree()).map_err(failed)?;
        let mut contents = Self::default();
        for dir in tree.iter().filter(|dir| dir.name().is_ok_and(|name| name.starts_with(ENTRIES))) {
            let dir = repository.find_tree(dir.id()).map_err(failed)?;
            for file in &dir {
                let first = file.name().ok().and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
                let first = first.ok_or_else(|| broken(place, "a file among the entries is none of ours"))?;
                contents.parts.push((first, file.id()));
            }
        }
        let leases = tree.get_name("leases").map(|dir| repository.find_tree(dir.id())).transpose().map_err(failed)?;
        for file in leases.iter().flat_map(Tree::iter) {
            let epoch = file.name().ok().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            contents.leases.insert(epoch.ok_or_else(|| broken(place, "a file among the leases is none of ours"))?, file.id());
        }
        if let Some(epoch) = tree.get_name("epoch") {
            let blob = repository.find_blob(epoch.id()).map_err(failed)?;
            let number = std::str::from_utf8(blob.content()).ok().and_then(|text| text.trim().parse().ok());
            contents.epoch = number.ok_or_else(|| broken(place, "its epoch must hold the number of the last lease"))?;
        }
        Ok(contents)
    }
}

/// Reads and verifies the lines of parts, one after the other; ends with the first fault.
struct Lines<'a> {
    place: &'a str,
    repository: &'a Repository,
    waiting: VecDeque<(u64, Oid)>,
    /// The part that is read, and from where.
    open: Option<(Blob<'a>, usize)>,
    done: Vec<Part>,
    chain: Chain,
    fault: Option<StoreError>,
}

impl<'a> Lines<'a> {
    fn new(place: &'a str, repository: &'a Repository, parts: &[(u64, Oid)], chain: Chain) -> Self {
        let waiting = parts.iter().copied().collect();
        Self { place, repository, waiting, open: None, done: Vec::new(), chain, fault: None }
    }

    fn end(self) -> Result<(Chain, Vec<Part>), StoreError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.chain, self.done)),
        }
    }

    fn read(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            let Some((blob, at)) = &mut self.open else {
                let Some((first, id)) = self.waiting.pop_front() else { return Ok(None) };
                self.begin(first, id)?;
                continue;
            };
            let rest = &blob.content()[*at..];
            if rest.is_empty() {
                self.open = None;
                if !self.chain.is_whole() {
                    return Err(broken(self.place, format!("the group of entry {} has no end", self.chain.seq)));
                }
                continue;
            }
            let path = || Part::path(self.done.last().map_or(0, |part| part.first));
            let says = |what: &str| broken(&format!("{}, {}", self.place, path()), what);
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| says("the last line has no end"))?;
            let line = std::str::from_utf8(&rest[..end]).map_err(|_| says("a line is not text"))?;
            let entry = self.chain.follow_line(line).map_err(|fault| match fault {
                Fault::Newer(schema) => StoreError::Newer(schema),
                Fault::Broken(what) => says(&what),
            })?;
            *at += end + 1;
            return Ok(Some(entry));
        }
    }

    fn begin(&mut self, first: u64, id: Oid) -> Result<(), StoreError> {
        if first != self.chain.seq + 1 {
            return Err(broken(
                self.place,
                format!("{} stands where entry {} must stand", Part::path(first), self.chain.seq + 1),
            ));
        }
        let blob = self.repository.find_blob(id).map_err(|error| git_failed(self.place, "reading entries", &error))?;
        self.done.push(Part { first, blob: id, size: blob.size(), before: self.chain.clone() });
        self.open = Some((blob, 0));
        Ok(())
    }
}

impl Iterator for Lines<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.fault.is_some() {
            return None;
        }
        self.read().unwrap_or_else(|fault| {
            self.fault = Some(fault);
            None
        })
    }
}
