//! The files of a commit, of a merge made in memory, or of the working tree.

use super::object::{find_commit, mode_of};
use super::{Merged, Snapshot, Workspace, WorkspaceError, git, locked, sha};
use crate::review::CommitSha;
use crate::stack::{BlobId, Leaf, Listing, Mode, Source};
use git2::{ObjectType, Oid, Repository, Status, StatusOptions};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

impl Workspace {
    /// Returns the files of commit `rev`.
    pub fn at(&self, rev: &str) -> Result<Snapshot, WorkspaceError> {
        let repository = self.lock();
        let commit = find_commit(&repository, rev)?;
        let mut found = Found::default();
        let tree = commit.tree().map_err(git("reading the tree"))?;
        list(&repository, &tree, b"", &mut found)?;
        Ok(Snapshot { commit: Some(sha(commit.id())), listing: found.listing(), dirty: Vec::new(), loose: BTreeMap::new() })
    }

    /// Returns the working tree: `HEAD` and what is not committed, without ignored files and what is under `except`.
    pub fn worktree(&self, except: &[String]) -> Result<Snapshot, WorkspaceError> {
        let dirty = self.status(except)?;
        let mut snapshot = match self.head() {
            Ok(head) => self.at(&head.0)?,
            Err(_) => Snapshot { commit: None, listing: Listing::default(), dirty: Vec::new(), loose: BTreeMap::new() },
        };
        if dirty.is_empty() {
            return Ok(snapshot);
        }
        let mut leaves: BTreeMap<Arc<str>, Leaf> =
            snapshot.listing.leaves().iter().map(|leaf| (leaf.path.clone(), leaf.clone())).collect();
        let mut misnamed = snapshot.listing.misnamed().clone();
        for (path, raw) in &dirty {
            leaves.remove(path);
            misnamed.remove(path);
            if let Some((mode, bytes)) = read_loose(&self.root.join(OsStr::from_bytes(raw)))? {
                let id = Oid::hash_object(ObjectType::Blob, &bytes).map_err(git("hashing a file"))?;
                leaves.insert(path.clone(), Leaf { path: path.clone(), mode, id: BlobId(id.to_string().into()) });
                snapshot.loose.insert(path.clone(), bytes.into());
                misnamed.extend(std::str::from_utf8(raw).is_err().then(|| path.clone()));
            }
        }
        snapshot.listing = Listing::new(leaves.into_values().collect()).with_misnamed(misnamed);
        snapshot.commit = None;
        snapshot.dirty = dirty.into_keys().collect();
        Ok(snapshot)
    }

    /// Returns what is not committed: staged, edited, deleted, renamed and untracked, without ignored files and what is under
    /// `except`; sorted.
    pub fn dirty(&self, except: &[String]) -> Result<Vec<Arc<str>>, WorkspaceError> {
        Ok(self.status(except)?.into_keys().collect())
    }

