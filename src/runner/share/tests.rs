//! Several shards on one journal, step by step: who is first, who must decide anew, and what each knows of the others.

use super::*;
use crate::change::Intent;
use crate::engine::Engines;
use crate::journal::History;
use crate::rollout::{Gate, Outcome, Planned, Rollout, Takeover, Wave};
use crate::runner::{Bounds, Drive, Signs, Writer};
use crate::stack::Known;
use crate::store::{MemoryStore, Store as _};
use std::collections::BTreeMap;

fn id(text: &str) -> TargetId {
    text.parse().expect("a target")
}

fn gate() -> Gate {
    Gate::Command { argv: vec!["smoke".into()], timeout_secs: 1, commit: None }
}

fn rollout(name: &str, gates: Vec<Gate>) -> Rollout {
    let wave = Wave {
        name: "prod".into(),
        environment: "prod".into(),
        after: Vec::new(),
        targets: ["app@prod/a", "app@prod/b"]
            .map(|target| Planned { target: id(target), intent: Intent::Converge, after: Vec::new() })
            .into(),
        max_parallel: 2,
        failure_tolerance: 0,
        gates,
        bake_secs: 0,
        progress_deadline_secs: None,
        unproven: false,
    };
    Rollout { id: name.into(), commit: "c1".into(), waves: vec![wave], whole: None, beside: None }
}

/// A shard at its beginning, on a clock that stands still, with nobody who tells it to stop.
fn shard<'a>(store: &'a MemoryStore, run: &'a Arc<str>, stop: &'a Stop) -> Replica<'a> {
    let means = Means {
        holder: Box::new(|| holder(run)),
        not_released: Box::new(|error| panic!("{error}")),
        elapsed: Box::new(|| Duration::ZERO),
        sleep: Box::new(|_| Box::pin(async {})),
        stop,
    };
    let sharing = Sharing { shard: "1/2".parse().expect("a shard"), patience: Duration::from_secs(1), parallel: 0 };
    let writer = Writer { store, run, now_ms: Box::new(|| 7), time: None };
    Replica::new(writer, History::default(), Some(Share::new(sharing, means)))
}

/// A run that takes everything for itself.
fn alone<'a>(store: &'a MemoryStore, run: &'a Arc<str>) -> Replica<'a> {
    let writer = Writer { store, run, now_ms: Box::new(|| 7), time: None };
    Replica::new(writer, History::default(), None)
}

fn holder(run: &Arc<str>) -> Holder {
    Holder { run: run.clone(), host: "here".into(), pid: 1, since_ms: 0, job: None }
}

#[tokio::test]
async fn of_two_shards_that_plan_at_the_same_moment_one_plan_stands() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let [first, second] = [0, 1].map(|nth| shard(&store, &runs[nth], &stop));
    let lease = store.acquire(&[], holder(&runs[0])).await.expect("nobody is here");

    // Both know the same journal, and neither knows of the other.
    let ours = first.plan(rollout("r1", Vec::new()), &Takeover::default(), &lease).await;
    let theirs = second.plan(rollout("r2", Vec::new()), &Takeover::default(), &lease).await;
    assert_eq!(ours.map(|stands| stands.map(|progress| progress.rollout().id.to_string())), Ok(Some("r1".to_string())));
    assert!(matches!(theirs, Ok(None)), "{theirs:?}");
    let known = |shard: &Replica<'_>| shard.history().rollouts().map(|it| it.rollout().id.to_string()).collect::<Vec<_>>();
    assert_eq!((known(&first), known(&second)), (vec!["r1".to_string()], vec!["r1".to_string()]));
    assert_eq!(store.look(<[_]>::len), 1, "the other plan was never written");
}

fn came() -> Event {
    let by = crate::review::User("ann".into());
    Event::RunStarted { verb: crate::journal::Verb::Apply, commit: "c1".into(), by, pull_request: None }
}

#[tokio::test]
async fn who_only_came_is_no_reason_to_plan_anew() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let [first, second] = [0, 1].map(|nth| shard(&store, &runs[nth], &stop));
    let lease = store.acquire(&[], holder(&runs[0])).await.expect("nobody is here");
    second.announce(came(), &lease).await.expect("it is in memory");

    let stands = first.plan(rollout("r1", Vec::new()), &Takeover::default(), &lease).await;
    assert!(matches!(stands, Ok(Some(_))), "{stands:?}");
}

