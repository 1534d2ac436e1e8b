//! GitHub's REST API, as much of it as Isobar asks: one row a request, with what it needs, and what it does.

use super::request::{Answer, Request};
use super::shape::shaped;
use super::state::{BOT, Check, Comment, Deployment, DeploymentStatus, Issue, NAME, OWNER, Pull, State, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What one request is: the path as GitHub describes it, its method, and what the token must be allowed to do.
struct Row {
    route: &'static str,
    method: &'static str,
    /// One of these; none for what everybody may.
    needs: &'static [&'static str],
    act: fn(&mut State, &Asked<'_>) -> Outcome,
}

/// A request that found its row.
pub(super) struct Asked<'a> {
    request: &'a Request,
    route: &'static str,
    /// What stands in the place of the names in braces.
    names: Vec<&'a str>,
    /// Who asks.
    by: &'a str,
}

enum Outcome {
    /// A status and the facts of its body.
    Facts(u16, Value),
    /// A list, of which a page is answered.
    List(Vec<Value>),
    /// A list inside an object, below this name.
    Within(&'static str, Vec<Value>),
    Error(u16, String),
}

const REPO: &str = "/repos/{owner}/{repo}";

const ROWS: &[Row] = &[
    Row { route: "/repos/{owner}/{repo}", method: "GET", needs: &[], act: repository },
    Row { route: "/repos/{owner}/{repo}/pulls/{pull_number}", method: "GET", needs: PULLS_READ, act: pull },
    Row { route: "/repos/{owner}/{repo}/pulls", method: "GET", needs: PULLS_READ, act: pulls },
    Row { route: "/repos/{owner}/{repo}/pulls/{pull_number}/commits", method: "GET", needs: PULLS_READ, act: pull_commits },
    Row { route: "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", method: "GET", needs: PULLS_READ, act: reviews },
    Row { route: "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", method: "GET", needs: PULLS_READ, act: pulls_of },
    Row { route: "/repos/{owner}/{repo}/collaborators/{username}/permission", method: "GET", needs: &[], act: permission },
    Row { route: "/repos/{owner}/{repo}/issues/{issue_number}/comments", method: "GET", needs: TALK_READ, act: comments },
    Row { route: "/repos/{owner}/{repo}/issues/{issue_number}/comments", method: "POST", needs: TALK, act: add_comment },
    Row { route: "/repos/{owner}/{repo}/issues/comments/{comment_id}", method: "GET", needs: TALK_READ, act: one_comment },
    Row { route: "/repos/{owner}/{repo}/issues/comments/{comment_id}", method: "PATCH", needs: TALK, act: edit_comment },
    Row { route: "/repos/{owner}/{repo}/issues/comments/{comment_id}", method: "DELETE", needs: TALK, act: remove_comment },
    Row { route: "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", method: "POST", needs: TALK, act: react },
    Row { route: "/repos/{owner}/{repo}/statuses/{sha}", method: "POST", needs: &["statuses: write"], act: add_status },
    Row {
        route: "/repos/{owner}/{repo}/commits/{ref}/statuses",
        method: "GET",
        needs: &["statuses: read", "statuses: write", "contents: read"],
        act: statuses,
    },
    Row { route: "/repos/{owner}/{repo}/check-runs", method: "POST", needs: &["checks: write"], act: add_check },
    Row { route: "/repos/{owner}/{repo}/check-runs/{check_run_id}", method: "PATCH", needs: &["checks: write"], act: edit_check },
    Row {
        route: "/repos/{owner}/{repo}/commits/{ref}/check-runs",
        method: "GET",
        needs: &["checks: read", "checks: write"],
        act: checks,
    },
    Row { route: "/repos/{owner}/{repo}/issues", method: "GET", needs: ISSUES_READ, act: issues },
    Row { route: "/repos/{owner}/{repo}/issues", method: "POST", needs: &["issues: write"], act: add_issue },
    Row { route: "/repos/{owner}/{repo}/issues/{issue_number}", method: "PATCH", needs: &["issues: write"], act: edit_issue },
    Row {
        route: "/repos/{owner}/{repo}/deployments",
        method: "GET",
        needs: &["deployments: read", "deployments: write"],
        act: deployments,
    },
    Row { route: "/repos/{owner}/{repo}/deployments", method: "POST", needs: &["deployments: write"], act: add_deployment },
    Row {
        route: "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        method: "POST",
        needs: &["deployments: write"],
        act: add_deployment_status,
    },
    Row {
        route: "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        method: "GET",
        needs: &["deployments: read", "deployments: write"],
        act: deployment_statuses,
    },
    Row { route: "/repos/{owner}/{repo}/actions/runs/{run_id}", method: "GET", needs: &["actions: read"], act: run },
    Row { route: "/repos/{owner}/{repo}/rules/branches/{branch}", method: "GET", needs: &[], act: rules },
    Row { route: "/orgs/{org}/teams/{team_slug}/members", method: "GET", needs: &["members: read"], act: members },
    Row {
        route: "/orgs/{org}/teams/{team_slug}/memberships/{username}",
        method: "GET",
        needs: &["members: read"],
        act: membership,
    },
];

const PULLS_READ: &[&str] = &["pull-requests: read", "pull-requests: write"];
const ISSUES_READ: &[&str] = &["issues: read", "issues: write"];
const TALK_READ: &[&str] = &["pull-requests: read", "pull-requests: write", "issues: read", "issues: write"];
const TALK: &[&str] = &["pull-requests: write", "issues: write"];

/// Bytes that a comment or an issue may have.
const BODY_MAX: usize = 262_144;
const DESCRIPTION_MAX: usize = 140;
const ANNOTATIONS_MAX: usize = 50;
const SUMMARY_MAX: usize = 65_535;

/// Answers a request of somebody whose token is allowed this much. `base` is where pages go on.
pub(super) fn answer(state: &mut State, request: &Request, by: &str, allowed: &[String], base: &str) -> Answer {
    let Some((row, names)) = ROWS.iter().find_map(|row| Some((row, names(row, request)?))) else {
        return error("", "GET", 404, "Not Found");
    };
    let is_ours = !row.route.starts_with(REPO) || (names[0] == OWNER && names[1] == NAME);
    if !is_ours {
        return error(row.route, row.method, 404, "Not Found");
    }
    let may = row.needs.is_empty() || row.needs.iter().any(|needs| allowed.iter().any(|line| line == needs));
    if !may {
        return match row.route.starts_with("/orgs/") {
            true => error(row.route, row.method, 404, "Not Found"),
            false => error(row.route, row.method, 403, "Resource not accessible by integration"),
        };
    }
    let asked = Asked { request, route: row.route, names, by };
    match (row.act)(state, &asked) {
        Outcome::Facts(204, _) => Answer::json(204, &Value::Null),
        Outcome::Facts(status, facts) => Answer::json(status, &shaped(row.route, row.method, status, facts)),
        Outcome::List(items) => page(row, request, items, None, base),
        Outcome::Within(name, items) => page(row, request, items, Some(name), base),
        Outcome::Error(status, words) => error(row.route, row.method, status, &words),
    }
}

fn names<'a>(row: &Row, request: &'a Request) -> Option<Vec<&'a str>> {
    let parts: Vec<&str> = row.route.split('/').filter(|part| !part.is_empty()).collect();
    if row.method != request.method || parts.len() != request.path.len() {
        return None;
    }
    let mut names = Vec::new();
    for (part, given) in parts.iter().zip(&request.path) {
        match part.starts_with('{') {
            true => names.push(given.as_str()),
            false if part == given => {}
            false => return None,
        }
    }
    Some(names)
}

