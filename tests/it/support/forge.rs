//! A repository whose pull requests are on a GitHub on loopback: what people do in both, and the action run for each event as a
//! workflow would.

use super::github::{GitHub, TOKEN};
use super::{Ran, Sandbox};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command};

pub(crate) struct Forge {
    pub(crate) github: GitHub,
    pub(crate) fleet: Sandbox,
    pub(crate) run: Cell<u64>,
    /// What every step gets beside what it is told of the event, such as inputs.
    pub(crate) with: RefCell<BTreeMap<&'static str, String>>,
}

impl Forge {
    /// A fleet that comes to GitHub when its default branch was brought everywhere, as far as its policy asks nobody.
    pub(crate) fn of(fleet: Sandbox) -> Self {
        fleet.isobar("apply");
        Self::new(fleet)
    }

    /// A fleet whose default branch is on GitHub, and was never applied.
    pub(crate) fn new(fleet: Sandbox) -> Self {
        let github = GitHub::start();
        let head = fleet.head();
        github.people(|state| state.push_to_main("ada", &head));
        let fleet = fleet
            .env("GITHUB_ACTIONS", "true")
            .env("CI", "true")
            .env("GITHUB_TOKEN", TOKEN)
            .env("GITHUB_REPOSITORY", "acme/fleet")
            .env("GITHUB_API_URL", &github.api())
            .env("GITHUB_GRAPHQL_URL", &github.graphql());
        Self { github, fleet, run: Cell::new(100), with: RefCell::default() }
    }

    /// A person pushes a new version on a branch, and opens a pull request for it.
    pub(crate) fn propose(&self, from: u32, to: u32) -> u64 {
        let base = self.fleet.head();
        self.fleet.branch(&format!("version-{to}"));
        let head = self.fleet.version(from, to);
        self.now();
        self.github.people(|state| state.open("ada", &format!("Version {to}"), &base, &[&head]))
    }

    /// Merges it by a merge commit, and goes to the default branch.
    /// Ada pushes what lies here past every pull request.
    pub(crate) fn push(&self, message: &str) -> String {
        let commit = self.fleet.commit(message);
        self.now();
        self.github.people(|state| state.push_to_main("ada", &commit));
        commit
    }

    pub(crate) fn merge(&self, number: u64, branch: &str) -> String {
        self.fleet.checkout("main");
        let commit = self.fleet.merge(branch);
        self.now();
        self.github.people(|state| state.merge(number, "bob", &commit));
        commit
    }

    pub(crate) fn review(&self, number: u64, by: &str, state: &str) {
        self.now();
        self.github.people(|github| github.review(number, by, state));
        self.fleet.pass_secs(2);
    }

    /// A workflow runs for something that happened to a pull request.
    pub(crate) fn on_pull(&self, event: &str, action: &str, number: u64) -> Ran {
        self.on(event, &self.payload(action, number))
    }

    /// What GitHub tells of a pull request as it is now.
    pub(crate) fn payload(&self, action: &str, number: u64) -> Value {
        self.github.people(|state| {
            let pull = state.pull(number);
            let side = |sha: &str, branch: &str| json!({ "sha": sha, "ref": branch, "repo": { "full_name": "acme/fleet" } });
            json!({
                "action": action,
                "repository": { "default_branch": "main" },
                "pull_request": {
                    "number": number,
                    "draft": pull.is_draft,
                    "user": { "login": pull.author, "type": "User" },
                    "head": side(&pull.head, &pull.head_ref),
                    "base": side(&pull.base, &pull.base_ref),
                },
            })
        })
    }

    /// Somebody comments, and a workflow runs for that.
    pub(crate) fn says(&self, by: &str, number: u64, body: &str) -> Ran {
        self.now();
        let id = self.github.people(|state| state.comment(number, by, body));
        self.fleet.pass_secs(2);
        let kind = if by.ends_with("[bot]") { "Bot" } else { "User" };
        let payload = json!({
            "action": "created",
            "repository": { "default_branch": "main" },
            "issue": { "number": number, "pull_request": { "url": "" } },
            "comment": { "id": id, "body": body, "user": { "login": by, "type": kind } },
        });
        self.on("issue_comment", &payload)
    }

