//! The few documents in GraphQL that Isobar asks with, each answered by its name. That GitHub would take them is held against its
//! schema by `tests/github/run`; that these answers are what it would say, by nothing yet.

use super::request::{Answer, Request};
use super::rest::time;
use super::state::{Comment, Commit, Issue, NAME, OWNER, Pull, Review, State};
use serde_json::{Value, json};

/// Items of one page, as they are asked for.
const PAGE: usize = 100;

pub(super) fn answer(state: &State, request: &Request, by: &str, allowed: &[String]) -> Answer {
    let document = request.body["query"].as_str().unwrap_or_default();
    let variables = &request.body["variables"];
    let name = document.split(['(', '{']).next().unwrap_or_default().trim().trim_start_matches("query ").trim();
    let may = |lines: &[&str]| lines.iter().any(|line| allowed.iter().any(|own| own == line));
    let pulls = may(&["pull-requests: read", "pull-requests: write"]);
    let issues = may(&["issues: read", "issues: write"]);
    let answered = match name {
        "Reviews" if pulls => repository(variables, |_| {
            pull(state, variables).map(|pull| json!({ "pullRequest": reviews(state, pull, variables) }))
        }),
        "Commits" if pulls => repository(variables, |_| {
            pull(state, variables).map(|pull| json!({ "pullRequest": commits(state, pull, variables) }))
        }),
        "Brought" if pulls => repository(variables, |_| Ok(json!({ "object": brought(state, variables) }))),
        "Comments" if pulls || issues => repository(variables, |_| comments(state, variables, by)),
        "Edits" if pulls || issues => edits(state, variables),
        "Issues" if issues => repository(variables, |_| Ok(json!({ "issues": issues_of(state, variables, by) }))),
        "Reviews" | "Commits" | "Brought" | "Comments" | "Edits" | "Issues" => {
            Err(("FORBIDDEN", "Resource not accessible by integration".into()))
        }
        other => Err(("undefinedField", format!("no document {other:?} is known here"))),
    };
    Answer::json(
        200,
        &match answered {
            Ok(data) => json!({ "data": data }),
            Err((kind, message)) => json!({ "data": null, "errors": [{ "type": kind, "message": message }] }),
        },
    )
}

type Told = Result<Value, (&'static str, String)>;

fn repository(variables: &Value, inside: impl FnOnce(()) -> Told) -> Told {
    if variables["owner"] != OWNER || variables["name"] != NAME {
        return Err(("NOT_FOUND", "Could not resolve to a Repository with that name.".into()));
    }
    inside(()).map(|inside| json!({ "repository": inside }))
}

fn pull<'a>(state: &'a State, variables: &Value) -> Result<&'a Pull, (&'static str, String)> {
    let number = variables["number"].as_u64().unwrap_or_default();
    state
        .pulls
        .get(&number)
        .ok_or_else(|| ("NOT_FOUND", format!("Could not resolve to a PullRequest with the number of {number}.")))
}

fn actor(login: &str) -> Value {
    match login.strip_suffix("[bot]") {
        Some(bot) => json!({ "__typename": "Bot", "login": bot }),
        None => json!({ "__typename": "User", "login": login }),
    }
}

fn login(login: &str) -> Value {
    json!({ "login": login.strip_suffix("[bot]").unwrap_or(login) })
}

