//! GitHub: reviews, pull requests and people are read from it, and what we tell goes there. Knows GitHub's words; not what a text says.

mod api;
mod checks;
mod commands;
mod comments;
mod deployments;
mod issues;
mod marker;
mod needs;
mod patience;
mod pulls;
mod reviews;
mod sticky;
mod teams;
mod wire;

use super::{Boxed, Check, Comment, Deployments, Host, HostError, Issues, Of, Opened, Openings, Posted};
use crate::review::{Approval, CommitSha, PullRequest, Reviewed, User, Voice};
use api::{Api, Ask};
use needs::Needs;
use patience::Deadline;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use wire::Wire;

/// How long is waited for what decides.
const READING: Deadline = Deadline(Duration::from_secs(300));
/// How long is waited for what only tells: the run has its own result, whoever hears of it.
const TELLING: Deadline = Deadline(Duration::from_secs(90));

/// What a workflow knows of its repository.
#[derive(Clone)]
pub struct GitHubConfig {
    /// `GITHUB_API_URL`.
    pub api: String,
    /// `GITHUB_GRAPHQL_URL`.
    pub graphql: String,
    /// `GITHUB_TOKEN`.
    pub token: Arc<str>,
    /// `ISOBAR_ORG_TOKEN`: reads the teams of the organisation, and nothing else.
    pub org_token: Option<Arc<str>>,
    /// `OWNER/NAME`, as in `GITHUB_REPOSITORY`.
    pub repository: String,
    /// The branch that is applied: what landed elsewhere has not landed.
    pub branch: Option<Arc<str>>,
    /// What a second of waiting takes; another than a second is for tests.
    pub second: Duration,
}

/// A repository on GitHub.
pub struct GitHub {
    api: Api,
    /// By another token, which sees teams.
    organisation: Option<Api>,
    owner: String,
    name: String,
    branch: Option<Arc<str>>,
    /// We have waited for GitHub to learn which change brought the newest commit: one that no change brought is waited for once.
    has_waited: AtomicBool,
}

impl GitHub {
    /// Opens nothing yet; must be called inside a runtime. Fails on an address or a name that is none.
    pub fn new(config: GitHubConfig) -> Result<Self, HostError> {
        let slip =
            |what: String| HostError { what, hint: Some("GitHub sets these variables for every step of a workflow".into()) };
        let (owner, name) = (config.repository.split_once('/'))
            .filter(|(owner, name)| is_name(owner) && is_name(name))
            .ok_or_else(|| slip(format!("GITHUB_REPOSITORY is {:?}, and that is no OWNER/NAME", config.repository)))?;
        let wire = Wire::new(&config.api, &config.graphql, &config.token).map_err(slip)?;
        let api = Api::new(wire, config.second);
        let wire = config.org_token.map(|token| Wire::new(&config.api, &config.graphql, &token)).transpose().map_err(slip)?;
        let organisation = wire.map(|wire| Api::new(wire, config.second));
        Ok(Self {
            api,
            organisation,
            owner: owner.into(),
            name: name.into(),
            branch: config.branch,
            has_waited: AtomicBool::new(false),
        })
    }

    /// A path below this repository.
    fn path(&self, rest: &str) -> String {
        format!("/repos/{}/{}{rest}", self.owner, self.name)
    }

    /// Asks in GraphQL about this repository.
    async fn ask_repository<T: for<'d> Deserialize<'d>>(
        &self,
        ask: Ask<'_>,
        query: &str,
        mut more: Value,
    ) -> Result<T, HostError> {
        more["owner"] = self.owner.as_str().into();
        more["name"] = self.name.as_str().into();
        let data: InRepository<T> = self.api.query(ask, query, more).await?;
        data.repository.ok_or_else(|| needs::not_there(ask.doing, ask.needs))
    }

