//! May it: rules judge facts that were gathered first. Knows no clock and no client, and not how a finding is printed.
//! Whatever fails or is missing means *no*.

mod absent;
mod built_in;
mod case;
mod code_owners;
mod declared;
mod facts;
mod glob;
mod judge;
mod known;
mod past;
mod quorum;
mod rule;
mod rules;
mod schema;
mod verdict;
mod votes;
mod when;
mod words;

#[cfg(test)]
mod testing;

pub use absent::absent;
pub use built_in::BUILT_IN;
pub use code_owners::{CodeOwners, Owner};
pub use declared::Policy;
pub use facts::{Facts, Past, Subject};
pub use judge::{UNDECLARED, judge};
pub use rule::Rule;
pub use rules::RULES;
pub use schema::schema;
pub use verdict::{Answer, Clearance, Verdict};
