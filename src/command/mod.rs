//! The verbs. Each is one short story: gather, decide, act, tell. No tool output, no HTTP and no clap in here.

pub mod apply;
pub mod check;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod drift;
pub mod graph;
pub mod init;
pub mod judge;
pub mod list;
pub mod preview;
pub mod recover;
pub mod schema;
pub mod simulate;
pub mod status;
pub mod why;

mod account;
mod apart;
mod converge;
mod court;
mod look;
mod pending;
mod say;
mod scene;
mod settled;
mod tell;
mod view;

pub use crate::runner::STOP_PATIENCE;
pub use crate::stack::Selector;
pub use court::Review;
pub use tell::{Form, say_failure};

use crate::exit::Failure;
use crate::stack::{Fleet, Mistake, Mistakes, Node, journal_dir};
use crate::workspace::{Snapshot, Workspace};
use crate::world::{Environment, Places, Stop, Terminal, World, reviews_path};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
    ("graph", "which stack waits for which, as text, DOT or Mermaid"),
    ("why", "why a target is touched or not, where its values come from, what it waits for"),
    ("recover", "explains every unknown outcome and closes it by a fresh preview"),
    ("pause", "starts nothing new anywhere until resume"),
    ("resume", "ends a pause, and lets stopped rollouts go on"),
    ("hold", "skips one region until a time, or until released"),
    ("check", "reads the definitions only: every mistake with its line"),
    ("init", "writes a commented starter fleet into this repository"),
    ("demo", "plays a pull request's life in a scratch repository"),
    ("doctor", "what is missing on this machine or in this repository, with the command that mends it"),
    ("schema", "the JSON Schemas of the definitions and of --json"),
    ("completions", "completions for a shell"),
    ("man", "man pages, into a directory"),
];

/// A selector that matches nothing is a failure, not a green.
pub(crate) fn must_match(selector: &Selector, fleet: &Fleet) -> Result<(), Failure> {
    match selector.unmatched(fleet.targets()).first() {
        None => Ok(()),
        Some(pattern) => Err(Failure::usage(format!("{pattern:?} matches no target"), "isobar list shows them all")),
    }
}

/// Where the journal is unless the fleet says otherwise, from the root.
const JOURNAL: &str = ".isobar/journal";

/// Builds the world of the repository that holds `here`.
pub fn open(
    here: &Path,
    reviews: Option<PathBuf>,
    environment: Environment,
    terminal: Terminal,
    stop: Stop,
) -> Result<World, Failure> {
    let workspace = Workspace::open(here)?;
    let journal = journal_place(&workspace)?;
    let reviews = reviews.unwrap_or_else(|| reviews_path(&environment, workspace.root()));
    World::build(workspace, Places { journal, reviews }, environment, terminal, stop)
}

/// Returns the directory of the journal: where history lies. A change cannot move the history it will be judged by, in however
/// many commits: of all places that the line ever named, the one that holds entries counts, until they are moved by hand.
pub(crate) fn journal_place(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let committed = match workspace.head() {
        Ok(head) => declared_journal(workspace, &workspace.at(&head.0)?)?,
        Err(_) => None,
    };
    // One that was never right may be mended before that is committed.
    let named = match committed.filter(|place| place.is_ok()) {
        Some(place) => place,
        None => loose_journal(workspace)?,
    };
    let named = workspace.root().join(named.map_err(|mistakes| *mistakes)?);
    let mut places = vec![named.clone(), workspace.root().join(JOURNAL)];
    for snapshot in workspace.versions(scene::FLEET)? {
        let declared = declared_journal(workspace, &snapshot)?;
        places.extend(declared.and_then(Result::ok).map(|dir| workspace.root().join(dir)));
    }
    let mut filled: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for place in places {
        let entries = place.join("entries.jsonl");
        let holds_some = std::fs::metadata(&entries).is_ok_and(|meta| meta.len() > 0);
        if let (true, Ok(real)) = (holds_some, entries.canonicalize()) {
            filled.entry(real).or_insert(place);
        }
    }
    let mut filled = filled.into_values();
    match (filled.next(), filled.next()) {
        (None, _) => Ok(named),
        (Some(place), None) => Ok(place),
        (Some(one), Some(other)) => {
            let what = format!("history lies in two places: {} and {}", one.display(), other.display());
            Err(Failure::usage(what, "keep the one that is true and move the other out of the repository"))
        }
    }
}

/// The journal's directory from the root, or what is wrong with the line that names it.
type Declared = Result<String, Box<Mistakes>>;

fn loose_journal(workspace: &Workspace) -> Result<Declared, Failure> {
    let declared = declared_journal(workspace, &workspace.worktree(&[".isobar".to_string()])?)?;
    Ok(declared.unwrap_or_else(|| Ok(JOURNAL.into())))
}

/// What a fleet says, also one with mistakes; `None` when there is no fleet, or one that is no YAML and was never applied.
fn declared_journal(workspace: &Workspace, snapshot: &Snapshot) -> Result<Option<Declared>, Failure> {
    let Some(source) = workspace.read(snapshot, scene::FLEET)? else { return Ok(None) };
    let Some(node) = Node::parse(scene::FLEET, &source.bytes, &mut Mistakes::default()) else { return Ok(None) };
    let Some((text, journal)) = node.get("journal").and_then(|node| Some((node.as_str()?, node))) else {
        return Ok(Some(Ok(JOURNAL.into())));
    };
    Ok(Some(journal_dir(text).map_err(|(what, hint)| {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&journal.site, what).hint(hint));
        mistakes.quote(|_| Some(&source.bytes));
        Box::new(mistakes)
    })))
}
