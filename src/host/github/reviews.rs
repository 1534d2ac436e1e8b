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

/// The address of what is committed on GitHub's pages.
const GITHUB: &str = "noreply@github.com";

/// Commits of a pull request that GitHub tells of at most, and as many as it counts.
const COMMITS_MAX: usize = 250;

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

/// Somebody in a commit; `user` is missing for whom GitHub does not know, and for programs.
#[derive(Deserialize)]
struct GitActor {
    email: Option<String>,
    user: Option<Actor>,
}

/// Who made something, as far as GitHub knows.
struct Makers {
    logins: BTreeSet<String>,
    is_whole: bool,
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
    parents: Count,
    #[serde(flatten)]
    commit: PullCommit,
    associated_pull_requests: Option<Nodes<Bringer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    total_count: usize,
}

#[derive(Deserialize)]
struct Nodes<N> {
    nodes: Vec<N>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bringer {
    number: u64,
    title: String,
    merged: bool,
    merged_at: Option<jiff::Timestamp>,
    author: Option<Actor>,
    base_ref_name: String,
    merge_commit: Option<Oid>,
    base_repository: Option<Named>,
    /// Those that ever asked for changes.
    reviews: Option<Count>,
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
        let (change, is_authorship_known) = made(number, pull.title.clone(), pull.author.as_ref(), self.makers(number).await?);
        let landed = self.landed(&doing, &pull)?;
        let is_open = pull.state == "OPEN";
        let proposed =
            is_open.then(|| Proposed { head: CommitSha(pull.head_ref_oid.clone()), branch: pull.base_ref_name.clone() });
        Ok(Reviewed { change, is_authorship_known, proposed, landed, decisions })
    }

    /// What was merged elsewhere has not landed.
    fn landed(&self, doing: &str, pull: &Pull) -> Result<Option<Landed>, HostError> {
        if !pull.merged || self.branch.as_ref().is_some_and(|branch| *branch != pull.base_ref_name) {
            return Ok(None);
        }
        landed(doing, pull.merge_commit.as_ref(), pull.merged_at).map(Some)
    }

    /// Everybody who wrote, committed or pushed over it, and whether that is all of them.
    async fn makers(&self, number: u64) -> Result<Makers, HostError> {
        let doing = format!("reading the commits of #{number}");
        let ask = reading(&doing, Needs::PullRequestsRead);
        let (mut makers, mut commits, mut after) = (Makers::default(), 0, Value::Null);
        for _ in 0..PAGES_MAX {
            let answer: InCommits = self.ask_repository(ask, COMMITS, json!({ "number": number, "after": after })).await?;
            let PullCommits { commits: counted, timeline_items: pushes } =
                answer.pull_request.ok_or_else(|| not_there(&doing, Needs::PullRequestsRead))?;
            makers.is_whole &= pushes.total_count <= pushes.nodes.len();
            makers.logins.extend(pushes.nodes.into_iter().filter_map(|push| push.actor).map(|actor| actor.login));
            for InCommit { commit } in counted.page.nodes {
                makers.add(commit);
                commits += 1;
            }
            match counted.page.info {
                PageInfo { has_next: true, end: Some(end) } => after = json!(end),
                PageInfo { has_next: true, end: None } => return Err(unreadable(&doing, "a list goes on nowhere")),
                PageInfo { has_next: false, .. } => {
                    makers.is_whole &= counted.total_count <= commits && commits < COMMITS_MAX;
                    return Ok(makers);
                }
            }
        }
        Err(unreadable(&doing, "its commits have no end"))
    }

    /// The changes that brought these commits to the branch that is applied, by number, each with those who made it. What people decided
    /// is read of those that were shown, and of those that brought the newest commits.
    pub(super) async fn line(&self, commits: &[CommitSha], shown: &BTreeSet<u64>) -> Result<Vec<Reviewed>, HostError> {
        let Some(newest) = commits.first() else { return Ok(Vec::new()) };
        let mut bringers: BTreeMap<u64, (Reviewed, bool)> = BTreeMap::new();
        for asked in 1..=ASKS_MAX {
            bringers = self.bringers(newest, commits).await?;
            let is_known = bringers.values().any(|(one, _)| one.landed.as_ref().is_some_and(|landed| landed.commit == *newest));
            if is_known || self.has_waited.load(Ordering::Relaxed) {
                break;
            }
            self.has_waited.store(asked == ASKS_MAX, Ordering::Relaxed);
            self.api.pause(Duration::from_secs(asked.into())).await;
        }
        let recent = &commits[..commits.len().min(RECENT_MAX)];
        let is_recent = |one: &Reviewed| one.landed.as_ref().is_some_and(|landed| recent.contains(&landed.commit));
        let mut changes = Vec::new();
        for (number, (brought, is_contested)) in bringers {
            if !(is_contested || shown.contains(&number) || is_recent(&brought)) {
                changes.push(brought);
                continue;
            }
            let mut read = self.change(number).await?;
            if let (Some(landed), Some(brought)) = (&mut read.landed, brought.landed) {
                landed.first = brought.first;
            }
            changes.push(read);
        }
        Ok(changes)
    }

