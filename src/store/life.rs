//! Whether the holder of a lease still lives, where the lease lies on no disk of ours. Only proof counts, never time: the same
//! boot of the same machine, and a lock that the system gave back or a process that is gone.

use super::{Holder, StoreError};
use crate::change::Digest;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What can be told of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Proven.
    Lives,
    /// Proven.
    Ended,
    /// It runs, or ran, where we cannot look.
    Unknown,
}

/// What a holder leaves of its process, for those who want to prove that it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trace {
    /// The machine's boot; `None` where the system tells of none.
    boot: Option<Arc<str>>,
    /// Its process numbers count in here.
    namespace: Option<Arc<str>>,
    /// When its process began, as the system counts.
    began: Option<Arc<str>>,
    /// Tells the directory of its file from every other, without naming it.
    dir: Option<Arc<str>>,
    /// The name of the file that it keeps locked while it lives.
    lock: Arc<str>,
}

/// This machine, as far as it can prove anything.
#[derive(Clone, Debug)]
pub(super) struct Here {
    boot: Option<Arc<str>>,
    namespace: Option<Arc<str>>,
    /// Where holders of this user keep their locked files.
    locks: PathBuf,
}

impl Here {
    pub(super) fn new(locks: PathBuf) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok().or_else(boot_without_proc);
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
        Self { boot: boot.map(|text| text.trim().into()), namespace: namespace.map(|path| path.to_string_lossy().into()), locks }
    }

    /// Of this machine; `None` where the system tells of none.
    pub(super) fn boot(&self) -> Option<Arc<str>> {
        self.boot.clone()
    }

    /// A machine that cannot look at this one.
    #[cfg(test)]
    pub(super) fn of_another_boot(locks: PathBuf) -> Self {
        Self { boot: Some("another".into()), ..Self::new(locks) }
    }

    /// Makes the trace of a lease of this process, and the locked file that proves it: the lock ends with the file or the process.
    pub(super) fn leave(&self, run: &str) -> Result<(Trace, File), StoreError> {
        static LEASES: AtomicU64 = AtomicU64::new(0);
        let nth = LEASES.fetch_add(1, Ordering::Relaxed);
        let run: String = run.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(64).collect();
        let lock: Arc<str> = format!("{run}.{}.{nth}", std::process::id()).into();
        let path = self.lock_file(&lock);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.locks).and_then(|()| {
            let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            file.try_lock().map_err(|error| match error {
                TryLockError::WouldBlock => std::io::Error::from(ErrorKind::AlreadyExists),
                TryLockError::Error(error) => error,
            })?;
            Ok(file)
        });
        let file = made.map_err(|error| StoreError::Io {
            what: format!("locking {}: {error}", path.display()),
            hint: Some("a run proves with that file that it lives: let it be written, or set XDG_STATE_HOME".into()),
        })?;
        let began = began(std::process::id());
        let (boot, namespace, dir) = (self.boot.clone(), self.namespace.clone(), Some(self.dir()));
        Ok((Trace { boot, namespace, began, dir, lock }, file))
    }

    /// Removes what a lease that is over left here.
    pub(super) fn forget(&self, trace: &Trace) {
        if is_plain(&trace.lock) {
            let _ = std::fs::remove_file(self.lock_file(&trace.lock)); // it may be another machine's
        }
    }

    /// Tells whether `holder`, which left `trace`, lives. Its file is missing where another user keeps his, and the process tells; where it
    /// should lie before us, it was never on this machine: two that were resumed from one image count as one boot.
    pub(super) fn life(&self, holder: &Holder, trace: &Trace) -> Life {
        if self.boot.is_none() || self.boot != trace.boot || !is_plain(&trace.lock) {
            return Life::Unknown;
        }
        match is_locked(&self.lock_file(&trace.lock)) {
            Some(true) => Life::Lives,
            Some(false) => Life::Ended,
            None if trace.dir.as_ref().is_none_or(|dir| *dir == self.dir()) => Life::Unknown,
            None if self.namespace.is_some() && self.namespace == trace.namespace => process(holder.pid, trace),
            None => Life::Unknown,
        }
    }

    fn dir(&self) -> Arc<str> {
        Digest::of("locks", &[&self.locks.to_string_lossy()]).short().into()
    }

    fn lock_file(&self, lock: &str) -> PathBuf {
        self.locks.join(format!("{lock}.lock"))
    }
}

