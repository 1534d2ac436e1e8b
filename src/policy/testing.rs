//! A small stage for tests of this room: a fleet's names, two teams, one pull request by carol, and targets to be judged.

use super::known::Known;
use super::{Answer, Facts, Past, Policy, Subject, Verdict, judge};
use crate::change::{Action, Change, Detail, Digest, Intent, Preview};
use crate::review::{Approval, CommitSha, Decision, PullRequest, Team, User};
use crate::stack::{Kind, Mistakes, Node, Site, StackName};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything of one judgement, owned. `platform` is alice and bob, `sre` is dora and eve; mallory is a committer.
pub(super) struct Stage {
    pub(super) policy: Option<Policy>,
    pub(super) teams: BTreeMap<Arc<str>, Team>,
    pub(super) pull_request: PullRequest,
    pub(super) approvals: Vec<Approval>,
    pub(super) subjects: Vec<Actor>,
    pub(super) now_ms: u64,
}

/// One target on the stage.
pub(super) struct Actor {
    pub(super) preview: Preview,
    pub(super) stacks: BTreeSet<StackName>,
    pub(super) clouds: BTreeSet<Arc<str>>,
    pub(super) labels: BTreeSet<(Arc<str>, Arc<str>)>,
    pub(super) owned_by: Vec<Arc<str>>,
    pub(super) direct: Option<CommitSha>,
    pub(super) past: Past,
}

impl Stage {
    pub(super) fn of(section: Value) -> Self {
        let (policy, mistakes) = read(&section);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        Self { policy: Some(policy), ..Self::without_policy() }
    }

    pub(super) fn without_policy() -> Self {
        Self {
            policy: None,
            teams: [("platform".into(), team(["alice", "bob"])), ("sre".into(), team(["dora", "eve"]))].into(),
            pull_request: PullRequest {
                number: Some(7),
                title: "a change".into(),
                author: user("carol"),
                committers: vec![user("carol"), user("mallory")],
            },
            approvals: Vec::new(),
            subjects: Vec::new(),
            now_ms: 0,
        }
    }

    pub(super) fn subject(&mut self, target: &str, changes: Vec<Change>) {
        let preview = Preview {
            target: target.parse().expect("a target"),
            engine: "documents".into(),
            intent: Intent::Converge,
            changes,
            outputs: BTreeMap::new(),
            strays: Vec::new(),
            sides: Default::default(),
        };
        let stacks = [preview.target.stack.clone()].into();
        self.subjects.push(Actor {
            preview,
            stacks,
            clouds: BTreeSet::new(),
            labels: BTreeSet::new(),
            owned_by: Vec::new(),
            direct: None,
            past: Past::default(),
        });
    }

    /// A target that would update these documents.
    pub(super) fn updates(&mut self, target: &str, addresses: &[&str]) {
        self.subject(target, addresses.iter().map(|address| document(address, Action::Update)).collect());
    }

    pub(super) fn approve(&mut self, by: &str) {
        self.decide(by, Decision::Approve);
    }

    pub(super) fn reject(&mut self, by: &str) {
        self.decide(by, Decision::Reject);
    }

    /// A decision about every preview on the stage, later than all before it.
    fn decide(&mut self, by: &str, decision: Decision) {
        let digests = self.subjects.iter().map(|actor| actor.preview.digest().as_str().into()).collect();
        let at_ms = self.approvals.len() as u64;
        self.approvals.push(Approval { by: user(by), decision, digests, at_ms });
    }

    /// The first target's changes that were cleared earlier.
    pub(super) fn cleared(&mut self, changes: &[Change], by: &[&str]) {
        let by: Vec<User> = by.iter().copied().map(user).collect();
        self.subjects[0].past.cleared.extend(changes.iter().map(|change| (change.mark(), by.clone())));
    }

    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let subjects = self.subjects.iter().map(|actor| Subject {
            preview: &actor.preview,
            stacks: actor.stacks.clone(),
            clouds: actor.clouds.clone(),
            labels: actor.labels.clone(),
            owned_by: actor.owned_by.clone(),
            direct: actor.direct.clone(),
            past: actor.past.clone(),
        });
        judge(&Facts {
            policy: self.policy.as_ref(),
            teams: &self.teams,
            pull_request: &self.pull_request,
            approvals: &self.approvals,
            subjects: subjects.collect(),
            planned: crate::change::Extent::default(),
            now_ms: self.now_ms,
        })
    }

    /// "clear: …", "wait: …" or "deny: …" of every target.
    pub(super) fn all_said(&self) -> Vec<String> {
        let said = |verdict: Verdict| match verdict.answer {
            Answer::Clear(clearance) => {
                assert_eq!(clearance.why(), verdict.sentence, "the journal keeps what was said");
                format!("clear: {}", verdict.sentence)
            }
            Answer::Wait { .. } => format!("wait: {}", verdict.sentence),
            Answer::Deny => format!("deny: {}", verdict.sentence),
        };
        self.verdicts().into_iter().map(said).collect()
    }

    pub(super) fn said(&self) -> String {
        self.all_said().swap_remove(0)
    }

    /// Who cleared the first target.
    pub(super) fn cleared_by(&self) -> Vec<String> {
        match self.verdicts().swap_remove(0).answer {
            Answer::Clear(clearance) => clearance.by().iter().map(ToString::to_string).collect(),
            Answer::Wait { .. } | Answer::Deny => Vec::new(),
        }
    }
}

pub(super) fn user(name: &str) -> User {
    User(name.into())
}

pub(super) fn team<N: AsRef<str>>(members: impl IntoIterator<Item = N>) -> Team {
    Team { members: members.into_iter().map(|name| user(name.as_ref())).collect(), unread: None }
}

pub(super) fn document(address: &str, action: Action) -> Change {
    change(address, "document", action)
}

pub(super) fn change(address: &str, kind: &str, action: Action) -> Change {
    let digest = |side: &str| Some(Digest::of("test", &[side, address]));
    Change {
        address: address.into(),
        kind: kind.into(),
        action,
        before: digest("before").filter(|_| action != Action::Create),
        after: digest("after").filter(|_| action != Action::Delete),
        detail: Detail::Hidden("test".into()),
        sensitive: false,
        bound: true,
        holes: Vec::new(),
    }
}

/// Reads a policy section for the fleet of this stage.
pub(super) fn read(section: &Value) -> (Policy, Vec<String>) {
    let known = Known {
        environments: ["prod", "staging"].into(),
        regions: ["prod/eu-west-1", "prod/us-east-1", "staging/eu-west-1"].into(),
        clouds: ["aws", "gcp"].into(),
        unread: crate::stack::Unread::default(),
        stacks: ["db", "idle", "network"].into(),
        teams: ["platform".to_owned(), "sre".to_owned()].into(),
    };
    let mut mistakes = Mistakes::default();
    let policy = Policy::read_with(&node(section), &known, &mut mistakes);
    (policy, mistakes.iter().map(ToString::to_string).collect())
}

pub(super) fn mistakes(section: &Value) -> Vec<String> {
    read(section).1
}

/// A definition's tree, all of it at the first line.
pub(super) fn node(value: &Value) -> Node {
    let site = Site::new("isobar.yaml", 1, 1);
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(flag) => Kind::Bool(*flag),
        Value::Number(number) => Kind::Number(number.clone()),
        Value::String(text) => Kind::Text(text.as_str().into()),
        Value::Array(items) => Kind::List(items.iter().map(node).collect()),
        Value::Object(entries) => {
            Kind::Map(entries.iter().map(|(key, value)| (key.as_str().into(), site.clone(), node(value))).collect())
        }
    };
    Node { site, kind }
}