    /// The changes that landed with one of these commits, by number, without what people decided; and whether anybody ever asked for
    /// another.
    async fn bringers(&self, newest: &CommitSha, commits: &[CommitSha]) -> Result<BTreeMap<u64, (Reviewed, bool)>, HostError> {
        let doing = format!("reading which pull request brought {}", newest.short());
        let ask = reading(&doing, Needs::PullRequestsRead);
        let mut wanted: BTreeSet<&str> = commits.iter().map(|commit| &*commit.0).collect();
        let place: BTreeMap<&str, usize> = commits.iter().enumerate().map(|(at, commit)| (&*commit.0, at)).collect();
        let (mut found, mut after) = (BTreeMap::<u64, Coming>::new(), Value::Null);
        let ours = format!("{}/{}", self.owner, self.name);
        for _ in 0..PAGES_MAX {
            let answer: InHistory = self.ask_repository(ask, BROUGHT, json!({ "commit": newest.0, "after": after })).await?;
            let page = answer.object.ok_or_else(|| not_there(&doing, Needs::ContentsRead))?.history;
            for brought in page.nodes {
                wanted.remove(brought.oid.as_str());
                let mut makers = Makers::default();
                // Whoever merges by GitHub's button writes nothing.
                if brought.parents.total_count < 2 || !brought.commit.is_committed_by_github() {
                    makers.add(brought.commit);
                }
                for bringer in brought.associated_pull_requests.into_iter().flat_map(|list| list.nodes) {
                    let is_ours =
                        bringer.base_repository.as_ref().is_some_and(|base| base.name_with_owner.eq_ignore_ascii_case(&ours));
                    let is_applied = self.branch.as_ref().is_none_or(|branch| **branch == *bringer.base_ref_name);
                    let has_landed = bringer.merge_commit.as_ref().is_some_and(|commit| place.contains_key(&*commit.oid));
                    if is_ours && is_applied && bringer.merged && has_landed {
                        let coming = found.entry(bringer.number).or_insert_with(|| Coming::of(bringer));
                        coming.makers.logins.extend(makers.logins.iter().cloned());
                        coming.makers.is_whole &= makers.is_whole;
                        coming.places.extend(place.get(brought.oid.as_str()));
                    }
                }
            }
            match page.info {
                PageInfo { has_next: true, end: Some(end) } if !wanted.is_empty() => after = json!(end),
                PageInfo { has_next: true, end: None } if !wanted.is_empty() => {
                    return Err(unreadable(&doing, "a list goes on nowhere"));
                }
                PageInfo { .. } => {
                    let read = |(number, coming)| Ok((number, brought(&doing, coming, commits)?));
                    return found.into_iter().map(read).collect();
                }
            }
        }
        Err(unreadable(&doing, "the line of commits has no end"))
    }
}

/// A change that came with a line of commits, as far as that was read.
struct Coming {
    bringer: Bringer,
    makers: Makers,
    /// Where its commits stand in the line, which goes from new to old.
    places: BTreeSet<usize>,
}

impl Coming {
    fn of(bringer: Bringer) -> Self {
        Self { bringer, makers: Makers::default(), places: BTreeSet::new() }
    }
}

/// A change that landed with one of these commits, and nothing of what people decided about it but whether anybody asked for another.
fn brought(doing: &str, coming: Coming, commits: &[CommitSha]) -> Result<(Reviewed, bool), HostError> {
    let Coming { bringer, makers, places } = coming;
    let Bringer { number, title, merged_at, merge_commit, reviews, .. } = bringer;
    let (change, is_authorship_known) = made(number, title, bringer.author.as_ref(), makers);
    let mut landed = landed(doing, merge_commit.as_ref(), merged_at)?;
    // A rebase brings commits one after the other. What stands apart from them came by itself, whatever it is a part of.
    let newest = commits.iter().position(|commit| *commit == landed.commit);
    let oldest = newest.and_then(|newest| (newest..).take_while(|at| *at == newest || places.contains(at)).last());
    if let Some(first) = oldest.and_then(|oldest| commits.get(oldest)) {
        landed.first = first.clone();
    }
    // Where nobody can tell, it is read.
    let is_contested = reviews.is_none_or(|reviews| reviews.total_count > 0);
    Ok((Reviewed { change, is_authorship_known, proposed: None, landed: Some(landed), decisions: Vec::new() }, is_contested))
}

impl PullCommit {
    fn is_committed_by_github(&self) -> bool {
        self.committer.as_ref().is_some_and(|committer| committer.email.as_deref() == Some(GITHUB))
    }
}

impl Default for Makers {
    fn default() -> Self {
        Self { logins: BTreeSet::new(), is_whole: true }
    }
}

impl Makers {
    fn add(&mut self, commit: PullCommit) {
        self.is_whole &= commit.authors.total_count <= commit.authors.nodes.len();
        for person in commit.authors.nodes.into_iter().chain(commit.committer) {
            match person.user {
                Some(user) => _ = self.logins.insert(user.login),
                None => self.is_whole &= person.email.as_deref().is_some_and(is_program),
            }
        }
    }
}

/// An address of GitHub's own, or of an app: a program's, which approves nothing. Any other that no account has may be anybody's.
fn is_program(email: &str) -> bool {
    let app = email.strip_suffix("@users.noreply.github.com").and_then(|name| name.strip_suffix("[bot]"));
    email == GITHUB || app.is_some_and(|name| !name.is_empty())
}

/// The change, and whether all who made it are known.
fn made(number: u64, title: String, author: Option<&Actor>, makers: Makers) -> (PullRequest, bool) {
    let is_known = makers.is_whole && author.is_some();
    let author = User(author.map_or("ghost", |author| &author.login).into());
    let committers = makers.logins.into_iter().map(|login| User(login.into())).filter(|maker| *maker != author).collect();
    (PullRequest { number: Some(number), title, author, committers }, is_known)
}

fn landed(doing: &str, commit: Option<&Oid>, at: Option<jiff::Timestamp>) -> Result<Landed, HostError> {
    let (Some(commit), Some(at)) = (commit, at) else {
        return Err(unreadable(doing, "it is merged, and has no merge commit"));
    };
    let commit = CommitSha(commit.oid.clone());
    Ok(Landed { first: commit.clone(), commit, at_ms: u64::try_from(at.as_millisecond()).unwrap_or(0) })
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
