//! Plays seeded stories until there are as many rollouts as asked for, on every core, and prints how many, how fast, and what broke.
//!
//! `cargo run --release --example simulate -- --seeds 1000000`, or `--seed 17` for one of them, in words.

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use simulation::{Grounds, Piece, command, replay, tell};
use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Seeds that a thread takes at once.
const BLOCK: u64 = 256;

/// What is asked for.
struct Request {
    seeds: u64,
    from: u64,
    seed: Option<u64>,
    without: BTreeSet<Piece>,
    threads: usize,
    first: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let request = read()?;
    std::panic::set_hook(Box::new(|_| ())); // a panic is told with its seed
    match request.seed {
        Some(seed) => one(seed, &request.without),
        None => many(&request),
    }
}

fn read() -> Result<Request, Box<dyn Error>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut request = Request { seeds: 10_000, from: 0, seed: None, without: BTreeSet::new(), threads, first: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        if flag == "--first" {
            request.first = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--seeds" => request.seeds = value.parse()?,
            "--from" => request.from = value.parse()?,
            "--seed" => request.seed = Some(value.parse()?),
            "--threads" => request.threads = value.parse()?,
            "--without" => request.without = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            _ => {
                return Err(
                    "simulate [--seeds N] [--from SEED] [--threads N] [--first] | --seed SEED [--without t1,h0,f2]".into()
                );
            }
        }
    }
    Ok(request)
}

/// Plays one seed, in words.
fn one(seed: u64, without: &BTreeSet<Piece>) -> Result<(), Box<dyn Error>> {
    let mut grounds = Grounds::default();
    let played = replay(&mut grounds, seed, without, true);
    let case = simulation::Case::of(seed, grounds.of(seed), without);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{case}\nthe journal\n  {}\n", played.told.join("\n  "))?;
    if played.broken.is_empty() {
        writeln!(out, "seed {seed}: every promise holds; {} rollouts, {} entries", played.rollouts, played.entries)?;
        return Ok(());
    }
    played.broken.iter().try_for_each(|what| writeln!(out, "broken: {what}"))?;
    Err(format!("seed {seed} breaks a promise: {}", command(seed, without)).into())
}

/// Plays many seeds and counts.
fn many(request: &Request) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let (next, rollouts, entries) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let (broken, enough) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..request.threads {
            scope.spawn(|| {
                let mut grounds = Grounds::default();
                loop {
                    let block = next.fetch_add(BLOCK, Ordering::Relaxed);
                    if block >= request.seeds || enough.load(Ordering::Relaxed) {
                        return;
                    }
                    for seed in block..(block + BLOCK).min(request.seeds) {
                        let played = replay(&mut grounds, request.from + seed, &BTreeSet::new(), false);
                        rollouts.fetch_add(played.rollouts as u64, Ordering::Relaxed);
                        entries.fetch_add(played.entries as u64, Ordering::Relaxed);
                        if !played.broken.is_empty() {
                            broken.lock().expect("no thread panics with it").push(request.from + seed);
                            enough.store(request.first, Ordering::Relaxed);
                            if request.first {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().expect("all threads are done");
    broken.sort_unstable();
    let (secs, played) = (begin.elapsed().as_secs_f64(), next.load(Ordering::Relaxed).min(request.seeds));
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "seeds {} to {}: {} rollouts, {} journal entries, {secs:.1} s, {:.0} seeds a second on {} threads",
        request.from,
        request.from + played,
        rollouts.into_inner(),
        entries.into_inner(),
        played as f64 / secs,
        request.threads
    )?;
    writeln!(out, "broken promises: {}", broken.len())?;
    let Some(first) = broken.first() else { return Ok(()) };
    writeln!(out, "\n{}", tell(&mut Grounds::default(), *first))?;
    Err(format!("{} seeds break a promise: {:?}", broken.len(), &broken[..broken.len().min(20)]).into())
}
