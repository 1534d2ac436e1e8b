//! The program `git`, for repositories that are on no disk of ours: https and ssh, with the credentials that git finds. Knows its
//! arguments and its words; not what is fetched and pushed.
//!
//! Objects come to a bare repository of our own inside `.git/isobar`, a cache: it may be deleted at any time, and nothing of it is
//! believed without its hash. The newest commit is fetched alone, without the ones before it, and where the server can leave them out
//! without large files: those that are needed are asked for by their names.

use super::busy::{Busy, tidy};
use super::fault::{MAY_NOT_WRITE, git_failed};
use super::reach::Reach;
use super::tip::{Old, Pushed, Tip, Update, find};
use crate::process::{self, Command, Exit};
use crate::store::StoreError;
use git2::{Oid, Repository, RepositoryInitOptions};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::pending;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// For one call: a journal of gigabytes over a slow line, and an end to a server that says nothing.
const DEADLINE: Duration = Duration::from_secs(300);

/// Blobs that are asked for with one call: their names are arguments.
const BLOBS_AT_ONCE: usize = 500;

/// How often a git is run again that met a lock of another in the cache, and after which pause: the git of a run that was killed lives
/// on until it is done.
const LOCKED_MAX: u32 = 20;
#[cfg(not(test))]
const LOCKED_PAUSE: Duration = Duration::from_millis(250);
#[cfg(test)]
const LOCKED_PAUSE: Duration = Duration::from_millis(5);

/// Where the ref is kept in the cache.
const SEEN: &str = "refs/isobar/seen";

/// `git`, and the repository that it is to reach.
pub(super) struct Program {
    pub(super) cache: PathBuf,
    pub(super) reach: Reach,
}

impl Program {
    /// Opens the cache, and makes it if it is not there. What dead gits left there is in nobody's way.
    pub(super) fn cache(&self, place: &str) -> Result<Repository, StoreError> {
        tidy(&self.cache);
        let _busy = Busy::with(&self.cache);
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(false).external_template(false);
        Repository::init_opts(&self.cache, &options)
            .map_err(|error| git_failed(place, "opening the cache of the journal", &error))
    }

    pub(super) fn look(&self, place: &str, cache: &Repository, reference: &str, known: Tip) -> Result<Tip, StoreError> {
        if known.is_some() {
            let exit = self.run(&["ls-remote", "--quiet", "--", &self.reach.address, reference])?;
            if !exit.is_success() {
                return Err(self.unreadable(place, &exit));
            }
            let found = exit.stdout.lines().find_map(|line| line.split_once('\t').filter(|(_, name)| *name == reference));
            let tip = found.and_then(|(id, _)| Oid::from_str(id).ok());
            if tip == known || tip.is_none() {
                return Ok(tip);
            }
        }
        let refspec = format!("+{reference}:{SEEN}");
        let exit = self.run(&[
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            &self.reach.address,
            &refspec,
        ])?;
        match exit.is_success() {
            true => find(place, cache, SEEN),
            false if exit.stderr.contains("couldn't find remote ref") => Ok(None),
            false => Err(self.unreadable(place, &exit)),
        }
    }

