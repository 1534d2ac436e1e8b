//! What a case came to, against the run that nothing befell: nothing lost, nothing twice, nothing different, nothing broken.

use super::actor::Place;
use super::harm::Point;
use super::room::Room;
use git2::{ObjectType, Repository, TreeWalkMode, TreeWalkResult};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Of a journal in git.
const REFERENCE: &str = "refs/isobar/journal";

/// One thing that is wrong: its kind (`lost`, `twice`, `different` or `broken`) and a sentence.
pub(crate) type Broken = (&'static str, String);

/// How things lie when nothing is left to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// Destinations whole, manifests too.
    pub(crate) live: BTreeMap<String, String>,
    /// What `isobar status` says of each target, without times.
    pub(crate) targets: BTreeMap<String, Value>,
    /// Open rollouts, holds and leases.
    pub(crate) open: Value,
    /// How often each document was published or removed.
    pub(crate) written: BTreeMap<String, usize>,
    /// The journal's entries since the case began, oldest first.
    pub(crate) entries: Vec<Value>,
    /// Files of the journal that nobody will use.
    pub(crate) litter: Vec<String>,
}

impl Standing {
    /// Looks at a place, at what `isobar status --json` said of it, and at all calls that were made on the way there since
    /// entry `begun`.
    pub(super) fn look(place: &Place, begun: u64, status: &Value, points: &[Point]) -> Self {
        let repo = place.repo();
        let journal = repo.join(".isobar/journal");
        let (live, entries, litter) = match &place.room {
            Some(room) => (room.below("live/"), pages(room), unknown(room)),
            None if journal.exists() => (tree(&repo.join("live")), entries(&journal), unfinished(&journal)),
            None => (tree(&repo.join("live")), committed(&repo).unwrap_or_default(), left_by_git(&repo.join(".git"))),
        };
        let list = |key: &str| status[key].as_array().cloned().unwrap_or_default();
        let target = |row: &Value| {
            let said = json!({ "state": row["state"], "commit": row["commit"], "drift": row["drift"], "waits": row["waits"] });
            Some((row["target"].as_str()?.to_string(), said))
        };
        Self {
            live,
            targets: list("targets").iter().filter_map(target).collect(),
            open: json!([status["rollouts"], status["holds"], status["leases"]]),
            written: written(&repo, points),
            entries: entries.into_iter().filter(|entry| entry["seq"].as_u64() > Some(begun)).collect(),
            litter,
        }
    }

    /// A journal whose entries were not found would keep every promise about them.
    pub(super) fn is_seen(&self) -> bool {
        !self.targets.is_empty() && !self.entries.is_empty()
    }

    /// What is wrong here, where `whole` is how it ends when nothing befalls it.
    pub(crate) fn against(&self, whole: &Standing) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (target, said) in &whole.targets {
            match self.targets.get(target) {
                None => broken.push(("lost", format!("{target} is not accounted for"))),
                Some(now) if now != said => broken.push(("lost", format!("{target} is {now}, and should be {said}"))),
                Some(_) => {}
            }
        }
        for target in self.targets.keys().filter(|target| !whole.targets.contains_key(*target)) {
            broken.push(("different", format!("{target} is there, and should not be")));
        }
        for (document, times) in &self.written {
            let should = whole.written.get(document).copied().unwrap_or_default();
            if *times > should {
                broken.push(("twice", format!("{document}: {times} times, and should be {should}")));
            }
        }
        broken.extend(repeated(&self.entries).into_iter().map(|what| ("twice", what)));
        if self.live != whole.live {
            broken.push(("different", differences(&self.live, &whole.live)));
        }
        if self.open != whole.open {
            broken.push(("different", format!("open is {}, and should be {}", self.open, whole.open)));
        }
        if !self.litter.is_empty() {
            broken.push(("different", format!("the journal keeps what nobody uses: {}", self.litter.join(", "))));
        }
        broken
    }
}

/// Counts what was put into the place of each document, and what was removed from it.
fn written(repo: &Path, points: &[Point]) -> BTreeMap<String, usize> {
    let live = repo.join("live").display().to_string();
    let mut written = BTreeMap::new();
    for point in points.iter().filter(|point| point.is_made) {
        let path = match point.call.as_str() {
            "rename" => &point.detail,
            "unlink" | "PUT" | "DELETE" => &point.path,
            _ => continue,
        };
        let Some(document) = path.strip_prefix(&live).or(path.strip_prefix("live")) else { continue };
        let name = document.rsplit('/').next().unwrap_or_default();
        let is_document = !name.starts_with(".isobar-") && name.contains('.');
        if is_document {
            *written.entry(format!("{} live{document}", point.call)).or_insert(0) += 1;
        }
    }
    written
}

/// Targets that were started again after their end was journalled, or that ended well twice.
fn repeated(entries: &[Value]) -> Vec<String> {
    let (mut ended, mut repeated) = (BTreeSet::new(), Vec::new());
    for entry in entries {
        let (step, target) = (&entry["step"], &entry["step"]["target"]);
        let (started, applied) = (step["step"] == "started", step["outcome"] == "applied");
        if started && ended.contains(&target.to_string()) {
            repeated.push(format!("{target} was started again after its end, at entry {}", entry["seq"]));
        }
        if applied && !ended.insert(target.to_string()) {
            repeated.push(format!("{target} was applied again, at entry {}", entry["seq"]));
        }
    }
    repeated
}

