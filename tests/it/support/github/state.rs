//! What one repository on GitHub holds, and what people do to it there. Knows no request and no answer.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Who the token of a workflow is.
pub(crate) const BOT: &str = "github-actions[bot]";

pub(crate) const OWNER: &str = "acme";
pub(crate) const NAME: &str = "fleet";

/// 2026-11-22 09:00 UTC, in seconds: the first moment here. Each act takes one.
const BEGIN: i64 = 1_795_338_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    /// Of pull requests and issues.
    pub(crate) comments: BTreeMap<u64, Comment>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) checks: BTreeMap<u64, Check>,
    pub(crate) deployments: BTreeMap<u64, Deployment>,
    pub(crate) commits: BTreeMap<String, Commit>,
    /// What everybody may do, by login.
    pub(crate) people: BTreeMap<String, Role>,
    /// Members of the organisation's teams.
    pub(crate) teams: BTreeMap<String, BTreeSet<String>>,
    pub(crate) runs: BTreeMap<u64, Value>,
    pub(crate) rules: Vec<Value>,
    last_id: u64,
    last_number: u64,
    now: i64,
    /// The default branch, oldest first.
    main: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Read,
    Triage,
    Write,
    Maintain,
    Admin,
}

#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) author: String,
    pub(crate) head: String,
    pub(crate) head_ref: String,
    /// `OWNER/NAME` of where the head lies; `None` once that fork is gone.
    pub(crate) head_repository: Option<String>,
    pub(crate) base: String,
    pub(crate) base_ref: String,
    pub(crate) is_draft: bool,
    pub(crate) is_open: bool,
    pub(crate) labels: Vec<String>,
    /// Its commits, oldest first.
    pub(crate) commits: Vec<String>,
    pub(crate) reviews: Vec<Review>,
    /// Who pushed over its head.
    pub(crate) forced_by: Vec<String>,
    pub(crate) merged: Option<Merged>,
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Merged {
    pub(crate) commit: String,
    pub(crate) by: String,
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Review {
    pub(crate) id: u64,
    /// `None` for somebody whose account is gone.
    pub(crate) by: Option<String>,
    /// `APPROVED`, `CHANGES_REQUESTED`, `COMMENTED`, `DISMISSED`.
    pub(crate) state: String,
    pub(crate) body: String,
    /// `None` once a force-push took it away.
    pub(crate) commit: Option<String>,
    pub(crate) teams: Vec<String>,
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) author: String,
    pub(crate) is_open: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) assignees: Vec<String>,
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) by: String,
    pub(crate) body: String,
    /// Who wrote each body that it had, oldest first, with this one.
    pub(crate) edits: Vec<(String, String)>,
    pub(crate) is_minimized: bool,
    pub(crate) reactions: Vec<(String, String)>,
    pub(crate) at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) state: String,
    pub(crate) context: String,
    pub(crate) description: String,
    pub(crate) target_url: Option<String>,
    pub(crate) by: String,
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) name: String,
    pub(crate) external_id: String,
    pub(crate) details_url: Option<String>,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) text: Option<String>,
    pub(crate) annotations: Vec<Value>,
    pub(crate) at: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Deployment {
    pub(crate) id: u64,
    pub(crate) sha: String,
    pub(crate) environment: String,
    pub(crate) payload: Value,
    /// Oldest first.
    pub(crate) statuses: Vec<DeploymentStatus>,
    pub(crate) task: String,
    pub(crate) at: i64,
}

/// Its number, the state, the description, and an address.
pub(crate) type DeploymentStatus = (u64, String, String, Option<String>);

#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) message: String,
    /// `None` for somebody who is nobody on GitHub.
    pub(crate) author: Option<String>,
    pub(crate) committer: Option<String>,
}

impl State {
    pub(crate) fn new() -> Self {
        let people =
            [("ann", Role::Write), ("bob", Role::Write), ("cem", Role::Maintain), ("eve", Role::Read), ("root", Role::Admin)];
        let people = people.into_iter().map(|(login, role)| (login.to_string(), role)).collect();
        Self { people, now: BEGIN, ..Self::default() }
    }

    /// One moment later.
    pub(crate) fn tick(&mut self) -> i64 {
        self.now += 1;
        self.now
    }

