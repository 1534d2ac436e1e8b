//! Git: what files a commit, a merge or the dirty tree holds, and how commits follow each other. Knows no policy and not
//! what a region is. Everything is read from git objects; the working tree is looked at only for what is not committed.

mod scratch;

use crate::review::{CommitSha, PullRequest, User};
use crate::stack::{BlobId, Leaf, Listing, Mode, Source};
use git2::{ConfigLevel, ErrorCode, ObjectType, Oid, Repository, Status, StatusOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Commits that [`Workspace::first_parents`] walks at most.
const WALK_MAX: usize = 10_000;

/// Commits that [`Workspace::versions`] looks at, newest first: looking further would cost every command of an old monorepo.
const VERSIONS_WALK_MAX: usize = 2_000;

/// What git could not do, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct WorkspaceError {
    pub what: String,
    pub hint: Option<String>,
}

/// A repository and its working tree.
pub struct Workspace {
    root: PathBuf,
    repository: Mutex<Repository>,
    /// The same repository for merges: what they write stays in memory, as nobody asked to keep it.
    merges: Mutex<Repository>,
}

/// The files of one commit, one merge, or the working tree.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `None` for a merge made in memory and for a dirty tree.
    pub commit: Option<CommitSha>,
    pub listing: Listing,
    /// Paths that are not committed, sorted; empty for a commit.
    pub dirty: Vec<Arc<str>>,
    /// Bytes that are in no git object.
    loose: BTreeMap<Arc<str>, Arc<[u8]>>,
}

/// A head merged into its base.
pub enum Merged {
    Clean(Box<Snapshot>),
    /// The paths in conflict, sorted.
    Conflict(Vec<Arc<str>>),
}

