//! What holds for every host: one list of cases, each over all of them. A new host is one line in [`places`].

use super::{Host, HostError, Local, LocalConfig, Of};
use crate::review::{Approval, Decision, PullRequest, User};
use std::sync::Arc;

/// A host with a change of Ann's that nobody reviewed.
struct Place {
    _dir: tempfile::TempDir,
    /// The host as another run finds it.
    open: Box<dyn Fn() -> Arc<dyn Host>>,
}

fn places() -> Vec<Place> {
    vec![local()]
}

fn local() -> Place {
    let dir = crate::scratch::dir();
    let worktree = dir.path().join("tree");
    std::fs::create_dir(&worktree).expect("it has room");
    let config = LocalConfig { reviews: dir.path().join("reviews.jsonl"), worktree, on_actions: false, change: change() };
    Place { _dir: dir, open: Box::new(move || Arc::new(Local::new(config.clone()))) }
}

fn change() -> PullRequest {
    PullRequest { number: None, title: "wider".into(), author: User("ann".into()), committers: vec![] }
}

fn review(by: &str, decision: Decision, digests: &[&str], at_ms: u64) -> Approval {
    let digests = digests.iter().map(|digest| Arc::from(*digest)).collect();
    Approval { by: User(by.into()), decision, digests, at_ms }
}

async fn approvals(host: &dyn Host) -> Result<Vec<Approval>, HostError> {
    let reviewed = host.reviewed(Of::NOTHING).await?;
    Ok(reviewed.iter().flat_map(|change| change.bind(&[]).0).collect())
}

/// What each person decided last about each digest.
async fn decisions(place: &Place) -> Vec<(String, String, Decision)> {
    let approvals = approvals(&*(place.open)()).await.expect("readable");
    let mut decisions: Vec<_> = (approvals.iter())
        .flat_map(|given| given.digests.iter().map(move |digest| (digest.to_string(), given.by.0.to_string(), given.decision)))
        .collect();
    decisions.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    decisions
}

async fn record(place: &Place, reviews: impl IntoIterator<Item = Approval>) {
    for review in reviews {
        (place.open)().record(&review, &change()).await.expect("it has room");
    }
}

fn decision(digest: &str, by: &str, decision: Decision) -> (String, String, Decision) {
    (digest.into(), by.into(), decision)
}

#[tokio::test]
async fn a_change_that_nobody_reviewed_has_no_approvals_and_an_author() {
    for place in places() {
        let host = (place.open)();
        assert_eq!(approvals(&*host).await, Ok(vec![]));
        let found = host.reviewed(Of::NOTHING).await.expect("readable");
        assert_eq!(found.iter().map(|reviewed| &reviewed.change.author).collect::<Vec<_>>(), [&User("ann".into())]);
    }
}

#[tokio::test]
async fn a_recorded_review_is_read_by_another_run_as_it_was_given() {
    for place in places() {
        let given = review("bob", Decision::Approve, &["d1", "d2"], 5);
        record(&place, [given.clone()]).await;
        assert_eq!(approvals(&*(place.open)()).await, Ok(vec![given]));
    }
}

#[tokio::test]
async fn the_latest_decision_about_a_digest_counts_and_the_others_stay() {
    use Decision::{Approve, Reject};
    for place in places() {
        let reviews =
            [review("bob", Approve, &["d1", "d2"], 9), review("eve", Approve, &["d1"], 9), review("BOB", Reject, &["d1"], 1)];
        record(&place, reviews).await;
        let expected = [decision("d1", "BOB", Reject), decision("d1", "eve", Approve), decision("d2", "bob", Approve)];
        assert_eq!(decisions(&place).await, expected, "the later one, whatever its clock says");

        record(&place, [review("bob", Approve, &["d1"], 2)]).await;
        assert_eq!(decisions(&place).await[0], decision("d1", "bob", Approve));
    }
}

#[tokio::test]
async fn a_review_of_nothing_or_by_nobody_is_refused() {
    for place in places() {
        let host = (place.open)();
        assert!(host.record(&review("bob", Decision::Approve, &[], 5), &change()).await.is_err());
        assert!(host.record(&review(" ", Decision::Approve, &["d1"], 5), &change()).await.is_err());
        assert_eq!(approvals(&*host).await, Ok(vec![]));
    }
}

#[tokio::test]
async fn the_author_never_approves() {
    for place in places() {
        assert!((place.open)().record(&review("Ann", Decision::Approve, &["d1"], 5), &change()).await.is_err());
        assert_eq!(decisions(&place).await, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reviews_given_at_once_are_all_kept() {
    for place in places() {
        let tasks: Vec<_> = (0..16)
            .map(|at| {
                let host = (place.open)();
                let given = review(&format!("u{at:02}"), Decision::Approve, &["d1"], 5);
                tokio::spawn(async move { host.record(&given, &change()).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("it ended"), Ok(()));
        }
        let expected: Vec<_> = (0..16).map(|at| decision("d1", &format!("u{at:02}"), Decision::Approve)).collect();
        assert_eq!(decisions(&place).await, expected);
    }
}
