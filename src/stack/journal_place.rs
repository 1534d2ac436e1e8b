//! What `journal:` may say: the one place that reads it. Lexical, as everything here.

use super::source::Listing;
use std::fmt;
use std::sync::Arc;

/// The ref of a journal in git, unless the place names another.
const REFERENCE: &str = "refs/isobar/journal";

/// Namespaces that people and tools look at, fetch and rewrite: no place for a journal.
const PUBLIC: &[&str] = &["refs/heads/", "refs/tags/", "refs/remotes/", "refs/pull/", "refs/notes/", "refs/replace/"];

/// What a shell reads as more than itself: a place stands in commands that people paste.
const FOR_SHELLS: &str = "`$;&|<>(){}[]!*?'\"\\";

const HINT: &str = "journal: file:.isobar/journal, journal: git, or journal: s3://bucket/journal";
const BUCKET_HINT: &str = "such as s3://bucket/journal, gs://bucket/journal or az://account/container/journal";
const GIT_HINT: &str = "such as git, git:#refs/isobar/prod, git:https://github.com/acme/state.git, git:git@github.com:acme/state.git or \
    git:../state.git";

/// Where history lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JournalPlace {
    /// A directory, from the root of the repository.
    Directory(String),
    Git(GitPlace),
    /// A prefix of a bucket: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://ACCOUNT/CONTAINER/PREFIX`, without what says nothing.
    Objects(Arc<str>),
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

/// As `journal:` would say it.
impl fmt::Display for JournalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalPlace::Directory(dir) => write!(f, "file:{dir}"),
            JournalPlace::Git(place) if *place == GitPlace::default() => f.write_str("git"),
            JournalPlace::Git(GitPlace { remote, reference }) => {
                write!(f, "git:{}#{reference}", remote.as_deref().unwrap_or_default())
            }
            JournalPlace::Objects(url) => f.write_str(url),
        }
    }
}

impl JournalPlace {
    /// Reads the text of `journal:`; else says what is wrong with it, and gives a hint.
    pub fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        let place = Self::parse_old(text)?;
        let (free, hint) = match &place {
            Self::Directory(_) => ("", HINT),
            Self::Git(place) => (place.remote.as_deref().unwrap_or_default(), GIT_HINT),
            Self::Objects(url) => (prefix(url), BUCKET_HINT),
        };
        match free.chars().find(|c| FOR_SHELLS.contains(*c)) {
            Some(c) => Err((format!("journal {text:?} holds a character that shells read: {c}"), hint)),
            None => Ok(place),
        }
    }

    /// The same, where the repository holds these files.
    pub fn parse_among(text: &str, listing: &Listing) -> Result<Self, (String, &'static str)> {
        let place = Self::parse(text)?;
        match place.tracked(listing) {
            Some(path) => {
                let what = format!("journal {text:?}: {path} is a file of the repository, and a journal lies apart from those");
                Err((
                    what,
                    "name a directory that git ignores, such as file:.isobar/journal, or take the file out: git rm --cached",
                ))
            }
            None => Ok(place),
        }
    }

    /// Returns a file or link of the repository that lies in the directory or on the way to it: with a commit it could become another.
    pub fn tracked<'l>(&self, listing: &'l Listing) -> Option<&'l Arc<str>> {
        let Self::Directory(dir) = self else { return None };
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        let on_the_way = ends.filter_map(|end| listing.get(&dir[..end]));
        on_the_way.chain(listing.under(dir)).map(|leaf| &leaf.path).next()
    }

    /// Reads what an older commit said, which was allowed more: history may lie there all the same.
    pub fn parse_old(text: &str) -> Result<Self, (String, &'static str)> {
        let refuse = |(why, hint): (String, &'static str)| (format!("journal {text:?} {why}"), hint);
        match text.split_once(':') {
            Some(("file", dir)) => directory(dir).map(Self::Directory).map_err(|why| refuse((why.into(), HINT))),
            None if text == "git" => Ok(Self::Git(GitPlace::default())),
            Some(("git", place)) if has_password(place) => {
                let hint = "take it out and change it: who can read this file has seen it; git asks its own credential helpers";
                Err(("a password stands in journal:".into(), hint))
            }
            Some(("git", place)) => git(place).map(Self::Git).map_err(|why| refuse((why, GIT_HINT))),
            Some((scheme @ ("s3" | "gs" | "az"), place)) => {
                objects(scheme, place).map(|url| Self::Objects(url.into())).map_err(|why| refuse((why, BUCKET_HINT)))
            }
            Some(_) | None => Err(refuse(("is neither a directory, nor a ref in git, nor a bucket".into(), HINT))),
        }
    }
}

