//! What holds for every host: one list of cases, each over all of them. A new host is one line in [`places`].

use super::{
    Check, CheckState, Comment, Deployed, DeployedState, Deployments, GitHub, GitHubConfig, Host, HostError, Issue, Issues,
    Local, LocalConfig, Of, Posted, RunNumber, Turn,
};
use crate::github_on_loopback::{GitHub as Server, Role, TOKEN};
use crate::review::{Approval, CommitSha, Decision, PullRequest, Seen, User};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const HEAD: &str = "4be1d70aa0c8e1f2d3b4a5968778695a4b3c2d1e";
/// A time before all others here, in milliseconds.
const EARLY_MS: u64 = 1_000;

/// A host with a change of Ann's that nobody reviewed, of which `d1` and `d2` were shown.
struct Place {
    _dir: tempfile::TempDir,
    /// The host as another run finds it.
    open: Box<dyn Fn() -> Arc<dyn Host>>,
    /// Lets a person decide about all that was shown, as people do there.
    give: Box<Give>,
    number: u64,
    /// There is somewhere to tell.
    hears: bool,
}

type Give = dyn Fn(&str, Decision) -> Giving;

/// A decision on its way.
type Giving = std::pin::Pin<Box<dyn Future<Output = Result<(), HostError>> + Send>>;

fn places() -> Vec<Place> {
    vec![local(), github()]
}

fn local() -> Place {
    let dir = crate::scratch::dir();
    let worktree = dir.path().join("tree");
    std::fs::create_dir(&worktree).expect("it has room");
    let config = LocalConfig { reviews: dir.path().join("reviews.jsonl"), worktree, on_actions: false, change: change() };
    let of_reviewer = config.clone();
    let give = move |by: &str, decision: Decision| -> Giving {
        let (host, review) = (Local::new(of_reviewer.clone()), review(by, decision, &["d1", "d2"], 5_000));
        Box::pin(async move { host.record(&review, &change()).await })
    };
    Place {
        _dir: dir,
        open: Box::new(move || Arc::new(Local::new(config.clone()))),
        give: Box::new(give),
        number: 0,
        hears: false,
    }
}

fn github() -> Place {
    let server = Server::start();
    let number = server.people(|state| state.open("ann", "wider", "c01fa22", &[HEAD]));
    let config = GitHubConfig {
        api: server.api(),
        graphql: server.graphql(),
        token: TOKEN.into(),
        org_token: None,
        repository: "acme/fleet".into(),
        branch: Some("main".into()),
        second: Duration::from_millis(1),
    };
    let give = move |by: &str, decision: Decision| -> Giving {
        server.people(|state| {
            state.people.entry(by.to_lowercase()).or_insert(Role::Write);
            let said = if decision == Decision::Approve { "APPROVED" } else { "CHANGES_REQUESTED" };
            state.review(number, by, said)
        });
        Box::pin(async { Ok(()) })
    };
    let open = move || -> Arc<dyn Host> { Arc::new(GitHub::new(config.clone()).expect("addresses of loopback")) };
    Place { _dir: crate::scratch::dir(), open: Box::new(open), give: Box::new(give), number, hears: true }
}

fn change() -> PullRequest {
    PullRequest { number: None, title: "wider".into(), author: User("ann".into()), committers: vec![] }
}

fn review(by: &str, decision: Decision, digests: &[&str], at_ms: u64) -> Approval {
    let digests = digests.iter().map(|digest| Arc::from(*digest)).collect();
    Approval { by: User(by.into()), decision, digests, at_ms }
}

impl Place {
    async fn approvals(&self) -> Vec<Approval> {
        let reviewed = (self.open)().reviewed(Of::Change(self.number)).await.expect("readable");
        let seen = |digest: &str| Seen {
            change: Some(self.number),
            commit: CommitSha(HEAD.into()),
            set: "set".into(),
            digest: digest.into(),
            first_ms: EARLY_MS,
        };
        reviewed.iter().flat_map(|change| change.bind(&[seen("d1"), seen("d2")], &BTreeSet::new()).0).collect()
    }

