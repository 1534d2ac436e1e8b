//! Our texts on a pull request or an issue: looked at, written, and looked at again until what stands there is what should.

use super::marker::Marker;
use super::needs::{Needs, not_there, unreadable};
use super::sticky::{Found, Step, body_of, plan, written_over};
use super::{Actor, Ask, GitHub, PAGES_MAX, Page, PageInfo, telling};
use crate::host::{Boxed, Comment, HostError, Posted};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

const COMMENTS: &str = include_str!("comments.graphql");
const EDITS: &str = include_str!("edits.graphql");

/// Times that we look again at what others may have written meanwhile.
const ROUNDS_MAX: usize = 6;

/// Seconds between looks for what we wrote ourselves: an answer can be older than that.
const LOOKS_SECS: [u64; 6] = [0, 1, 1, 2, 3, 3];

#[derive(Deserialize)]
struct InTalk {
    #[serde(rename = "issueOrPullRequest")]
    about: Option<Talk>,
}

#[derive(Deserialize)]
struct Talk {
    comments: Page<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Node {
    id: String,
    database_id: u64,
    pub(super) created_at: jiff::Timestamp,
    /// Stands when the account that edited it is gone, and `editor` with it.
    pub(super) last_edited_at: Option<jiff::Timestamp>,
    viewer_did_author: bool,
    pub(super) author: Option<Actor>,
    editor: Option<Actor>,
    pub(super) body: String,
}

#[derive(Deserialize)]
struct InNode {
    node: Option<Edited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edited {
    author: Option<Actor>,
    body: String,
    user_content_edits: Option<Edits>,
}

#[derive(Deserialize)]
struct Edits {
    nodes: Vec<Edit>,
}

#[derive(Deserialize)]
struct Edit {
    editor: Option<Actor>,
    diff: Option<String>,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
    node_id: String,
}

impl GitHub {
    pub(super) async fn tell_in_comment(&self, number: u64, comment: &Comment) -> Result<Posted, HostError> {
        let mut made: Vec<Found> = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let found = self.our_comments_with(number, &made).await?;
            let plan = plan(&found, comment);
            let is_settled = !plan.steps.iter().any(|step| matches!(step, Step::Create { .. } | Step::Remove { .. }));
            for step in plan.steps {
                match step {
                    Step::Edit { id, node, body } => {
                        if !self.edit(number, id, &body).await? {
                            continue; // somebody took it away: the next round makes it anew
                        }
                        self.put_back(number, id, &node, &comment.key, &body).await?;
                    }
                    Step::Create { part, body } => made.push(self.create(number, comment, part, body).await?),
                    Step::Remove { id } => {
                        let doing = format!("removing a second comment on #{number}");
                        let path = self.path(&format!("/issues/comments/{id}"));
                        self.api.delete(telling(&doing, Needs::PullRequestsWrite), &path).await?;
                        made.retain(|own| own.id != id);
                    }
                }
            }
            match (plan.is_overtaken, is_settled) {
                (true, _) => return Ok(Posted::Overtaken),
                (false, true) => return Ok(Posted::Done),
                (false, false) => {}
            }
        }
        Ok(Posted::Done)
    }

    /// Our own texts, with those that we `made`. A list may be older than these: then nobody knows what others made before them, and we
    /// look again.
    async fn our_comments_with(&self, number: u64, made: &[Found]) -> Result<Vec<Found>, HostError> {
        let is_in = |found: &[Found], own: &Found| found.iter().any(|one| one.id == own.id);
        for secs in LOOKS_SECS {
            let found = self.our_comments(number).await?;
            if made.iter().all(|own| is_in(&found, own)) {
                return Ok(found);
            }
            self.api.pause(Duration::from_secs(secs)).await;
        }
        let mut found = self.our_comments(number).await?;
        let unseen: Vec<Found> = made.iter().filter(|own| !is_in(&found, own)).cloned().collect();
        found.extend(unseen);
        Ok(found)
    }

    /// Our own texts. One that somebody else has edited says nothing of who wrote it: any turn is later.
    async fn our_comments(&self, number: u64) -> Result<Vec<Found>, HostError> {
        let doing = format!("reading the comments on #{number}");
        let nodes = self.comments(telling(&doing, Needs::PullRequestsWrite), number).await?;
        Ok(nodes.into_iter().filter_map(ours).collect())
    }

