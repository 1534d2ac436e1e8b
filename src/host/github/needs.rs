//! What a token must be allowed to do, in the words of a workflow's `permissions:`, and what is said when it is not.

use super::wire::{Answer, Lost};
use crate::host::HostError;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// What reads teams.
pub(super) const ORG_TOKEN: &str =
    "org-token of the action is the token of an App with members: read of the organisation, or a personal one with read:org";

/// Characters of GitHub's own words that we repeat.
const WORDS_MAX: usize = 200;

/// One permission of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Needs {
    /// Every token has it.
    Metadata,
    ContentsRead,
    PullRequestsRead,
    PullRequestsWrite,
    IssuesWrite,
    StatusesWrite,
    DeploymentsWrite,
    /// Of the organisation: no token of a workflow has it.
    MembersRead,
}

impl Needs {
    /// The line below `permissions:`.
    pub(super) fn line(self) -> &'static str {
        match self {
            Needs::Metadata => "metadata: read",
            Needs::ContentsRead => "contents: read",
            Needs::PullRequestsRead => "pull-requests: read",
            Needs::PullRequestsWrite => "pull-requests: write",
            Needs::IssuesWrite => "issues: write",
            Needs::StatusesWrite => "statuses: write",
            Needs::DeploymentsWrite => "deployments: write",
            Needs::MembersRead => "members: read",
        }
    }

    fn hint(self) -> String {
        match self {
            Needs::MembersRead => format!("{ORG_TOKEN}; this one has not got {self}"),
            Needs::Metadata
            | Needs::ContentsRead
            | Needs::PullRequestsRead
            | Needs::PullRequestsWrite
            | Needs::IssuesWrite
            | Needs::StatusesWrite
            | Needs::DeploymentsWrite => {
                format!("add {self} to permissions: of the job; a pull request of a fork never gets more than read")
            }
        }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line())
    }
}

/// Tells why GitHub did not do it: `editing the comment on #7: 403 Resource not accessible by integration`, and what helps.
pub(super) fn refused(doing: &str, needs: Needs, answer: &Answer) -> HostError {
    let words = words(&answer.body);
    let what = format!("{doing}: {} {words}", answer.status).trim_end().to_string();
    let hint = match answer.status {
        401 => Some("GitHub does not accept the token: it may have ended with its job, or be of another server".into()),
        403 => Some(needs.hint()),
        404 if needs == Needs::MembersRead => Some(format!("it is not there, or the token may not see it: {ORG_TOKEN}")),
        404 => Some(format!("it is not there, or the token may not see it: that needs {needs}")),
        410 => Some("it was taken away, or conversation on it is locked".into()),
        408 | 429 | 500..=599 => {
            Some("GitHub is not well, or something in between; the next run does it: githubstatus.com".into())
        }
        _ => None,
    };
    HostError { what, hint }
}

/// It is not there, or the token may not see it.
pub(super) fn not_there(doing: &str, needs: Needs) -> HostError {
    let what = format!("{doing}: there is nothing of that name");
    HostError { what, hint: Some(format!("it is not there, or the token may not see it: that needs {needs}")) }
}

pub(super) fn too_long(doing: &str, wait: Duration) -> HostError {
    let what = format!("{doing}: GitHub lets this token ask again in {} s, and we wait no longer", wait.as_secs().max(1));
    HostError {
        what,
        hint: Some(
            "the limit is of the whole repository: let fewer workflows use its token, or give this one the token of an App"
                .into(),
        ),
    }
}

pub(super) fn unanswered(doing: &str, lost: &Lost) -> HostError {
    let hint = "see whether GITHUB_API_URL is right, and whether HTTPS_PROXY is needed";
    HostError { what: format!("{doing}: {}", lost.why), hint: Some(hint.into()) }
}

pub(super) fn unreadable(doing: &str, why: &str) -> HostError {
    HostError { what: format!("{doing}: the answer is not what GitHub says it would be: {why}"), hint: None }
}

/// GitHub's own words, on one line and not too many: its messages repeat what we sent.
fn words(body: &[u8]) -> String {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let message = answer["message"].as_str().unwrap_or_default();
    let errors = answer["errors"].as_array().into_iter().flatten();
    let more = errors.filter_map(|error| error["message"].as_str().or(error.as_str()).or(error["code"].as_str()));
    let text: Vec<&str> = std::iter::once(message).chain(more).filter(|text| !text.is_empty()).collect();
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.join("; ").chars().map(visible).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn a_refusal_names_the_permission_that_is_missing() {
        let body = br#"{"message":"Resource not accessible by integration","documentation_url":"x"}"#.to_vec();
        let answer = Answer { status: 403, headers: HeaderMap::new(), body };
        let error = refused("editing the comment on #7", Needs::PullRequestsWrite, &answer);
        assert_eq!(error.what, "editing the comment on #7: 403 Resource not accessible by integration");
        assert!(error.hint.is_some_and(|hint| hint.contains("pull-requests: write")));
    }

    #[test]
    fn what_github_repeats_of_hostile_text_stays_on_one_short_line() {
        let body = serde_json::json!({ "message": "Validation Failed\n::error::x", "errors": [{ "message": "y".repeat(500) }] });
        let said = words(body.to_string().as_bytes());
        assert!(!said.contains('\n') && said.chars().count() == WORDS_MAX, "{said}");
        assert_eq!(words(b"<html>"), "");
    }
}