/// One page of a list, with the address of the next.
fn page(row: &Row, request: &Request, items: Vec<Value>, within: Option<&str>, base: &str) -> Answer {
    let (size, number) = (request.number("per_page", 30).clamp(1, 100), request.number("page", 1).max(1));
    let total = items.len();
    let has_more = total > size * number;
    let items: Vec<Value> = items.into_iter().skip(size * (number - 1)).take(size).collect();
    let facts = match within {
        None => Value::Array(items),
        Some(name) => json!({ "total_count": total, name: items }),
    };
    let answer = Answer::json(200, &shaped(row.route, row.method, 200, facts));
    if !has_more {
        return answer;
    }
    let path = request.target.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/api/v3").unwrap_or(path); // the base ends with it
    let others = request.query.iter().filter(|(name, _)| *name != "page").map(|(name, value)| format!("{name}={value}&"));
    let url = |page: usize| format!("<{base}{path}?{}page={page}>", others.clone().collect::<String>());
    let last = total.div_ceil(size);
    answer.with("link", format!("{}; rel=\"next\", {}; rel=\"last\"", url(number + 1), url(last)))
}

/// GitHub's words for what it does not do, as it describes them where it does.
pub(super) fn error(route: &str, method: &str, status: u16, words: &str) -> Answer {
    let _described = (route, method);
    let mut body = json!({ "message": words, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
    if status == 422 {
        body = json!({ "message": "Validation Failed", "documentation_url": "https://docs.github.com/rest", "status": "422", "errors": [{ "resource": "Thing", "field": "body", "code": "custom", "message": words }] });
    }
    Answer::json(status, &body)
}

fn missing() -> Outcome {
    Outcome::Error(404, "Not Found".into())
}

fn refused(words: &str) -> Outcome {
    Outcome::Error(422, words.into())
}

impl Asked<'_> {
    fn number(&self, nth: usize) -> u64 {
        self.names.get(nth).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn text(&self, name: &str) -> String {
        self.request.body[name].as_str().unwrap_or_default().to_string()
    }

    fn maybe(&self, name: &str) -> Option<String> {
        self.request.body[name].as_str().map(ToString::to_string)
    }
}

pub(super) fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).expect("a time of our days").to_string()
}

