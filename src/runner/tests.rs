//! What is bounded, what runs at once, and what a stop ends: with an engine that answers when it is told to, or never.

use super::*;
use crate::change::{Action, Applied, Change, Detail, Digest, Extent, Intent, Outputs, Preview};
use crate::engine::{Boxed, Engine, Engines, Failure, Sources};
use crate::journal::{Entry, Event};
use crate::policy::{Answer, Facts, Past, Subject, judge};
use crate::review::{PullRequest, User};
use crate::rollout::{Ending, Now, Planned, Progress, Rollout, StepEvent, Takeover, Wave};
use crate::stack::{Mistakes, Node, Region, Resolved, Site, Stack, Target, Uses, Vars};
use crate::stop::Stop;
use crate::store::{FileStore, Holder, MemoryStore, Store as _, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Barrier;

mod ahead;
mod gates;

/// Long enough that a test which waits for it has failed.
const LONG: Duration = Duration::from_secs(30);

/// Every call for a stack named `stuck` never comes back, and its thread neither; outputs, and an apply of `slow`, come when all at the
/// barrier ask.
struct Doll {
    barrier: Arc<Barrier>,
}

impl Doll {
    fn engines(together: usize) -> Engines {
        Engines::new(vec![Arc::new(Self { barrier: Arc::new(Barrier::new(together)) })])
    }
}

async fn answer(job: &Job) {
    if job.target.id.stack.as_str() == "stuck" {
        let parked = tokio::task::spawn_blocking(|| std::thread::sleep(LONG));
        parked.await.expect("a thread that sleeps");
    }
}

impl Engine for Doll {
    fn name(&self) -> &'static str {
        "doll"
    }

    fn about(&self) -> &'static str {
        "answers when it is told to"
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    fn check(&self, _: &Stack, _: &Sources, _: &mut Mistakes, _: &mut Mistakes) {}

    fn reads(&self, _: &Stack) -> Vec<Arc<str>> {
        Vec::new()
    }

    fn uses(&self, _: &Stack, _: &Sources) -> Uses {
        Uses::default()
    }

    fn identity(&self, _: &Resolved) -> Option<String> {
        None
    }

    fn preview<'a>(&'a self, job: &'a Job) -> Boxed<'a, Result<Preview, Unseen>> {
        Box::pin(async move {
            answer(job).await;
            Ok(preview(&job.target.id))
        })
    }

    fn apply<'a>(&'a self, job: &'a Job, preview: &'a Preview) -> Boxed<'a, Result<Applied, Failure>> {
        Box::pin(async move {
            answer(job).await;
            if job.target.id.stack.as_str() == "slow" {
                self.barrier.wait().await;
            }
            Ok(Applied { target: job.target.id.clone(), changes: preview.marks(), outputs: Outputs::new() })
        })
    }

    fn outputs<'a>(&'a self, _: &'a Job) -> Boxed<'a, Result<Outputs, Failure>> {
        Box::pin(async move {
            self.barrier.wait().await;
            Ok(Outputs::new())
        })
    }
}

fn id(text: &str) -> TargetId {
    text.parse().expect("a target")
}

fn preview(target: &TargetId) -> Preview {
    let change = Change {
        address: "a.txt".into(),
        kind: "document".into(),
        action: Action::Create,
        before: None,
        after: Some(Digest::of_bytes(b"a")),
        detail: Detail::Hidden("nothing to see".into()),
        sensitive: false,
        bound: true,
        holes: Vec::new(),
    };
    Preview {
        target: target.clone(),
        engine: "doll".into(),
        intent: Intent::Converge,
        changes: vec![change],
        outputs: BTreeMap::new(),
        strays: Vec::new(),
        sides: Default::default(),
    }
}

