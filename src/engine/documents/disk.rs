//! The only place that touches the disk: reads and writes below a repository's root, by path from it. Never follows a
//! symlink, at no step of a path: each directory is opened from the one above it. Knows no manifest and no document.

use super::path;
use super::place::{BeforeWrite, Entry, Found, READ_MAX};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

/// Directories kept open at once; a process may have few files open.
const OPEN_MAX: usize = 32;

/// A repository's root on this machine, opened.
pub(super) struct Disk {
    root: Rc<OwnedFd>,
    open: RefCell<BTreeMap<String, Rc<OwnedFd>>>,
    /// Directories whose entries changed since they were last written out.
    dirty: RefCell<BTreeSet<String>>,
    steps: Cell<usize>,
    before_write: Option<BeforeWrite>,
}

enum Opened {
    Dir(Rc<OwnedFd>),
    Absent,
    Blocked(String, &'static str),
}

impl Disk {
    pub(super) fn open(root: &Path, before_write: Option<BeforeWrite>) -> Result<Self, String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            rustix::fs::openat(CWD, root, flags, Mode::empty()).map_err(|error| told("opening", "the repository", error))?;
        Ok(Self { root: Rc::new(root), open: RefCell::default(), dirty: RefCell::default(), steps: Cell::new(0), before_write })
    }

    /// Says whether anything was changed so far.
    pub(super) fn is_untouched(&self) -> bool {
        self.steps.get() == 0
    }

    pub(super) fn read(&self, path: &str) -> Result<Found, String> {
        let (parent, name) = path::split(path);
        let dir = match self.dir(parent)? {
            Opened::Dir(dir) => dir,
            Opened::Absent => return Ok(Found::Absent),
            Opened::Blocked(path, what) => return Ok(Found::Blocked(path, what)),
        };
        // Not blocking, or a pipe in the place of a document would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&*dir, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Found::Absent),
            Err(Errno::LOOP | Errno::NXIO) => return Ok(Found::Blocked(path.into(), kind_at(&dir, name))),
            Err(error) => return Err(told("reading", path, error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|error| told("reading", path, error))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            return Ok(Found::Blocked(path.into(), named(kind)));
        }
        let mut bytes = Vec::new();
        File::from(fd).take(READ_MAX + 1).read_to_end(&mut bytes).map_err(|error| told("reading", path, error))?;
        if bytes.len() as u64 > READ_MAX {
            return Err(format!("reading {path}: it has more than {READ_MAX} bytes; move it away"));
        }
        Ok(Found::File(bytes))
    }