impl Workspace {
    /// Opens the repository that holds `dir`.
    pub fn open(dir: &Path) -> Result<Self, WorkspaceError> {
        let repository = Repository::discover(dir).map_err(|error| cannot_open(dir, &error))?;
        let Some(root) = repository.workdir().map(Path::to_path_buf) else {
            return Err(WorkspaceError {
                what: format!("{} is a bare repository", dir.display()),
                hint: Some("use a checkout of it".into()),
            });
        };
        let merges = Repository::open(repository.path()).map_err(git("opening the repository again"))?;
        merges.odb().and_then(|odb| odb.add_new_mempack_backend(1_000).map(drop)).map_err(git("preparing the object store"))?;
        Ok(Self { root, repository: Mutex::new(repository), merges: Mutex::new(merges) })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

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

    /// Resolves `rev` to a commit.
    pub fn commit(&self, rev: &str) -> Result<CommitSha, WorkspaceError> {
        Ok(sha(find_commit(&self.lock(), rev)?.id()))
    }

    pub fn head(&self) -> Result<CommitSha, WorkspaceError> {
        self.commit("HEAD")
    }

    /// Returns the branch that is checked out; `None` when detached or unborn.
    pub fn branch(&self) -> Option<String> {
        let repository = self.lock();
        let head = repository.head().ok()?;
        head.is_branch().then(|| head.shorthand().ok().map(str::to_string)).flatten()
    }

    /// Returns the default branch: what `origin/HEAD` names, else `main`, else `master`, whichever exists; as a revision.
    pub fn default_branch(&self) -> Option<String> {
        let repository = self.lock();
        if let Ok(remote) = repository.find_reference("refs/remotes/origin/HEAD")
            && let Ok(Some(name)) = remote.symbolic_target()
            && let Some(branch) = name.strip_prefix("refs/remotes/origin/")
        {
            return Some(branch.to_string());
        }
        ["main", "master"]
            .into_iter()
            .find(|name| repository.find_branch(name, git2::BranchType::Local).is_ok())
            .map(str::to_string)
    }

    /// Returns the newest commit that both sides have.
    pub fn merge_base(&self, one: &CommitSha, other: &CommitSha) -> Result<CommitSha, WorkspaceError> {
        let repository = self.lock();
        let (one_id, other_id) = (find_commit(&repository, &one.0)?.id(), find_commit(&repository, &other.0)?.id());
        let base = repository.merge_base(one_id, other_id).map_err(|_| WorkspaceError {
            what: format!("{} and {} have no commit in common here", one.short(), other.short()),
            hint: repository
                .is_shallow()
                .then(|| "this clone is shallow: git fetch --deepen=200 (or fetch-depth: 0 in actions/checkout)".to_string()),
        })?;
        Ok(sha(base))
    }

    /// `old` is `new` or one of its ancestors.
    pub fn is_ancestor(&self, old: &CommitSha, new: &CommitSha) -> Result<bool, WorkspaceError> {
        if old == new {
            return Ok(true);
        }
        let repository = self.lock();
        let (old_id, new_id) = (find_commit(&repository, &old.0)?.id(), find_commit(&repository, &new.0)?.id());
        repository.graph_descendant_of(new_id, old_id).map_err(git("walking the history"))
    }

    /// Returns the commits of the first-parent line from `new` down to, not including, `old`; newest first. The whole line
    /// when `old` is `None` or not on it.
    pub fn first_parents(&self, old: Option<&CommitSha>, new: &CommitSha) -> Result<Vec<CommitSha>, WorkspaceError> {
        let repository = self.lock();
        let mut line = Vec::new();
        let mut next = Some(find_commit(&repository, &new.0)?);
        while let Some(commit) = next.take() {
            let id = sha(commit.id());
            if Some(&id) == old || line.len() == WALK_MAX {
                break;
            }
            line.push(id);
            next = commit.parent(0).ok();
        }
        Ok(line)
    }

    /// Returns every version of the file `path` that the newest commits up to `HEAD` hold, each as a snapshot of that file alone.
    pub fn versions(&self, path: &str) -> Result<Vec<Snapshot>, WorkspaceError> {
        let Ok(head) = self.head() else { return Ok(Vec::new()) };
        let repository = self.lock();
        let mut walk = repository.revwalk().map_err(git("walking the history"))?;
        walk.push(find_commit(&repository, &head.0)?.id()).map_err(git("walking the history"))?;
        let mut seen: BTreeSet<Oid> = BTreeSet::new();
        let mut found = Vec::new();
        for id in walk.take(VERSIONS_WALK_MAX) {
            let commit = id.and_then(|id| repository.find_commit(id)).map_err(git("walking the history"))?;
            let tree = commit.tree().map_err(git("reading the tree"))?;
            let Some(entry) = tree.get_name(path) else { continue };
            if seen.insert(entry.id()) {
                let leaf = Leaf { path: path.into(), mode: mode_of(entry.filemode()), id: BlobId(entry.id().to_string().into()) };
                let (commit, listing) = (Some(sha(commit.id())), Listing::new(vec![leaf]));
                found.push(Snapshot { commit, listing, dirty: Vec::new(), loose: BTreeMap::new() });
            }
        }
        Ok(found)
    }

    /// Returns the change since `base` up to `head`: the head's title and author, and everybody who wrote or committed in
    /// between; without a base everybody who ever did.
    pub fn people(&self, base: Option<&CommitSha>, head: &CommitSha) -> Result<PullRequest, WorkspaceError> {
        let (mut committers, title) = {
            let repository = self.lock();
            let found = find_commit(&repository, &head.0)?;
            (people(&found), found.summary().ok().flatten().unwrap_or_default().to_string())
        };
        for user in self.authors(base, &[head])? {
            if !committers.contains(&user) {
                committers.push(user);
            }
        }
        let author = committers.first().cloned().unwrap_or_else(|| User("unknown".into()));
        Ok(PullRequest { number: None, title, author, committers })
    }

    /// Returns everybody who wrote or committed what `tips` have and `base` has not; without a base everybody who ever did.
    /// Who cannot be known is an error: a name that is missing could be anybody's.
    pub fn authors(&self, base: Option<&CommitSha>, tips: &[&CommitSha]) -> Result<Vec<User>, WorkspaceError> {
        let repository = self.lock();
        let mut walk = repository.revwalk().map_err(git("walking the history"))?;
        for tip in tips {
            walk.push(find_commit(&repository, &tip.0)?.id()).map_err(git("walking the history"))?;
        }
        if let Some(base) = base {
            walk.hide(find_commit(&repository, &base.0)?.id()).map_err(git("walking the history"))?;
        }
        let cut = if repository.is_shallow() { shallow(&repository)? } else { String::new() };
        let mut found: BTreeSet<Arc<str>> = BTreeSet::new();
        for id in walk {
            let id = id.map_err(git("walking the history"))?;
            if cut.contains(&id.to_string()) {
                return Err(WorkspaceError {
                    what: format!("who wrote what is before {id} is not known here"),
                    hint: Some("this clone is shallow: git fetch --unshallow (or fetch-depth: 0 in actions/checkout)".into()),
                });
            }
            let commit = repository.find_commit(id).map_err(git("reading a commit"))?;
            found.extend(people(&commit).into_iter().map(|user| user.0));
        }
        Ok(found.into_iter().map(User).collect())
    }

    /// Returns the address of the remote `origin`, as git's configuration resolves it.
    pub fn origin(&self) -> Option<String> {
        let repository = self.lock();
        let origin = repository.find_remote("origin").ok()?;
        origin.url().ok().map(str::to_string)
    }

    /// Says whether older commits are missing here.
    pub fn is_shallow(&self) -> bool {
        self.lock().is_shallow()
    }

    /// Says whether this repository itself has the ref `name`.
    pub fn has_reference(&self, name: &str) -> bool {
        self.lock().find_reference(name).is_ok()
    }

    /// Returns the directory that all work trees of this repository share: `.git`, outside of any work tree.
    pub fn shared_dir(&self) -> PathBuf {
        self.lock().commondir().to_path_buf()
    }

    /// Returns what this repository's own configuration says, names and values.
    pub fn settings(&self) -> Vec<(String, String)> {
        let read = || -> Result<Vec<(String, String)>, git2::Error> {
            let config = self.lock().config()?;
            let (mut found, mut entries) = (Vec::new(), config.entries(None)?);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                if let (ConfigLevel::Local | ConfigLevel::Worktree, Ok(name), Ok(value)) =
                    (entry.level(), entry.name(), entry.value())
                {
                    found.push((name.to_string(), value.to_string()));
                }
            }
            Ok(found)
        };
        read().unwrap_or_default()
    }