fn job(target: &TargetId, _: &Known) -> Result<Job, Unseen> {
    let site = Site::new("stack.yaml", 1, 1);
    let section = Node::from_value(&serde_json::Value::Null, &site);
    let stack = Stack {
        name: target.stack.clone(),
        instance: None,
        dir: "".into(),
        site: site.clone(),
        regions: vec![target.region.clone()],
        depends_on: Vec::new(),
        was: Vec::new(),
        inputs: Vec::new(),
        sensitive: Vec::new(),
        outputs: BTreeMap::new(),
        watch: Vec::new(),
        labels: BTreeMap::new(),
        vars: Vars(None),
        engine: "doll".into(),
        section: section.clone(),
        unread: Default::default(),
    };
    let region = Region { id: target.region.clone(), cloud: None, labels: BTreeMap::new(), weight: 1, vars: Vars(None), site };
    let resolved = Resolved {
        inputs: BTreeMap::new(),
        vars: BTreeMap::new(),
        region: serde_json::Value::Null,
        section,
        outputs: BTreeMap::new(),
    };
    Ok(Job {
        target: Arc::new(Target { id: target.clone(), stack: Arc::new(stack), region: Arc::new(region) }),
        intent: Intent::Converge,
        resolved: Arc::new(resolved),
        secrets: Arc::default(),
        sources: Arc::default(),
        root: Arc::new("/".into()),
        was: Vec::new(),
        key: None,
        hands_over: false,
    })
}

/// Runs a story and leaves threads that sleep where they are.
fn run<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let ended = runtime.block_on(async { tokio::time::timeout(LONG / 2, story).await.expect("nothing waits for ever") });
    runtime.shutdown_background();
    ended
}

#[test]
fn a_preview_in_flight_is_cancelled_at_once_and_none_begins() {
    let (engines, stop) = (Doll::engines(1), Stop::default());
    let looks = Looks { engines: &engines, parallel: 2, stop: &stop };
    let level = ["quick@prod/a", "stuck@prod/a", "stuck@prod/b", "quick@prod/b"].map(id).to_vec();
    let watch = |moment: Moment<'_>| {
        if let Moment::Previewed(target) = moment
            && *target == id("quick@prod/a")
        {
            stop.ask(2); // the others are in flight, or not begun
        }
    };
    let answers = run(looks.preview(&[level], &mut Known::default(), &job, &watch));
    let seen: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map_or_else(|unseen| format!("{:?}", unseen.reason), |_| "seen".into()))
        .collect();
    assert_eq!(seen, ["seen", "Cancelled", "Cancelled", "Cancelled"]);
}

#[test]
fn outputs_are_asked_at_once_as_far_as_the_bound_allows() {
    let stop = Stop::default();
    let level = ["a@prod/a", "b@prod/a", "c@prod/a"].map(id).to_vec();
    let mut known = Known::default();
    let engines = Doll::engines(3);
    run(Looks { engines: &engines, parallel: 3, stop: &stop }.outputs(std::slice::from_ref(&level), &mut known, &job));
    assert_eq!(known.0.keys().cloned().collect::<Vec<_>>(), level);

    let (engines, mut known, levels) = (Doll::engines(3), Known::default(), [level]);
    let two = Looks { engines: &engines, parallel: 2, stop: &stop };
    let asked = async {
        tokio::select! {
            () = two.outputs(&levels, &mut known, &job) => false,
            () = tokio::time::sleep(Duration::from_millis(50)) => true,
        }
    };
    assert!(run(asked), "three meet at the barrier, and only two may ask");
}