    /// Like [`Workspace::dirty`], with the bytes that each path is made of.
    fn status(&self, except: &[String]) -> Result<BTreeMap<Arc<str>, Vec<u8>>, WorkspaceError> {
        let repository = self.lock();
        let mut options = StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false).exclude_submodules(true);
        let statuses = repository.statuses(Some(&mut options)).map_err(git("reading the state of the working tree"))?;
        let changed =
            statuses.iter().filter(|entry| entry.status() != Status::CURRENT && !entry.status().contains(Status::IGNORED));
        let paths = changed.map(|entry| (lossy(entry.path_bytes()), entry.path_bytes().to_vec()));
        let excepted = |path: &str| {
            except.iter().any(|dir| path.strip_prefix(dir.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        };
        Ok(paths.filter(|(path, _)| !excepted(path)).collect())
    }

    /// Returns `head` merged into `base`, in memory: what the default branch would hold.
    pub fn merged(&self, base: &CommitSha, head: &CommitSha) -> Result<Merged, WorkspaceError> {
        if self.is_ancestor(base, head)? {
            return Ok(Merged::Clean(Box::new(self.at(&head.0)?)));
        }
        let repository = locked(&self.merges);
        let (ours, theirs) = (find_commit(&repository, &base.0)?, find_commit(&repository, &head.0)?);
        let index = repository.merge_commits(&ours, &theirs, None).map_err(git("merging the head into its base"))?;
        if index.has_conflicts() {
            return Ok(Merged::Conflict(conflicts(&index)?));
        }
        let mut found = Found::default();
        index.iter().for_each(|entry| found.add(&entry.path, mode_of(entry.mode as i32), entry.id));
        let snapshot = Snapshot { commit: None, listing: found.listing(), dirty: Vec::new(), loose: BTreeMap::new() };
        Ok(Merged::Clean(Box::new(snapshot)))
    }

    /// Reads one file of a snapshot; `None` when it has no such path.
    pub fn read(&self, snapshot: &Snapshot, path: &str) -> Result<Option<Source>, WorkspaceError> {
        let Some(leaf) = snapshot.listing.get(path) else { return Ok(None) };
        let bytes: Arc<[u8]> = match (snapshot.loose.get(path), leaf.mode) {
            (Some(bytes), _) => bytes.clone(),
            (None, Mode::Submodule) => Arc::from([]),
            (None, Mode::File | Mode::Executable | Mode::Symlink) => {
                let id = Oid::from_str(&leaf.id.0).map_err(git("reading an object id"))?;
                let content = |repository: &Repository| repository.find_blob(id).map(|blob| Arc::from(blob.content()));
                let found = content(&self.lock()).or_else(|_| content(&locked(&self.merges)));
                found.map_err(|error| missing_object(path, &error))?
            }
        };
        Ok(Some(Source { path: leaf.path.clone(), mode: leaf.mode, bytes }))
    }

    /// Returns how many bytes a file of a snapshot has, without reading them.
    pub(super) fn size(&self, snapshot: &Snapshot, leaf: &Leaf) -> Result<usize, WorkspaceError> {
        if let Some(bytes) = snapshot.loose.get(&leaf.path) {
            return Ok(bytes.len());
        }
        let id = Oid::from_str(&leaf.id.0).map_err(git("reading an object id"))?;
        let header = |repository: &Repository| repository.odb().and_then(|odb| odb.read_header(id)).map(|(size, _)| size);
        let found = header(&self.lock()).or_else(|_| header(&locked(&self.merges)));
        found.map_err(|error| missing_object(&leaf.path, &error))
    }
}

/// The files of a tree, being listed.
#[derive(Default)]
struct Found {
    leaves: Vec<Leaf>,
    misnamed: Vec<Arc<str>>,
}

impl Found {
    fn add(&mut self, raw: &[u8], mode: Mode, id: Oid) {
        let path = lossy(raw);
        if std::str::from_utf8(raw).is_err() {
            self.misnamed.push(path.clone());
        }
        self.leaves.push(Leaf { path, mode, id: BlobId(id.to_string().into()) });
    }

    fn listing(self) -> Listing {
        Listing::new(self.leaves).with_misnamed(self.misnamed)
    }
}

fn lossy(path: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(path).into()
}

fn list(repository: &Repository, tree: &git2::Tree<'_>, prefix: &[u8], found: &mut Found) -> Result<(), WorkspaceError> {
    for entry in tree {
        let name = entry.name_bytes();
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, name].join(&b'/') };
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let below = repository.find_tree(entry.id()).map_err(git("reading a tree"))?;
                list(repository, &below, &path, found)?;
            }
            _ => found.add(&path, mode_of(entry.filemode()), entry.id()),
        }
    }
    Ok(())
}

fn read_loose(path: &Path) -> Result<Option<(Mode, Vec<u8>)>, WorkspaceError> {
    use std::os::unix::{ffi::OsStringExt as _, fs::PermissionsExt as _};
    let failed = |error: std::io::Error| WorkspaceError { what: format!("reading {}: {error}", path.display()), hint: None };
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if meta.is_symlink() {
        let target = std::fs::read_link(path).map_err(failed)?;
        return Ok(Some((Mode::Symlink, target.into_os_string().into_vec())));
    }
    if !meta.is_file() {
        return Ok(None);
    }
    let mode = if meta.permissions().mode() & 0o111 == 0 { Mode::File } else { Mode::Executable };
    Ok(Some((mode, std::fs::read(path).map_err(failed)?)))
}

fn conflicts(index: &git2::Index) -> Result<Vec<Arc<str>>, WorkspaceError> {
    let found = index.conflicts().map_err(git("reading the conflicts"))?;
    let path = |conflict: git2::IndexConflict| conflict.our.or(conflict.their).or(conflict.ancestor).map(|entry| entry.path);
    let mut paths: Vec<Arc<str>> = found.flatten().filter_map(path).map(|path| lossy(&path)).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn missing_object(path: &str, error: &git2::Error) -> WorkspaceError {
    WorkspaceError {
        what: format!("reading {path}: {}", error.message()),
        hint: Some("a blobless or shallow clone lacks objects: git fetch --refetch --no-filter".into()),
    }
}
