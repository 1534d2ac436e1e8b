//! The system calls that the file store stands on: made once here, with what a person can do when one fails. Knows files
//! and locks; not what they hold.

use crate::store::StoreError;
use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long we wait for another process that holds the journal's lock: it does so for one group of entries, milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(30);
/// Between two attempts: at first, and at most.
const LOCK_POLL_FIRST: Duration = Duration::from_micros(100);
const LOCK_POLL_MAX: Duration = Duration::from_millis(2);

/// The calls that make the journal durable; tests put failing ones in their place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen {
    pub(super) write: fn(&File, &[u8], u64) -> io::Result<()>,
    pub(super) sync: fn(&File) -> io::Result<()>,
    pub(super) truncate: fn(&File, u64) -> io::Result<()>,
    pub(super) rename: fn(&Path, &Path) -> io::Result<()>,
    /// Puts bytes in the place of a file at once.
    pub(super) replace: fn(&Path, &[u8]) -> Result<(), StoreError>,
    pub(super) remove: fn(&Path) -> Result<(), StoreError>,
}

impl Default for Pen {
    fn default() -> Self {
        Self {
            write: |file, bytes, at| file.write_all_at(bytes, at),
            sync: File::sync_data,
            truncate: |file, length| file.set_len(length),
            rename: |from, to| std::fs::rename(from, to),
            replace,
            remove,
        }
    }
}

/// Says what we were doing, to what, and what to do next.
pub(super) fn failed(doing: &str, path: &Path, error: &io::Error) -> StoreError {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space on that disk, then run the same command again",
        ErrorKind::ReadOnlyFilesystem => "the disk is read-only: mount it for writing, then run the same command again",
        ErrorKind::PermissionDenied => "see who owns the directory, give this user access, then run the same command again",
        ErrorKind::Unsupported => "the disk cannot lock files: put the journal on a local disk with `journal:` in isobar.yaml",
        ErrorKind::NotADirectory => "a part of the path is a file: put the directory back, then run the same command again",
        ErrorKind::IsADirectory => {
            "a directory is where a file of the journal must be: move it away, then run the same command again"
        }
        ErrorKind::FileTooLarge => {
            "a file may not grow as large as that here (ulimit -f): allow more, then run the same command again"
        }
        _ => "see whether the disk is healthy and the path exists, then run the same command again",
    };
    StoreError::Io { what: format!("{doing} {}: {error}", path.display()), hint: Some(hint.into()) }
}

/// What is at `path`; `None` when nothing is. A link on the way that leads nowhere is something: what it led to may come back.
pub(super) fn existing(path: &Path) -> Result<Option<Metadata>, StoreError> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_there = |path: &&Path| path.symlink_metadata().is_ok();
            let broken = path.ancestors().find(is_there).filter(|there| there.metadata().is_err());
            broken.map_or(Ok(None), |link| {
                let what = format!("opening {}: the link {} leads nowhere", path.display(), link.display());
                Err(StoreError::Io { what, hint: Some("bring back what it leads to, or remove the link".into()) })
            })
        }
        Err(error) => Err(failed("opening", path, &error)),
    }
}

/// Bytes of the file at `path`; none when it is not there.
pub(super) fn length(path: &Path) -> Result<u64, StoreError> {
    Ok(existing(path)?.map_or(0, |metadata| metadata.len()))
}

/// Makes `dir` and the directories above it, for this user only, so that they outlive a power cut.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => sync_dir(parent.unwrap_or(Path::new("."))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(failed("making", dir, &error)),
    }
}

/// Bytes that are free on a disk that a journal can be written to.
const ROOM: usize = 64 << 10;