    /// Lets it be this time, in milliseconds since 1970.
    pub(crate) fn set_now_ms(&mut self, now_ms: u64) {
        self.now = i64::try_from(now_ms / 1_000).expect("a time of our age");
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.last_id += 1;
        1_000 + self.last_id
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// A person opens a pull request for these commits, the last of which is its head.
    pub(crate) fn open(&mut self, author: &str, title: &str, base: &str, commits: &[&str]) -> u64 {
        let (number, at) = (self.number(), self.tick());
        let head = commits.last().expect("a pull request has a commit").to_string();
        commits.iter().for_each(|sha| self.commit(sha, Some(author)));
        let pull = Pull {
            number,
            title: title.into(),
            body: String::new(),
            author: author.into(),
            head,
            head_ref: format!("topic-{number}"),
            head_repository: Some(format!("{OWNER}/{NAME}")),
            base: base.into(),
            base_ref: "main".into(),
            is_draft: false,
            is_open: true,
            labels: vec![],
            commits: commits.iter().map(ToString::to_string).collect(),
            reviews: vec![],
            forced_by: vec![],
            merged: None,
            at,
        };
        self.pulls.insert(number, pull);
        number
    }

    /// Another program says how a commit stands.
    pub(crate) fn set_status(&mut self, sha: &str, context: &str) {
        let (id, at) = (self.id(), self.tick());
        let (state, description, by) = ("success".into(), "so".into(), "another[bot]".into());
        self.statuses.push(Status { id, sha: sha.into(), state, context: context.into(), description, target_url: None, by, at });
    }

    /// A commit of this person's, if there was none of that name.
    pub(crate) fn commit(&mut self, sha: &str, author: Option<&str>) {
        let author = author.map(ToString::to_string);
        let commit = Commit { sha: sha.into(), message: "change".into(), committer: author.clone(), author };
        self.commits.entry(sha.into()).or_insert(commit);
    }

    /// A person pushes one more commit.
    pub(crate) fn push(&mut self, number: u64, by: &str, sha: &str) {
        self.commit(sha, Some(by));
        let pull = self.pull(number);
        pull.commits.push(sha.into());
        pull.head = sha.into();
    }

    /// A person pushes these in the place of what was there.
    pub(crate) fn push_over(&mut self, number: u64, by: &str, commits: &[&str]) {
        commits.iter().for_each(|sha| self.commit(sha, Some(by)));
        let pull = self.pull(number);
        pull.commits = commits.iter().map(ToString::to_string).collect();
        pull.head = commits.last().expect("a pull request has a commit").to_string();
        pull.forced_by.push(by.into());
    }

    /// A person reviews the head that is there now.
    pub(crate) fn review(&mut self, number: u64, by: &str, state: &str) -> u64 {
        let (id, at) = (self.id(), self.tick());
        let teams = self.teams.iter().filter(|(_, members)| members.contains(by)).map(|(slug, _)| format!("{OWNER}/{slug}"));
        let teams = teams.collect();
        let pull = self.pull(number);
        let commit = Some(pull.head.clone());
        pull.reviews.push(Review { id, by: Some(by.into()), state: state.into(), body: String::new(), commit, teams, at });
        id
    }

    pub(crate) fn dismiss(&mut self, number: u64, review: u64) {
        let reviews = &mut self.pull(number).reviews;
        let one = reviews.iter_mut().find(|one| one.id == review).expect("it was given");
        one.state = "DISMISSED".into();
    }

    /// A person merges it, as this commit of the default branch.
    pub(crate) fn merge(&mut self, number: u64, by: &str, commit: &str) {
        let at = self.tick();
        self.commit(commit, Some(by));
        self.commits.get_mut(commit).expect("it is there").committer = Some("GitHub".into());
        let pull = self.pull(number);
        pull.is_open = false;
        pull.merged = Some(Merged { commit: commit.into(), by: by.into(), at });
        self.main.push(commit.into());
    }

    /// A person pushes to the default branch, past every pull request.
    pub(crate) fn push_to_main(&mut self, by: &str, commit: &str) {
        self.commit(commit, Some(by));
        self.main.push(commit.into());
    }

    /// The default branch up to this commit, newest first.
    pub(crate) fn history(&self, commit: &str) -> Option<Vec<&str>> {
        let at = self.main.iter().position(|one| one == commit)?;
        Some(self.main[..=at].iter().rev().map(String::as_str).collect())
    }

    /// Somebody changes what a comment says; with an empty name, one whose account is gone.
    pub(crate) fn edit_comment(&mut self, id: u64, by: &str, body: &str) {
        let comment = self.comments.get_mut(&id).expect("it is there");
        comment.body = body.into();
        comment.edits.push((by.into(), body.into()));
    }

    pub(crate) fn comment(&mut self, number: u64, by: &str, body: &str) -> u64 {
        let (id, at) = (self.id(), self.tick());
        let edits = vec![(by.to_string(), body.to_string())];
        let comment = Comment { id, number, by: by.into(), body: body.into(), edits, is_minimized: false, reactions: vec![], at };
        self.comments.insert(id, comment);
        id
    }

    /// Each deployment, with all that was said of it, oldest first: `prod/a failure 1 failed, success 1 of 1 applied`.
    pub(crate) fn deployed(&self) -> Vec<String> {
        let said = |deployment: &Deployment| {
            let stands = deployment.statuses.iter().map(|(_, state, words, _)| format!("{state} {words}"));
            format!("{} {}", deployment.environment, stands.collect::<Vec<_>>().join(", "))
        };
        self.deployments.values().map(said).collect()
    }

    pub(crate) fn pull(&mut self, number: u64) -> &mut Pull {
        self.pulls.get_mut(&number).expect("it was opened")
    }

    pub(crate) fn role(&self, login: &str) -> Option<Role> {
        self.people.get(&login.to_lowercase()).copied()
    }

    /// Comments of one pull request or issue, oldest first.
    pub(crate) fn comments_of(&self, number: u64) -> Vec<&Comment> {
        self.comments.values().filter(|comment| comment.number == number).collect()
    }
}

impl Role {
    /// The name in `role_name`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Triage => "triage",
            Role::Write => "write",
            Role::Maintain => "maintain",
            Role::Admin => "admin",
        }
    }

    /// The name in `permission`, which tells less.
    pub(crate) fn permission(self) -> &'static str {
        match self {
            Role::Read | Role::Triage => "read",
            Role::Write | Role::Maintain => "write",
            Role::Admin => "admin",
        }
    }

    pub(crate) fn may_push(self) -> bool {
        matches!(self, Role::Write | Role::Maintain | Role::Admin)
    }
}