/// The default branch, with the pull requests that brought each commit.
fn brought(state: &State, variables: &Value) -> Value {
    let Some(line) = state.history(variables["commit"].as_str().unwrap_or_default()) else { return Value::Null };
    let (page, info) = after(line, variables);
    let bringer = |pull: &Pull| {
        json!({
            "number": pull.number,
            "title": pull.title,
            "author": actor(&pull.author),
            "merged": pull.merged.is_some(),
            "mergedAt": pull.merged.as_ref().map(|merged| time(merged.at)),
            "baseRefName": pull.base_ref,
            "mergeCommit": pull.merged.as_ref().map(|merged| json!({ "oid": merged.commit })),
            "baseRepository": { "nameWithOwner": format!("{OWNER}/{NAME}") },
            "reviews": { "totalCount": pull.reviews.iter().filter(|review| review.state == "CHANGES_REQUESTED").count() },
        })
    };
    let of = |oid: &str| -> Vec<Value> {
        let brings = |pull: &&Pull| {
            let is_merge = pull.merged.as_ref().is_some_and(|merged| merged.commit == oid);
            is_merge || pull.commits.iter().any(|commit| commit == oid)
        };
        state.pulls.values().filter(brings).map(bringer).collect()
    };
    let facts = |oid: &str| {
        let mut facts = people(&state.commits[oid]);
        let is_merge = |pull: &Pull| {
            pull.merged.as_ref().is_some_and(|merged| merged.commit == oid) && !pull.commits.contains(&oid.to_string())
        };
        facts["parents"] = json!({ "totalCount": if state.pulls.values().any(is_merge) { 2 } else { 1 } });
        facts["oid"] = oid.into();
        facts["associatedPullRequests"] = json!({ "nodes": of(oid) });
        facts
    };
    let nodes: Vec<Value> = page.into_iter().map(facts).collect();
    json!({ "__typename": "Commit", "history": { "pageInfo": info, "nodes": nodes } })
}

/// A page of what comes after a cursor.
fn after<T>(items: Vec<T>, variables: &Value) -> (Vec<T>, Value) {
    let begin = variables["after"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let end = items.len().min(begin + PAGE);
    let info = json!({ "hasNextPage": end < items.len(), "endCursor": end.to_string() });
    (items.into_iter().skip(begin).take(PAGE).collect(), info)
}

fn reviews(state: &State, pull: &Pull, variables: &Value) -> Value {
    let (page, info) = after(opinions(state, pull), variables);
    let nodes: Vec<Value> = page.into_iter().map(|review| review_facts(state, review)).collect();
    let merged = pull.merged.as_ref();
    json!({
        "number": pull.number,
        "title": pull.title,
        "state": match (pull.is_open, merged) { (true, _) => "OPEN", (false, Some(_)) => "MERGED", (false, None) => "CLOSED" },
        "isDraft": pull.is_draft,
        "headRefOid": pull.head,
        "baseRefName": pull.base_ref,
        "merged": merged.is_some(),
        "mergedAt": merged.map(|merged| time(merged.at)),
        "mergeCommit": merged.map(|merged| json!({ "oid": merged.commit })),
        "author": actor(&pull.author),
        "latestOpinionatedReviews": { "pageInfo": info, "nodes": nodes },
    })
}

/// The latest opinion of each who may write, as GitHub folds them.
fn opinions<'a>(state: &State, pull: &'a Pull) -> Vec<&'a Review> {
    let mut latest: Vec<&Review> = Vec::new();
    for review in pull.reviews.iter().filter(|review| review.state != "COMMENTED") {
        let may = review.by.as_deref().is_none_or(|by| state.role(by).is_some_and(|role| role.may_push()));
        latest.retain(|other| other.by != review.by || review.by.is_none());
        if may {
            latest.push(review);
        }
    }
    latest
}

fn review_facts(state: &State, review: &Review) -> Value {
    let may = review.by.as_deref().is_some_and(|by| state.role(by).is_some_and(|role| role.may_push()));
    json!({
        "state": review.state,
        "submittedAt": time(review.at),
        "authorCanPushToRepository": may,
        "author": review.by.as_deref().map(actor),
        "commit": review.commit.as_ref().map(|oid| json!({ "oid": oid })),
        "onBehalfOf": { "nodes": review.teams.iter().map(|team| json!({ "combinedSlug": team })).collect::<Vec<_>>() },
    })
}

