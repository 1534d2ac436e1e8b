//! Where the contract tests keep journals, one line a store in [`places`], and what only they may do to one.

use super::{FileStore, GitSite, GitStore, Lease, Location, Store};
use crate::change::Key;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The journal in git where it is reached by the program, as if it were far away.
pub(super) const THROUGH_GIT: &str = "git through its program";

/// Opens what is in a directory, as another process would, and perhaps with a key.
type Open = fn(&Path, Option<&Key>) -> Arc<dyn Store>;

/// Where a store can keep its journal, and what only its own tests know how to do to it.
pub(super) struct Place {
    pub(super) name: &'static str,
    pub(super) dir: tempfile::TempDir,
    /// Opens it as another process would.
    pub(super) open: Open,
    /// A place that nobody may write to.
    unwritable: fn(Open) -> Arc<dyn Store>,
    /// Takes a lease from its living owner, as nobody should.
    pub(super) take_away: fn(&Path, &Lease),
    /// Changes a byte of what was written last.
    pub(super) damage: fn(&Path),
    /// Groups that each of many writers appends: enough to meet the others, and no more than a test may take.
    pub(super) groups: usize,
    /// What must be written to for an append, by whoever is not root.
    guarded: &'static [&'static str],
}

impl Place {
    fn new(name: &'static str, open: Open) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        git2::Repository::init_bare(dir.path().join("deep/origin.git")).expect("it has room");
        let guarded = &["origin.git/objects", "origin.git/refs", "origin.git/refs/isobar"];
        Self { name, dir, open, unwritable: unwritable_git, take_away: take_away_git, damage: damage_git, groups: 5, guarded }
    }

    pub(super) fn unwritable(&self) -> Arc<dyn Store> {
        (self.unwritable)(self.open)
    }

    pub(super) fn open(&self) -> Arc<dyn Store> {
        (self.open)(self.dir.path(), None)
    }

    /// Opens it as a process with this key would.
    pub(super) fn keyed(&self, key: &str) -> Arc<dyn Store> {
        (self.open)(self.dir.path(), Some(&Key::new(key.as_bytes())))
    }

    /// Starts one of the children below as a process of its own.
    pub(super) fn start(&self, child: &str, argument: &str) -> Child {
        let program = std::env::current_exe().expect("this test binary");
        let name = format!("store::cases::{child}");
        Command::new(program)
            .args([name.as_str(), "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env("ISOBAR_CHILD", format!("{}\n{}\n{argument}", self.name, self.dir.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit()) // what a child dies of is worth reading
            .spawn()
            .expect("the test binary starts again")
    }

    /// Every file below, with its size.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, u64> {
        let (mut files, mut dirs) = (BTreeMap::new(), vec![self.dir.path().to_path_buf()]);
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("it is there").flatten() {
                let meta = entry.metadata().expect("it is there");
                files.insert(entry.path(), meta.len());
                dirs.extend(meta.is_dir().then(|| entry.path()));
            }
        }
        files
    }

    pub(super) fn set_mode(&self, file: u32, dir: u32) {
        for path in self.guarded.iter().map(|path| self.dir.path().join("deep").join(path)).filter(|path| path.exists()) {
            let mode = if path.is_dir() { dir } else { file };
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        }
    }
}

pub(super) fn places() -> Vec<Place> {
    let file = Place {
        name: "file",
        dir: tempfile::tempdir().expect("a temporary directory"),
        open: open_file,
        unwritable: |_| Arc::new(FileStore::open(PathBuf::from("/sys/isobar-journal")).expect("nothing there")),
        take_away: take_away_file,
        damage: damage_file,
        groups: 20,
        guarded: &["journal", "journal/entries.jsonl", "journal/lock"],
    };
    let mut places = vec![file, Place::new("git", open_git)];
    if git_is_there() {
        places.push(Place::new(THROUGH_GIT, open_program));
    }
    places
}

/// The journals in git that are reached by `git` are not tested where there is none, unless `ISOBAR_REQUIRE` names it.
fn git_is_there() -> bool {
    let there = Command::new("git").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let required = std::env::var("ISOBAR_REQUIRE").unwrap_or_default();
    assert!(there || !required.split(',').any(|tool| tool == "git"), "git is required, and not there");
    there
}

