//! What may come between a decision and the entry that says so without making it wrong. Written down as it is, so that whoever decides
//! need not be whoever writes.

use super::{Entry, Event};
use crate::rollout::{Leeway, StepEvent};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Entries that others appended since, in spite of which a decision is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bears {
    Nothing,
    /// Those of one run: its own.
    Run(Arc<str>),
    /// What leaves starts as right as they were.
    Starts(Leeway),
    /// What leaves a rollout as its gate was asked about it.
    Answer(Arc<str>),
}

impl Bears {
    /// Says whether the decision is right in spite of these entries, in their order.
    pub fn all(&self, entries: &[Entry]) -> bool {
        match self {
            Self::Nothing => entries.is_empty(),
            Self::Run(run) => entries.iter().all(|entry| entry.run == *run),
            Self::Starts(leeway) => bears_starts(leeway, entries),
            Self::Answer(rollout) => !entries.iter().any(|entry| is_resumed(rollout, entry)),
        }
    }
}

/// What is known of other targets changes nothing, and of steps the rollout knows.
fn bears_starts(leeway: &Leeway, entries: &[Entry]) -> bool {
    let mut steps = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::Step { rollout, step } => steps.push((&**rollout, step)),
            Event::RunStarted { .. } | Event::Cleared { .. } | Event::Applied { .. } | Event::Recovered { .. } => {}
            Event::Planned { .. } | Event::Superseded { .. } | Event::Settled { .. } | Event::DriftChecked { .. } => {
                return false;
            }
            Event::Paused { .. } | Event::Resumed { .. } | Event::Held { .. } | Event::Released { .. } => return false,
            Event::Freed { .. } | Event::KeyBegan { .. } | Event::Compacted { .. } | Event::GivenUp { .. } => return false,
        }
    }
    leeway.bears(steps)
}

/// Once all targets of a wave have outcomes, only who says go on has any of them tried again.
fn is_resumed(rollout: &str, entry: &Entry) -> bool {
    matches!(&entry.event, Event::Step { rollout: of, step: StepEvent::Resumed } if **of == *rollout)
}
