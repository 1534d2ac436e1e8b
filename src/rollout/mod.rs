//! In what order, and how far: waves, gates, bakes, tolerance. A pure state machine folded from events; knows no tasks,
//! channels, processes or clocks.

mod bars;
mod cleared;
mod fold;
mod gate;
mod leeway;
mod measure;
mod next;
mod order;
mod outcome;
mod paces;
mod plan;
mod progress;
mod rule;
mod schema;
mod settings;
mod shard;
mod slice;
mod slots;
mod takeover;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod walk;
mod wave;
mod words;

pub use bars::Bars;
pub use cleared::Taken;
pub use gate::{Gate, programs};
pub use leeway::Leeway;
pub use measure::duration;
pub use next::{Now, Step, Todo};
pub use outcome::{Ending, Outcome, STUCK};
pub use paces::{Paces, Part};
pub use progress::{Progress, StepEvent};
pub use schema::schema;
pub use settings::Settings;
pub use shard::{SHARDS_MAX, Shard, shards_for};
pub use slots::{Pool, Slots, slots_schema};
pub use takeover::Takeover;
pub use wave::{PlanError, Planned, Rollout, Wave};
pub use words::{WaveState, WaveView};
