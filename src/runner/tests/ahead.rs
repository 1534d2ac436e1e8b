//! A shard that gets its next targets ready while its last one is in flight.

use super::*;
use crate::journal::History;
use crate::store::Boxed;
use std::ops::ControlFlow;

const TARGETS: [&str; 2] = ["slow@prod/a", "quick@prod/a"];

/// One shard, one target at a time. The first is in flight as long as nobody meets it at the barrier.
struct Story<'a> {
    store: &'a MemoryStore,
    engines: Engines,
    barrier: Arc<Barrier>,
    replica: Replica<'a>,
    leases: Leases,
    progress: Progress,
    flying: Flight,
    stop: &'a Stop,
    run: &'a Arc<str>,
    /// Targets in flight at most, though there is a place for one only.
    parallel: usize,
    /// The journal cannot be read.
    is_blind: bool,
}

fn blind() -> StoreError {
    StoreError::Io { what: "the disk is away".into(), hint: None }
}

fn holder() -> Holder {
    Holder { run: "run-1".into(), host: "here".into(), pid: 1, since_ms: 0, job: None }
}

impl<'a> Story<'a> {
    /// The first target is leased, cleared and in flight, and the wave has no place for another.
    async fn begin(store: &'a MemoryStore, run: &'a Arc<str>, stop: &'a Stop, parallel: usize) -> Self {
        Self::begin_in(1, store, run, stop, parallel).await
    }

    /// The same in a wave of so many places.
    async fn begin_in(places: usize, store: &'a MemoryStore, run: &'a Arc<str>, stop: &'a Stop, parallel: usize) -> Self {
        let barrier = Arc::new(Barrier::new(2));
        let engines = Engines::new(vec![Arc::new(Doll { barrier: barrier.clone() })]);
        let means = Means {
            holder: Box::new(holder),
            not_released: Box::new(|error| panic!("{error}")),
            elapsed: Box::new(|| Duration::ZERO),
            sleep: Box::new(|_| panic!("nobody sleeps while something is in flight")),
            stop,
        };
        let sharing = Sharing { shard: "1/1".parse().expect("a shard"), patience: LONG, parallel };
        let writer = Writer { store, run, now_ms: Box::new(|| 7), time: None };
        let replica = Replica::new(writer, History::default(), Some(Share::new(sharing, means)));
        let mut leases = Leases::new(store.acquire(&[], holder()).await.expect("nothing is asked for"));
        let mut plan = rollout(&TARGETS.map(id));
        plan.waves[0].max_parallel = places;
        let progress =
            replica.plan(plan, &Takeover::default(), &leases).await.expect("it is in memory").expect("nobody else plans");
        leases.add(store.acquire(&[id(TARGETS[0])], holder()).await.expect("nobody else is here"));
        let (flying, is_blind) = (Flight::default(), false);
        let mut story = Self { store, engines, barrier, replica, leases, progress, flying, stop, run, parallel, is_blind };
        let asked = story.drive().await;
        assert!(matches!(&asked, Ok(Halt::NeedsClearance(asked)) if *asked == [id(TARGETS[0])]), "{asked:?}");
        story.progress.clear(vec![clearance(&id(TARGETS[0]))]);
        story
    }

    async fn drive(&mut self) -> Result<Halt, StoreError> {
        self.do_beside(None).await.map(|halt| halt.expect("it was driven"))
    }

    /// Does `work` beside what is in flight; without any it is driven.
    async fn do_beside(&mut self, work: Option<Boxed<'_, ()>>) -> Result<Option<Halt>, StoreError> {
        let replica = &self.replica;
        let is_blind = self.is_blind;
        let others = |look: Look| -> Boxed<'_, Result<News, StoreError>> {
            Box::pin(async move { if is_blind { Err(blind()) } else { replica.news("r1", false, look).await } })
        };
        let drive = Drive {
            engines: &self.engines,
            store: self.store,
            leases: &self.leases,
            run: self.run,
            parallel: self.parallel,
            ask: &|_| Box::pin(async { Ok(()) }),
            signs: &|_| Box::pin(async { Ok(Signs { paused: None, held: BTreeMap::new(), decisions: 0, head: None }) }),
            now_ms: &|| 7,
            stop: self.stop,
            patience: &|| Box::pin(self.stop.wait()),
            watch: &|_| (),
            sealed: &|_| (),
            bounds: Bounds { others: Some(&others), ..Bounds::default() },
        };
        if let Some(work) = work {
            return drive.meanwhile(work, &"r1".into(), &mut self.flying).await.map(|()| None);
        }
        let ready = |target: TargetId| {
            let preview = Arc::new(preview(&target));
            (target, Ready { preview, commit: "c1".into() })
        };
        let ready = TARGETS.map(id).map(ready).into();
        drive.drive(&mut self.progress, &mut self.flying, &ready, &job, &Known::default()).await.map(Some)
    }

    /// Asks for the next bite, once it knows who writes.
    async fn ask_for_a_bite(&mut self) -> Halt {
        let halt = self.drive().await.expect("it is in memory");
        self.turn(halt).await;
        let halt = self.drive().await.expect("it is in memory");
        assert!(matches!(&halt, Halt::NeedsLease(offer) if offer.targets == [id(TARGETS[1])]), "{halt:?}");
        assert!(self.flying.has(&id(TARGETS[0])), "it is in flight");
        halt
    }

    /// Is driven while the first target lands.
    async fn land(&mut self) -> Result<Halt, StoreError> {
        let barrier = self.barrier.clone();
        tokio::join!(self.drive(), barrier.wait()).0
    }

    /// Has the second target leased and cleared while the first is in flight.
    async fn get_ready(&mut self) {
        let halt = self.ask_for_a_bite().await;
        self.turn(halt).await;
        assert!(TARGETS.map(id).iter().all(|target| self.leases.covers(target)), "what is in flight stays leased");
        let asked = self.drive().await;
        assert!(matches!(&asked, Ok(Halt::NeedsClearance(asked)) if *asked == [id(TARGETS[1])]), "{asked:?}");
        assert_eq!(self.steps(), ["slow begins"]);
        self.progress.clear(vec![clearance(&id(TARGETS[1]))]);
    }

    async fn turn(&mut self, halt: Halt) {
        let turned = self.replica.turn(&mut self.leases, &mut self.progress, &mut self.flying, halt).await;
        assert!(matches!(turned, Ok(ControlFlow::Continue(()))), "{turned:?}");
    }

    fn steps(&self) -> Vec<String> {
        steps(self.store)
    }
}

