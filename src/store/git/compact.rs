//! Lets old files of entries go from the tree and keeps what proves them. One commit: what stands for them, the entry that names its
//! hash, and the files gone. The commits before it still hold them, at the server.

use super::desk::{Desk, Plan};
use super::draft::{Base, Change};
use super::fault::{broken, git_failed};
use super::known::Start;
use super::lines::Lines;
use super::tree::Contents;
use crate::change::Digest;
use crate::journal::{Checkpoint, Dropped, Entry, Event};
use crate::store::{Compacted, StoreError};
use git2::Oid;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What may go, and what stands for it.
struct Older {
    base: Checkpoint,
    /// Files of entries, and earlier bases.
    files: Vec<u64>,
    bases: Vec<u64>,
    compacted: Compacted,
}

impl Desk {
    /// Compacts the files whose newest entry is older than `before_ms`; the newest file always stays.
    pub(super) fn compact(
        &mut self,
        before_ms: u64,
        first: &[Event],
        run: &Arc<str>,
        at_ms: u64,
    ) -> Result<Compacted, StoreError> {
        self.look()?;
        let mut tries: BTreeMap<Digest, Compacted> = BTreeMap::new();
        self.change(|desk| {
            if let Some(done) = desk.known.arrived.as_ref().and_then(|hash| tries.remove(hash)) {
                return Ok(Plan::Done(done));
            }
            if let Some(unsealed) = desk.known.chain.refuses(first) {
                return Err(unsealed.into());
            }
            let Some(Older { base, files, bases, compacted }) = desk.fold_older(before_ms)? else {
                return Ok(Plan::Done(Compacted::default()));
            };
            let text = base.text(None);
            let (_, hash) = Checkpoint::read(&text).map_err(|fault| broken(&desk.place, fault.to_string()))?;
            let says = Event::Compacted { through: base.seq, head: base.head, base: hash };
            let mut change = Change::on(&desk.known, format!("Entries up to {} are compacted", base.seq));
            change.entries = change.chain.seal_group(first.iter().cloned().chain([says]).collect(), run, at_ms);
            change.at_ms = Some(at_ms);
            change.base = Some(Base { seq: base.seq, text, files, bases });
            tries.extend(change.entries.last().map(|entry| (entry.hash.clone(), compacted.clone())));
            Ok(Plan::Push(change.into(), compacted))
        })
    }

    /// Folds the files that may go into the base that stands for them; nothing when there is none.
    fn fold_older(&self, before_ms: u64) -> Result<Option<Older>, StoreError> {
        let (place, repository) = (&*self.place, &self.repository);
        let contents = Contents::read(place, repository, self.known.tip())?;
        let blobs = contents.parts.iter().map(|(_, blob)| *blob).chain(contents.bases.values().copied());
        self.wire.bring(place, repository, &blobs.collect::<Vec<_>>())?;
        let older = contents.parts.split_last().map_or(&[][..], |(_, older)| older);
        let mut old = Vec::new();
        for part in older {
            if self.last_entry(part.1)?.at_ms >= before_ms {
                break;
            }
            old.push(*part);
        }
        if old.is_empty() {
            return Ok(None);
        }

        let start = Start::first(place, repository, &contents, self.known.sealer())?;
        let (mut dropped, mut compacted, mut history, mut chain) =
            (start.dropped, Compacted::default(), start.history, start.chain);
        for (first, blob) in &old {
            let prev = chain.head.clone();
            let mut lines = Lines::new(place, repository, &[(*first, *blob)], chain);
            (&mut lines).for_each(|entry| history.fold(&entry));
            chain = lines.end()?.0;
            let bytes = repository.find_blob(*blob).map_err(|error| git_failed(place, "reading entries", &error))?;
            let (length, digest) = (bytes.size() as u64, Digest::of_bytes(bytes.content()));
            let (last, head) = (chain.seq, chain.head.clone());
            dropped.push(Dropped { first: *first, last, prev, head, bytes: length, digest });
            compacted.segments += 1;
            compacted.entries += last + 1 - first;
            compacted.bytes += length;
            compacted.through = last;
        }
        let base = Checkpoint::of(&chain, history.resolved()).instead_of(dropped);
        let files = old.iter().map(|(first, _)| *first).collect();
        Ok(Some(Older { base, files, bases: contents.bases.into_keys().collect(), compacted }))
    }

    /// The last line of a file.
    fn last_entry(&self, blob: Oid) -> Result<Entry, StoreError> {
        let blob = self.repository.find_blob(blob).map_err(|error| git_failed(&self.place, "reading entries", &error))?;
        Entry::last(blob.content()).ok_or_else(|| broken(&self.place, "the last line of a file is no entry"))
    }
}
