//! In what order, and how far: waves, gates, bakes, tolerance. A pure state machine folded from events; knows no tasks,
//! channels, processes or clocks.

mod gate;
mod outcome;
mod plan;
mod progress;
mod settings;

pub use gate::Gate;
pub use outcome::{Ending, Outcome};
pub use plan::{PlanError, Planned, Rollout, Wave};
pub use progress::{Progress, Step, StepEvent, Todo, WaveState};
pub use settings::Settings;
