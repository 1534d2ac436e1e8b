//! `entries.jsonl`: one entry a line, one group after the other. Knows lines, the chain and what a crash leaves behind.
//!
//! A crash can leave the beginning of the last group and nothing else. A reader ignores it; the next writer cuts it off. Any
//! other line that is not what its hash says, or not the one that follows, means that the journal is broken.

use super::disk::{Pen, failed, open_existing, open_private, sync_dir};
use crate::journal::{Chain, Entry, Fault};
use crate::store::StoreError;
use serde::de::IgnoredAny;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes a line may have; the plan of a rollout over 10,000 targets has about two million.
const LINE_MAX: u64 = 64 << 20;

/// Where the last whole group ends.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) offset: u64,
    lines: u64,
    pub(super) chain: Chain,
}

/// The file, and what this process has verified of it.
#[derive(Debug)]
pub(super) struct Entries {
    path: PathBuf,
    pen: Pen,
    verified: End,
}

impl End {
    pub(super) fn start() -> Self {
        Self { offset: 0, lines: 0, chain: Chain::empty() }
    }
}

impl Entries {
    pub(super) fn new(path: PathBuf, pen: Pen) -> Self {
        Self { path, pen, verified: End::start() }
    }

    pub(super) fn verified(&self) -> &End {
        &self.verified
    }

    /// Somebody read on, beyond what we knew.
    pub(super) fn has_verified(&mut self, end: End) {
        if end.offset > self.verified.offset {
            self.verified = end;
        }
    }

    /// Opens the file for [`Entries::append`], verifies what others appended since we last looked, and cuts off what a crash
    /// left of a group. Only under the journal's lock.
    pub(super) fn open(&mut self) -> Result<File, StoreError> {
        let file = open_private(&self.path).map_err(|error| failed("opening", &self.path, &error))?;
        if self.verified.offset == 0 {
            // Its name may be new.
            sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        let again = file.try_clone().map_err(|error| failed("opening", &self.path, &error))?;
        let mut scan = Scan::from(again, &self.path, self.verified.clone())?;
        scan.by_ref().try_for_each(|entry| entry.map(drop))?;
        self.verified = scan.end();
        let length = length(&file, &self.path)?;
        if length > self.verified.offset {
            self.cut(&file).map_err(|error| failed("cutting an unfinished group off", &self.path, &error))?;
        }
        Ok(file)
    }

    /// Appends sealed groups, whose last entry makes `chain`, with one write, durably. When it fails, nothing of them is there.
    pub(super) fn append(&mut self, file: &File, groups: &[Vec<Entry>], chain: Chain) -> Result<(), StoreError> {
        let mut text = String::new();
        for entry in groups.iter().flatten() {
            text.push_str(&entry.line());
            text.push('\n');
        }

        let written = (self.pen.write)(file, text.as_bytes(), self.verified.offset).and_then(|()| (self.pen.sync)(file));
        if let Err(error) = written {
            let StoreError::Io { what, hint } = failed("appending to", &self.path, &error) else {
                unreachable!("a failed call is an I/O error");
            };
            let what = match self.cut(file) {
                Ok(()) => format!("{what}; nothing was journalled"),
                Err(_) => format!("{what}; it is not sure whether it was journalled"),
            };
            return Err(StoreError::Io { what, hint });
        }

        let (offset, lines) =
            (self.verified.offset + text.len() as u64, self.verified.lines + groups.iter().map(Vec::len).sum::<usize>() as u64);
        self.verified = End { offset, lines, chain };
        Ok(())
    }

    fn cut(&self, file: &File) -> std::io::Result<()> {
        (self.pen.truncate)(file, self.verified.offset)?;
        (self.pen.sync)(file)
    }
}

/// Reads and verifies entries, whole groups only; ends with the first fault.
pub(super) struct Scan {
    reader: BufReader<File>,
    path: PathBuf,
    end: End,
    chain: Chain,
    offset: u64,
    lines: u64,
    line: Vec<u8>,
    /// Entries whose group is not whole yet, then those to hand on.
    group: VecDeque<Entry>,
    is_over: bool,
}

impl Scan {
    /// Begins at the first entry. A journal that is not there is an empty one.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, StoreError> {
        open_existing(path)?.map(|file| Self::from(file, path, End::start())).transpose()
    }

    fn from(file: File, path: &Path, from: End) -> Result<Self, StoreError> {
        let length = length(&file, path)?;
        if length < from.offset {
            let what = format!("it has {length} bytes and had {}: entries that were there are gone", from.offset);
            return Err(StoreError::Broken { place: path.display().to_string(), what });
        }
        let mut reader = BufReader::with_capacity(1 << 18, file);
        reader.seek(SeekFrom::Start(from.offset)).map_err(|error| failed("reading", path, &error))?;
        let (chain, offset, lines) = (from.chain.clone(), from.offset, from.lines);
        let (path, line, group) = (path.to_path_buf(), Vec::new(), VecDeque::new());
        Ok(Self { reader, path, end: from, chain, offset, lines, line, group, is_over: false })
    }

    /// Where the last whole group that was read ends.
    pub(super) fn end(self) -> End {
        self.end
    }

    /// Reads one whole group; false when there is none any more.
    fn read_group(&mut self) -> Result<bool, StoreError> {
        while let Some(entry) = self.read_entry()? {
            self.group.push_back(entry);
            if self.chain.is_whole() {
                self.end = End { offset: self.offset, lines: self.lines, chain: self.chain.clone() };
                return Ok(true);
            }
        }
        self.group.clear();
        Ok(false)
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, StoreError> {
        self.line.clear();
        let read = (&mut self.reader).take(LINE_MAX).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| failed("reading", &self.path, &error))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.offset += read;
        self.lines += 1;

        let Some(text) = self.line.strip_suffix(b"\n") else {
            let cut_short = read < LINE_MAX && is_cut_short(&self.line);
            return if cut_short { Ok(None) } else { Err(self.broken("the line has no end")) };
        };
        let text = std::str::from_utf8(text).map_err(|_| self.broken("the line is not text"))?;
        match self.chain.follow_line(text) {
            Ok(entry) => Ok(Some(entry)),
            Err(Fault::Newer(schema)) => Err(StoreError::Newer(schema)),
            Err(Fault::Broken(what)) => Err(self.broken(&what)),
        }
    }

    fn broken(&self, what: &str) -> StoreError {
        StoreError::Broken { place: format!("{}:{}", self.path.display(), self.lines), what: what.into() }
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

fn length(file: &File, path: &Path) -> Result<u64, StoreError> {
    file.metadata().map(|metadata| metadata.len()).map_err(|error| failed("reading", path, &error))
}