    /// Returns the entries of a directory, sorted by name; none when it is absent or no directory.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, String> {
        let Opened::Dir(dir) = self.dir(path)? else { return Ok(vec![]) };
        let fault = |error| told("listing", path, error);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&*dir).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match rustix::fs::statat(&*dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(fault(error)),
                },
                kind => kind,
            };
            entries.push(Entry { name, is_dir: kind == FileType::Directory });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Makes a directory and those above it.
    pub(super) fn make_dir(&self, path: &str) -> Result<(), String> {
        if matches!(self.dir(path)?, Opened::Dir(_)) {
            return Ok(());
        }
        let (parent, name) = path::split(path);
        if !path.is_empty() {
            self.make_dir(parent)?;
        }
        let dir = self.writable(parent)?;
        self.step("making", path)?;
        match rustix::fs::mkdirat(&*dir, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {} // another target may make the same directory just now
            Err(error) => return Err(told("making", path, error)),
        }
        self.dirty.borrow_mut().insert(parent.into());
        Ok(())
    }

    /// Writes a file that nobody looks at yet, and waits until its bytes are safe.
    pub(super) fn write_temporary(&self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let (parent, name) = path::split(path);
        let dir = self.writable(parent)?;
        self.step("writing", path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(&*dir, name, flags, Mode::from_raw_mode(0o666)).map_err(|error| told("writing", path, error))?;
        let mut file = File::from(fd);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| told("writing", path, error))
    }

    /// Puts a file written before in its place, in one step; both are in one directory.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), String> {
        let (parent, name) = path::split(to);
        let dir = self.writable(parent)?;
        self.step("renaming", to)?;
        rustix::fs::renameat(&*dir, path::split(from).1, &*dir, name).map_err(|error| told("renaming", to, error))?;
        self.dirty.borrow_mut().insert(parent.into());
        Ok(())
    }

    /// Removes a file; that it is gone already is fine.
    pub(super) fn remove(&self, path: &str) -> Result<(), String> {
        let (parent, name) = path::split(path);
        let Opened::Dir(dir) = self.dir(parent)? else { return Ok(()) };
        self.step("removing", path)?;
        match rustix::fs::unlinkat(&*dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(told("removing", path, error)),
        }
        self.dirty.borrow_mut().insert(parent.into());
        Ok(())
    }

    /// Removes a directory when it is empty; true when it is gone.
    pub(super) fn remove_empty_dir(&self, path: &str) -> Result<bool, String> {
        let (parent, name) = path::split(path);
        let Opened::Dir(dir) = self.dir(parent)? else { return Ok(true) };
        self.open.borrow_mut().retain(|open, _| !path::is_within(open, path));
        self.step("removing", path)?;
        match rustix::fs::unlinkat(&*dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => return Ok(false),
            Err(error) => return Err(told("removing", path, error)),
        }
        self.dirty.borrow_mut().retain(|dirty| !path::is_within(dirty, path));
        self.dirty.borrow_mut().insert(parent.into());
        Ok(true)
    }

    /// Waits until every changed directory is safe.
    pub(super) fn sync(&self) -> Result<(), String> {
        for path in std::mem::take(&mut *self.dirty.borrow_mut()) {
            let dir = self.writable(&path)?;
            self.step("syncing", &path)?;
            rustix::fs::fsync(&*dir).map_err(|error| told("syncing", &path, error))?;
        }
        Ok(())
    }

    fn step(&self, doing: &str, path: &str) -> Result<(), String> {
        if let Some(before_write) = &self.before_write {
            before_write(&format!("{doing} {path}")).map_err(|error| told(doing, path, error))?;
        }
        self.steps.set(self.steps.get() + 1);
        Ok(())
    }

    fn writable(&self, path: &str) -> Result<Rc<OwnedFd>, String> {
        match self.dir(path)? {
            Opened::Dir(dir) => Ok(dir),
            Opened::Absent => Err(format!("{path} is gone")),
            Opened::Blocked(path, what) => Err(format!("{path} is {what}, and must be a directory")),
        }
    }

    fn dir(&self, path: &str) -> Result<Opened, String> {
        if path.is_empty() {
            return Ok(Opened::Dir(self.root.clone()));
        }
        if let Some(dir) = self.open.borrow().get(path) {
            return Ok(Opened::Dir(dir.clone()));
        }
        let (parent, name) = path::split(path);
        let above = match self.dir(parent)? {
            Opened::Dir(above) => above,
            other @ (Opened::Absent | Opened::Blocked(..)) => return Ok(other),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match rustix::fs::openat(&*above, name, flags, Mode::empty()) {
            Ok(dir) => Rc::new(dir),
            Err(Errno::NOENT) => return Ok(Opened::Absent),
            Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Opened::Blocked(path.into(), kind_at(&above, name))),
            Err(error) => return Err(told("opening", path, error)),
        };
        let mut open = self.open.borrow_mut();
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(path.into(), dir.clone());
        Ok(Opened::Dir(dir))
    }
}

fn kind_at(dir: &OwnedFd, name: &str) -> &'static str {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => named(FileType::from_raw_mode(stat.st_mode)),
        Err(_) => "gone",
    }
}

fn named(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symlink",
        _ => "a device or a pipe",
    }
}

fn told(doing: &str, path: &str, error: impl Into<io::Error>) -> String {
    format!("{doing} {path}: {}", error.into())
}
