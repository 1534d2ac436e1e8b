//! Lets the entries of old pages go and keeps what proves them. The names of the pages stay used: a run that slept may still hold a
//! request for one of them.
//!
//! The order is what keeps it safe. What stands for the entries is put as an object of its own, a base; an entry names its hash, so the
//! chain vouches for it; then the contents begin at the base, and the first page names it, for whoever finds no contents. Only then the
//! other pages are written over, by condition, and the volumes with their entries deleted. Whatever befalls a compaction half-way,
//! everybody reads the same history at every moment; the next one goes on, and first does what was left.

use super::bind::PAGES;
use super::contents::{Contents, Named};
use super::desk::{AHEAD_MAX, Desk, Plan, wait};
use super::fault::{broken, failed};
use super::lines::{is_vouched, vouch};
use super::page;
use super::start::{Base, Start};
use crate::bucket::Fault;
use crate::change::Digest;
use crate::journal::{Checkpoint, Dropped, Entry, Event};
use crate::store::wish::Stroke;
use crate::store::{Compacted, StoreError};
use std::sync::Arc;

/// Times that something is read and written again that others write to as well.
pub(super) const TRIES_MAX: u32 = 20;
/// Bytes of entries that one digest of a base stands for, about.
const PART_BYTES: usize = 16 << 20;

/// What may go, and what stands for it.
struct Older {
    base: Named,
    text: String,
    digest: Digest,
    /// How things stood at the last page that goes.
    stand: Contents,
    compacted: Compacted,
}

impl Desk {
    /// Compacts the pages whose newest entry is older than `before_ms`; the newest [`PAGES`] always stay.
    pub(super) fn compact(
        &mut self,
        before_ms: u64,
        first: &[Event],
        run: &Arc<str>,
        at_ms: u64,
    ) -> Result<Compacted, StoreError> {
        self.try_out()?;
        self.look()?;
        if let Some(unsealed) = self.book.chain.refuses(first) {
            return Err(unsealed.into());
        }
        let begun = self.newest_base()?;
        match self.compact_on(begun.clone(), before_ms, first, run, at_ms) {
            Err(StoreError::Broken { .. }) if self.newest_base()? != begun => Err(somebody_else()), // and took away what we read
            done => done,
        }
    }

    fn compact_on(
        &mut self,
        begun: Option<Named>,
        before_ms: u64,
        first: &[Event],
        run: &Arc<str>,
        at_ms: u64,
    ) -> Result<Compacted, StoreError> {
        if let Some(base) = &begun {
            self.go_on(base)?;
        }
        let Some(older) = self.fold_older(begun.as_ref(), before_ms)? else { return Ok(Compacted::default()) };
        self.may_write_over(older.stand.page)?;
        self.put_named(&older.base.name, &older.text)?;
        if self.base(&older.base)?.digest != older.digest {
            return Err(broken(&self.place, format!("{} is there, and is another one", older.base.name)));
        }
        self.change(|desk| {
            let mut change = Stroke::on(&desk.book.chain);
            if let Some(unsealed) = change.chain.refuses(first) {
                return Err(unsealed.into());
            }
            let (through, head, base) = (older.stand.seq, older.stand.hash.clone(), older.digest.clone());
            let says = Event::Compacted { through, head, base };
            change.entries = change.chain.seal_group(first.iter().cloned().chain([says]).collect(), run, at_ms);
            Ok(Plan::Write(change.into(), ()))
        })?;
        self.begin_at(&older.base, &older.stand)?;
        self.sweep(&older.base, older.stand.page)?;
        Ok(older.compacted)
    }

    /// What stands for the entries that are gone, by the contents or by the first page: of two the newer, for somebody is about it.
    pub(super) fn newest_base(&self) -> Result<Option<Named>, StoreError> {
        let contents = self.contents()?.and_then(|(contents, _)| contents.base);
        let first = self.first_let_go()?.map(|(first, _)| self.base_of(&first)).transpose()?;
        Ok(contents.into_iter().chain(first).max_by_key(|base| base.seq))
    }

    /// Does what an earlier compaction left undone. An entry must vouch for what stands for the entries that are gone.
    fn go_on(&mut self, base: &Named) -> Result<(), StoreError> {
        self.look()?; // the entry was there before anything named the base
        let Base { stand, digest, .. } = self.base(base)?;
        let mut unvouched = Some(digest);
        self.each(&mut |entry| vouch(&mut unvouched, &entry))?;
        is_vouched(&format!("{}/{}", self.place, base.name), unvouched.as_ref())?;
        self.begin_at(base, &stand)?;
        let first = self.first_let_go()?.map(|(first, _)| first);
        let is_swept = first.is_some_and(|first| first.base.as_ref() == Some(base) && first.swept >= stand.page);
        if is_swept { Ok(()) } else { self.sweep(base, stand.page) }
    }

