//! The promises, written down a second time: a plain reader of the journal that knows no `Progress` and no `History`, and looks
//! after every entry whether what was written may have been done.

use super::case::{Ground, Pace};
use super::world::number;
use isobar::change::Digest;
use isobar::journal::{Chain, Entry, Event, History};
use isobar::rollout::{Ending, Now, Outcome, Progress, Rollout, Slots, StepEvent};
use isobar::runner::Halt;
use isobar::simulate::{Reality, Things};
use isobar::stack::{RegionId, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was seen so far, and what of it broke a promise.
pub(crate) struct Checker {
    pub(crate) broken: Vec<String>,
    ground: Arc<Ground>,
    /// What is bounded besides waves.
    slots: Slots,
    chain: Chain,
    rollouts: BTreeMap<Arc<str>, Course>,
    /// Who may write about a target.
    owners: BTreeMap<TargetId, Arc<str>>,
    /// The newest clearance of a target that no start used: by which run, which preview, and whether it had changes.
    cleared: BTreeMap<TargetId, (Arc<str>, Digest, bool)>,
    /// Previews that were applied and journalled.
    applied: BTreeSet<(TargetId, Digest)>,
    /// The newest commit that a target was brought to.
    brought: BTreeMap<TargetId, usize>,
    /// Starts that wait for their engine, and engines at work.
    due: BTreeMap<TargetId, Arc<str>>,
    at_work: BTreeMap<TargetId, Arc<str>>,
    /// Targets whose newest start came to no good end, and whether an earlier one had not either.
    unclosed: BTreeMap<TargetId, bool>,
    newest: BTreeMap<TargetId, Things>,
    /// The newest entry when a run asked a gate last.
    asked: BTreeMap<Arc<str>, u64>,
    paused: bool,
    held: BTreeMap<RegionId, u64>,
    /// Runs that wrote since the last thing that people said: they have read it by now.
    informed: BTreeSet<Arc<str>>,
    /// Runs that wrote since a rollout was resumed last: they know of it by now.
    heard: BTreeSet<Arc<str>>,
    /// Runs that wrote since somebody said something of a rollout as a whole: they know of that by now.
    abreast: BTreeSet<Arc<str>>,
    /// Runs that are one of several: they decide on the newest entry, or not at all.
    shards: BTreeSet<Arc<str>>,
}

/// One rollout, as its entries tell it.
struct Course {
    rollout: Rollout,
    wave_of: BTreeMap<TargetId, usize>,
    state: BTreeMap<TargetId, At>,
    /// For each wave all that must be done before.
    ahead: Vec<BTreeSet<usize>>,
    waves: Vec<Part>,
    stopped: bool,
    /// The entry that resumed it last; 0 where none did.
    resumed: u64,
    /// Another goes on in its place, or all of it was brought.
    superseded: bool,
    /// Targets that a newer rollout has.
    taken: BTreeSet<TargetId>,
}

#[derive(Clone, Default)]
struct Part {
    verified_at: Option<u64>,
    touched: bool,
    passed: BTreeSet<usize>,
    gate_failed: bool,
    first_start: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
enum At {
    Waiting,
    Started(Arc<str>),
    Ended(Outcome),
}

impl Checker {
    pub(crate) fn new(ground: Arc<Ground>, slots: Slots) -> Self {
        Self {
            broken: Vec::new(),
            ground,
            slots,
            chain: Chain::empty(),
            rollouts: BTreeMap::new(),
            owners: BTreeMap::new(),
            cleared: BTreeMap::new(),
            applied: BTreeSet::new(),
            brought: BTreeMap::new(),
            due: BTreeMap::new(),
            at_work: BTreeMap::new(),
            unclosed: BTreeMap::new(),
            newest: BTreeMap::new(),
            asked: BTreeMap::new(),
            paused: false,
            held: BTreeMap::new(),
            informed: BTreeSet::new(),
            heard: BTreeSet::new(),
            abreast: BTreeSet::new(),
            shards: BTreeSet::new(),
        }
    }

    pub(crate) fn break_(&mut self, what: String) {
        self.broken.push(what);
    }

    pub(crate) fn rollouts(&self) -> usize {
        self.rollouts.len()
    }

    fn hold(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(what());
        }
    }

    /// A run begins: alone, or as one of several.
    pub(crate) fn begins(&mut self, run: &Arc<str>, is_shard: bool) {
        if is_shard {
            self.shards.insert(run.clone());
        }
    }

    /// A run has these targets from now on.
    pub(crate) fn acquired(&mut self, run: &Arc<str>, targets: &[TargetId]) {
        for target in targets {
            if let Some(other) = self.owners.insert(target.clone(), run.clone()) {
                self.break_(format!("{run} has the lease on {target}, and so has {other}"));
            }
        }
    }

    /// A run gives the lease on these targets back.
    pub(crate) fn released<'a>(&mut self, run: &str, targets: impl IntoIterator<Item = &'a TargetId>) {
        for target in targets {
            let is_busy = self.at_work.get(target).is_some_and(|by| **by == *run);
            self.hold(!is_busy, || format!("{run} gives the lease on {target} back while its engine works on it"));
            for of in [&mut self.owners, &mut self.due] {
                of.extract_if(.., |held, by| held == target && **by == *run).for_each(drop);
            }
        }
    }

    /// A run ended: nothing of it is left.
    pub(crate) fn ended(&mut self, run: &str) {
        self.owners.retain(|_, owner| **owner != *run);
        self.at_work.retain(|_, by| **by != *run);
        self.due.retain(|_, by| **by != *run);
    }

    /// A run asks a gate.
    pub(crate) fn asks(&mut self, run: &Arc<str>) {
        self.asked.insert(run.clone(), self.chain.seq);
    }

    /// An engine begins to apply.
    pub(crate) fn engine_begins(&mut self, run: &Arc<str>, target: &TargetId) {
        if let Some(other) = self.at_work.insert(target.clone(), run.clone()) {
            self.break_(format!("two engines work on {target}: that of {other} and that of {run}"));
        }
        let due = self.due.remove(target);
        self.hold(due.as_ref() == Some(run), || {
            format!("{run}: the engine of {target} begins, and no start of it was journalled")
        });
    }

    pub(crate) fn engine_ends(&mut self, run: &Arc<str>, target: &TargetId) {
        let by = self.at_work.remove(target);
        self.hold(by.as_ref() == Some(run), || format!("{run}: an engine ends on {target} that never began"));
    }

    /// An engine changed what is there: versions only grow.
    pub(crate) fn touched(&mut self, target: &TargetId, things: Things) {
        let before = self.newest.insert(target.clone(), things).unwrap_or_default();
        let grows = before.iter().zip(things).all(|(before, now)| *before <= now);
        self.hold(grows, || format!("older over newer: {target} was at {before:?} and is at {things:?}"));
    }

    /// The planner's answer is held against the settings as they were written.
    pub(crate) fn planned(&mut self, rollout: &Rollout, asked: &BTreeSet<TargetId>) {
        let mut planned = Vec::new();
        rollout.waves.iter().for_each(|wave| planned.extend(wave.targets.iter().map(|planned| planned.target.clone())));
        let all: BTreeSet<TargetId> = planned.iter().cloned().collect();
        self.hold(planned.len() == all.len() && all == *asked, || {
            format!("{}: the plan has other targets than asked", rollout.id)
        });
        let course = Course::new(rollout.clone());
        let ground = self.ground.clone();
        let pace = |name: &str| ground.paces.iter().find(|pace| pace.name == *name).expect("an environment of this fleet");
        for (at, wave) in rollout.waves.iter().enumerate() {
            let own = pace(&wave.environment);
            if wave.targets.is_empty() {
                // It only waits for a bake that environments wait for which are not in this rollout.
                let bakes =
                    wave.after.iter().all(|before| rollout.waves[*before].bake_secs == own.bake_secs && own.bake_secs > 0);
                self.hold(bakes && wave.gates.is_empty(), || format!("{}: nothing to wait for", wave.name));
                continue;
            }
            self.hold(wave.max_parallel <= own.max_parallel, || format!("{}: more at once than max_parallel", wave.name));
            self.hold(wave.failure_tolerance <= own.tolerance, || format!("{}: tolerates more than was written", wave.name));
            self.hold(wave.gates.len() == own.gates, || format!("{}: other gates than were written", wave.name));
            let awaited = rollout.waves.iter().any(|later| later.after.contains(&at));
            self.hold(!awaited || wave.bake_secs == own.bake_secs, || format!("{}: another bake than was written", wave.name));
            for before in firsts(&ground.paces, own) {
                let missing = (0..rollout.waves.len())
                    .filter(|other| *rollout.waves[*other].environment == *before)
                    .find(|other| !course.ahead[at].contains(other));
                self.hold(missing.is_none(), || format!("{} does not come after all of {before}", wave.name));
            }
            let siblings = (0..at).filter(|other| rollout.waves[*other].environment == wave.environment);
            let loose = siblings.filter(|other| !course.ahead[at].contains(other)).count();
            self.hold(loose == 0, || format!("{} overlaps a wave of its environment", wave.name));
            for target in wave.targets.iter().map(|planned| &planned.target) {
                let planned = wave.targets.iter().find(|planned| planned.target == *target).expect("it is one of them");
                for need in ground.graph.dependencies(target).iter().filter(|need| all.contains(need)) {
                    self.hold(planned.after.contains(need), || format!("{target} does not wait for {need}"));
                }
            }
        }
    }

    /// Looks at entries that were just written, with reality as it is.
    pub(crate) fn saw(&mut self, entries: &[Entry], reality: &Reality) {
        for entry in entries {
            if let Err(why) = self.chain.follow(entry) {
                self.break_(format!("the chain is broken: {why}"));
            }
            if let Some(target) = entry.event.target() {
                let owner = self.owners.get(target);
                let mine = owner == Some(&entry.run);
                self.hold(mine, || format!("{} writes about {target} without its lease", entry.run));
            }
            self.event(entry, reality);
        }
        if let Some(entry) = entries.last() {
            self.informed.insert(entry.run.clone());
            self.heard.insert(entry.run.clone());
            self.abreast.insert(entry.run.clone());
        }
        if !self.chain.is_whole() {
            self.break_("a group was cut".into());
        }
    }

    fn event(&mut self, entry: &Entry, reality: &Reality) {
        match &entry.event {
            Event::Planned { rollout } => {
                let planned = rollout.waves.iter().flat_map(|wave| &wave.targets);
                let planned: BTreeSet<TargetId> = planned.map(|planned| planned.target.clone()).collect();
                self.one_plan(entry, rollout, &planned);
                self.rollouts.values_mut().for_each(|course| course.taken.extend(planned.iter().cloned()));
                self.rollouts.insert(rollout.id.clone(), Course::new(rollout.clone()));
            }
            Event::Cleared { target, digest, changes, .. } => {
                let clearance = (entry.run.clone(), digest.clone(), !changes.is_empty());
                self.cleared.insert(target.clone(), clearance);
            }
            Event::Applied { target, commit, digest, changes, .. } => {
                if !changes.is_empty() && !self.applied.insert((target.clone(), digest.clone())) {
                    self.break_(format!("{target}: one preview is told to be applied twice"));
                }
                let before = self.brought.insert(target.clone(), number(commit)).unwrap_or_default();
                self.hold(before <= number(commit), || format!("older over newer: {target} was at c{before}, now {commit}"));
            }
            Event::Step { rollout, step } => {
                let Some(mut course) = self.rollouts.remove(rollout) else {
                    return self.break_(format!("a step of {rollout}, which nobody planned"));
                };
                self.step(entry, &mut course, step, reality);
                self.rollouts.insert(rollout.clone(), course);
            }
            Event::Paused { .. } => {
                self.paused = true;
                self.informed.clear();
            }
            Event::Resumed { .. } => self.paused = false,
            Event::Held { region, until_ms, .. } => {
                self.held.insert(region.clone(), until_ms.unwrap_or(u64::MAX));
                self.informed.clear();
            }
            Event::Released { region, .. } => {
                self.held.remove(region);
            }
            Event::Settled { behind, .. } => self.settled(behind, reality),
            Event::Superseded { rollout, .. } => {
                if let Some(course) = self.rollouts.get_mut(rollout) {
                    course.superseded = true;
                }
            }
            Event::RunStarted { .. } | Event::DriftChecked { .. } => {}
            Event::Recovered { target, untouched: true, .. } => {
                if self.unclosed.get(target) == Some(&false) {
                    self.unclosed.remove(target);
                }
            }
            Event::Recovered { untouched: false, .. }
            | Event::Freed { .. }
            | Event::GivenUp { .. }
            | Event::KeyBegan { .. }
            | Event::Compacted { .. } => {}
        }
    }

    /// Nobody plans what another rollout has yet to bring.
    fn one_plan(&mut self, entry: &Entry, rollout: &Rollout, planned: &BTreeSet<TargetId>) {
        let (id, run) = (&rollout.id, &entry.run);
        let is_open = |course: &&Course| !course.superseded;
        let twice = self.rollouts.values().filter(is_open).find_map(|course| {
            let target = planned.iter().find(|target| course.has_yet_to_bring(target))?;
            Some((course.rollout.id.clone(), target.clone()))
        });
        self.hold(twice.is_none(), || format!("{run} plans {id} over what another has yet to bring: {twice:?}"));
    }

    /// What is told to be there is there, whole.
    fn settled(&mut self, behind: &[TargetId], reality: &Reality) {
        let brought: Vec<TargetId> = self.brought.keys().filter(|target| !behind.contains(target)).cloned().collect();
        for target in brought {
            let [first, second] = reality.things(&target);
            self.hold(first == second, || format!("{target} is told to be done, and is half made"));
        }
    }

    fn step(&mut self, entry: &Entry, course: &mut Course, step: &StepEvent, reality: &Reality) {
        match step {
            StepEvent::Started { target } => self.started(entry, course, target),
            StepEvent::Finished { target, outcome } => self.finished(entry, course, target, outcome, reality),
            StepEvent::GatePassed { wave, gate } => {
                self.answered(entry, course, *wave);
                course.waves[*wave].passed.insert(*gate);
            }
            StepEvent::GateFailed { wave, .. } => {
                self.answered(entry, course, *wave);
                course.waves[*wave].gate_failed = true;
            }
            StepEvent::Verified { wave } => {
                self.verified(entry, course, *wave);
                self.abreast.clear();
            }
            StepEvent::Stopped { why } => {
                let broke = (0..course.waves.len()).any(|wave| course.is_breached(wave, entry.at_ms));
                let knows = self.heard.contains(&entry.run); // else it had decided before somebody said go on
                self.hold(broke || !knows, || format!("{} stops without a reason: {why}", course.rollout.id));
                course.stopped = true;
                self.abreast.clear();
            }
            StepEvent::Resumed => {
                course.resume();
                course.resumed = entry.seq;
                self.heard.clear();
                self.abreast.clear();
            }
        }
    }

    fn started(&mut self, entry: &Entry, course: &mut Course, target: &TargetId) {
        let (id, run) = (course.rollout.id.clone(), entry.run.clone());
        let Some(at) = course.wave_of.get(target).copied() else {
            return self.break_(format!("{id} starts {target}, which is not in its plan"));
        };
        let wave = course.rollout.waves[at].clone();
        let name = &wave.name;
        self.hold(!course.taken.contains(target), || format!("{id} starts {target}, which a newer rollout has"));
        self.hold(!course.stopped, || format!("{id} starts {target} after it stopped"));
        let is_shard = self.shards.contains(&run);
        let seen = is_shard || self.informed.contains(&run);
        self.hold(!self.paused || !seen, || format!("{run} starts {target} in a pause"));
        let held = self.held.get(&target.region).is_some_and(|until| entry.at_ms < *until);
        self.hold(!held || !seen, || format!("{run} starts {target}, whose region is held"));
        match &course.state[target] {
            At::Waiting => {}
            At::Started(by) => {
                let again = *by == run;
                self.hold(!again, || format!("{run} starts {target} twice"));
            }
            At::Ended(outcome) => self.break_(format!("{id} starts {target}, which has an outcome: {outcome:?}")),
        }
        for before in &wave.after {
            let (part, plan) = (&course.waves[*before], &course.rollout.waves[*before]);
            let bake_ms = if part.touched || plan.unproven { plan.bake_secs * 1_000 } else { 0 };
            let done = part.verified_at.is_some_and(|at_ms| at_ms + bake_ms <= entry.at_ms);
            self.hold(done, || format!("{target} starts in {name} before {} is verified and baked", plan.name));
        }
        let planned = wave.targets.iter().find(|planned| planned.target == *target).expect("it is in this wave");
        for first in &planned.after {
            let reached = matches!(&course.state[first], At::Ended(outcome) if outcome.is_reached());
            self.hold(reached, || format!("{target} starts before {first}, which it needs"));
        }
        let missed = course.missed_before(at, target);
        self.hold(missed.is_none(), || format!("{target} starts, and {missed:?} of an earlier wave was not reached"));
        let flying = wave.targets.iter().filter(|planned| self.flies(course, &planned.target)).count();
        self.hold(flying < wave.max_parallel, || format!("{name}: more than {} at once", wave.max_parallel));
        self.takes_a_slot(course, target);
        let failed = course.failed(at);
        self.hold(failed <= wave.failure_tolerance, || format!("{target} starts, and {failed} of {name} failed"));
        self.hold(!course.waves[at].gate_failed, || format!("{target} starts, and a gate of {name} failed"));
        match self.cleared.remove(target) {
            Some((by, digest, has_changes)) => {
                self.hold(by == run, || format!("{run} starts {target} with a clearance of {by}"));
                let again = has_changes && self.applied.contains(&(target.clone(), digest));
                self.hold(!again, || format!("{target} is started for a preview that was applied before"));
            }
            None => self.break_(format!("{run} starts {target}, which nobody cleared")),
        }
        self.due.insert(target.clone(), run.clone());
        let was_unclosed = self.unclosed.contains_key(target);
        self.unclosed.insert(target.clone(), was_unclosed);
        let part = &mut course.waves[at];
        part.touched = true;
        part.first_start.get_or_insert(entry.at_ms);
        part.verified_at = None;
        course.state.insert(target.clone(), At::Started(run));
    }

    /// It was started, and whoever did that still has it.
    fn flies(&self, course: &Course, target: &TargetId) -> bool {
        matches!(&course.state[target], At::Started(by) if self.owners.get(target) == Some(by))
    }

    /// Whatever shares a slot with a target that starts, in all rollouts, leaves one for it.
    fn takes_a_slot(&mut self, course: &Course, target: &TargetId) {
        let pools = |target: &TargetId| self.slots.pools(&self.ground.targets[target]);
        let courses = || self.rollouts.values().chain([course]);
        let flying = || courses().flat_map(|course| course.state.keys().filter(|other| self.flies(course, other)));
        let is_full = |pool: &isobar::rollout::Pool| {
            flying().filter(|other| pools(other).iter().any(|theirs| theirs.name == pool.name)).count() >= pool.slots
        };
        let full = pools(target).into_iter().find(is_full);
        self.hold(full.is_none(), || format!("{target} starts, and no slot is free of {full:?}"));
    }

    fn finished(&mut self, entry: &Entry, course: &mut Course, target: &TargetId, outcome: &Outcome, reality: &Reality) {
        let (id, run) = (course.rollout.id.clone(), &entry.run);
        let Some(state) = course.state.get(target).cloned() else {
            return self.break_(format!("{id} ends {target}, which is not in its plan"));
        };
        let flies = matches!(&state, At::Started(by) if by == run);
        if let At::Ended(before) = &state {
            self.break_(format!("{target} ends twice in {id}: {before:?}, then {outcome:?}"));
        }
        let [first, second] = reality.things(target);
        match outcome {
            Outcome::Applied => {
                self.hold(flies, || format!("{target} is told to be applied by {run}, which did not start it"));
                self.hold(first == second, || format!("{target} is told to be applied, and is half made"));
                self.hold(!self.at_work.contains_key(target), || format!("{target} is told to be applied, and is at work"));
                self.unclosed.remove(target);
            }
            Outcome::Unchanged => {
                self.hold(!flies, || format!("{target} is in flight, and told to be unchanged"));
                self.hold(first == second, || format!("{target} is told to be unchanged, and is half made"));
                let is_closed = !self.unclosed.contains_key(target);
                self.hold(is_closed, || format!("{target} is told to be unchanged, and no engine closed what it began"));
            }
            Outcome::Failed(_) => {}
            Outcome::NotCleared(why) | Outcome::Skipped(why) => {
                self.hold(!flies, || format!("{target} is in flight, and skipped: {why}"));
                let blames = why.starts_with("dependency ") || why.contains(", of an earlier wave, ");
                let at = course.wave_of[target];
                let planned = course.rollout.waves[at].targets.iter().find(|planned| planned.target == *target);
                let unmet = |first: &TargetId| matches!(&course.state[first], At::Ended(outcome) if !outcome.is_reached());
                let blamed = planned.is_some_and(|planned| planned.after.iter().any(unmet));
                let just = !blames || blamed || course.missed_before(at, target).is_some();
                self.hold(just, || format!("{target} is skipped without cause: {why}"));
            }
        }
        course.state.insert(target.clone(), At::Ended(outcome.clone()));
    }

    /// What a gate says is of a wave all of whose targets have outcomes, and not of how that was before somebody said go on.
    fn answered(&mut self, entry: &Entry, course: &Course, at: usize) {
        let (wave, run) = (&course.rollout.waves[at], &entry.run);
        let open = course.of_wave(at).filter(|state| !matches!(state, At::Ended(_))).count();
        self.hold(open == 0, || format!("a gate of {} answers {run}, and {open} targets have no outcome", wave.name));
        let asked = self.asked.get(run).copied().unwrap_or_default();
        let is_of_now = asked >= course.resumed;
        self.hold(is_of_now, || format!("a gate of {} answers {run}, which asked it before a resume", wave.name));
    }

    fn verified(&mut self, entry: &Entry, course: &mut Course, at: usize) {
        let wave = &course.rollout.waves[at];
        let open = course.of_wave(at).filter(|state| !matches!(state, At::Ended(_))).count();
        self.hold(open == 0, || format!("{} is verified, and {open} targets have no outcome", wave.name));
        let failed = course.failed(at);
        self.hold(failed <= wave.failure_tolerance, || format!("{} is verified, and {failed} failed", wave.name));
        let skipped =
            course.of_wave(at).filter(|state| matches!(state, At::Ended(Outcome::Skipped(_) | Outcome::NotCleared(_)))).count();
        let asked = course.waves[at].passed.len() == wave.gates.len() || skipped == wave.targets.len();
        self.hold(asked, || format!("{} is verified, and not all its gates said yes", wave.name));
        self.hold(!course.waves[at].gate_failed, || format!("{} is verified, and a gate failed", wave.name));
        course.waves[at].verified_at.get_or_insert(entry.at_ms);
    }

    /// A rollout as the run that drove it sees it, and as somebody does who only read the journal.
    pub(crate) fn same_progress(&mut self, run: &str, live: &Progress, halt: &Halt, history: &History, now_ms: u64) {
        let id = &live.rollout().id;
        let replayed = history.rollouts().find(|progress| progress.rollout().id == *id);
        let Some(replayed) = replayed else {
            let over = live.ending() == Some(Ending::Complete) || self.shards.contains(run); // others ended it
            return self.hold(over, || format!("{id} goes on, and history has forgotten it"));
        };
        let gave_up = matches!(halt, Halt::GivenUp);
        if replayed.decisions() > live.decisions() && (gave_up || !self.abreast.contains(run)) {
            return; // it ended before it could hear of that, or before what was in flight came back, which it waits for first
        }
        let targets = || live.rollout().waves.iter().flat_map(|wave| &wave.targets).map(|planned| &planned.target);
        let differs = targets().find(|target| live.outcome(target) != replayed.outcome(target));
        self.hold(differs.is_none(), || format!("{id}: {differs:?} has another outcome live than replayed"));
        self.hold(live.ending() == replayed.ending(), || format!("{id} ended otherwise live than replayed"));
        let now = Now::at(now_ms);
        let views = (live.wave_views(&now), replayed.wave_views(&now));
        self.hold(views.0 == views.1, || format!("{id}: waves live {:?}, replayed {:?}", views.0, views.1));
        if !gave_up {
            let unknown = (live.unknown(), replayed.unknown());
            self.hold(unknown.0 == unknown.1, || format!("{id}: unknown live {:?}, replayed {:?}", unknown.0, unknown.1));
        }
        if self.shards.contains(run) && history.head().is_none_or(|(seq, _)| seq != self.chain.seq) {
            return; // others wrote since
        }
        let course = &self.rollouts[id];
        let told = |target: &TargetId| match &course.state[target] {
            At::Ended(outcome) => Some(outcome.is_reached()),
            At::Waiting | At::Started(_) => None,
        };
        let differs = targets().find(|target| live.outcome(target).map(Outcome::is_reached) != told(target)).cloned();
        self.hold(differs.is_none(), || format!("{id}: {differs:?} has another outcome than its entries say"));
        if let Halt::Over(Ending::Complete) = halt {
            let open = self.rollouts[id].state.values().filter(|state| !matches!(state, At::Ended(_))).count();
            self.hold(open == 0, || format!("{id} is complete, and {open} targets are not accounted for"));
        }
    }

    /// A run's own history, kept entry by entry, and the same journal read anew.
    pub(crate) fn same_history(&mut self, live: &History, replayed: &History) {
        type Facts<'a> = (Option<&'a Arc<str>>, &'a isobar::journal::State, bool, Option<&'a Digest>, usize);
        fn facts(history: &History) -> Vec<(&TargetId, Facts<'_>)> {
            let fact = |(target, record)| {
                let record: &isobar::journal::Record = record;
                let facts =
                    (record.commit.as_ref(), &record.state, record.started, record.applied.as_ref(), record.cleared.len());
                (target, facts)
            };
            history.targets().map(fact).collect()
        }
        self.hold(facts(live) == facts(replayed), || "a run's own history is not what its journal says".into());
        let rollouts = |history: &History| history.rollouts().map(|progress| progress.rollout().id.clone()).collect::<Vec<_>>();
        self.hold(rollouts(live) == rollouts(replayed), || "a run's own history has other rollouts than its journal".into());
    }
}

