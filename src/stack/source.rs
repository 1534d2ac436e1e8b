//! What the workspace hands over: the listing of a commit, the bytes of the files we read, and where a line stands.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A place in a file: repository path with `/`, line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    pub path: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl Site {
    /// Returns the place at `line` and `column` of `path`.
    pub fn new(path: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Self { path: path.into(), line, column }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", unbroken(&self.path), self.line)
    }
}

/// Returns `text`, such as a path, with line ends and other control characters shown as `U+XXXX`: a file may be named with one, and
/// what is told of it must stay in its line.
pub fn unbroken(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let shown = |c: char| if c.is_control() { format!("U+{:04X}", u32::from(c)) } else { c.to_string() };
    text.chars().map(shown).collect::<String>().into()
}

/// What kind of entry a tree holds at a path, as git knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    File,
    Executable,
    Symlink,
    Submodule,
}

/// A git object id in hex. Equal ids mean equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub Arc<str>);

/// One entry of a commit's tree: where, what kind, which bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub path: Arc<str>,
    pub mode: Mode,
    pub id: BlobId,
}

/// Every file of one commit, sorted by path; bytes are read only where somebody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    leaves: Vec<Leaf>,
    misnamed: BTreeSet<Arc<str>>,
}

impl Listing {
    /// Returns the listing of `leaves`, in any order; of two with one path the later one stays.
    pub fn new(mut leaves: Vec<Leaf>) -> Self {
        leaves.sort_by(|a, b| a.path.cmp(&b.path)); // stable, so the later of two equals comes last
        leaves.reverse();
        leaves.dedup_by(|a, b| a.path == b.path);
        leaves.reverse();
        Self { leaves, misnamed: BTreeSet::new() }
    }

    /// Notes the paths that are no UTF-8, with `U+FFFD` for what can't be told. Nobody can name such a file, and two may look alike.
    pub fn with_misnamed(mut self, paths: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.misnamed = paths.into_iter().collect();
        self
    }

    /// Returns the paths that are no UTF-8, sorted.
    pub fn misnamed(&self) -> &BTreeSet<Arc<str>> {
        &self.misnamed
    }

    /// Returns the leaf at `path`.
    pub fn get(&self, path: &str) -> Option<&Leaf> {
        let at = self.leaves.binary_search_by(|leaf| (*leaf.path).cmp(path)).ok()?;
        self.leaves.get(at)
    }

    /// Returns every leaf, sorted by path.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Returns the leaves below directory `dir`; the empty string is the root.
    pub fn under(&self, dir: &str) -> &[Leaf] {
        if dir.is_empty() {
            return &self.leaves;
        }
        let prefix = format!("{dir}/");
        let from = self.leaves.partition_point(|leaf| *leaf.path < *prefix);
        let len = self.leaves[from..].partition_point(|leaf| leaf.path.starts_with(&prefix));
        &self.leaves[from..from + len]
    }

    /// Returns the paths whose bytes or kind differ between the two listings, sorted.
    pub fn changed<'a>(&'a self, other: &'a Listing) -> Vec<&'a str> {
        let (mut left, mut right) = (self.leaves.iter().peekable(), other.leaves.iter().peekable());
        let mut changed = Vec::new();
        loop {
            match (left.peek(), right.peek()) {
                (None, None) => return changed,
                (Some(a), Some(b)) if a.path == b.path => {
                    if a != b {
                        changed.push(&*a.path);
                    }
                    left.next();
                    right.next();
                }
                (Some(a), Some(b)) if a.path > b.path => {
                    changed.push(&*b.path);
                    right.next();
                }
                (Some(a), _) => {
                    changed.push(&*a.path);
                    left.next();
                }
                (None, Some(b)) => {
                    changed.push(&*b.path);
                    right.next();
                }
            }
        }
    }
}

/// The bytes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub path: Arc<str>,
    pub mode: Mode,
    pub bytes: Arc<[u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, &str)]) -> Listing {
        let leaf = |(path, id): &(&str, &str)| Leaf { path: (*path).into(), mode: Mode::File, id: BlobId((*id).into()) };
        Listing::new(entries.iter().map(leaf).collect())
    }

    #[test]
    fn a_name_with_a_line_end_stays_in_its_line() {
        assert_eq!(Site::new("a\nb\t\u{1b}[2J.yaml", 3, 1).to_string(), "aU+000AbU+0009U+001B[2J.yaml:3");
        assert!(matches!(unbroken("apps/api – é"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_directory_holds_its_files_and_not_those_of_a_longer_name() {
        let listing = listing(&[("net/a", "1"), ("net-b/a", "2"), ("net/z/c", "3"), ("net.md", "4")]);
        let paths: Vec<_> = listing.under("net").iter().map(|leaf| &*leaf.path).collect();
        assert_eq!(paths, ["net/a", "net/z/c"]);
    }

    #[test]
    fn added_removed_and_edited_paths_are_changed() {
        let before = listing(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = listing(&[("b", "2"), ("c", "1"), ("d", "1")]);
        assert_eq!(before.changed(&after), ["a", "b", "d"]);
    }
}