fn entries(journal: &Path) -> Vec<Value> {
    let mut files: Vec<_> =
        fs::read_dir(journal.join("segments")).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    files.push(journal.join("entries.jsonl"));
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The entries of a journal in a bucket: each page is a line about itself, and then its entries.
fn pages(room: &Room) -> Vec<Value> {
    let pages = room.below("journal/pages/");
    pages.values().flat_map(|page| page.lines().skip(1)).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What is none of the objects that a journal in a bucket keeps.
fn unknown(room: &Room) -> Vec<String> {
    let is_known = |name: &str| {
        let in_book = ["pages/", "volumes/", "previews/", "checkpoints/", "bases/"].iter().any(|dir| name.starts_with(dir));
        in_book || name == "contents.json" || name == "trial"
    };
    room.below("journal/").into_keys().filter(|name| !is_known(name)).collect()
}

/// What was written aside and never took its place.
fn unfinished(journal: &Path) -> Vec<String> {
    tree(journal).into_keys().filter(|path| path.ends_with(".new")).collect()
}

/// The entries of a journal in git: the lines of the files in its tip.
fn committed(repo: &Path) -> Result<Vec<Value>, git2::Error> {
    let repo = Repository::open(repo)?;
    let tip = repo.find_reference(REFERENCE)?.peel_to_tree()?;
    let (mut texts, mut entries) = (BTreeMap::new(), Vec::new());
    tip.walk(TreeWalkMode::PreOrder, |dir, file| {
        if dir.starts_with("entries-") && file.kind() == Some(ObjectType::Blob) {
            texts.insert(format!("{dir}{}", file.name().unwrap_or_default()), file.id());
        }
        TreeWalkResult::Ok
    })?;
    for id in texts.into_values() {
        let lines = repo.find_blob(id)?;
        entries.extend(lines.content().split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()));
    }
    Ok(entries)
}

/// What a journal in git leaves in its clone beside what it keeps there, such as a lock, or a wish that nobody took. Objects are git's
/// own, which cleans up after itself. Who dies while he changes a ref leaves his words, and git's lock of that ref: whoever changes a ref
/// next takes both away, which is no other state than none.
fn left_by_git(dir: &Path) -> Vec<String> {
    let words = fs::read_to_string(dir.join("isobar/changes")).unwrap_or_default();
    let announced = words.lines().next().map(|reference| format!("{reference}.lock"));
    let is_kept = |path: &str| match path.split_once('/') {
        None => matches!(path, "turn" | "changes" | "shown.json"),
        Some((_, rest)) => matches!(rest, "" | "lock" | "waiting/" | "durable.config" | "seen"),
    };
    let own = tree(&dir.join("isobar")).into_keys().filter(|path| !is_kept(path)).map(|path| format!("isobar/{path}"));
    let refs = tree(&dir.join("refs")).into_keys().map(|path| format!("refs/{path}"));
    let locks = refs.filter(|path| path.ends_with(".lock") && announced.as_ref() != Some(path));
    own.chain(locks).collect()
}

fn differences(is: &BTreeMap<String, String>, should: &BTreeMap<String, String>) -> String {
    let paths: BTreeSet<&String> = is.keys().chain(should.keys()).collect();
    let differ = paths.into_iter().filter(|path| is.get(*path) != should.get(*path));
    let told = differ.map(|path| match (is.get(path), should.get(path)) {
        (None, _) => format!("live/{path} is not there"),
        (_, None) => format!("live/{path} is there"),
        (Some(is), Some(should)) => format!("live/{path} is {is:?}, and should be {should:?}"),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Every file and every directory below `dir`, by its path from there; a directory ends with `/`.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    let (mut found, mut dirs) = (BTreeMap::new(), vec![dir.to_path_buf()]);
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(dir).map(|path| path.display().to_string()).unwrap_or_default();
            if path.is_dir() {
                found.insert(format!("{name}/"), String::new());
                dirs.push(path);
            } else {
                found.insert(name, String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_journal_in_git_left_is_told_and_what_it_keeps_is_not() {
        let dir = tempfile::tempdir().expect("it has room");
        for path in
            ["isobar/turn", "isobar/shown.json", "isobar/63b93c18d329/lock", "isobar/63b93c18d329/seen", "refs/heads/main"]
        {
            write(dir.path(), path);
        }
        fs::create_dir_all(dir.path().join("isobar/63b93c18d329/waiting")).expect("it has room");
        assert_eq!(left_by_git(dir.path()), Vec::<String>::new());

        let left = ["isobar/63b93c18d329/waiting/7-0a.taken", "refs/isobar/journal.lock"];
        left.iter().for_each(|path| write(dir.path(), path));
        assert_eq!(left_by_git(dir.path()), left);

        fs::write(dir.path().join("isobar/changes"), "refs/isobar/journal\n").expect("it has room");
        assert_eq!(left_by_git(dir.path()), left[..1], "the next who changes a ref takes it away");
    }

    fn write(dir: &Path, path: &str) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().expect("it is below")).and_then(|()| fs::write(path, "")).expect("it has room");
    }
}
