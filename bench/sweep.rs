//! The whole sweep, printed as a table: every call or request of every scene with every fault, and random kills by the thousand.
//!
//! `tests/sweep/run` builds the program and this, and starts it.

#[path = "../tests/it/support/cloud/mod.rs"]
mod cloud;
#[path = "../tests/sweep/mod.rs"]
mod sweep;

/// Where the files of the sweep find it in `cargo test` too.
mod support {
    pub(crate) use super::cloud;
}

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use sweep::ground::Scene;
use sweep::harm::Point;
use sweep::{Fault, Ground, Harm, Seam, play};

const USAGE: &str = "sweep ISOBAR [--scenes apply/file,tick/git] [--faults torn,eio] [--stride N] [--random N] [--seed S] [--threads N] [--minutes N] | \
                     sweep ISOBAR --case apply/file:torn@17";
/// Failing cases that are told in full.
const TOLD_MAX: usize = 20;
/// Cases at once for each core: a run waits as long as it works, for other threads of its own and for what it asks again.
const THREADS: usize = 2;
/// Of the scene that closes a segment only the calls around that are of interest: the others are those of `apply/file`.
const CLOSING: [&str; 2] = ["/segments", "/checkpoints"];
const AROUND: u64 = 3;

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

/// The faults at a numbered call on disk, and what they are called in the table.
const ON_DISK: [(Fault, &str); 8] = [
    (Fault::Before, "kill before"),
    (Fault::After, "kill after"),
    (Fault::Torn, "torn write, kill"),
    (Fault::Eio, "EIO"),
    (Fault::Lost, "made, and EIO told"),
    (Fault::Eintr, "EINTR"),
    (Fault::Full, "disk full from here"),
    (Fault::Stop, "stopped, another run"),
];

/// The same at a numbered request to a bucket.
const ON_WIRE: [(Fault, &str); 9] = [
    (Fault::Before, "kill before"),
    (Fault::After, "kill after"),
    (Fault::Torn, "torn body, kill"),
    (Fault::Late, "kill, and it arrives later"),
    (Fault::Cut, "lost connection"),
    (Fault::Lost, "done, and answer lost"),
    (Fault::Busy, "503"),
    (Fault::Forbid, "403 from here"),
    (Fault::Stop, "stopped, another run"),
];

/// What can be wrong, in the order of the table.
const KINDS: [&str; 4] = ["lost", "twice", "different", "broken"];

/// What befalls a scene: one run each, one after the other.
#[derive(Clone)]
struct Case {
    scene: String,
    harms: Vec<Harm>,
}

impl fmt::Display for Case {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harms: Vec<String> = self.harms.iter().map(ToString::to_string).collect();
        write!(to, "{}:{}", self.scene, harms.join(","))
    }
}

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scene, harms) = text.split_once(':').ok_or("a case is such as apply/file:torn@17,before@3")?;
        let harms = harms.split(',').map(str::parse).collect::<Result<Vec<Harm>, _>>()?;
        Ok(Self { scene: scene.into(), harms })
    }
}

struct Request {
    isobar: PathBuf,
    scenes: Vec<String>,
    /// All when none is named.
    faults: Vec<Fault>,
    /// Every so many-th call; 0 for none.
    stride: u64,
    random: u64,
    seed: u64,
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
        faults: Vec::new(),
        stride: 1,
        random: 10_000,
        seed: 1,
        threads: THREADS * std::thread::available_parallelism()?.get(),
        minutes: f64::INFINITY,
        case: None,
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--scenes" => request.scenes = value.split(',').map(String::from).collect(),
            "--faults" => {
                let all = || ON_DISK.iter().chain(&ON_WIRE).map(|(fault, _)| *fault);
                let named = |word: &str| all().find(|fault| fault.word() == word).ok_or(format!("no fault {word}"));
                request.faults = value.split(',').map(named).collect::<Result<_, _>>()?;
            }
            "--stride" => request.stride = value.parse()?,
            "--random" => request.random = value.parse()?,
            "--seed" => request.seed = value.parse()?,
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

/// All cases that are asked for, each with the row that it belongs to.
fn cases(ground: &Ground, request: &Request) -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for scene in ground.scenes.iter().filter(|scene| !scene.name.contains("-4")) {
        let faults: &[_] = if scene.place.room.is_some() { &ON_WIRE } else { &ON_DISK };
        for (fault, about) in faults.iter().filter(|(fault, _)| request.faults.is_empty() || request.faults.contains(fault)) {
            let points = points(scene).filter(|point| fault.fits(point)).map(|point| point.number);
            for at in points.filter(|at| request.stride > 0 && at % request.stride == 0) {
                let case = Case { scene: scene.name.clone(), harms: vec![Harm { fault: *fault, at }] };
                cases.push((format!("{} | {}", scene.name, about), case));
            }
        }
    }
    let random: Vec<&Scene> = ground.scenes.iter().filter(|scene| !scene.name.starts_with("close")).collect();
    for nth in 0..if random.is_empty() { 0 } else { request.random } {
        let mut dice = Dice(request.seed.wrapping_mul(1_000_003).wrapping_add(nth));
        let scene = random[usize::try_from(nth).unwrap_or_default() % random.len()];
        let kills = 1 + dice.below(3);
        let harms = (0..kills).map(|_| kill(&mut dice, scene)).collect();
        cases.push((format!("{} | 1 to 3 random kills", scene.name), Case { scene: scene.name.clone(), harms }));
    }
    cases
}

/// The calls that are swept.
fn points(scene: &Scene) -> impl Iterator<Item = &Point> {
    let closes = |path: &str| CLOSING.iter().any(|part| path.contains(part));
    let near: Vec<u64> =
        scene.points.iter().filter(|point| closes(&point.path) || closes(&point.detail)).map(|point| point.number).collect();
    let is_near = move |at: u64| near.iter().any(|near| near.abs_diff(at) <= AROUND);
    scene.points.iter().filter(move |point| !scene.name.starts_with("close") || is_near(point.number))
}

fn kill(dice: &mut Dice, scene: &Scene) -> Harm {
    let fault =
        [Fault::Before, Fault::After, Fault::Torn, Fault::Instant, Fault::Instant, Fault::Instant][dice.below(6) as usize];
    let within = if fault == Fault::Instant { scene.micros } else { scene.points.len() as u64 };
    Harm { fault, at: 1 + dice.below(within.max(1)) }
}

/// splitmix64: the same seed throws the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

fn many(ground: &Ground, request: &Request, dir: &Path) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let mut cases = cases(ground, request);
    Dice(request.seed).shuffle(&mut cases); // so that a sweep that is ended early is a fair part of it
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
        request.seed
    )?;
    for (_, case, broken) in failed.iter().take(TOLD_MAX) {
        writeln!(out, "\n{case}")?;
        broken.iter().try_for_each(|(kind, what)| writeln!(out, "  {kind}: {what}"))?;
        writeln!(out, "  play it again: tests/sweep/run --case {case}")?;
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("{} cases break a promise", failed.len()).into()) }
}
