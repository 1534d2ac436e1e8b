//! `previews/`: the sets of previews that were shown, apart from the journal and bounded. They may be deleted at any time.

use super::disk::{list, make_dir, read_existing, remove, replace};
use crate::store::sets::{BYTES_MAX, SETS_MAX, name, sort, text};
use crate::store::{Reader, StoreError, Stored};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Keeps a set beside all others: people may have approved them. Lets the oldest go. Only under the journal's lock.
pub(super) fn save(dir: &Path, stored: Stored) -> Result<(), StoreError> {
    let dir = dir.join("previews");
    make_dir(&dir)?;
    let path = dir.join(format!("{}.json", name(&stored)));
    let first_ms = match read_existing(&path)? {
        Some(bytes) => serde_json::from_slice(&bytes).map_or(stored.first_ms, |earlier: Stored| earlier.first_ms),
        None => stored.first_ms,
    };
    let text = text(&Stored { first_ms, ..stored });
    replace(&path, &text)?;
    prune(&dir, &path, text.len() as u64)
}

/// Reads every kept set, oldest first, each by `read`.
pub(super) fn saved(dir: &Path, read: Reader) -> Result<Vec<Stored>, StoreError> {
    let mut sets = Vec::new();
    for path in set_files(&dir.join("previews"))? {
        // Another process may let one go between our looking and our reading.
        let Some(bytes) = read_existing(&path)? else { continue };
        let set = read(&bytes).map_err(|error| StoreError::Io {
            what: format!("reading {}: {error}", path.display()),
            hint: Some(format!("delete that file and run `isobar preview` again: rm {}", path.display())),
        })?;
        sets.push(set);
    }
    sort(&mut sets);
    Ok(sets)
}

/// The set just saved stays, whatever its size.
fn prune(dir: &Path, newest: &Path, mut bytes: u64) -> Result<(), StoreError> {
    let mut others: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for path in set_files(dir)?.into_iter().filter(|path| path != newest) {
        let Ok(metadata) = path.metadata() else { continue };
        others.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path, metadata.len()));
    }
    others.sort_by(|a, b| b.cmp(a));
    for (at, (_, path, length)) in others.iter().enumerate() {
        bytes += length;
        if at + 1 >= SETS_MAX || bytes > BYTES_MAX {
            remove(path)?;
        }
    }
    Ok(())
}

fn set_files(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths = list(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(paths)
}
