//! Previews by several processes: each looks at a part of the change and writes it to a file, and one last reads all parts and judges them.
//! What no part tells of is unseen, never nothing.

use super::out;
use super::pending::{Pending, Work};
use super::say::{count, short};
use super::tell;
use crate::change::{Change, Detail, Preview, Unseen, UnseenReason};
use crate::exit::{Exit, Failure};
use crate::journal::{Sealer, close, is_closed, is_sealed_by};
use crate::report::schema_id;
use crate::review::CommitSha;
use crate::rollout::Shard;
use crate::stack::TargetId;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are taken of who hands them over, and bytes of all of them together.
const FILES_MAX: usize = 256;
const BYTES_MAX: u64 = 128 << 20;
/// Bytes of both sides of one change that are compared: to compare larger ones takes long.
const SIDES_MAX: usize = 8 << 20;

/// What a preview of several processes does: look at a part, or read all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Look at this part, and write it to this file.
    Write(Shard, PathBuf),
    /// Read the parts in this directory, and in those that stand in it.
    Read(PathBuf),
    /// Look at everything, and write it to this file for who takes it and believes nothing.
    HandOver(PathBuf),
    /// Take what was handed over in such a directory by a run that may be anybody's.
    Take(PathBuf),
}

/// What one shard saw.
#[derive(Serialize, Deserialize)]
struct Part {
    /// The name of this form.
    schema: Arc<str>,
    shard: Arc<str>,
    head: Arc<str>,
    base: Arc<str>,
    previews: Vec<Result<Arc<Preview>, Unseen>>,
}

/// Answers as a look gives them.
pub(crate) type Answers = Vec<Result<Arc<Preview>, Unseen>>;

/// The part of the work that a shard looks at: what it answers for, and what that needs to be seen before it.
pub(crate) fn part_of(work: &Work, shard: Shard) -> (BTreeSet<TargetId>, BTreeSet<TargetId>) {
    let mut line: Vec<&TargetId> = work.pending.iter().map(|pending| &pending.target.id).collect();
    line.sort_by(|a, b| a.region.cmp(&b.region)); // what needs one another is mostly of one region
    let own: BTreeSet<TargetId> = line[shard.piece(line.len())].iter().copied().cloned().collect();
    let mut seen = own.clone();
    let mut open: Vec<TargetId> = own.iter().cloned().collect();
    while let Some(pending) = open.pop().and_then(|target| work.get(&target)) {
        let needs = pending.scene.graph.dependencies(&pending.target.id).iter();
        for first in needs.filter(|first| work.get(first).is_some()) {
            if seen.insert(first.clone()) {
                open.push(first.clone());
            }
        }
    }
    (own, seen)
}

/// Writes what a shard saw, and says so; the verdict is for who reads all parts.
pub(crate) fn write(
    world: &World,
    (shard, path): (Shard, &Path),
    (head, base): (&CommitSha, Arc<str>),
    answers: Answers,
    as_json: bool,
) -> Result<Exit, Failure> {
    if world.stop.is_asked() {
        return Err(Failure::World("stopped before all was seen, so no part was written".into(), None));
    }
    let (seen, targets) = (answers.iter().flatten().count(), answers.len());
    let (schema, name): (Arc<str>, String) = (schema_id("part").into(), shard.to_string());
    let part = Part { schema, shard: name.as_str().into(), head: head.0.clone(), base, previews: answers };
    let body = serde_json::to_string(&part).expect("a preview holds only what JSON can");
    let sealer = world.key.as_ref().map(Sealer::of_previews);
    out::write(path, &close(body, sealer.as_ref()))?;
    match as_json {
        true => tell::json(
            world,
            "part",
            json!({ "shard": name, "targets": targets, "seen": seen, "written": path.display().to_string() }),
        ),
        false => {
            let targets = count(targets, "target", "targets");
            world.terminal.say(&format!("shard {name}: {seen} of {targets} seen, written to {}\n", path.display()));
        }
    }
    Ok(Exit::Clean)
}

/// Reads all parts below `dir`, and answers for each target of the work: one that no part tells of is unseen.
pub(crate) fn read(world: &World, dir: &Path, head: &CommitSha, base: &str, work: &Work) -> Result<Answers, Failure> {
    let sealer = world.key.as_ref().map(Sealer::of_previews);
    gather(&files(dir)?, sealer.as_ref(), head, base, work)
}

/// Takes what was handed over below `dir`. Of each change the digests that an approval is bound to, and what people see, are made anew of its
/// sides; of what has none nothing is shown, and nobody can approve it before it is merged.
pub(crate) fn take(world: &World, dir: &Path, head: &CommitSha, base: &str, work: &Work) -> Result<Answers, Failure> {
    let answers = gather(&handed_over(dir)?, None, head, base, work)?;
    let believed = |answer: Result<Arc<Preview>, Unseen>| match answer {
        Ok(preview) => believe(world, work, &preview).map(Arc::new).ok_or_else(|| lost(&preview.target)),
        Err(unseen) => {
            let is_needed = |first: &TargetId| work.get(first).is_some();
            let waits = |own: &&Pending| own.scene.graph.dependencies(&own.target.id).iter().any(is_needed);
            let own = work.get(&unseen.target).filter(|_| matches!(unseen.reason, UnseenReason::Needs(_))).filter(waits);
            let promise = own.and_then(|own| own.scene.promise(world, &own.target));
            Err(Unseen { promise, ..unseen })
        }
    };
    Ok(answers.into_iter().map(believed).collect())
}

