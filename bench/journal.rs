//! Appends entries to a journal in a directory, in a ref on a disk, in a ref behind the program `git`, and in a bucket when one is named,
//! and prints how many went in each second: one after the other, as a lone writer does, and with 64 that wait at once, as targets of
//! one wave do.
//!
//! `cargo run --release --example bench-journal -- DIRECTORY [s3://BUCKET/PREFIX]`

use isobar::bucket::{Access, Address, Buckets};
use isobar::journal::Event;
use isobar::review::User;
use isobar::store::{FileStore, GitSite, GitStore, Location, ObjectSite, ObjectStore, Store};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const ALONE: usize = 50;
const AT_ONCE: usize = 64;
const ROUNDS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("bench-journal DIRECTORY")?;
    let dir = Path::new(&dir);
    let origin = |name: &str| -> Result<_, Box<dyn Error>> {
        let path = dir.join(name);
        git2::Repository::init_bare(&path)?;
        Ok(path)
    };
    let address = format!("file://{}", origin("far.git")?.display());
    let mut stores: Vec<(&str, Arc<dyn Store>)> = vec![
        ("a directory", Arc::new(FileStore::open(dir.join("file"))?)),
        ("a ref on a disk", Arc::new(GitStore::open(site(dir, Location::Disk(origin("near.git")?))))),
        ("a ref behind `git`", Arc::new(GitStore::open(site(dir, Location::Address(address.into()))))),
    ];
    if let Some(url) = std::env::args().nth(2) {
        let address = Address::parse(&url).ok_or("a bucket has a URL")?.map_err(|flaw| flaw.what)?;
        let variables: BTreeMap<String, String> = std::env::vars().collect();
        let buckets = Buckets::new(Access::of(|name| variables.get(name).map(String::as_str)));
        stores.push(("a bucket", Arc::new(ObjectStore::open(ObjectSite { address, buckets, locks: dir.join("locks") })?)));
    }
    writeln!(std::io::stdout(), "| journal in | an entry, one after the other | entries/s, {AT_ONCE} at once |\n|---|---|---|")?;
    for (name, store) in stores {
        let (alone_ms, at_once) = measure(&store)?;
        writeln!(std::io::stdout(), "| {name} | {alone_ms:.1} ms | {at_once:.0} |")?;
    }
    Ok(())
}

fn site(dir: &Path, location: Location) -> GitSite {
    let variables: BTreeMap<String, String> = std::env::vars().filter(|(name, _)| name == "PATH").collect();
    let (cache, locks) = (dir.join("cache"), dir.join("locks"));
    GitSite { location, reference: "refs/isobar/journal".into(), cache, locks, variables, settings: Vec::new() }
}

fn measure(store: &Arc<dyn Store>) -> Result<(f64, f64), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let run: Arc<str> = "bench".into();
        let event = || vec![Event::Paused { by: User("bench".into()), reason: "to be measured".into() }];
        store.append(event(), &run, 1, None).await?;

        let begin = Instant::now();
        for _ in 0..ALONE {
            store.append(event(), &run, 1, None).await?;
        }
        let alone_ms = begin.elapsed().as_secs_f64() * 1_000.0 / ALONE as f64;

        let begin = Instant::now();
        for _ in 0..ROUNDS {
            let waiting: Vec<_> = (0..AT_ONCE).map(|_| store.append(event(), &run, 1, None)).collect();
            futures::future::try_join_all(waiting).await?;
        }
        Ok((alone_ms, (AT_ONCE * ROUNDS) as f64 / begin.elapsed().as_secs_f64()))
    })
}
