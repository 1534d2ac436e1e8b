//! Where reviews come from and reports go. Knows reviews; not stacks, previews or what a Markdown text says.

#[cfg(test)]
mod cases;
mod contract;
mod local;

pub use contract::{Boxed, Host, HostError};
pub use local::{Local, LocalConfig};
