//! What happened: events in a hash chain, and the history they fold into. Knows not where it is stored. It keeps ids,
//! digests, addresses, causes and people; never values, diffs or outputs.

mod class;
mod event;
mod history;
mod open;
mod record;

pub use class::Class;
pub use event::{Chain, Drifted, Entry, Event, Fault, SCHEMA, Verb};
pub use history::{History, Hold};
pub use record::{DriftNote, Left, Record, State};
