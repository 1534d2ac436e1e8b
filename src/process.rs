//! One external command: argument vector, closed environment, deadline, process group, masked output. Knows not what it runs.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

/// Between asking a group to end and ending it.
const GRACE: Duration = Duration::from_secs(2);
/// How often we look, within the grace, whether the command has ended.
const LOOK: Duration = Duration::from_millis(20);
/// For what is still in the pipes when the command has ended: a grandchild that lives on may keep them open for ever.
const DRAIN: Duration = Duration::from_millis(500);
/// Bytes kept of each output: the last ones, as the end is where a failing program says why.
pub const OUTPUT_MAX: usize = 64 * 1024;
/// Bytes read beyond [`OUTPUT_MAX`] and dropped after masking, so that no secret is cut in two and shown by half.
const MARGIN: usize = 8 * 1024;

/// What to run.
pub struct Command<'a> {
    /// The program, looked up on the `PATH` of `env`, and its arguments; no shell.
    pub argv: &'a [OsString],
    /// The whole environment; nothing is inherited.
    pub env: &'a BTreeMap<OsString, OsString>,
    pub dir: &'a Path,
    pub deadline: Duration,
    /// What it reads, and keeps open while it lives, such as a lock that it shares with us; else nothing.
    pub input: Option<&'a File>,
    /// Takes secrets out of a text.
    pub mask: &'a (dyn Fn(&str) -> String + Send + Sync),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Masked; the last [`OUTPUT_MAX`] bytes.
    pub stdout: String,
    pub stderr: String,
    /// An output was longer than what is kept.
    pub truncated: bool,
    /// It did not end within its deadline.
    pub timed_out: bool,
    /// We were told to stop.
    pub cancelled: bool,
}

impl Exit {
    pub fn is_success(&self) -> bool {
        self.code == Some(0) && !self.timed_out && !self.cancelled
    }
}

/// Why it could not be run.
#[derive(Debug, thiserror::Error)]
#[error("starting {program}")]
pub struct Failure {
    pub program: String,
    #[source]
    pub source: io::Error,
}

/// What came first.
enum End {
    Exited(io::Result<ExitStatus>),
    TimedOut,
    Cancelled,
}

/// Runs `command` to its end, its deadline, or until `cancelled` is ready. Past either its whole process group is asked to end
/// and, two seconds later, ended. Dropping the future ends the group at once.
pub async fn run(command: Command<'_>, cancelled: impl Future<Output = ()>) -> Result<Exit, Failure> {
    let late = sleep(command.deadline);
    let program = command.argv.first().map_or_else(String::new, |program| program.to_string_lossy().into_owned());
    let failed = |source| Failure { program: program.clone(), source };
    let mut child = spawn(&command).map_err(failed)?;
    let mut group = Group::of(&child); // declared after the child, so dropped before it is: the group is ended unreaped

    let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let end = {
        let reading = async { tokio::join!(stdout.fill(out), stderr.fill(err)) };
        tokio::pin!(reading, cancelled, late);
        let mut read = false;
        let end = loop {
            tokio::select! {
                status = child.wait() => break End::Exited(status),
                _ = &mut reading, if !read => read = true,
                () = &mut late => break End::TimedOut,
                () = &mut cancelled => break End::Cancelled,
            }
        };
        if matches!(end, End::TimedOut | End::Cancelled) {
            // Reading goes on, so that what the command says of its end is heard and a full pipe does not keep it from ending.
            tokio::select! {
                () = group.end() => {}
                () = async { if !read { let _ = (&mut reading).await; read = true }; std::future::pending().await } => {}
            }
        }
        if !read {
            let _ = timeout(DRAIN, &mut reading).await;
        }
        end
    };
    let (timed_out, cancelled) = (matches!(end, End::TimedOut), matches!(end, End::Cancelled));
    let status = match end {
        End::Exited(status) => status,
        End::TimedOut | End::Cancelled => child.wait().await,
    };
    group.reaped();
    let status = status.map_err(failed)?;

    let texts = (stdout.masked(command.mask), stderr.masked(command.mask));
    Ok(Exit {
        code: status.code(),
        signal: status.signal(),
        truncated: stdout.dropped || stderr.dropped,
        stdout: texts.0,
        stderr: texts.1,
        timed_out,
        cancelled,
    })
}

