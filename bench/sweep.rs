//! The whole sweep, printed as a table: every call or request of every scene with every fault, and random kills by the thousand.
//!
//! `tests/sweep/run` builds the program and this, and starts it.

#[path = "sweep/cases.rs"]
mod cases;
#[path = "../tests/it/support/cloud/mod.rs"]
mod cloud;
#[path = "../tests/sweep/mod.rs"]
mod sweep;

/// Where the files of the sweep find it in `cargo test` too.
mod support {
    pub(crate) use super::cloud;
}

use cases::{Asked, Case, Dice, cases, named};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use sweep::{Ground, Seam, play};

const USAGE: &str = "sweep ISOBAR [--scenes apply/file,tick/git] [--faults torn,eio] [--stride N] [--alike N] [--random N] [--seed S] [--threads N] [--minutes N] | \
                     sweep ISOBAR --case apply/file:torn@17";
/// Failing cases that are told in full.
const TOLD_MAX: usize = 20;
/// Cases at once for each core: a run waits as long as it works, for other threads of its own and for what it asks again.
const THREADS: usize = 2;
/// The scenes; those with four targets at once only for random kills, because their calls come in any order.
const SCENES: [&str; 18] = [
    "apply/file",
    "tick/file",
    "recover/file",
    "drift/file",
    "close/file",
    "apply/git",
    "tick/git",
    "recover/git",
    "drift/git",
    "apply/bucket",
    "tick/bucket",
    "recover/bucket",
    "drift/bucket",
    "apply-4/file",
    "tick-4/file",
    "apply-4/git",
    "apply-4/bucket",
    "tick-4/bucket",
];

/// What can be wrong, in the order of the table.
const KINDS: [&str; 4] = ["lost", "twice", "different", "broken"];

struct Request {
    isobar: PathBuf,
    scenes: Vec<String>,
    cases: Asked,
    threads: usize,
    /// After these no further case begins.
    minutes: f64,
    case: Option<String>,
}

/// A row of the table.
#[derive(Default)]
struct Row {
    points: usize,
    cases: usize,
    broken: BTreeMap<&'static str, usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let request = read()?;
    let dir = scratch()?;
    let names: Vec<&str> = match &request.case {
        Some(case) => vec![case.split(':').next().unwrap_or_default()],
        None => request.scenes.iter().map(String::as_str).collect(),
    };
    let is_on_disk = names.iter().any(|name| !name.ends_with("/bucket"));
    let seam = is_on_disk.then(|| Seam::build(dir.path())).transpose()?;
    let ground = Ground::prepare(&request.isobar, seam, dir.path(), &names)?;
    match &request.case {
        Some(case) => one(&ground, &case.parse()?, dir.path()),
        None => many(&ground, &request, dir.path()),
    }
}

fn read() -> Result<Request, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let isobar = PathBuf::from(arguments.next().ok_or(USAGE)?).canonicalize()?;
    let scenes = SCENES.map(String::from).to_vec();
    let mut request = Request {
        isobar,
        scenes,
        cases: Asked { faults: Vec::new(), stride: 1, alike: usize::MAX, random: 10_000, seed: 1 },
        threads: THREADS * std::thread::available_parallelism()?.get(),
        minutes: f64::INFINITY,
        case: None,
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--scenes" => request.scenes = value.split(',').map(String::from).collect(),
            "--faults" => request.cases.faults = value.split(',').map(named).collect::<Result<_, _>>()?,
            "--stride" => request.cases.stride = value.parse()?,
            "--alike" => request.cases.alike = value.parse()?,
            "--random" => request.cases.random = value.parse()?,
            "--seed" => request.cases.seed = value.parse()?,
            "--threads" => request.threads = value.parse()?,
            "--minutes" => request.minutes = value.parse()?,
            "--case" => request.case = Some(value),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(request)
}

/// In memory where there is one, for each case makes and removes a hundred files.
fn scratch() -> Result<tempfile::TempDir, Box<dyn Error>> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    Ok(tempfile::Builder::new().prefix("isobar-sweep-").tempdir_in(parent)?)
}

/// Plays one case, in words.
fn one(ground: &Ground, case: &Case, dir: &Path) -> Result<(), Box<dyn Error>> {
    let scene = ground.find(&case.scene).ok_or("there is no such scene")?;
    let played = play(&ground.actor, scene, &case.harms, &dir.join("case"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", played.told.join("\n"))?;
    played.broken.iter().try_for_each(|(kind, what)| writeln!(out, "{kind}: {what}"))?;
    if played.broken.is_empty() { Ok(()) } else { Err(format!("{case} breaks a promise").into()) }
}

fn many(ground: &Ground, request: &Request, dir: &Path) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let mut cases = cases(ground, &request.cases);
    Dice::of(request.cases.seed).shuffle(&mut cases); // so that a sweep that is ended early is a fair part of it
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for thread in 0..request.threads {
            let at = dir.join(format!("thread-{thread}"));
            let (cases, next, failed) = (&cases, &next, &failed);
            scope.spawn(move || {
                loop {
                    if begin.elapsed().as_secs_f64() > request.minutes * 60.0 {
                        return;
                    }
                    let Some((row, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let scene = ground.find(&case.scene).expect("cases are of scenes");
                    let played = play(&ground.actor, scene, &case.harms, &at);
                    let broken = played.map_or_else(|error| vec![("broken", error)], |played| played.broken);
                    if !broken.is_empty() {
                        failed.lock().expect("no thread panics with it").push((row.clone(), case.clone(), broken));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner()?;
    let secs = begin.elapsed().as_secs_f64();
    let asked = cases.len();
    cases.truncate(next.into_inner());

    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for (row, case) in &cases {
        let row = rows.entry(row).or_default();
        row.cases += 1;
        row.points = ground.find(&case.scene).map(|scene| scene.points.len()).unwrap_or_default();
    }
    for (row, _, broken) in &failed {
        let row = rows.entry(row).or_default();
        for kind in KINDS.iter().filter(|kind| broken.iter().any(|(broken, _)| broken == *kind)) {
            *row.broken.entry(kind).or_insert(0) += 1;
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "| verb/journal | fault | calls | cases | {} |\n|---|---|---|---|---|---|---|---|", KINDS.join(" | "))?;
    for (name, row) in &rows {
        let counts: Vec<String> =
            KINDS.iter().map(|kind| row.broken.get(kind).copied().unwrap_or_default().to_string()).collect();
        writeln!(out, "| {name} | {} | {} | {} |", row.points, row.cases, counts.join(" | "))?;
    }
    writeln!(
        out,
        "\n{} of {asked} cases, {} broken, {:.1} min, {:.0} a second on {} threads; seed {}",
        cases.len(),
        failed.len(),
        secs / 60.0,
        cases.len() as f64 / secs,
        request.threads,
        request.cases.seed
    )?;
    for (_, case, broken) in failed.iter().take(TOLD_MAX) {
        writeln!(out, "\n{case}")?;
        broken.iter().try_for_each(|(kind, what)| writeln!(out, "  {kind}: {what}"))?;
        writeln!(out, "  play it again: tests/sweep/run --case {case}")?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("{} cases break a promise", failed.len()).into()) }
}
