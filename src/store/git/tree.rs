//! The names in the tree of a tip. Knows what stands where; not what is in it.

use super::fault::{broken, git_failed};
use super::tip::Tip;
use crate::store::StoreError;
use git2::{ObjectType, Oid, Repository, Tree, TreeEntry};
use std::collections::BTreeMap;

/// Begins the names of the directories of entries, one for a million; one directory less is one object less for every push.
const ENTRIES: &str = "entries-";

/// The names in the tree of a tip.
#[derive(Default)]
pub(super) struct Contents {
    /// The files of entries, by the entry that each begins with.
    pub(super) parts: Vec<(u64, Oid)>,
    /// The history up to an entry, so that reading begins there.
    pub(super) checkpoints: BTreeMap<u64, Oid>,
    /// The same, where the entries were compacted away.
    pub(super) bases: BTreeMap<u64, Oid>,
    pub(super) leases: BTreeMap<u64, Oid>,
    pub(super) epoch: u64,
}

/// Where the file that begins with entry `first` stands in the tree.
pub(super) fn part_path(first: u64) -> String {
    format!("{ENTRIES}{:06}/{first:012}.jsonl", first / 1_000_000)
}

pub(super) fn checkpoint_path(seq: u64) -> String {
    format!("checkpoints/{seq:012}.json")
}

pub(super) fn base_path(seq: u64) -> String {
    format!("bases/{seq:012}.json")
}

impl Contents {
    /// A tip that holds no journal is an error, and no journal without entries.
    pub(super) fn read(place: &str, repository: &Repository, tip: Tip) -> Result<Self, StoreError> {
        let Some(tip) = tip else { return Ok(Self::default()) };
        let failed = |error: git2::Error| git_failed(place, "reading the journal's commit", &error);
        let tip = repository.find_object(tip, None).map_err(failed)?;
        let kind = tip.kind().map_or("something else", |kind| kind.str());
        let commit =
            tip.into_commit().map_err(|_| broken(place, format!("the ref names a {kind}, and no commit of a journal")))?;
        let tree = commit.tree().map_err(failed)?;
        let open = |dir: &TreeEntry<'_>| match dir.kind() {
            Some(ObjectType::Tree) => repository.find_tree(dir.id()).map_err(failed),
            _ => Err(broken(place, format!("{} is no directory", String::from_utf8_lossy(dir.name_bytes())))), // git's kinds, not ours
        };
        let mut contents = Self::default();
        for dir in tree.iter().filter(|dir| dir.name().is_ok_and(|name| name.starts_with(ENTRIES))) {
            contents.parts.extend(numbered(place, &open(&dir)?, ".jsonl", "the entries")?);
        }
        if contents.parts.is_empty() {
            may_lack_entries(place, &tree)?;
        }
        let below = |name: &str, suffix: &str| -> Result<BTreeMap<u64, Oid>, StoreError> {
            let Some(dir) = tree.get_name(name) else { return Ok(BTreeMap::new()) };
            Ok(numbered(place, &open(&dir)?, suffix, &format!("the {name}"))?.into_iter().collect())
        };
        contents.checkpoints = below("checkpoints", ".json")?;
        contents.bases = below("bases", ".json")?;
        contents.leases = below("leases", ".json")?;
        if let Some(epoch) = tree.get_name("epoch") {
            if epoch.kind() != Some(ObjectType::Blob) {
                return Err(broken(place, "its epoch is no file"));
            }
            let blob = repository.find_blob(epoch.id()).map_err(failed)?;
            let number = std::str::from_utf8(blob.content()).ok().and_then(|text| text.trim().parse().ok());
            contents.epoch = number.ok_or_else(|| broken(place, "its epoch must hold the number of the last lease"))?;
        }
        Ok(contents)
    }

    /// The first entry that is there.
    pub(super) fn first(&self) -> u64 {
        self.parts.first().map_or(1, |(first, _)| *first)
    }

    /// The files with the entries after `seq`.
    pub(super) fn after(&self, seq: u64) -> &[(u64, Oid)] {
        &self.parts[self.parts.partition_point(|(first, _)| *first <= seq)..]
    }

    /// A file begins, or would begin, with the entry after `seq`.
    pub(super) fn breaks_at(&self, seq: u64) -> bool {
        self.after(seq).first().is_none_or(|(first, _)| *first == seq + 1)
    }
}

/// Before the first entry there are leases, or were, and nothing else: whoever makes another tree makes no journal.
fn may_lack_entries(place: &str, tree: &Tree<'_>) -> Result<(), StoreError> {
    if let Some(other) = tree.iter().find(|file| !["epoch", "leases"].map(str::as_bytes).contains(&file.name_bytes())) {
        let name = String::from_utf8_lossy(other.name_bytes()).into_owned();
        return Err(broken(place, format!("there are no entries at the ref, and there is {name:?}: that is no journal")));
    }
    match tree.get_name("epoch") {
        Some(_) => Ok(()),
        None => Err(broken(place, "there are no entries at the ref, and there never was a lease: that is no journal")),
    }
}

fn numbered(place: &str, dir: &Tree<'_>, suffix: &str, among: &str) -> Result<Vec<(u64, Oid)>, StoreError> {
    let number = |name: &str| name.strip_suffix(suffix)?.parse().ok();
    dir.iter()
        .map(|file| {
            let seq = file.name().ok().and_then(number);
            let seq = seq.ok_or_else(|| broken(place, format!("a file among {among} is none of ours")))?;
            match file.kind() {
                Some(ObjectType::Blob) => Ok((seq, file.id())),
                _ => Err(broken(place, format!("{} among {among} is no file", String::from_utf8_lossy(file.name_bytes())))),
            }
        })
        .collect()
}