fn spawn(command: &Command<'_>) -> io::Result<Child> {
    let (program, arguments) =
        command.argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program was given"))?;
    let input = command.input.map_or_else(|| Ok(Stdio::null()), |file| file.try_clone().map(Stdio::from))?;
    tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(command.env)
        .current_dir(command.dir)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// The process group of a child that is not reaped. While it is not, its number is nobody else's, so signals are safe.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        Self(number.and_then(Pid::from_raw))
    }

    /// Asks the group to end, and ends whatever is left of it when its leader ended or the grace is over.
    async fn end(&mut self) {
        let Some(leader) = self.0 else { return };
        let _ = kill_process_group(leader, Signal::TERM); // fails only when nobody is left
        let _ = timeout(GRACE, async {
            while !has_exited(leader) {
                sleep(LOOK).await;
            }
        })
        .await;
        let _ = kill_process_group(leader, Signal::KILL);
    }

    fn reaped(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Looks without reaping.
fn has_exited(leader: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(leader), options), Ok(None))
}

/// The end of an output.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
    dropped: bool,
}

impl Tail {
    async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut part = vec![0; 16 * 1024];
        while let Ok(len @ 1..) = from.read(&mut part).await {
            self.bytes.extend_from_slice(&part[..len]);
            if self.bytes.len() > 2 * (OUTPUT_MAX + MARGIN) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        let extra = self.bytes.len().saturating_sub(OUTPUT_MAX + MARGIN);
        self.bytes.drain(..extra);
        self.dropped |= extra > 0;
    }

