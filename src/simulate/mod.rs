//! The shipped runner, rollout and history in a world that is made up: its clock, its engine and its journal. For those who play
//! a rollout before it happens, and for the tests that look for what breaks one.

mod clear;
mod clock;
mod engine;
mod rehearsal;
mod run;

pub use clock::{Clock, Sleep};
pub use engine::{ENGINE, Fate, MadeUp, Phase, Reality, Things};
pub use rehearsal::{Fails, RUNS_MAX, Rehearsal, Rehearsed, is_chosen};
pub use run::{Run, weighed};
