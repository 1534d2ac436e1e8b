//! One test binary: the walls of the house, and the stories that run the built program.

mod docs;
mod fleets;
mod house;
mod support;
