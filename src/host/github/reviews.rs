//! Pull requests, the reviews of each, and everybody who made it. Whatever is missing, or says what we do not know, is an error.

use super::needs::{Needs, not_there, unreadable};
use super::{Actor, GitHub, Oid, PAGES_MAX, Page, PageInfo, reading};
use crate::host::HostError;
use crate::review::{About, CommitSha, Decided, Decision, Landed, Proposed, PullRequest, Reviewed, User, Voice};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const REVIEWS: &str = include_str!("reviews.graphql");
const COMMITS: &str = include_str!("commits.graphql");
const BROUGHT: &str = include_str!("brought.graphql");

/// The newest commits of a line whose changes are read whether they were shown or not.
const RECENT_MAX: usize = 20;

/// Times that we ask which change brought the newest commit: GitHub knows it some seconds after the merge.
const ASKS_MAX: u32 = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InReviews {
    pull_request: Option<Pull>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pull {
    title: String,
    state: String,
    head_ref_oid: Arc<str>,
    base_ref_name: Arc<str>,
    merged: bool,
    merged_at: Option<jiff::Timestamp>,
    merge_commit: Option<Oid>,
    author: Option<Actor>,
    latest_opinionated_reviews: Option<Page<Review>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    state: String,
    submitted_at: Option<jiff::Timestamp>,
    author_can_push_to_repository: bool,
    author: Option<Actor>,
    commit: Option<Oid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InCommits {
    pull_request: Option<PullCommits>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullCommits {
    commits: CountedPage<InCommit>,
    timeline_items: Counted<Pushed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountedPage<N> {
    total_count: usize,
    #[serde(flatten)]
    page: Page<N>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted<N> {
    total_count: usize,
    nodes: Vec<N>,
}

#[derive(Deserialize)]
struct InCommit {
    commit: PullCommit,
}

#[derive(Deserialize)]
struct PullCommit {
    authors: Counted<GitActor>,
    committer: Option<GitActor>,
}

/// Somebody in a commit; `user` is missing for whom GitHub does not know.
#[derive(Deserialize)]
struct GitActor {
    user: Option<Actor>,
}

#[derive(Deserialize)]
struct Pushed {
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct InHistory {
    object: Option<OfHistory>,
}

#[derive(Deserialize)]
struct OfHistory {
    history: Page<Brought>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brought {
    oid: String,
    associated_pull_requests: Option<Nodes<Bringer>>,
}

#[derive(Deserialize)]
struct Nodes<N> {
    nodes: Vec<N>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bringer {
    number: u64,
    merged: bool,
    base_ref_name: String,
    merge_commit: Option<Oid>,
    base_repository: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name_with_owner: String,
}

impl GitHub {
    /// One pull request, with the latest decision of everybody and all who made it.
    pub(super) async fn change(&self, number: u64) -> Result<Reviewed, HostError> {
        let doing = format!("reading the reviews of #{number}");
        let ask = reading(&doing, Needs::PullRequestsRead);
        let (mut decisions, mut after) = (Vec::new(), Value::Null);
        let mut asked = 0;
        let pull = loop {
            let answer: InReviews = self.ask_repository(ask, REVIEWS, json!({ "number": number, "after": after })).await?;
            let mut pull = answer.pull_request.ok_or_else(|| not_there(&doing, Needs::PullRequestsRead))?;
            let page = pull.latest_opinionated_reviews.take();
            let page = page.ok_or_else(|| unreadable(&doing, "it has no reviews to look at"))?;
            for review in page.nodes {
                decisions.extend(decided(&doing, review)?);
            }
            asked += 1;
            match page.info {
                PageInfo { has_next: true, end: Some(end) } if asked < PAGES_MAX => after = json!(end),
                PageInfo { has_next: true, .. } => return Err(unreadable(&doing, "its reviews have no end")),
                PageInfo { has_next: false, .. } => break pull,
            }
        };
        decisions.extend(self.approvals_in_comments(number).await?);
        let (mut makers, is_whole) = self.makers(number).await?;
        let author = pull.author.as_ref().map(|actor| User(actor.login.as_str().into()));
        let is_authorship_known = is_whole && author.is_some();
        let author = author.unwrap_or_else(|| User("ghost".into()));
        makers.retain(|maker| *maker != author);
        let landed = self.landed(&doing, &pull)?;
        let is_open = pull.state == "OPEN";
        let proposed =
            is_open.then(|| Proposed { head: CommitSha(pull.head_ref_oid.clone()), branch: pull.base_ref_name.clone() });
        let change = PullRequest { number: Some(number), title: pull.title, author, committers: makers };
        Ok(Reviewed { change, is_authorship_known, proposed, landed, decisions })
    }

    /// What was merged elsewhere has not landed.
    fn landed(&self, doing: &str, pull: &Pull) -> Result<Option<Landed>, HostError> {
        if !pull.merged || self.branch.as_ref().is_some_and(|branch| *branch != pull.base_ref_name) {
            return Ok(None);
        }
        match (&pull.merge_commit, pull.merged_at) {
            (Some(commit), Some(at)) => {
                let at_ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
                Ok(Some(Landed { commit: CommitSha(commit.oid.clone()), at_ms }))
            }
            _ => Err(unreadable(doing, "it is merged, and has no merge commit")),
        }
    }

    /// Everybody who wrote, committed or pushed over it, and whether that is all of them.
    async fn makers(&self, number: u64) -> Result<(Vec<User>, bool), HostError> {
        let doing = format!("reading the commits of #{number}");
        let ask = reading(&doing, Needs::PullRequestsRead);
        let (mut logins, mut commits, mut after) = (BTreeSet::new(), 0, Value::Null);
        let mut is_whole = true;
        for _ in 0..PAGES_MAX {
            let answer: InCommits = self.ask_repository(ask, COMMITS, json!({ "number": number, "after": after })).await?;
            let PullCommits { commits: counted, timeline_items: pushes } =
                answer.pull_request.ok_or_else(|| not_there(&doing, Needs::PullRequestsRead))?;
            is_whole &= pushes.total_count <= pushes.nodes.len();
            logins.extend(pushes.nodes.into_iter().filter_map(|push| push.actor).map(|actor| actor.login));
            for InCommit { commit } in counted.page.nodes {
                is_whole &= commit.authors.total_count <= commit.authors.nodes.len();
                let people = commit.authors.nodes.into_iter().chain(commit.committer);
                logins.extend(people.filter_map(|person| person.user).map(|user| user.login));
                commits += 1;
            }
            match counted.page.info {
                PageInfo { has_next: true, end: Some(end) } => after = json!(end),
                PageInfo { .. } => {
                    is_whole &= counted.total_count <= commits;
                    return Ok((logins.into_iter().map(|login| User(login.into())).collect(), is_whole));
                }
            }
        }
        Err(unreadable(&doing, "its commits have no end"))
    }

    /// The changes that brought these commits to the branch that is applied, by number: those that were shown, and those that brought the
    /// newest commits.
    pub(super) async fn line(&self, commits: &[CommitSha], shown: &BTreeSet<u64>) -> Result<Vec<Reviewed>, HostError> {
        let Some(newest) = commits.first() else { return Ok(Vec::new()) };
        let mut bringers = BTreeMap::new();
        for asked in 1..=ASKS_MAX {
            bringers = self.bringers(newest, commits).await?;
            let is_known = bringers.values().any(|commit| commit == newest);
            if is_known || self.has_waited.load(Ordering::Relaxed) {
                break;
            }
            self.has_waited.store(asked == ASKS_MAX, Ordering::Relaxed);
            self.api.pause(Duration::from_secs(asked.into())).await;
        }
        let recent = &commits[..commits.len().min(RECENT_MAX)];
        bringers.retain(|number, commit| shown.contains(number) || recent.contains(commit));
        let mut changes = Vec::new();
        for number in bringers.into_keys() {
            changes.push(self.change(number).await?);
        }
        Ok(changes)
    }

    /// The numbers of the changes that landed with one of these commits, and which.
    async fn bringers(&self, newest: &CommitSha, commits: &[CommitSha]) -> Result<BTreeMap<u64, CommitSha>, HostError> {
        let doing = format!("reading which pull request brought {}", newest.short());
        let ask = reading(&doing, Needs::PullRequestsRead);
        let mut wanted: BTreeSet<&str> = commits.iter().map(|commit| &*commit.0).collect();
        let (line, mut found, mut after) = (wanted.clone(), BTreeMap::new(), Value::Null);
        let ours = format!("{}/{}", self.owner, self.name);
        for _ in 0..PAGES_MAX {
            let answer: InHistory = self.ask_repository(ask, BROUGHT, json!({ "commit": newest.0, "after": after })).await?;
            let page = answer.object.ok_or_else(|| not_there(&doing, Needs::ContentsRead))?.history;
            for brought in page.nodes {
                wanted.remove(brought.oid.as_str());
                for bringer in brought.associated_pull_requests.into_iter().flat_map(|list| list.nodes) {
                    let is_ours = bringer.base_repository.is_some_and(|base| base.name_with_owner.eq_ignore_ascii_case(&ours));
                    let is_applied = self.branch.as_ref().is_none_or(|branch| **branch == *bringer.base_ref_name);
                    let landed = bringer.merge_commit.filter(|commit| line.contains(&*commit.oid));
                    if let (true, true, true, Some(commit)) = (is_ours, is_applied, bringer.merged, landed) {
                        found.insert(bringer.number, CommitSha(commit.oid));
                    }
                }
            }
            match page.info {
                PageInfo { has_next: true, end: Some(end) } if !wanted.is_empty() => after = json!(end),
                PageInfo { .. } => return Ok(found),
            }
        }
        Err(unreadable(&doing, "the line of commits has no end"))
    }
}

/// A decision; nothing for an opinion that was taken back. A new kind of opinion is an error: it may be one that blocks.
fn decided(doing: &str, review: Review) -> Result<Option<Decided>, HostError> {
    let decision = match review.state.as_str() {
        "APPROVED" => Decision::Approve,
        "CHANGES_REQUESTED" => Decision::Reject,
        "DISMISSED" => return Ok(None),
        other => return Err(unreadable(doing, &format!("there is a review of the kind {other:?}"))),
    };
    // An account that is gone approves nothing; whoever asked for changes still did.
    let by = match (review.author, decision) {
        (Some(author), _) => author,
        (None, Decision::Approve) => return Ok(None),
        (None, Decision::Reject) => Actor { kind: "User".into(), login: "ghost".into() },
    };
    let voice = match (by.kind.as_str(), review.author_can_push_to_repository) {
        ("Bot", _) => Voice::Bot,
        (_, true) => Voice::Writer,
        (_, false) => Voice::Reader,
    };
    let at_ms = review.submitted_at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let at_ms = at_ms.ok_or_else(|| unreadable(doing, "there is a review without a time"))?;
    let about = About::Commit(review.commit.map(|commit| CommitSha(commit.oid)));
    Ok(Some(Decided { by: User(by.login.into()), voice, decision, about, at_ms }))
}