fn user(login: &str) -> Value {
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    json!({ "login": login, "id": id_of(login), "type": kind })
}

/// A number for each login, the same each time.
pub(super) fn id_of(login: &str) -> u64 {
    login.bytes().fold(7, |id, byte| (id * 31 + u64::from(byte)) % 1_000_003)
}

fn repository(_state: &mut State, _asked: &Asked<'_>) -> Outcome {
    Outcome::Facts(
        200,
        json!({ "name": NAME, "full_name": format!("{OWNER}/{NAME}"), "owner": user(OWNER), "default_branch": "main", "private": true }),
    )
}

fn pull_facts(pull: &Pull) -> Value {
    let side = |sha: &str, name: &str, repository: Option<&str>| {
        let owner = repository.and_then(|name| name.split('/').next()).unwrap_or(OWNER);
        let repo = repository.map(|full| json!({ "full_name": full, "name": full.split('/').next_back() }));
        json!({ "sha": sha, "ref": name, "label": format!("{owner}:{name}"), "repo": repo, "user": user(owner) })
    };
    let ours = format!("{OWNER}/{NAME}");
    json!({
        "number": pull.number,
        "id": 90_000 + pull.number,
        "state": if pull.is_open { "open" } else { "closed" },
        "title": pull.title,
        "body": pull.body,
        "user": user(&pull.author),
        "draft": pull.is_draft,
        "labels": pull.labels.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "head": side(&pull.head, &pull.head_ref, pull.head_repository.as_deref()),
        "base": side(&pull.base, &pull.base_ref, Some(&ours)),
        "created_at": time(pull.at),
        "updated_at": time(pull.at),
        "closed_at": pull.merged.as_ref().map(|merged| time(merged.at)),
        "merged_at": pull.merged.as_ref().map(|merged| time(merged.at)),
        "merge_commit_sha": pull.merged.as_ref().map(|merged| merged.commit.clone()),
        "author_association": "MEMBER",
    })
}

fn pull(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let Some(pull) = state.pulls.get(&asked.number(2)) else { return missing() };
    let mut facts = pull_facts(pull);
    facts["merged"] = pull.merged.is_some().into();
    facts["merged_by"] = pull.merged.as_ref().map_or(Value::Null, |merged| user(&merged.by));
    facts["commits"] = pull.commits.len().into();
    Outcome::Facts(200, facts)
}

fn pulls(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let query = &asked.request.query;
    let wanted = query.get("state").map_or("open", String::as_str);
    let fits = |pull: &&Pull| {
        let is_state = wanted == "all" || (wanted == "open") == pull.is_open;
        let owner = pull.head_repository.as_deref().and_then(|name| name.split('/').next()).unwrap_or_default();
        let is_head = query.get("head").is_none_or(|head| *head == format!("{owner}:{}", pull.head_ref));
        is_state && is_head && query.get("base").is_none_or(|base| *base == pull.base_ref)
    };
    Outcome::List(state.pulls.values().rev().filter(fits).map(pull_facts).collect())
}