    /// Returns who works here, as git's configuration says: names that may not approve their own change.
    pub fn operator(&self) -> Option<User> {
        let repository = self.lock();
        let signature = repository.signature().ok()?;
        signature.name().ok().map(|name| User(name.into()))
    }

    fn lock(&self) -> MutexGuard<'_, Repository> {
        locked(&self.repository)
    }
}

fn locked(repository: &Mutex<Repository>) -> MutexGuard<'_, Repository> {
    repository.lock().unwrap_or_else(std::sync::PoisonError::into_inner) // git2 keeps no half-made state
}

/// The ids of the commits at which a shallow clone ends, one a line.
fn shallow(repository: &Repository) -> Result<String, WorkspaceError> {
    let path = repository.commondir().join("shallow");
    std::fs::read_to_string(&path)
        .map_err(|error| WorkspaceError { what: format!("reading {}: {error}", path.display()), hint: None })
}

/// Author, committer and co-authors, each by name and by the local part of the address.
fn people(commit: &git2::Commit<'_>) -> Vec<User> {
    let mut names = Vec::new();
    for signature in [commit.author(), commit.committer()] {
        let login = signature.email().ok().and_then(|email| email.split('@').next()).map(str::to_string);
        names.extend(signature.name().ok().map(str::to_string).into_iter().chain(login).map(|name| User(name.into())));
    }
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let trailers = git2::message_trailers_strs(&message);
    let authors = trailers.iter().flat_map(git2::MessageTrailersStrs::iter);
    for (_, author) in authors.filter(|(key, _)| key.eq_ignore_ascii_case("co-authored-by")) {
        let (name, email) = author.split_once('<').unwrap_or((author, ""));
        let names_of = [Some(name), email.split('@').next()].into_iter().flatten().map(str::trim);
        names.extend(names_of.filter(|name| !name.is_empty()).map(|name| User(name.into())));
    }
    names
}

fn find_commit<'a>(repository: &'a Repository, rev: &str) -> Result<git2::Commit<'a>, WorkspaceError> {
    let found = repository.revparse_single(rev).and_then(|object| object.peel_to_commit());
    found.map_err(|error| WorkspaceError {
        what: format!("no commit {rev:?} in this repository: {}", error.message()),
        hint: match (error.code(), rev) {
            (_, "HEAD") => Some("nothing is committed yet: git add -A && git commit -m \"First fleet\"".into()),
            _ if repository.is_shallow() => {
                Some("this clone is shallow: git fetch --deepen=200 (or fetch-depth: 0 in actions/checkout)".into())
            }
            _ => None,
        },
    })
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

/// The kinds of tree entries, see git-fast-import(1).
fn mode_of(mode: i32) -> Mode {
    match mode {
        0o100_755 => Mode::Executable,
        0o120_000 => Mode::Symlink,
        0o160_000 => Mode::Submodule,
        _ => Mode::File,
    }
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

fn sha(id: Oid) -> CommitSha {
    CommitSha(id.to_string().into())
}

fn git(doing: &'static str) -> impl Fn(git2::Error) -> WorkspaceError {
    move |error| WorkspaceError { what: format!("{doing}: {}", error.message()), hint: None }
}

fn cannot_open(dir: &Path, error: &git2::Error) -> WorkspaceError {
    let hint = match error.code() {
        ErrorCode::NotFound => Some("isobar works in a git repository: git init".into()),
        ErrorCode::Owner => {
            Some(format!("the repository belongs to another user: git config --global --add safe.directory {}", dir.display()))
        }
        _ => None,
    };
    WorkspaceError { what: format!("opening the repository at {}: {}", dir.display(), error.message()), hint }
}

fn missing_object(path: &str, error: &git2::Error) -> WorkspaceError {
    WorkspaceError {
        what: format!("reading {path}: {}", error.message()),
        hint: Some("a blobless or shallow clone lacks objects: git fetch --refetch --no-filter".into()),
    }
}
