//! A program of a commit, laid out where it can be run, with what lies beside it. The working tree has no say in it.

use super::{Snapshot, Workspace, WorkspaceError};
use crate::stack::{Leaf, Mode};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};
use tempfile::TempDir;

/// Files that are laid out with a program at most: a directory with more was not made for one.
const FILES_MAX: usize = 1_000;
/// Bytes of all of them at most.
const BYTES_MAX: usize = 64 * 1024 * 1024;

impl Workspace {
    /// Returns the program `path` of a snapshot and the files it comes with: those of its directory and below. At the root these are
    /// only the files beside it, as all that is below is the whole repository. Links are left out: they may lead anywhere.
    pub fn program(&self, snapshot: &Snapshot, path: &str) -> Result<Vec<Leaf>, WorkspaceError> {
        let at = snapshot.commit.as_ref().map_or("the repository", |commit| commit.short());
        let failed = |what: String, hint: String| Err(WorkspaceError { what, hint: Some(hint) });
        match snapshot.listing.get(path).map(|leaf| leaf.mode) {
            Some(Mode::Executable) => {}
            Some(Mode::File) => {
                let hint = format!("chmod +x {path}, and commit it");
                return failed(format!("the gate's program {path:?} may not be run as it is in {at}"), hint);
            }
            Some(Mode::Symlink | Mode::Submodule) => {
                return failed(format!("the gate's program {path:?} is a link in {at}"), "name the program itself".into());
            }
            None => {
                let hint = format!("commit {path} before the change that it guards, or name a program that is installed");
                return failed(format!("the gate's program {path:?} is not in {at}"), hint);
            }
        }
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let is_beside = |leaf: &&Leaf| !dir.is_empty() || !leaf.path.contains('/');
        let is_inside = |leaf: &Leaf| Path::new(&*leaf.path).components().all(|part| matches!(part, Component::Normal(_)));
        let is_file = |leaf: &&Leaf| matches!(leaf.mode, Mode::File | Mode::Executable) && is_inside(leaf);
        let found: Vec<Leaf> =
            snapshot.listing.under(dir).iter().filter(is_beside).filter(is_file).take(FILES_MAX + 1).cloned().collect();
        let own = || "give it a directory of its own".to_string();
        if found.len() > FILES_MAX {
            return failed(format!("more than {FILES_MAX} files lie beside {path:?} in {at}"), own());
        }
        let mut bytes = 0;
        for leaf in &found {
            bytes += self.size(snapshot, leaf)?;
        }
        match bytes > BYTES_MAX {
            true => {
                failed(format!("{path:?} and what lies beside it in {at} are more than {} MiB", BYTES_MAX / 1024 / 1024), own())
            }
            false => Ok(found),
        }
    }

    /// Writes files of a snapshot, each at its path below a new directory in `place` that only we can read; it is removed with what
    /// is returned.
    pub fn lay_out(&self, snapshot: &Snapshot, files: &[Leaf], place: &Path) -> Result<TempDir, WorkspaceError> {
        let failed = |error: io::Error| WorkspaceError {
            what: format!("laying out a program in {}: {error}", place.display()),
            hint: Some("TMPDIR says where".into()),
        };
        let dir = tempfile::Builder::new().prefix("isobar-gate-").tempdir_in(place).map_err(failed)?;
        for leaf in files {
            let Some(source) = self.read(snapshot, &leaf.path)? else { continue };
            let at = dir.path().join(&*leaf.path);
            at.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&at, &source.bytes)).map_err(failed)?;
            let mode = if leaf.mode == Mode::Executable { 0o700 } else { 0o600 };
            fs::set_permissions(&at, fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        Ok(dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::{FileMode, Repository, Signature};

    #[test]
    fn files_that_are_too_many_bytes_are_told_before_any_is_laid_out() {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let repository = Repository::init(dir.path()).expect("the directory is new");
        let (program, mebibyte) = (repository.blob(b"#!/bin/sh\n"), repository.blob(&vec![0; 1024 * 1024]));
        let (program, mebibyte) = (program.expect("it has room"), mebibyte.expect("it has room"));
        let commit = |mebibytes: usize| {
            let mut update = git2::build::TreeUpdateBuilder::new();
            update.upsert("ops/smoke", program, FileMode::BlobExecutable);
            for number in 0..mebibytes {
                update.upsert(format!("ops/{number}"), mebibyte, FileMode::Blob);
            }
            let empty = repository.treebuilder(None).and_then(|tree| tree.write()).and_then(|id| repository.find_tree(id));
            let tree = update.create_updated(&repository, &empty.expect("a tree")).and_then(|id| repository.find_tree(id));
            let who = Signature::now("ann", "ann@isobar.example").expect("a name");
            repository.commit(None, &who, &who, "Files", &tree.expect("a tree"), &[]).expect("it has room").to_string()
        };
        let (fits, is_more) = (commit(63), commit(64));
        let workspace = Workspace::open(dir.path()).expect("a repository");
        let files = |commit: &str| workspace.at(commit).and_then(|snapshot| workspace.program(&snapshot, "ops/smoke"));
        assert_eq!(files(&fits).map(|files| files.len()), Ok(64));
        let told = files(&is_more).expect_err("64 MiB and a program");
        assert!(told.what.contains("more than 64 MiB"), "{}", told.what);
    }
}