    /// Follows a list in GraphQL to its end; `page` takes the list out of an answer.
    async fn list<T: for<'d> Deserialize<'d>, N>(
        &self,
        ask: Ask<'_>,
        query: &str,
        variables: Value,
        page: impl Fn(T) -> Option<Page<N>>,
    ) -> Result<Vec<N>, HostError> {
        let (mut all, mut cursor) = (Vec::new(), Value::Null);
        for _ in 0..PAGES_MAX {
            let mut variables = variables.clone();
            variables["after"] = cursor;
            let answer = self.ask_repository(ask, query, variables).await?;
            let page = page(answer).ok_or_else(|| needs::not_there(ask.doing, ask.needs))?;
            all.extend(page.nodes);
            match page.info {
                PageInfo { has_next: true, end: Some(end) } => cursor = json!(end),
                PageInfo { has_next: true, end: None } => return Err(needs::unreadable(ask.doing, "a list goes on nowhere")),
                PageInfo { has_next: false, .. } => return Ok(all),
            }
        }
        Err(needs::unreadable(ask.doing, &format!("it has more than {PAGES_MAX} pages")))
    }
}

/// Pages of one list that are followed at most: a list that is longer is no answer.
const PAGES_MAX: usize = 100;

#[derive(Deserialize)]
struct InRepository<T> {
    repository: Option<T>,
}

/// A part of a list in GraphQL.
#[derive(Deserialize)]
struct Page<N> {
    #[serde(rename = "pageInfo")]
    info: PageInfo,
    nodes: Vec<N>,
}

#[derive(Deserialize)]
struct PageInfo {
    #[serde(rename = "hasNextPage", alias = "hasPreviousPage")]
    has_next: bool,
    #[serde(rename = "endCursor", alias = "startCursor")]
    end: Option<String>,
}

/// Somebody, as GraphQL tells of them; programs are `Bot`.
#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "__typename", default)]
    kind: String,
    login: String,
}

#[derive(Deserialize)]
struct Oid {
    oid: Arc<str>,
}

/// What GitHub allows in the name of an owner or a repository; nothing of it can end a path.
fn is_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(is_allowed)
}

impl Host for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn knows_commits(&self) -> bool {
        true
    }

    fn reviewed<'a>(&'a self, of: Of<'a>) -> Boxed<'a, Result<Vec<Reviewed>, HostError>> {
        Box::pin(async move {
            match of {
                Of::Change(number) => Ok(vec![self.change(number).await?]),
                Of::Line { commits, shown } => self.line(commits, shown).await,
            }
        })
    }

    fn opened<'a>(&'a self, of: &'a Openings) -> Boxed<'a, Result<Vec<Opened>, HostError>> {
        Box::pin(self.open_pulls(of))
    }

    fn may_write<'a>(&'a self, who: &'a User) -> Boxed<'a, Result<bool, HostError>> {
        Box::pin(async { Ok(self.voice(&who.0).await? == Voice::Writer) })
    }

    fn team<'a>(&'a self, name: &'a str) -> Boxed<'a, Result<Vec<User>, HostError>> {
        Box::pin(self.members(name))
    }

    fn record<'a>(&'a self, _approval: &'a Approval, _change: &'a PullRequest) -> Boxed<'a, Result<(), HostError>> {
        Box::pin(async {
            let what = "a decision from the command line counts for nothing where GitHub keeps the reviews".into();
            Err(HostError { what, hint: Some("review the pull request".into()) })
        })
    }

    fn comment<'a>(&'a self, change: u64, comment: &'a Comment) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(self.tell_in_comment(change, comment))
    }

    fn check<'a>(&'a self, commit: &'a CommitSha, check: &'a Check) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(self.tell_in_status(commit, check))
    }

    fn issues<'a>(&'a self, issues: &'a Issues) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(self.tell_in_issues(issues))
    }

    fn deployed<'a>(&'a self, told: &'a Deployments) -> Boxed<'a, Result<Posted, HostError>> {
        Box::pin(self.tell_deployed(told))
    }
}

/// What is asked for, and how long is waited for it.
fn reading(doing: &str, needs: Needs) -> Ask<'_> {
    Ask { doing, needs, deadline: READING }
}

fn telling(doing: &str, needs: Needs) -> Ask<'_> {
    Ask { doing, needs, deadline: TELLING }
}
