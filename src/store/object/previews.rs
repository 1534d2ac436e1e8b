//! The sets of previews that were shown: one object each beside the book, named by when it was shown, its size, and what and of which change it is, so that a
//! listing tells which are the oldest. Bounded; may be deleted at any time.

use super::desk::{Desk, wait};
use super::fault::failed;
use crate::bucket::{Fault, WRITE_MAX};
use crate::journal::is_sealed;
use crate::store::sets::{Name, SETS_MAX, is_ours, sort, surplus, text};
use crate::store::{Reader, StoreError, Stored};
use futures::StreamExt as _;
use std::collections::BTreeMap;

const DIR: &str = "previews";

/// Names that are looked through at most: of many runs that save at once, each may leave one more for a moment.
const NAMES_MAX: usize = 4 * SETS_MAX;

/// Sets that are read at once.
const READS_AT_ONCE: usize = 8;

/// What the name of a set tells.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    at_ms: u64,
    bytes: u64,
    name: Name,
}

impl Kept {
    fn read(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".json")?.splitn(3, '-');
        let (at_ms, bytes) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { at_ms, bytes, name: Name::read(parts.next()?) })
    }

    fn name(&self) -> String {
        format!("{DIR}/{:015}-{}-{}.json", self.at_ms, self.bytes, self.name.as_str())
    }
}

/// Keeps a set beside all others: people may have approved them. Lets the oldest go.
pub(super) fn save(desk: &Desk, stored: Stored) -> Result<(), StoreError> {
    let name = Name::of(&stored);
    let (same, others): (Vec<Kept>, Vec<Kept>) = listed(desk)?.into_iter().partition(|kept| kept.name == name);
    let earlier = same.last().map(|earlier| wait(read(desk, earlier))).transpose()?.flatten();
    if desk.preview_sealer.is_none() && earlier.as_ref().is_some_and(|bytes| str::from_utf8(bytes).is_ok_and(is_sealed)) {
        return Ok(()); // the very same, and whoever has the key believes it
    }
    let earlier = earlier.filter(|bytes| is_ours(bytes, desk.preview_sealer.as_ref()));
    let earlier = earlier.and_then(|bytes| Stored::read(&bytes).ok());
    let (at_ms, first_ms) = (stored.at_ms, earlier.map_or(stored.first_ms, |earlier| earlier.first_ms));
    let text = text(&Stored { first_ms, ..stored }, desk.preview_sealer.as_ref());
    let own = Kept { at_ms, bytes: text.len() as u64, name };
    match wait(desk.bucket.put(&desk.key(&own.name()), text.as_bytes(), None)) {
        Ok(_) | Err(Fault::Moved(_)) => {} // shown in the same moment before
        Err(fault @ (Fault::Refused(_) | Fault::Unsure(_))) => return Err(failed(&fault)),
    }
    let newest_first = others.iter().rev().map(|kept| (kept, kept.name.clone(), kept.bytes));
    let goes = surplus((&own.name, own.bytes), newest_first);
    same.iter().filter(|kept| **kept != own).chain(goes).try_for_each(|kept| delete(desk, kept))
}

/// Reads every kept set, oldest first, each by `reader`. With a key, only those that it sealed: any other may be made up.
pub(super) fn saved(desk: &Desk, reader: Reader) -> Result<Vec<Stored>, StoreError> {
    let mut newest: BTreeMap<Name, Stored> = BTreeMap::new();
    each(desk, |kept, bytes| {
        if is_ours(&bytes, desk.preview_sealer.as_ref()) {
            let set = reader(&bytes).map_err(|error| StoreError::Io {
                what: format!("reading {}/{}: {error}", desk.place, kept.name()),
                hint: Some("delete it and run `isobar preview` again".into()),
            })?;
            newest.insert(kept.name, set);
        }
        Ok(())
    })?;
    let mut sets: Vec<Stored> = newest.into_values().collect();
    sort(&mut sets);
    Ok(sets)
}

/// Hands on the place and the text of every kept set, whoever made it.
pub(super) fn texts(desk: &Desk, mut take: impl FnMut(String, &str)) -> Result<(), StoreError> {
    each(desk, |kept, bytes| {
        take(format!("{}/{}", desk.place, kept.name()), &String::from_utf8_lossy(&bytes));
        Ok(())
    })
}

/// Hands on what is there, oldest first, a few on their way at once.
fn each(desk: &Desk, mut take: impl FnMut(Kept, Vec<u8>) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let reads = listed(desk)?.into_iter().map(|kept| async { (read(desk, &kept).await, kept) });
    let mut coming = std::pin::pin!(futures::stream::iter(reads).buffered(READS_AT_ONCE));
    while let Some((found, kept)) = wait(coming.next()) {
        if let Some(bytes) = found? {
            take(kept, bytes)?;
        }
    }
    Ok(())
}

/// The names that are there, oldest first.
fn listed(desk: &Desk) -> Result<Vec<Kept>, StoreError> {
    let names = wait(desk.bucket.list(&desk.key(DIR), NAMES_MAX)).map_err(|fault| failed(&fault))?;
    let mut kept: Vec<Kept> = names.objects.iter().filter_map(|name| Kept::read(name)).collect();
    kept.sort();
    Ok(kept)
}

/// `None` when it was let go meanwhile.
async fn read(desk: &Desk, kept: &Kept) -> Result<Option<Vec<u8>>, StoreError> {
    let key = desk.key(&kept.name());
    let found = desk.bucket.get(&key, WRITE_MAX as u64).await.map_err(|fault| failed(&fault))?;
    Ok(found.map(|object| object.bytes))
}

fn delete(desk: &Desk, kept: &Kept) -> Result<(), StoreError> {
    let key = desk.key(&kept.name());
    let deleted = wait(async {
        match desk.bucket.get(&key, WRITE_MAX as u64).await? {
            Some(object) => desk.bucket.delete(&key, &object.version).await,
            None => Ok(()),
        }
    });
    deleted.map_err(|fault| failed(&fault))
}
