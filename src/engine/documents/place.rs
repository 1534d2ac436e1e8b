//! A destination, opened: reads and writes by path from it. A folder of this machine and a prefix of a bucket are the two there are;
//! what is to be written, in which order, and what is refused is the same for both.

use std::io;
use std::sync::Arc;

/// Called before each step that changes a destination, with what is about to be done; an error stops there, as a kill would.
pub(super) type BeforeWrite = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// Closed once nobody waits for an answer.
pub(super) type Waiting = tokio::sync::watch::Receiver<()>;

/// What is said to nobody: the run ended before the destination answered.
pub(super) const GIVEN_UP: &str = "the run gave this target up";

/// Bytes of a document read back at most; ours are far smaller, and a foreign one must not fill the memory.
pub(super) const READ_MAX: u64 = 16 * 1024 * 1024;

/// Files of a destination that are looked through for unmanaged ones at most.
pub(super) const FILES_MAX: usize = 100_000;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Absent,
    File(Vec<u8>),
    /// Something else stands at the path, or at a directory above it: where, and what.
    Blocked(String, &'static str),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_dir: bool,
}

/// Paths are from the destination; `""` is the destination itself. Errors are for people.
pub(super) trait Place {
    /// Returns how a path is told.
    fn told(&self, path: &str) -> String;

    /// Returns the path, from the destination, of what is in the way; `None` when that stands above it.
    fn inside<'a>(&self, blocked: &'a str) -> Option<&'a str>;

    /// Learns what stands at the top, where that spares asking for what is absent.
    fn survey(&self) -> Result<(), String>;

    /// Reads each path.
    fn read(&self, paths: &[&str]) -> Result<Vec<Found>, String>;

    /// Returns the entries of a directory, sorted by name; none when it is absent or no directory.
    fn list(&self, dir: &str) -> Result<Vec<Entry>, String>;

    /// Writes files, each whole: whoever reads one sees it as before or as it is to be.
    fn put(&self, files: &[(&str, &[u8])]) -> Result<(), String>;

    /// Removes files; that one is gone already is fine.
    fn remove(&self, paths: &[&str]) -> Result<(), String>;

    /// Removes a directory when it is empty; true when it is gone.
    fn remove_empty_dir(&self, dir: &str) -> Result<bool, String>;

    /// Waits until all that was done is safe.
    fn sync(&self) -> Result<(), String>;

    /// Says whether nothing was changed so far.
    fn is_untouched(&self) -> bool;
}