#[test]
fn what_does_not_come_back_in_time_is_given_up_and_what_did_is_recorded() {
    let (stuck, quick) = (id("stuck@prod/a"), id("quick@prod/a"));
    let dir = crate::scratch::dir();
    let store = FileStore::open(dir.path().join("journal")).expect("a journal");
    let (engines, stop, run_id) = (Doll::engines(1), Stop::default(), Arc::from("run-1"));
    let mut progress = Progress::new(rollout(&[stuck.clone(), quick.clone()]));
    let clearances: Vec<_> = [&stuck, &quick].map(clearance).into();

    let halt = run(async {
        let holder = Holder { run: "run-1".into(), host: "here".into(), pid: 1, since_ms: 0, job: None };
        let leases = Leases::new(store.acquire(&[stuck.clone(), quick.clone()], holder).await.expect("nobody else is here"));
        let drive = Drive {
            engines: &engines,
            store: &store,
            leases: &leases,
            run: &run_id,
            parallel: 0,
            ask: &|_| Box::pin(async { Ok(()) }),
            signs: &|_| Box::pin(async { Ok(Signs { paused: None, held: BTreeMap::new(), decisions: 0, head: None }) }),
            now_ms: &|| 7,
            stop: &stop,
            patience: &|| Box::pin(stop.wait_out(Duration::from_millis(30))),
            watch: &|moment| {
                if let Moment::Finished(..) = moment {
                    stop.ask(15);
                }
            },
            sealed: &|_| (),
            bounds: Bounds::default(),
        };
        let ready =
            [&stuck, &quick].map(|target| (target.clone(), Ready { preview: Arc::new(preview(target)), commit: "c1".into() }));
        let first = drive.drive(&mut progress, &mut Flight::default(), &BTreeMap::new(), &job, &Known::default()).await;
        assert!(matches!(first, Ok(Halt::NeedsClearance(_))), "{first:?}");
        progress.clear(clearances);
        drive.drive(&mut progress, &mut Flight::default(), &ready.into(), &job, &Known::default()).await
    });
    assert!(matches!(halt, Ok(Halt::GivenUp)), "{halt:?}");
    assert_eq!((progress.outcome(&quick), progress.outcome(&stuck)), (Some(&Outcome::Applied), None));
    assert!(progress.is_in_flight(&stuck) && !progress.is_in_flight(&quick));
    let history = run(store.history()).expect("the journal is whole");
    let unknown = crate::journal::State::Unknown { since_ms: 7 };
    assert_eq!(history.target(&stuck).map(|record| &record.state), Some(&unknown));
}

/// Drives a rollout of one target, which is planned and cleared, on `store`, as far as `decisions` and `others` let it.
fn drive_one<'a>(store: &'a MemoryStore, decisions: usize, others: Option<&'a Ask<'a>>) -> Result<Halt, StoreError> {
    drive_in_line(store, &[id("quick@prod/a")], decisions, others)
}

/// The same with several targets, one at a time.
fn drive_in_line<'a>(
    store: &'a MemoryStore,
    targets: &[TargetId],
    decisions: usize,
    others: Option<&'a Ask<'a>>,
) -> Result<Halt, StoreError> {
    drive_side_by_side(store, targets, (1, &Doll::engines(1)), decisions, others)
}

