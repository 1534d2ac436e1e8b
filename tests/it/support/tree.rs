//! A directory as a map, so that two of them can be compared and the difference read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Returns every file below `dir` by its relative path with `/`; empty when there is no such directory. A symlink reads as
/// `-> where it points`, and bytes that are no text as their number.
pub(crate) fn tree(dir: &Path) -> BTreeMap<String, String> {
    let (mut files, mut dirs) = (BTreeMap::new(), vec![dir.to_path_buf()]);
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("the entry was just listed");
            if kind.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(dir).expect("it was found below").to_string_lossy().into_owned();
            let text = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path).expect("it is a symlink").display())
            } else {
                let bytes = fs::read(&path).expect("a file that we made can be read");
                String::from_utf8(bytes).unwrap_or_else(|error| format!("{} bytes", error.as_bytes().len()))
            };
            files.insert(name, text);
        }
    }
    files
}
