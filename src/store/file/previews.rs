//! `previews/`: the sets of previews that were shown, apart from the journal and bounded. They may be deleted at any time.

use super::disk::{list, make_dir, read_existing, remove, replace};
use crate::journal::{Sealer, is_sealed};
use crate::store::sets::{Name, is_ours, sort, surplus, text};
use crate::store::{Reader, StoreError, Stored};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Keeps a set beside all others: people may have approved them. Lets the oldest go. Only under the journal's lock.
pub(super) fn save(dir: &Path, stored: Stored, sealer: Option<&Sealer>) -> Result<(), StoreError> {
    let dir = dir.join("previews");
    make_dir(&dir)?;
    let name = Name::of(&stored);
    let path = dir.join(format!("{}.json", name.as_str()));
    let earlier = read_existing(&path)?;
    if sealer.is_none() && earlier.as_deref().is_some_and(|bytes| std::str::from_utf8(bytes).is_ok_and(is_sealed)) {
        return Ok(()); // the very same, and whoever has the key believes it
    }
    let earlier = earlier.filter(|bytes| is_ours(bytes, sealer));
    let earlier: Option<Stored> = earlier.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let first_ms = earlier.map_or(stored.first_ms, |earlier| earlier.first_ms);
    let text = text(&Stored { first_ms, ..stored }, sealer);
    replace(&path, text.as_bytes())?;
    prune(&dir, &path, (&name, text.len() as u64))
}

/// Reads every kept set, oldest first, each by `read`. With a key, only those that it sealed: any other
/// may be made up.
pub(super) fn saved(dir: &Path, sealer: Option<&Sealer>, read: Reader) -> Result<Vec<Stored>, StoreError> {
    let mut sets = Vec::new();
    for path in set_files(&dir.join("previews"))? {
        // Another process may let one go between our looking and our reading.
        let Some(bytes) = read_existing(&path)?.filter(|bytes| is_ours(bytes, sealer)) else { continue };
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
fn prune(dir: &Path, newest: &Path, own: (&Name, u64)) -> Result<(), StoreError> {
    let mut others: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    for path in set_files(dir)?.into_iter().filter(|path| path != newest) {
        let Ok(metadata) = path.metadata() else { continue };
        others.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path, metadata.len()));
    }
    others.sort_by(|a, b| b.cmp(a));
    let named = |path: &Path| Name::read(&path.file_stem().unwrap_or_default().to_string_lossy());
    let others = others.into_iter().map(|(_, path, length)| (path.clone(), named(&path), length));
    surplus(own, others).iter().try_for_each(|path| remove(path))
}

/// The files of all sets in `dir`, by name.
pub(super) fn set_files(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths = list(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    Ok(paths)
}