/// Environments that come before one, nearest and all.
fn firsts(paces: &[Pace], pace: &Pace) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = pace.after.clone();
    while let Some(name) = next {
        next = paces.iter().find(|pace| pace.name == name).and_then(|pace| pace.after.clone());
        found.push(name);
    }
    found
}

impl Course {
    fn new(rollout: Rollout) -> Self {
        let mut ahead: Vec<BTreeSet<usize>> = Vec::new();
        for wave in &rollout.waves {
            let nearest = wave.after.iter().filter(|before| **before < ahead.len());
            let all = nearest.flat_map(|before| ahead[*before].iter().copied().chain([*before])).collect();
            ahead.push(all);
        }
        let targets = || rollout.waves.iter().enumerate().flat_map(|(at, wave)| wave.targets.iter().map(move |one| (at, one)));
        Self {
            wave_of: targets().map(|(at, planned)| (planned.target.clone(), at)).collect(),
            state: targets().map(|(_, planned)| (planned.target.clone(), At::Waiting)).collect(),
            waves: vec![Part::default(); rollout.waves.len()],
            stopped: false,
            resumed: 0,
            superseded: false,
            taken: BTreeSet::new(),
            ahead,
            rollout,
        }
    }

    fn of_wave(&self, at: usize) -> impl Iterator<Item = &At> {
        self.rollout.waves[at].targets.iter().map(|planned| &self.state[&planned.target])
    }

