//! What exists: regions, stacks and their targets, read from definitions, and which of them a diff touches.
//! Knows nothing of engines, hosts or tools: their sections are kept unread, as [`Node`]s.

#[cfg(test)]
mod broken;
mod check;
mod cycle;
mod definition;
mod draft;
mod expression;
mod fleet;
mod fleet_file;
mod graph;
mod graph_text;
mod instance;
mod journal_place;
mod layer;
mod mark;
mod mistake;
mod name;
mod node;
mod place;
mod quiet;
mod reason;
mod reference;
mod region;
mod resolve;
mod resolved;
#[cfg(test)]
mod sample;
mod scalar;
mod schema;
mod select;
#[cfg(test)]
mod select_oracle;
mod selector;
mod source;
mod told;
mod traced;
mod undefined;
mod unread;
mod used_files;
mod used_values;
mod vars;
mod wiring;
mod yaml;

pub use definition::{BUILT_IN, Dependency, ENGINES, Instance, OutputFrom, Stack};
pub use expression::{fill, references_in, walk};
pub use fleet::{DirectPush, FirstApply, Fleet, Target};
pub use graph::Graph;
pub use graph_text::Level;
pub use journal_place::{GitPlace, JournalPlace};
pub use mark::{Hole, Part, has_marks, holes, is_mark_character, mark_hole, mark_secret, show_marks, split_marks};
pub use mistake::{Mistake, Mistakes, Quote, did_you_mean};
pub use name::{RegionId, StackName, TargetId};
pub use node::{Fields, Kind, Node};
pub use quiet::Quiet;
pub use reason::{Reason, Side, Uses};
pub use reference::{Reference, To};
pub use region::Region;
pub use resolve::{Known, Resolver};
pub use resolved::Resolved;
pub use schema::{Parts, json_schema};
pub use select::{Considered, Selection, Why, users_of_outputs};
pub use selector::Selector;
pub use source::{BlobId, Leaf, Listing, Mode, Site, Source, unbroken};
pub use traced::{Layer, Traced};
pub use unread::{Unread, UnreadKeys};
pub use vars::Vars;
