//! The pull requests that are open from a branch. A run for a fork names none, so they are asked for.

use super::needs::Needs;
use super::{GitHub, reading};
use crate::host::{Branch, HostError, Opened};
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
    pub(super) async fn pulls_from(&self, branch: &Branch) -> Result<Vec<Opened>, HostError> {
        let (owner, _) = branch.repository.split_once('/').unwrap_or((&branch.repository, ""));
        let from = encoded(&format!("{owner}:{}", branch.name));
        let path = self.path(&format!("/pulls?state=open&per_page=100&head={from}"));
        let doing = "reading which pull request is open from a branch";
        let pulls: Vec<Pull> = self.api.list(reading(doing, Needs::PullRequestsRead), &path, serde_json::from_value).await?;
        let is_from = |pull: &Pull| {
            let repository = pull.head.repo.as_ref().map(|repo| repo.full_name.as_str()).unwrap_or_default();
            *pull.head.branch == branch.name && repository.eq_ignore_ascii_case(&branch.repository)
        };
        let opened = |pull: Pull| Opened {
            number: pull.number,
            proposed: Proposed { head: CommitSha(pull.head.sha), branch: pull.base.branch },
            is_draft: pull.draft,
            is_programs: pull.user.is_none_or(|user| user.kind == "Bot"),
        };
        Ok(pulls.into_iter().filter(is_from).map(opened).collect())
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
