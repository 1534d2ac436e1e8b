//! A run of the program that a story watches while it goes on.

use super::{Ran, Sandbox};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// After this long something is broken; a busy machine needs some of it.
const PATIENCE: Duration = Duration::from_secs(40);

impl Sandbox {
    /// Starts the program and returns while it runs.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut program = self.program();
        program.args(arguments);
        self.spawn(program)
    }

    /// The same with a program that is made ready already.
    pub(crate) fn spawn(&self, mut program: Command) -> Child {
        let stream = |name: &str| Stdio::from(File::create(self.outside(name)).expect("a file beside the repository"));
        program.stdout(stream("stdout")).stderr(stream("stderr"));
        program.spawn().expect("the program starts")
    }

    /// Waits until a child made a file.
    pub(crate) fn await_file(&self, file: &str, child: &mut Child) {
        self.await_that(file, child, || self.root().join(file).exists());
    }

    /// Waits until something is so that a running child brings about.
    pub(crate) fn await_that(&self, what: &str, child: &mut Child, is_so: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so() {
            let ended = child.try_wait().expect("it is our child");
            assert!(ended.is_none() && Instant::now() < until, "{what} did not come: {ended:?}, {:?}", self.said(0));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a child a signal and waits for its end: what it said, and how long it took.
    pub(crate) fn signal(&self, child: Child, signal: &str) -> (Ran, Duration) {
        self.signals(child, &[signal])
    }

    /// The same with several, one second after the other.
    pub(crate) fn signals(&self, mut child: Child, signals: &[&str]) -> (Ran, Duration) {
        let asked = Instant::now();
        for (nth, signal) in signals.iter().enumerate() {
            let later = Duration::from_secs(nth as u64);
            while asked.elapsed() < later && child.try_wait().expect("it is our child").is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let sent =
                self.finish(self.command("/bin/sh").args(["-c", &format!("kill -{signal} {} 2>/dev/null || true", child.id())]));
            assert_eq!(sent, Ran { code: 0, stdout: String::new(), stderr: String::new() });
        }
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                let code = status.code().expect("a signal that is heard ends with a code");
                return (self.said(code), asked.elapsed());
            }
            if asked.elapsed() > PATIENCE {
                child.kill().expect("it is our child");
                child.wait().expect("it is our child");
                panic!("it did not end by itself: {:?}", self.said(137));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn said(&self, code: i32) -> Ran {
        let read = |name: &str| std::fs::read_to_string(self.outside(name)).unwrap_or_default();
        Ran { code, stdout: read("stdout"), stderr: read("stderr") }
    }
}
