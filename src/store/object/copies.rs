//! Copies of the newest pages that processes of this machine wrote, so that its other processes need not ask the service for each of
//! them. Knows files; whether a copy follows what was read is for whoever turns it.
//!
//! Only copies count that were made since this process began to read: what was there by then it reads from the service, which somebody
//! may have put back to how it was. For the same reason a copy is enough to read on and not to write behind.

use crate::change::Digest;
use rustix::time::{ClockId, clock_gettime};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

/// As many as are kept, each in the place of one that is so many pages older: whoever is further behind asks the service.
const KEPT: u64 = 64;

/// Bytes of a page that is kept at most.
const COPY_MAX: usize = 1 << 20;

/// A directory of this user. All of it may be deleted at any time.
pub(super) struct Copies {
    dir: PathBuf,
    /// Of the machine; without one nobody could tell when a copy was made.
    boot: Option<Arc<str>>,
    /// Nanoseconds of this boot.
    since: i128,
}

impl Copies {
    /// Those that are made from now on.
    pub(super) fn from_now(dir: PathBuf, boot: Option<Arc<str>>) -> Self {
        Self { dir, boot, since: now() }
    }

    /// What is there by now does not count any more.
    pub(super) fn begin_anew(&mut self) {
        self.since = now();
    }

    /// Keeps the text of a page that the service has. It begins with its digest: one that is read while it is written is none.
    pub(super) fn keep(&self, page: u64, text: &str) {
        let Some(boot) = self.boot.as_ref().filter(|_| text.len() <= COPY_MAX) else { return };
        let path = self.path(page);
        let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let made = open().or_else(|_| DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).and_then(|()| open()));
        let copy = format!("{page} {boot} {} {}\n{text}", now(), Digest::of_bytes(text.as_bytes()));
        let _only_slower = made.and_then(|mut file| file.write_all(copy.as_bytes()));
    }

    /// What is kept in the place of this page, whole.
    pub(super) fn read(&self, page: u64) -> Option<String> {
        let mut kept = BufReader::new(File::open(self.path(page)).ok()?);
        let (mut first, mut text) = (String::new(), String::new());
        kept.read_line(&mut first).ok()?;
        let mut words = first.trim_end().split(' ');
        let (number, boot, made, digest) = (words.next()?, words.next()?, words.next()?.parse::<i128>().ok()?, words.next()?);
        if number.parse() != Ok(page) || self.boot.as_deref() != Some(boot) || made < self.since {
            return None; // mostly one that is so many pages older
        }
        kept.read_to_string(&mut text).ok()?;
        (Digest::of_bytes(text.as_bytes()).as_str() == digest).then_some(text)
    }

    fn path(&self, page: u64) -> PathBuf {
        self.dir.join((page % KEPT).to_string())
    }
}

/// It counts from the boot on for every process, and nobody sets it back.
fn now() -> i128 {
    let time = clock_gettime(ClockId::Monotonic);
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_copy_is_whole_or_none_and_gives_way_to_newer_ones() {
        let dir = crate::scratch::dir();
        let open = || Copies::from_now(dir.path().join("pages"), Some("boot".into()));
        let copies = open();
        assert_eq!(copies.read(1), None);
        copies.keep(1, "one\n");
        copies.keep(2, "two\n");
        assert_eq!((copies.read(1), copies.read(2)), (Some("one\n".into()), Some("two\n".into())));
        copies.keep(1 + KEPT, "later\n");
        assert_eq!(copies.read(1 + KEPT), Some("later\n".into()));
        copies.keep(2, &"x".repeat(COPY_MAX + 1));
        assert_eq!(copies.read(2), Some("two\n".into()), "what is too large is not kept");

        let torn = fs::read_to_string(copies.path(2)).expect("it is kept");
        fs::write(copies.path(2), &torn[..torn.len() - 1]).expect("it has room");
        assert_eq!(copies.read(2), None);

        let (later, earlier) = (open(), 1 + KEPT);
        assert_eq!(later.read(earlier), None, "who comes now asks the service for what is there");
        assert_eq!(copies.read(1), None, "what is kept there is another page");
        let rebooted = Copies { boot: Some("another".into()), since: 0, ..open() };
        assert_eq!((rebooted.read(earlier), copies.read(earlier)), (None, Some("later\n".into())));
    }
}
