//! Brings one fleet by many processes at once, and by one; says whether each target was begun once, whether a wave began before the one
//! before it was verified, and how long it took.
//!
//! ```sh
//! bench-shards ISOBAR directory|git|bucket PROCESSES TARGETS DIR
//! ```
//!
//! Every target has one document, in a bucket of a server on loopback that answers the write of a document after [`WAIT`]: that is
//! what a target waits for. `PROCESSES` processes with one target in flight each are compared with one process that has one in flight
//! (efficiency is its time, divided by theirs and by how many they are) and with one that has as many in flight as they have together
//! (efficiency is its time, divided by theirs). `DIR` must not be there, and is removed at the end.

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Time};
use isobar::bucket::{Access, Address, Buckets};
use isobar::journal::{Entry, Event};
use isobar::rollout::StepEvent;
use isobar::stack::TargetId;
use isobar::store::{Anew, FileStore, GitSite, GitStore, Location, ObjectSite, ObjectStore, Store};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/it/support/cloud/mod.rs"]
mod cloud;

type Done<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "bench-shards ISOBAR directory|git|bucket PROCESSES TARGETS DIR";

/// What the write of a document takes.
const WAIT: Duration = Duration::from_millis(50);

/// The name of every document.
const DOCUMENT: &str = "app.txt";

const REGIONS: usize = 10;

/// Regions of the first wave.
const FIRST: usize = 2;

/// 2026-11-22 09:00 UTC, in seconds.
const AT: i64 = 1_795_338_000;

fn main() -> Done<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let [isobar, journal, processes, targets, dir] = given.as_slice() else { return Err(USAGE.into()) };
    let (processes, targets, dir) = (processes.parse()?, targets.parse()?, Path::new(dir));
    if dir.exists() {
        return Err(format!("{} is there already", dir.display()).into());
    }
    fs::create_dir_all(dir)?;
    cloud::google_server().answer_late(&format!("/{DOCUMENT}"), WAIT);
    let bench = |processes: usize, in_flight: usize| -> Done<Bench<'_>> {
        let dir = dir.join(format!("{processes}x{in_flight}"));
        Ok(Bench { isobar: Path::new(isobar).canonicalize()?, journal, processes, in_flight, targets, dir })
    };
    let rows = || -> Done<()> {
        let alone = bench(1, 1)?.tell(None)?;
        let wide = bench(1, processes)?.tell(None)?;
        bench(processes, 1)?.tell(Some((alone / processes as f64, wide))).map(drop)
    };
    let told = rows();
    fs::remove_dir_all(dir)?;
    told
}

struct Bench<'a> {
    isobar: PathBuf,
    /// Where the journal lies.
    journal: &'a str,
    processes: usize,
    /// Targets that each has in flight at most.
    in_flight: usize,
    targets: usize,
    dir: PathBuf,
}