    /// It is planned here and nowhere else since, and came to no end.
    fn has_yet_to_bring(&self, target: &TargetId) -> bool {
        !self.taken.contains(target) && self.state.get(target).is_some_and(|state| !matches!(state, At::Ended(_)))
    }

    fn failed(&self, at: usize) -> usize {
        self.of_wave(at).filter(|state| matches!(state, At::Ended(Outcome::Failed(_)))).count()
    }

    /// A target of the same stack that a wave before did not reach, for another reason than a hold.
    fn missed_before(&self, at: usize, target: &TargetId) -> Option<TargetId> {
        let before = self.ahead[at].iter().flat_map(|wave| &self.rollout.waves[*wave].targets);
        let missed = |other: &&TargetId| {
            // Passed over because its region was held: that holds up no other region, whoever brings it later.
            let missed = |outcome: &Outcome| !outcome.is_reached() && !outcome.is_held();
            other.stack == target.stack && matches!(&self.state[*other], At::Ended(outcome) if missed(outcome))
        };
        let environment = |wave: usize| &self.rollout.waves[wave].environment;
        let tolerated = |other: &TargetId| environment(self.wave_of[other]) == environment(at) && self.is_of_a_failure(other);
        before.map(|planned| &planned.target).find(|other| missed(other) && !tolerated(other)).cloned()
    }

