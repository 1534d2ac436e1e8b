//! Measures journals in a directory, in a ref on a disk, in a ref behind the program `git`, and in a bucket when one is named.
//!
//! ```sh
//! bench-journal append DIR [s3://BUCKET/PREFIX]    # entries a second: one after the other, and with 64 that wait at once
//! bench-journal open TARGETS APPLIES DIR           # how long a history takes to open: with a checkpoint, and without
//! ```
//!
//! `DIR` must not be there, and is removed at the end. To say anything about checkpoints a journal must grow beyond 16 MiB.

use isobar::bucket::{Access, Address, Buckets};
use isobar::change::{Action, ChangeMark, Digest, Intent, Key};
use isobar::journal::{Event, Verb};
use isobar::review::User;
use isobar::rollout::{Outcome, Planned, Rollout, StepEvent, Wave};
use isobar::stack::TargetId;
use isobar::store::{Anew, FileStore, GitSite, GitStore, Holder, Location, ObjectSite, ObjectStore, Store};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

type Done<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "bench-journal append DIR [BUCKET], or bench-journal open TARGETS APPLIES DIR";

/// What is appended by one writer, and by many that wait at once.
const ALONE: usize = 50;
const AT_ONCE: usize = 64;
const ROUNDS: usize = 10;

/// Targets that one group of entries is about, as when many land at once.
const LAND_AT_ONCE: usize = 100;

fn main() -> Done<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.as_slice() {
        ["append", dir] => within(Path::new(dir), |dir| runtime.block_on(append(dir, None))),
        ["append", dir, bucket] => within(Path::new(dir), |dir| runtime.block_on(append(dir, Some(bucket)))),
        ["open", targets, applies, dir] => {
            let (targets, applies) = (targets.parse()?, applies.parse()?);
            within(Path::new(dir), |dir| runtime.block_on(open(targets, applies, dir)))
        }
        _ => Err(USAGE.into()),
    }
}

/// Works in a directory that is there only meanwhile.
fn within(dir: &Path, work: impl FnOnce(&Path) -> Done<()>) -> Done<()> {
    if dir.exists() {
        return Err(format!("{} is there already", dir.display()).into());
    }
    std::fs::create_dir_all(dir)?;
    let told = work(dir);
    std::fs::remove_dir_all(dir)?;
    told
}

/// Where a journal can be: its name, and what opens it as a process of its own would.
struct Place {
    name: &'static str,
    open: Box<dyn Fn() -> Done<Arc<dyn Store>>>,
}

fn places(dir: &Path, bucket: Option<&str>) -> Done<Vec<Place>> {
    let origin = |name: &str| -> Done<PathBuf> {
        let path = dir.join(name);
        git2::Repository::init_bare(&path)?;
        Ok(path)
    };
    let key = Key::new(b"the key of a benchmark");
    let (near, far) = (origin("near.git")?, origin("far.git")?);
    let in_git = |name: &str, location: Location| {
        let (site, key) = (site(&dir.join(name), location), key.clone());
        Box::new(move || -> Done<Arc<dyn Store>> { Ok(Arc::new(GitStore::open(site.clone()).sealed_by(Some(&key)))) })
    };
    let (file, own_key) = (dir.join("file"), key.clone());
    let in_directory = move || -> Done<Arc<dyn Store>> { Ok(Arc::new(FileStore::open(file.clone())?.sealed_by(Some(&own_key)))) };
    let address: Arc<str> = format!("file://{}", far.display()).into();
    let mut places = vec![
        Place { name: "a directory", open: Box::new(in_directory) },
        Place { name: "a ref on a disk", open: in_git("near", Location::Disk(near)) },
        Place { name: "a ref behind `git`", open: in_git("far", Location::Address(address)) },
    ];
    if let Some(url) = bucket {
        let address = Address::parse(url).ok_or("a bucket has a URL")?.map_err(|flaw| flaw.what)?;
        let variables: BTreeMap<String, String> = std::env::vars().collect();
        let buckets = Buckets::new(Access::of(|name| variables.get(name).map(String::as_str)));
        let site = ObjectSite { address, buckets, locks: dir.join("locks") };
        let open = move || -> Done<Arc<dyn Store>> { Ok(Arc::new(ObjectStore::open(site.clone())?.sealed_by(Some(&key)))) };
        places.push(Place { name: "a bucket", open: Box::new(open) });
    }
    Ok(places)
}

fn site(dir: &Path, location: Location) -> GitSite {
    let variables: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| name == "PATH").collect();
    let (cache, locks) = (dir.join("cache"), dir.join("locks"));
    GitSite {
        location,
        reference: "refs/isobar/journal".into(),
        cache,
        locks,
        variables,
        settings: Vec::new(),
        anew: Anew::Unasked,
    }
}

