//! One test binary: the walls of the house, and the stories that run the built program.

mod apply;
mod approvals;
mod audit;
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
mod holes;
mod house;
mod instances;
mod killed;
mod names;
mod preview;
mod recover;
mod rollout;
mod secrets;
mod support;
mod transcript;