    /// What each person decided last about each digest.
    async fn decisions(&self) -> Vec<(String, String, Decision)> {
        let approvals = self.approvals().await;
        let mut decisions: Vec<_> = (approvals.iter())
            .flat_map(|given| given.digests.iter().map(move |digest| (digest.to_string(), given.by.login(), given.decision)))
            .collect();
        decisions.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        decisions
    }
}

fn decision(digest: &str, by: &str, decision: Decision) -> (String, String, Decision) {
    (digest.into(), by.into(), decision)
}

#[tokio::test]
async fn a_change_that_nobody_reviewed_has_no_approvals_and_an_author() {
    for place in places() {
        assert_eq!(place.approvals().await, []);
        let found = (place.open)().reviewed(Of::Change(place.number)).await.expect("readable");
        assert_eq!(found.iter().map(|reviewed| &reviewed.change.author).collect::<Vec<_>>(), [&User("ann".into())]);
    }
}

#[tokio::test]
async fn a_decision_is_read_by_another_run_and_is_about_what_was_shown() {
    for place in places() {
        (place.give)("bob", Decision::Approve).await.expect("it has room");
        let expected = [decision("d1", "bob", Decision::Approve), decision("d2", "bob", Decision::Approve)];
        assert_eq!(place.decisions().await, expected);
        assert!(place.approvals().await[0].at_ms > EARLY_MS);
    }
}

#[tokio::test]
async fn the_latest_decision_of_a_person_counts() {
    use Decision::{Approve, Reject};
    for place in places() {
        for (by, said) in [("bob", Approve), ("eve2", Approve), ("bob", Reject)] {
            (place.give)(by, said).await.expect("it has room");
        }
        let of = |digest: &'static str| [decision(digest, "bob", Reject), decision(digest, "eve2", Approve)];
        assert_eq!(place.decisions().await, [of("d1"), of("d2")].concat());

        (place.give)("bob", Approve).await.expect("it has room");
        assert_eq!(place.decisions().await[0], decision("d1", "bob", Approve));
    }
}

#[tokio::test]
async fn the_author_never_approves() {
    for place in places() {
        let _refused_here_or_void_there = (place.give)("Ann", Decision::Approve).await;
        assert_eq!(place.decisions().await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_given_at_once_are_all_kept() {
    for place in places() {
        let giving: Vec<_> = (0..16).map(|at| tokio::spawn((place.give)(&format!("u{at:02}"), Decision::Approve))).collect();
        for given in giving {
            assert_eq!(given.await.expect("it ended"), Ok(()));
        }
        let of = |digest: &'static str| (0..16).map(move |at| decision(digest, &format!("u{at:02}"), Decision::Approve));
        assert_eq!(place.decisions().await, of("d1").chain(of("d2")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_is_told_is_told_or_there_is_nowhere_to_tell_it() {
    let turn = Turn::from(RunNumber { id: 7, attempt: 1 });
    let head = CommitSha(HEAD.into());
    let comment = Comment { key: "isobar".into(), head: head.clone(), turn, parts: vec!["text".into()] };
    let check = Check { name: "isobar".into(), state: CheckState::Success, sentence: "so".into(), turn, address: None };
    let issue = Issue { part: None, title: "Drift".into(), text: "text".into() };
    let issues = Issues { kind: "isobar-drift".into(), turn, lasting: vec![issue] };
    let deployed = Deployed { environment: "prod/a".into(), state: DeployedState::Success, sentence: "1 of 1 applied".into() };
    let deployments = Deployments { commit: head.clone(), places: vec![deployed], address: None };
    for place in places() {
        let host = (place.open)();
        let expected = Ok(if place.hears { Posted::Done } else { Posted::Nowhere });
        for _ in 0..2 {
            let told = [
                host.comment(place.number, &comment).await,
                host.check(&head, &check).await,
                host.issues(&issues).await,
                host.deployed(&deployments).await,
            ];
            assert!(told.iter().all(|told| *told == expected), "{}: {told:?}", host.name());
        }
    }
}

#[tokio::test]
async fn a_decision_of_the_command_line_names_what_it_is_about_and_who_gives_it() {
    for place in places() {
        let host = (place.open)();
        assert!(host.record(&review("bob", Decision::Approve, &[], 5), &change()).await.is_err());
        assert!(host.record(&review(" ", Decision::Approve, &["d1"], 5), &change()).await.is_err());
        assert_eq!(place.approvals().await, []);
    }
}
