//! What a workflow's event asks for: its payload and the action's inputs to a request. Payloads are written by GitHub, and hold texts
//! of anybody's.

use super::flags::time_left;
use crate::command::action::{Act, Command, Handed, Proposal, Request, Wish};
use crate::command::{Audience, Branch, CommitSha, RunNumber, Selector, User};
use crate::exit::Failure;
use crate::world::Environment;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// What GitHub writes as a commit where there is none.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The fields of a payload that we read; all may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    action: String,
    pull_request: Option<Pull>,
    merge_group: Option<Group>,
    workflow_run: Option<Run>,
    issue: Option<Issue>,
    comment: Option<Comment>,
    repository: Repository,
    #[serde(rename = "ref")]
    reference: Option<String>,
    before: Option<String>,
    deleted: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pull {
    number: u64,
    draft: Option<bool>,
    head: Side,
    base: Side,
    user: Option<Account>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Side {
    sha: String,
    #[serde(rename = "ref")]
    branch: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Issue {
    number: u64,
    /// There when it is a pull request.
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Comment {
    id: u64,
    body: String,
    user: Option<Account>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Account {
    login: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Group {
    head_sha: String,
    base_sha: String,
}

/// A run of another workflow that ended.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Run {
    id: u64,
    run_attempt: u32,
    event: String,
    conclusion: Option<String>,
    head_sha: String,
    head_branch: Option<String>,
    head_repository: Option<Origin>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Origin {
    full_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Repository {
    default_branch: Option<String>,
}

/// Reads what is to be done of a step's environment.
pub(super) fn request(environment: &Environment) -> Result<Request, Failure> {
    let name = environment.get("GITHUB_EVENT_NAME").ok_or_else(|| {
        Failure::usage(
            "GITHUB_EVENT_NAME is not set",
            "isobar action is for a step of a workflow; elsewhere give a verb, such as isobar preview",
        )
    })?;
    let payload = match environment.get("GITHUB_EVENT_PATH") {
        Some(path) => read(path)?,
        None => Payload::default(),
    };
    let input = |name: &str| environment.get(name).map(str::trim).filter(|text| !text.is_empty());
    let is_on = |name: &str| input(name) == Some("true");
    let patterns: Vec<String> = input("INPUT_TARGETS").into_iter().flat_map(str::split_whitespace).map(str::to_string).collect();
    let parallel = match input("INPUT_PARALLEL").map(str::parse) {
        None => 0,
        Some(Ok(number @ 1..)) => number,
        Some(_) => return Err(Failure::usage("the input parallel is no number above 0", "leave it empty for the default")),
    };
    let act = match input("INPUT_COMMAND").unwrap_or("auto") {
        "auto" => of_event(name, &payload, Wishes { drafts: is_on("INPUT_DRAFTS"), bots: is_on("INPUT_BOTS") }),
        command => of_command(command, name, &payload)?,
    };
    let act = match (act, input("INPUT_PART")) {
        (Act::Preview(proposal), Some(path)) => Act::HandOver(proposal, path.into()),
        (act, _) => act,
    };
    let selector = Selector::parse(&patterns, &[], &[]).map_err(|why| Failure::usage(why, "isobar list shows every target"))?;
    let time_left = match input("ISOBAR_TIME_LEFT").map(time_left) {
        None => None,
        Some(Ok(left)) => Some(left),
        Some(Err(why)) => return Err(Failure::usage(format!("ISOBAR_TIME_LEFT: {why}"), "such as 55m; or unset it")),
    };
    let audience = Audience { deployments: is_on("INPUT_DEPLOYMENTS"), ..audience(environment, &patterns) };
    let default_branch = payload.repository.default_branch.as_deref().map(Arc::from);
    let parts = input("INPUT_PARTS").map(PathBuf::from);
    Ok(Request { act, selector, parallel, default_branch, time_left, parts, audience })
}

fn read(path: &str) -> Result<Payload, Failure> {
    let cannot = |why: String| Failure::World(format!("reading the event at {path}: {why}"), None);
    let bytes = std::fs::read(path).map_err(|error| cannot(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| cannot(error.to_string()))
}

/// What is previewed although it usually is not.
#[derive(Clone, Copy, Debug, Default)]
struct Wishes {
    drafts: bool,
    bots: bool,
}

fn of_event(name: &str, payload: &Payload, wishes: Wishes) -> Act {
    let default = payload.repository.default_branch.as_deref();
    match (name, payload.action.as_str()) {
        ("pull_request" | "pull_request_target", "opened" | "synchronize" | "reopened" | "ready_for_review" | "edited") => {
            proposed(payload, wishes, Act::Preview)
        }
        ("pull_request" | "pull_request_target", action) => {
            Act::Nothing(format!("a pull request that was {} needs no preview", spelled(action)))
        }
        ("pull_request_review", _) => proposed(payload, Wishes { drafts: true, bots: true }, Act::Judge),
        ("merge_group", "checks_requested") => {
            match payload.merge_group.as_ref().map(|group| (sha(&group.head_sha), sha(&group.base_sha))) {
                Some((Some(head), Some(base))) => Act::Queue { head, base },
                _ => Act::Nothing("the event names no merge group".into()),
            }
        }
        ("push", _) => match (payload.reference.as_deref(), default) {
            (_, _) if payload.deleted => Act::Nothing("a branch was deleted".into()),
            (Some(pushed), Some(default)) if pushed.strip_prefix("refs/heads/") == Some(default) => {
                Act::Apply { before: payload.before.as_deref().and_then(sha) }
            }
            (_, _) => Act::Nothing("the push is not one to the default branch, and only that is applied".into()),
        },
        ("workflow_run", "completed") => handed(payload, wishes),
        ("schedule", _) => Act::DriftAndTick,
        ("issue_comment", "created") => commanded(payload),
        ("issue_comment", _) => Act::Nothing("only a new comment is a command: one that was edited is another's words".into()),
        (other, _) => {
            Act::Nothing(format!("{} is no event that something is done for; the input command says what to do", spelled(other)))
        }
    }
}

fn proposed(payload: &Payload, wishes: Wishes, act: impl Fn(Proposal) -> Act) -> Act {
    let Some(pull) = &payload.pull_request else { return Act::Nothing("the event names no pull request".into()) };
    let number = pull.number;
    let (Some(head), branch) = (sha(&pull.head.sha), pull.base.branch.clone()) else {
        return Act::Nothing(format!("the event names no commit of #{number}"));
    };
    let is_bot = pull.user.as_ref().is_some_and(|user| user.kind == "Bot");
    match payload.repository.default_branch.as_deref() {
        Some(default) if default != branch => {
            Act::Nothing(format!("#{number} does not go into the default branch, and only that is applied"))
        }
        _ if pull.draft == Some(true) && !wishes.drafts => {
            Act::Nothing(format!("#{number} is a draft; it is previewed when it is ready, or with the input drafts"))
        }
        _ if is_bot && !wishes.bots => Act::Nothing(format!("#{number} is a program's; it is previewed with the input bots")),
        _ => act(Proposal { number, head, branch }),
    }
}

/// What another run was about, as GitHub says: nothing of it is that run's own word.
fn handed(payload: &Payload, wishes: Wishes) -> Act {
    let Some(run) = &payload.workflow_run else { return Act::Nothing("the event names no run".into()) };
    let is_review = match run.event.as_str() {
        "pull_request" => false,
        "pull_request_review" => true,
        other => return Act::Nothing(format!("a run for {} tells nothing of a pull request", spelled(other))),
    };
    if run.conclusion.as_deref() == Some("cancelled") && !is_review {
        return Act::Nothing("a run that was cancelled made room for a newer one".into());
    }
    let origin = run.head_repository.as_ref().map(|origin| origin.full_name.clone());
    match (sha(&run.head_sha), origin, run.head_branch.clone()) {
        (Some(head), Some(repository), Some(name)) => Act::Report(Handed {
            head,
            branch: Branch { repository, name },
            seen_by: RunNumber { id: run.id, attempt: run.run_attempt.max(1) },
            is_review,
            drafts: wishes.drafts,
            programs: wishes.bots,
        }),
        _ => Act::Nothing("the run names no branch that it was for".into()),
    }
}

/// A command in a new comment on a pull request.
fn commanded(payload: &Payload) -> Act {
    let (Some(issue), Some(comment)) = (&payload.issue, &payload.comment) else {
        return Act::Nothing("the event names no comment".into());
    };
    let by = comment.user.as_ref().filter(|user| user.kind != "Bot" && !user.login.is_empty());
    let (Some(by), Some(_)) = (by, &issue.pull_request) else {
        return Act::Nothing("commands are people's, and under pull requests".into());
    };
    let Some(line) = comment.body.lines().next().and_then(|line| line.strip_prefix("/isobar")) else {
        return Act::Nothing("the comment does not begin with a command".into());
    };
    if !line.is_empty() && !line.starts_with(' ') {
        return Act::Nothing("the comment does not begin with a command".into());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_beginning = |sha: &str| sha.len() >= 7 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wish = match &words[..] {
        ["approve", _, ..] => Wish::Approve,
        ["preview"] => Wish::Preview,
        ["apply", sha] if is_beginning(sha) => Wish::Apply(sha.to_ascii_lowercase()),
        ["why", target] => Wish::Why(target.to_string()),
        ["status"] => Wish::Status,
        ["recover"] => Wish::Recover,
        ["pause"] => Wish::Pause,
        ["resume"] => Wish::Resume,
        [..] => Wish::Help,
    };
    Act::Command(Command { number: issue.number, comment: comment.id, by: User(by.login.as_str().into()), wish })
}

/// What the input `command` asks for.
fn of_command(command: &str, name: &str, payload: &Payload) -> Result<Act, Failure> {
    let all = Wishes { drafts: true, bots: true };
    match command {
        "preview" if name == "merge_group" => Ok(of_event(name, payload, all)),
        "preview" if payload.pull_request.is_none() => Ok(Act::Look),
        "preview" => Ok(proposed(payload, all, Act::Preview)),
        "judge" => Ok(proposed(payload, all, Act::Judge)),
        "apply" => Ok(Act::Apply { before: payload.before.as_deref().and_then(sha) }),
        "drift" => Ok(Act::Drift),
        "fix" => Ok(Act::Fix),
        "tick" => Ok(Act::Tick),
        "status" => Ok(Act::Status),
        "recover" => Ok(Act::Recover),
        "pause" => Ok(Act::Pause),
        "resume" => Ok(Act::Resume),
        other => Err(Failure::usage(
            format!("the input command is {other:?}"),
            "one of auto, preview, judge, apply, drift, fix, tick, status, recover, pause, resume",
        )),
    }
}

/// A whole commit id in hex; what begins with a dash, or is a branch, is none.
fn sha(text: &str) -> Option<CommitSha> {
    let is_sha = (text.len() == 40 || text.len() == 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_sha && text != NO_COMMIT).then(|| CommitSha(text.to_ascii_lowercase().into()))
}

/// A word of GitHub's, and nothing else.
fn spelled(word: &str) -> String {
    let text: String = word.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(40).collect();
    if text.is_empty() { "of an unknown kind".into() } else { text.replace('_', " ") }
}

fn audience(environment: &Environment, patterns: &[String]) -> Audience {
    let number = |name: &str| environment.get(name).and_then(|text| text.parse::<u64>().ok());
    let run = RunNumber {
        id: number("GITHUB_RUN_ID").unwrap_or(0),
        attempt: number("GITHUB_RUN_ATTEMPT").and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(1),
    };
    let server = environment.get("GITHUB_SERVER_URL").unwrap_or("https://github.com");
    let address = environment.get("GITHUB_REPOSITORY").filter(|_| run.id > 0);
    let path = |name: &str| environment.get(name).map(PathBuf::from);
    Audience {
        turn: run.into(),
        address: address.map(|repository| format!("{server}/{repository}/actions/runs/{}/attempts/{}", run.id, run.attempt)),
        part: (!patterns.is_empty()).then(|| patterns.join(" ").into()),
        summary: path("GITHUB_STEP_SUMMARY"),
        outputs: path("GITHUB_OUTPUT"),
        report: path("RUNNER_TEMP").map(|dir| dir.join("isobar-report.json")),
        ..Audience::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "4be1d70aa0c8e1f2d3b4a5968778695a4b3c2d1e";

    fn payload(text: &str) -> Payload {
        serde_json::from_str(text).expect("a payload")
    }

    fn pull(more: &str) -> Payload {
        payload(&format!(
            r#"{{"action":"opened","repository":{{"default_branch":"main"}},
                "pull_request":{{"number":7,"head":{{"sha":"{HEAD}","ref":"x"}},"base":{{"sha":"{HEAD}","ref":"main"}}{more}}}}}"#
        ))
    }

    fn why(act: Act) -> String {
        match act {
            Act::Nothing(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_is_previewed_unless_it_is_a_draft_or_a_programs() {
        let proposal = Proposal { number: 7, head: CommitSha(HEAD.into()), branch: "main".into() };
        let of = |payload: &Payload| of_event("pull_request", payload, Wishes::default());
        assert_eq!(of(&pull("")), Act::Preview(proposal.clone()));
        assert!(why(of(&pull(r#","draft":true"#))).contains("draft"));
        assert!(why(of(&pull(r#","user":{"type":"Bot"}"#))).contains("program"));
        let wishes = Wishes { drafts: true, bots: true };
        assert_eq!(of_event("pull_request", &pull(r#","draft":true,"user":{"type":"Bot"}"#), wishes), Act::Preview(proposal));
    }

    #[test]
    fn only_the_default_branch_is_applied() {
        let push = |reference: &str| {
            payload(&format!(r#"{{"ref":"{reference}","before":"{NO_COMMIT}","repository":{{"default_branch":"main"}}}}"#))
        };
        let of = |payload: &Payload| of_event("push", payload, Wishes::default());
        assert_eq!(of(&push("refs/heads/main")), Act::Apply { before: None });
        for other in ["refs/heads/topic", "refs/tags/main", "main"] {
            assert!(why(of(&push(other))).contains("default branch"), "{other}");
        }
    }

    #[test]
    fn a_commit_is_a_whole_one_in_hex() {
        assert_eq!(sha(HEAD).map(|sha| sha.0.to_string()).as_deref(), Some(HEAD));
        for other in ["", "main", "--upload-pack=x", "4be1d70", NO_COMMIT] {
            assert_eq!(sha(other), None, "{other}");
        }
    }

    #[test]
    fn an_event_that_nobody_knows_is_told_without_its_words() {
        let told = why(of_event("x\n::error::y", &Payload::default(), Wishes::default()));
        assert!(!told.contains('\n') && !told.contains("::"), "{told}");
    }
}
