//! Writes a fleet of any size into a new git repository and commits it: the same arguments give the same commits. Its shape
//! is that of grown repositories: one hub that everybody uses, chains of five, diamonds, and regions with values of their own.
//!
//! `cargo run --example bench-generate -- --stacks 1000 --regions 10 --documents 3 DIR` makes it, `--policy` lets it wait for bob, and `… -- --touch DIR` adds a
//! commit that edits one stack, `--touch-all DIR` one that edits all of them.

use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Time};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str =
    "bench-generate [--stacks N] [--regions N] [--documents N] [--policy] DIR | bench-generate --touch|--touch-all DIR";

/// Stacks that depend on each other one after another before a new chain begins.
const CHAIN: usize = 5;

/// In the first of so many stacks' chains, four form a diamond: the last depends on two that depend on the same first.
const DIAMOND: usize = 20;

/// 2026-11-22 09:00 UTC, in seconds.
const AT: i64 = 1_795_338_000;

/// The stack that `--touch` edits: inside a chain, so that others depend on it.
const TOUCHED: usize = 2;

struct Size {
    stacks: usize,
    regions: usize,
    documents: usize,
    /// Somebody must approve every change.
    policy: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.as_slice() {
        [flag, dir] if flag == "--touch" => return touch(Path::new(dir), &[name(TOUCHED)]),
        [flag, dir] if flag == "--touch-all" => return touch(Path::new(dir), &stacks(Path::new(dir))?),
        _ => {}
    }
    let (size, dir) = arguments(given.into_iter())?;
    if dir.exists() && dir.read_dir()?.next().is_some() {
        return Err(format!("{} is not empty", dir.display()).into());
    }

    fs::create_dir_all(&dir)?;
    write_fleet(&dir, &size)?;
    commit(&Repository::init_opts(&dir, RepositoryInitOptions::new().initial_head("main"))?, "Begin the fleet")
}

/// Edits one template of each of these stacks and commits that.
fn touch(dir: &Path, stacks: &[String]) -> Result<(), Box<dyn Error>> {
    const MARK: &str = "touched: ";
    for stack in stacks {
        let path = format!("{stack}/templates/d0.yaml.j2");
        let text = fs::read_to_string(dir.join(&path))?;
        let (text, times) = match text.rsplit_once(MARK) {
            Some((text, times)) => (text, times.trim().parse::<u64>()?),
            None => (text.as_str(), 0),
        };
        write(dir, &path, &format!("{text}{MARK}{}\n", times + 1))?;
    }
    commit(&Repository::open(dir)?, &format!("Touch {}", stacks.join(" ")))
}

/// Every stack of a fleet that was made before, sorted.
fn stacks(dir: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    let is_stack = |entry: &fs::DirEntry| entry.path().join("stack.yaml").exists();
    let mut names: Vec<String> =
        entries.iter().filter(|entry| is_stack(entry)).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<(Size, PathBuf), Box<dyn Error>> {
    let (mut size, mut dir) = (Size { stacks: 100, regions: 10, documents: 3, policy: false }, None);
    while let Some(argument) = given.next() {
        let mut number = || -> Result<usize, Box<dyn Error>> { Ok(given.next().ok_or(USAGE)?.parse()?) };
        match argument.as_str() {
            "--stacks" => size.stacks = number()?,
            "--regions" => size.regions = number()?,
            "--documents" => size.documents = number()?,
            "--policy" => size.policy = true,
            _ if argument.starts_with('-') || dir.is_some() => return Err(USAGE.into()),
            _ => dir = Some(PathBuf::from(argument)),
        }
    }
    let enough = size.stacks >= CHAIN && size.regions >= 1 && (1..=1000).contains(&size.documents);
    match dir {
        Some(dir) if enough => Ok((size, dir)),
        Some(_) => Err(format!("at least {CHAIN} stacks, 1 region and 1 to 1000 documents").into()),
        None => Err(USAGE.into()),
    }
}

fn write_fleet(dir: &Path, size: &Size) -> Result<(), Box<dyn Error>> {
    write(dir, ".gitignore", "/live/\n/.isobar/\n")?;
    write(dir, "isobar.yaml", &fleet(size))?;
    for stack in 0..size.stacks {
        write(dir, &format!("{}/stack.yaml", name(stack)), &definition(stack))?;
        for document in 0..size.documents {
            write(dir, &format!("{}/templates/d{document}.yaml.j2", name(stack)), &template(document))?;
        }
    }
    Ok(())
}

fn name(stack: usize) -> String {
    format!("s{stack:04}")
}

fn fleet(size: &Size) -> String {
    let mut text = String::from("version: 1\nregions:\n");
    for region in 0..size.regions {
        let cloud = ["aws", "gcp"][region % 2];
        let cidr = format!("10.{}.0.0/16", region % 256);
        writeln!(text, "  prod/r{region:02}: {{ cloud: {cloud}, vars: {{ cidr: {cidr} }} }}").expect("a String takes all");
    }
    text += "vars: { owner: platform, domain: bench.example }\njournal: file:.isobar/journal\n";
    if size.policy {
        text += "teams: { platform: [bob] }\npolicy:\n  - rule: approvals\n    require: [{ team: platform }]\n";
        text += "  - rule: limit\n    deletes_max: 100\n";
    }
    text
}

/// Returns what `stack` uses. Stack 0 is the hub, the first of each chain uses the hub, and the others use the one before.
fn uses(stack: usize) -> Vec<usize> {
    match (stack, stack % CHAIN, stack % DIAMOND) {
        (0, ..) => vec![],
        (_, 1, _) => vec![0],
        (_, _, 3) => vec![stack - 2], // the second side of a diamond
        (_, _, 4) => vec![stack - 1, stack - 2],
        _ => vec![stack - 1],
    }
}

fn definition(stack: usize) -> String {
    let mut text = String::from("where: all\n");
    text += "inputs:\n  cidr: ${{ region.vars.cidr }}\n";
    for (nth, used) in uses(stack).into_iter().enumerate() {
        writeln!(text, "  use{nth}: ${{{{ stacks[\"{}\"].outputs.id }}}}", name(used)).expect("a String takes all");
    }
    text += "outputs:\n  id: ${{ stack.name }}-${{ region.name }}\n";
    text + &format!("documents:\n  source: ./templates\n  destination: file:./live/${{{{ region.id }}}}/{}\n", name(stack))
}

fn template(document: usize) -> String {
    let mut text = format!("document: {document}\nstack: {{{{ stack.name }}}}\nregion: {{{{ region.name }}}}\n");
    text += "owner: {{ vars.owner }}\ncidr: {{ inputs.cidr }}\nreplicas: 3\nroutes:\n";
    for route in 0..8 {
        writeln!(text, "  - {{ path: /v1/{route}, host: \"{{{{ region.name }}}}.{{{{ vars.domain }}}}\", timeout: {route}s }}")
            .expect("a String takes all");
    }
    text
}

fn write(dir: &Path, path: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().ok_or("a file stands in a directory")?)?;
    Ok(fs::write(path, text)?)
}

fn commit(repo: &Repository, message: &str) -> Result<(), Box<dyn Error>> {
    let mut index = repo.index()?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repo.find_tree(index.write_tree()?)?;
    let who = Signature::new("bench", "bench@isobar.example", &Time::new(AT, 0))?;
    let parent = repo.head().ok().map(|head| head.peel_to_commit()).transpose()?;
    let parents: Vec<_> = parent.iter().collect();
    repo.commit(Some("HEAD"), &who, &who, message, &tree, &parents)?;
    Ok(())
}