fn directory(dir: &str) -> Result<String, &'static str> {
    if dir.starts_with('/') {
        return Err("is absolute, and a journal's directory is named from the root of the repository");
    }
    let parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("holds \"..\", and a journal stays inside the repository");
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return Err("lies in .git, which belongs to git");
    }
    if parts.is_empty() {
        return Err("is the repository itself");
    }
    if dir.contains(|c: char| c.is_control() || c == '\\') {
        return Err("holds a backslash or a control character");
    }
    Ok(parts.join("/"))
}

fn git(place: &str) -> Result<GitPlace, String> {
    let (remote, reference) = place.rsplit_once('#').unwrap_or((place, REFERENCE));
    if !is_reference(reference) {
        return Err(format!("names no ref: {reference:?} is not the full name of one"));
    }
    if let Some(public) = PUBLIC.iter().find(|public| reference.starts_with(**public)) {
        return Err(format!("lies below {public}, where it would be fetched, shown and rewritten like other work"));
    }
    check_remote(remote)?;
    Ok(GitPlace { remote: (!remote.is_empty()).then(|| remote.into()), reference: reference.into() })
}

/// A journal has a prefix of its own: in a bucket of its own it would hold whatever else is put there.
fn objects(scheme: &str, place: &str) -> Result<String, String> {
    let place = place.strip_prefix("//").ok_or("is no URL")?;
    if place.contains(|c: char| c.is_control() || c.is_whitespace() || "\\?#%*".contains(c)) {
        return Err("holds a character that no name of ours has".into());
    }
    let mut parts: Vec<&str> = place.split('/').collect();
    let bucket: Vec<&str> = parts.drain(..parts.len().min(if scheme == "az" { 2 } else { 1 })).collect();
    if !is_bucket(scheme, &bucket) {
        let named = bucket.join("/");
        return Err(match named.trim_matches('/').is_empty() || bucket.len() == 1 && scheme == "az" {
            true => "names no bucket".into(),
            false => format!("names no bucket: none can be called {named:?}"),
        });
    }
    parts.retain(|part| !part.is_empty() && *part != ".");
    if parts.contains(&"..") {
        return Err("holds \"..\"".into());
    }
    if parts.is_empty() {
        return Err("names no prefix, and a journal has one of its own".into());
    }
    Ok(format!("{scheme}://{}/{}", bucket.join("/"), parts.join("/")))
}

/// By the rules of each service, as whoever asks it has them: in a place that no bucket can have nothing ever lay.
fn is_bucket(scheme: &str, parts: &[&str]) -> bool {
    let is_name = |name: &str, marks: &str, max: usize| {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        (3..=max).contains(&name.len())
            && name.chars().all(|c| is_letter(c) || marks.contains(c))
            && name.starts_with(is_letter)
            && name.ends_with(is_letter)
    };
    match (scheme, parts) {
        ("s3", [name]) => is_name(name, "-.", 63),
        ("gs", [name]) => is_name(name, "-._", 222),
        ("az", [account, container]) => {
            is_name(account, "", 24) && (["$web", "$root"].contains(container) || is_name(container, "-", 63))
        }
        _ => false,
    }
}

/// The part of a place in a bucket that people name as they like.
fn prefix(url: &str) -> &str {
    let parts = if url.starts_with("az:") { 5 } else { 4 }; // `az:`, nothing, the account and the container come before it
    url.splitn(parts, '/').nth(parts - 1).unwrap_or_default()
}

/// By the rules of git-check-ref-format(1), and a little stricter.
fn is_reference(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("refs/") else { return false };
    let is_part =
        |part: &str| !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with(['.']) && !part.ends_with(".lock");
    let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    rest.contains('/') && rest.split('/').all(is_part) && rest.chars().all(is_letter) && !rest.contains("..")
}

/// What is written in a definition reaches the program git: only what names a repository may.
fn check_remote(remote: &str) -> Result<(), String> {
    if remote.starts_with('-') || remote.chars().any(|c| c.is_control() || c.is_whitespace()) || remote.contains("::") {
        return Err("names no git repository".into());
    }
    let Some((scheme, rest)) = remote.split_once("://") else { return Ok(()) };
    let is_known = ["https", "ssh", "file"].contains(&scheme) || is_loopback(scheme, rest);
    if is_known && !rest.is_empty() && !rest.starts_with('-') { Ok(()) } else { Err(format!("can't be reached by {scheme}://")) }
}

/// In clear only to this very machine.
fn is_loopback(scheme: &str, rest: &str) -> bool {
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    scheme == "http" && ["127.0.0.1", "localhost"].contains(&host)
}

