//! The policy section as data: rules in order, and the table of rule kinds.

use crate::stack::{Mistakes, Node};

/// One kind of rule: its name in the fleet file and what it is about, for docs and errors.
pub struct Rule {
    pub name: &'static str,
    pub about: &'static str,
}

/// Every kind of rule.
pub const RULES: &[Rule] = &[];

/// The parsed rules of a fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {}

impl Policy {
    /// Reads the fleet's `policy` section; every mistake at once.
    pub fn read(_section: &Node, _mistakes: &mut Mistakes) -> Self {
        todo!()
    }
}
