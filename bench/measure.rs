//! Runs one command, throws its output away, and prints how long it took, how much memory it held at most, and its exit code:
//! `0.412 s  38 MB  0`. The memory is the kernel's own high-water mark (`VmHWM`) of the process, read until it ends; Linux only.
//!
//! `cargo run --release --example bench-measure -- isobar preview --json`

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The mark never falls, so only what the process takes in its last moment can be missed.
const LOOK_EVERY: Duration = Duration::from_millis(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut given = std::env::args().skip(1);
    let program = given.next().ok_or("bench-measure PROGRAM [ARGUMENT…]")?;

    let begin = Instant::now();
    let mut child = Command::new(program).args(given).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let mut peak_kb = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_kb = high_water_kb(child.id()).unwrap_or(0).max(peak_kb);
        thread::sleep(LOOK_EVERY);
    };
    let took = begin.elapsed();

    let code = status.code().map_or("killed".to_string(), |code| code.to_string());
    writeln!(std::io::stdout(), "{:.3} s  {} MB  {code}", took.as_secs_f64(), peak_kb.div_ceil(1024))?;
    Ok(())
}

/// Returns the most memory that process `id` has held so far; nothing when it is gone or this is not Linux.
fn high_water_kb(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
