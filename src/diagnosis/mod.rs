//! Why something failed, in one sentence, with the next step. The same cause in many targets is one finding.

mod cause;
mod hit;
mod rules;

pub use cause::{Cause, explain, fold};
pub use rules::{RULES, Rule};