    /// Returns the text without secrets. Of a longer output the first bytes go after masking: half a secret may stand there.
    fn masked(&mut self, mask: &(dyn Fn(&str) -> String + Send + Sync)) -> String {
        self.cut();
        let text = mask(&String::from_utf8_lossy(&self.bytes));
        let least = if self.dropped { MARGIN } else { 0 };
        let from = least.max(text.len().saturating_sub(OUTPUT_MAX)).min(text.len());
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        text[from..].to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::time::Instant;

    async fn sh(script: &str, deadline_ms: u64) -> Exit {
        sh_until(script, deadline_ms, pending()).await
    }

    async fn sh_until(script: &str, deadline_ms: u64, cancelled: impl Future<Output = ()>) -> Exit {
        let argv = ["/bin/sh", "-c", script].map(OsString::from);
        let env = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into()), ("GIVEN".into(), "yes".into())]);
        let mask = |text: &str| text.replace("hunter2", "***");
        let deadline = Duration::from_millis(deadline_ms);
        let command = Command { argv: &argv, env: &env, dir: Path::new("/"), deadline, input: None, mask: &mask };
        run(command, cancelled).await.expect("sh is there")
    }

    /// Whether the process whose number stands first in `text` is gone within a second.
    async fn is_gone(text: &str) -> bool {
        let number = text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a process number");
        for _ in 0..50 {
            let state = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            let gone = rustix::process::test_kill_process(Pid::from_raw(number).expect("not zero")).is_err();
            if gone || state.contains(") Z ") {
                return true;
            }
            sleep(LOOK).await;
        }
        false
    }

    #[tokio::test]
    async fn what_it_says_and_how_it_ends_is_told() {
        let exit = sh("echo out; echo err >&2; exit 3", 10_000).await;
        assert_eq!((exit.code, exit.stdout.as_str(), exit.stderr.as_str()), (Some(3), "out\n", "err\n"));
        assert!(!exit.is_success() && !exit.timed_out && !exit.truncated);
        assert!(sh("true", 10_000).await.is_success());
    }

    #[tokio::test]
    async fn the_environment_is_what_was_given_and_nothing_else() {
        let said = sh("env | cut -d= -f1 | sort | tr '\\n' ' '; cat", 10_000).await.stdout;
        let names: Vec<_> = said.split_whitespace().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
        assert_eq!(names, ["GIVEN", "PATH"]); // the shell itself makes the others
    }

    #[tokio::test]
    async fn past_its_deadline_grandchildren_end_too() {
        let exit = sh("sleep 100 & echo $!; wait", 200).await;
        assert!(exit.timed_out && exit.signal == Some(15), "{exit:?}");
        assert!(is_gone(&exit.stdout).await);
    }

    /// Milliseconds in which a shell on a busy machine has begun to ignore the request.
    const SET_UP: u64 = 2_000;

    #[tokio::test]
    async fn who_ignores_a_request_to_end_is_ended_after_the_grace() {
        let began = Instant::now();
        let exit = sh("trap '' TERM; echo $$; while :; do sleep 0.1; done", SET_UP).await;
        assert_eq!((exit.timed_out, exit.signal), (true, Some(9)));
        assert!(began.elapsed() >= GRACE);
        assert!(is_gone(&exit.stdout).await);
    }

    #[tokio::test]
    async fn a_grandchild_that_outlives_the_request_is_ended_with_the_group() {
        let exit = sh("(trap '' TERM; exec sleep 100) & echo $!; wait", SET_UP).await;
        assert!(exit.timed_out);
        assert!(is_gone(&exit.stdout).await);
    }

    #[tokio::test]
    async fn cancelled_is_told_from_too_late_and_last_words_are_heard() {
        let soon = sleep(Duration::from_millis(200));
        let exit = sh_until("trap 'echo bye; exit 7' TERM; while :; do sleep 0.05; done", 60_000, soon).await;
        assert_eq!((exit.cancelled, exit.timed_out, exit.code, exit.stdout.as_str()), (true, false, Some(7), "bye\n"));
        assert!(!exit.is_success());
    }

    #[tokio::test]
    async fn a_grandchild_that_keeps_the_pipe_does_not_hold_us() {
        let began = Instant::now();
        let exit = sh("echo hello; sleep 5 & exit 0", 60_000).await;
        assert_eq!((exit.code, exit.stdout.as_str()), (Some(0), "hello\n"));
        assert!(began.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn a_dropped_run_leaves_nobody_behind() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let script = format!("sleep 100 & echo $! > {}; wait", file.path().display());
        let _ = timeout(Duration::from_millis(500), sh(&script, 60_000)).await;
        let text = std::fs::read_to_string(file.path()).expect("it was written");
        assert!(is_gone(&text).await);
    }

    #[tokio::test]
    async fn the_end_of_a_long_output_is_kept_and_secrets_are_not() {
        let exit = sh(
            "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 $i; i=$((i+1)); done; \
                       echo last hunter2",
            30_000,
        )
        .await;
        assert!(exit.truncated && exit.stdout.len() <= OUTPUT_MAX && exit.stdout.len() > OUTPUT_MAX / 2);
        assert!(exit.stdout.ends_with("2999\nlast ***\n"));
    }

    #[test]
    fn half_a_secret_at_the_cut_is_not_shown() {
        let mut tail = Tail::default();
        tail.bytes.extend("hunter2".repeat(20_000).bytes());
        let text = tail.masked(&|text| text.replace("hunter2", "***"));
        assert!(text.len() > OUTPUT_MAX / 4 && text.chars().all(|c| c == '*'), "{}", &text[..20]);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let (argv, env) = (["no-such-program".into()], BTreeMap::new());
        let command =
            Command { argv: &argv, env: &env, dir: Path::new("/"), deadline: GRACE, input: None, mask: &|text| text.to_string() };
        let failure = run(command, pending()).await.expect_err("it is not there");
        assert_eq!((failure.to_string().as_str(), failure.source.kind()), ("starting no-such-program", io::ErrorKind::NotFound));
    }
}