async fn append(dir: &Path, bucket: Option<&str>) -> Done<()> {
    let mut out = std::io::stdout();
    writeln!(out, "| journal in | an entry, one after the other | entries/s, {AT_ONCE} at once |\n|---|---|---|")?;
    for Place { name, open } in places(dir, bucket)? {
        let (store, run): (_, Arc<str>) = (open()?, "bench".into());
        let event = || vec![Event::Paused { by: User("bench".into()), reason: "to be measured".into() }];
        store.append(event(), &run, 1, None).await?;

        let begin = Instant::now();
        for _ in 0..ALONE {
            store.append(event(), &run, 1, None).await?;
        }
        let alone_ms = begin.elapsed().as_secs_f64() * 1_000.0 / ALONE as f64;

        let begin = Instant::now();
        for _ in 0..ROUNDS {
            let waiting: Vec<_> = (0..AT_ONCE).map(|_| store.append(event(), &run, 1, None)).collect();
            futures::future::try_join_all(waiting).await?;
        }
        let at_once = (AT_ONCE * ROUNDS) as f64 / begin.elapsed().as_secs_f64();
        writeln!(out, "| {name} | {alone_ms:.1} ms | {at_once:.0} |")?;
    }
    Ok(())
}

async fn open(targets: usize, applies: usize, dir: &Path) -> Done<()> {
    let ids: Vec<TargetId> =
        (0..targets).map(|at| format!("s{}@prod/r{:02}", at / 10, at % 10).parse()).collect::<Result<_, _>>()?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "| journal in | targets × applies | entries | written in | opens in | every entry read in |\n|---|---|---|---|---|---|"
    )?;
    for Place { name, open } in places(dir, None)? {
        let begin = Instant::now();
        let store = open()?;
        for apply in 0..applies {
            write(&*store, &ids, apply).await?;
        }
        let written = begin.elapsed();

        let begin = Instant::now();
        let history = open()?.history().await?;
        let opened = begin.elapsed();
        if history.targets().count() != targets {
            return Err("the history lacks targets".into());
        }
        let begin = Instant::now();
        open()?.each(Box::new(drop)).await?;
        writeln!(
            out,
            "| {name} | {targets} × {applies} | {} | {:.0} s | {:.2} s | {:.1} s |",
            history.head().map_or(0, |(seq, _)| seq),
            written.as_secs_f64(),
            opened.as_secs_f64(),
            begin.elapsed().as_secs_f64(),
        )?;
    }
    Ok(())
}

/// One apply of every target, as a run writes it: announced, planned, cleared, started, finished, settled.
async fn write(store: &dyn Store, ids: &[TargetId], apply: usize) -> Done<()> {
    let (run, commit): (Arc<str>, Arc<str>) =
        (format!("run-{apply}").into(), Digest::of_bytes(&apply.to_be_bytes()).as_str()[..40].into());
    let at_ms = apply as u64 * 3_600_000;
    let holder = Holder { run: run.clone(), host: "bench".into(), pid: std::process::id(), since_ms: at_ms, job: None };
    let lease = store.acquire(ids, holder).await?;
    let rollout: Arc<str> = format!("r{apply}").into();
    let planned = |id: &TargetId| Planned { target: id.clone(), intent: Intent::Converge, after: vec![] };
    let wave = Wave {
        name: "prod".into(),
        environment: "prod".into(),
        after: vec![],
        targets: ids.iter().map(planned).collect(),
        max_parallel: LAND_AT_ONCE,
        failure_tolerance: 0,
        gates: vec![],
        bake_secs: 0,
        progress_deadline_secs: None,
        unproven: false,
    };
    let plan = Rollout { id: rollout.clone(), commit: commit.clone(), waves: vec![wave], whole: None, beside: None };
    let by = User("ada".into());
    let begin = Event::RunStarted { verb: Verb::Apply, commit: commit.clone(), by: by.clone(), pull_request: Some(apply as u64) };
    store.append(vec![begin, Event::Planned { rollout: plan }], &run, at_ms, Some(&lease)).await?;

    let digest = Digest::of_bytes(commit.as_bytes());
    let mark = ChangeMark {
        address: "app.yaml".into(),
        kind: "document".into(),
        action: Action::Update,
        before: Some(digest.clone()),
        after: Some(digest.clone()),
        holes: vec![],
    };
    let step = |step: StepEvent| Event::Step { rollout: rollout.clone(), step };
    for some in ids.chunks(LAND_AT_ONCE) {
        let cleared = some.iter().map(|target| Event::Cleared {
            target: target.clone(),
            commit: commit.clone(),
            digest: digest.clone(),
            changes: vec![mark.clone()],
            by: vec![User("grace".into())],
            why: "1 of 1 approvals: grace (platform)".into(),
            authority: Some(commit.clone()),
        });
        store.append(cleared.collect(), &run, at_ms, Some(&lease)).await?;
        let started = some.iter().map(|target| step(StepEvent::Started { target: target.clone() }));
        store.append(started.collect(), &run, at_ms, Some(&lease)).await?;
        let finished = some.iter().map(|target| step(StepEvent::Finished { target: target.clone(), outcome: Outcome::Applied }));
        let applied = some.iter().map(|target| Event::Applied {
            target: target.clone(),
            intent: Intent::Converge,
            commit: commit.clone(),
            digest: digest.clone(),
            changes: vec![mark.clone()],
            was: vec![],
        });
        store.append(finished.chain(applied).collect(), &run, at_ms, Some(&lease)).await?;
    }
    let verified = step(StepEvent::Verified { wave: 0 });
    store.append(vec![verified, Event::Settled { commit, scope: None, behind: vec![] }], &run, at_ms, Some(&lease)).await?;
    store.release(lease).await?;
    Ok(())
}
