//! Two writers on each real store, in orders that chance and the machine make: what the [model](super::model) says, done. Both are
//! processes that may die at any time, with pages on their way; answers are lost, and leases taken away on a word that is wrong.

use super::places::{Place, in_file, in_git, in_google};
use super::{Holder, Lease, Store, StoreError};
use crate::journal::{Entry, Event};
use crate::review::User;
use crate::rollout::{Outcome, StepEvent};
use crate::stack::TargetId;
use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Stories of two writers on each store in which, nearly always, everything comes about that must be met.
const STORIES: [usize; 2] = [0, 1];
/// Others that follow until all of it has, since the machine has a say as well; `ISOBAR_LEASES` says how many stories in any case.
const MORE_MAX: usize = 64;
/// Stories on one journal: a few, because whoever takes a lease away turns every page of a bucket.
const STORIES_AT_ONE: usize = 8;
/// Processes that a writer is, one after the other.
const LIVES: usize = 3;
/// An answer is waited for at least so long, before it is given up.
const WAIT_MAX_US: u64 = 4_000;

/// A number that is as good as any other.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Lets others go first, or not.
    async fn pause(&mut self) {
        match self.below(4) {
            0 => tokio::time::sleep(Duration::from_micros(self.below(WAIT_MAX_US))).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

/// What came about.
#[derive(Debug, Default)]
struct Told {
    engines: usize,
    refused: usize,
    fenced: usize,
    answers_lost: usize,
    deaths: usize,
    taken_away: usize,
}

impl Told {
    /// What leases are for: somebody was refused, a writer whose lease was gone was stopped, and one died.
    fn has_all(&self) -> bool {
        self.engines > 0 && self.refused > 0 && self.fenced > 0 && self.deaths > self.fenced
    }
}

impl AddAssign for Told {
    fn add_assign(&mut self, other: Self) {
        self.engines += other.engines;
        self.refused += other.refused;
        self.fenced += other.fenced;
        self.answers_lost += other.answers_lost;
        self.deaths += other.deaths;
        self.taken_away += other.taken_away;
    }
}

/// The targets, and whether an engine is at work on each.
struct Reality {
    targets: [TargetId; 2],
    engines: [AtomicBool; 2],
}

impl Reality {
    fn of_two() -> Self {
        Self { targets: ["a@prod/x", "b@prod/x"].map(|id| id.parse().expect("a target")), engines: Default::default() }
    }
}

/// One process of a writer, and its end: what it still has on its way goes on without it.
struct Process<'a> {
    place: &'a Place,
    store: Arc<dyn Store>,
    reality: &'a Reality,
    run: Arc<str>,
    dice: &'a mut Dice,
    told: &'a mut Told,
    /// Runs that were taken for ended before they had started anything.
    fenced: &'a mut BTreeSet<Arc<str>>,
}

/// The process ends.
struct Ended;

impl Process<'_> {
    async fn live(mut self) {
        if let Err(Ended) = self.work().await {
            self.told.deaths += 1;
        }
    }

    async fn work(&mut self) -> Result<(), Ended> {
        let wanted = match self.dice.below(3) {
            0 => vec![0],
            1 => vec![1],
            _ => vec![0, 1],
        };
        let Some(lease) = self.acquire(&wanted).await? else { return Ok(()) };
        self.pause_or_die().await?;
        if self.dice.once_in(6) {
            (self.place.take_away)(self.place.dir.path(), &lease);
            self.told.taken_away += 1;
            self.fenced.insert(self.run.clone());
        }
        for nth in wanted {
            self.pause_or_die().await?;
            let target = self.reality.targets[nth].clone();
            self.append(StepEvent::Started { target: target.clone() }, &lease).await?;
            assert!(!self.fenced.contains(&self.run), "{}: a run whose lease is over may start {target}", self.place.name);

            self.pause_or_die().await?;
            let is_second = self.reality.engines[nth].swap(true, Ordering::SeqCst);
            assert!(!is_second, "{}: two engines on {target}", self.place.name);
            self.told.engines += 1;
            self.dice.pause().await;
            self.reality.engines[nth].store(false, Ordering::SeqCst);

            self.pause_or_die().await?;
            self.append(StepEvent::Finished { target, outcome: Outcome::Applied }, &lease).await?;
        }
        self.pause_or_die().await?;
        let released = self.store.release(lease).await;
        assert!(!matches!(released, Err(StoreError::Broken { .. })), "{released:?}");
        Ok(())
    }

    async fn pause_or_die(&mut self) -> Result<(), Ended> {
        self.dice.pause().await;
        if self.dice.once_in(16) { Err(Ended) } else { Ok(()) }
    }

    /// Waits for an answer, and sometimes not for long: what was asked for is done all the same, or not.
    async fn answer<T>(&mut self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<Result<T, StoreError>, Ended> {
        if !self.dice.once_in(8) {
            return Ok(asked.await);
        }
        let answer = tokio::time::timeout(Duration::from_micros(self.dice.below(WAIT_MAX_US)), asked).await;
        answer.map_err(|_| {
            self.told.answers_lost += 1;
            Ended
        })
    }

    /// `None` where somebody who lives has one of them.
    async fn acquire(&mut self, wanted: &[usize]) -> Result<Option<Lease>, Ended> {
        let targets: Vec<TargetId> = wanted.iter().map(|nth| self.reality.targets[*nth].clone()).collect();
        let holder = Holder { run: self.run.clone(), host: "here".into(), pid: std::process::id(), since_ms: 5, job: None };
        let store = self.store.clone();
        match self.answer(store.acquire(&targets, holder)).await? {
            Ok(lease) => Ok(Some(lease)),
            Err(StoreError::Held { .. }) => {
                self.told.refused += 1;
                Ok(None)
            }
            Err(error) => panic!("{}: {error}", self.place.name),
        }
    }

    async fn append(&mut self, step: StepEvent, lease: &Lease) -> Result<(), Ended> {
        let event = Event::Step { rollout: "r".into(), step };
        let (store, run) = (self.store.clone(), self.run.clone());
        match self.answer(store.append(vec![event], &run, 7, Some(lease))).await? {
            Ok(_) => Ok(()),
            Err(StoreError::Fenced(_)) => {
                self.told.fenced += 1;
                Err(Ended)
            }
            Err(error) => panic!("{}: {error}", self.place.name),
        }
    }
}

/// All processes of one writer; returns what came about, and which runs were taken for ended.
async fn writer(place: &Place, reality: &Reality, story: usize, nth: usize) -> (Told, BTreeSet<Arc<str>>) {
    let mut dice = Dice((story as u64) << 1 | nth as u64);
    dice.below(2);
    let (mut told, mut fenced) = (Told::default(), BTreeSet::new());
    for life in 0..LIVES {
        let (run, dice, told, fenced) = (format!("{story}-{nth}-{life}").into(), &mut dice, &mut told, &mut fenced);
        Process { place, store: place.open(), reality, run, dice, told, fenced }.live().await;
    }
    (told, fenced)
}

/// No run started what it had no lease for any more.
fn check(place: &Place, entries: &[Entry], fenced: &BTreeSet<Arc<str>>) {
    let started = entries.iter().filter(|entry| entry.event.target().is_some());
    let wrong: Vec<_> = started.filter(|entry| fenced.contains(&entry.run)).map(|entry| entry.seq).collect();
    assert_eq!(wrong, [0; 0], "{}: entries of runs whose leases were over", place.name);
}

/// A journal with an entry.
async fn fresh(make: fn() -> Place) -> Place {
    let place = make();
    let first = place.open().append(vec![Event::Resumed { by: User("ann".into()) }], &"first".into(), 1, None).await;
    first.expect("it has room");
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout)]
async fn two_writers_never_have_two_engines_on_one_target() {
    let stories: Option<usize> = std::env::var("ISOBAR_LEASES").ok().and_then(|text| text.parse().ok());
    let more = stories.map(|stories| stories.saturating_sub(STORIES.len()));
    println!("| journal in | stories | engines | refused | fenced | answers lost | deaths | taken away |");
    println!("|---|---|---|---|---|---|---|---|");
    for make in [in_file as fn() -> Place, in_git, in_google] {
        let (mut told, mut stories, mut place) = (Told::default(), 0, fresh(make).await);
        let (name, reality) = (place.name, Reality::of_two());
        let others = (0..).filter(|story| !STORIES.contains(story)).take(more.unwrap_or(MORE_MAX));
        for story in STORIES.into_iter().chain(others) {
            if stories >= STORIES.len() && more.is_none() && told.has_all() {
                break;
            }
            if stories > 0 && stories % STORIES_AT_ONE == 0 {
                place = fresh(make).await;
            }
            let (one, other) = tokio::join!(writer(&place, &reality, story, 0), writer(&place, &reality, story, 1));
            let entries = place.open().read().await.expect("it is whole");
            check(&place, &entries, &one.1.into_iter().chain(other.1).collect());
            told += one.0;
            told += other.0;
            stories += 1;
        }
        let has_all = told.has_all();
        let Told { engines, refused, fenced, answers_lost, deaths, taken_away } = told;
        println!("| {name} | {stories} | {engines} | {refused} | {fenced} | {answers_lost} | {deaths} | {taken_away} |");
        assert!(has_all, "{name}: {engines} engines, {refused} refused, {fenced} fenced, {deaths} deaths");
    }
}
