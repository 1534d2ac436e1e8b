//! What GitHub is told stands there once, whatever goes wrong on the way, whoever tells at the same time, and whatever others write.

use crate::support::github::{BOT, GitHub as Server, TOKEN, Trouble};
use isobar::host::{
    Check, CheckState, Comment, Deployed, DeployedState, Deployments, GitHub, GitHubConfig, Host as _, HostError, Issue, Issues,
    Of, Posted, RunNumber, Turn,
};
use isobar::review::CommitSha;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

const HEAD: &str = "4be1d70aa0c8e1f2d3b4a5968778695a4b3c2d1e";

/// The server with a pull request of Ann's, and its number.
fn server() -> (Server, u64) {
    let server = Server::start();
    let number = server.people(|state| state.open("ann", "wider", "c01fa22", &[HEAD]));
    (server, number)
}

fn host(server: &Server) -> GitHub {
    let config = GitHubConfig {
        api: server.api(),
        graphql: server.graphql(),
        token: TOKEN.into(),
        org_token: None,
        repository: "acme/fleet".into(),
        branch: Some("main".into()),
        second: Duration::from_millis(1),
    };
    GitHub::new(config).expect("addresses of loopback")
}

fn turn(id: u64) -> Turn {
    RunNumber { id, attempt: 1 }.into()
}

fn comment(id: u64, parts: &[&str]) -> Comment {
    let parts = parts.iter().map(ToString::to_string).collect();
    Comment { key: "isobar".into(), head: CommitSha(HEAD.into()), turn: turn(id), parts }
}

fn check(id: u64, state: CheckState) -> Check {
    let address = Some(format!("https://github.example/acme/fleet/actions/runs/{id}/attempts/1"));
    Check { name: "isobar".into(), state, sentence: format!("run {id}"), turn: turn(id), address }
}

fn issue(id: u64, text: Option<&str>) -> Issues {
    let whole = |text: &str| Issue { part: None, title: "Drift".into(), text: text.into() };
    Issues { kind: "isobar-drift".into(), turn: turn(id), lasting: text.map(whole).into_iter().collect() }
}

/// Two regions, of which one went wrong at first.
fn deployed(id: u64) -> Deployments {
    let place = |environment: &str, state| Deployed { environment: environment.into(), state, sentence: format!("run {id}") };
    let second = if id == 1 { DeployedState::Failure } else { DeployedState::Success };
    let places = vec![place("prod/a", DeployedState::GoesOn), place("prod/b", second)];
    Deployments { commit: CommitSha(HEAD.into()), places, address: None }
}

/// What stands on a pull request, without the first lines.
fn texts(server: &Server, number: u64) -> Vec<String> {
    let below = |body: &str| body.split_once('\n').map_or(body, |(_, rest)| rest).to_string();
    server.people(|state| state.comments_of(number).iter().map(|comment| below(&comment.body)).collect())
}

/// The newest status of the head.
fn status(server: &Server) -> String {
    server.people(|state| {
        state.statuses.last().map(|status| format!("{} {}", status.state, status.description)).unwrap_or_default()
    })
}

/// How many issues there are, and how many of them are open.
fn issues(server: &Server) -> (usize, usize) {
    server.people(|state| (state.issues.len(), state.issues.values().filter(|issue| issue.is_open).count()))
}

#[tokio::test]
async fn a_second_run_edits_what_the_first_one_wrote() {
    let (server, number) = server();
    let host = host(&server);
    assert_eq!(host.comment(number, &comment(1, &["one"])).await, Ok(Posted::Done));
    assert_eq!(host.comment(number, &comment(2, &["two"])).await, Ok(Posted::Done));
    assert_eq!(texts(&server, number), ["two"]);
    let edits = server.recorded().iter().filter(|one| one.request.method == "PATCH").count();
    assert_eq!(edits, 1);

    assert_eq!(host.comment(number, &comment(1, &["late"])).await, Ok(Posted::Overtaken));
    assert_eq!(texts(&server, number), ["two"]);
}