fn has_password(place: &str) -> bool {
    let authority = place.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(text: &str) -> (Option<String>, String) {
        match JournalPlace::parse(text) {
            Ok(JournalPlace::Git(place)) => (place.remote.as_deref().map(str::to_string), place.reference.to_string()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_journal_is_a_directory_inside_the_repository() {
        let place = JournalPlace::parse("file:./.isobar//journal/");
        assert_eq!(place, Ok(JournalPlace::Directory(".isobar/journal".into())));
        for (text, why) in [
            ("file:../../j", "stays inside the repository"),
            ("file:a/../b", "stays inside the repository"),
            ("file:/etc/foo", "is absolute"),
            ("file:.git/x", "belongs to git"),
            ("file:a/.GIT/x", "belongs to git"),
            ("file:./", "is the repository itself"),
            ("file:a\\b", "holds a backslash"),
        ] {
            assert!(JournalPlace::parse(text).is_err_and(|(what, _)| what.contains(why)), "{text}");
        }
    }

    #[test]
    fn or_a_ref_of_a_git_repository() {
        assert_eq!(git("git"), (None, REFERENCE.into()));
        assert_eq!(git("git:#refs/isobar/prod"), (None, "refs/isobar/prod".into()));
        for remote in ["https://example.test/a.git", "git@example.test:a.git", "../state.git", "file:///srv/a.git"] {
            assert_eq!(git(&format!("git:{remote}")), (Some(remote.into()), REFERENCE.into()));
        }
        assert_eq!(git("git:/srv/a#b#refs/isobar/journal"), (Some("/srv/a#b".into()), REFERENCE.into()));
        assert_eq!(git("git:http://127.0.0.1:80/a").0.as_deref(), Some("http://127.0.0.1:80/a"));
    }

    #[test]
    fn or_a_prefix_of_a_bucket() {
        for (text, url) in [
            ("s3://bucket/journal", "s3://bucket/journal"),
            ("gs://bucket//a/./b/", "gs://bucket/a/b"),
            ("az://account/container/journal", "az://account/container/journal"),
            ("az://account/$web/journal", "az://account/$web/journal"),
        ] {
            assert_eq!(JournalPlace::parse(text), Ok(JournalPlace::Objects(url.into())));
        }
    }

    #[test]
    fn what_an_older_commit_said_may_hold_more() {
        for text in ["git:../a$(b).git#refs/isobar/journal", "s3://bucket/a;b"] {
            assert_eq!(JournalPlace::parse_old(text).map(|place| place.to_string()), Ok(text.into()));
        }
        assert!(JournalPlace::parse_old("s3://a/x").is_err(), "no bucket was ever named so");
    }

    #[test]
    fn what_names_no_place_is_refused_with_one_that_does() {
        for (text, why) in [
            ("", "is neither"),
            ("git2", "is neither"),
            ("ftp://x", "is neither"),
            ("s3:foo", "is no URL"),
            ("s3://", "names no bucket"),
            ("s3://Bucket/x", "names no bucket"),
            ("s3://a/x", "names no bucket: none can be called \"a\""),
            ("gs://a$b/x", "names no bucket"),
            ("az://ac-me/docs/x", "names no bucket: none can be called \"ac-me/docs\""),
            ("s3://bucket/a;b", "that shells read: ;"),
            ("az://account/$web/a$b", "that shells read: $"),
            ("s3://bucket", "names no prefix"),
            ("gs://bucket/./", "names no prefix"),
            ("gs://bucket/../x", "holds \"..\""),
            ("az://account/container", "names no prefix"),
            ("az://account", "names no bucket"),
            ("s3://bucket/a?versionId=1", "holds a character"),
            ("git:#main", "names no ref"),
            ("git:#refs/a..b/c", "names no ref"),
            ("git:#refs/isobar/x.lock", "names no ref"),
            ("git:#refs/heads/main", "lies below refs/heads/"),
            ("git:--upload-pack=x", "names no git repository"),
            ("git:ext::sh", "names no git repository"),
            ("git:a b", "names no git repository"),
            ("git:../a$(b).git", "that shells read: $"),
            ("git:ann@host:a'b", "that shells read: '"),
            ("git:http://example.test/a", "can't be reached by http://"),
            ("git:https://", "can't be reached"),
            ("git:ssh://-o/x", "can't be reached"),
            ("git:https://ann:hunter2@example.test/a", "a password stands in journal:"),
        ] {
            let (what, hint) = JournalPlace::parse(text).expect_err(text);
            assert!(what.contains(why) && !what.contains("hunter2") && !hint.is_empty(), "{text}: {what}");
        }
    }
}
