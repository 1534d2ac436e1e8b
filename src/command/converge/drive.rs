//! Drives one rollout until nothing of it can begin, and tells what happens meanwhile.

use super::{Converge, End};
use crate::change::{Unseen, UnseenReason, inert};
use crate::command::pending::Work;
use crate::command::say::say_time;
use crate::command::scene::Scene;
use crate::diagnosis;
use crate::exit::Failure;
use crate::journal::{Entry, Event, History, Hold};
use crate::review::CommitSha;
use crate::rollout::{Gate, Outcome, Progress};
use crate::runner::{Drive, Halt, Moment, Ready, Signs};
use crate::stack::{Known, TargetId};
use crate::store::{Boxed, StoreError};
use crate::world::{Bar, World};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::{Arc, Mutex};

impl Converge<'_> {
    /// Drives one rollout until nothing of it can begin; returns the targets applied at an older commit than the head's.
    pub(super) async fn drive(&mut self, mut progress: Progress, work: Work) -> Result<BTreeSet<TargetId>, Failure> {
        self.bringing = CommitSha(progress.rollout().commit.clone());
        let (world, lease) = (self.world, &self.lease);
        let known = Mutex::new(Known::default());
        let at_commit: Mutex<BTreeMap<TargetId, Arc<Scene>>> = Mutex::default();
        let make = |id: &TargetId, known: &Known| make_job(world, &work, &at_commit, id, known);
        let bar = world.terminal.bar("applying", work.pending.len());
        let watch = |moment: Moment<'_>| tell(world, &bar, &moment);
        let history = &self.history;
        let signs = |now_ms: u64| -> Boxed<'_, Result<Signs, StoreError>> { Box::pin(signs(world, history, now_ms)) };
        let sealed = |entries: &[Entry]| {
            let mut history = history.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            entries.iter().for_each(|entry| history.record(entry));
        };
        let now_ms = || world.clock.now_ms();
        let stopped = || world.stop.asked().is_some();
        let stop = || Box::pin(world.stop.wait()) as std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;
        let drive = Drive {
            engines: &world.engines,
            store: &*world.store,
            lease,
            run: &world.run,
            root: world.workspace.root(),
            parallel: self.order.parallel,
            gate_environment: gate_environment(world),
            signs: &signs,
            now_ms: &now_ms,
            stopped: &stopped,
            stop: &stop,
            watch: &watch,
            sealed: &sealed,
        };

        let mut ready: BTreeMap<TargetId, Ready> = BTreeMap::new();
        let mut ends: BTreeMap<TargetId, End> = BTreeMap::new();
        let mut older = BTreeSet::new();
        let halt = loop {
            let now_known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            match drive.drive(&mut progress, &ready, &make, &now_known).await? {
                Halt::NeedsClearance(targets) => {
                    let cleared = self.clear(&work, &targets, &progress, &at_commit, &make, &mut ends).await?;
                    let mut steps = cleared.steps;
                    let mut events: Vec<Event> = cleared.events;
                    events.extend(
                        steps.iter().map(|step| Event::Step { rollout: progress.rollout().id.clone(), step: step.clone() }),
                    );
                    let at_ms = world.clock.now_ms();
                    if !events.is_empty() {
                        self.append(events).await?;
                    }
                    steps.drain(..).for_each(|step| progress.record(&step, at_ms));
                    progress.clear(cleared.clearances);
                    ready.extend(cleared.ready);
                    older.extend(cleared.older);
                    *known.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = cleared.known;
                    if stopped() {
                        break Halt::Interrupted;
                    }
                }
                halt => break halt,
            }
        };
        drop(drive);
        self.finish(&progress, halt, ends, &work);
        self.done.rollouts.push(progress);
        Ok(older)
    }

    /// Says once why nothing begins, and what ends it.
    pub(super) fn say_paused(&mut self, why: &str) {
        if !self.done.notes.iter().any(|note| note == why) {
            self.done.notes.push(why.to_string());
            self.done.next.push("isobar resume".into());
        }
    }
}

/// What people say meanwhile. The journal is read again only when others wrote between our own entries.
async fn signs(world: &World, history: &Mutex<History>, now_ms: u64) -> Result<Signs, StoreError> {
    let lock = || history.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let misses = lock().misses_entries();
    if misses {
        let fresh = world.store.history().await?;
        *lock() = fresh;
    }
    let history = lock();
    let say = |hold: &Hold| match hold.until_ms {
        Some(until) => format!("held until {}: {}", say_time(until), hold.reason),
        None => format!("held: {}", hold.reason),
    };
    let held = history.holds(now_ms).into_iter().map(|hold| (hold.region.clone(), say(hold))).collect();
    Ok(Signs { paused: paused(&history), held })
}

/// Who paused, and why.
pub(super) fn paused(history: &History) -> Option<String> {
    history.paused().map(|(by, reason)| format!("paused by {by}: {reason}"))
}

fn make_job(
    world: &World,
    work: &Work,
    at_commit: &Mutex<BTreeMap<TargetId, Arc<Scene>>>,
    id: &TargetId,
    known: &Known,
) -> Result<crate::engine::Job, Unseen> {
    let gone = || Unseen::new(id.clone(), UnseenReason::Engine("its definition is gone".into()));
    let pending = work.get(id).ok_or_else(gone)?;
    let older = at_commit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(id).cloned();
    match older {
        Some(scene) => {
            let target = scene.fleet.target(id).ok_or_else(gone)?;
            scene.job(world, target, pending.intent, known)
        }
        None => pending.scene.job(world, &pending.target, pending.intent, known),
    }
}

fn tell(world: &World, bar: &Bar, moment: &Moment<'_>) {
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

/// A gate sees what a shell would need to find programs, and nothing secret.
fn gate_environment(world: &World) -> BTreeMap<OsString, OsString> {
    ["PATH", "HOME", "LANG", "TMPDIR"]
        .iter()
        .filter_map(|name| Some((name.into(), world.environment.get(name)?.into())))
        .collect()
}