    /// Folds the pages that may go into the base that stands for them; nothing when there is none.
    fn fold_older(&self, begin: Option<&Named>, before_ms: u64) -> Result<Option<Older>, StoreError> {
        let mut start = self.beginning(begin)?;
        let mut dropped = std::mem::take(&mut start.dropped);
        let from = start.chain.seq;
        let mut book = self.closed_book();
        book.open(Start { base: None, ..start }, std::iter::empty())?;
        let (mut compacted, mut part) = (Compacted::default(), String::new());
        let (mut first, mut prev) = (from + 1, book.chain.head.clone());
        let newest = self.book.page.saturating_sub(PAGES);
        let mut is_over = false;
        while !is_over && book.page < newest {
            for text in self.pages(book.page + 1, AHEAD_MAX.min(newest - book.page))? {
                let place = format!("{}/{}", self.place, page::name(book.page + 1));
                let text = text.ok_or_else(|| broken(&place, "it is gone"))?;
                let Some((_, lines)) = page::read(&place, &text)? else { return Err(somebody_else()) };
                is_over = lines.lines().filter_map(|line| Entry::read(line).ok()).any(|entry| entry.at_ms >= before_ms);
                if is_over {
                    break;
                }
                part.push_str(lines);
                book.turn(&text)?;
                book.forget_loose();
                if part.len() >= PART_BYTES {
                    dropped.push(part_of(&mut part, &mut first, &mut prev, &book.chain.head));
                }
            }
        }
        if book.chain.seq == from {
            return Ok(None);
        }
        if !part.is_empty() {
            dropped.push(part_of(&mut part, &mut first, &mut prev, &book.chain.head));
        }
        let parts = dropped.iter().filter(|part| part.first > from);
        parts.for_each(|part| (compacted.segments, compacted.bytes) = (compacted.segments + 1, compacted.bytes + part.bytes));
        (compacted.entries, compacted.through) = (book.chain.seq - from, book.chain.seq);
        let history = Checkpoint::of(&book.chain, book.followed.history().resolved()).instead_of(dropped);
        let stand = book.stand();
        let text = Base::text(&stand, &history);
        let digest = Digest::of_bytes(text.as_bytes());
        // What stays must follow what goes, or what proves that somebody rewrote it would go as well.
        let place = format!("{}/{}", self.place, page::name(book.page + 1));
        let next = self.pages(book.page + 1, 1)?.into_iter().next().flatten().ok_or_else(|| broken(&place, "it is gone"))?;
        book.turn(&next)?;
        let base = Named { name: format!("bases/{:012}-{}.jsonl", stand.seq, digest.short()), seq: stand.seq };
        Ok(Some(Older { base, text, digest, stand, compacted }))
    }

    /// A bucket may lock its pages: then nothing is begun. The page is written over with itself.
    fn may_write_over(&self, number: u64) -> Result<(), StoreError> {
        let name = page::name(number);
        let (text, version) = wait(self.get(name.clone()))?.ok_or_else(|| broken(&self.place, format!("{name} is gone")))?;
        match wait(self.bucket.put(&self.key(&name), text.as_bytes(), Some(&version))) {
            Ok(_) | Err(Fault::Moved(_)) => Ok(()),
            Err(fault @ Fault::Refused(_)) => Err(StoreError::Io {
                what: format!("{fault}: a page that cannot be written over cannot be compacted; nothing was let go"),
                hint: Some("a lock or a retention of the bucket may forbid it, and then entries are kept for good".into()),
            }),
            Err(fault @ Fault::Unsure(_)) => Err(failed(&fault)),
        }
    }

    /// The contents begin at `base`, if they do not begin later.
    fn begin_at(&mut self, base: &Named, stand: &Contents) -> Result<(), StoreError> {
        for _ in 0..TRIES_MAX {
            let (cut, version) = match self.contents()? {
                Some((contents, _)) if contents.through() >= base.seq => return Ok(()),
                Some((contents, version)) => (self.cut(contents, base, stand)?, Some(version)),
                // Lost: whoever makes them anew from what it knows would name what is deleted soon.
                None => (stand.clone().with(Some(base.clone()), Vec::new(), Vec::new()), None),
            };
            match self.put_contents(&cut, version.as_ref()) {
                Ok(version) if cut.page <= self.book.page => return self.book.rebind(cut, version),
                Ok(_) => return Ok(()), // who wrote more has bound more
                Err(Fault::Moved(_) | Fault::Unsure(_)) => {}
                Err(fault @ Fault::Refused(_)) => return Err(failed(&fault)),
            }
        }
        Err(somebody_else())
    }

    /// The contents without what `base` stands for. A volume that reaches over its end is bound anew.
    fn cut(&self, contents: Contents, base: &Named, stand: &Contents) -> Result<Contents, StoreError> {
        let through = base.seq;
        if contents.page < stand.page {
            return Ok(stand.clone().with(Some(base.clone()), Vec::new(), Vec::new()));
        }
        let mut volumes = contents.volumes.clone();
        let kept = volumes.split_off(volumes.partition_point(|volume| volume.first <= through));
        let mut over = Vec::new();
        let ends = kept.first().map_or(contents.seq, |next| next.first - 1);
        if let Some(last) = volumes.last().filter(|_| ends > through) {
            let text = wait(self.volume(last.name.clone()))?;
            let goes = usize::try_from(through + 1 - last.first).unwrap_or(usize::MAX);
            let rest: String = text.split_inclusive('\n').skip(goes).collect();
            over.push(self.put_volume(through + 1, &rest)?);
        }
        let checkpoints = contents.checkpoints.iter().filter(|kept| kept.seq > through).cloned().collect();
        Ok(contents.with(Some(base.clone()), checkpoints, over.into_iter().chain(kept).collect()))
    }
}

/// What is left of the entries in `part`, which end with `head`; the next part begins.
fn part_of(part: &mut String, first: &mut u64, prev: &mut Digest, head: &Digest) -> Dropped {
    let text = std::mem::take(part);
    let last = *first + text.lines().count() as u64 - 1;
    let (bytes, digest) = (text.len() as u64, Digest::of_bytes(text.as_bytes()));
    let prev = std::mem::replace(prev, head.clone());
    Dropped { first: std::mem::replace(first, last + 1), last, prev, head: head.clone(), bytes, digest }
}

pub(super) fn somebody_else() -> StoreError {
    let what = "somebody else compacts this journal".to_string();
    StoreError::Io { what, hint: Some("run the same command again when that has ended".into()) }
}