/// What macOS says of its boot.
fn boot_without_proc() -> Option<String> {
    let said = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "kern.bootsessionuuid"]).output().ok()?;
    let boot = String::from_utf8(said.stdout).ok()?;
    (said.status.success() && !boot.trim().is_empty()).then_some(boot)
}

/// It is a name and leads nowhere else.
fn is_plain(lock: &str) -> bool {
    lock.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

/// `None` when there is no such file, or it cannot be asked.
fn is_locked(path: &Path) -> Option<bool> {
    match File::open(path).ok()?.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// A number of this namespace: nobody has it, or somebody who began at another time, or the very one.
fn process(pid: u32, trace: &Trace) -> Life {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Life::Unknown };
    if test_kill_process(number) == Err(rustix::io::Errno::SRCH) {
        return Life::Ended;
    }
    match (began(pid), &trace.began) {
        (Some(now), Some(then)) if now != *then => Life::Ended,
        (Some(_), Some(_)) => Life::Lives,
        (_, None) | (None, _) => Life::Unknown,
    }
}

/// When a process began: the 22nd field of its line, the 20th after the name, which may hold anything.
fn began(pid: u32) -> Option<Arc<str>> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(pid: u32) -> Holder {
        Holder { run: "one".into(), host: "here".into(), pid, since_ms: 1, job: None }
    }

    fn here() -> (tempfile::TempDir, Here) {
        let dir = crate::scratch::dir();
        let here = Here::new(dir.path().join("locks"));
        (dir, here)
    }

    #[test]
    fn a_lock_that_was_given_back_is_an_end() {
        let (_dir, here) = here();
        let (trace, guard) = here.leave("one").expect("it has room");
        assert_eq!(here.life(&holder(1), &trace), Life::Lives);
        drop(guard);
        // A child that another test starts at this moment has the file as well, until it becomes another program.
        let is_ended = || here.life(&holder(1), &trace) == Life::Ended;
        for _ in 0..1_000 {
            if is_ended() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the lock was given back");
    }

    #[test]
    fn without_the_file_the_process_is_asked() {
        let (_dir, here) = here();
        let (trace, _guard) = here.leave("one").expect("it has room");
        let (_other, elsewhere) = self::here();
        let own = std::process::id();
        assert_eq!(elsewhere.life(&holder(own), &trace), Life::Lives);
        let younger = Trace { began: Some("1".into()), ..trace.clone() };
        assert_eq!(elsewhere.life(&holder(own), &younger), Life::Ended, "its number is another's now");
        assert_eq!(elsewhere.life(&holder(i32::MAX as u32), &trace), Life::Ended, "nobody has that number");
        let inside = Trace { namespace: Some("pid:[1]".into()), ..trace };
        assert_eq!(elsewhere.life(&holder(own), &inside), Life::Unknown, "that number counts elsewhere");
    }

    /// Runners that were resumed from one image have its boot, its names and its numbers, and not each other's files.
    #[test]
    fn a_twin_of_the_machine_proves_nothing() {
        let (_dir, here) = here();
        let (trace, _guard) = here.leave("one").expect("it has room");
        let twin = Trace { lock: "of-the-twin.7.0".into(), ..trace };
        assert_eq!(here.life(&holder(i32::MAX as u32), &twin), Life::Unknown, "its file should lie here");
        let unsaid = Trace { dir: None, ..twin };
        assert_eq!(here.life(&holder(i32::MAX as u32), &unsaid), Life::Unknown);
    }

    #[test]
    fn another_machine_or_boot_proves_nothing() {
        let (_dir, here) = here();
        let (trace, guard) = here.leave("one").expect("it has room");
        drop(guard);
        for boot in [Some("another".into()), None] {
            let other = Trace { boot, ..trace.clone() };
            assert_eq!(here.life(&holder(i32::MAX as u32), &other), Life::Unknown);
        }
        let silent = Here { boot: None, ..here };
        assert_eq!(silent.life(&holder(1), &Trace { boot: None, ..trace }), Life::Unknown);
    }

    #[test]
    fn a_trace_leads_to_no_file_but_a_lock() {
        let (_dir, here) = here();
        let (trace, _guard) = here.leave("../../odd run").expect("it has room");
        assert!(is_plain(&trace.lock), "{trace:?}");
        assert_eq!(here.life(&holder(1), &Trace { lock: "../x".into(), ..trace }), Life::Unknown);
    }
}
