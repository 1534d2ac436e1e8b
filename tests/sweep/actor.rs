//! Who types: the program, started in a closed environment, with what does harm to it on the way. Knows no case.

use super::ground::told;
use super::harm::{Fault, Harm, Point, Seam};
use super::room::Room;
use super::wire::{Open, Wire};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a run stands still at most while another comes by; it may wait for what the first holds.
const STANDS: Duration = Duration::from_millis(60);
/// The same on the wire, where nobody waits for anybody.
const STANDS_ON_WIRE: Duration = Duration::from_secs(5);
/// After so long a run hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// Where somebody types: a repository and a home, and what lies in a bucket.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    /// None where journal and destinations lie on disk.
    pub(crate) room: Option<Room>,
}

/// What is typed, and what befalls it.
#[derive(Clone, Copy)]
pub(super) struct Typed<'a> {
    pub(super) line: &'a str,
    pub(super) now_ms: u64,
    pub(super) key: Option<&'a str>,
    pub(super) harm: Option<Harm>,
    /// Where calls are logged; without it, those on disk are not.
    pub(super) log: Option<&'a Path>,
    /// Of calls on disk only those are logged by which something takes its place or goes.
    pub(super) only_counts: bool,
}

/// What a run said, how it ended, and the calls that it made.
pub(crate) struct Ran {
    /// The exit code, or 128 and the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) points: Vec<Point>,
}

/// The program, and what does harm to it.
pub(crate) struct Actor {
    pub(crate) isobar: PathBuf,
    /// None where nothing is to be harmed on disk.
    pub(crate) seam: Option<Seam>,
    pub(crate) wire: Wire,
}

/// A run on its way.
struct Started {
    child: Child,
    pid: Pid,
    said: [File; 2],
    begin: Instant,
    log: Option<PathBuf>,
    line: Option<Open>,
}

impl Place {
    /// The same, elsewhere.
    pub(super) fn twin(&self, dir: &Path) -> io::Result<Self> {
        copy(&self.dir, dir)?;
        Ok(Self { dir: dir.into(), room: self.room.as_ref().map(Room::twin) })
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.dir.join("repo")
    }
}

impl Actor {
    /// Runs `isobar` with what is typed, to its end.
    pub(super) fn run(&self, place: &Place, typed: Typed<'_>) -> Result<Ran, String> {
        let started = self.start(place, typed)?;
        if let (Some(line), Some(Harm { fault: Fault::Instant, at })) = (&started.line, typed.harm) {
            sleep(Duration::from_micros(at).saturating_sub(started.begin.elapsed()));
            line.kill();
        }
        started.end()
    }

    /// Runs what stands still at its harm, and the same again while it does.
    pub(super) fn stopped(&self, place: &Place, typed: Typed<'_>, log: &Path) -> Result<[Ran; 2], String> {
        let mut first = self.start(place, typed)?;
        while !first.stands_still() && !first.is_over()? && first.begin.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1));
        }
        let again = Typed { harm: None, log: Some(log), now_ms: typed.now_ms + 500, ..typed };
        let mut other = self.start(place, again)?;
        let stands = if place.room.is_some() { STANDS_ON_WIRE } else { STANDS };
        while !other.is_over()? && other.begin.elapsed() < stands {
            sleep(Duration::from_millis(1));
        }
        first.go_on()?;
        Ok([first.end()?, other.end()?])
    }

    fn start(&self, place: &Place, typed: Typed<'_>) -> Result<Started, String> {
        let line = place.room.as_ref().map(|room| self.wire.open(room, typed.harm));
        let log = typed.log.filter(|_| line.is_none());
        let mut command = match log {
            None => Command::new(&self.isobar),
            Some(log) => {
                // Of the repository only what is written to: the journal, in either place, and the destinations.
                let repo = place.repo();
                let dirs = [repo.join("live"), repo.join(".isobar"), repo.join(".git"), place.dir.join("home")];
                let seam = self.seam.as_ref().ok_or("there is nothing that does harm on disk")?;
                let none = if typed.only_counts { "count" } else { "none" };
                let (word, at) = typed.harm.map_or((none, 0), |harm| (harm.fault.word(), harm.at));
                let mut command = seam.over(word, at, log, &dirs.each_ref().map(PathBuf::as_path));
                command.arg(&self.isobar);
                command
            }
        };
        let said = [tempfile::tempfile_in(&place.dir).map_err(told)?, tempfile::tempfile_in(&place.dir).map_err(told)?];
        let stream = |nth: usize| said[nth].try_clone().map(Stdio::from).map_err(told);
        environment(&mut command, place, typed);
        command.envs(line.iter().flat_map(Open::variables)).stdout(stream(0)?).stderr(stream(1)?).process_group(0);

        let begin = Instant::now();
        if let Some(log) = log {
            let _none = [".stopped", ".go"].map(|what| fs::remove_file(beside(log, what)).ok()); // of the case before
        }
        let child = command.spawn().map_err(told)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a process has a number")?;
        if let Some(line) = &line {
            line.is_of(pid);
        }
        Ok(Started { child, pid, said, begin, log: log.map(PathBuf::from), line })
    }
}

fn environment(command: &mut Command, place: &Place, typed: Typed<'_>) {
    let at = |name: &str| place.dir.join(name);
    command.args(typed.line.split_whitespace()).current_dir(place.repo()).stdin(Stdio::null()).env_clear();
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", at("home")).env("TMPDIR", at("tmp"));
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("NO_COLOR", "1")
        .env("HOSTNAME", "laptop")
        .envs(typed.key.map(|key| ("ISOBAR_KEY", key)));
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "ada").env(format!("GIT_{role}_EMAIL"), "ada@isobar.example");
    }
    command.env("ISOBAR_NOW_MS", typed.now_ms.to_string()).env("ISOBAR_REVIEWS", at("home/reviews.jsonl"));
}

impl Started {
    fn is_over(&mut self) -> Result<bool, String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        Ok(waitid(WaitId::Pid(self.pid), options).map_err(told)?.is_some())
    }

    fn stands_still(&self) -> bool {
        let on_disk = || self.log.as_ref().is_some_and(|log| beside(log, ".stopped").exists());
        self.line.as_ref().map_or_else(on_disk, Open::stands_still)
    }

    fn go_on(&self) -> Result<(), String> {
        match (&self.line, &self.log) {
            (Some(line), _) => line.go_on(),
            (None, Some(log)) => fs::write(beside(log, ".go"), "").map_err(told)?,
            (None, None) => {}
        }
        Ok(())
    }

    /// Waits for its end. As long as its number is its own, it may be killed by the server.
    fn end(mut self) -> Result<Ran, String> {
        waitid(WaitId::Pid(self.pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map_err(told)?;
        if let Some(line) = &self.line {
            line.is_over();
        }
        let status = self.child.wait().map_err(told)?;
        let [stdout, stderr] = self.said.each_mut().map(|said| -> Result<String, String> {
            let mut bytes = Vec::new();
            said.rewind().and_then(|()| said.read_to_end(&mut bytes)).map_err(told)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        let on_disk = || self.log.as_deref().map(Point::all).unwrap_or_default();
        let points = self.line.as_ref().map_or_else(on_disk, Open::points);
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(125);
        Ok(Ran { code, stdout: stdout?, stderr: stderr?, points })
    }
}

fn beside(log: &Path, what: &str) -> PathBuf {
    PathBuf::from(format!("{}{what}", log.display()))
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
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