fn steps(store: &MemoryStore) -> Vec<String> {
    let step = |entry: &Entry| match &entry.event {
        Event::Step { step: StepEvent::Started { target }, .. } => Some(format!("{} begins", target.stack)),
        Event::Step { step: StepEvent::Finished { target, .. }, .. } => Some(format!("{} ends", target.stack)),
        _ => None,
    };
    store.look(|entries| entries.iter().filter_map(step).collect())
}

#[test]
fn the_next_bite_is_leased_and_cleared_before_the_last_target_lands() {
    for parallel in [1, 2] {
        let (store, stop, run_id) = (MemoryStore::default(), Stop::default(), Arc::from("run-1"));
        run(async {
            let mut story = Story::begin(&store, &run_id, &stop, parallel).await;
            story.get_ready().await;
            let halt = story.land().await;
            assert!(matches!(halt, Ok(Halt::Over(Ending::Complete))), "{halt:?}");
            assert_eq!(story.steps(), ["slow begins", "slow ends", "quick begins", "quick ends"]);
            story.replica.let_go(&mut story.leases, &mut story.progress).await;
            assert_eq!(store.holders().await, Ok(Vec::new()), "both leases were given back");
        });
    }
}

#[test]
fn what_lands_while_the_next_bite_is_cleared_is_told_at_once() {
    let (store, stop, run_id) = (MemoryStore::default(), Stop::default(), Arc::from("run-1"));
    run(async {
        let mut story = Story::begin(&store, &run_id, &stop, 1).await;
        let halt = story.ask_for_a_bite().await;
        story.turn(halt).await;
        let barrier = story.barrier.clone();
        let clears = async {
            barrier.wait().await;
            while steps(&store).len() < 2 {
                tokio::task::yield_now().await; // a preview may take minutes
            }
        };
        let done = story.do_beside(Some(Box::pin(clears))).await;
        assert!(matches!(done, Ok(None)), "{done:?}");
        assert_eq!(story.steps(), ["slow begins", "slow ends"]);
        assert!(story.flying.is_empty());
    });
}

#[test]
fn who_is_too_late_for_a_bite_waits_for_nothing_but_what_is_in_flight() {
    let (store, stop, run_id) = (MemoryStore::default(), Stop::default(), Arc::from("run-1"));
    run(async {
        let mut story = Story::begin(&store, &run_id, &stop, 1).await;
        let other = Holder { run: "run-2".into(), ..holder() };
        let halt = story.ask_for_a_bite().await;
        let theirs = store.acquire(&[id(TARGETS[1])], other).await.expect("nobody has it");
        story.turn(halt).await;

        let halt = story.land().await;
        assert!(matches!(halt, Ok(Halt::Others)), "{halt:?}");
        assert_eq!(story.steps(), ["slow begins", "slow ends"]);
        store.release(theirs).await.expect("it was theirs");
    });
}

#[test]
fn what_is_in_flight_when_the_journal_cannot_be_read_comes_to_its_end() {
    let (store, stop, run_id) = (MemoryStore::default(), Stop::default(), Arc::from("run-1"));
    run(async {
        let mut story = Story::begin(&store, &run_id, &stop, 1).await;
        let halt = story.ask_for_a_bite().await;
        story.turn(halt).await;
        story.is_blind = true;
        assert_eq!(story.land().await.err(), Some(blind()));
        assert_eq!(story.steps(), ["slow begins", "slow ends"], "it was neither stopped nor left unknown");
    });
}

#[test]
fn what_is_in_flight_when_the_journal_cannot_be_written_comes_to_its_end_unless_the_lease_is_gone() {
    let fenced = StoreError::Fenced(id(TARGETS[1]));
    for (refusal, told) in [(blind(), ["slow begins", "slow ends"].as_slice()), (fenced, &["slow begins"])] {
        let (store, stop, run_id) = (MemoryStore::default(), Stop::default(), Arc::from("run-1"));
        run(async {
            let mut story = Story::begin_in(2, &store, &run_id, &stop, 2).await;
            story.get_ready().await;
            store.foretell([Err(refusal.clone())]);
            let barrier = story.barrier.clone();
            let error = {
                let mut driven = std::pin::pin!(story.drive());
                tokio::select! {
                    biased;
                    halt = &mut driven => halt.err(),
                    _ = barrier.wait() => driven.await.err(),
                }
            };
            assert_eq!(error, Some(refusal));
            assert_eq!(story.steps(), told);
            assert!(story.flying.is_empty());
        });
    }
}
