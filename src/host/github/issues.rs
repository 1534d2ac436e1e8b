//! Issues of ours, one of each key: opened when there is something to mend, edited while that lasts, closed when it is mended.

use super::marker::Marker;
use super::needs::Needs;
use super::{GitHub, Page, telling};
use crate::host::{Boxed, HostError, Issue, Issues, Posted, Turn};
use crate::review::CommitSha;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

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

/// An issue of ours that is there.
type Found = (Marker, Node);

impl GitHub {
    pub(super) async fn tell_in_issues(&self, issues: &Issues) -> Result<Posted, HostError> {
        let there = self.our_issues(&issues.kind).await?;
        if there.iter().any(|(marker, _)| marker.turn > issues.turn) {
            return Ok(Posted::Overtaken);
        }
        let told: BTreeMap<String, &Issue> = issues.lasting.iter().map(|issue| (key(&issues.kind, issue), issue)).collect();
        for (marker, node) in open(&there).filter(|(marker, _)| !told.contains_key(&marker.key)) {
            self.close(node, issues.turn, marker, "completed").await?;
        }
        for (key, issue) in told {
            let body = format!("{}\n{}", marker(&key, issues.turn), issue.text);
            let mut same = open(&there).filter(|(marker, _)| marker.key == key);
            match same.next() {
                None => self.open(issues, &key, issue, &body).await?,
                Some((_, first)) if first.title == issue.title && says(&first.body, &issue.text) => {}
                Some((_, first)) => self.set(first.number, json!({ "title": issue.title, "body": body })).await?,
            }
            for (marker, node) in same {
                self.close(node, issues.turn, marker, "not_planned").await?;
            }
        }
        Ok(Posted::Done)
    }

    /// All issues of ours of this kind, the oldest first.
    async fn our_issues(&self, kind: &str) -> Result<Vec<Found>, HostError> {
        let ask = telling("reading our issues", Needs::IssuesWrite);
        let nodes = self.list(ask, ISSUES, json!({ "labels": [LABEL] }), |found: InIssues| Some(found.issues)).await?;
        let ours = |node: Node| {
            Some((Marker::read(&node.body).filter(|marker| node.viewer_did_author && is_of(&marker.key, kind))?, node))
        };
        Ok(nodes.into_iter().filter_map(ours).collect())
    }

    async fn open(&self, issues: &Issues, key: &str, issue: &Issue, body: &str) -> Result<(), HostError> {
        let doing = format!("opening the issue {:?}", issue.title);
        let look = || -> Boxed<'_, Result<Option<Created>, HostError>> {
            Box::pin(async move {
                let there = self.our_issues(&issues.kind).await?;
                let mut same = open(&there).filter(|(marker, _)| marker.key == key);
                Ok(same.next().map(|(_, node)| Created { number: node.number }))
            })
        };
        let request = json!({ "title": issue.title, "body": body, "labels": [LABEL] });
        let made = self.api.create(telling(&doing, Needs::IssuesWrite), &self.path("/issues"), &request, look).await?;
        tracing::debug!(number = made.number, "opened an issue");
        Ok(())
    }

    /// Closes it in this turn, so that a run that looked earlier does not open another.
    async fn close(&self, node: &Node, turn: Turn, was: &Marker, reason: &str) -> Result<(), HostError> {
        let text = node.body.split_once('\n').map_or("", |(_, rest)| rest);
        let body = format!("{}\n{text}", marker(&was.key, turn));
        self.set(node.number, json!({ "state": "closed", "state_reason": reason, "body": body })).await
    }

    async fn set(&self, number: u64, what: serde_json::Value) -> Result<(), HostError> {
        let doing = format!("editing the issue #{number}");
        let path = self.path(&format!("/issues/{number}"));
        self.api.change(telling(&doing, Needs::IssuesWrite), Method::PATCH, &path, &what).await.map(drop)
    }
}

fn open(there: &[Found]) -> impl Iterator<Item = &Found> {
    there.iter().filter(|(_, node)| node.state == "OPEN")
}

fn key(kind: &str, issue: &Issue) -> String {
    issue.part.as_ref().map_or_else(|| kind.to_string(), |part| format!("{kind}-{part}"))
}

/// It is the whole kind, or a part of it.
fn is_of(key: &str, kind: &str) -> bool {
    key.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn marker(key: &str, turn: Turn) -> Marker {
    Marker { key: key.to_string(), head: CommitSha("none".into()), turn, part: (1, 1) }
}

/// What is there below the marker is this: a run that has nothing new to say stays quiet.
fn says(body: &str, text: &str) -> bool {
    body.split_once('\n').is_some_and(|(_, rest)| rest == text)
}
