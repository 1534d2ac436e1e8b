//! A real git repository in a directory of its own, and the built program run in it with a closed environment. Needs no git
//! on the machine; reads nothing of the person who runs the tests.

use super::{program, scratch, tree};
use git2::build::CheckoutBuilder;
use git2::{IndexAddOption, Oid, Repository, RepositoryInitOptions, Signature, Time};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Where every sandbox's clock begins: 2026-11-22 09:00 UTC, a Sunday.
const BEGIN_MS: u64 = 1_795_338_000_000;

/// Who makes the commits, unless [`Sandbox::by`] says otherwise.
const AUTHOR: &str = "ada";

/// A repository, a home, and a clock.
pub(crate) struct Sandbox {
    dir: TempDir,
    repo: Repository,
    now_ms: Cell<u64>,
    author: String,
    env: BTreeMap<String, String>,
}

/// What a run of the program said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code, or 128 and the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// Returns an empty repository on branch `main`, without a commit.
    pub(crate) fn empty() -> Self {
        let dir = scratch::dir();
        for name in ["repo", "home", "tmp"] {
            fs::create_dir(dir.path().join(name)).expect("the directory is new");
        }
        let repo = Repository::init_opts(dir.path().join("repo"), RepositoryInitOptions::new().initial_head("main"))
            .expect("an empty directory becomes a repository");
        let mut config = repo.config().expect("a repository has a configuration");
        for (key, value) in [("user.name", AUTHOR), ("user.email", "ada@isobar.example"), ("core.autocrlf", "false")] {
            config.set_str(key, value).expect("the configuration can be written");
        }
        Self { dir, repo, now_ms: Cell::new(BEGIN_MS), author: AUTHOR.into(), env: BTreeMap::new() }
    }

    /// Returns a repository with one commit that holds `files`, one a line: `path | text`, where `\n` in the text begins a new line.
    pub(crate) fn of(files: &str) -> Self {
        let sandbox = Self::empty();
        for line in files.lines().filter(|line| !line.trim().is_empty()) {
            let (path, text) = line.split_once('|').unwrap_or_else(|| panic!("{line:?} is not `path | text`"));
            sandbox.file(path.trim(), &format!("{}\n", text.trim().replace("\\n", "\n")));
        }
        sandbox.commit("Begin");
        sandbox
    }

    /// Returns a repository with one commit that holds `fixtures/fleets/<name>`.
    pub(crate) fn fleet(name: &str) -> Self {
        let files = tree(&fixtures().join(name));
        assert!(!files.is_empty(), "there is no fixtures/fleets/{name}");
        let sandbox = Self::empty();
        for (path, text) in files {
            sandbox.file(&path, &text);
        }
        sandbox.commit("Begin");
        sandbox
    }

    /// Returns a copy of all that is on disk: for stories that go on from one point in many ways.
    pub(crate) fn twin(&self) -> Self {
        let dir = scratch::dir();
        copy(self.dir.path(), dir.path());
        let repo = Repository::open(dir.path().join("repo")).expect("a copy of a repository is one");
        Self { dir, repo, now_ms: self.now_ms.clone(), author: self.author.clone(), env: self.env.clone() }
    }

    /// Returns the same sandbox with another author of the commits to come.
    pub(crate) fn by(mut self, author: &str) -> Self {
        self.author = author.into();
        self
    }

    /// Returns the same sandbox with one more variable for the program.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Returns the repository's root.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    /// Makes a bare repository with the branches of this one, and names it `origin`; returns where it is.
    pub(crate) fn publish(&self) -> PathBuf {
        let bare = self.dir.path().join("origin.git");
        Repository::init_bare(&bare).expect("the directory is new");
        self.set_origin(&bare.to_string_lossy());
        self.push_to(&bare);
        bare
    }

    /// Names the remote `origin`.
    pub(crate) fn set_origin(&self, url: &str) -> &Self {
        match self.repo.find_remote("origin") {
            Ok(_) => self.repo.remote_set_url("origin", url),
            Err(_) => self.repo.remote("origin", url).map(drop),
        }
        .expect("the configuration can be written");
        self
    }

    /// Brings the branches of this repository to a bare one on this disk.
    pub(crate) fn push_to(&self, bare: &Path) -> &Self {
        let bare = Repository::open_bare(bare).expect("it was made");
        let mut here = bare.remote_anonymous(&self.root().to_string_lossy()).expect("a path is an address");
        here.fetch(&["+refs/heads/*:refs/heads/*"], None, None).expect("branches can be fetched");
        self
    }

    /// Returns a clone of a bare repository, with a home of its own.
    pub(crate) fn clone_of(bare: &Path) -> Self {
        let sandbox = Self::empty();
        sandbox.set_origin(&bare.to_string_lossy());
        let mut origin = sandbox.repo.find_remote("origin").expect("it was just named");
        origin.fetch(&[] as &[&str], None, None).expect("an ordinary fetch");
        let main = sandbox.repo.refname_to_id("refs/remotes/origin/main").expect("it was published");
        sandbox.repo.reference("refs/heads/main", main, true, "clone").expect("it has room");
        drop(origin);
        sandbox.checkout("main");
        sandbox
    }

    /// Returns the names of all refs, sorted.
    pub(crate) fn refs(&self) -> Vec<String> {
        let references = self.repo.references().expect("refs can be listed");
        let mut names: Vec<String> = references.flatten().filter_map(|it| it.name().map(String::from).ok()).collect();
        names.sort();
        names
    }

    /// Writes a file of the worktree, with its directories.
    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a file stands in a directory")).expect("directories can be made");
        fs::write(path, text).expect("the file can be written");
        self
    }

    /// Writes a program of the worktree: a file that may be run.
    pub(crate) fn program_file(&self, path: &str, text: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt as _;

        self.file(path, text);
        fs::set_permissions(self.root().join(path), fs::Permissions::from_mode(0o755)).expect("it was just written");
        self
    }

    /// Replaces the only `from` in a file of the worktree.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) -> &Self {
        let text = fs::read_to_string(self.root().join(path)).unwrap_or_else(|error| panic!("reading {path}: {error}"));
        assert_eq!(text.matches(from).count(), 1, "{from:?} does not stand once in {path}:\n{text}");
        self.file(path, &text.replace(from, to))
    }

    /// Removes a file or a directory of the worktree.
    pub(crate) fn remove(&self, path: &str) -> &Self {
        let at = self.root().join(path);
        let removed = if at.is_dir() { fs::remove_dir_all(&at) } else { fs::remove_file(&at) };
        removed.unwrap_or_else(|error| panic!("removing {path}: {error}"));
        self
    }

    /// Commits the whole worktree, removals too, and returns the commit's id. The same files, author and time give the same id.
    pub(crate) fn commit(&self, message: &str) -> String {
        let mut index = self.repo.index().expect("a repository has an index");
        index.add_all(["*"], IndexAddOption::DEFAULT, None).expect("files can be added");
        index.update_all(["*"], None).expect("removals can be added");
        index.write().expect("the index can be written");
        let tree = index.write_tree().expect("the index has no conflict");

        let head = self.repo.head().ok().and_then(|head| head.target());
        self.commit_tree(message, tree, &head.into_iter().collect::<Vec<_>>())
    }

    /// Adds a file that git ignores to what is committed next.
    pub(crate) fn track(&self, path: &str) -> &Self {
        let mut index = self.repo.index().expect("a repository has an index");
        index.add_path(Path::new(path)).and_then(|()| index.write()).expect("it has room");
        self
    }

    /// Takes one out of what is committed next.
    pub(crate) fn untrack(&self, path: &str) -> &Self {
        let mut index = self.repo.index().expect("a repository has an index");
        index.remove_path(Path::new(path)).and_then(|()| index.write()).expect("it has room");
        self
    }

    /// Begins a branch at the current commit and goes there.
    pub(crate) fn branch(&self, name: &str) -> &Self {
        let head = self.repo.head().and_then(|head| head.peel_to_commit()).expect("there is a commit to branch from");
        self.repo.branch(name, &head, false).expect("the branch is new");
        self.checkout(name)
    }

    /// Goes to a branch; the worktree follows.
    pub(crate) fn checkout(&self, name: &str) -> &Self {
        self.repo.set_head(&format!("refs/heads/{name}")).expect("the branch exists");
        self.repo.checkout_head(Some(CheckoutBuilder::new().force())).expect("the worktree follows");
        self
    }

    /// Merges a branch into the current one by a merge commit and returns its id.
    pub(crate) fn merge(&self, branch: &str) -> String {
        let tip = |name: &str| self.repo.revparse_single(name).and_then(|it| it.peel_to_commit()).expect("the branch exists");
        let (ours, theirs) = (tip("HEAD"), tip(branch));
        let mut index = self.repo.merge_commits(&ours, &theirs, None).expect("commits of one repository can be merged");
        assert!(!index.has_conflicts(), "{branch} is in conflict");
        let tree = index.write_tree_to(&self.repo).expect("there is no conflict");

        let merged = self.commit_tree(&format!("Merge {branch}"), tree, &[ours.id(), theirs.id()]);
        self.repo.checkout_head(Some(CheckoutBuilder::new().force())).expect("the worktree follows");
        merged
    }

    fn commit_tree(&self, message: &str, tree: Oid, parents: &[Oid]) -> String {
        let seconds = i64::try_from(self.now_ms.get() / 1_000).expect("a time of our age");
        let who = Signature::new(&self.author, &format!("{}@isobar.example", self.author), &Time::new(seconds, 0))
            .expect("the author has a name");
        let tree = self.repo.find_tree(tree).expect("the tree was just written");
        let parents: Vec<_> = parents.iter().map(|id| self.repo.find_commit(*id).expect("a parent exists")).collect();
        let parents: Vec<_> = parents.iter().collect();
        self.repo.commit(Some("HEAD"), &who, &who, message, &tree, &parents).expect("the commit can be written").to_string()
    }

    /// Lets time pass, for the program and for commits.
    pub(crate) fn pass_secs(&self, secs: u64) -> &Self {
        self.now_ms.set(self.now_ms.get() + secs * 1_000);
        self
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    pub(crate) fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.set(now_ms);
    }

    /// Runs the built program in the repository's root; a second passes.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let ran = self.finish(self.program().args(arguments));
        self.pass_secs(1);
        ran
    }

    /// Returns the built program as a command, for stories that start it themselves.
    pub(crate) fn program(&self) -> Command {
        self.command(program())
    }

    /// Returns a command that knows nothing of the machine but where programs are: for stories that start one themselves.
    pub(crate) fn command(&self, program: &str) -> Command {
        let at = |name: &str| self.dir.path().join(name);
        let mut command = Command::new(program);
        command
            .current_dir(self.root())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", at("home"))
            .env("TMPDIR", at("tmp"))
            .env("XDG_CACHE_HOME", at("home/.cache"))
            .env("XDG_CONFIG_HOME", at("home/.config"))
            .env("XDG_STATE_HOME", at("home/.local/state"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_COLOR", "1")
            .env("ISOBAR_NOW_MS", self.now_ms.get().to_string())
            .envs(&self.env);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), &self.author);
            command.env(format!("GIT_{role}_EMAIL"), format!("{}@isobar.example", self.author));
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn finish(&self, command: &mut Command) -> Ran {
        use std::os::unix::process::ExitStatusExt as _;

        let output = command.output().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let signal = || 128 + output.status.signal().expect("without a code there is a signal");
        Ran {
            code: output.status.code().unwrap_or_else(signal),
            stdout: String::from_utf8(output.stdout).expect("the program writes UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the program writes UTF-8"),
        }
    }

    /// Returns a path beside the repository, not in it.
    pub(crate) fn outside(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// Removes a variable that was set.
    pub(crate) fn without_env(&mut self, name: &str) -> &Self {
        self.env.remove(name);
        self
    }

    /// Returns what stands below `path` of the repository's root, such as a destination.
    pub(crate) fn live(&self, path: &str) -> BTreeMap<String, String> {
        tree(&self.root().join(path))
    }

    /// Returns the id of the current commit.
    pub(crate) fn head(&self) -> String {
        self.repo.head().ok().and_then(|head| head.target()).expect("there is a commit").to_string()
    }

    /// Returns the paths that differ from the last commit, sorted; what `.gitignore` names is not among them.
    pub(crate) fn dirty(&self) -> Vec<String> {
        let mut options = git2::StatusOptions::new();
        options.include_untracked(true).recurse_untracked_dirs(true);
        let statuses = self.repo.statuses(Some(&mut options)).expect("the worktree can be compared");
        statuses.iter().filter_map(|entry| entry.path().map(String::from).ok()).collect()
    }

    /// Returns the entries of the journal at `file:.isobar/journal`, oldest first; none when nothing was ever written.
    pub(crate) fn journal_lines(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.root().join(".isobar/journal/entries.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("it was made before").flatten() {
        let to = to.join(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            fs::create_dir(&to).expect("the directory is new");
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("a file that we made can be copied");
        }
    }
}

/// Returns the directory of the fleets that teach something.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/fleets")
}

#[test]
fn a_branch_is_merged_and_the_worktree_follows() {
    let sandbox = Sandbox::of("a.txt | one\nb.txt | two\\nlines");
    sandbox.branch("more").edit("a.txt", "one", "two").remove("b.txt").commit("More");
    sandbox.checkout("main").file("c.txt", "three\n").commit("Meanwhile");
    assert_eq!(sandbox.live("").get("b.txt").map(String::as_str), Some("two\nlines\n"));

    sandbox.merge("more");

    let files: Vec<(String, String)> = sandbox.live("").into_iter().filter(|(path, _)| !path.starts_with(".git/")).collect();
    assert_eq!(files, [("a.txt".into(), "two\n".into()), ("c.txt".into(), "three\n".into())]);
}

#[test]
fn the_same_story_has_the_same_commits() {
    let tell = |author: &str| {
        let sandbox = Sandbox::of("a.txt | one").by(author);
        sandbox.pass_secs(60).file("a.txt", "two\n").commit("Second")
    };
    assert_eq!(tell("ada"), tell("ada"));
    assert_ne!(tell("ada"), tell("bob"));
}

#[test]
fn the_program_sees_a_closed_environment() {
    let sandbox = Sandbox::empty().env("ISOBAR_KEY", "k");
    sandbox.pass_secs(1);
    let ran = sandbox.finish(&mut sandbox.command("/usr/bin/env"));

    let names: Vec<&str> = ran.stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let mut expected = vec!["GIT_AUTHOR_EMAIL", "GIT_AUTHOR_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_NAME"];
    expected.extend(["GIT_CONFIG_NOSYSTEM", "HOME", "ISOBAR_KEY", "ISOBAR_NOW_MS", "NO_COLOR", "PATH", "TMPDIR"]);
    expected.extend(["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"]);
    assert_eq!(names, expected);
    assert!(ran.stdout.contains("ISOBAR_NOW_MS=1795338001000\n"), "{}", ran.stdout);
}

#[test]
fn a_run_says_how_it_ended() {
    let sandbox = Sandbox::empty();
    let shell = |script: &str| sandbox.finish(sandbox.command("/bin/sh").args(["-c", script]));
    assert_eq!(shell("echo out; echo err >&2; exit 3"), Ran { code: 3, stdout: "out\n".into(), stderr: "err\n".into() });
    assert_eq!(shell("kill -9 $$").code, 137);
    assert_eq!(sandbox.run(&["--version"]).code, 0);
}

#[test]
fn the_journal_is_read_line_by_line_and_may_be_absent() {
    let sandbox = Sandbox::empty();
    assert_eq!(sandbox.journal_lines().len(), 0);
    sandbox.file(".isobar/journal/entries.jsonl", "{\"seq\":1}\n{\"seq\":2}\n");
    assert_eq!(sandbox.journal_lines()[1]["seq"], 2);
}