fn pull_commits(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let Some(pull) = state.pulls.get(&asked.number(2)) else { return missing() };
    let commit = |sha: &String| {
        let commit = &state.commits[sha];
        let who = |login: &Option<String>| login.as_deref().map_or(Value::Null, user);
        json!({ "sha": sha, "author": who(&commit.author), "committer": who(&commit.committer), "commit": { "message": commit.message } })
    };
    Outcome::List(pull.commits.iter().take(250).map(commit).collect())
}

fn reviews(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let Some(pull) = state.pulls.get(&asked.number(2)) else { return missing() };
    let facts = pull.reviews.iter().map(|review| {
        json!({
            "id": review.id,
            "user": review.by.as_deref().map_or(Value::Null, user),
            "body": review.body,
            "state": review.state,
            "commit_id": review.commit,
            "submitted_at": time(review.at),
            "author_association": "MEMBER",
        })
    });
    Outcome::List(facts.collect())
}

fn pulls_of(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let sha = asked.names[2];
    let holds = |pull: &&Pull| match &pull.merged {
        Some(merged) => merged.commit == sha || pull.commits.iter().any(|commit| commit == sha),
        None => pull.commits.iter().any(|commit| commit == sha),
    };
    Outcome::List(state.pulls.values().filter(holds).map(pull_facts).collect())
}

fn permission(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let login = asked.names[2];
    let (permission, role) = state.role(login).map_or(("none", "none"), |role| (role.permission(), role.name()));
    Outcome::Facts(200, json!({ "permission": permission, "role_name": role, "user": user(login) }))
}

fn comment_facts(comment: &Comment) -> Value {
    json!({ "id": comment.id, "node_id": format!("IC_{}", comment.id), "body": comment.body, "user": user(&comment.by), "created_at": time(comment.at), "updated_at": time(comment.at), "author_association": "NONE" })
}

fn comments(state: &mut State, asked: &Asked<'_>) -> Outcome {
    Outcome::List(state.comments_of(asked.number(2)).into_iter().map(comment_facts).collect())
}

fn add_comment(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let (number, body) = (asked.number(2), asked.text("body"));
    if !state.pulls.contains_key(&number) && !state.issues.contains_key(&number) {
        return missing();
    }
    if let Some(fault) = body_fault(&body) {
        return fault;
    }
    let id = state.comment(number, asked.by, &body);
    Outcome::Facts(201, comment_facts(&state.comments[&id]))
}

fn body_fault(body: &str) -> Option<Outcome> {
    match body.len() {
        0 => Some(refused("body can't be blank")),
        1..=BODY_MAX => None,
        _ => Some(refused("body is too long (maximum is 65536 characters)")),
    }
}

fn one_comment(state: &mut State, asked: &Asked<'_>) -> Outcome {
    state.comments.get(&asked.number(2)).map_or_else(missing, |comment| Outcome::Facts(200, comment_facts(comment)))
}

fn edit_comment(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let body = asked.text("body");
    if let Some(fault) = body_fault(&body) {
        return fault;
    }
    let Some(comment) = state.comments.get_mut(&asked.number(2)) else { return missing() };
    if comment.by != asked.by {
        return Outcome::Error(403, "Must have admin rights to Repository.".into());
    }
    comment.edits.push((asked.by.into(), body.clone()));
    comment.body = body;
    Outcome::Facts(200, comment_facts(comment))
}

fn remove_comment(state: &mut State, asked: &Asked<'_>) -> Outcome {
    match state.comments.remove(&asked.number(2)) {
        Some(_) => Outcome::Facts(204, Value::Null),
        None => missing(),
    }
}

fn react(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let content = asked.text("content");
    let Some(comment) = state.comments.get_mut(&asked.number(2)) else { return missing() };
    let reaction = (asked.by.to_string(), content.clone());
    let is_new = !comment.reactions.contains(&reaction);
    if is_new {
        comment.reactions.push(reaction);
    }
    Outcome::Facts(if is_new { 201 } else { 200 }, json!({ "content": content, "user": user(asked.by) }))
}

fn status_facts(status: &Status) -> Value {
    json!({
        "id": status.id,
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "creator": user(&status.by),
        "created_at": time(status.at),
        "updated_at": time(status.at),
    })
}

fn add_status(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let (sha, description) = (asked.names[2].to_string(), asked.text("description"));
    if !state.commits.contains_key(&sha) {
        return refused(&format!("No commit found for SHA: {sha}"));
    }
    if description.chars().count() > DESCRIPTION_MAX {
        return refused("description is too long (maximum is 140 characters)");
    }
    let (id, at) = (state.id(), state.tick());
    let status = Status {
        id,
        sha,
        state: asked.text("state"),
        context: asked.maybe("context").unwrap_or_else(|| "default".into()),
        description,
        target_url: asked.maybe("target_url"),
        by: asked.by.into(),
        at,
    };
    let facts = status_facts(&status);
    state.statuses.push(status);
    Outcome::Facts(201, facts)
}