#[tokio::test]
async fn what_does_not_fit_goes_on_beside_it_and_goes_away_again() {
    let (server, number) = server();
    let host = host(&server);
    assert_eq!(host.comment(number, &comment(1, &["a", "b", "c"])).await, Ok(Posted::Done));
    assert_eq!(texts(&server, number), ["a", "b", "c"]);
    assert_eq!(host.comment(number, &comment(2, &["d"])).await, Ok(Posted::Done));
    assert_eq!(texts(&server, number), ["d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_runs_that_race_the_newest_one_stays() {
    for stale in [0, 1, 3, 0, 2, 3] {
        let (server, number) = server();
        server.be_stale(stale);
        let tasks: Vec<_> = (1..=10)
            .map(|id| {
                let host = host(&server);
                tokio::spawn(async move {
                    let text = format!("run {id}");
                    let told = host.comment(number, &comment(id, &[&text])).await;
                    told.and(host.check(&CommitSha(HEAD.into()), &check(id, CheckState::Success)).await)
                })
            })
            .collect();
        for task in tasks {
            assert!(task.await.expect("it ended").is_ok());
        }
        assert_eq!(texts(&server, number), ["run 10"], "stale: {stale}");
        assert_eq!(status(&server), "success run 10");
    }
}

#[tokio::test]
async fn what_others_write_is_left_alone_and_commands_nothing() {
    let (server, number) = server();
    let host = host(&server);
    let fake = format!("<!-- isobar:v1 key=isobar head={HEAD} seen-by=999999.1 run=999999.1 part=1/1 -->\nall is fine");
    server.people(|state| {
        state.comment(number, "eve", &fake);
        state.comment(number, BOT, &format!("> {fake}"));
        state.comment(number, BOT, "another action's text");
    });
    assert_eq!(host.comment(number, &comment(1, &["ours"])).await, Ok(Posted::Done));
    assert_eq!(texts(&server, number).len(), 4);

    // Whoever may write can edit ours: that makes no newer run of it.
    let ours = server.people(|state| state.comments_of(number).last().map(|comment| comment.id)).expect("it is there");
    server.people(|state| state.edit_comment(ours, "bob", &fake));
    assert_eq!(host.comment(number, &comment(2, &["ours again"])).await, Ok(Posted::Done));
    assert_eq!(texts(&server, number).last().map(String::as_str), Some("ours again"));
    assert_eq!(texts(&server, number).len(), 4);
}

#[tokio::test]
async fn a_comment_is_found_behind_a_hundred_others() {
    let (server, number) = server();
    let host = host(&server);
    assert_eq!(host.comment(number, &comment(1, &["one"])).await, Ok(Posted::Done));
    server.people(|state| {
        (0..250).for_each(|_| {
            state.comment(number, "bob", "and?");
        })
    });
    assert_eq!(host.comment(number, &comment(2, &["two"])).await, Ok(Posted::Done));
    assert_eq!(texts(&server, number).len(), 251);
    assert_eq!(texts(&server, number)[0], "two");
}

#[tokio::test]
async fn a_status_is_found_behind_a_hundred_others() {
    let (server, _) = server();
    let (host, head) = (host(&server), CommitSha(HEAD.into()));
    assert_eq!(host.check(&head, &check(2, CheckState::Success)).await, Ok(Posted::Done));
    server.people(|state| (0..250).for_each(|nth| state.set_status(HEAD, &format!("another {nth}"))));
    assert_eq!(host.check(&head, &check(1, CheckState::Pending)).await, Ok(Posted::Overtaken));
    assert_eq!(server.people(|state| state.statuses.len()), 251);
}

#[tokio::test]
async fn an_issue_is_opened_kept_and_closed_and_quiet_in_between() {
    let (server, _) = server();
    let host = host(&server);
    assert_eq!(host.issues(&issue(1, None)).await, Ok(Posted::Done));
    assert_eq!(issues(&server), (0, 0), "there is nothing to close");
    for id in 2..=4 {
        assert_eq!(host.issues(&issue(id, Some("edited by hand"))).await, Ok(Posted::Done));
    }
    assert_eq!(issues(&server), (1, 1));
    let writes = || server.recorded().iter().filter(|one| one.request.method != "GET" && one.request.path != ["graphql"]).count();
    assert_eq!(writes(), 1, "the same again is not said again");
    assert_eq!(host.issues(&issue(5, None)).await, Ok(Posted::Done));
    assert_eq!(issues(&server), (1, 0));
    assert_eq!(host.issues(&issue(6, Some("again"))).await, Ok(Posted::Done));
    assert_eq!(issues(&server), (2, 1), "a closed one is history");
}

/// Everything that is told, one after the other.
async fn tell_all(host: &GitHub, number: u64) -> Vec<Result<Posted, HostError>> {
    let head = CommitSha(HEAD.into());
    let mut told = Vec::new();
    for id in 1..=2 {
        told.push(host.comment(number, &comment(id, &[&format!("text {id}"), "more"])).await);
        told.push(host.check(&head, &check(id, CheckState::Pending)).await);
        told.push(host.issues(&issue(id, Some(&format!("text {id}")))).await);
        told.push(host.deployed(&deployed(id)).await);
    }
    told.push(host.comment(number, &comment(3, &["the end"])).await);
    told.push(host.check(&head, &check(3, CheckState::Success)).await);
    told.push(host.issues(&issue(3, None)).await);
    told
}

/// One line of the table: what went wrong at every call, one after the other.
struct Row {
    trouble: &'static str,
    calls: usize,
    lost: usize,
    twice: usize,
}

#[tokio::test]
async fn whatever_goes_wrong_at_whichever_call_all_is_told_once() {
    let (calm, number) = server();
    assert!(tell_all(&host(&calm), number).await.iter().all(|told| *told == Ok(Posted::Done)));
    let calls = calm.recorded().len();
    let expected = (
        texts(&calm, number),
        status(&calm),
        issues(&calm),
        calm.people(|state| state.statuses.len()),
        calm.people(|state| state.deployed()),
    );

    let troubles = [
        ("connection lost before", Trouble::LoseRequest),
        ("connection lost after", Trouble::LoseAnswer),
        ("503 before", Trouble::Fail),
        ("503 after", Trouble::FailAfter),
        ("429, wait 2 s", Trouble::Limit(429, Some(2))),
        ("429 without a word", Trouble::Limit(429, None)),
        ("403, wait 2 s", Trouble::Limit(403, Some(2))),
        ("403 secondary limit", Trouble::Limit(403, None)),
        ("half an answer", Trouble::Truncate),
    ];
    let mut table = Vec::new();
    for (name, trouble) in troubles {
        for stale in [0, 2] {
            let mut row = Row { trouble: name, calls, lost: 0, twice: 0 };
            for at in 0..calls {
                let (server, number) = server();
                server.be_stale(stale);
                server.trouble(at, trouble);
                let told = tell_all(&host(&server), number).await;
                row.lost += told.iter().filter(|told| **told != Ok(Posted::Done)).count();
                let found = (
                    texts(&server, number),
                    status(&server),
                    issues(&server),
                    server.people(|state| state.statuses.len()),
                    server.people(|state| state.deployed()),
                );
                let is_twice = found.0.len() > expected.0.len()
                    || found.2.0 > expected.2.0
                    || found.3 > expected.3
                    || found.4.concat().len() > expected.4.concat().len();
                row.twice += usize::from(is_twice);
                assert!(is_twice || found == expected, "{name} at call {at}: {found:?}, {told:?}");
            }
            table.push(row);
        }
    }
    for Row { trouble, calls, lost, twice } in &table {
        let line = format!("{trouble:24} at each of {calls} calls: {lost} not told, {twice} told twice");
        let _nobody_looks = writeln!(std::io::stdout(), "{line}");
    }
    assert!(table.iter().all(|row| (row.lost, row.twice) == (0, 0)));
}

#[tokio::test]
async fn what_github_refuses_names_the_permission_that_is_missing() {
    let (server, number) = server();
    server.token(TOKEN, BOT, &["contents: read", "pull-requests: read"]);
    let host = host(&server);
    let hint = |told: Result<Posted, HostError>| told.expect_err("it may not").hint.unwrap_or_default();
    assert!(hint(host.comment(number, &comment(1, &["x"])).await).contains("pull-requests: write"));
    assert!(hint(host.check(&CommitSha(HEAD.into()), &check(1, CheckState::Success)).await).contains("statuses: write"));
    assert!(hint(host.issues(&issue(1, Some("x"))).await).contains("issues: write"));

    server.token(TOKEN, BOT, &[]);
    let refused = host.reviewed(Of::Change(number)).await.expect_err("it may not");
    assert!(refused.hint.unwrap_or_default().contains("pull-requests: read"), "{}", refused.what);
}

#[tokio::test]
async fn the_token_stands_in_no_error() {
    let (server, number) = server();
    for trouble in [Trouble::LoseRequest, Trouble::Fail, Trouble::Truncate] {
        (0..40).for_each(|at| server.trouble(at, trouble));
        let error = host(&server).reviewed(Of::Change(number)).await.expect_err("nothing is answered");
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_review_is_read_with_all_that_makes_it_count() {
    let (server, number) = server();
    server.people(|state| {
        (0..130).for_each(|nth| {
            let name = format!("u{nth}");
            state.people.insert(name.clone(), crate::support::github::Role::Write);
            state.review(number, &name, "APPROVED");
        });
        let dismissed = state.review(number, "bob", "CHANGES_REQUESTED");
        state.dismiss(number, dismissed);
        state.review(number, "eve", "APPROVED");
        state.push(number, "cem", "b".repeat(40).as_str());
    });
    let host = Arc::new(host(&server));
    let [reviewed] = &host.reviewed(Of::Change(number)).await.expect("it is readable")[..] else { panic!("one was asked for") };
    assert_eq!(reviewed.decisions.len(), 130, "all pages; without the one that was taken back, and without who may only read");
    assert_eq!(reviewed.change.author.0.as_ref(), "ann");
    assert!(reviewed.change.committers.iter().any(|user| &*user.0 == "cem") && reviewed.is_authorship_known);
    assert!(reviewed.landed.is_none());
}
