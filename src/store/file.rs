//! The journal as JSON lines in a directory of any POSIX disk.

/// A directory with `entries.jsonl`, `lock`, `leases/` and `previews/`.
pub struct FileStore {}
