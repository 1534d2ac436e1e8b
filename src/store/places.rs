//! Where the contract tests keep journals, one line a store in [`places`], and what only they may do to one.

use super::{Anew, FileStore, GitSite, GitStore, Lease, Location, ObjectSite, ObjectStore, Store};
use crate::bucket::cloud::{Cloud, clouds, google, google_server};
use crate::bucket::{Access, Address, Bucket, Buckets, Fault};
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
    /// Takes the right to write away, and gives it back.
    pub(super) forbid: Forbid,
}

/// How the right to write is taken away.
pub(super) enum Forbid {
    /// From whoever is not root: what must be written to for an append.
    Modes(&'static [&'static str]),
    /// The server refuses, if it is told to: the place, and whether.
    Server(fn(&Path, bool)),
    /// An emulator that knows no rights.
    Never,
}

impl Place {
    fn new(name: &'static str, open: Open) -> Self {
        let dir = crate::scratch::dir();
        git2::Repository::init_bare(dir.path().join("deep/origin.git")).expect("it has room");
        let forbid = Forbid::Modes(&["origin.git/objects", "origin.git/refs", "origin.git/refs/isobar"]);
        Self { name, dir, open, unwritable: unwritable_git, take_away: take_away_git, damage: damage_git, groups: 5, forbid }
    }

