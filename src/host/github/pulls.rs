//! The pull requests that are open, from a branch or into one. A run for a fork names none, so they are asked for.

use super::needs::Needs;
use super::{GitHub, reading};
use crate::host::{Branch, HostError, Opened, Openings};
use crate::review::{CommitSha, Proposed};
use serde::Deserialize;
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(Deserialize)]
struct Pull {
    number: u64,
    #[serde(default)]
    draft: bool,
    user: Option<Account>,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Account {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Side {
    sha: Arc<str>,
    #[serde(rename = "ref")]
    branch: Arc<str>,
    /// Missing once a fork is gone.
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

impl GitHub {
    pub(super) async fn open_pulls(&self, of: &Openings) -> Result<Vec<Opened>, HostError> {
        let only = match of {
            Openings::From(Branch { repository, name }) => {
                let (owner, _) = repository.split_once('/').unwrap_or((repository, ""));
                format!("head={}", encoded(&format!("{owner}:{name}")))
            }
            Openings::Into(branch) => format!("base={}", encoded(branch)),
        };
        let path = self.path(&format!("/pulls?state=open&per_page=100&{only}"));
        let doing = "reading which pull requests are open";
        let pulls: Vec<Pull> = self.api.list(reading(doing, Needs::PullRequestsRead), &path, serde_json::from_value).await?;
        let is_asked_for = |pull: &Pull| match of {
            Openings::From(branch) => {
                let repository = pull.head.repo.as_ref().map(|repo| repo.full_name.as_str()).unwrap_or_default();
                *pull.head.branch == branch.name && repository.eq_ignore_ascii_case(&branch.repository)
            }
            Openings::Into(branch) => pull.base.branch == *branch,
        };
        let opened = |pull: Pull| Opened {
            number: pull.number,
            proposed: Proposed { head: CommitSha(pull.head.sha), branch: pull.base.branch },
            is_draft: pull.draft,
            is_programs: pull.user.is_none_or(|user| user.kind == "Bot"),
        };
        Ok(pulls.into_iter().filter(is_asked_for).map(opened).collect())
    }
}

/// A text as a value of a query: the name of a branch may hold anything.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => _ = write!(encoded, "%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_adds_nothing_to_a_query() {
        assert_eq!(encoded("eve:a&state=all#é"), "eve%3Aa%26state%3Dall%23%C3%A9");
    }
}
