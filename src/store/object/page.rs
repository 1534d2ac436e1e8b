//! The text of a page: a line about itself, then its entries. Knows how it is written and read; not whether it follows.

use super::fault::broken;
use crate::change::Digest;
use crate::journal::{Chain, Entry};
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use serde::{Deserialize, Serialize};

/// Of pages and contents; entries have their own.
pub(super) const SCHEMA: u32 = 1;

/// What is to be written.
pub(super) struct Change {
    pub(super) entries: Vec<Entry>,
    /// The chain with them.
    pub(super) chain: Chain,
    pub(super) lease: Option<LeaseFile>,
    pub(super) ended: Vec<u64>,
}

/// The first line of a page.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    schema: u32,
    /// From 1.
    pub(super) page: u64,
    /// Digest of the text of the page before.
    pub(super) after: Digest,
    /// Taken with this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<LeaseFile>,
    /// Epochs of leases that are over with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ended: Vec<u64>,
}

impl Change {
    /// Nothing yet.
    pub(super) fn on(chain: &Chain) -> Self {
        Self { entries: Vec::new(), chain: chain.clone(), lease: None, ended: Vec::new() }
    }

    /// The text of the page with this number, after the page whose text has the digest `after`.
    pub(super) fn text(self, page: u64, after: &Digest) -> String {
        let head = Head { schema: SCHEMA, page, after: after.clone(), lease: self.lease, ended: self.ended };
        let mut text = serde_json::to_string(&head).expect("it holds only strings and numbers") + "\n";
        for entry in &self.entries {
            text += &entry.line();
            text.push('\n');
        }
        text
    }
}

/// Takes a page apart: what it says of itself, and the lines of its entries.
pub(super) fn read<'a>(place: &str, text: &'a str) -> Result<(Head, &'a str), StoreError> {
    let (first, lines) = text.split_once('\n').ok_or_else(|| broken(place, "the page has no end"))?;
    let head = parse(place, first)?;
    if !lines.is_empty() && !lines.ends_with('\n') {
        return Err(broken(place, "the last line has no end"));
    }
    Ok((head, lines))
}

/// Reads what carries a schema. A newer one may look like anything, as long as it says that it is one.
pub(super) fn parse<'a, T: Deserialize<'a>>(place: &str, text: &'a str) -> Result<T, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        schema: u32,
    }
    match serde_json::from_str(text) {
        Ok(Versioned { schema }) if schema > SCHEMA => Err(StoreError::Newer(schema)),
        Ok(Versioned { .. }) | Err(_) => serde_json::from_str(text).map_err(|error| broken(place, error.to_string())),
    }
}

/// Where page `number` stands, from the journal's prefix.
pub(super) fn name(number: u64) -> String {
    format!("pages/{number:012}.jsonl")
}
