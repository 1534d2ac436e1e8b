//! The lines of volumes and pages, one after the other. Knows lines and the chain; not how their texts come here.

use super::fault::broken;
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event, Fault};
use crate::store::StoreError;

/// Reads and verifies the lines of texts, one after the other; ends with the first fault.
pub(super) struct Lines<'a, Texts> {
    place: &'a str,
    texts: Texts,
    /// The text that is read, and from where.
    open: (String, usize),
    chain: Chain,
    /// The base that reading began at, as long as no entry named it.
    unvouched: Option<Digest>,
    fault: Option<StoreError>,
}

impl<'a, Texts: Iterator<Item = Result<String, StoreError>>> Lines<'a, Texts> {
    /// The first line must follow `chain`. `base` is the digest of what it began at, and must be vouched for.
    pub(super) fn new(place: &'a str, texts: Texts, chain: Chain, base: Option<Digest>) -> Self {
        Self { place, texts, open: Default::default(), chain, unvouched: base, fault: None }
    }

    /// The chain at the end, and the base that no entry named.
    pub(super) fn end(self) -> Result<(Chain, Option<Digest>), StoreError> {
        self.fault.map_or(Ok((self.chain, self.unvouched)), Err)
    }

    fn read(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            let (text, at) = &mut self.open;
            if let Some((line, _)) = text[*at..].split_once('\n') {
                *at += line.len() + 1;
                let entry = follow(self.place, &mut self.chain, line)?;
                vouch(&mut self.unvouched, &entry);
                return Ok(Some(entry));
            }
            if *at != text.len() {
                return Err(broken(self.place, "the last line of a volume has no end"));
            }
            match self.texts.next() {
                Some(text) => self.open = (text?, 0),
                None => return Ok(None),
            }
        }
    }
}

impl<Texts: Iterator<Item = Result<String, StoreError>>> Iterator for Lines<'_, Texts> {
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

pub(super) fn follow(place: &str, chain: &mut Chain, line: &str) -> Result<Entry, StoreError> {
    chain.follow_line(line).map_err(|fault| match fault {
        Fault::Newer(schema) => StoreError::Newer(schema),
        Fault::Broken(what) => broken(place, what),
    })
}

/// An entry that says that entries were compacted vouches for what stands in their place.
pub(super) fn vouch(unvouched: &mut Option<Digest>, entry: &Entry) {
    if let Event::Compacted { base, .. } = &entry.event {
        unvouched.take_if(|named| named == base);
    }
}

pub(super) fn is_vouched(place: &str, unvouched: Option<&Digest>) -> Result<(), StoreError> {
    let says = |base| format!("no entry says that anything was compacted into what has the hash {base}");
    unvouched.map_or(Ok(()), |base| Err(broken(place, says(base))))
}