/// Says whether a file could be made in `dir`, or in the place where it would be made, and `file` be added to; leaves no trace.
pub(super) fn may_write(dir: &Path, file: &Path) -> Result<(), StoreError> {
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let written = tempfile::tempfile_in(there).and_then(|mut file| {
        file.write_all(&[0; ROOM])?;
        file.sync_data()
    });
    written.map_err(|error| failed("writing to", dir, &error))?;
    let lock = dir.join("lock");
    if existing(&lock)?.is_some() {
        open_private(&lock).map_err(|error| failed("opening", &lock, &error))?;
    }
    match file.symlink_metadata() {
        Ok(_) => OpenOptions::new().append(true).open(file).map(drop).map_err(|error| failed("writing to", file, &error)),
        Err(_) => Ok(()), // it is made with the first entry
    }
}

/// Makes the names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|error| failed("syncing", dir, &error))
}

/// Opens for reading and writing, made for this user only if it is not there.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The same, where nothing is behind a link: what is emptied is a file of ours.
fn open_own(path: &Path) -> io::Result<File> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(no_link).open(path)
}

/// Opens for reading; `None` when it is not there.
pub(super) fn open_existing(path: &Path) -> Result<Option<File>, StoreError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("opening", path, &error)),
    }
}

/// Reads all of a file; `None` when it is not there.
pub(super) fn read_existing(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(mut file) = open_existing(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| failed("reading", path, &error))?;
    Ok(Some(bytes))
}

/// Puts `bytes` in the place of the file at once and durably. One writer at a time: under the journal's lock.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let dir = path.parent().unwrap_or(Path::new("."));
    let written = open_own(&new).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, path)).map_err(|error| {
        // What is left of it does not matter, and this may fail for the same reason.
        let _ = std::fs::remove_file(&new);
        failed("writing", path, &error)
    })?;
    sync_dir(dir)
}

/// Removes a file; it may be gone already.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("removing", path, &error)),
    }
}

/// The names in `dir`, sorted; none when it is not there.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return existing(dir).map(|_| Vec::new()),
        Err(error) => return Err(failed("listing", dir, &error)),
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|error| failed("listing", dir, &error))?;
    paths.sort();
    Ok(paths)
}

/// What tells a file from every other that is there at the same time.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(held), Ok(there)) => identity(&held) == identity(&there),
        (Ok(_) | Err(_), _) => false,
    }
}

/// Locks the file at `path` for one writer, and makes it if it is not there. The lock ends when the file is dropped.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        let file = open_private(path).map_err(|error| failed("opening", path, &error))?;
        wait_for(path, deadline, || file.try_lock())?;
        // Somebody may have removed it while we waited, and made another: then ours keeps nobody out.
        if is_same(&file, path) {
            return Ok(file);
        }
    }
}

/// Locks the file at `path` for readers; `None` when it is not there. Needs no right to write.
pub(super) fn lock_shared(path: &Path) -> Result<Option<File>, StoreError> {
    let Some(file) = open_existing(path)? else { return Ok(None) };
    wait_for(path, Instant::now() + LOCK_WAIT, || file.try_lock_shared())?;
    Ok(Some(file))
}

/// Whoever made `file` holds its lock no more: the process is gone, or gave it back.
pub(super) fn is_abandoned(file: &File, path: &Path) -> Result<bool, StoreError> {
    match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(failed("locking", path, &error)),
    }
}

fn wait_for(path: &Path, deadline: Instant, attempt: impl Fn() -> Result<(), TryLockError>) -> Result<(), StoreError> {
    let mut pause = LOCK_POLL_FIRST;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                sleep(pause);
                pause = (pause * 2).min(LOCK_POLL_MAX);
            }
            Err(TryLockError::WouldBlock) => {
                let what = format!("another process keeps {} locked for {} s", path.display(), LOCK_WAIT.as_secs());
                let hint =
                    "see whether an isobar is stopped or hangs (`fuser` names it), end it, then run the same command again";
                return Err(StoreError::Io { what, hint: Some(hint.into()) });
            }
            Err(TryLockError::Error(error)) => return Err(failed("locking", path, &error)),
        }
    }
}
