//! `leases/`: one file a lease, whose owner keeps it locked as long as it lives. Knows who is alive; time frees nothing.
//!
//! A file is named by its epoch, which is greater than that of any lease before it, also where `epoch` was lost or damaged. A lease file that nobody keeps locked is
//! that of a process that ended: proven, because the system drops a process's locks when it ends, and only then. All of this
//! happens under the journal's lock, so a lease file is never seen half made.

use super::disk::{failed, identity, is_abandoned, list, make_dir, open_existing, open_private, read_existing, remove, replace};
use crate::stack::TargetId;
use crate::store::{Held, Holder, Lease, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What a lease file says, for people and for those who want the same targets.
#[derive(Serialize, Deserialize)]
struct LeaseFile {
    epoch: u64,
    holder: Holder,
    targets: Vec<TargetId>,
}

/// Takes all of `targets`, or none. Only under the journal's lock.
pub(super) fn acquire(dir: &Path, targets: &[TargetId], holder: Holder) -> Result<Lease, StoreError> {
    let wanted: BTreeSet<&TargetId> = targets.iter().collect();
    let mut newest = 0;
    for path in lease_files(dir)? {
        newest = newest.max(number_of(&path));
        let Some(held) = read_living(&path)? else {
            remove(&path)?;
            continue;
        };
        newest = newest.max(held.epoch);
        if let Some(target) = held.targets.into_iter().find(|target| wanted.contains(target)) {
            return Err(StoreError::Held { target, holder: Box::new(held.holder), is_proven: true });
        }
    }
    if wanted.is_empty() {
        return Ok(Lease::over_nothing(holder));
    }

    let epoch = next_epoch(dir, newest, holder.since_ms)?;
    let path = lease_file(dir, epoch);
    let guard = make_lease(&path, &LeaseFile { epoch, holder: holder.clone(), targets: targets.to_vec() })?;
    let epochs = wanted.into_iter().map(|target| (target.clone(), epoch)).collect();
    Ok(Lease { run: holder.run, epochs, guard: Some(guard), trace: None })
}

/// Gives the targets back; when somebody took them over, there is nothing to give.
pub(super) fn release(dir: &Path, lease: Lease) -> Result<(), StoreError> {
    let guard = lease.guard.as_ref().and_then(|guard| guard.metadata().ok());
    match lease.epochs.values().next() {
        Some(epoch) if is_ours(dir, *epoch, guard.as_ref().map(identity)) => remove(&lease_file(dir, *epoch)),
        Some(_) | None => Ok(()),
    }
}

/// Everyone who holds a lease and lives, oldest lease first.
pub(super) fn holders(dir: &Path) -> Result<Vec<Held>, StoreError> {
    let mut held = Vec::new();
    for path in lease_files(dir)? {
        held.extend(read_living(&path)?);
    }
    held.sort_by_key(|held| held.epoch);
    Ok(held.into_iter().map(|held| (held.holder, held.targets)).collect())
}

/// Says whether the lease with `epoch` is ours: its file is there, and is the one that we made and keep locked. For as long as the
/// journal's lock is held.
pub(super) fn is_ours(dir: &Path, epoch: u64, guard: Option<(u64, u64)>) -> bool {
    guard.is_some() && lease_file(dir, epoch).metadata().as_ref().map(identity).ok() == guard
}

fn lease_file(dir: &Path, epoch: u64) -> PathBuf {
    dir.join("leases").join(format!("{epoch}.json"))
}

/// The epoch in the name of a lease file; 0 where there is none.
fn number_of(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0)
}

fn lease_files(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths = list(&dir.join("leases"))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(paths)
}

/// Returns what the lease says; `None` when its owner is gone.
fn read_living(path: &Path) -> Result<Option<LeaseFile>, StoreError> {
    let Some(mut file) = open_existing(path)? else { return Ok(None) };
    if is_abandoned(&file, path)? {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| failed("reading", path, &error))?;
    let held = serde_json::from_slice(&bytes).map_err(|error| StoreError::Io {
        what: format!("{} is held by a process that lives, and cannot be read: {error}", path.display()),
        hint: Some("`fuser` names that process; when it ended, run the same command again".into()),
    })?;
    Ok(Some(held))
}

fn make_lease(path: &Path, held: &LeaseFile) -> Result<File, StoreError> {
    make_dir(path.parent().unwrap_or(Path::new(".")))?;
    let text = serde_json::to_vec(held).expect("a lease holds only strings and numbers");
    let made = open_private(path).and_then(|mut file| {
        file.lock()?;
        file.write_all(&text)?;
        Ok(file)
    });
    made.map_err(|error| failed("writing", path, &error))
}

/// Says why the number of the last lease is not known, though something stands where it must be.
pub(super) fn fault_of_epoch(dir: &Path) -> Result<Option<&'static str>, StoreError> {
    Ok(match last_epoch(&epoch_file(dir))? {
        Last::Number(_) | Last::Absent => None,
        Last::Unreadable => Some("it does not hold the number of the last lease"),
        Last::Dir => Some("it is a directory, and must be a file with the number of the last lease"),
    })
}

/// What is known of the number of the last lease.
enum Last {
    Number(u64),
    Absent,
    Unreadable,
    Dir,
}

fn epoch_file(dir: &Path) -> PathBuf {
    dir.join("epoch")
}

fn last_epoch(path: &Path) -> Result<Last, StoreError> {
    if path.is_dir() {
        return Ok(Last::Dir);
    }
    let Some(bytes) = read_existing(path)? else { return Ok(Last::Absent) };
    let number = String::from_utf8_lossy(&bytes).trim().parse().ok();
    Ok(number.filter(|last| *last < u64::MAX).map_or(Last::Unreadable, Last::Number)) // nothing can be counted on from the last
}

/// Counts on, durably: an epoch is never given twice.
///
/// Without the number of the last lease it counts on from the clock, in milliseconds. That is beyond every lease there was: they were
/// counted one by one from the clock or from less, and none takes less than a millisecond, for each is made durable. `newest` holds
/// where the clock was put back. No entry names an epoch, so nothing else has to be known. Were one given twice all the same, who had
/// it first is kept out as ever: its file is gone, and one that is made anew is not the one that it keeps open and locked.
fn next_epoch(dir: &Path, newest: u64, now_ms: u64) -> Result<u64, StoreError> {
    let path = epoch_file(dir);
    let last = match last_epoch(&path)? {
        Last::Number(last) => last,
        Last::Absent | Last::Unreadable => now_ms,
        Last::Dir => {
            let what = format!("{} is a directory, and must be a file with the number of the last lease", path.display());
            return Err(StoreError::Io { what, hint: Some("move it away, then run the same command again".into()) });
        }
    };
    let next = last.max(newest).saturating_add(1);
    replace(&path, format!("{next}\n").as_bytes())?;
    Ok(next)
}