    /// It failed, or was skipped after something that failed. A wave with more failures than it tolerates is never verified, so
    /// such a target of a wave that was is no reason against the later waves of its environment.
    fn is_of_a_failure(&self, target: &TargetId) -> bool {
        match &self.state[target] {
            At::Ended(Outcome::Failed(_)) => true,
            At::Ended(Outcome::Skipped(_)) => {
                let wave = &self.rollout.waves[self.wave_of[target]];
                let planned = wave.targets.iter().find(|planned| planned.target == *target).expect("it is in this wave");
                planned.after.iter().any(|first| self.is_of_a_failure(first))
            }
            At::Waiting | At::Started(_) | At::Ended(_) => false,
        }
    }

    fn is_breached(&self, at: usize, now_ms: u64) -> bool {
        let (plan, part) = (&self.rollout.waves[at], &self.waves[at]);
        let late = |secs: u64| part.first_start.is_some_and(|first| now_ms >= first + secs * 1_000);
        self.failed(at) > plan.failure_tolerance || part.gate_failed || plan.progress_deadline_secs.is_some_and(late)
    }

    fn resume(&mut self) {
        self.stopped = false;
        for (at, part) in self.waves.iter_mut().enumerate().filter(|(_, part)| part.verified_at.is_none()) {
            (part.gate_failed, part.first_start) = (false, None);
            part.passed.clear();
            for planned in &self.rollout.waves[at].targets {
                let state = self.state.get_mut(&planned.target).expect("all targets are here");
                if matches!(state, At::Ended(outcome) if !outcome.is_reached()) {
                    let taken = self.taken.contains(&planned.target);
                    *state = if taken { At::Ended(Outcome::Skipped("a newer rollout has it".into())) } else { At::Waiting };
                }
            }
        }
    }
}