fn statuses(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let of = state.statuses.iter().rev().filter(|status| status.sha == asked.names[2]);
    Outcome::List(of.map(status_facts).collect())
}

fn check_facts(check: &Check) -> Value {
    json!({
        "id": check.id,
        "head_sha": check.sha,
        "name": check.name,
        "external_id": check.external_id,
        "details_url": check.details_url,
        "status": check.status,
        "conclusion": check.conclusion,
        "started_at": time(check.at),
        "output": { "title": check.title, "summary": check.summary, "text": check.text, "annotations_count": check.annotations.len() },
    })
}

fn add_check(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let sha = asked.text("head_sha");
    if !state.commits.contains_key(&sha) {
        return refused(&format!("No commit found for SHA: {sha}"));
    }
    let (id, at) = (state.id(), state.tick());
    let mut check = Check {
        id,
        sha,
        name: asked.text("name"),
        external_id: asked.text("external_id"),
        details_url: None,
        status: "queued".into(),
        conclusion: None,
        title: String::new(),
        summary: String::new(),
        text: None,
        annotations: vec![],
        at,
    };
    if let Some(fault) = set_check(&mut check, asked) {
        return fault;
    }
    let facts = check_facts(&check);
    state.checks.insert(id, check);
    Outcome::Facts(201, facts)
}

fn edit_check(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let Some(check) = state.checks.get_mut(&asked.number(2)) else { return missing() };
    if let Some(fault) = set_check(check, asked) {
        return fault;
    }
    Outcome::Facts(200, check_facts(check))
}

fn set_check(check: &mut Check, asked: &Asked<'_>) -> Option<Outcome> {
    let output = &asked.request.body["output"];
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > ANNOTATIONS_MAX {
        return Some(refused("No more than 50 annotations are allowed"));
    }
    let text = |name: &str| output[name].as_str().map(ToString::to_string);
    if ["summary", "text"].iter().any(|name| text(name).is_some_and(|text| text.chars().count() > SUMMARY_MAX)) {
        return Some(refused("Only 65535 characters are allowed"));
    }
    check.annotations.extend(annotations);
    check.title = text("title").unwrap_or_else(|| check.title.clone());
    check.summary = text("summary").unwrap_or_else(|| check.summary.clone());
    check.text = text("text").or(check.text.take());
    check.details_url = asked.maybe("details_url").or(check.details_url.take());
    check.conclusion = asked.maybe("conclusion").or(check.conclusion.take());
    check.status = match (&check.conclusion, asked.maybe("status")) {
        (Some(_), _) => "completed".into(),
        (None, status) => status.unwrap_or_else(|| check.status.clone()),
    };
    None
}

fn checks(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let name = asked.request.query.get("check_name");
    let of = state.checks.values().rev().filter(|check| check.sha == asked.names[2]);
    Outcome::Within("check_runs", of.filter(|check| name.is_none_or(|name| check.name == *name)).map(check_facts).collect())
}

fn issue_facts(issue: &Issue) -> Value {
    json!({
        "id": 70_000 + issue.number,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": if issue.is_open { "open" } else { "closed" },
        "user": user(&issue.author),
        "labels": issue.labels.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "assignees": issue.assignees.iter().map(|login| user(login)).collect::<Vec<_>>(),
        "created_at": time(issue.at),
        "updated_at": time(issue.at),
        "author_association": "NONE",
    })
}

fn issues(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let query = &asked.request.query;
    let wanted = query.get("state").map_or("open", String::as_str);
    let fits = |issue: &&Issue| {
        let labels = query.get("labels").map(|text| text.split(',').collect::<Vec<_>>()).unwrap_or_default();
        let has = labels.iter().all(|label| issue.labels.iter().any(|own| own == label));
        has && (wanted == "all" || (wanted == "open") == issue.is_open)
    };
    Outcome::List(state.issues.values().rev().filter(fits).map(issue_facts).collect())
}