    /// Brings blobs to the cache that were too large to come along with their commit.
    pub(super) fn bring(&self, place: &str, cache: &Repository, blobs: &[Oid]) -> Result<(), StoreError> {
        let odb = cache.odb().map_err(|error| git_failed(place, "opening the cache of the journal", &error))?;
        let missing: Vec<String> = blobs.iter().filter(|blob| !odb.exists(**blob)).map(Oid::to_string).collect();
        for some in missing.chunks(BLOBS_AT_ONCE) {
            // Nothing that we have says that we have these: the server must not reckon that they came with a commit.
            let mut arguments =
                vec!["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"];
            arguments.extend(["--", &self.reach.address]);
            arguments.extend(some.iter().map(String::as_str));
            let exit = self.run(&arguments)?;
            if !exit.is_success() {
                return Err(self.unreadable(place, &exit));
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => odb.refresh().map_err(|error| git_failed(place, "reading the cache of the journal", &error)),
        }
    }

    /// Brings every ref whose name begins with `prefix` to the cache, under its own name, and lets those go that are gone. What a program
    /// says is not kept to any length, so that a list only tells whether there is anything to bring.
    pub(super) fn fetch_all(&self, place: &str, cache: &Repository, prefix: &str) -> Result<(), StoreError> {
        let all = format!("{prefix}*");
        let exit = self.run(&["ls-remote", "--quiet", "--", &self.reach.address, &all])?;
        if !exit.is_success() {
            return Err(self.unreadable(place, &exit));
        }
        let there: BTreeMap<&str, &str> =
            exit.stdout.lines().filter_map(|line| line.split_once('\t')).map(|(id, name)| (name, id)).collect();
        let failed = |error: git2::Error| git_failed(place, "listing refs", &error);
        let (busy, mut same) = (Busy::with(&self.cache), 0);
        for reference in cache.references_glob(&all).map_err(failed)? {
            let mut reference = reference.map_err(failed)?;
            let id = reference.target().map(|id| id.to_string());
            match reference.name().ok().and_then(|name| there.get(name)) {
                Some(at) => same += usize::from(id.as_deref() == Some(*at)),
                None if exit.truncated => {}
                None => reference.delete().map_err(failed)?,
            }
        }
        drop(busy);
        if same == there.len() && !exit.truncated {
            return Ok(());
        }
        let refspec = format!("+{all}:{all}");
        let arguments = ["fetch", "--quiet", "--prune", "--depth=1", "--no-filter", "--no-tags", "--no-write-fetch-head", "--"];
        let exit = self.run(&[&arguments[..], &[&self.reach.address, &refspec]].concat())?;
        if exit.is_success() { Ok(()) } else { Err(self.unreadable(place, &exit)) }
    }

    /// A push that is not forced is a compare-and-swap: the server takes it when the ref is what our commit stands on.
    pub(super) fn push(&self, place: &str, cache: &Repository, updates: &[Update<'_>]) -> Result<Pushed, StoreError> {
        let spec = |update: &Update<'_>| match (update.new, update.old) {
            (Some(new), Old::Just(_)) => format!("{new}:{}", update.reference),
            (Some(new), Old::Any) => format!("+{new}:{}", update.reference),
            (None, Old::Just(_) | Old::Any) => format!(":{}", update.reference),
        };
        let specs: Vec<String> = updates.iter().map(spec).collect();
        let mut arguments = vec!["push", "--quiet", "--porcelain", "--no-verify", "--", &self.reach.address];
        arguments.extend(specs.iter().map(String::as_str));
        let exit = self.run(&arguments)?;
        if !exit.is_success() {
            return self.not_pushed(place, &exit);
        }
        let _busy = Busy::with(&self.cache);
        for update in updates.iter().filter(|update| matches!(update.old, Old::Just(_))) {
            // So that the next fetch brings only what comes after it; it costs time when it fails, and nothing else.
            let _ = update.new.map(|new| cache.reference(SEEN, new, true, "isobar"));
        }
        Ok(Pushed::Done)
    }

    /// Greets the server as a push would, which asks whether we may.
    pub(super) fn may_push(&self, place: &str, cache: &Repository, reference: &str, tip: Tip) -> Result<(), StoreError> {
        let failed = |error: git2::Error| git_failed(place, "trying a push", &error);
        let commit = match tip {
            Some(tip) => tip,
            None => {
                let tree =
                    cache.treebuilder(None).and_then(|tree| tree.write()).and_then(|id| cache.find_tree(id)).map_err(failed)?;
                let who = git2::Signature::new("isobar", "isobar@localhost", &git2::Time::new(0, 0)).map_err(failed)?;
                cache.commit(None, &who, &who, "A journal without entries", &tree, &[]).map_err(failed)?
            }
        };
        let spec = format!("{commit}:{reference}");
        let exit = self.run(&["push", "--quiet", "--porcelain", "--no-verify", "--dry-run", "--", &self.reach.address, &spec])?;
        if exit.is_success() {
            return Ok(());
        }
        match self.not_pushed(place, &exit)? {
            Pushed::Done | Pushed::Lost(_) => Ok(()), // it was let in
            Pushed::Unsure(error) => Err(error),
        }
    }

    /// Runs git; again where it met a lock in the cache that may be a dead one's or is soon taken away.
    fn run(&self, arguments: &[&str]) -> Result<Exit, StoreError> {
        for _ in 0..LOCKED_MAX {
            let exit = self.run_once(arguments)?;
            if exit.is_success() || lock_in_the_way(&exit.stderr).is_none() {
                return Ok(exit);
            }
            std::thread::sleep(LOCKED_PAUSE);
            tidy(&self.cache);
        }
        self.run_once(arguments)
    }

    fn run_once(&self, arguments: &[&str]) -> Result<Exit, StoreError> {
        let argv: Vec<OsString> = std::iter::once(&"git").chain(arguments).map(OsString::from).collect();
        let env = self.reach.environment(&self.cache);
        let mask = |text: &str| self.reach.mask(text);
        let busy = Busy::with(&self.cache);
        let input = busy.as_ref().map(Busy::file);
        let command = Command { argv: &argv, env: &env, dir: &self.cache, deadline: DEADLINE, input, mask: &mask };
        let ran = tokio::runtime::Handle::current().block_on(process::run(command, pending()));
        ran.map_err(|failure| match failure.source.kind() {
            ErrorKind::NotFound => StoreError::Io {
                what: "the program git is not there, and the journal's repository is reached with it".into(),
                hint: Some("install git 2.31 or newer, or keep the journal in a directory: journal: file:DIR".into()),
            },
            _ => StoreError::Io {
                what: format!("{failure}: {}", failure.source),
                hint: Some("see whether git runs here at all (git --version), then run the same command again".into()),
            },
        })
    }

    fn unreadable(&self, place: &str, exit: &Exit) -> StoreError {
        if let Some(lock) = lock_in_the_way(&exit.stderr) {
            let lock = self.cache.join(lock); // git names it from there, or whole
            return StoreError::Io {
                what: format!("reading the journal at {place}: another git works in its cache: {}", lock.display()),
                hint: Some(format!(
                    "run the same command again; when no git works there any more, delete {}, which is only a cache",
                    self.cache.display()
                )),
            };
        }
        let hint = match exit.stderr.as_str() {
            said if is_unknown(said) => UNKNOWN,
            said if is_forbidden(said) => {
                "the journal is read from there: use credentials that may read it (on GitHub Actions GITHUB_TOKEN)"
            }
            _ => {
                "see whether the address is right and reachable (git ls-remote), then run the same command again; when it is gone \
                    and `journal:` still names it, name another place there first, and commit that"
            }
        };
        StoreError::Io { what: format!("reading the journal at {place}: {}", self.said(exit)), hint: Some(hint.into()) }
    }

    /// Tells a push that came too late from one that is not allowed, and from one whose end nobody knows.
    fn not_pushed(&self, place: &str, exit: &Exit) -> Result<Pushed, StoreError> {
        let refused = exit.stdout.lines().find(|line| line.starts_with('!'));
        let error = |hint: &str| StoreError::Io {
            what: format!("pushing the journal to {place}: {}", refused.map_or_else(|| self.said(exit), str::to_string)),
            hint: Some(hint.into()),
        };
        if refused.is_some_and(is_late) {
            return Ok(Pushed::Lost(None));
        }
        if refused.is_some_and(|line| line.contains("[remote rejected]")) {
            return Err(error(
                "the server does not take that ref: see its rules and hooks, or set another `journal:` in isobar.yaml",
            ));
        }
        let own: Vec<&str> = exit.stderr.lines().filter(|line| !line.starts_with("remote:")).collect(); // a hook may say anything
        match own.join("\n").as_str() {
            said if is_unknown(said) => Err(error(UNKNOWN)),
            said if is_forbidden(said) => Err(error(MAY_NOT_WRITE)),
            _ => {
                Ok(Pushed::Unsure(error("see whether the address is reachable (git ls-remote), then run the same command again")))
            }
        }
    }

    /// The last lines of what it said, or how it ended.
    fn said(&self, exit: &Exit) -> String {
        if exit.timed_out {
            return format!("git said nothing for {} s", DEADLINE.as_secs());
        }
        let lines: Vec<&str> = exit.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        match lines.as_slice() {
            [] => format!("git ended with {:?}", exit.code.or(exit.signal)),
            lines => lines[lines.len().saturating_sub(3)..].join("; "),
        }
    }
}

const UNKNOWN: &str = "give it credentials: GITHUB_TOKEN in the environment, git's own credential helper, or a key for ssh";

/// The ref is not what our commit stands on, or somebody is changing it.
fn is_late(line: &str) -> bool {
    [
        "fetch first",
        "non-fast-forward",
        "stale info",
        "failed to update ref",
        "cannot lock ref",
        "incorrect old value",
        "already exists",
    ]
    .iter()
    .any(|words| line.contains(words))
}

/// The lock of git's that stood in the way here; one at the server is told with `remote:` before it.
fn lock_in_the_way(said: &str) -> Option<&str> {
    let line = said.lines().find(|line| line.contains(".lock': File exists") && !line.starts_with("remote:"))?;
    let (_, path) = line.split_once("Unable to create '")?;
    path.split_once('\'').map(|(path, _)| path)
}

fn is_unknown(said: &str) -> bool {
    ["could not read Username", "could not read Password", "Authentication failed", "Permission denied (publickey", " 401"]
        .iter()
        .any(|words| said.contains(words))
}

fn is_forbidden(said: &str) -> bool {
    let said = said.to_lowercase();
    [" 403", "permission", "not granted", "denied", "read-only", "not authorized", "forbidden"]
        .iter()
        .any(|words| said.contains(words))
}
