//! The tail, as it is written: what others appended is verified first, and what a crash left of a group cut off. Knows when a file is
//! the one that we know; not how lines are read.

use super::checkpoints::Start;
use super::disk::{Pen, failed, identity, make_dir, open_private, sync_dir};
use super::scan::{End, Scan};
use super::segments::{Files, Piece, Segment, segments_dir, tail};
use crate::journal::{Chain, Entry, Sealer};
use crate::store::StoreError;
use std::fs::File;
use std::path::PathBuf;

/// The tail, and what this process has verified of the journal.
#[derive(Debug)]
pub(super) struct Entries {
    dir: PathBuf,
    pen: Pen,
    sealer: Option<Sealer>,
    verified: Option<End>,
}

impl Entries {
    pub(super) fn new(dir: PathBuf, pen: Pen, sealer: Option<Sealer>) -> Self {
        Self { dir, pen, sealer, verified: None }
    }

    /// Somebody read on, beyond what we knew.
    pub(super) fn has_verified(&mut self, end: End) {
        if self.verified.as_ref().is_none_or(|known| known.chain.seq < end.chain.seq) {
            self.verified = Some(end);
        }
    }

    /// Opens the tail for [`Entries::append`], verifies what others appended since we last looked, and cuts off what a crash left
    /// of a group. Only under the journal's lock.
    pub(super) fn open(&mut self) -> Result<(File, End), StoreError> {
        let path = tail(&self.dir);
        let file = open_private(&path).map_err(|error| failed("opening", &path, &error))?;
        let metadata = file.metadata().map_err(|error| failed("reading", &path, &error))?;
        let mut scan = match self.verified.clone() {
            Some(known) if known.file == Some(identity(&metadata)) => {
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
        scan.by_ref().try_for_each(|entry| entry.map(drop))?;
        let mut end = scan.end()?;
        end.file = Some(identity(&metadata));
        if metadata.len() > end.offset {
            self.cut(&file, &end).map_err(|error| failed("cutting an unfinished group off", &path, &error))?;
        }
        self.verified = Some(end.clone());
        Ok((file, end))
    }

    /// Appends sealed entries after `end`; the last of them makes `chain`. One write, durably: when it fails, nothing of them is
    /// there. Returns where they end.
    pub(super) fn append<'a>(
        &mut self,
        file: &File,
        end: &End,
        entries: impl Iterator<Item = &'a Entry>,
        chain: Chain,
    ) -> Result<End, StoreError> {
        let mut text = String::new();
        for entry in entries {
            text.push_str(&entry.line());
            text.push('\n');
        }

        let written = (self.pen.write)(file, text.as_bytes(), end.offset).and_then(|()| (self.pen.sync)(file));
        if let Err(error) = written {
            let StoreError::Io { what, hint } = failed("appending to", &tail(&self.dir), &error) else {
                unreachable!("a failed call is an I/O error");
            };
            let what = match self.cut(file, end) {
                Ok(()) => format!("{what}; nothing was journalled"),
                Err(_) => format!("{what}; it is not sure whether it was journalled"),
            };
            return Err(StoreError::Io { what, hint });
        }

        let lines = end.lines + (chain.seq - end.chain.seq);
        let end = End { offset: end.offset + text.len() as u64, lines, chain, ..end.clone() };
        self.verified = Some(end.clone());
        Ok(end)
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
