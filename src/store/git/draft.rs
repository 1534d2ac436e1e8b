//! A commit on top of the tip: entries appended, leases put and taken away. Knows how files of entries grow; not how a commit is
//! pushed.
//!
//! Files of entries grow as a binary counter does: a group is a small file, and files of about one size become one file. So an append
//! writes little (each byte is written again as often as its file doubles, a dozen times), a tree stays small, and a reader who has
//! seen the journal before fetches little. A file of [`PART_MAX`] bytes is never written again.

use super::fault::git_failed;
use super::known::{Known, Part};
use crate::journal::{Chain, Entry};
use crate::store::StoreError;
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, Signature, Time};

/// Bytes that a file of entries may grow to; a larger one is a single group.
const PART_MAX: usize = 4 << 20;

/// What is to be different.
pub(super) struct Change {
    pub(super) entries: Vec<Entry>,
    /// The chain with them.
    pub(super) chain: Chain,
    /// A new lease: its number, and what it says.
    pub(super) lease: Option<(u64, Vec<u8>)>,
    pub(super) ended: Vec<u64>,
    /// For those who look at the ref with git.
    pub(super) message: String,
    /// `None`: the time of the tip, where nobody told another.
    pub(super) at_ms: Option<u64>,
}

/// A commit that is written and that nobody sees yet.
pub(super) struct Draft {
    pub(super) commit: Oid,
    parts: Vec<Part>,
    lease: Option<(u64, Oid)>,
    change: Change,
}

impl Change {
    /// Nothing yet.
    pub(super) fn on(known: &Known, message: String) -> Self {
        Self { entries: Vec::new(), chain: known.chain.clone(), lease: None, ended: Vec::new(), message, at_ms: None }
    }
}

impl Draft {
    /// Writes the objects of `change` on top of what is known.
    pub(super) fn write(place: &str, repository: &Repository, known: &Known, change: Change) -> Result<Self, StoreError> {
        write(repository, known, change).map_err(|error| match git_failed(place, "writing to the journal", &error) {
            // Nothing was read that could be broken but by a disk that fails.
            StoreError::Broken { what, .. } => StoreError::Io { what, hint: None },
            other @ (StoreError::Io { .. } | StoreError::Held { .. } | StoreError::Fenced(_) | StoreError::Newer(_)) => other,
        })
    }

    /// It is the tip now.
    pub(super) fn adopt(self, known: &mut Known) {
        let Change { entries, chain, ended, .. } = self.change;
        known.adopt(self.commit, self.parts, chain, &entries);
        known.leases.retain(|epoch, _| !ended.contains(epoch));
        if let Some((epoch, blob)) = self.lease {
            known.leases.insert(epoch, blob);
            known.epoch = epoch;
        }
    }
}

fn write(repository: &Repository, known: &Known, change: Change) -> Result<Draft, git2::Error> {
    let parent = known.tip().map(|tip| repository.find_commit(tip)).transpose()?;
    let mut update = TreeUpdateBuilder::new();
    let parts = append(repository, known, &change.entries, &mut update)?;
    for epoch in &change.ended {
        update.remove(lease_path(*epoch).as_str());
    }
    let lease = match &change.lease {
        Some((epoch, text)) => Some((*epoch, repository.blob(text)?)),
        None => None,
    };
    if let Some((epoch, blob)) = lease {
        update.upsert(lease_path(epoch).as_str(), blob, FileMode::Blob);
        update.upsert("epoch", repository.blob(format!("{epoch}\n").as_bytes())?, FileMode::Blob);
    }
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let tree = repository.find_tree(update.create_updated(repository, &base)?)?;

    let told = change.at_ms.map(|at_ms| i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX));
    let at = told.or(parent.as_ref().map(|parent| parent.time().seconds())).unwrap_or_default();
    let who = Signature::new("isobar", "isobar@localhost", &Time::new(at, 0))?;
    let commit = repository.commit(None, &who, &who, &change.message, &tree, &parent.iter().collect::<Vec<_>>())?;
    Ok(Draft { commit, parts, lease, change })
}

fn lease_path(epoch: u64) -> String {
    format!("leases/{epoch}.json")
}

/// Writes the file that `entries` end up in, and returns what files there are then.
fn append(
    repository: &Repository,
    known: &Known,
    entries: &[Entry],
    update: &mut TreeUpdateBuilder,
) -> Result<Vec<Part>, git2::Error> {
    let mut parts = known.parts.clone();
    let Some(first) = entries.first() else { return Ok(parts) };
    let mut text: Vec<u8> = entries.iter().flat_map(|entry| [entry.line(), "\n".into()].concat().into_bytes()).collect();
    let (mut first, mut before) = (first.seq, known.chain.clone());
    while let Some(last) = parts.pop_if(|last| last.size <= text.len() && last.size + text.len() <= PART_MAX) {
        if first != entries[0].seq {
            update.remove(Part::path(first).as_str());
        }
        text.splice(0..0, repository.find_blob(last.blob)?.content().iter().copied());
        (first, before) = (last.first, last.before().clone());
    }
    let blob = repository.blob(&text)?;
    update.upsert(Part::path(first).as_str(), blob, FileMode::Blob);
    parts.push(Part::new(first, blob, text.len(), before));
    Ok(parts)
}
