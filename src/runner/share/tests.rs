//! Several shards on one journal, step by step: who is first, who must decide anew, and what each knows of the others.

use super::*;
use crate::change::Intent;
use crate::engine::Engines;
use crate::journal::History;
use crate::rollout::{Gate, Outcome, Planned, Pool, Rollout, Takeover, Wave};
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
    patient(store, run, stop, Duration::from_secs(1), || Duration::ZERO)
}

/// A shard that waits so long for others, by this clock.
fn patient<'a>(
    store: &'a MemoryStore,
    run: &'a Arc<str>,
    stop: &'a Stop,
    patience: Duration,
    elapsed: impl Fn() -> Duration + Send + Sync + 'a,
) -> Replica<'a> {
    let means = Means {
        holder: Box::new(|| holder(run)),
        not_released: Box::new(|error| panic!("{error}")),
        elapsed: Box::new(elapsed),
        sleep: Box::new(|_| Box::pin(async {})),
        stop,
    };
    let sharing = Sharing { shard: "1/1".parse().expect("a shard"), patience, parallel: 0 };
    let writer = Writer { store, run, now_ms: Box::new(|| 7), time: None };
    Replica::new(writer, History::default(), Some(Share::new(sharing, means)))
}

/// A run that takes everything for itself.
fn alone<'a>(store: &'a MemoryStore, run: &'a Arc<str>) -> Replica<'a> {
    let writer = Writer { store, run, now_ms: Box::new(|| 7), time: None };
    Replica::new(writer, History::default(), None)
}

async fn nothing(store: &MemoryStore, run: &Arc<str>) -> Leases {
    Leases::new(store.acquire(&[], holder(run)).await.expect("nothing is asked for"))
}

fn holder(run: &Arc<str>) -> Holder {
    Holder { run: run.clone(), host: "here".into(), pid: 1, since_ms: 0, job: None }
}

#[tokio::test]
async fn of_two_shards_that_plan_at_the_same_moment_one_plan_stands() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let [first, second] = [0, 1].map(|nth| shard(&store, &runs[nth], &stop));
    let leases = nothing(&store, &runs[0]).await;

    // Both know the same journal, and neither knows of the other.
    let ours = first.plan(rollout("r1", Vec::new()), &Takeover::default(), &leases).await;
    let theirs = second.plan(rollout("r2", Vec::new()), &Takeover::default(), &leases).await;
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
    let leases = nothing(&store, &runs[0]).await;
    second.announce(came(), &leases).await.expect("it is in memory");

    let stands = first.plan(rollout("r1", Vec::new()), &Takeover::default(), &leases).await;
    assert!(matches!(stands, Ok(Some(_))), "{stands:?}");
}

#[tokio::test]
async fn who_came_and_has_the_targets_is_left_to_plan_them() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let (first, second) = (shard(&store, &runs[0], &stop), alone(&store, &runs[1]));
    let nothing = nothing(&store, &runs[0]).await;
    let all =
        store.acquire(&["app@prod/a", "app@prod/b"].map(id), holder(&runs[1])).await.map(Leases::new).expect("nobody is here");
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
    let nothing = nothing(&store, &runs[0]).await;
    let all =
        store.acquire(&["app@prod/a", "app@prod/b"].map(id), holder(&runs[1])).await.map(Leases::new).expect("nobody is here");
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
    let leases = nothing(&store, &run).await;
    let others = |_: Look| -> Boxed<'_, Result<News, StoreError>> { Box::pin(async { Ok(News::default()) }) };
    let drive = Drive {
        engines: &Engines::new(Vec::new()),
        store: &store,
        leases: &leases,
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
    let halt = drive
        .drive(&mut progress, &mut Flight::default(), &BTreeMap::new(), &|_, _| unreachable!("nothing begins"), &Known::default())
        .await;
    let Ok(Halt::NeedsLease(offer)) = halt else { panic!("{halt:?}") };
    assert_eq!((offer.targets, offer.free), (vec![id("app@prod/a")], vec![id("app@prod/a")]));
}

#[tokio::test]
async fn what_one_said_at_the_end_no_other_says_again_unless_something_happened() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let [first, second] = [0, 1].map(|nth| shard(&store, &runs[nth], &stop));
    let leases = nothing(&store, &runs[0]).await;
    let settled =
        |behind: &[&str]| Event::Settled { commit: "c1".into(), scope: None, behind: behind.iter().copied().map(id).collect() };

    assert_eq!(first.append_as_last(settled(&[]), &leases).await, Ok(true));
    assert_eq!(second.append_as_last(settled(&[]), &leases).await, Ok(false), "it knew nothing of that");
    assert_eq!(second.append_as_last(settled(&[]), &leases).await, Ok(true));
    assert_eq!(store.look(<[_]>::len), 1, "it is said once");

    second.announce(came(), &leases).await.expect("it is in memory");
    assert_eq!(second.append_as_last(settled(&[]), &leases).await, Ok(true), "who only came changes nothing");
    assert_eq!(second.append_as_last(settled(&["app@prod/a"]), &leases).await, Ok(true), "something else is said");
    assert_eq!(store.look(<[_]>::len), 3);
}

