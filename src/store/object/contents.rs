//! `contents.json`: how things stood at the last page that is bound, and where what is before it is to be found. Knows how it is written;
//! not whether it is true. Without it everything is found from the pages.

use super::page::{SCHEMA, SCHEMA_WHOLE};
use crate::change::Digest;
use crate::journal::Chain;
use crate::store::leases::LeaseFile;
use serde::{Deserialize, Serialize};

/// How things stood at the last page that is bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Contents {
    schema: u32,
    /// That page; 0 for none.
    pub(super) page: u64,
    /// Digest of its text.
    pub(super) last: Digest,
    /// Of the last entry bound.
    pub(super) seq: u64,
    pub(super) hash: Digest,
    /// Of the last lease, held or not.
    pub(super) epoch: u64,
    /// Held then.
    pub(super) leases: Vec<LeaseFile>,
    /// What stands for the entries before the first volume, when they were compacted away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<Named>,
    /// Where a reader may begin, oldest first; each at the end of a volume.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) checkpoints: Vec<Named>,
    pub(super) volumes: Vec<Volume>,
}

/// Entries of many pages in one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Volume {
    /// From the journal's prefix.
    pub(super) name: String,
    /// Its first entry.
    pub(super) first: u64,
    pub(super) bytes: usize,
}

/// An object that stands at an entry: a checkpoint or a base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// From the journal's prefix.
    pub(super) name: String,
    pub(super) seq: u64,
}

impl Contents {
    /// Before the first page.
    pub(super) fn empty() -> Self {
        let chain = Chain::empty();
        Self::at(0, Digest::of("pages", &["none"]), &chain, 0, Vec::new())
    }

    /// How things stand at a page, with nothing bound yet.
    pub(super) fn at(page: u64, last: Digest, chain: &Chain, epoch: u64, leases: Vec<LeaseFile>) -> Self {
        let (seq, hash) = (chain.seq, chain.head.clone());
        let (base, checkpoints, volumes) = (None, Vec::new(), Vec::new());
        Self { schema: SCHEMA_WHOLE, page, last, seq, hash, epoch, leases, base, checkpoints, volumes }
    }

    /// The same, with what is before it. Only where entries are gone does an older version have to keep away.
    pub(super) fn with(self, base: Option<Named>, checkpoints: Vec<Named>, volumes: Vec<Volume>) -> Self {
        let schema = if base.is_some() { SCHEMA } else { SCHEMA_WHOLE };
        Self { schema, base, checkpoints, volumes, ..self }
    }

    /// The last entry that is gone.
    pub(super) fn through(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.seq)
    }

    /// The volumes with the entries after `seq`; `None` where none of them begins with the next one.
    pub(super) fn after(&self, seq: u64) -> Option<&[Volume]> {
        let after = &self.volumes[self.volumes.partition_point(|volume| volume.first <= seq)..];
        let next = after.first().map_or(self.seq + 1, |volume| volume.first);
        (next == seq + 1).then_some(after)
    }
}
