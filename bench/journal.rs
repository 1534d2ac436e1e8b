//! Makes a journal of many targets and applies, and prints how long its history takes to open: with a checkpoint, and without.
//!
//! `cargo run --release --example bench-journal -- TARGETS APPLIES DIR`; DIR must not be there, and is removed at the end. The
//! journal must grow beyond one segment, 16 MiB.

use isobar::change::{Action, ChangeMark, Digest, Intent, Key};
use isobar::journal::{Event, Verb};
use isobar::review::User;
use isobar::rollout::{Outcome, Planned, Rollout, StepEvent, Wave};
use isobar::stack::TargetId;
use isobar::store::{FileStore, Holder, Store as _};
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Targets that one group of entries is about, as when many land at once.
const AT_ONCE: usize = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [targets, applies, dir] = arguments.as_slice() else { return Err("bench-journal TARGETS APPLIES DIR".into()) };
    let (targets, applies, dir): (usize, usize, PathBuf) = (targets.parse()?, applies.parse()?, dir.into());
    if dir.exists() {
        return Err(format!("{} is there already", dir.display()).into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(measure(targets, applies, &dir));
    std::fs::remove_dir_all(&dir)?;
    told
}

async fn measure(targets: usize, applies: usize, dir: &Path) -> Result<(), Box<dyn Error>> {
    let ids: Vec<TargetId> =
        (0..targets).map(|at| format!("s{}@prod/r{:02}", at / 10, at % 10).parse()).collect::<Result<_, _>>()?;
    let begin = Instant::now();
    for apply in 0..applies {
        write(&open(dir)?, &ids, apply).await?;
    }
    let written = begin.elapsed();

    let store = open(dir)?;
    let begin = Instant::now();
    let history = store.history().await?;
    let with = begin.elapsed();
    let (entries, known) = (history.head().map_or(0, |(seq, _)| seq), history.targets().count());
    let checkpoint = size(&dir.join("checkpoints"))? / 2; // two are kept
    let tail = std::fs::metadata(dir.join("entries.jsonl"))?.len();

    std::fs::remove_dir_all(dir.join("checkpoints"))?;
    let begin = Instant::now();
    let folded = open(dir)?.history().await?;
    let without = begin.elapsed();
    if folded.head() != history.head() || known != targets {
        return Err("the two histories differ".into());
    }
    let bytes = size(dir)? + size(&dir.join("segments"))?;
    writeln!(
        std::io::stdout(),
        "{targets} targets × {applies} applies: {entries} entries, {:.2} GB, written and sealed in {:.0} s; opened in {:.3} s through a checkpoint of {:.1} MB and a tail of {:.1} MB, in {:.1} s without",
        bytes as f64 / 1e9,
        written.as_secs_f64(),
        with.as_secs_f64(),
        checkpoint as f64 / 1e6,
        tail as f64 / 1e6,
        without.as_secs_f64(),
    )?;
    Ok(())
}

fn open(dir: &Path) -> Result<FileStore, Box<dyn Error>> {
    Ok(FileStore::open(dir.to_path_buf())?.sealed_by(Some(&Key::new(b"the key of a benchmark"))))
}

/// One apply of every target, as a run writes it: announced, planned, cleared, started, finished, settled.
async fn write(store: &FileStore, ids: &[TargetId], apply: usize) -> Result<(), Box<dyn Error>> {
    let (run, commit): (Arc<str>, Arc<str>) =
        (format!("run-{apply}").into(), Digest::of_bytes(&apply.to_be_bytes()).as_str()[..40].into());
    let at_ms = apply as u64 * 3_600_000;
    let holder = Holder { run: run.clone(), host: "bench".into(), pid: std::process::id(), since_ms: at_ms };
    let lease = store.acquire(ids, holder).await?;
    let rollout: Arc<str> = format!("r{apply}").into();
    let planned = |id: &TargetId| Planned { target: id.clone(), intent: Intent::Converge, after: vec![] };
    let wave = Wave {
        name: "prod".into(),
        environment: "prod".into(),
        after: vec![],
        targets: ids.iter().map(planned).collect(),
        max_parallel: AT_ONCE,
        failure_tolerance: 0,
        gates: vec![],
        bake_secs: 0,
        progress_deadline_secs: None,
    };
    let plan = Rollout { id: rollout.clone(), commit: commit.clone(), waves: vec![wave], whole: None };
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
    for some in ids.chunks(AT_ONCE) {
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
        });
        store.append(finished.chain(applied).collect(), &run, at_ms, Some(&lease)).await?;
    }
    let verified = step(StepEvent::Verified { wave: 0 });
    store.append(vec![verified, Event::Settled { commit, scope: None, behind: vec![] }], &run, at_ms, Some(&lease)).await?;
    store.release(lease).await?;
    Ok(())
}

/// Bytes of the files in `dir`.
fn size(dir: &Path) -> Result<u64, Box<dyn Error>> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let metadata = entry?.metadata()?;
        bytes += if metadata.is_file() { metadata.len() } else { 0 };
    }
    Ok(bytes)
}
