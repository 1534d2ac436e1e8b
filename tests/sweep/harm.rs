//! What is done to a run, and where: the faults, the calls that were numbered, and the program that does it, compiled from `faults.c`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// What befalls a run at one of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Killed before the call.
    Before,
    /// Killed after the call.
    After,
    /// Killed when half of a write was made.
    Torn,
    /// The call fails with EIO.
    Eio,
    /// The call is made, and EIO is told; on the wire, the connection breaks.
    Lost,
    /// The call fails with EINTR.
    Eintr,
    /// The disk is full from this call on.
    Full,
    /// The run stands still before the call, until another one came by.
    Stop,
    /// On the wire: the connection breaks before the request is carried out.
    Cut,
    /// On the wire: 503, and nothing is done.
    Busy,
    /// On the wire: 403 from this request on, at a write for writes only.
    Forbid,
    /// On the wire: killed, and the request arrives in the middle of the next run.
    Late,
    /// Killed after so many microseconds, wherever it is.
    Instant,
}

impl Fault {
    const ALL: [Fault; 13] = [
        Fault::Before,
        Fault::After,
        Fault::Torn,
        Fault::Eio,
        Fault::Lost,
        Fault::Eintr,
        Fault::Full,
        Fault::Stop,
        Fault::Cut,
        Fault::Busy,
        Fault::Forbid,
        Fault::Late,
        Fault::Instant,
    ];

    /// Whether it is of use there, and no other fault does the same: only what is written can be torn, and a request that changes nothing
    /// cannot be done without an answer. What an engine only tries out may not arrive late: nobody looks for it before the next
    /// change of that target.
    pub(crate) fn fits(self, point: &Point) -> bool {
        match self {
            Fault::Torn => point.is_write() && point.detail.parse().is_ok_and(|bytes: u64| bytes >= 2),
            Fault::After | Fault::Lost => !point.is_read(),
            Fault::Late => !point.is_read() && !point.path.contains("/.isobar-tmp-"),
            _ => true,
        }
    }

    /// Its word in a case; for a fault at a call, that of `faults.c`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Fault::Before => "before",
            Fault::After => "after",
            Fault::Torn => "torn",
            Fault::Eio => "eio",
            Fault::Lost => "lost",
            Fault::Eintr => "eintr",
            Fault::Full => "full",
            Fault::Stop => "stop",
            Fault::Cut => "cut",
            Fault::Busy => "busy",
            Fault::Forbid => "forbid",
            Fault::Late => "late",
            Fault::Instant => "instant",
        }
    }
}

/// A fault and its place, as `torn@17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Harm {
    pub(crate) fault: Fault,
    /// The number of the call or request, from 1; microseconds for an instant.
    pub(crate) at: u64,
}

impl fmt::Display for Harm {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}@{}", self.fault.word(), self.at)
    }
}

impl FromStr for Harm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('@').and_then(|(word, at)| {
            let fault = Fault::ALL.into_iter().find(|fault| fault.word() == word)?;
            Some(Self { fault, at: at.parse().ok()? })
        });
        parsed.ok_or_else(|| format!("{text:?} is no fault such as torn@17"))
    }
}

/// A call that changed what lies on disk, or was to; or a request to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) number: u64,
    pub(crate) call: String,
    pub(crate) path: String,
    /// The new path of a renamed file; bytes of a write or a request.
    pub(crate) detail: String,
    /// It was made, and well.
    pub(crate) is_made: bool,
}

impl Point {
    /// It carries bytes, and `detail` says how many.
    fn is_write(&self) -> bool {
        matches!(self.call.as_str(), "write" | "PUT")
    }

    /// On the wire: it asked for nothing to be changed.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.call.as_str(), "GET" | "HEAD" | "LIST")
    }

    fn read(line: &str) -> Option<Self> {
        let mut parts = line.split('\t').map(str::to_string);
        let (number, call, path, detail) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?, parts.next()?);
        let is_made = parts.next()?.parse::<i64>().is_ok_and(|returned| returned >= 0);
        Some(Self { number, call, path, detail, is_made })
    }

    /// Reads the log of a run; the last line may be cut short.
    pub(crate) fn all(log: &Path) -> Vec<Self> {
        let bytes = std::fs::read(log).unwrap_or_default();
        let mut points: Vec<Self> = String::from_utf8_lossy(&bytes).lines().filter_map(Self::read).collect();
        points.sort_by_key(|point| point.number);
        points
    }
}

/// The program that numbers calls and does harm at one of them.
#[derive(Clone, Debug)]
pub(crate) struct Seam(PathBuf);

impl Seam {
    /// Compiles it into `dir`; says why not where it cannot be: no C compiler, another system, or no right to trace.
    pub(crate) fn build(dir: &Path) -> Result<Self, String> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sweep/faults.c");
        let made = dir.join("faults");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&made).arg(source);
        let built = cc.output().map_err(|error| format!("cc: {error}"))?;
        if !built.status.success() {
            return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr)));
        }
        let seam = Self(made);
        let tried =
            seam.over("none", 0, &dir.join("tried.log"), &[dir]).arg("true").output().map_err(|error| error.to_string())?;
        match tried.status.success() {
            true => Ok(seam),
            false => Err(format!("tracing: {}", String::from_utf8_lossy(&tried.stderr))),
        }
    }

    /// A command without its program, whose calls below `dirs` are logged and harmed: with a fault's word at call `at`, or with a word of
    /// `faults.c` that harms nothing.
    pub(crate) fn over(&self, word: &str, at: u64, log: &Path, dirs: &[&Path]) -> Command {
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        let mut command = Command::new(&self.0);
        command.arg(log).arg(word).arg(at.to_string()).arg(dirs.join(":"));
        command
    }
}
