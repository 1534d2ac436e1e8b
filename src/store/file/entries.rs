//! The tail, as it is written: what others appended is verified first, and what a crash left of a group cut off. Knows when a file is
//! the one that we know; not how lines are read.

use super::checkpoints::Start;
use super::disk::{Pen, failed, identity, make_dir, open_private, sync_dir};
use super::scan::{End, Scan};
use super::segments::{Files, Piece, Segment, segments_dir, tail};
use crate::journal::{Chain, Entry, Sealer};
use crate::store::StoreError;
use crate::store::recent::Recent;
use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The tail, and what this process has verified of the journal.
#[derive(Debug)]
pub(super) struct Entries {
    dir: PathBuf,
    pen: Pen,
    sealer: Option<Sealer>,
    verified: Option<End>,
    /// Up to there.
    recent: Recent,
}

impl Entries {
    pub(super) fn new(dir: PathBuf, pen: Pen, sealer: Option<Sealer>) -> Self {
        Self { dir, pen, sealer, verified: None, recent: Recent::default() }
    }

    /// Somebody read on, beyond what we knew, and kept no entries.
    pub(super) fn has_verified(&mut self, end: End) {
        if self.verified.as_ref().is_none_or(|known| known.chain.seq < end.chain.seq) {
            (self.verified, self.recent) = (Some(end), Recent::default());
        }
    }

    /// Somebody read `entries`, the last of which is at `end`.
    pub(super) fn has_followed(&mut self, entries: &[Entry], end: End) {
        let known = self.known();
        match entries.first() {
            Some(first) if first.seq == known + 1 => {
                self.recent.met(entries);
                self.verified = Some(end);
            }
            None if end.chain.seq == known => self.verified = Some(end),
            Some(_) | None => self.has_verified(end),
        }
    }

    /// The entries after `seq`, up to the last that was verified; `None` when they are not all here.
    pub(super) fn recent(&self, seq: u64) -> Option<Vec<Entry>> {
        self.recent.since(seq, self.known())
    }

    /// The same, with where they end, for whoever reads on in `files`.
    pub(super) fn since(&self, seq: u64, files: &Files) -> Option<(Vec<Entry>, End)> {
        let end = self.verified.as_ref().filter(|end| end.chain.seq >= seq && files.follow(end.base))?;
        Some((self.recent(seq)?, end.clone()))
    }

    /// The last entry that was verified.
    fn known(&self) -> u64 {
        self.verified.as_ref().map_or(0, |end| end.chain.seq)
    }

    /// Opens the tail for [`Entries::append`], verifies what others appended since we last looked, and cuts off what a crash left
    /// of a group. Only under the journal's lock.
    pub(super) fn open(&mut self) -> Result<(File, End), StoreError> {
        let path = tail(&self.dir);
        let file = open_private(&path).map_err(|error| failed("opening", &path, &error))?;
        let metadata = file.metadata().map_err(|error| failed("reading", &path, &error))?;
        let mut scan = match self.verified.clone() {
            Some(known) if known.file == Some(identity(&metadata)) => {
                if !ends_there(&file, &known).map_err(|error| failed("reading", &path, &error))? {
                    return Err(gone(&self.dir, known.chain.seq));
                }
                Scan::over(vec![Piece { path: path.clone(), last: None }], known, None)
            }
            known => {
                sync_dir(&self.dir)?; // its name may be new
                let files = Files::list(&self.dir)?;
                match known.filter(|known| files.follow(known.base)) {
                    Some(known) => Scan::over(files.after(known.base), known, None),
                    None => Start::newest(&self.dir, self.sealer.as_ref())?.scan(),
                }
            }
        };
        let fresh = scan.by_ref().collect::<Result<Vec<Entry>, StoreError>>()?;
        let mut end = scan.end()?;
        end.file = Some(identity(&metadata));
        self.has_followed(&fresh, end.clone());
        if metadata.len() > end.offset {
            self.cut(&file, &end).map_err(|error| failed("cutting an unfinished group off", &path, &error))?;
        }
        Ok((file, end))
    }