/// The same with several at once, by these engines.
fn drive_side_by_side<'a>(
    store: &'a MemoryStore,
    targets: &[TargetId],
    (parallel, engines): (usize, &Engines),
    decisions: usize,
    others: Option<&'a Ask<'a>>,
) -> Result<Halt, StoreError> {
    let (stop, run_id) = (Stop::default(), Arc::from("run-1"));
    let mut progress = Progress::new(rollout(targets));
    progress.next(&Now::at(7));
    progress.clear(targets.iter().map(clearance).collect());
    run(async {
        let holder = Holder { run: "run-1".into(), host: "here".into(), pid: 1, since_ms: 0, job: None };
        let leases = Leases::new(store.acquire(targets, holder).await.expect("nobody else is here"));
        let others = others.map(|others| |look: Look| -> crate::store::Boxed<'_, _> { others(look) }); // for as long as the rest of what is lent
        let drive = Drive {
            engines,
            store,
            leases: &leases,
            run: &run_id,
            parallel,
            ask: &|_| Box::pin(async { Ok(()) }),
            signs: &|_| Box::pin(async move { Ok(Signs { paused: None, held: BTreeMap::new(), decisions, head: None }) }),
            now_ms: &|| 7,
            stop: &stop,
            patience: &|| Box::pin(stop.wait()),
            watch: &|_| (),
            sealed: &|_| (),
            bounds: Bounds { others: others.as_ref().map(|others| others as &Ask<'_>), ..Bounds::default() },
        };
        let ready = |target: &TargetId| (target.clone(), Ready { preview: Arc::new(preview(target)), commit: "c1".into() });
        let ready = targets.iter().map(ready).collect();
        drive.drive(&mut progress, &mut Flight::default(), &ready, &job, &Known::default()).await
    })
}

#[test]
fn a_rollout_that_somebody_resumed_meanwhile_starts_nothing_by_what_was_known_before() {
    let store = MemoryStore::default();
    let halt = drive_one(&store, 1, None);
    assert!(matches!(halt, Ok(Halt::Resumed)), "{halt:?}");
    assert_eq!(store.look(<[_]>::len), 0, "nothing was started and nothing is told");
}

#[test]
fn nothing_begins_in_the_place_of_what_arrived_once_somebody_paused() {
    let targets = [id("first@prod/a"), id("second@prod/a")];
    let (store, asked) = (MemoryStore::default(), AtomicUsize::new(0));
    let (engines, stop, run_id) = (Doll::engines(1), Stop::default(), Arc::from("run-1"));
    let mut plan = rollout(&targets);
    plan.waves[0].max_parallel = 1;
    let mut progress = Progress::new(plan);
    progress.next(&Now::at(7));
    progress.clear(targets.each_ref().map(clearance).into());
    // Right after we looked with the first in flight, somebody pauses; the journal tells with the first outcome.
    let signs = || async {
        let head = store.look(|entries| entries.last().map(|entry| (entry.seq, entry.hash.clone())));
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        if nth == 2 {
            let pause = Event::Paused { by: User("ann".into()), reason: "lunch".into() };
            store.append(vec![pause], &Arc::from("run-2"), 7, None).await?;
        }
        let paused = (nth > 2).then(|| "lunch".to_string());
        Ok(Signs { paused, held: BTreeMap::new(), decisions: 0, head })
    };

    let halt = run(async {
        let holder = Holder { run: "run-1".into(), host: "here".into(), pid: 1, since_ms: 0, job: None };
        let leases = Leases::new(store.acquire(&targets, holder).await.expect("nobody else is here"));
        let drive = Drive {
            engines: &engines,
            store: &store,
            leases: &leases,
            run: &run_id,
            parallel: 0,
            ask: &|_| Box::pin(async { Ok(()) }),
            signs: &|_| Box::pin(signs()),
            now_ms: &|| 7,
            stop: &stop,
            patience: &|| Box::pin(stop.wait()),
            watch: &|_| (),
            sealed: &|_| (),
            bounds: Bounds::default(),
        };
        let ready =
            targets.each_ref().map(|target| (target.clone(), Ready { preview: Arc::new(preview(target)), commit: "c1".into() }));
        drive.drive(&mut progress, &mut Flight::default(), &ready.into(), &job, &Known::default()).await
    });
    assert!(matches!(&halt, Ok(Halt::Paused(why)) if why == "lunch"), "{halt:?}");
    let [first, second] = &targets;
    assert_eq!((progress.outcome(first), progress.outcome(second)), (Some(&Outcome::Applied), None));
    assert!(!progress.is_in_flight(second));
}

#[test]
fn what_fits_into_the_time_that_is_left_takes_the_place_of_what_no_longer_does() {
    let (long, quick) = (id("long@prod/a"), id("quick@prod/a"));
    let store = MemoryStore::default();
    let (engines, stop, run_id) = (Doll::engines(1), Stop::default(), Arc::from("run-1"));
    let mut plan = rollout(&[long.clone(), quick.clone()]);
    plan.waves[0].max_parallel = 1;
    let mut progress = Progress::new(plan);
    progress.next(&Now::at(7));
    progress.clear([&long, &quick].map(clearance).into());

    let halt = run(async {
        let holder = Holder { run: "run-1".into(), host: "here".into(), pid: 1, since_ms: 0, job: None };
        let leases = Leases::new(store.acquire(&[long.clone(), quick.clone()], holder).await.expect("nobody else is here"));
        let drive = Drive {
            engines: &engines,
            store: &store,
            leases: &leases,
            run: &run_id,
            parallel: 0,
            ask: &|_| Box::pin(async { Ok(()) }),
            signs: &|_| Box::pin(async { Ok(Signs { paused: None, held: BTreeMap::new(), decisions: 0, head: None }) }),
            now_ms: &|| 7,
            stop: &stop,
            patience: &|| Box::pin(stop.wait()),
            watch: &|_| (),
            sealed: &|_| (),
            bounds: Bounds { fits: &|target, _| *target != id("long@prod/a"), ..Bounds::default() },
        };
        let ready = BTreeMap::from([(quick.clone(), Ready { preview: Arc::new(preview(&quick)), commit: "c1".into() })]);
        drive.drive(&mut progress, &mut Flight::default(), &ready, &job, &Known::default()).await
    });
    assert!(matches!(halt, Ok(Halt::Late)), "{halt:?}");
    assert_eq!((progress.outcome(&quick), progress.outcome(&long)), (Some(&Outcome::Applied), None));
}

/// The steps of the whole journal, and its newest entry.
async fn all_news(store: &MemoryStore) -> News {
    let entries = store.read().await.expect("it is in memory");
    let head = entries.last().map(|entry| (entry.seq, entry.hash.clone()));
    let step = |entry: crate::journal::Entry| match entry.event {
        Event::Step { step, .. } => Some((step, entry.at_ms)),
        Event::Applied { .. } => None,
        other => panic!("nobody wrote {other:?}"),
    };
    News { steps: entries.into_iter().filter_map(step).collect(), head, ..News::default() }
}

#[test]
fn a_start_that_was_decided_before_others_stopped_the_rollout_is_not_made() {
    let (store, asked) = (MemoryStore::default(), AtomicUsize::new(0));
    // Right after we looked for the first time, somebody else sees the failure that is one too many.
    let others = |_: Look| -> crate::store::Boxed<'_, Result<News, StoreError>> {
        Box::pin(async {
            let news = all_news(&store).await;
            if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                let stopped = Event::Step { rollout: "r1".into(), step: StepEvent::Stopped { why: "1 failed".into() } };
                store.append(vec![stopped], &Arc::from("run-2"), 7, None).await?;
            }
            Ok(news)
        })
    };
    let halt = drive_one(&store, 0, Some(&others));
    assert!(matches!(halt, Ok(Halt::Over(Ending::Stopped(_)))), "{halt:?}");
    assert_eq!(store.look(<[_]>::len), 1, "nothing was started");
}

/// When the first has arrived, and we decide on what was known to start the second, somebody stops the rollout.
#[test]
fn what_is_decided_on_what_was_known_is_decided_anew_where_others_wrote_since() {
    let targets = [id("first@prod/a"), id("second@prod/a")];
    let (store, asked) = (MemoryStore::default(), tokio::sync::Mutex::new(Vec::new()));
    let others = |look: Look| -> crate::store::Boxed<'_, Result<News, StoreError>> {
        let (asked, store) = (&asked, &store);
        Box::pin(async move {
            let told = all_news(store).await;
            let mut asked = asked.lock().await;
            asked.push(look);
            if asked.len() == 2 {
                let stopped = Event::Step { rollout: "r1".into(), step: StepEvent::Stopped { why: "1 failed".into() } };
                store.append(vec![stopped], &Arc::from("run-2"), 7, None).await?;
            }
            Ok(told)
        })
    };
    let halt = drive_in_line(&store, &targets, 0, Some(&others));
    assert!(matches!(halt, Ok(Halt::Over(Ending::Stopped(_)))), "{halt:?}");
    let begun = |entry: &Entry| matches!(&entry.event, Event::Step { step: StepEvent::Started { .. }, .. });
    assert_eq!(store.look(|entries| entries.iter().filter(|entry| begun(entry)).count()), 1, "the second was not started");
    assert_eq!(asked.into_inner(), [Look::Newest, Look::Known, Look::Newest]);
}