impl Bench<'_> {
    /// Brings the fleet, prints a row, and returns how many seconds it took. `best` is what it would have taken with all that one
    /// process does with one in flight, and with as many.
    fn tell(&self, best: Option<(f64, f64)>) -> Done<f64> {
        self.write_fleet()?;
        let begin = Instant::now();
        let children: Vec<Child> = (1..=self.processes).map(|nth| self.start(nth)).collect::<Done<_>>()?;
        let mut failed = 0;
        for mut child in children {
            failed += usize::from(!child.wait()?.success());
        }
        let secs = begin.elapsed().as_secs_f64();

        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let entries = runtime.block_on(async { Done::Ok(self.open()?.read().await?) })?;
        let (mut begun, overlaps) = (BTreeMap::<TargetId, usize>::new(), overlaps(&entries));
        starts(&entries).for_each(|(_, target)| *begun.entry(target.clone()).or_default() += 1);
        let once = begun.values().filter(|times| **times == 1).count();
        let waited = WAIT.as_secs_f64() * self.targets as f64 / (self.processes * self.in_flight) as f64;
        let efficiency = best.map_or("- | -".into(), |(alone, wide)| format!("{:.2} | {:.2}", alone / secs, wide / secs));
        writeln!(
            std::io::stdout(),
            "| {} | {} | {} | {} | {once} | {} | {overlaps} | {failed} | {secs:.1} s | {waited:.1} s | {efficiency} |",
            self.journal,
            self.processes,
            self.in_flight,
            self.targets,
            begun.len() - once,
        )?;
        match (once == self.targets && begun.len() == once, overlaps, failed) {
            (true, 0, 0) => Ok(secs),
            _ => Err("a target was not begun exactly once, waves overlap, or a process failed".into()),
        }
    }

    fn fleet(&self) -> PathBuf {
        self.dir.join("fleet")
    }

    fn origin(&self) -> PathBuf {
        self.dir.join("origin.git")
    }

    /// Everything in the bucket that is of this bench.
    fn prefix(&self) -> String {
        format!("gs://isobar-tests/{}-{}x{}", self.journal, self.processes, self.in_flight)
    }

    fn write_fleet(&self) -> Done<()> {
        let journal = match self.journal {
            "directory" => "file:.isobar/journal".to_string(),
            "git" => "git".to_string(),
            "bucket" => format!("{}/journal", self.prefix()),
            _ => return Err(USAGE.into()),
        };
        let mut text = format!("version: 1\njournal: {journal}\nregions:\n");
        for region in 0..REGIONS {
            text += &format!("  prod/r{region}: {{}}\n");
        }
        let first: Vec<String> = (0..FIRST).map(|region| format!("r{region}")).collect();
        let in_flight = self.processes * self.in_flight;
        text += &format!("rollout:\n  prod:\n    max_parallel: {in_flight}\n    waves:\n");
        text +=
            &format!("      - {{ name: first, regions: [{}] }}\n      - {{ name: rest, regions: \"*\" }}\n", first.join(", "));
        self.write("isobar.yaml", &text)?;
        self.write(".gitignore", "/.isobar/\n")?;
        for stack in 0..self.targets / REGIONS {
            let destination = format!("{}/live/${{{{ region.id }}}}/s{stack}", self.prefix());
            self.write(
                &format!("s{stack}/stack.yaml"),
                &format!("where: all\ndocuments: {{ source: ./templates, destination: \"{destination}\" }}\n"),
            )?;
            self.write(&format!("s{stack}/templates/{DOCUMENT}"), "one document\n")?;
        }
        Repository::init_bare(self.origin())?;
        let repository = Repository::init_opts(self.fleet(), RepositoryInitOptions::new().initial_head("main"))?;
        repository.remote("origin", &self.origin().display().to_string())?;
        let mut index = repository.index()?;
        index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = repository.find_tree(index.write_tree()?)?;
        let who = Signature::new("bench", "bench@isobar.example", &Time::new(AT, 0))?;
        repository.commit(Some("HEAD"), &who, &who, "Begin the fleet", &tree, &[])?;
        Ok(())
    }

    fn write(&self, path: &str, text: &str) -> Done<()> {
        let path = self.fleet().join(path);
        fs::create_dir_all(path.parent().ok_or("a file stands in a directory")?)?;
        Ok(fs::write(path, text)?)
    }

    fn start(&self, nth: usize) -> Done<Child> {
        let mut command = Command::new(&self.isobar);
        command.args(["apply", "--json", "--quiet", "--parallel", &self.in_flight.to_string()]);
        if self.processes > 1 {
            command.args(["--shard", &format!("{nth}/{}", self.processes)]);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", &self.dir).envs(cloud::google().variables);
        Ok(command.current_dir(self.fleet()).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
    }

    fn open(&self) -> Done<Box<dyn Store>> {
        let locks = self.dir.join("locks");
        Ok(match self.journal {
            "directory" => Box::new(FileStore::open(self.fleet().join(".isobar/journal"))?),
            "git" => Box::new(GitStore::open(GitSite {
                anew: Anew::Unasked,
                location: Location::Disk(self.origin()),
                reference: "refs/isobar/journal".into(),
                cache: self.dir.join("cache"),
                locks,
                variables: BTreeMap::new(),
                settings: Vec::new(),
            })),
            _ => {
                let variables = cloud::google().variables;
                let buckets = Buckets::new(Access::of(|name| variables.get(name).map(String::as_str)));
                let address = Address::parse(&format!("{}/journal", self.prefix())).ok_or("a bucket has a URL")?;
                Box::new(ObjectStore::open(ObjectSite { address: address.map_err(|flaw| flaw.what)?, buckets, locks })?)
            }
        })
    }
}

/// Every start, with its place in the journal.
fn starts(entries: &[Entry]) -> impl Iterator<Item = (usize, &TargetId)> {
    entries.iter().enumerate().filter_map(|(at, entry)| {
        let Event::Step { step: StepEvent::Started { target }, .. } = &entry.event else { return None };
        Some((at, target))
    })
}

/// Starts of the second wave before the first was verified, and starts of the first after that.
fn overlaps(entries: &[Entry]) -> usize {
    let is_end = |entry: &Entry| matches!(entry.event, Event::Step { step: StepEvent::Verified { wave: 0 }, .. });
    let end = entries.iter().position(is_end).unwrap_or(0);
    let is_first = |target: &TargetId| (0..FIRST).any(|region| target.to_string().ends_with(&format!("/r{region}")));
    starts(entries).filter(|(at, target)| is_first(target) != (*at < end)).count()
}
