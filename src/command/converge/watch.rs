//! What a drive hears while it runs, and what it tells: pauses and holds in, starts, ends and gates out.

use super::Converge;
use crate::change::inert;
use crate::command::say::say_until;
use crate::diagnosis;
use crate::journal::{History, Hold};
use crate::rollout::{Gate, Outcome, Progress};
use crate::runner::{Moment, Replica, Signs};
use crate::store::StoreError;
use crate::world::{Bar, World};

impl Converge<'_> {
    /// Says once why nothing begins, and what ends it.
    pub(super) fn say_paused(&mut self, why: &str) {
        self.done.paused = true;
        if !self.done.notes.iter().any(|note| note == why) {
            self.done.notes.push(why.to_string());
            self.done.next.push("isobar resume".into());
        }
    }
}

/// What people say meanwhile.
pub(super) async fn signs(replica: &Replica<'_>, rollout: &str, now_ms: u64) -> Result<Signs, StoreError> {
    replica.refresh().await?;
    let history = replica.history();
    let held = history.holds(now_ms).into_iter().map(|hold| (hold.region.clone(), say_hold(hold))).collect();
    let decisions = history.rollout(rollout).map_or(0, Progress::decisions);
    let head = history.head().map(|(seq, hash)| (seq, hash.clone()));
    Ok(Signs { paused: paused(&history), held, decisions, head })
}

/// How long a region is held, and why.
pub(crate) fn say_hold(hold: &Hold) -> String {
    match hold.until_ms {
        Some(until) => format!("until {}: {}", say_until(until), hold.reason),
        None => format!("until released: {}", hold.reason),
    }
}

/// Who paused, and why.
pub(crate) fn paused(history: &History) -> Option<String> {
    history.paused().map(|(by, reason)| format!("paused by {by}: {reason}"))
}

/// Tells what happens, line by line.
pub(super) fn tell(world: &World, bar: &Bar, moment: &Moment<'_>) {
    match moment {
        Moment::Previewed(_) => {}
        Moment::Started(target) => {
            if world.terminal.is_live() {
                world.terminal.note(&format!("  … {target}"));
            }
        }
        Moment::Finished(target, outcome) => {
            bar.step();
            let line = match outcome {
                Outcome::Applied => format!("  ✓ {target} applied"),
                Outcome::Unchanged => format!("  · {target} unchanged"),
                Outcome::Failed(text) => format!("  ✗ {target} failed: {}", diagnosis::explain("", text).sentence),
                Outcome::NotCleared(_) | Outcome::Skipped(_) => return, // the report tells each reason once, with its targets
            };
            world.terminal.note(&inert(&line));
        }
        Moment::Gate(gate, Ok(())) => world.terminal.note(&format!("  ✓ gate passed: {}", say_gate(gate))),
        Moment::Gate(gate, Err(why)) => world.terminal.note(&inert(&format!("  ✗ gate failed: {}: {why}", say_gate(gate)))),
    }
}

fn say_gate(gate: &Gate) -> String {
    match gate {
        Gate::Http { url, .. } => url.to_string(),
        Gate::Command { argv, .. } => argv.join(" "),
    }
}