#[test]
fn what_arrived_is_journalled_though_nobody_can_read_what_others_did() {
    let (store, asked) = (MemoryStore::default(), AtomicUsize::new(0));
    let others = |_: Look| -> crate::store::Boxed<'_, Result<News, StoreError>> {
        Box::pin(async {
            let news = all_news(&store).await;
            match asked.fetch_add(1, Ordering::Relaxed) {
                0..=2 => Ok(news),
                _ => Err(StoreError::Io { what: "no network".into(), hint: None }),
            }
        })
    };
    let failed = drive_one(&store, 0, Some(&others));
    assert!(matches!(&failed, Err(StoreError::Io { what, .. }) if what == "no network"), "{failed:?}");
    let is_outcome = |entry: &Entry| matches!(&entry.event, Event::Step { step: StepEvent::Finished { .. }, .. });
    assert!(store.look(|entries| entries.iter().any(is_outcome)), "its outcome was known");
}

#[test]
fn who_is_told_to_be_fenced_while_the_rest_comes_to_its_end_drops_the_rest() {
    let (store, targets) = (MemoryStore::default(), ["quick@prod/a", "slow@prod/a", "stuck@prod/a"].map(id));
    let away = StoreError::Io { what: "no network".into(), hint: None };
    store.foretell([Ok(()), Err(away.clone()), Err(StoreError::Fenced(targets[1].clone()))]);
    let barrier = Arc::new(Barrier::new(2));
    let engines = Engines::new(vec![Arc::new(Doll { barrier: barrier.clone() })]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            run(async {
                while store.foretold() > 1 {
                    tokio::task::yield_now().await; // the quick one cannot be journalled
                }
                barrier.wait().await;
            });
        });
        assert_eq!(drive_side_by_side(&store, &targets, (3, &engines), 0, None).err(), Some(away));
    });
    assert_eq!(store.foretold(), 0, "it was told, and waited for the stuck one no more");
}

