//! An emulator, or a proxy, as a process of its own, on a port that was free. It ends with the test binary, even one that was killed: a shell
//! beside it waits for the end of a pipe that only the test binary holds.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A slow machine that does much else.
const READY_SECS: u64 = 120;

/// Ends the emulator when standard input ends.
const WATCH: &str = "\"$@\" </dev/null & pid=$!; cat >/dev/null; kill -9 $pid";

pub(crate) struct Emulator {
    _watch: Child,
    address: String,
}

impl Emulator {
    /// Starts `program` of the tool `name` and waits until it says where it listens; `None`, and a word about it, without the tool.
    pub(crate) fn start(name: &str, program: &str, arguments: &[&str], variables: &[(&str, String)]) -> Option<Self> {
        Self::start_by(name, program, |program| vec![program.into()], arguments, variables)
    }

    /// The same by another command than the program itself.
    pub(super) fn start_by(
        name: &str,
        program: &str,
        command: impl FnOnce(&Path) -> Vec<OsString>,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> Option<Self> {
        let Some(program) = find(program) else {
            let required = std::env::var("ISOBAR_REQUIRE").unwrap_or_default();
            assert!(
                !required.split(',').any(|tool| tool == name),
                "{name} is required and not installed: scripts/engines {name}"
            );
            let _closed = writeln!(std::io::stderr(), "skipped: what needs {name}; install it with scripts/engines {name}");
            return None;
        };
        let said = tempfile::NamedTempFile::new().expect("a temporary file");
        let output = || Stdio::from(File::options().append(true).open(said.path()).expect("it was just made"));
        let watch = Command::new("/bin/sh")
            .args(["-c", WATCH, "sh"])
            .args(command(&program))
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::piped())
            .stdout(output())
            .stderr(output())
            .spawn();
        Some(Self { _watch: watch.expect("there is a shell"), address: address(said.path()) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request without a body; returns the status.
    pub(crate) fn send(&self, line: &str, headers: &[(&str, &str)]) -> u16 {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let mut text = format!("{line}\r\nhost: {}\r\ncontent-length: 0\r\nconnection: close\r\n", self.address);
        let own = |name: &str| matches!(name, "host" | "content-length" | "connection");
        for (name, value) in headers.iter().filter(|(name, _)| !own(name)) {
            text += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{text}\r\n").as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }
}

/// Looks where `scripts/engines` installs, and then on `PATH`.
fn find(program: &str) -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || Some(var("HOME")?.join(".cache/isobar/engines"));
    let own = var("ISOBAR_ENGINES").or_else(cache).map(|dir| dir.join("bin"));
    let path = var("PATH").unwrap_or_default();
    own.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Waits for the line that says where it listens; returns `127.0.0.1:PORT`.
fn address(said: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(READY_SECS);
    loop {
        let text = std::fs::read_to_string(said).expect("it writes text");
        let ready = |line: &&str| {
            ["Running on http://127", "successfully listens on", "Prism is listening on"].iter().any(|words| line.contains(words))
        };
        let url = text.lines().find(ready).and_then(|line| line.split_once("http://"));
        if let Some(address) = url.and_then(|(_, address)| address.split_whitespace().next()) {
            return address.trim_end_matches('/').to_string();
        }
        assert!(Instant::now() < until, "it does not begin to listen:\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