#[tokio::test]
async fn who_came_and_has_the_targets_is_left_to_plan_them() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let (first, second) = (shard(&store, &runs[0], &stop), alone(&store, &runs[1]));
    let nothing = store.acquire(&[], holder(&runs[0])).await.expect("nobody is here");
    let all = store.acquire(&["app@prod/a", "app@prod/b"].map(id), holder(&runs[1])).await.expect("nobody is here");
    assert_eq!(second.announce(came(), &all).await, Ok(false), "nobody wrote before");

    let stands = first.plan(rollout("r1", Vec::new()), &Takeover::default(), &nothing).await;
    assert!(matches!(stands, Ok(None)), "{stands:?}");
    let ours = second.plan(rollout("r2", Vec::new()), &Takeover::default(), &all).await;
    assert!(matches!(ours, Ok(Some(_))), "{ours:?}");
}

#[tokio::test]
async fn a_run_by_itself_reads_what_was_planned_until_it_said_that_it_came() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let (first, second) = (shard(&store, &runs[0], &stop), alone(&store, &runs[1]));
    let nothing = store.acquire(&[], holder(&runs[0])).await.expect("nobody is here");
    let all = store.acquire(&["app@prod/a", "app@prod/b"].map(id), holder(&runs[1])).await.expect("nobody is here");
    let stands = first.plan(rollout("r1", Vec::new()), &Takeover::default(), &nothing).await;
    assert!(matches!(stands, Ok(Some(_))), "nobody else has said a word: {stands:?}");

    assert_eq!(second.announce(came(), &all).await, Ok(true));
    let known: Vec<_> = second.history().rollouts().map(|it| it.rollout().id.to_string()).collect();
    assert_eq!(known, ["r1"]);
}

#[tokio::test]
async fn a_wave_with_several_gates_offers_its_first_target_once() {
    let (store, stop, run) = (MemoryStore::default(), Stop::default(), Arc::<str>::from("run-1"));
    let mut progress = Progress::new(rollout("r1", vec![gate(), gate()]));
    for target in ["app@prod/a", "app@prod/b"].map(id) {
        progress.record(&StepEvent::Finished { target, outcome: Outcome::Unchanged }, 7);
    }
    let lease = store.acquire(&[], holder(&run)).await.expect("nobody is here");
    let others = || -> Boxed<'_, Result<News, StoreError>> { Box::pin(async { Ok(News::default()) }) };
    let drive = Drive {
        engines: &Engines::new(Vec::new()),
        store: &store,
        lease: &lease,
        run: &run,
        parallel: 0,
        ask: &|_| Box::pin(async { Ok(()) }),
        signs: &|_| Box::pin(async { Ok(Signs { paused: None, held: BTreeMap::new(), decisions: 0, head: None }) }),
        now_ms: &|| 7,
        stop: &stop,
        patience: &|| Box::pin(stop.wait()),
        watch: &|_| (),
        sealed: &|_| (),
        bounds: Bounds { others: Some(&others), ..Bounds::default() },
    };
    let halt = drive.drive(&mut progress, &BTreeMap::new(), &|_, _| unreachable!("nothing begins"), &Known::default()).await;
    let Ok(Halt::NeedsLease(offered)) = halt else { panic!("{halt:?}") };
    assert_eq!(offered, [id("app@prod/a")]);
}

#[tokio::test]
async fn what_one_said_at_the_end_no_other_says_again_unless_something_happened() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let [first, second] = [0, 1].map(|nth| shard(&store, &runs[nth], &stop));
    let lease = store.acquire(&[], holder(&runs[0])).await.expect("nobody is here");
    let settled =
        |behind: &[&str]| Event::Settled { commit: "c1".into(), scope: None, behind: behind.iter().copied().map(id).collect() };

    assert_eq!(first.append_as_last(settled(&[]), &lease).await, Ok(true));
    assert_eq!(second.append_as_last(settled(&[]), &lease).await, Ok(false), "it knew nothing of that");
    assert_eq!(second.append_as_last(settled(&[]), &lease).await, Ok(true));
    assert_eq!(store.look(<[_]>::len), 1, "it is said once");

    second.announce(came(), &lease).await.expect("it is in memory");
    assert_eq!(second.append_as_last(settled(&[]), &lease).await, Ok(true), "who only came changes nothing");
    assert_eq!(second.append_as_last(settled(&["app@prod/a"]), &lease).await, Ok(true), "something else is said");
    assert_eq!(store.look(<[_]>::len), 3);
}