/// The base that the parts below `dir` are of; `None` where there is no part.
pub(crate) fn base_of(dir: &Path) -> Result<Option<Arc<str>>, Failure> {
    let files = handed_over(dir)?;
    files.first().map(|path| read_one(None, path).map(|part| part.base)).transpose()
}

/// A preview whose changes could have been seen of this target, each of them as its sides are.
fn believe(world: &World, work: &Work, preview: &Preview) -> Option<Preview> {
    let pending = work.get(&preview.target)?;
    let is_sorted = preview.changes.windows(2).all(|two| two[0].address < two[1].address);
    if preview.intent != pending.intent || preview.engine != pending.target.stack.engine || !is_sorted {
        return None;
    }
    let engine = world.engines.get(&preview.engine)?;
    let change = |change: &Change| {
        let sides = preview.sides.get(&change.address).filter(|sides| !change.sensitive && sides.bytes() <= SIDES_MAX);
        sides.and_then(|sides| engine.believe(change, sides)).unwrap_or_else(|| hidden(change))
    };
    let changes = preview.changes.iter().map(change).collect();
    Some(Preview { changes, outputs: BTreeMap::new(), sides: BTreeMap::new(), ..preview.clone() })
}

/// A change of which nothing is known that could be shown, or approved.
fn hidden(change: &Change) -> Change {
    let detail = Detail::Hidden("not handed over, as it is sensitive or large: it can be approved after the merge".into());
    Change { before: None, after: None, detail, sensitive: true, bound: false, ..change.clone() }
}

fn lost(target: &TargetId) -> Unseen {
    Unseen::new(target.clone(), UnseenReason::Lost)
}

/// With a sealer only what it sealed.
fn gather(files: &[PathBuf], sealer: Option<&Sealer>, head: &CommitSha, base: &str, work: &Work) -> Result<Answers, Failure> {
    let mut found: BTreeMap<TargetId, Result<Arc<Preview>, Unseen>> = BTreeMap::new();
    for path in files {
        let part = read_one(sealer, path)?;
        if (&*part.head, &*part.base) != (&*head.0, base) {
            let told = |head: &str, base: &str| match base {
                "" => short(head).to_string(),
                base => format!("{} on {}", short(head), short(base)),
            };
            let what = format!("{} is of {}, and this is {}", path.display(), told(&part.head, &part.base), told(&head.0, base));
            return Err(Failure::usage(what, "preview all parts again, with the same commits as --base and --head"));
        }
        for answer in part.previews {
            let target = match &answer {
                Ok(preview) => preview.target.clone(),
                Err(unseen) => unseen.target.clone(),
            };
            found.insert(target, answer);
        }
    }
    let answer = |target: &TargetId| found.remove(target).unwrap_or_else(|| Err(lost(target)));
    Ok(work.pending.iter().map(|pending| &pending.target.id).map(answer).collect())
}

/// The files of somebody whom nobody believes: no more and no larger ones than are read, and none that is elsewhere. A directory that is not
/// there holds none.
fn handed_over(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let files = files(dir)?;
    let mut sizes =
        files.iter().map(|path| std::fs::symlink_metadata(path).ok().filter(|file| file.is_file()).map(|file| file.len()));
    let bytes = sizes.try_fold(0_u64, |all, size| all.checked_add(size?));
    match bytes {
        Some(bytes) if files.len() <= FILES_MAX && bytes <= BYTES_MAX => Ok(files),
        _ => Err(Failure::World(
            format!("what was handed over in {} is more than is read: {FILES_MAX} files of {BYTES_MAX} bytes", dir.display()),
            Some("preview fewer targets at once: the input targets".into()),
        )),
    }
}

/// The JSON files of a directory and of those in it, as they are when artifacts were brought there.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let list = |dir: &Path| -> Result<Vec<PathBuf>, Failure> {
        let failed = |error| Failure::World(format!("reading {}: {error}", dir.display()), None);
        let entries = std::fs::read_dir(dir).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(entries.into_iter().map(|entry| entry.path()).collect())
    };
    let mut files = Vec::new();
    for path in list(dir)? {
        match path.is_dir() {
            true => files.extend(list(&path)?),
            false => files.push(path),
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

/// With a sealer only what it sealed.
fn read_one(sealer: Option<&Sealer>, path: &Path) -> Result<Part, Failure> {
    let wrong = |what: &str, hint: &str| Failure::World(format!("{} {what}", path.display()), Some(hint.into()));
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::World(format!("reading {}: {error}", path.display()), None))?;
    if sealer.is_some_and(|sealer| !is_sealed_by(&text, sealer)) {
        return Err(wrong("was not sealed with ISOBAR_KEY", "set the same key for all shards"));
    }
    let part = is_closed(&text).then(|| serde_json::from_str::<Part>(&text).ok()).flatten();
    let part = part.filter(|part| *part.schema == *schema_id("part"));
    part.ok_or_else(|| wrong("is not what a shard wrote", "bring the files of isobar preview --part there, and no others"))
}
