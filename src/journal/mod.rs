//! What happened: events in a hash chain, and the history they fold into. Knows not where it is stored. It keeps ids,
//! digests, addresses, causes and people; never values, diffs or outputs.

mod bears;
mod chain;
mod checkpoint;
mod class;
mod entry;
mod event;
mod history;
mod ledger;
mod open;
mod record;
mod resume;
mod schema;
mod seal;
mod usual;

pub use bears::Bears;
pub use chain::{Chain, Seals};
pub use checkpoint::{CHECKPOINT_SCHEMA, Checkpoint, CheckpointFault, Dropped};
pub use class::Class;
pub use entry::{Entry, Fault, SCHEMA};
pub use event::{Drifted, Event, Verb};
pub use history::{GivenUp, History, Hold};
pub use ledger::{Became, Ledger, Row};
pub use record::{DriftNote, Left, Record, State};
pub use schema::schema;
pub use seal::{Sealer, Unsealed, close, is_closed, is_sealed, is_sealed_by};
pub use usual::Usual;