    /// Writes sealed entries after `end`; the last of them makes `chain`. One write: when it fails, nothing of them is there. Returns
    /// where they end, and their text. They are durable after [`Entries::sync`].
    pub(super) fn write<'a>(
        &mut self,
        file: &File,
        end: &End,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        chain: Chain,
    ) -> Result<(End, String), StoreError> {
        let mut text = String::new();
        for entry in entries.clone() {
            text.push_str(&entry.line());
            text.push('\n');
        }
        if let Err(error) = (self.pen.write)(file, text.as_bytes(), end.offset) {
            let is_cut = self.cut(file, end).is_ok();
            return Err(self.not_appended(&error, is_cut));
        }

        let lines = end.lines + (chain.seq - end.chain.seq);
        let end = End { offset: end.offset + text.len() as u64, lines, chain, ..end.clone() };
        let entries: Vec<Entry> = entries.cloned().collect();
        self.has_followed(&entries, end.clone());
        Ok((end, text))
    }

    /// Makes what was written durable. Needs no lock.
    pub(super) fn sync(&self, file: &File) -> Result<(), Error> {
        (self.pen.sync)(file)
    }

    /// What becomes of `text`, written from `before` to `now`, that a disk did not make durable: it is taken back, and that is the error;
    /// or others wrote behind it, and it is written once more, for what they wrote stands on it. Only under the journal's lock.
    pub(super) fn settle(
        &mut self,
        file: &File,
        (before, now): (&End, &End),
        text: &str,
        error: &Error,
    ) -> Result<(), StoreError> {
        if file.metadata().is_ok_and(|metadata| metadata.len() > now.offset) {
            let again = (self.pen.write)(file, text.as_bytes(), before.offset).and_then(|()| (self.pen.sync)(file));
            return again.map_err(|_| self.not_appended(error, false));
        }
        let is_cut = self.cut(file, before).is_ok();
        (self.verified, self.recent) = (Some(before.clone()), Recent::default()); // what is there all the same is read again
        Err(self.not_appended(error, is_cut))
    }

    pub(super) fn not_appended(&self, error: &Error, is_cut: bool) -> StoreError {
        let StoreError::Io { what, hint } = failed("appending to", &tail(&self.dir), error) else {
            unreachable!("a failed call is an I/O error");
        };
        let became = if is_cut { "nothing was journalled" } else { "it is not sure whether it was journalled" };
        StoreError::Io { what: format!("{what}; {became}"), hint }
    }

    /// Makes the tail a segment; the next entry begins a new one. Only under the journal's lock, with nothing after `end`.
    pub(super) fn close(&mut self, end: &End) -> Result<(), StoreError> {
        let (tail, last) = (tail(&self.dir), end.chain.seq);
        let segment = Segment::of(&self.dir, end.base + 1, last);
        make_dir(&segments_dir(&self.dir))?;
        (self.pen.rename)(&tail, &segment.path).map_err(|error| failed("closing", &tail, &error))?;
        self.verified = Some(End::before(end.chain.clone()));
        sync_dir(&segments_dir(&self.dir))?;
        sync_dir(&self.dir)
    }

    fn cut(&self, file: &File, end: &End) -> std::io::Result<()> {
        (self.pen.truncate)(file, end.offset)?;
        (self.pen.sync)(file)
    }
}

/// The last entry that was read is there, and no other in its place.
fn ends_there(file: &File, known: &End) -> std::io::Result<bool> {
    let end = format!("\"hash\":\"{}\"}}\n", known.chain.head);
    let Some(at) = known.offset.checked_sub(end.len() as u64) else { return Ok(true) }; // nothing of this file was read
    let mut there = vec![0; end.len()];
    match file.read_exact_at(&mut there, at) {
        Ok(()) => Ok(there == end.as_bytes()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What was read is not there any more.
pub(super) fn gone(dir: &Path, seq: u64) -> StoreError {
    let what = format!("entry {seq}, which was there, is gone: somebody rewrote the journal, or its disk failed");
    StoreError::Broken { place: tail(dir).display().to_string(), what }
}
