//! Where reviews come from and reports go. Knows reviews; not stacks, previews or what a Markdown text says.

#[cfg(test)]
mod cases;
mod contract;
mod github;
mod local;

pub use contract::{
    Boxed, Branch, Check, CheckState, Comment, Deployed, DeployedState, Deployments, Host, HostError, Issue, Issues, Of, Opened,
    Openings, Posted, RunNumber, Turn,
};
pub use github::{GitHub, GitHubConfig};
pub use local::{Local, LocalConfig};
