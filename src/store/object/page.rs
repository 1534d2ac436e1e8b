//! The text of a page: a line about itself, then its entries; or the word that its entries were compacted away, for its name stays used.
//! Knows how it is written and read; not whether it follows.

use super::contents::Named;
use super::fault::broken;
use crate::change::Digest;
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use crate::store::wish::Stroke;
use serde::{Deserialize, Serialize};

/// The newest of pages, contents and bases that this version reads; entries have their own.
pub(super) const SCHEMA: u32 = 3;
/// Of what says nothing of compacted entries, nor takes several leases at once: the first versions read it as well.
pub(super) const SCHEMA_WHOLE: u32 = 1;

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
    lease: Option<LeaseFile>,
    /// And more of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    more: Vec<LeaseFile>,
    /// Epochs of leases that are over with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) ended: Vec<u64>,
}

/// What stands in the place of a page whose entries were compacted away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LetGo {
    schema: u32,
    pub(super) page: u64,
    /// The last page that was compacted then.
    pub(super) compacted: u64,
    /// On the first page: what stands for all that were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<Named>,
    /// On the first page: up to here nothing of the entries is left.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) swept: u64,
}

fn is_none(page: &u64) -> bool {
    *page == 0
}

impl Head {
    /// Leases that are taken with this page.
    pub(super) fn leases(&mut self) -> impl Iterator<Item = LeaseFile> {
        self.lease.take().into_iter().chain(std::mem::take(&mut self.more))
    }
}

impl LetGo {
    /// Any page but the first.
    pub(super) fn of(page: u64, compacted: u64) -> Self {
        Self { schema: SCHEMA, page, compacted, base: None, swept: 0 }
    }

    /// The first page: whoever has no contents begins at `base`, after page `compacted`.
    pub(super) fn first(base: Named, compacted: u64, swept: u64) -> Self {
        Self { base: Some(base), swept, ..Self::of(1, compacted) }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("it holds only strings and numbers") + "\n"
    }
}

/// The text of the page with this number, after the page whose text has the digest `after`.
pub(super) fn text(stroke: Stroke, page: u64, after: &Digest) -> String {
    let Stroke { entries, leases, ended, .. } = stroke;
    let mut leases = leases.into_iter();
    let (lease, more) = (leases.next(), leases.collect::<Vec<_>>());
    let schema = if more.is_empty() { SCHEMA_WHOLE } else { SCHEMA };
    let head = Head { schema, page, after: after.clone(), lease, more, ended };
    let mut text = serde_json::to_string(&head).expect("it holds only strings and numbers") + "\n";
    for entry in &entries {
        text += &entry.line();
        text.push('\n');
    }
    text
}

/// Takes a page apart: what it says of itself, and the lines of its entries; `None` for one whose entries were compacted away.
pub(super) fn read<'a>(place: &str, text: &'a str) -> Result<Option<(Head, &'a str)>, StoreError> {
    let (first, lines) = text.split_once('\n').ok_or_else(|| broken(place, "the page has no end"))?;
    if let_go(place, text)?.is_some() {
        return Ok(None);
    }
    let head = parse(place, first)?;
    if !lines.is_empty() && !lines.ends_with('\n') {
        return Err(broken(place, "the last line has no end"));
    }
    Ok(Some((head, lines)))
}

/// What the page says if its entries were compacted away; `None` for any other.
pub(super) fn let_go(place: &str, text: &str) -> Result<Option<LetGo>, StoreError> {
    #[derive(Deserialize)]
    struct Compacted {
        #[serde(rename = "compacted")]
        _through: u64,
    }
    let first = text.lines().next().unwrap_or_default();
    match serde_json::from_str::<Compacted>(first) {
        Ok(_) => parse(place, text.trim_end()).map(Some),
        Err(_) => Ok(None),
    }
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
