//! The lines of the files of entries, one after the other. Knows lines and the chain; not how their files came here.

use super::fault::{broken, git_failed};
use super::tree::part_path;
use crate::journal::{Chain, Entry, Fault};
use crate::store::StoreError;
use git2::{ObjectType, Oid, Repository};
use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::Arc;

/// A file of entries.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) blob: Oid,
    pub(super) size: usize,
    /// The chain that its first entry follows.
    pub(super) before: Chain,
    /// Its bytes, where they are few: such files soon become a part of a larger one.
    kept: Option<Arc<Vec<u8>>>,
}

/// Bytes of a file that are kept to know them again; of larger ones the hash is taken. There are few files of about one size.
const KEPT_MAX: usize = 512 << 10;

/// Bytes of a file that is read without its hash: what is broken may say any size.
const READ_MAX: usize = 64 << 20;

impl Part {
    pub(super) fn new(first: u64, blob: Oid, bytes: Arc<Vec<u8>>, before: Chain) -> Self {
        Self { first, blob, size: bytes.len(), before, kept: Some(bytes).filter(|bytes| bytes.len() <= KEPT_MAX) }
    }

    /// These are the bytes that were verified.
    fn is(&self, bytes: &[u8]) -> bool {
        match &self.kept {
            Some(kept) => **kept == *bytes,
            None => Oid::hash_object(ObjectType::Blob, bytes).is_ok_and(|id| id == self.blob),
        }
    }

    /// Puts its bytes before others.
    pub(super) fn put_before(&self, text: &mut Vec<u8>, repository: &Repository) -> Result<(), git2::Error> {
        match &self.kept {
            Some(kept) => drop(text.splice(0..0, kept.iter().copied())),
            None => drop(text.splice(0..0, repository.find_blob(self.blob)?.content().iter().copied())),
        }
        Ok(())
    }
}

/// The bytes of a file of entries, where it is no part of a pack. They are not held against its hash: that costs more than all else that
/// is done for the few lines which were appended to it, and those the chain verifies.
fn unhashed(repository: &Repository, blob: Oid) -> Option<Arc<Vec<u8>>> {
    let odb = repository.odb().ok()?;
    let (mut reader, size, kind) = odb.reader(blob).ok()?;
    if kind != ObjectType::Blob || size > READ_MAX {
        return None;
    }
    let mut bytes = vec![0; size];
    reader.read_exact(&mut bytes).ok()?;
    Some(Arc::new(bytes))
}

/// Reads and verifies the lines of parts, one after the other; ends with the first fault.
pub(super) struct Lines<'a> {
    place: &'a str,
    repository: &'a Repository,
    waiting: VecDeque<(u64, Oid)>,
    /// The part that is read, and from where.
    open: Option<(Arc<Vec<u8>>, usize)>,
    done: Vec<Part>,
    chain: Chain,
    /// The line that was read last.
    line: Vec<u8>,
    fault: Option<StoreError>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(place: &'a str, repository: &'a Repository, parts: &[(u64, Oid)], chain: Chain) -> Self {
        let waiting = parts.iter().copied().collect();
        Self { place, repository, waiting, open: None, done: Vec::new(), chain, line: Vec::new(), fault: None }
    }

    /// Begins behind what was `read` in smaller files, up to the end of `known`, where the first file is made of just that.
    pub(super) fn resume(&mut self, read: &[Part], known: &Chain) -> Result<(), StoreError> {
        let Some((first, id)) = self.waiting.front().copied().filter(|(first, _)| *first == self.chain.seq + 1) else {
            return Ok(());
        };
        let bytes = unhashed(self.repository, id).map_or_else(|| self.bytes(id), Ok)?;
        let mut at = 0;
        for part in read {
            if !bytes.get(at..at + part.size).is_some_and(|own| part.is(own)) {
                return Ok(()); // then all of it is read again
            }
            at += part.size;
        }
        self.waiting.pop_front();
        let before = std::mem::replace(&mut self.chain, known.clone());
        self.done.push(Part::new(first, id, bytes.clone(), before));
        self.open = Some((bytes, at));
        Ok(())
    }

    /// The chain before the line that was read last, and that line.
    pub(super) fn at(&self) -> (&Chain, &[u8]) {
        (&self.chain, &self.line)
    }

    pub(super) fn end(self) -> Result<(Chain, Vec<Part>), StoreError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok((self.chain, self.done)),
        }
    }

    fn read(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            let Some((bytes, at)) = &mut self.open else {
                let Some((first, id)) = self.waiting.pop_front() else { return Ok(None) };
                self.begin(first, id)?;
                continue;
            };
            let rest = &bytes[*at..];
            if rest.is_empty() {
                self.open = None;
                if !self.chain.is_whole() {
                    return Err(broken(self.place, format!("the group of entry {} has no end", self.chain.seq)));
                }
                continue;
            }
            let path = || part_path(self.done.last().map_or(0, |part| part.first));
            let says = |what: &str| broken(&format!("{}, {}", self.place, path()), what);
            let end = rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| says("the last line has no end"))?;
            self.line.clear();
            self.line.extend_from_slice(&rest[..end]);
            let line = std::str::from_utf8(&rest[..end]).map_err(|_| says("a line is not text"))?;
            let entry = self.chain.follow_line(line).map_err(|fault| match fault {
                Fault::Newer(schema) => StoreError::Newer(schema),
                Fault::Broken(what) => says(&what),
            })?;
            *at += end + 1;
            return Ok(Some(entry));
        }
    }

    fn bytes(&self, id: Oid) -> Result<Arc<Vec<u8>>, StoreError> {
        let blob = self.repository.find_blob(id).map_err(|error| git_failed(self.place, "reading entries", &error))?;
        Ok(Arc::new(blob.content().to_vec()))
    }

    fn begin(&mut self, first: u64, id: Oid) -> Result<(), StoreError> {
        if first != self.chain.seq + 1 {
            return Err(broken(self.place, format!("{} stands where entry {} must stand", part_path(first), self.chain.seq + 1)));
        }
        let bytes = self.bytes(id)?;
        if bytes.is_empty() {
            return Err(broken(self.place, format!("{} has no line", part_path(first))));
        }
        self.line.clear();
        self.done.push(Part::new(first, id, bytes.clone(), self.chain.clone()));
        self.open = Some((bytes, 0));
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
