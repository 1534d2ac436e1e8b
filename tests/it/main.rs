//! One test binary: the walls of the house, and the stories that run the built program.

mod apply;
mod approvals;
mod authority;
mod broken;
mod cli;
mod demo;
mod destroy;
mod determinism;
mod docs;
mod drift;
mod fleets;
mod forward;
mod git_journal;
mod holes;
mod house;
mod instances;
mod killed;
mod names;
mod part;
mod preview;
mod recover;
mod rollout;
mod secrets;
mod signals;
mod support;
mod transcript;
