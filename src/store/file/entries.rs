//! The entries on disk: one a line, one group after the other, in closed segments and then in `entries.jsonl`. Knows lines, the
//! chain and what a crash leaves behind.
//!
//! A crash can leave the beginning of the last group and nothing else. A reader ignores it; the next writer cuts it off. Any
//! other line that is not what its hash says, or not the one that follows, means that the journal is broken.

use super::checkpoints::Start;
use super::disk::{Pen, failed, identity, make_dir, open_existing, open_private, sync_dir};
use super::segments::{Files, Piece, Segment, segments_dir, tail};
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event, Fault, Sealer};
use crate::store::StoreError;
use serde::de::IgnoredAny;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

/// Bytes a line may have; the plan of a rollout over 10,000 targets has about two million.
const LINE_MAX: u64 = 64 << 20;

/// Where the last whole group ends.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// The last entry before the file it is in.
    pub(super) base: u64,
    pub(super) offset: u64,
    lines: u64,
    pub(super) chain: Chain,
    /// Which file that is, unless it was not there yet.
    file: Option<(u64, u64)>,
}

/// The tail, and what this process has verified of the journal.
#[derive(Debug)]
pub(super) struct Entries {
    dir: PathBuf,
    pen: Pen,
    sealer: Option<Sealer>,
    verified: Option<End>,
}

impl End {
    /// Before the first line of the file whose first entry follows `chain`.
    pub(super) fn before(chain: Chain) -> Self {
        Self { base: chain.seq, offset: 0, lines: 0, chain, file: None }
    }
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