#[tokio::test]
async fn a_start_that_was_not_read_back_may_be_in_flight_all_the_same() {
    let (store, stop, run) = (MemoryStore::default(), Stop::default(), Arc::<str>::from("run-1"));
    let shard = shard(&store, &run, &stop);
    let nothing = nothing(&store, &run).await;
    let leases = Leases::new(store.acquire(&[id("app@prod/a")], holder(&run)).await.expect("nobody is here"));
    let planned = Event::Planned { rollout: rollout("r1", Vec::new()) };
    let started = Event::Step { rollout: "r1".into(), step: StepEvent::Started { target: id("app@prod/a") } };
    store.append(vec![planned, started], &run, 7, Some(leases.newest())).await.expect("it is in memory");

    assert!(shard.may_have_in_flight(&leases), "it was written, and the look after it failed");
    assert!(!shard.may_have_in_flight(&nothing));
}

#[tokio::test]
async fn what_follows_from_the_whole_state_of_a_rollout_is_decided_anew_once_others_wrote() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let [first, second] = [0, 1].map(|nth| shard(&store, &runs[nth], &stop));
    let nothing = nothing(&store, &runs[0]).await;
    first.plan(rollout("r1", Vec::new()), &Takeover::default(), &nothing).await.expect("it is in memory");
    second.catch_up().await.expect("it is in memory");
    let leases = Leases::new(store.acquire(&[id("app@prod/a")], holder(&runs[1])).await.expect("nobody is here"));
    let brought = StepEvent::Finished { target: id("app@prod/a"), outcome: Outcome::Applied };
    second.append(vec![Event::Step { rollout: "r1".into(), step: brought }], &leases).await.expect("it is in memory");

    let ended = || vec![Event::Superseded { rollout: "r1".into(), commit: "c2".into() }];
    assert_eq!(first.decide(ended(), &nothing).await, Ok(false), "it read the rollout with nothing brought");
    let brought = first.history().rollout("r1").map(|progress| progress.outcome(&id("app@prod/a")).cloned());
    assert_eq!(brought, Some(Some(Outcome::Applied)), "and knows better now");
    assert_eq!(first.decide(ended(), &nothing).await, Ok(true));
}

#[tokio::test]
async fn who_only_comes_again_and_again_keeps_nobody_waiting() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let secs = std::sync::atomic::AtomicU64::new(0);
    let elapsed = || Duration::from_secs(secs.load(std::sync::atomic::Ordering::Relaxed));
    let (waits, comes) = (patient(&store, &runs[0], &stop, Duration::from_secs(900), elapsed), shard(&store, &runs[1], &stop));
    let leases = nothing(&store, &runs[1]).await;
    let mut ends = Vec::new();
    for at in [0, 600, 1_200] {
        secs.store(at, std::sync::atomic::Ordering::Relaxed);
        ends.push(waits.wait_for_others().await.expect("it is in memory"));
        comes.append(vec![came()], &leases).await.expect("it is in memory");
    }
    assert_eq!(ends, [true, true, false]);

    comes.plan(rollout("r1", Vec::new()), &Takeover::default(), &leases).await.expect("it is in memory");
    waits.catch_up().await.expect("it is in memory");
    assert_eq!(waits.wait_for_others().await, Ok(true), "somebody did something");
}

/// What a shard does with an offer, once it has asked who writes: the targets that it leases then, or nothing where it would wait.
async fn bites(
    shard: &Replica<'_>,
    leases: &mut Leases,
    progress: &mut Progress,
    targets: &[&str],
    free: &[&str],
) -> Option<Vec<TargetId>> {
    shard.asks_who_writes();
    shard.news("r1", false, Look::Newest).await.expect("it is in memory");
    let ids = |names: &[&str]| names.iter().copied().map(id).collect();
    let offer = Halt::NeedsLease(Offer { targets: ids(targets), free: ids(free) });
    match shard.turn(leases, progress, &mut Flight::default(), offer).await.expect("it is in memory") {
        ControlFlow::Continue(()) => Some(leases.targets().cloned().collect()),
        ControlFlow::Break(halt) => {
            assert!(matches!(halt, Halt::Others), "{halt:?}");
            None
        }
    }
}