fn commits(state: &State, pull: &Pull, variables: &Value) -> Value {
    let (page, info) = after(pull.commits.iter().take(250).collect(), variables);
    let nodes: Vec<Value> = page.into_iter().map(|sha| json!({ "commit": people(&state.commits[sha]) })).collect();
    let forced = pull.forced_by.iter().map(|by| json!({ "__typename": "HeadRefForcePushedEvent", "actor": actor(by) }));
    let forced: Vec<Value> = forced.collect();
    json!({
        "commits": { "totalCount": pull.commits.len(), "pageInfo": info, "nodes": nodes },
        "timelineItems": { "totalCount": forced.len(), "nodes": forced },
    })
}

/// Who made a commit. No account has the address of one without a login, and GitHub's own is no account's.
fn people(commit: &Commit) -> Value {
    let who = |login: &Option<String>| match login.as_deref() {
        None => json!({ "email": "somebody@elsewhere.example", "user": null }),
        Some("GitHub") => json!({ "email": "noreply@github.com", "user": null }),
        Some(bot) if bot.ends_with("[bot]") => json!({ "email": format!("7+{bot}@users.noreply.github.com"), "user": null }),
        Some(login) => json!({ "email": format!("{login}@isobar.example"), "user": { "login": login } }),
    };
    json!({ "authors": { "totalCount": 1, "nodes": [who(&commit.author)] }, "committer": who(&commit.committer) })
}

fn comments(state: &State, variables: &Value, by: &str) -> Told {
    let number = variables["number"].as_u64().unwrap_or_default();
    let kind = match (state.pulls.contains_key(&number), state.issues.contains_key(&number)) {
        (true, _) => "PullRequest",
        (false, true) => "Issue",
        (false, false) => {
            return Err(("NOT_FOUND", format!("Could not resolve to an issue or pull request with the number of {number}.")));
        }
    };
    let all = state.comments_of(number);
    let end = variables["before"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(all.len()).min(all.len());
    let begin = end.saturating_sub(PAGE);
    let facts = |comment: &&Comment| {
        let editor = comment.edits[1..].last().filter(|(by, _)| !by.is_empty()).map(|(by, _)| login(by));
        json!({
            "id": format!("IC_{}", comment.id),
            "databaseId": comment.id,
            "createdAt": time(comment.at),
            "lastEditedAt": (comment.edits.len() > 1).then(|| time(comment.at)),
            "viewerDidAuthor": comment.by == by,
            "author": actor(&comment.by),
            "editor": editor,
            "body": comment.body,
        })
    };
    let nodes: Vec<Value> = all[begin..end].iter().map(facts).collect();
    let info = json!({ "hasPreviousPage": begin > 0, "startCursor": begin.to_string() });
    Ok(json!({ "issueOrPullRequest": { "__typename": kind, "comments": { "pageInfo": info, "nodes": nodes } } }))
}

fn edits(state: &State, variables: &Value) -> Told {
    let id = variables["node"].as_str().and_then(|node| node.strip_prefix("IC_")).and_then(|id| id.parse().ok()).unwrap_or(0);
    let Some(comment) = state.comments.get(&id) else {
        return Err(("NOT_FOUND", "Could not resolve to a node with the global id.".into()));
    };
    let edits = comment.edits.iter().rev().take(20).map(|(by, diff)| json!({ "editor": login(by), "diff": diff }));
    let edits = (comment.edits.len() > 1).then(|| json!({ "nodes": edits.collect::<Vec<_>>() }));
    let (author, body) = (login(&comment.by), &comment.body);
    Ok(json!({ "node": { "__typename": "IssueComment", "author": author, "body": body, "userContentEdits": edits } }))
}

fn issues_of(state: &State, variables: &Value, by: &str) -> Value {
    let labels: Vec<&str> = variables["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fits = |issue: &&Issue| labels.is_empty() || labels.iter().any(|label| issue.labels.iter().any(|own| own == label));
    let (page, info) = after(state.issues.values().filter(fits).collect(), variables);
    let facts = |issue: &Issue| json!({ "number": issue.number, "title": issue.title, "state": if issue.is_open { "OPEN" } else { "CLOSED" }, "viewerDidAuthor": issue.author == by, "body": issue.body });
    json!({ "pageInfo": info, "nodes": page.into_iter().map(facts).collect::<Vec<_>>() })
}
