//! `journal:` as it is written: which kind of place, and where. Reads text only, so that a mistake is told with its line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The ref of a journal in git, unless the place names another.
const REFERENCE: &str = "refs/isobar/journal";

/// Namespaces that people and tools look at, fetch and rewrite: no place for a journal.
const PUBLIC: &[&str] = &["refs/heads/", "refs/tags/", "refs/remotes/", "refs/pull/", "refs/notes/", "refs/replace/"];

/// Where history lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A directory, from the root of the repository.
    Directory(PathBuf),
    Git(GitPlace),
}

/// A ref of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GitPlace {
    /// The repository; `None` is this one's `origin`, or this one itself where it has none.
    pub remote: Option<Arc<str>>,
    pub reference: Arc<str>,
}

impl Default for GitPlace {
    fn default() -> Self {
        Self { remote: None, reference: REFERENCE.into() }
    }
}

/// Where a git repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// On a disk of this machine.
    Disk(PathBuf),
    /// Elsewhere, reached by `git` itself.
    Address(Arc<str>),
}

/// What is wrong with a place, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPlace {
    pub what: String,
    pub hint: String,
}

impl Place {
    /// Reads the text of `journal:`.
    pub fn parse(text: &str) -> Result<Self, NoPlace> {
        if let Some(dir) = text.strip_prefix("file:") {
            return match dir.trim_start_matches("./") {
                "" => Err(wrong("file: names no directory", "journal: file:.isobar/journal")),
                dir => Ok(Self::Directory(dir.into())),
            };
        }
        match text.split_once(':') {
            None if text == "git" => Ok(Self::Git(GitPlace::default())),
            Some(("git", place)) => parse_git(place).map(Self::Git),
            Some(("s3" | "gs" | "az", _)) => {
                Err(wrong(format!("a journal in object storage ({text}) is planned, and not in this version"), "journal: git"))
            }
            Some(_) | None => Err(wrong(format!("journal can't be {text:?}"), "journal: git, or journal: file:.isobar/journal")),
        }
    }
}

fn parse_git(place: &str) -> Result<GitPlace, NoPlace> {
    let (remote, reference) = match place.rsplit_once('#') {
        Some((remote, reference)) => (remote, reference),
        None => (place, REFERENCE),
    };
    if !reference.starts_with("refs/") || !git2::Reference::is_valid_name(reference) {
        return Err(wrong(format!("{reference:?} is not the full name of a ref"), format!("such as git:{remote}#{REFERENCE}")));
    }
    if let Some(public) = PUBLIC.iter().find(|public| reference.starts_with(**public)) {
        let what = format!("a journal below {public} would be fetched, shown and rewritten like other work");
        return Err(wrong(what, format!("such as git:{remote}#{REFERENCE}")));
    }
    let remote = match remote {
        "" => None,
        remote => Some(checked(remote)?.into()),
    };
    Ok(GitPlace { remote, reference: reference.into() })
}

/// What is written in a definition reaches `git`: only what names a repository may.
fn checked(remote: &str) -> Result<&str, NoPlace> {
    let example = "such as git:https://github.com/acme/state.git, git:git@github.com:acme/state.git or git:../state.git";
    if remote.starts_with('-') || remote.chars().any(|c| c.is_control() || c.is_whitespace()) || remote.contains("::") {
        return Err(wrong(format!("{remote:?} names no git repository"), example));
    }
    let Some((scheme, rest)) = remote.split_once("://") else { return Ok(remote) };
    if rest.is_empty() || rest.starts_with('-') || !["https", "ssh", "file"].contains(&scheme) && !is_loopback(scheme, rest) {
        return Err(wrong(format!("a journal can't be reached by {scheme}://"), example));
    }
    if rest.split('/').next().and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':')) {
        let hint = "take it out and change it: who can read this file has seen it; git asks its own credential helpers";
        return Err(wrong("a password stands in journal:", hint));
    }
    Ok(remote)
}

/// In clear only to this very machine.
fn is_loopback(scheme: &str, rest: &str) -> bool {
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    scheme == "http" && ["127.0.0.1", "localhost"].contains(&host)
}

fn wrong(what: impl Into<String>, hint: impl Into<String>) -> NoPlace {
    NoPlace { what: what.into(), hint: hint.into() }
}

impl Location {
    /// Reads the address of a remote, as git's configuration has it; a relative path begins at `root`.
    pub fn of(remote: &str, root: &Path) -> Self {
        let is_address = |text: &str| {
            let before = text.split('/').next().unwrap_or_default(); // `host:path`, but not `./a:b`
            text.contains("://") || before.contains(':')
        };
        match remote.strip_prefix("file://") {
            Some(path) if !path.contains('%') => Self::Disk(path.into()),
            Some(_) | None if is_address(remote) => Self::Address(remote.into()),
            Some(_) | None => Self::Disk(root.join(remote)),
        }
    }

    /// For people: without a user's name and password.
    pub fn shown(&self) -> String {
        match self {
            Self::Disk(path) => path.display().to_string(),
            Self::Address(address) => match address.split_once("://") {
                Some((scheme, rest)) => {
                    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                    format!("{scheme}://{host}/{path}")
                }
                None => address.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str) -> (Option<String>, String) {
        match Place::parse(text) {
            Ok(Place::Git(place)) => (place.remote.as_deref().map(str::to_string), place.reference.to_string()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_place_is_a_directory_or_a_ref() {
        assert_eq!(Place::parse("file:./a/b"), Ok(Place::Directory("a/b".into())));
        assert_eq!(git("git"), (None, REFERENCE.into()));
        assert_eq!(git("git:#refs/isobar/prod"), (None, "refs/isobar/prod".into()));
        for remote in ["https://example.test/a.git", "git@example.test:a.git", "../state.git", "file:///srv/a.git", "/srv/a#b"] {
            let text = if remote.contains('#') { format!("git:{remote}#{REFERENCE}") } else { format!("git:{remote}") };
            assert_eq!(git(&text), (Some(remote.into()), REFERENCE.into()));
        }
        assert_eq!(git("git:http://127.0.0.1:80/a").0.as_deref(), Some("http://127.0.0.1:80/a"));
    }

    #[test]
    fn what_names_no_place_is_refused_with_one_that_does() {
        for text in [
            "",
            "git2",
            "file:",
            "file:./",
            "s3://bucket/x",
            "ftp://x",
            "git:#main",
            "git:#refs/heads/main",
            "git:#refs/a..b",
            "git:--upload-pack=x",
            "git:ext::sh -c id",
            "git:ext::sh",
            "git:http://example.test/a",
            "git:https://",
            "git:ssh://-o/x",
            "git:https://ann:secret@example.test/a",
            "git:a b",
        ] {
            let refused = Place::parse(text).expect_err(text);
            assert!(!refused.hint.is_empty() && !refused.what.contains("secret"), "{text}: {refused:?}");
        }
    }

    #[test]
    fn a_repository_is_on_this_disk_or_elsewhere() {
        let at = |remote| Location::of(remote, Path::new("/root"));
        assert_eq!(at("../x.git"), Location::Disk("/root/../x.git".into()));
        assert_eq!(at("./a:b"), Location::Disk("/root/./a:b".into()));
        assert_eq!(at("file:///srv/x.git"), Location::Disk("/srv/x.git".into()));
        assert_eq!(at("host:x.git").shown(), "host:x.git");
        assert_eq!(at("https://ann:secret@host/x.git").shown(), "https://host/x.git");
    }
}