fn open_file(dir: &Path, key: Option<&Key>) -> Arc<dyn Store> {
    Arc::new(FileStore::open(dir.join("deep/journal")).expect("a directory or nothing").sealed_by(key))
}

fn take_away_file(dir: &Path, lease: &Lease) {
    let epoch = lease.epochs.values().next().expect("a lease over something");
    fs::remove_file(dir.join(format!("deep/journal/leases/{epoch}.json"))).expect("its file");
}

fn damage_file(dir: &Path) {
    let path = dir.join("deep/journal/entries.jsonl");
    let mut bytes = fs::read(&path).expect("a journal");
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(path, bytes).expect("it is ours");
}

/// The bare repository in `deep/origin.git`, with what a clone of it would keep beside it.
pub(super) fn site(dir: &Path, location: Location) -> GitSite {
    GitSite {
        location,
        reference: "refs/isobar/journal".into(),
        cache: dir.join("deep/clone"),
        locks: dir.join("deep/state"),
        variables: std::env::vars().filter(|(name, _)| name == "PATH").collect(),
        settings: Vec::new(),
    }
}

fn open_git(dir: &Path, key: Option<&Key>) -> Arc<dyn Store> {
    Arc::new(GitStore::open(site(dir, Location::Disk(dir.join("deep/origin.git")))).sealed_by(key))
}

fn open_program(dir: &Path, key: Option<&Key>) -> Arc<dyn Store> {
    let address = format!("file://{}", dir.join("deep/origin.git").display());
    Arc::new(GitStore::open(site(dir, Location::Address(address.into()))).sealed_by(key))
}

/// An empty repository whose objects are where even root writes nothing.
fn unwritable_git(open: Open) -> Arc<dyn Store> {
    let dir = tempfile::Builder::new().prefix("isobar-journal").tempdir().expect("a temporary directory").keep();
    let objects = dir.join("deep/origin.git/objects");
    git2::Repository::init_bare(dir.join("deep/origin.git")).expect("it has room");
    fs::remove_dir_all(&objects).expect("it is ours");
    std::os::unix::fs::symlink("/sys/kernel", &objects).expect("it has room");
    open(&dir, None)
}

pub(super) fn tip(dir: &Path) -> (git2::Repository, git2::Oid) {
    let repository = git2::Repository::open_bare(dir.join("deep/origin.git")).expect("it was made");
    let tip = repository.refname_to_id("refs/isobar/journal").expect("something was written");
    (repository, tip)
}

fn take_away_git(dir: &Path, lease: &Lease) {
    let epoch = lease.epochs.values().next().expect("a lease over something");
    let (repository, tip) = tip(dir);
    let parent = repository.find_commit(tip).expect("a commit");
    let tree = parent.tree().expect("a tree");
    let mut update = git2::build::TreeUpdateBuilder::new();
    let tree = update.remove(format!("leases/{epoch}.json")).create_updated(&repository, &tree).expect("its file");
    let (tree, who) = (repository.find_tree(tree).expect("just written"), parent.author());
    repository.commit(Some("refs/isobar/journal"), &who, &who, "Taken", &tree, &[&parent]).expect("it has room");
}

fn damage_git(dir: &Path) {
    let (repository, tip) = tip(dir);
    let tree = repository.find_commit(tip).and_then(|commit| commit.tree()).expect("a tree");
    let mut files = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |_, entry| {
        files.extend(entry.name().ok().filter(|name| name.ends_with(".jsonl")).map(|_| entry.id().to_string()));
        git2::TreeWalkResult::Ok
    })
    .expect("it can be walked");
    let last = files.pop().expect("entries");
    let path = dir.join("deep/origin.git/objects").join(&last[..2]).join(&last[2..]);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("it is ours");
    let mut bytes = fs::read(&path).expect("a loose object");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it is ours");
    let _ = fs::remove_dir_all(dir.join("deep/clone")); // a clone that has no copy of it
}