fn rollout(targets: &[TargetId]) -> Rollout {
    let planned = |target: &TargetId| Planned { target: target.clone(), intent: Intent::Converge, after: Vec::new() };
    let wave = Wave {
        name: "prod".into(),
        environment: "prod".into(),
        after: Vec::new(),
        targets: targets.iter().map(planned).collect(),
        max_parallel: 2,
        failure_tolerance: 0,
        gates: Vec::new(),
        bake_secs: 0,
        progress_deadline_secs: None,
        unproven: false,
    };
    Rollout { id: "r1".into(), commit: "c1".into(), waves: vec![wave], whole: None, beside: None }
}

/// Policy's own word, with nothing declared on a laptop.
fn clearance(target: &TargetId) -> crate::policy::Clearance {
    let seen = preview(target);
    let subject = Subject {
        preview: &seen,
        stacks: BTreeSet::from([target.stack.clone()]),
        clouds: BTreeSet::new(),
        labels: BTreeSet::new(),
        owned_by: Vec::new(),
        direct: None,
        past: Past::default(),
    };
    let nobody = User("nobody".into());
    let verdicts = judge(&Facts {
        policy: None,
        teams: &BTreeMap::new(),
        pull_request: &PullRequest { number: None, title: String::new(), committers: Vec::new(), author: nobody },
        approvals: &[],
        subjects: vec![subject],
        planned: Extent::default(),
        now_ms: 7,
    });
    match verdicts.into_iter().next().map(|verdict| verdict.answer) {
        Some(Answer::Clear(clearance)) => clearance,
        other => panic!("{other:?}"),
    }
}
