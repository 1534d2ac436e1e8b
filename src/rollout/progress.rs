//! How far a rollout is: a fold over its events, and what may begin next.

use super::{Ending, Gate, Outcome, Rollout};
use crate::policy::Clearance;
use crate::stack::TargetId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What happened in a rollout. Times are the journal's, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum StepEvent {
    /// The engine may have begun; without a later `Finished` the outcome is unknown.
    Started {
        target: TargetId,
    },
    Finished {
        target: TargetId,
        outcome: Outcome,
    },
    GatePassed {
        wave: usize,
        gate: usize,
    },
    GateFailed {
        wave: usize,
        gate: usize,
        why: Arc<str>,
    },
    /// All targets have outcomes and all gates passed: the bake begins here.
    Verified {
        wave: usize,
    },
    Stopped {
        why: Arc<str>,
    },
    /// Somebody said go on: failures so far are forgiven, failed and skipped targets stay behind.
    Resumed,
}

/// The permission to start one target: made by [`Progress::next`] from a clearance.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub wave: usize,
    pub clearance: Clearance,
}

/// What may begin now.
#[derive(Clone, Debug, PartialEq)]
pub enum Todo {
    /// The wave opens: preview and judge these targets again, then [`Progress::clear`] or record their outcome.
    NeedsClearance {
        wave: usize,
        targets: Vec<TargetId>,
    },
    Apply(Step),
    Ask {
        wave: usize,
        index: usize,
        gate: Gate,
    },
    /// Record this event, it follows from the others (`Verified`, `Stopped`, `Finished` as skipped because a dependency failed).
    Record(StepEvent),
    /// Nothing may begin before `until_ms`: a bake.
    Wait {
        wave: usize,
        until_ms: u64,
        why: String,
    },
    /// Targets are in flight and nothing else may begin.
    InFlight,
    Over(Ending),
}

/// Where a wave is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaveState {
    /// Waits for the waves before it.
    Blocked,
    Open,
    Baking {
        until_ms: u64,
    },
    Done,
}

/// A rollout and all that happened in it.
#[derive(Clone, Debug)]
pub struct Progress {
    rollout: Rollout,
}

impl Progress {
    pub fn new(rollout: Rollout) -> Self {
        Self { rollout }
    }

    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Folds one event in. Events of unknown targets or waves are ignored.
    pub fn record(&mut self, _event: &StepEvent, _at_ms: u64) {
        todo!()
    }

    /// Gives permission for targets of an open wave. A clearance lives only in this process: after a crash the wave asks again.
    pub fn clear(&mut self, _clearances: Vec<Clearance>) {
        todo!()
    }

    /// Returns all that may begin at `now_ms`; never empty. An `Apply` stays on offer until its `Started` is recorded.
    pub fn next(&self, _now_ms: u64) -> Vec<Todo> {
        todo!()
    }

    pub fn outcome(&self, _target: &TargetId) -> Option<&Outcome> {
        todo!()
    }

    pub fn wave_state(&self, _wave: usize) -> WaveState {
        todo!()
    }

    /// Targets that were started and have no outcome.
    pub fn unknown(&self) -> Vec<TargetId> {
        todo!()
    }

    /// How it ended, when it has.
    pub fn ending(&self) -> Option<Ending> {
        todo!()
    }
}
