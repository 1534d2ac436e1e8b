//! Isobar keeps every region of a fleet equal to what the repository says.
//!
//! A **stack** runs in **regions**. An engine tells what would **change**. People **review**. **Policy** judges and gives
//! clearance. A **rollout** puts cleared changes in order, the **journal** remembers what happened, **drift** is what
//! changed without us, a **diagnosis** says why something failed, and a **report** tells it all.
//!
//! The rooms below stand in reading order, in three storeys: words are pure, hands touch the world and decide nothing,
//! story joins them. Imports go down only; `tests/it/house.rs` holds the walls.

// ── words ──────────────────────────────────────────────────────────────────────────────────────────────────────────
/// What would change, what did, what was cleared, and where it is the same.
pub mod change;
/// Why something failed, in one sentence, with the next step.
pub mod diagnosis;
/// What moved without us.
pub mod drift;
/// What happened, as facts and as a fold over them.
pub mod journal;
/// May it: rules, verdicts and clearances.
pub mod policy;
/// How we tell it.
pub mod report;
/// Who said what.
pub mod review;
/// In what order, and how far.
pub mod rollout;
/// What exists, and which targets a diff touches.
pub mod stack;

// ── hands ──────────────────────────────────────────────────────────────────────────────────────────────────────────
/// Object storage: conditional reads and writes.
pub mod bucket;
/// The engines that preview and apply one target.
pub mod engine;
/// Where reviews come from and reports go.
pub mod host;
/// Asks a gate: an address or a program.
pub mod probe;
/// One external command: argument vector, closed environment, deadline, process group.
pub mod process;
/// The wish to stop, and who hears it.
pub mod stop;
/// Where the journal lives.
pub mod store;
/// Git: sources at a commit, paths changed since the merge base.
pub mod workspace;

// ── story ──────────────────────────────────────────────────────────────────────────────────────────────────────────
/// Flags, environment and event to a request.
pub mod cli;
/// One short story a verb.
pub mod command;
/// Failure kind to exit code; the whole table.
pub mod exit;
/// The only place that spawns tasks.
pub mod runner;
/// Rollouts in a world that is made up.
pub mod simulate;
/// The hands given to a command, built once.
pub mod world;

#[cfg(test)]
#[path = "../tests/it/support/fuzz.rs"]
mod fuzz;
#[cfg(test)]
#[path = "../tests/it/support/github/mod.rs"]
mod github_on_loopback;
#[cfg(test)]
#[path = "../tests/it/support/scratch.rs"]
mod scratch;
