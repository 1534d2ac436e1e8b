//! The sets of previews that were shown: one ref each beside the journal, with a commit of its own that has no history, so that one
//! can be deleted and is gone. Bounded; no part of the chain.

use super::Desk;
use super::fault::git_failed;
use super::tip::{Old, Pushed, Update};
use crate::journal::is_sealed;
use crate::store::sets::{Name, is_ours, sort, surplus, text};
use crate::store::{Reader, StoreError, Stored};
use git2::{Oid, Signature, Time};

/// The only file in the tree of a set.
const FILE: &str = "previews.json";

/// Begins the message of a set's commit; milliseconds since 1970 follow.
const MESSAGE: &str = "Previews that were shown at ";

/// Where the sets of the journal at `reference` are: `refs/isobar/previews/` for `refs/isobar/journal`.
pub(super) fn prefix(reference: &str) -> String {
    match reference.strip_suffix("/journal") {
        Some(above) => format!("{above}/previews/"),
        None => format!("{reference}-previews/"),
    }
}

/// Keeps a set beside all others: people may have approved them. Lets the oldest go.
pub(super) fn save(desk: &Desk, stored: Stored) -> Result<(), StoreError> {
    let prefix = prefix(&desk.reference);
    let there = desk.wire.list(&desk.place, &desk.repository, &prefix)?;
    let name = Name::of(&stored);
    let own = format!("{prefix}{}", name.as_str());
    let earlier = there.get(&own).and_then(|commit| find(desk, *commit).ok());
    let is_sealed = |blob: &git2::Blob<'_>| std::str::from_utf8(blob.content()).is_ok_and(is_sealed);
    if desk.preview_sealer.is_none() && earlier.as_ref().is_some_and(is_sealed) {
        return Ok(()); // the very same, and whoever has the key believes it
    }
    let earlier = earlier.filter(|blob| is_ours(blob.content(), desk.preview_sealer.as_ref()));
    let earlier: Option<Stored> = earlier.and_then(|blob| serde_json::from_slice(blob.content()).ok());
    let first_ms = earlier.map_or(stored.first_ms, |earlier| earlier.first_ms);
    let text = text(&Stored { first_ms, ..stored.clone() }, desk.preview_sealer.as_ref());

    let commit =
        write(desk, &text, stored.at_ms).map_err(|error| git_failed(&desk.place, "writing a set of previews", &error))?;
    let others = there.iter().filter(|(reference, _)| **reference != own);
    let mut others: Vec<_> =
        others.map(|(reference, commit)| (shown_at(desk, *commit), reference, size(desk, *commit))).collect();
    others.sort_by(|a, b| b.cmp(a));
    let named = |reference: &str| Name::read(reference.strip_prefix(&prefix).unwrap_or_default());
    let others = others.into_iter().map(|(_, reference, size)| (reference, named(reference), size as u64));
    let mut updates = vec![Update { reference: &own, new: Some(commit), old: Old::Any }];
    let goes = surplus((&name, text.len() as u64), others);
    updates.extend(goes.into_iter().map(|reference| Update { reference, new: None, old: Old::Any }));
    match desk.wire.push(&desk.place, &desk.repository, &updates)? {
        Pushed::Done | Pushed::Lost(_) => Ok(()), // somebody else wrote the very same set, or let the same one go
        Pushed::Unsure(error) => Err(error),
    }
}

/// Reads every kept set, oldest first, each by `reader`. With a key, only those that it sealed: any other
/// may be made up.
pub(super) fn saved(desk: &Desk, reader: Reader) -> Result<Vec<Stored>, StoreError> {
    let there = desk.wire.list(&desk.place, &desk.repository, &prefix(&desk.reference))?;
    let mut sets = Vec::new();
    for (reference, commit) in there {
        let read = read(desk, commit, reader).map_err(|what| StoreError::Io {
            what: format!("reading {reference} at {}: {what}", desk.place),
            hint: Some(format!("delete it and run `isobar preview` again: git push REPOSITORY :{reference}")),
        })?;
        sets.extend(read);
    }
    sort(&mut sets);
    Ok(sets)
}

/// The name and the text of every kept set, whoever made it.
pub(super) fn texts(desk: &Desk) -> Result<Vec<(String, String)>, StoreError> {
    let there = desk.wire.list(&desk.place, &desk.repository, &prefix(&desk.reference))?;
    let text = |(reference, commit): (String, Oid)| {
        let blob = find(desk, commit).map(|blob| String::from_utf8_lossy(blob.content()).into_owned());
        (reference, blob.unwrap_or_default()) // what cannot be read is not what its hash says
    };
    Ok(there.into_iter().map(text).collect())
}

/// `None` for one that our key did not seal.
fn read(desk: &Desk, commit: Oid, reader: Reader) -> Result<Option<Stored>, String> {
    let blob = find(desk, commit).map_err(|error| error.message().to_string())?;
    if !is_ours(blob.content(), desk.preview_sealer.as_ref()) {
        return Ok(None);
    }
    reader(blob.content()).map(Some).map_err(|error| error.to_string())
}

fn find(desk: &Desk, commit: Oid) -> Result<git2::Blob<'_>, git2::Error> {
    let tree = desk.repository.find_commit(commit)?.tree()?;
    let file = tree.get_name(FILE).ok_or_else(|| git2::Error::from_str("it holds no previews"))?;
    desk.repository.find_blob(file.id())
}

/// When it was shown last; what cannot be read is the oldest.
fn shown_at(desk: &Desk, commit: Oid) -> u64 {
    let commit = desk.repository.find_commit(commit).ok();
    let message = commit.as_ref().and_then(|commit| commit.message().ok());
    message.and_then(|message| message.strip_prefix(MESSAGE)?.trim().parse().ok()).unwrap_or_default()
}

fn size(desk: &Desk, commit: Oid) -> usize {
    find(desk, commit).map_or(0, |blob| blob.size())
}

fn write(desk: &Desk, text: &str, at_ms: u64) -> Result<Oid, git2::Error> {
    let repository = &desk.repository;
    let mut tree = repository.treebuilder(None)?;
    tree.insert(FILE, repository.blob(text.as_bytes())?, 0o100_644)?;
    let tree = repository.find_tree(tree.write()?)?;
    let who = Signature::new("isobar", "isobar@localhost", &Time::new(i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX), 0))?;
    repository.commit(None, &who, &who, &format!("{MESSAGE}{at_ms}"), &tree, &[])
}
