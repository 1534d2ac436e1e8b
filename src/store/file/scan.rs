//! Reading entries: one a line, one group after the other, in closed segments and then in `entries.jsonl`. Knows lines, the chain and
//! what a crash leaves behind.
//!
//! A crash can leave the beginning of the last group and nothing else. A reader ignores it; the next writer cuts it off. Any
//! other line that is not what its hash says, or not the one that follows, means that the journal is broken.

use super::disk::{failed, identity, open_existing};
use super::segments::Piece;
use crate::change::Digest;
use crate::journal::{Chain, Entry, Event, Fault};
use crate::store::StoreError;
use crate::store::group::LINE_MAX;
use serde::de::IgnoredAny;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

/// Where the last whole group ends.
#[derive(Clone, Debug)]
pub(super) struct End {
    /// The last entry before the file it is in.
    pub(super) base: u64,
    pub(super) offset: u64,
    pub(super) lines: u64,
    pub(super) chain: Chain,
    /// Which file that is, unless it was not there yet.
    pub(super) file: Option<(u64, u64)>,
}

impl End {
    /// Before the first line of the file whose first entry follows `chain`.
    pub(super) fn before(chain: Chain) -> Self {
        Self { base: chain.seq, offset: 0, lines: 0, chain, file: None }
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