    pub(crate) fn on_push(&self, before: &str) -> Ran {
        self.on("push", &self.pushed(before))
    }

    fn pushed(&self, before: &str) -> Value {
        let after = self.fleet.head();
        json!({ "ref": "refs/heads/main", "before": before, "after": after, "repository": { "default_branch": "main" } })
    }

    /// Gives this to every step from now on.
    pub(crate) fn with(&self, name: &'static str, value: &str) -> &Self {
        self.with.borrow_mut().insert(name, value.to_string());
        self
    }

    /// A workflow runs for an event.
    pub(crate) fn on(&self, event: &str, payload: &Value) -> Ran {
        self.run.set(self.run.get() + 1);
        self.again(event, payload, self.run.get())
    }

    /// The run of this number runs, late or once more.
    pub(crate) fn again(&self, event: &str, payload: &Value, run: u64) -> Ran {
        let ran = self.fleet.finish(&mut self.program(event, payload, run));
        self.fleet.pass_secs(1);
        ran.keeps_quiet_about(TOKEN)
    }

    /// A workflow runs for a push, and goes on.
    pub(crate) fn start_on_push(&self, before: &str) -> Child {
        self.run.set(self.run.get() + 1);
        self.fleet.spawn(self.program("push", &self.pushed(before), self.run.get()))
    }

    fn program(&self, event: &str, payload: &Value, run: u64) -> Command {
        self.now();
        let path = self.fleet.outside("event.json");
        fs::write(&path, payload.to_string()).expect("it has room");
        let mut program = self.fleet.program();
        program
            .arg("action")
            .env("GITHUB_EVENT_NAME", event)
            .envs(&*self.with.borrow())
            .env("GITHUB_EVENT_PATH", path)
            .env("GITHUB_RUN_ID", run.to_string())
            .env("GITHUB_RUN_ATTEMPT", "1")
            .env("RUNNER_TEMP", self.fleet.outside("tmp"))
            .env("GITHUB_STEP_SUMMARY", self.fleet.outside("summary.md"))
            .env("GITHUB_OUTPUT", self.fleet.outside("outputs"));
        program
    }

    /// Comments on a pull request, each without its first line.
    pub(crate) fn comments(&self, number: u64) -> Vec<String> {
        let below = |body: &str| body.split_once('\n').map_or(body, |(_, rest)| rest).to_string();
        self.github.people(|state| state.comments_of(number).iter().map(|comment| below(&comment.body)).collect())
    }

    /// The only comment.
    #[track_caller]
    pub(crate) fn comment(&self, number: u64) -> String {
        let mut all = self.comments(number);
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// What the newest status of this name says of a commit.
    pub(crate) fn status(&self, commit: &str, name: &str) -> String {
        self.github.people(|state| {
            let of = state.statuses.iter().rev().find(|status| status.sha == commit && status.context == name);
            of.map_or("none".into(), |status| format!("{}: {}", status.state, status.description))
        })
    }

    /// Somebody cleans up: no preview that was shown is stored any more.
    pub(crate) fn forget_shown(&self) -> &Self {
        let _nothing_was = fs::remove_dir_all(self.fleet.root().join(".isobar/journal/previews"));
        self
    }

    /// How it stands with the head of a pull request.
    pub(crate) fn gate(&self, number: u64) -> String {
        let head = self.github.people(|state| state.pull(number).head.clone());
        self.status(&head, "isobar")
    }

    /// Titles of the issues that are open.
    pub(crate) fn issues(&self) -> Vec<String> {
        self.github.people(|state| state.issues.values().filter(|issue| issue.is_open).map(|issue| issue.title.clone()).collect())
    }

    /// The people's clock is the program's.
    fn now(&self) {
        let now_ms = self.fleet.now_ms();
        self.github.people(|state| state.set_now_ms(now_ms));
    }
}
