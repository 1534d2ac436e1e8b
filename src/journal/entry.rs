//! An entry: one event in its place, as one line of JSON whose last member is its hash. Knows a line; not the one before it.
//!
//! The hash is the SHA-256 of the line without that member. `sed 's/,"hash":"[0-9a-f]*"}$/}/'` and `sha256sum` are all that is needed
//! to check a line by hand. With `ISOBAR_KEY` an entry carries a seal too, right before its hash. The members stand in the order in
//! which the types declare them; to change that order, or anything but to add an optional member, is a new [`SCHEMA`].

use super::event::Event;
use super::seal::{Sealer, closed};
use crate::change::Digest;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of the entries we write; a reader refuses a newer one.
pub const SCHEMA: u32 = 1;

/// One event in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub schema: u32,
    /// From 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970, of the writer's clock; evidence, never order.
    pub at_ms: u64,
    /// The run that wrote it.
    pub run: Arc<str>,
    /// Hash of the entry before; that of the empty chain for the first.
    pub prev: Digest,
    /// How many entries of its group follow; nothing of a group counts before its last entry is there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    #[serde(flatten)]
    pub event: Event,
    /// Over all of the above, with a key made of `ISOBAR_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Digest>,
    /// Over all of the above. It stands last in the line.
    pub hash: Digest,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A newer Isobar wrote it, in this schema.
    Newer(u32),
    /// It is not what was written, and how we know.
    Broken(String),
}

impl Entry {
    /// Returns its line, without the line's end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("an entry holds only strings, numbers, lists and structs")
    }

    /// Reads a line and proves that it is what its hash says.
    pub fn read(line: &str) -> Result<Self, Fault> {
        let entry: Self = serde_json::from_str(line).map_err(|error| unreadable(line, &error))?;
        if entry.schema > SCHEMA {
            return Err(Fault::Newer(entry.schema));
        }
        let is_closed = closed(line).is_some_and(|closed| closed.seal == entry.seal.as_ref().map(Digest::as_str));
        if !is_closed {
            return Err(Fault::Broken(format!("entry {} is not what its hash says", entry.seq)));
        }
        Ok(entry)
    }

    /// Reads the last of whole lines; `None` where that is no entry.
    pub fn last(lines: &[u8]) -> Option<Self> {
        let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
        let line = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        Self::read(std::str::from_utf8(line).ok()?).ok()
    }

    /// Puts the seal, if there is a key, and the hash in.
    pub(super) fn close(&mut self, sealer: Option<&Sealer>) {
        self.seal = sealer.map(|sealer| sealer.seal(&self.without_hash()));
        self.hash = Digest::of_bytes(self.without_hash().as_bytes());
    }

    fn without_hash(&self) -> String {
        let mut line = self.line();
        line.truncate(line.len() - HASH_MEMBER);
        line.push('}');
        line
    }
}

/// Bytes of `,"hash":"…"}`.
const HASH_MEMBER: usize = r#","hash":""}"#.len() + 64;

/// A newer schema may look like anything, as long as it says that it is one.
fn unreadable(line: &str, error: &serde_json::Error) -> Fault {
    #[derive(Deserialize)]
    struct Versioned {
        schema: u32,
    }
    match serde_json::from_str(line) {
        Ok(Versioned { schema }) if schema > SCHEMA => Fault::Newer(schema),
        Ok(_) | Err(_) => Fault::Broken(match error.is_eof() {
            true => "not an entry: it ends too early".into(),
            false => format!("not an entry: nobody could read on from its column {}", error.column()),
        }),
    }
}

fn is_zero(more: &u32) -> bool {
    *more == 0
}
