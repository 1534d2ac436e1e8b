//! A destination in a directory below the repository's root. Each file is written aside, synced, and renamed into its place.

use super::disk::Disk;
use super::path::{self, TEMPORARY};
use super::place::{Entry, Found, Place};
use std::sync::Arc;

pub(super) struct Folder {
    pub(super) disk: Disk,
    /// From the root.
    pub(super) dir: Arc<str>,
}

impl Folder {
    fn at(&self, path: &str) -> String {
        if path.is_empty() { self.dir.to_string() } else { format!("{}/{path}", self.dir) }
    }
}

impl Place for Folder {
    fn told(&self, path: &str) -> String {
        self.at(path)
    }

    fn inside<'a>(&self, blocked: &'a str) -> Option<&'a str> {
        blocked.strip_prefix(&*self.dir)?.strip_prefix('/')
    }

    fn survey(&self) -> Result<(), String> {
        Ok(()) // a disk says of each path as quickly
    }

    fn read(&self, paths: &[&str]) -> Result<Vec<Found>, String> {
        paths.iter().map(|path| self.disk.read(&self.at(path))).collect()
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, String> {
        self.disk.list(&self.at(dir))
    }

    fn put(&self, files: &[(&str, &[u8])]) -> Result<(), String> {
        for (path, bytes) in files {
            let at = self.at(path);
            self.disk.make_dir(path::split(&at).0)?;
            self.disk.write_temporary(&aside(&at), bytes)?;
        }
        for (path, _) in files {
            let at = self.at(path);
            self.disk.rename(&aside(&at), &at)?;
        }
        Ok(())
    }

    fn remove(&self, paths: &[&str]) -> Result<(), String> {
        paths.iter().try_for_each(|path| self.disk.remove(&self.at(path)))
    }

    fn remove_empty_dir(&self, dir: &str) -> Result<bool, String> {
        self.disk.remove_empty_dir(&self.at(dir))
    }

    fn sync(&self) -> Result<(), String> {
        self.disk.sync()
    }

    fn is_untouched(&self) -> bool {
        self.disk.is_untouched()
    }
}

/// Returns where a file is written before it takes its place: beside it, under a name that the next apply knows.
fn aside(at: &str) -> String {
    let (dir, name) = path::split(at);
    format!("{dir}/{TEMPORARY}{name}")
}
