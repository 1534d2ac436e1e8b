//! Directories of tests: in memory where there is room, for stories make and remove thousands of files, and each would wait for a disk.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

const MEMORY: &str = "/dev/shm";
/// What all that run at once need at most, many times over.
const ROOM_BYTES: u64 = 1 << 30;

/// Makes an empty one, which goes with the value.
pub(crate) fn dir() -> TempDir {
    static PARENT: OnceLock<PathBuf> = OnceLock::new();
    let parent = || if has_room(Path::new(MEMORY)) { MEMORY.into() } else { std::env::temp_dir() };
    let made = tempfile::Builder::new().prefix("isobar-test-").tempdir_in(PARENT.get_or_init(parent));
    made.expect("a temporary directory can be made")
}

fn has_room(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) > ROOM_BYTES)
}
