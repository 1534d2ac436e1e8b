//! Who works in the cache of a journal: a file that this process and each git that it starts keep locked together, until the last of
//! them is gone. Whoever gets it alone knows that every lock of git's in there is a dead one's. Knows nothing of what is fetched.

use std::fs::{self, File};
use std::path::Path;

/// Begins the names of files in which git gathers what it fetches.
const UNFINISHED: &str = "tmp_";

/// Somebody works in the cache as long as this, or a git that was given its file, is there.
pub(super) struct Busy(File);

impl Busy {
    /// Begins to work in `cache`. Where nothing can be locked, nothing is ever found to be dead.
    pub(super) fn with(cache: &Path) -> Option<Self> {
        let file = open(cache)?;
        file.lock_shared().ok()?;
        Some(Self(file))
    }

    /// For a child: the lock is not free before it has ended too, even when this process is killed.
    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

/// Removes git's locks in `cache`, and what was fetched half, when nobody works there. Whoever wants to begin waits that long.
pub(super) fn tidy(cache: &Path) {
    let Some(file) = open(cache) else { return };
    if file.try_lock().is_ok() {
        clear(cache);
    }
}

fn clear(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => clear(&path),
            Ok(_) if is_of_the_dead(&name.to_string_lossy()) => drop(fs::remove_file(&path)), // git tells it if it is in the way
            Ok(_) | Err(_) => {}
        }
    }
}

fn is_of_the_dead(name: &str) -> bool {
    name.ends_with(".lock") || name.starts_with(UNFINISHED)
}

fn open(cache: &Path) -> Option<File> {
    let path = cache.with_file_name("busy");
    File::options().read(true).write(true).create(true).truncate(false).open(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_lock_is_dead_when_we_and_every_child_of_ours_are_gone() {
        let dir = crate::scratch::dir();
        let cache = dir.path().join("objects.git");
        let lock = cache.join("refs/isobar/seen.lock");
        fs::create_dir_all(lock.parent().expect("it is below")).expect("it has room");
        fs::write(&lock, "").expect("it has room");

        let ours = Busy::with(&cache).expect("it has room");
        let input = ours.file().try_clone().map(Stdio::from).expect("it is open");
        let mut child = Command::new("sleep").arg("60").stdin(input).spawn().expect("there is a sleep");
        tidy(&cache);
        assert!(lock.exists(), "we live");
        drop(ours);
        tidy(&cache);
        assert!(lock.exists(), "our child lives");
        child.kill().and_then(|()| child.wait()).expect("it is ours");
        // A child that another test starts at this moment has the file as well, until it becomes another program.
        for _ in 0..1_000 {
            tidy(&cache);
            if !lock.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(!lock.exists() && cache.join("refs/isobar").exists());
    }
}