fn add_issue(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let body = asked.text("body");
    if body.len() > BODY_MAX {
        return refused("body is too long (maximum is 65536 characters)");
    }
    let (number, at) = (state.number(), state.tick());
    let labels = asked.request.body["labels"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let labels = labels.map(ToString::to_string).collect();
    let issue =
        Issue { number, title: asked.text("title"), body, author: asked.by.into(), is_open: true, labels, assignees: vec![], at };
    let facts = issue_facts(&issue);
    state.issues.insert(number, issue);
    Outcome::Facts(201, facts)
}

fn edit_issue(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let Some(issue) = state.issues.get_mut(&asked.number(2)) else { return missing() };
    issue.title = asked.maybe("title").unwrap_or_else(|| issue.title.clone());
    issue.body = asked.maybe("body").unwrap_or_else(|| issue.body.clone());
    issue.is_open = asked.maybe("state").map_or(issue.is_open, |state| state == "open");
    Outcome::Facts(200, issue_facts(issue))
}

fn deployment_facts(deployment: &Deployment) -> Value {
    json!({
        "id": deployment.id,
        "sha": deployment.sha,
        "ref": deployment.sha,
        "task": deployment.task,
        "environment": deployment.environment,
        "payload": deployment.payload,
        "creator": user(BOT),
        "created_at": time(deployment.at),
        "updated_at": time(deployment.at),
    })
}

fn deployments(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let query = &asked.request.query;
    let fits = |deployment: &&Deployment| {
        query.get("sha").is_none_or(|sha| deployment.sha == *sha)
            && query.get("task").is_none_or(|task| deployment.task == *task)
            && query.get("environment").is_none_or(|environment| deployment.environment == *environment)
    };
    Outcome::List(state.deployments.values().rev().filter(fits).map(deployment_facts).collect())
}

fn add_deployment(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let (id, at) = (state.id(), state.tick());
    let payload = asked.request.body["payload"].clone();
    let payload = if payload.is_null() { json!({}) } else { payload };
    let (sha, task) = (asked.text("ref"), asked.maybe("task").unwrap_or_else(|| "deploy".into()));
    let deployment = Deployment { id, sha, task, environment: asked.text("environment"), payload, statuses: vec![], at };
    let facts = deployment_facts(&deployment);
    state.deployments.insert(id, deployment);
    Outcome::Facts(201, facts)
}

fn add_deployment_status(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let id = state.id();
    let (name, description) = (asked.text("state"), asked.text("description"));
    if description.chars().count() > DESCRIPTION_MAX {
        return refused("description is too long (maximum is 140 characters)");
    }
    let Some(deployment) = state.deployments.get_mut(&asked.number(2)) else { return missing() };
    let status = (id, name, description, asked.maybe("log_url"));
    deployment.statuses.push(status.clone());
    Outcome::Facts(201, deployment_status_facts(deployment, &status))
}

fn deployment_statuses(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let Some(deployment) = state.deployments.get(&asked.number(2)) else { return missing() };
    Outcome::List(deployment.statuses.iter().rev().map(|status| deployment_status_facts(deployment, status)).collect())
}

fn deployment_status_facts(deployment: &Deployment, (id, state, description, log): &DeploymentStatus) -> Value {
    json!({
        "id": id,
        "state": state,
        "description": description,
        "log_url": log.clone().unwrap_or_default(),
        "environment": deployment.environment,
        "creator": user(BOT),
        "created_at": time(deployment.at),
        "updated_at": time(deployment.at),
    })
}

fn run(state: &mut State, asked: &Asked<'_>) -> Outcome {
    state.runs.get(&asked.number(2)).map_or_else(missing, |run| Outcome::Facts(200, run.clone()))
}

fn rules(state: &mut State, _asked: &Asked<'_>) -> Outcome {
    Outcome::List(state.rules.clone())
}

fn members(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let team = state.teams.get(asked.names[1]).filter(|_| asked.names[0] == OWNER);
    let listed = |members: &BTreeSet<String>| members.iter().map(|login| json!({ "login": login })).collect();
    team.map_or_else(missing, |members| Outcome::List(listed(members)))
}

fn membership(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let (slug, login) = (asked.names[1], asked.names[2]);
    let is_member = state.teams.get(slug).is_some_and(|members| members.contains(login));
    let facts = json!({ "state": "active", "role": "member", "url": format!("https://github.example/orgs/{OWNER}/teams/{slug}/memberships/{login}") });
    if is_member { Outcome::Facts(200, facts) } else { missing() }
}
