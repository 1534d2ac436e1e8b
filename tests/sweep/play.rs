//! Plays a case: a copy of a scene, the verb with what befalls it, the same verb again until it is done, and a look at the end.

use super::check::{Broken, Standing};
use super::ground::{Scene, told};
use super::harm::{Fault, Harm, Point, Seam};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often somebody types the same again before we say that it does not come to its end.
const AGAIN_MAX: usize = 4;
/// How long a run stands still at most while another comes by; it may wait for what the first holds.
const STANDS: Duration = Duration::from_millis(60);
/// After so long a run hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a run said, how it ended, and the calls that it made.
pub(crate) struct Ran {
    /// The exit code, or 128 and the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) points: Vec<Point>,
}

/// What came of a case.
pub(crate) struct Played {
    pub(crate) broken: Vec<Broken>,
    /// A line for each thing that was typed, with what was said.
    pub(crate) told: Vec<String>,
    /// The calls of the last run.
    pub(crate) points: Vec<Point>,
    pub(crate) micros: u64,
    pub(crate) standing: Standing,
}

/// Who types: the program, and what does harm to it.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) isobar: PathBuf,
    pub(crate) seam: Seam,
}

impl Actor {
    /// Runs `isobar` with what is typed in `dir`; with a log, under the seam.
    pub(crate) fn run(
        &self,
        dir: &Path,
        typed: &str,
        now_ms: u64,
        key: Option<&str>,
        seam: Option<(Option<Harm>, &Path)>,
    ) -> Result<Ran, String> {
        let output = self.command(dir, typed, now_ms, key, seam).output().map_err(told)?;
        Ok(ran(output, seam.map(|(_, log)| Point::all(log)).unwrap_or_default()))
    }

    /// The same, begun only.
    fn command(&self, dir: &Path, typed: &str, now_ms: u64, key: Option<&str>, seam: Option<(Option<Harm>, &Path)>) -> Command {
        let repo = dir.join("repo");
        let mut command = match seam {
            None => Command::new(&self.isobar),
            Some((harm, log)) => {
                // Of the repository only what is written to: the journal, in either place, and the destinations.
                let dirs = [repo.join("live"), repo.join(".isobar"), repo.join(".git"), dir.join("home")];
                let mut command = self.seam.over(harm, log, &dirs.each_ref().map(PathBuf::as_path));
                command.arg(&self.isobar);
                command
            }
        };
        command.args(typed.split_whitespace()).current_dir(&repo).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", dir.join("home")).env("TMPDIR", dir.join("tmp"));
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_COLOR", "1")
            .env("HOSTNAME", "laptop")
            .envs(key.map(|key| ("ISOBAR_KEY", key)));
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "ada").env(format!("GIT_{role}_EMAIL"), "ada@isobar.example");
        }
        command.env("ISOBAR_NOW_MS", now_ms.to_string()).env("ISOBAR_REVIEWS", dir.join("home/reviews.jsonl"));
        command
    }

    /// Runs under a seam that stops it, and another run while it stands still.
    fn stopped(&self, scene: &Scene, dir: &Path, harm: Harm, now_ms: u64, logs: [&Path; 2]) -> Result<[Ran; 2], String> {
        let beside = |what: &str| PathBuf::from(format!("{}.{what}", logs[0].display()));
        let (stands, goes) = (beside("stopped"), beside("go"));
        for old in [&stands, &goes] {
            let _ = fs::remove_file(old); // of the case before
        }
        let start = |log: &Path, harm, now_ms| {
            let mut command = self.command(dir, scene.verb, now_ms, scene.key, Some((harm, log)));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(told)
        };
        let begin = Instant::now();
        let mut first = start(logs[0], Some(harm), now_ms)?;
        while !stands.exists() && first.try_wait().map_err(told)?.is_none() && begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1));
        }
        let mut other = start(logs[1], None, now_ms + 500)?;
        let until = Instant::now() + STANDS;
        while other.try_wait().map_err(told)?.is_none() && Instant::now() < until {
            sleep(Duration::from_millis(1));
        }
        fs::write(&goes, "").map_err(told)?;
        let (first, other) = (first.wait_with_output().map_err(told)?, other.wait_with_output().map_err(told)?);
        Ok([ran(first, Point::all(logs[0])), ran(other, Point::all(logs[1]))])
    }
}

fn ran(output: std::process::Output, points: Vec<Point>) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(125), stdout: text(output.stdout), stderr: text(output.stderr), points }
}

