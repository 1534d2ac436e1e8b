//! A gate that takes long, while people say something about its rollout.

use super::*;
use crate::journal::History;
use crate::rollout::Gate;
use crate::store::Append;

/// Drives a rollout whose only target has failed, as its wave tolerates, and whose gate says yes. `meanwhile` is said while it is asked for
/// the first time. Returns why the drive came back, and how often the gate was asked.
fn drive_to_a_gate(store: &MemoryStore, meanwhile: Vec<Event>) -> (Halt, usize) {
    let quick = id("quick@prod/a");
    let run_id = Arc::from("run-1");
    let mut plan = rollout(std::slice::from_ref(&quick));
    plan.waves[0].failure_tolerance = 1;
    plan.waves[0].gates = vec![Gate::Command { argv: vec!["smoke".into()], timeout_secs: 1, commit: None }];
    let planned = Event::Planned { rollout: plan };
    let failed = StepEvent::Finished { target: quick.clone(), outcome: Outcome::Failed("no quota".into()) };
    let failed = Event::Step { rollout: "r1".into(), step: failed };
    let (engines, stop, asked) = (Doll::engines(1), Stop::default(), AtomicUsize::new(0));

    let halt = run(async {
        let holder = Holder { run: "run-1".into(), host: "here".into(), pid: 1, since_ms: 0, job: None };
        let leases = Leases::new(store.acquire(std::slice::from_ref(&quick), holder).await.expect("nobody else is here"));
        let begun = Append { events: vec![planned, failed], run: &run_id, at_ms: 7, lease: Some(leases.newest()), after: None };
        store.write(begun).await.expect("it is in memory");
        let writer = Writer { store, run: &run_id, now_ms: Box::new(|| 7), time: None };
        let history: History = store.history().await.expect("it is in memory");
        let replica = Replica::new(writer, history, None);
        let mut progress = replica.anew("r1").expect("it is planned");
        let said = std::sync::Mutex::new(meanwhile);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            let said = std::mem::take(&mut *said.lock().expect("nobody panics"));
            if !said.is_empty() {
                store.append(said, &Arc::from("run-2"), 7, None).await.expect("it is in memory");
            }
            Ok(())
        };
        let signs = || {
            let history = replica.history();
            let head = history.head().map(|(seq, hash)| (seq, hash.clone()));
            let decisions = history.rollout("r1").map_or(0, Progress::decisions);
            Signs { paused: None, held: BTreeMap::new(), decisions, head }
        };
        let drive = Drive {
            engines: &engines,
            store,
            leases: &leases,
            run: &run_id,
            parallel: 0,
            ask: &|_| Box::pin(ask()),
            signs: &|_| Box::pin(async { Ok(signs()) }),
            now_ms: &|| 7,
            stop: &stop,
            patience: &|| Box::pin(stop.wait()),
            watch: &|_| (),
            sealed: &|entries| replica.sealed(entries),
            bounds: Bounds::default(),
        };
        drive
            .drive(&mut progress, &mut Flight::default(), &BTreeMap::new(), &job, &Known::default())
            .await
            .expect("it is in memory")
    });
    (halt, asked.into_inner())
}

fn answers(store: &MemoryStore) -> usize {
    let is_answer = |entry: &&Entry| matches!(&entry.event, Event::Step { step: StepEvent::GatePassed { .. }, .. });
    store.look(|entries| entries.iter().filter(is_answer).count())
}

#[test]
fn what_a_gate_said_before_somebody_said_go_on_counts_for_nothing() {
    let store = MemoryStore::default();
    let resumed = Event::Step { rollout: "r1".into(), step: StepEvent::Resumed };
    let (halt, _) = drive_to_a_gate(&store, vec![resumed]);
    assert!(matches!(halt, Halt::Resumed), "{halt:?}");
    assert_eq!(answers(&store), 0, "it was asked before its target is tried again");
}

#[test]
fn whatever_else_is_said_while_a_gate_is_asked_leaves_its_answer_what_it_is() {
    let store = MemoryStore::default();
    let held = Event::Held {
        region: "prod/b".parse().expect("a region"),
        until_ms: None,
        reason: "works".into(),
        by: User("ann".into()),
    };
    let elsewhere = Event::Step { rollout: "r2".into(), step: StepEvent::Resumed };
    let (halt, asked) = drive_to_a_gate(&store, vec![held, elsewhere]);
    assert!(matches!(halt, Halt::Over(Ending::Complete)), "{halt:?}");
    assert_eq!((asked, answers(&store)), (1, 1));
}
