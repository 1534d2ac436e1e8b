//! The way to the repository that holds the ref: straight, where it lies on a disk of this machine, or through the program `git`.
//! Knows refs and objects; not what they hold.

use super::fault::{MAY_NOT_WRITE, git_failed};
use super::program::Program;
use super::refs;
use super::tip::{Pushed, Tip, Update, find};
use crate::store::StoreError;
use git2::{ConfigLevel, Oid, Repository};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The way, and where it leads.
pub(super) enum Wire {
    Disk(PathBuf),
    Program(Program),
}

impl Wire {
    /// Opens the repository in which the objects are read.
    pub(super) fn objects(&self, place: &str) -> Result<Repository, StoreError> {
        match self {
            Self::Disk(dir) => {
                Repository::open(dir).map_err(|error| git_failed(place, "opening the journal's repository", &error))
            }
            Self::Program(program) => program.cache(place),
        }
    }

    /// The same for writing: what is written into a repository that others count on survives a power cut.
    pub(super) fn durable_objects(&self, place: &str, cache: &Path) -> Result<Repository, StoreError> {
        let repository = self.objects(place)?;
        match self {
            Self::Disk(_) => durable(&repository, cache).map_err(|error| git_failed(place, "preparing to write", &error))?,
            Self::Program(_) => {} // a cache: what counts is what the server took
        }
        Ok(repository)
    }

    /// Looks where the ref is, and brings here what is needed to read it.
    pub(super) fn look(&self, place: &str, repository: &Repository, reference: &str, known: Tip) -> Result<Tip, StoreError> {
        match self {
            Self::Disk(_) => find(place, repository, reference),
            Self::Program(program) => program.look(place, repository, reference, known),
        }
    }

    /// Brings blobs here that a look left where they are.
    pub(super) fn bring(&self, place: &str, repository: &Repository, blobs: &[Oid]) -> Result<(), StoreError> {
        match self {
            Self::Disk(_) => Ok(()),
            Self::Program(program) => program.bring(place, repository, blobs),
        }
    }

    /// Changes refs. All of `updates` that must be something now are one.
    pub(super) fn push(&self, place: &str, repository: &Repository, updates: &[Update<'_>]) -> Result<Pushed, StoreError> {
        match self {
            Self::Disk(_) => {
                for update in updates {
                    match refs::change(repository, update) {
                        Ok(()) => {}
                        Err(error) if refs::is_lost(&error) => {
                            return Ok(Pushed::Lost(refs::lock_in_the_way(repository, update.reference, &error)));
                        }
                        Err(error) => return Err(git_failed(place, "changing the ref", &error)),
                    }
                }
                Ok(Pushed::Done)
            }
            Self::Program(program) => program.push(place, repository, updates),
        }
    }

    /// Lists the refs whose names begin with `prefix`, with their objects here.
    pub(super) fn list(&self, place: &str, repository: &Repository, prefix: &str) -> Result<BTreeMap<String, Oid>, StoreError> {
        if let Self::Program(program) = self {
            program.fetch_all(place, repository, prefix)?;
        }
        let failed = |error: git2::Error| git_failed(place, "listing refs", &error);
        let mut found = BTreeMap::new();
        for reference in repository.references_glob(&format!("{prefix}*")).map_err(failed)? {
            let reference = reference.map_err(failed)?;
            if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
                found.insert(name.to_string(), target);
            }
        }
        Ok(found)
    }

    /// Asks whether a push would be let in, without one.
    pub(super) fn may_push(&self, place: &str, repository: &Repository, reference: &str, tip: Tip) -> Result<(), StoreError> {
        match self {
            Self::Disk(_) => [repository.path().join("objects"), repository.path().to_path_buf()].iter().try_for_each(|dir| {
                tempfile::tempfile_in(dir).map(drop).map_err(|error| StoreError::Io {
                    what: format!("writing to the journal at {place}: {}: {error}", dir.display()),
                    hint: Some(MAY_NOT_WRITE.into()),
                })
            }),
            Self::Program(program) => program.may_push(place, repository, reference, tip),
        }
    }
}

/// What the configuration of [`durable`] says.
const DURABLE: &str = "[core]\n\tfsyncObjectFiles = true\n";

/// Has objects and refs synced to disk, whatever the repository's own configuration says, for this handle alone. A file that a kill left
/// half written is written again: in place and over what is there, so that several who write it at once write the same, and who is killed
/// leaves no other file.
fn durable(repository: &Repository, cache: &Path) -> Result<(), git2::Error> {
    let file = cache.join("durable.config");
    let is_there = std::fs::read(&file).is_ok_and(|bytes| bytes == DURABLE.as_bytes());
    let write = || {
        std::fs::create_dir_all(cache)?;
        let open = || std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&file);
        let mut there = open().or_else(|_| std::fs::remove_file(&file).and_then(|()| open()))?; // it may be another user's
        there.write_all(DURABLE.as_bytes()).and_then(|()| there.set_len(DURABLE.len() as u64))
    };
    let written = if is_there { Ok(()) } else { write() };
    written.map_err(|error| git2::Error::from_str(&format!("writing {}: {error}", file.display())))?;
    repository.config()?.add_file(&file, ConfigLevel::App, true)
}