    /// All comments, the newest page first.
    pub(super) async fn comments(&self, ask: Ask<'_>, number: u64) -> Result<Vec<Node>, HostError> {
        let (mut all, mut before) = (Vec::new(), Value::Null);
        for _ in 0..PAGES_MAX {
            let answer: InTalk = self.ask_repository(ask, COMMENTS, json!({ "number": number, "before": before })).await?;
            let page = answer.about.ok_or_else(|| not_there(ask.doing, ask.needs))?.comments;
            all.extend(page.nodes);
            match page.info {
                PageInfo { has_next: true, end: Some(start) } => before = json!(start),
                PageInfo { has_next: true, end: None } => return Err(unreadable(ask.doing, "a list goes on nowhere")),
                PageInfo { has_next: false, .. } => return Ok(all),
            }
        }
        Err(unreadable(ask.doing, "they have no end"))
    }

    /// Says whether it was still there.
    async fn edit(&self, number: u64, id: u64, body: &str) -> Result<bool, HostError> {
        let doing = format!("editing the comment on #{number}");
        let path = self.path(&format!("/issues/comments/{id}"));
        let ask = telling(&doing, Needs::PullRequestsWrite);
        self.api.change(ask, Method::PATCH, &path, &json!({ "body": body })).await
    }

    /// Two runs that edit at once may end with the older one's words: whoever finds that puts the newer one's back.
    async fn put_back(&self, number: u64, id: u64, node: &str, key: &str, wrote: &str) -> Result<(), HostError> {
        let doing = format!("reading the edits of the comment on #{number}");
        let (mut wrote, mut times) = (wrote.to_string(), 1);
        for secs in LOOKS_SECS {
            let ask = telling(&doing, Needs::PullRequestsWrite);
            let answer: InNode = self.api.query(ask, EDITS, json!({ "node": node })).await?;
            let Some(Edited { author, body, user_content_edits: Some(edits) }) = answer.node else { return Ok(()) };
            let is_ours = |edit: &Edit| is_same(edit.editor.as_ref(), author.as_ref());
            let texts: Vec<String> = edits.nodes.into_iter().filter(is_ours).filter_map(|edit| edit.diff).collect();
            let written = |text: &str| texts.iter().filter(|one| **one == *text).count();
            if written(&wrote) < times && !texts.is_empty() {
                self.api.pause(Duration::from_secs(secs)).await; // older than what we wrote
                continue;
            }
            let Some(newer) = written_over(&body, texts.iter().map(String::as_str), key) else { return Ok(()) };
            self.edit(number, id, newer).await?;
            (times, wrote) = (written(newer) + 1, newer.to_string());
        }
        Ok(())
    }

    async fn create(&self, number: u64, comment: &Comment, part: usize, body: String) -> Result<Found, HostError> {
        let doing = format!("commenting on #{number}");
        let look = || self.look_for(number, &body);
        let path = self.path(&format!("/issues/{number}/comments"));
        let ask = telling(&doing, Needs::PullRequestsWrite);
        let Created { id, node_id: node } = self.api.create(ask, &path, &json!({ "body": body }), look).await?;
        let body = body_of(comment, part, &comment.parts[part - 1]);
        let marker = Marker::read(&body).expect("we wrote it");
        Ok(Found { id, node, marker, body })
    }

    /// The comment of ours that says just this.
    fn look_for<'a>(&'a self, number: u64, body: &'a str) -> Boxed<'a, Result<Option<Created>, HostError>> {
        Box::pin(async move {
            let same = self.our_comments(number).await?.into_iter().find(|one| one.body == body);
            Ok(same.map(|one| Created { id: one.id, node_id: one.node }))
        })
    }
}

fn ours(node: Node) -> Option<Found> {
    if !node.viewer_did_author {
        return None;
    }
    let mut marker = Marker::read(&node.body)?;
    if node.last_edited_at.is_some() && !is_same(node.editor.as_ref(), node.author.as_ref()) {
        marker.turn = Default::default();
    }
    Some(Found { id: node.database_id, node: node.id, marker, body: node.body })
}

fn is_same(one: Option<&Actor>, other: Option<&Actor>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.login == other.login)
}
