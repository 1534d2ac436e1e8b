//! The verbs. Each is one short story: gather, decide, act, tell. No tool output, no HTTP and no clap in here.

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
pub mod preview;
pub mod recover;
pub mod schema;
pub mod status;
pub mod why;

mod converge;
mod court;
mod pending;
mod say;
mod scene;
mod tell;
mod view;

pub use crate::stack::Selector;
pub use crate::store::Anchor;
pub use court::Review;
pub use tell::Form;

use crate::exit::Failure;
use crate::stack::{Fleet, Mistakes, Node};
use crate::store::FileStore;
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
    ("status", "what runs where: revision, when, by whom, drift, and what waits for what"),
    ("list", "the targets, or with --changed those that a change touches"),
    ("graph", "which stack waits for which, as text, DOT or Mermaid"),
    ("why", "why a target is touched or not, where its values come from, what it waits for"),
    ("recover", "explains every unknown outcome and closes it by a fresh preview"),
    ("pause", "starts nothing new anywhere until resume"),
    ("resume", "ends a pause, and lets stopped rollouts go on"),
    ("hold", "skips one region until a time, or until released"),
    ("audit", "proves the journal, exports it for an auditor, seals it with a key, compacts it"),
    ("check", "reads the definitions only: every mistake with its line"),
    ("init", "writes a commented starter fleet into this repository"),
    ("demo", "plays a pull request's life in a scratch repository"),
    ("doctor", "what is missing on this machine or in this repository, with the command that mends it"),
    ("schema", "the JSON Schemas of the definitions, of --json and of the journal"),
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
    let named = match workspace.head() {
        Ok(head) => match declared_journal(workspace, &workspace.at(&head.0)?)? {
            Some(place) => place,
            None => loose_journal(workspace)?,
        },
        Err(_) => loose_journal(workspace)?,
    };
    let Some(named) = directory(workspace, &named) else {
        let what = format!("journal {named:?}: this version keeps its journal in a directory only");
        return Err(Failure::usage(what, "journal: file:.isobar/journal (git and object stores are planned)"));
    };
    let mut places = vec![named.clone(), workspace.root().join(JOURNAL)];
    for snapshot in workspace.versions(scene::FLEET)? {
        let declared = declared_journal(workspace, &snapshot)?;
        places.extend(declared.and_then(|place| directory(workspace, &place)));
    }
    let mut filled: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for place in places {
        if let (true, Ok(real)) = (FileStore::has_entries(&place), place.canonicalize()) {
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

fn loose_journal(workspace: &Workspace) -> Result<String, Failure> {
    let declared = declared_journal(workspace, &workspace.worktree(&[".isobar".to_string()])?)?;
    Ok(declared.unwrap_or_else(|| format!("file:{JOURNAL}")))
}

fn directory(workspace: &Workspace, place: &str) -> Option<PathBuf> {
    place.strip_prefix("file:").map(|dir| workspace.root().join(dir.trim_start_matches("./")))
}

/// What a fleet says, also one with mistakes; `None` when there is no fleet, or one that is no YAML and was never applied.
fn declared_journal(workspace: &Workspace, snapshot: &Snapshot) -> Result<Option<String>, Failure> {
    let Some(source) = workspace.read(snapshot, scene::FLEET)? else { return Ok(None) };
    let Some(node) = Node::parse(scene::FLEET, &source.bytes, &mut Mistakes::default()) else { return Ok(None) };
    let declared = node.get("journal").and_then(Node::as_str).map(str::to_string);
    Ok(Some(declared.unwrap_or_else(|| format!("file:{JOURNAL}"))))
}