#[tokio::test]
async fn a_bite_that_waits_for_a_place_is_exchanged_for_what_need_not_wait() {
    let (store, stop, run) = (MemoryStore::default(), Stop::default(), Arc::<str>::from("run-1"));
    let shard = patient(&store, &run, &stop, Duration::ZERO, || Duration::ZERO);
    let mut progress = Progress::new(rollout("r1", Vec::new()));
    let (one, two) = ("app@prod/a", "app@prod/b");
    let mut leases = nothing(&store, &run).await;
    leases.add(store.acquire(&[id(one)], holder(&run)).await.expect("nobody is here"));

    assert_eq!(bites(&shard, &mut leases, &mut progress, &[two], &[]).await, None, "that would wait as well");
    assert_eq!(bites(&shard, &mut leases, &mut progress, &[two], &[two]).await, Some(vec![id(two)]));
    assert_eq!(
        bites(&shard, &mut leases, &mut progress, &[one], &[one]).await,
        None,
        "not back again before somebody did something"
    );
    assert_eq!(bites(&shard, &mut leases, &mut progress, &[one], &[one]).await, Some(vec![id(one)]), "it had waited");
    let brought = StepEvent::Finished { target: id(one), outcome: Outcome::Applied };
    progress.record(&brought, 7);
    assert_eq!(bites(&shard, &mut leases, &mut progress, &[two], &[]).await, Some(vec![id(two)]), "nothing waits any more");
}

#[tokio::test]
async fn who_was_too_late_for_a_bite_takes_what_is_left_before_it_waits() {
    let (store, stop, runs) = (MemoryStore::default(), Stop::default(), ["run-1", "run-2"].map(Arc::<str>::from));
    let shard = patient(&store, &runs[0], &stop, Duration::ZERO, || Duration::ZERO);
    let mut progress = Progress::new(rollout("r1", Vec::new()));
    let (one, two) = ("app@prod/a", "app@prod/b");
    let mut leases = nothing(&store, &runs[0]).await;
    let _faster = store.acquire(&[id(one)], holder(&runs[1])).await.expect("nobody is here");

    assert_eq!(bites(&shard, &mut leases, &mut progress, &[one, two], &[one, two]).await, Some(Vec::new()), "it looks again");
    let others = shard.news("r1", false, Look::Newest).await.map(|news| news.elsewhere);
    assert_eq!(others, Ok(Arc::new(BTreeSet::from([id(one)]))), "and asks who has what");
    assert_eq!(bites(&shard, &mut leases, &mut progress, &[two], &[two]).await, Some(vec![id(two)]));

    let mut leases = nothing(&store, &runs[0]).await;
    assert_eq!(bites(&shard, &mut leases, &mut progress, &[one], &[one]).await, Some(Vec::new()));
    assert_eq!(bites(&shard, &mut leases, &mut progress, &[one], &[one]).await, None, "nothing else is there");
}

#[tokio::test]
async fn what_waits_for_a_slot_is_not_offered_as_free() {
    let (store, stop, run) = (MemoryStore::default(), Stop::default(), Arc::<str>::from("run-1"));
    let mut progress = Progress::new(rollout("r1", Vec::new()));
    let leases = nothing(&store, &run).await;
    // Somebody has a target of account one in flight, of another rollout, and there is one slot in each.
    let others = |_: Look| -> Boxed<'_, Result<News, StoreError>> {
        Box::pin(async { Ok(News { in_flight: vec![id("app@dev/a")], ..News::default() }) })
    };
    let account = |target: &TargetId| if target.region.as_str().ends_with('a') { "account one" } else { "account two" };
    let drive = Drive {
        engines: &Engines::new(Vec::new()),
        store: &store,
        leases: &leases,
        run: &run,
        parallel: 0,
        ask: &|_| Box::pin(async { Ok(()) }),
        signs: &|_| Box::pin(async { Ok(Signs { paused: None, held: BTreeMap::new(), decisions: 0, head: None }) }),
        now_ms: &|| 7,
        stop: &stop,
        patience: &|| Box::pin(stop.wait()),
        watch: &|_| (),
        sealed: &|_| (),
        bounds: Bounds {
            others: Some(&others),
            pools: &|target| vec![Pool { name: account(target).into(), slots: 1 }],
            ..Bounds::default()
        },
    };
    let halt = drive
        .drive(&mut progress, &mut Flight::default(), &BTreeMap::new(), &|_, _| unreachable!("nothing begins"), &Known::default())
        .await;
    let Ok(Halt::NeedsLease(offer)) = halt else { panic!("{halt:?}") };
    assert_eq!((offer.targets.len(), offer.free), (2, vec![id("app@prod/b")]));
}
