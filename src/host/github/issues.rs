//! Issues of ours, one of each key: opened when there is something to mend, edited while that lasts, closed when it is mended.

use super::marker::Marker;
use super::needs::Needs;
use super::{GitHub, Page, telling};
use crate::host::{Boxed, HostError, Issue, Posted};
use crate::review::CommitSha;
use http::Method;
use serde::Deserialize;
use serde_json::json;

const ISSUES: &str = include_str!("issues.graphql");

/// By this we find ours among all.
const LABEL: &str = "isobar";

#[derive(Deserialize)]
struct InIssues {
    issues: Page<Node>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    number: u64,
    title: String,
    state: String,
    viewer_did_author: bool,
    body: String,
}

#[derive(Deserialize)]
struct Created {
    number: u64,
}

impl GitHub {
    pub(super) async fn tell_in_issue(&self, issue: &Issue) -> Result<Posted, HostError> {
        let there = self.our_issues(&issue.key).await?;
        if there.iter().any(|(marker, _)| marker.turn > issue.turn) {
            return Ok(Posted::Overtaken);
        }
        let open: Vec<&Node> = there.iter().map(|(_, node)| node).filter(|node| node.state == "OPEN").collect();
        let Some(text) = &issue.text else {
            for node in open {
                self.set(node.number, json!({ "state": "closed", "state_reason": "completed" })).await?;
            }
            return Ok(Posted::Done);
        };
        let body = format!("{}\n{text}", marker(issue));
        match open.split_first() {
            None => self.open(issue, &body).await?,
            Some((first, more)) => {
                if first.title != issue.title || !says(&first.body, text) {
                    self.set(first.number, json!({ "title": issue.title, "body": body })).await?;
                }
                for node in more {
                    self.set(node.number, json!({ "state": "closed", "state_reason": "not_planned" })).await?;
                }
            }
        }
        Ok(Posted::Done)
    }

    /// All issues of ours with this key, the oldest first.
    async fn our_issues(&self, key: &str) -> Result<Vec<(Marker, Node)>, HostError> {
        let ask = telling("reading our issues", Needs::IssuesWrite);
        let nodes = self.list(ask, ISSUES, json!({ "labels": [LABEL] }), |found: InIssues| Some(found.issues)).await?;
        let ours =
            |node: Node| Some((Marker::read(&node.body).filter(|marker| node.viewer_did_author && marker.key == key)?, node));
        Ok(nodes.into_iter().filter_map(ours).collect())
    }

    async fn open(&self, issue: &Issue, body: &str) -> Result<(), HostError> {
        let doing = format!("opening the issue {:?}", issue.title);
        let look = || -> Boxed<'_, Result<Option<Created>, HostError>> {
            Box::pin(async move {
                let there = self.our_issues(&issue.key).await?;
                Ok(there.into_iter().find(|(_, node)| node.state == "OPEN").map(|(_, node)| Created { number: node.number }))
            })
        };
        let request = json!({ "title": issue.title, "body": body, "labels": [LABEL] });
        let made = self.api.create(telling(&doing, Needs::IssuesWrite), &self.path("/issues"), &request, look).await?;
        tracing::debug!(number = made.number, "opened an issue");
        Ok(())
    }

    async fn set(&self, number: u64, what: serde_json::Value) -> Result<(), HostError> {
        let doing = format!("editing the issue #{number}");
        let path = self.path(&format!("/issues/{number}"));
        self.api.change(telling(&doing, Needs::IssuesWrite), Method::PATCH, &path, &what).await.map(drop)
    }
}

fn marker(issue: &Issue) -> Marker {
    Marker { key: issue.key.clone(), head: CommitSha("none".into()), turn: issue.turn, part: (1, 1) }
}

/// What is there below the marker is this: a run that has nothing new to say stays quiet.
fn says(body: &str, text: &str) -> bool {
    body.split_once('\n').is_some_and(|(_, rest)| rest == text)
}
