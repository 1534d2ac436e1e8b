//! One file a kind of rule; each reads its own keys and says what it finds. `RULES` lists them.

pub(super) mod approvals;
pub(super) mod deny;
pub(super) mod freeze;
pub(super) mod limit;
