//! A commit on top of the tip: entries appended, leases put and taken away. Knows how files of entries grow; not how a commit is
//! pushed.
//!
//! Files of entries grow as a counter does: a group is a small file, and [`ALIKE`] files of about one size become one. So an append
//! writes little (each byte is written again as often as its file grows by so much, half a dozen times), a tree stays small, and a reader
//! who has seen the journal before fetches little. A file of [`PART_MAX`] bytes is never written again.

use super::fault::git_failed;
use super::known::Known;
use super::lines::Part;
use super::tree::{base_path, checkpoint_path, part_path};
use crate::journal::{Chain, Checkpoint, Entry, Event};
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use crate::store::wish::Stroke;
use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, Signature, Time};

/// Bytes that a file of entries may grow to; a larger one is a single group.
const PART_MAX: usize = 4 << 20;

/// Files of about one size that become one; about the same is less than so many times as large.
const ALIKE: usize = 4;

/// The same for the file at whose end a checkpoint stands: whoever begins there need not fetch what is before it, and a server leaves
/// only large files out.
const SHUT_MAX: usize = 32 << 20;

/// What is to be different.
pub(super) struct Change {
    pub(super) entries: Vec<Entry>,
    /// The chain with them.
    pub(super) chain: Chain,
    pub(super) leases: Vec<LeaseFile>,
    pub(super) ended: Vec<u64>,
    /// The text of the checkpoint that stands at the last of the entries.
    pub(super) checkpoint: Option<String>,
    /// What stands for the files that are to go.
    pub(super) base: Option<Base>,
    /// For those who look at the ref with git.
    pub(super) message: String,
    /// `None`: the time of the tip, where nobody told another.
    pub(super) at_ms: Option<u64>,
}

/// Files of entries that go, and the text of what stands for them.
pub(super) struct Base {
    pub(super) seq: u64,
    pub(super) text: String,
    pub(super) files: Vec<u64>,
    /// Earlier bases.
    pub(super) bases: Vec<u64>,
}

/// A commit that is written and that nobody sees yet.
pub(super) struct Draft {
    pub(super) commit: Oid,
    parts: Vec<Part>,
    leases: Vec<(u64, Oid)>,
    change: Change,
}

impl Change {
    /// Nothing yet.
    pub(super) fn on(known: &Known, message: String) -> Self {
        Self::of(Stroke::on(&known.chain), message)
    }

    pub(super) fn of(stroke: Stroke, message: String) -> Self {
        let Stroke { entries, chain, leases, ended } = stroke;
        Self { entries, chain, leases, ended, checkpoint: None, base: None, message, at_ms: None }
    }

    /// Has a checkpoint made at the end of the entries: when many bytes came since the last, when that is of no use to us, or when a
    /// key begins, which can use none of the key before it.
    pub(super) fn with_checkpoint(mut self, known: &Known, segment_bytes: usize) -> Self {
        let tail = known.parts.iter().filter(|part| part.first > known.shut()).map(|part| part.size).sum::<usize>();
        let grown = self.entries.iter().map(|entry| entry.line().len()).sum::<usize>();
        let begins = self.entries.iter().any(|entry| matches!(entry.event, Event::KeyBegan { .. }));
        let is_due = tail + grown >= segment_bytes || known.is_late || begins;
        if is_due && self.chain.lacks_seal().is_none() {
            let history = known.followed.history().and(self.entries.iter().cloned());
            self.checkpoint = Some(Checkpoint::of(&self.chain, history).text(known.sealer()));
        }
        self
    }
}

impl Draft {
    /// Writes the objects of `change` on top of what is known.
    pub(super) fn write(place: &str, repository: &Repository, known: &Known, change: Change) -> Result<Self, StoreError> {
        write(repository, known, change).map_err(|error| unwritten(git_failed(place, "writing to the journal", &error)))
    }

    /// It is the tip now.
    pub(super) fn adopt(self, known: &mut Known) {
        let Change { entries, chain, ended, checkpoint, base, .. } = self.change;
        if checkpoint.is_some() {
            (known.checkpoints, known.is_late) = ([chain.seq].into(), false);
        }
        known.adopt(self.commit, self.parts, chain, &entries);
        if let Some(base) = base {
            known.let_go(&base.files, base.seq);
        }
        known.leases.retain(|epoch, _| !ended.contains(epoch));
        for (epoch, blob) in self.leases {
            known.leases.insert(epoch, blob);
            known.epoch = epoch;
        }
    }
}

/// Nothing was read that could be broken but by a disk that fails, or by somebody who cleared the cache up.
fn unwritten(error: StoreError) -> StoreError {
    match error {
        StoreError::Broken { place, what } => {
            let hint = "nothing was journalled; see whether the disk is sound, and the repository on it (git fsck), then run the same \
                command again; what lies in .git/isobar is a cache, and may be deleted while no isobar works there";
            StoreError::Io { what: format!("{what}, at {place}"), hint: Some(hint.into()) }
        }
        other @ (StoreError::Io { .. } | StoreError::Held { .. } | StoreError::Fenced(_) | StoreError::Newer(_)) => other,
    }
}

