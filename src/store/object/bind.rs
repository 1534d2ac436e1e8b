//! Pages bound into volumes, so that whoever comes new reads few objects. Once in [`PAGES`] pages whoever wrote the last of them does it;
//! if nothing comes of it, the pages are there all the same, and the next does more.
//!
//! Volumes are bound together in turn, before there are many small ones: each entry is written about three times in all. When many bytes
//! came since the last checkpoint, the next one is made where the binding ends, and no volume reaches over it.

use super::contents::{Named, Volume};
use super::desk::{Desk, wait};
use super::fault::failed;
use crate::change::Digest;
use crate::journal::{Checkpoint, Entry, Event};
use crate::store::StoreError;

/// Pages in a volume when it is bound first.
#[cfg(not(test))]
pub(super) const PAGES: u64 = 64;
#[cfg(test)]
pub(super) const PAGES: u64 = 4;
/// Small volumes at the end that are bound together with what comes next; and how many bytes make one large.
#[cfg(not(test))]
pub(super) const SMALL_MAX: usize = 31;
#[cfg(test)]
pub(super) const SMALL_MAX: usize = 3;
const SMALL_BYTES: usize = 1 << 20;
/// Bytes of a volume at most, if no single page has more: it is one request.
const VOLUME_MAX: usize = 32 << 20;
/// Checkpoints that are kept: one more, for a reader who has just read the contents before, or cannot use the newest.
const KEPT: usize = 2;

impl Desk {
    /// These entries were just written. When a key begins with them, no checkpoint of the key before it is of use.
    pub(super) fn bind_if_due(&mut self, entries: &[Entry]) {
        let begins = entries.iter().any(|entry| matches!(entry.event, Event::KeyBegan { .. }));
        let begins = begins && !self.book.contents.checkpoints.is_empty();
        let is_late = self.book.loose_pages() as u64 >= 4 * PAGES;
        if (is_late || begins || self.book.page.is_multiple_of(PAGES))
            && let Err(error) = self.bind(begins)
        {
            tracing::debug!(page = self.book.page, %error, "pages stay loose");
        }
    }

    fn bind(&mut self, begins: bool) -> Result<(), StoreError> {
        match self.contents()? {
            Some((contents, _)) if contents.page > self.book.page => return Ok(()), // somebody was further
            Some((contents, version)) => self.book.rebind(contents, version)?,
            None if self.was_compacted_since()? => return Ok(()), // whoever comes new makes the contents
            None => {}
        }
        let contents = &self.book.contents;
        let shut = contents.checkpoints.last().map_or(0, |newest| newest.seq);
        let fresh = contents.volumes.iter().filter(|volume| volume.first > shut).map(|volume| volume.bytes).sum::<usize>();
        let has_grown = fresh + self.book.loose_texts().map(str::len).sum::<usize>() >= self.segment_bytes;
        let is_anew = begins || self.book.is_late;
        let is_due = (has_grown || is_anew) && self.book.chain.lacks_seal().is_none() && self.book.chain.seq > shut;

        let mut volumes = contents.volumes.clone();
        if self.book.loose_texts().any(|lines| !lines.is_empty()) {
            let is_small = |volume: &&Volume| volume.bytes < SMALL_BYTES && volume.first > shut;
            let small = volumes.iter().rev().take_while(is_small).count();
            let again = if small < SMALL_MAX && !is_due { volumes.len() } else { volumes.len() - small };
            let again = volumes.split_off(again);
            let first = again.first().map_or(contents.seq + 1, |volume| volume.first);
            volumes.extend(self.put_volumes(first, &again)?);
        }
        let mut checkpoints = contents.checkpoints.clone();
        if is_due && let Some(newest) = self.put_checkpoint() {
            checkpoints.retain(|_| !is_anew);
            checkpoints.push(newest);
        }
        checkpoints.drain(..checkpoints.len().saturating_sub(KEPT));
        // Nothing seals the contents, so they are not believed about what else might be deleted.
        let goes = |kept: &&Named| !checkpoints.contains(kept) && kept.name.starts_with("checkpoints/");
        let gone: Vec<Named> = contents.checkpoints.iter().filter(goes).cloned().collect();
        let is_made = checkpoints.last() != contents.checkpoints.last();
        let contents = self.book.stand().with(contents.base.clone(), checkpoints, volumes);
        let version = self.put_contents(&contents, self.book.version.as_ref()).map_err(|fault| failed(&fault))?;
        self.book.rebind(contents, version)?;
        self.book.is_late &= !is_made;
        gone.iter().try_for_each(|kept| self.remove(&kept.name))
    }

    /// The contents are gone, and we have not seen what stands for entries that were compacted away meanwhile.
    fn was_compacted_since(&self) -> Result<bool, StoreError> {
        let base = self.first_let_go()?.and_then(|(first, _)| first.base);
        Ok(base.is_some_and(|base| base.seq > self.book.contents.through()))
    }

    /// Binds the volumes `again`, the first entry of which is `first`, and all that is loose after them.
    fn put_volumes(&self, first: u64, again: &[Volume]) -> Result<Vec<Volume>, StoreError> {
        let earlier = again.iter().map(|volume| wait(self.volume(volume.name.clone()))).collect::<Result<String, _>>()?;
        let mut texts = vec![earlier];
        for lines in self.book.loose_texts() {
            match texts.last_mut().filter(|text| text.is_empty() || text.len() + lines.len() <= VOLUME_MAX) {
                Some(text) => text.push_str(lines),
                None => texts.push(lines.into()),
            }
        }
        let mut next = first;
        let put = texts.iter().map(|text| {
            let first = next;
            next += text.lines().count() as u64;
            self.put_volume(first, text)
        });
        put.collect()
    }

    /// It may be there already, bound by somebody who went no further.
    pub(super) fn put_volume(&self, first: u64, text: &str) -> Result<Volume, StoreError> {
        let name = format!("volumes/{first:012}-{}.jsonl", Digest::of_bytes(text.as_bytes()).short());
        self.put_named(&name, text)?;
        Ok(Volume { name, first, bytes: text.len() })
    }

    /// Makes a checkpoint of how things stand. It is only a shortcut, so that this fails is no failure.
    fn put_checkpoint(&self) -> Option<Named> {
        let kept = Checkpoint::of(&self.book.chain, self.book.followed.history().resolved());
        let text = kept.text(self.sealer());
        let name = format!("checkpoints/{:012}-{}.json", kept.seq, Digest::of_bytes(text.as_bytes()).short());
        match self.put_named(&name, &text) {
            Ok(()) => Some(Named { name, seq: kept.seq }),
            Err(error) => {
                tracing::warn!(%error, "the journal's checkpoint could not be made");
                None
            }
        }
    }
}
