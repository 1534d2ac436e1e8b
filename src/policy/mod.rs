//! May it: rules judge facts that were gathered first. Knows no clock and no client, and not how a finding is printed.
//! Whatever fails or is missing means *no*.

mod facts;
mod judge;
mod rule;
mod rules;
mod verdict;

pub use facts::{Facts, Past, Subject};
pub use judge::judge;
pub use rule::{Policy, RULES, Rule};
pub use verdict::{Answer, Clearance, Verdict};