fn write(repository: &Repository, known: &Known, change: Change) -> Result<Draft, git2::Error> {
    let parent = known.tip().map(|tip| repository.find_commit(tip)).transpose()?;
    let mut update = TreeUpdateBuilder::new();
    let mut parts = append(repository, known, &change, &mut update)?;
    if let Some(text) = &change.checkpoint {
        for seq in &known.checkpoints {
            update.remove(checkpoint_path(*seq).as_str());
        }
        update.upsert(checkpoint_path(change.chain.seq).as_str(), repository.blob(text.as_bytes())?, FileMode::Blob);
    }
    if let Some(base) = &change.base {
        for first in &base.files {
            update.remove(part_path(*first).as_str());
        }
        for seq in &base.bases {
            update.remove(base_path(*seq).as_str());
        }
        for seq in known.checkpoints.range(..=base.seq) {
            update.remove(checkpoint_path(*seq).as_str()); // what stands for the files does as well
        }
        update.upsert(base_path(base.seq).as_str(), repository.blob(base.text.as_bytes())?, FileMode::Blob);
        parts.retain(|part| !base.files.contains(&part.first));
    }
    for epoch in &change.ended {
        update.remove(lease_path(*epoch).as_str());
    }
    let mut leases = Vec::new();
    for lease in &change.leases {
        let blob = repository.blob(&lease.text())?;
        update.upsert(lease_path(lease.epoch).as_str(), blob, FileMode::Blob);
        leases.push((lease.epoch, blob));
    }
    if let Some((epoch, _)) = leases.last() {
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
    Ok(Draft { commit, parts, leases, change })
}

fn lease_path(epoch: u64) -> String {
    format!("leases/{epoch}.json")
}

/// Writes the file that `entries` end up in, and returns what files there are then.
fn append(
    repository: &Repository,
    known: &Known,
    change: &Change,
    update: &mut TreeUpdateBuilder,
) -> Result<Vec<Part>, git2::Error> {
    let mut parts = known.parts.clone();
    let entries = &change.entries;
    let Some(first) = entries.first() else { return Ok(parts) };
    let mut text: Vec<u8> = entries.iter().flat_map(|entry| [entry.line(), "\n".into()].concat().into_bytes()).collect();
    let (mut first, mut before) = (first.seq, known.chain.clone());
    let (shut, is_shut_now) = (known.shut(), change.checkpoint.is_some());
    let goes = |part: &Part| change.base.as_ref().is_some_and(|base| base.files.contains(&part.first));
    let open: Vec<usize> = parts.iter().rev().take_while(|last| last.first > shut && !goes(last)).map(|part| part.size).collect();
    for last in parts.split_off(parts.len() - become_one(&open, text.len(), is_shut_now)).into_iter().rev() {
        if first != entries[0].seq {
            update.remove(part_path(first).as_str());
        }
        last.put_before(&mut text, repository)?;
        (first, before) = (last.first, last.before);
    }
    let blob = repository.blob(&text)?;
    update.upsert(part_path(first).as_str(), blob, FileMode::Blob);
    parts.push(Part::new(first, blob, text.into(), before));
    Ok(parts)
}

/// How many of the last files, whose sizes these are, the newest first, become one file with what is appended.
fn become_one(sizes: &[usize], appended: usize, is_shut_now: bool) -> usize {
    let (mut taken, mut whole) = (0, appended);
    let most = if is_shut_now { SHUT_MAX } else { PART_MAX };
    loop {
        let is_alike = |size: &&usize| is_shut_now || size.max(&&1).ilog(ALIKE) <= whole.max(1).ilog(ALIKE);
        let (mut alike, mut sum) = (0, whole);
        for size in sizes[taken..].iter().take_while(is_alike) {
            if sum + size > most {
                break;
            }
            (alike, sum) = (alike + 1, sum + size);
        }
        if alike == 0 || !is_shut_now && alike + 1 < ALIKE {
            return taken;
        }
        (taken, whole) = (taken + alike, sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_files_of_about_one_size_become_one_and_so_on() {
        assert_eq!(become_one(&[], 300, false), 0);
        assert_eq!(become_one(&[300, 300], 300, false), 0, "there are three");
        assert_eq!(become_one(&[300, 300, 300], 300, false), 3);
        assert_eq!(become_one(&[300, 300, 300, 1_200, 1_200, 1_200, 4_800], 300, false), 6, "and these make the next four");
        assert_eq!(become_one(&[300, 300, 9_000], 4_000, false), 0, "few that are smaller may stand between");
        assert_eq!(become_one(&[300, 300, 4_000, 300, 300, 90_000], 4_000, false), 5, "not many");
        assert_eq!(become_one(&[300, PART_MAX], 300, false), 0);
        assert_eq!(become_one(&[PART_MAX / 2, PART_MAX / 2, PART_MAX / 2], PART_MAX / 2, false), 0, "none grows beyond");
        assert_eq!(become_one(&[300, PART_MAX, SHUT_MAX], 300, true), 2, "what a checkpoint shuts is one file");
    }

    #[test]
    fn what_could_not_be_written_is_no_broken_journal_and_has_a_next_step() {
        let error = git2::Error::new(git2::ErrorCode::NotFound, git2::ErrorClass::Odb, "object not found");
        let said = unwritten(git_failed("here", "writing to the journal", &error));
        let StoreError::Io { what, hint: Some(hint) } = said else { panic!("{said:?}") };
        assert_eq!(what, "writing to the journal: object not found, at here");
        assert!(hint.contains("git fsck") && hint.contains(".git/isobar"), "{hint}");
    }
}
