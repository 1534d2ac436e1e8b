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
        match found.len() > FILES_MAX {
            true => failed(
                format!("more than {FILES_MAX} files lie beside {path:?} in {at}"),
                "give it a directory of its own".into(),
            ),
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
        let mut bytes = 0;
        for leaf in files {
            let Some(source) = self.read(snapshot, &leaf.path)? else { continue };
            bytes += source.bytes.len();
            if bytes > BYTES_MAX {
                let what = format!("the files beside a program are more than {} MiB", BYTES_MAX / 1024 / 1024);
                return Err(WorkspaceError { what, hint: Some("give it a directory of its own".into()) });
            }
            let at = dir.path().join(&*leaf.path);
            at.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&at, &source.bytes)).map_err(failed)?;
            let mode = if leaf.mode == Mode::Executable { 0o700 } else { 0o600 };
            fs::set_permissions(&at, fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        Ok(dir)
    }
}