    /// Appends sealed groups after `end`; their last entry makes `chain`. One write, durably: when it fails, nothing of them is
    /// there. Returns where they end.
    pub(super) fn append(&mut self, file: &File, end: &End, groups: &[Vec<Entry>], chain: Chain) -> Result<End, StoreError> {
        let mut text = String::new();
        for entry in groups.iter().flatten() {
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

        let lines = end.lines + groups.iter().map(Vec::len).sum::<usize>() as u64;
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

/// Reads and verifies entries, whole groups only; ends with the first fault.
pub(super) struct Scan {
    pieces: VecDeque<Piece>,
    /// The file being read.
    page: Option<Page>,
    end: End,
    chain: Chain,
    base: u64,
    offset: u64,
    lines: u64,
    line: Vec<u8>,
    /// Entries whose group is not whole yet, then those to hand on.
    group: VecDeque<Entry>,
    /// The chain at the end of the segment that was read last.
    closed: Option<Chain>,
    /// The hash of a base that no entry has named yet.
    unvouched: Option<Digest>,
    is_over: bool,
}

struct Page {
    reader: BufReader<File>,
    piece: Piece,
    file: (u64, u64),
}

impl Scan {
    /// Reads `pieces`, the first of them from where `from` ends. `base` is what it began at, and must be vouched for.
    pub(super) fn over(pieces: Vec<Piece>, from: End, base: Option<Digest>) -> Self {
        Self {
            pieces: pieces.into(),
            page: None,
            chain: from.chain.clone(),
            base: from.base,
            offset: from.offset,
            lines: from.lines,
            end: from,
            line: Vec::new(),
            group: VecDeque::new(),
            closed: None,
            unvouched: base,
            is_over: false,
        }
    }

    /// Where the last whole group that was read ends.
    pub(super) fn end(self) -> Result<End, StoreError> {
        match self.unvouched {
            None => Ok(self.end),
            Some(base) => {
                let what = format!("no entry says that anything was compacted into what has the hash {base}");
                Err(StoreError::Broken { place: format!("entry {}", self.end.base), what })
            }
        }
    }

    /// The chain before the line that was read last, and that line.
    pub(super) fn at(&self) -> (&Chain, &[u8]) {
        (&self.chain, self.line.strip_suffix(b"\n").unwrap_or(&self.line))
    }

    /// The chain after the last whole group.
    pub(super) fn end_chain(&self) -> &Chain {
        &self.end.chain
    }

    /// The chain at the end of the segment that was read last.
    pub(super) fn closed(&self) -> Option<&Chain> {
        self.closed.as_ref()
    }

    /// Bytes that a crash left after the last whole group.
    pub(super) fn torn(&self) -> u64 {
        self.offset - self.end.offset
    }

    /// Reads one whole group; false when there is none any more.
    fn read_group(&mut self) -> Result<bool, StoreError> {
        while let Some(entry) = self.read_entry()? {
            if let Event::Compacted { base, .. } = &entry.event {
                self.unvouched.take_if(|named| named == base);
            }
            self.group.push_back(entry);
            if self.chain.is_whole() {
                let file = self.page.as_ref().filter(|page| page.piece.last.is_none()).map(|page| page.file);
                let chain = self.chain.clone();
                self.end = End { base: self.base, offset: self.offset, lines: self.lines, chain, file };
                return Ok(true);
            }
        }
        self.group.clear();
        Ok(false)
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        while self.turn()? {
            let Some(page) = &mut self.page else { return Ok(None) };
            self.line.clear();
            let read = (&mut page.reader).take(LINE_MAX).read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| failed("reading", &page.piece.path, &error))? as u64;
            if read == 0 {
                self.finish_page()?;
                continue;
            }
            let is_tail = page.piece.last.is_none();
            self.offset += read;
            self.lines += 1;

            let Some(text) = self.line.strip_suffix(b"\n") else {
                let cut_short = is_tail && read < LINE_MAX && is_cut_short(&self.line);
                return if cut_short { Ok(None) } else { Err(self.broken("the line has no end")) };
            };
            let text = std::str::from_utf8(text).map_err(|_| self.broken("the line is not text"))?;
            return match self.chain.follow_line(text) {
                Ok(entry) => Ok(Some(entry)),
                Err(Fault::Newer(schema)) => Err(StoreError::Newer(schema)),
                Err(Fault::Broken(what)) => Err(self.broken(&what)),
            };
        }
        Ok(None)
    }

    /// Opens the next file, unless one is open; false when there is none any more.
    fn turn(&mut self) -> Result<bool, StoreError> {
        if self.page.is_some() {
            return Ok(true);
        }
        let Some(piece) = self.pieces.pop_front() else { return Ok(false) };
        let Some(file) = open_existing(&piece.path)? else {
            // A tail that is not there has no entry yet; a segment was listed and must be.
            return match piece.last {
                None if self.offset == 0 => Ok(false),
                None | Some(_) => Err(StoreError::Broken { place: piece.path.display().to_string(), what: "it is gone".into() }),
            };
        };
        let metadata = file.metadata().map_err(|error| failed("reading", &piece.path, &error))?;
        if metadata.len() < self.offset {
            let what = format!("it has {} bytes and had {}: entries that were there are gone", metadata.len(), self.offset);
            return Err(StoreError::Broken { place: piece.path.display().to_string(), what });
        }
        let mut reader = BufReader::with_capacity(1 << 18, file);
        reader.seek(SeekFrom::Start(self.offset)).map_err(|error| failed("reading", &piece.path, &error))?;
        self.page = Some(Page { reader, piece, file: identity(&metadata) });
        Ok(true)
    }

    /// A segment ends where its name says, with a whole group.
    fn finish_page(&mut self) -> Result<(), StoreError> {
        let Some(page) = self.page.take() else { return Ok(()) };
        let Some(last) = page.piece.last else { return Ok(()) };
        if self.chain.seq != last || !self.chain.is_whole() {
            let what = format!("the segment ends at entry {}, and its name says {last}", self.chain.seq);
            return Err(StoreError::Broken { place: page.piece.path.display().to_string(), what });
        }
        self.closed = Some(self.chain.clone());
        (self.base, self.offset, self.lines) = (last, 0, 0);
        self.end = End::before(self.chain.clone());
        Ok(())
    }

    fn place(&self) -> String {
        let path = self.page.as_ref().map(|page| page.piece.path.display().to_string());
        format!("{}:{}", path.unwrap_or_default(), self.lines)
    }

    fn broken(&self, what: &str) -> StoreError {
        StoreError::Broken { place: self.place(), what: what.into() }
    }
}

impl Iterator for Scan {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.group.is_empty() && !self.is_over {
            match self.read_group() {
                Ok(more) => self.is_over = !more,
                Err(error) => {
                    self.is_over = true;
                    self.group.clear();
                    return Some(Err(error));
                }
            }
        }
        self.group.pop_front().map(Ok)
    }
}

/// A last line without its end is what a crash left of a write when more of it could follow: then nothing of its group was
/// ever confirmed. Anything else in its place was put there. Disks that lose power may fill the rest with zeros.
fn is_cut_short(line: &[u8]) -> bool {
    let written = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match serde_json::from_slice::<IgnoredAny>(&line[..written]) {
        Ok(_) => line.ends_with(b"}"),
        Err(error) => error.is_eof(),
    }
}
