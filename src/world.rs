//! The hands given to a command, built once: workspace, engines, host, store, clock, secrets, and where words go.

use crate::bucket::Buckets;
use crate::change::Key;
use crate::engine::{self, Engines};
use crate::host::{GitHub, GitHubConfig, Host, HostError, Local, LocalConfig};
use crate::store::Store;
use crate::workspace::Workspace;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod terminal;

pub use crate::stop::Stop;
pub use terminal::{Bar, Terminal};

/// What was read of the process's environment, once.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub variables: BTreeMap<String, String>,
    pub stdout_is_terminal: bool,
    pub stderr_is_terminal: bool,
}

/// Everything a command may touch.
pub struct World {
    pub workspace: Workspace,
    pub engines: Engines,
    pub host: Arc<dyn Host>,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub environment: Environment,
    /// `ISOBAR_KEY`.
    pub key: Option<Key>,
    pub terminal: Terminal,
    pub stop: Stop,
    /// Unique for this run of the binary.
    pub run: Arc<str>,
}

/// Milliseconds since 1970. `ISOBAR_NOW_MS` sets it for tests and demos; then it moves by one for every look.
#[derive(Debug, Default)]
pub struct Clock {
    fixed: Option<AtomicU64>,
}

impl Environment {
    /// Returns the variable when it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// We run as a GitHub Action.
    pub fn on_actions(&self) -> bool {
        self.get("GITHUB_ACTIONS") == Some("true")
    }

    pub fn in_ci(&self) -> bool {
        self.get("CI").is_some()
    }

    /// Returns the time that is set for tests, in milliseconds since 1970; what is set and is no time is a slip.
    pub fn now_ms(&self) -> Result<Option<u64>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("ISOBAR_NOW_MS is {text:?}, and that is no time"));
        self.get("ISOBAR_NOW_MS").map(read).transpose()
    }

    /// Keys the digests of sensitive values, and seals the journal.
    pub fn key(&self) -> Option<Key> {
        self.get("ISOBAR_KEY").map(|text| Key::new(text.as_bytes()))
    }
}

impl Clock {
    pub fn new(environment: &Environment) -> Self {
        let fixed = environment.now_ms().ok().flatten(); // a slip was told before
        Self { fixed: fixed.map(AtomicU64::new) }
    }

    pub fn now_ms(&self) -> u64 {
        match &self.fixed {
            Some(fixed) => fixed.fetch_add(1, Ordering::Relaxed),
            None => {
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
            }
        }
    }
}

impl World {
    /// Builds the hands for the repository that `workspace` opened, with the journal in `store` and local reviews in a file.
    pub fn build(
        workspace: Workspace,
        store: Arc<dyn Store>,
        buckets: &Buckets,
        reviews: PathBuf,
        environment: Environment,
        terminal: Terminal,
        stop: Stop,
    ) -> Result<Self, HostError> {
        let clock = Clock::new(&environment);
        let change = workspace.head().and_then(|head| workspace.people(Some(&head), &head));
        let change = change.unwrap_or_else(|_| nobodys_change());
        let config =
            LocalConfig { reviews, worktree: workspace.root().to_path_buf(), on_actions: environment.on_actions(), change };
        let key = environment.key();
        let own = ["ISOBAR_KEY", "GITHUB_TOKEN", "ISOBAR_ORG_TOKEN"]
            .into_iter()
            .filter_map(|name| Some((name, environment.get(name)?)));
        terminal.mask(&own.chain(buckets.access().secrets()).map(|(name, value)| (name.into(), value.into())).collect());
        let run = run_id(clock.now_ms());
        let host: Arc<dyn Host> = match github(&workspace, &environment) {
            Some(config) => Arc::new(GitHub::new(config)?),
            None => Arc::new(Local::new(config)),
        };
        Ok(Self { store, host, engines: engine::all(buckets), workspace, clock, environment, key, terminal, stop, run })
    }

    /// Returns the values of the named secrets that are set; the terminal will not write them.
    pub fn secrets<'a>(&self, names: impl IntoIterator<Item = &'a Arc<str>>) -> BTreeMap<Arc<str>, Arc<str>> {
        let read = |name: &Arc<str>| Some((name.clone(), self.environment.get(name)?.into()));
        let secrets: BTreeMap<Arc<str>, Arc<str>> = names.into_iter().filter_map(read).collect();
        self.terminal.mask(&secrets);
        secrets
    }
}

/// Returns where local reviews are kept: outside any tree, one file a repository.
pub fn reviews_path(environment: &Environment, root: &Path) -> PathBuf {
    if let Some(path) = environment.get("ISOBAR_REVIEWS") {
        return path.into();
    }
    repository_dir(environment, root).join("reviews.jsonl")
}

/// Returns where this user keeps what is about one repository.
pub fn repository_dir(environment: &Environment, root: &Path) -> PathBuf {
    let repository = crate::change::Digest::of("repository", &[&root.to_string_lossy()]);
    state_dir(environment).join(repository.short())
}

/// Returns where this user keeps what must outlive a run, outside of every repository.
pub fn state_dir(environment: &Environment) -> PathBuf {
    let state = environment.get("XDG_STATE_HOME").map(PathBuf::from);
    let home = || environment.get("HOME").map_or_else(std::env::temp_dir, PathBuf::from).join(".local/state");
    state.unwrap_or_else(home).join("isobar")
}

/// What a workflow says of its repository; `None` where there is no workflow, or none with a token.
fn github(workspace: &Workspace, environment: &Environment) -> Option<GitHubConfig> {
    let set = |name: &str, otherwise: &str| environment.get(name).unwrap_or(otherwise).to_string();
    let token = environment.get("GITHUB_TOKEN").filter(|_| environment.on_actions())?;
    Some(GitHubConfig {
        api: set("GITHUB_API_URL", "https://api.github.com"),
        graphql: set("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql"),
        token: token.into(),
        org_token: environment.get("ISOBAR_ORG_TOKEN").map(Arc::from),
        repository: set("GITHUB_REPOSITORY", ""),
        branch: workspace.default_branch().map(Arc::from),
        // Where the clock is set, nobody waits for it.
        second: if environment.get("ISOBAR_NOW_MS").is_some() { Duration::from_millis(1) } else { Duration::from_secs(1) },
    })
}

fn nobodys_change() -> crate::review::PullRequest {
    let author = crate::review::User("unknown".into());
    crate::review::PullRequest { number: None, title: String::new(), committers: vec![author.clone()], author }
}

/// The time, so that runs sort by it, and chance: in containers every process has the same number.
fn run_id(now_ms: u64) -> Arc<str> {
    let chance = RandomState::new().hash_one(std::process::id()) >> 16;
    format!("{now_ms:x}-{chance:012x}").into()
}

/// Writes the whole text to a stream, or says why not; a closed pipe is not our failure.
pub(crate) fn write_all(mut stream: impl std::io::Write, text: &str) -> std::io::Result<()> {
    let written = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    written.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}