/// Plays the verb of a scene with nothing that befalls it; it must end well.
pub(crate) fn play_whole(actor: &Actor, scene: &Scene, dir: &Path) -> Result<Played, String> {
    let played = play(actor, scene, &[], dir)?;
    match played.standing.targets.is_empty() || played.broken.iter().any(|(kind, _)| *kind == "broken") {
        false => Ok(played),
        true => Err(format!("{}\n{:?}", played.told.join("\n"), played.broken)),
    }
}

/// Plays a case in `dir`, which is made anew.
pub(crate) fn play(actor: &Actor, scene: &Scene, harms: &[Harm], dir: &Path) -> Result<Played, String> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(told)?;
    }
    copy(&scene.dir, &dir.join("at")).map_err(told)?;
    let at = dir.join("at");
    let (mut now_ms, mut nth) = (scene.now_ms, 0);
    let mut log = || {
        nth += 1;
        dir.join(format!("log-{nth}"))
    };
    let mut all: Vec<Ran> = Vec::new();
    let (mut broken, mut lines) = (Vec::new(), Vec::new());
    let mut tell = |typed: &str, harm: Option<&Harm>, ran: &Ran| {
        let hit = harm
            .filter(|harm| harm.fault != Fault::Instant)
            .and_then(|harm| ran.points.iter().find(|point| point.number == harm.at));
        let hit = hit.map(|point| format!(" at {} {} {}", point.call, point.path, point.detail)).unwrap_or_default();
        let harm = harm.map(|harm| format!(" ({harm}{hit})")).unwrap_or_default();
        lines.push(format!("$ isobar {typed}{harm}: {}\n{}{}", ran.code, ran.stdout, ran.stderr));
        let is_known = matches!(ran.code, 0 | 1 | 2 | 3 | 64 | 65 | 130 | 143) || ran.code == 137 && !harm.is_empty();
        if !is_known || ran.stderr.contains("panicked") {
            broken.push(("broken", format!("isobar {typed} ended with {}: {}", ran.code, ran.stderr)));
        }
    };

    let begin = Instant::now();
    for harm in harms {
        match harm.fault {
            Fault::Stop => {
                let (one, two) = (log(), log());
                let ran = actor.stopped(scene, &at, *harm, now_ms, [&one, &two])?;
                ran.iter().zip([Some(harm), None]).for_each(|(ran, harm)| tell(scene.verb, harm, ran));
                all.extend(ran);
            }
            _ => {
                let ran = actor.run(&at, scene.verb, now_ms, scene.key, Some((Some(*harm), &log())))?;
                tell(scene.verb, Some(harm), &ran);
                all.push(ran);
            }
        }
        now_ms += 1000;
    }
    let says_resume = |ran: &Ran| format!("{}{}", ran.stdout, ran.stderr).contains("isobar resume");
    let (mut is_done, mut is_stopped) = (false, all.iter().any(says_resume));
    for _ in 0..AGAIN_MAX {
        if is_stopped {
            let ran = actor.run(&at, "resume", now_ms, scene.key, Some((None, &log())))?;
            tell("resume", None, &ran);
            all.push(ran);
        }
        let ran = actor.run(&at, scene.verb, now_ms, scene.key, Some((None, &log())))?;
        tell(scene.verb, None, &ran);
        now_ms += 1000;
        (is_done, is_stopped) = (ran.code == 0, says_resume(&ran));
        all.push(ran);
        if is_done {
            break;
        }
    }
    let micros = u64::try_from(begin.elapsed().as_micros()).map_err(told)?;

    let status = actor.run(&at, "status --json", now_ms, scene.key, None)?;
    tell("status --json", None, &status);
    let audit = actor.run(&at, "audit verify", now_ms, scene.key, None)?;
    tell("audit verify", None, &audit);
    if !is_done {
        broken.push(("broken", format!("isobar {} does not come to its end", scene.verb)));
    }
    if audit.code != 0 {
        broken.push(("broken", format!("isobar audit verify: {}", audit.stdout)));
    }
    let said = serde_json::from_str(&status.stdout).unwrap_or_default();
    let mut points: Vec<Point> = all.iter().flat_map(|ran| ran.points.clone()).collect();
    points.iter_mut().for_each(|point| {
        for path in [&mut point.path, &mut point.detail] {
            *path = path.replace("/repo/./", "/repo/");
        }
    });
    let standing = Standing::look(&at.join("repo"), scene.begun, &said, &points);
    if !scene.whole.targets.is_empty() {
        broken.extend(standing.against(&scene.whole));
    }
    let points = all.pop().map(|ran| ran.points).unwrap_or_default();
    Ok(Played { broken, told: lines, points, micros, standing })
}

/// Copies a directory.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => fs::copy(entry.path(), &to).map(drop)?,
        }
    }
    Ok(())
}