    /// What a bucket needs to be found again stands in a file: other processes must reach the same emulator.
    fn in_bucket(cloud: &Cloud) -> Self {
        let dir = crate::scratch::dir();
        fs::create_dir(dir.path().join("deep")).expect("it has room");
        let prefix = dir.path().file_name().expect("it has a name").to_string_lossy().trim_start_matches('.').to_string();
        let mut lines = vec![format!("{}/journals/{prefix}", cloud.url)];
        lines.extend(cloud.variables.iter().map(|(name, value)| format!("{name}={value}")));
        fs::write(dir.path().join("deep/cloud"), lines.join("\n")).expect("it has room");
        Self {
            name: cloud.name,
            dir,
            open: open_bucket,
            unwritable: unwritable_bucket,
            take_away: take_away_bucket,
            damage: damage_bucket,
            groups: 2,
            forbid: if cloud.name == "gs" { Forbid::Server(forbid_bucket) } else { Forbid::Never },
        }
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

    /// Takes the right to write away, or gives it back; false where nobody can.
    pub(super) fn set_writable(&self, is_writable: bool) -> bool {
        let guarded = match self.forbid {
            Forbid::Modes(_) if rustix::process::geteuid().is_root() => return false, // root loses no rights
            Forbid::Modes(guarded) => guarded,
            Forbid::Server(forbid) => {
                forbid(self.dir.path(), !is_writable);
                return true;
            }
            Forbid::Never => return false,
        };
        for path in guarded.iter().map(|path| self.dir.path().join("deep").join(path)).filter(|path| path.exists()) {
            let mode = match (path.is_dir(), is_writable) {
                (true, true) => 0o755,
                (true, false) => 0o555,
                (false, true) => 0o644,
                (false, false) => 0o444,
            };
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        }
        true
    }
}

pub(super) fn places() -> Vec<Place> {
    let mut places = vec![in_file(), in_git()];
    if git_is_there() {
        places.push(Place::new(THROUGH_GIT, open_program));
    }
    places.extend(clouds().iter().map(Place::in_bucket));
    places
}

pub(super) fn in_file() -> Place {
    Place {
        name: "file",
        dir: crate::scratch::dir(),
        open: open_file,
        unwritable: |_| Arc::new(FileStore::open(PathBuf::from("/sys/isobar-journal")).expect("nothing there")),
        take_away: take_away_file,
        damage: damage_file,
        groups: 20,
        forbid: Forbid::Modes(&["journal", "journal/entries.jsonl", "journal/lock"]),
    }
}

pub(super) fn in_git() -> Place {
    Place::new("git", open_git)
}

/// In a bucket of our own server, which is always there.
pub(super) fn in_google() -> Place {
    Place::in_bucket(&google())
}

/// Opens the place of that name, made by another process.
pub(super) fn open(name: &str, dir: &Path) -> Arc<dyn Store> {
    match name {
        "file" => open_file(dir, None),
        "git" => open_git(dir, None),
        THROUGH_GIT => open_program(dir, None),
        _ => open_bucket(dir, None),
    }
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
        anew: Anew::Unasked,
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

/// Only our own server can be told to refuse; what is refused is told alike by all.
fn unwritable_bucket(_: Open) -> Arc<dyn Store> {
    google_server().forbid("isobar-journal", true);
    let address = Address::parse("gs://isobar-tests/isobar-journal").expect("a scheme of ours").expect("a name");
    let cloud = google();
    let buckets = Buckets::new(Access::of(|name| cloud.variables.get(name).map(String::as_str)));
    let locks = std::env::temp_dir().join("isobar-journal-locks");
    Arc::new(ObjectStore::open(ObjectSite { address, buckets, locks }).expect("it asks nobody"))
}

/// The URL of the journal, and what reaches its service.
pub(super) fn in_cloud(dir: &Path) -> (String, Buckets) {
    let text = fs::read_to_string(dir.join("deep/cloud")).expect("the place was made");
    let (url, lines) = text.split_once('\n').expect("a URL and variables");
    let variables: BTreeMap<&str, &str> = lines.lines().filter_map(|line| line.split_once('=')).collect();
    (url.into(), Buckets::new(Access::of(|name| variables.get(name).copied())))
}

fn open_bucket(dir: &Path, key: Option<&Key>) -> Arc<dyn Store> {
    let (url, buckets) = in_cloud(dir);
    let address = Address::parse(&url).expect("a scheme of ours").expect("a name");
    let site = ObjectSite { address, buckets, locks: dir.join("deep/state") };
    Arc::new(ObjectStore::open(site).expect("it asks nobody").sealed_by(key))
}

fn forbid_bucket(dir: &Path, is_forbidden: bool) {
    let url = in_cloud(dir).0;
    google_server().forbid(url.strip_prefix("gs://isobar-tests/").expect("its bucket"), is_forbidden);
}

/// Does something to a bucket, as somebody else would, beside whoever waits.
pub(super) fn meddle<T: Send>(dir: &Path, work: impl AsyncFnOnce(Bucket, String) -> T + Send) -> T {
    let (url, buckets) = in_cloud(dir);
    let address = Address::parse(&url).expect("a scheme of ours").expect("a name");
    let bucket = buckets.open(&address.container).expect("it asks nobody");
    std::thread::scope(|scope| {
        let own = || tokio::runtime::Runtime::new().expect("a runtime").block_on(work(bucket, address.prefix.to_string()));
        scope.spawn(own).join().expect("it ends")
    })
}

/// The last page, by its number and text.
pub(super) async fn last_page(bucket: &Bucket, prefix: &str) -> (u64, String) {
    let mut last = (0, String::new());
    while let Some(page) = bucket.get(&format!("{prefix}/pages/{:012}.jsonl", last.0 + 1), 1 << 20).await.expect("readable") {
        last = (last.0 + 1, String::from_utf8(page.bytes).expect("a text"));
    }
    last
}

/// Others may write meanwhile.
fn take_away_bucket(dir: &Path, lease: &Lease) {
    let epoch = *lease.epochs.values().next().expect("a lease over something");
    meddle(dir, async move |bucket, prefix| {
        loop {
            let (number, text) = last_page(&bucket, &prefix).await;
            let after = crate::change::Digest::of_bytes(text.as_bytes());
            let page = serde_json::json!({ "schema": 1, "page": number + 1, "after": after, "ended": [epoch] });
            let key = format!("{prefix}/pages/{:012}.jsonl", number + 1);
            match bucket.put(&key, format!("{page}\n").as_bytes(), None).await {
                Ok(_) => return,
                Err(Fault::Moved(_)) => {}
                Err(fault) => panic!("{fault:?}"),
            }
        }
    });
}

fn damage_bucket(dir: &Path) {
    meddle(dir, async move |bucket, prefix| {
        let key = format!("{prefix}/pages/{:012}.jsonl", last_page(&bucket, &prefix).await.0);
        let mut page = bucket.get(&key, 1 << 20).await.expect("readable").expect("it was just read");
        let last = page.bytes.len() - 20;
        page.bytes[last] ^= 1;
        bucket.put(&key, &page.bytes, Some(&page.version)).await.expect("it is ours");
    });
}

pub(super) fn tip(dir: &Path) -> (git2::Repository, git2::Oid) {
    let repository = git2::Repository::open_bare(dir.join("deep/origin.git")).expect("it was made");
    let tip = repository.refname_to_id("refs/isobar/journal").expect("something was written");
    (repository, tip)
}

/// Others may write meanwhile.
fn take_away_git(dir: &Path, lease: &Lease) {
    let epoch = lease.epochs.values().next().expect("a lease over something");
    loop {
        let (repository, tip) = tip(dir);
        let parent = repository.find_commit(tip).expect("a commit");
        let tree = parent.tree().expect("a tree");
        let mut update = git2::build::TreeUpdateBuilder::new();
        let tree = update.remove(format!("leases/{epoch}.json")).create_updated(&repository, &tree).expect("its file");
        let (tree, who) = (repository.find_tree(tree).expect("just written"), parent.author());
        let commit = repository.commit(None, &who, &who, "Taken", &tree, &[&parent]).expect("it has room");
        if repository.reference_matching("refs/isobar/journal", commit, true, tip, "taken").is_ok() {
            return;
        }
    }
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
