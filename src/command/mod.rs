//! The verbs. Each is one short story: gather, decide, act, tell. No tool output, no HTTP and no clap in here.

pub mod action;
pub mod apply;
pub mod audit;
pub mod check;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod drift;
pub mod graph;
pub mod init;
pub mod judge;
pub mod list;
pub mod matrix;
pub mod preview;
pub mod recover;
pub mod schema;
pub mod simulate;
pub mod status;
pub mod why;

mod account;
mod apart;
mod audience;
mod converge;
mod court;
mod form;
mod history_place;
mod look;
mod moved;
mod out;
mod outlook;
mod paces;
mod parts;
mod pending;
mod say;
mod scene;
mod shown;
mod standing;
mod tell;
mod view;

pub use crate::host::{Branch, RunNumber};
pub use crate::review::{CommitSha, User};
pub use crate::rollout::{SHARDS_MAX, Shard};
pub use crate::runner::{STOP_PATIENCE, Sharing};
pub use crate::stack::Selector;
pub use crate::store::Anchor;
pub use audience::{Audience, Topic};
pub use court::Review;
pub use look::OfChange;
pub use moved::Moved;
pub use out::is_stdout;
pub use parts::Parting;
pub use tell::{Form, say_failure, say_written};

use crate::bucket::{Access, Buckets};
use crate::exit::Failure;
use crate::stack::Fleet;
use crate::store::{MemoryStore, Store};
use crate::workspace::Workspace;
use crate::world::{Environment, Stop, Terminal, World, reviews_path};
use scene::Scene;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every verb and what it does, in the order of the help and the docs.
pub const VERBS: &[(&str, &str)] = &[
    ("preview", "what would change, in every region, and what policy says of it"),
    ("judge", "policy again on the previews that were shown; starts no engine"),
    ("apply", "brings every target to the head of the code, in waves"),
    ("drift", "what moved without us; --fix puts it back"),
    ("tick", "goes on with rollouts that wait for a bake or a gate"),
    ("simulate", "how a rollout would go: waves, bakes, failures, on a clock of its own; touches nothing"),
    ("status", "what runs where: revision, when, by whom, drift, and what waits for what"),
    ("list", "the targets, or with --changed those that a change touches"),
    ("matrix", "the shards for what is to be done, as the matrix of a GitHub workflow"),
    ("graph", "which stack waits for which, as text, DOT or Mermaid"),
    ("why", "why a target is touched or not, where its values come from, what it waits for"),
    ("recover", "explains every unknown outcome, closes it by a fresh preview, and goes on with what was left in the middle"),
    ("pause", "starts nothing new anywhere until resume"),
    ("resume", "ends a pause, and lets stopped rollouts go on"),
    ("hold", "skips one region until a time, or until released"),
    ("audit", "proves the journal, exports it for an auditor, seals it with a key, compacts it"),
    ("action", "in a step of a workflow: does what the event asks for, and tells it on GitHub"),
    ("check", "reads the definitions only: every mistake with its line"),
    ("doctor", "what is missing on this machine or in this repository, with the command that mends it"),
    ("init", "writes a commented starter fleet into this repository"),
    ("demo", "plays a pull request's life in a scratch repository"),
    ("schema", "the JSON Schemas of the definitions, of --json and of the journal"),
    ("completions", "completions for a shell"),
    ("man", "man pages, into a directory"),
];

/// A selector that matches nothing is a failure, not a green.
pub(crate) fn must_match(selector: &Selector, fleet: &Fleet) -> Result<(), Failure> {
    let quoted: Vec<String> = selector.unmatched(fleet.targets()).iter().map(|pattern| format!("{pattern:?}")).collect();
    let verb = match *quoted {
        [] => return Ok(()),
        [_] => "matches",
        [..] => "match",
    };
    Err(Failure::usage(format!("{} {verb} no target", quoted.join(", ")), "isobar list shows them all"))
}

/// Builds the world of the repository that holds `here`. `given_up` is a place of the journal that cannot be looked at, and that this
/// run gives up.
pub async fn open(
    given_up: Option<&str>,
    here: &Path,
    reviews: Option<PathBuf>,
    environment: Environment,
    terminal: Terminal,
    stop: Stop,
) -> Result<World, Failure> {
    let (world, closed) = open_anyway(given_up, here, reviews, environment, terminal, stop).await?;
    closed.map_or(Ok(world), Err)
}

/// The same, for who looks at what is wrong; and why the journal cannot be opened: then the world has an empty one in its place.
pub async fn open_anyway(
    given_up: Option<&str>,
    here: &Path,
    reviews: Option<PathBuf>,
    environment: Environment,
    terminal: Terminal,
    stop: Stop,
) -> Result<(World, Option<Failure>), Failure> {
    environment.now_ms().map_err(|what| Failure::usage(what, "milliseconds since 1970, such as 1795338000000; or unset it"))?;
    let workspace = Workspace::open(here)?;
    let reviews = reviews.unwrap_or_else(|| reviews_path(&environment, workspace.root()));
    let buckets = Buckets::new(Access::of(|name| environment.get(name)));
    let opener = history_place::Opener { workspace: &workspace, environment: &environment, buckets: &buckets };
    let opened = history_place::open(opener, given_up).await;
    let (store, closed): (Arc<dyn Store>, _) = match opened {
        Ok(store) => (store, None),
        Err(closed) => (Arc::new(MemoryStore::default()), Some(closed)),
    };
    let world = World::build(workspace, store, &buckets, reviews, environment, terminal, stop)?;
    match closed {
        Some(Failure::Definitions(of_journal)) => Err(all_mistakes(&world).err().unwrap_or(Failure::Definitions(of_journal))),
        closed => Ok((world, closed)),
    }
}

/// Fails with every mistake of the working tree; a `journal:` that can't be read is one of perhaps many. History is not asked.
fn all_mistakes(world: &World) -> Result<(), Failure> {
    let snapshot = world.workspace.worktree(&[".isobar".to_string()])?;
    Scene::open(world, snapshot)?.check_targets(world)
}
