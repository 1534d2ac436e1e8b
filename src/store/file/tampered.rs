//! Random tamperings with a journal of segments, checkpoints and a tail, also one that was compacted: given the key and an anchor, the
//! audit finds every one. Without them it finds what docs/journal.md says. `ISOBAR_TAMPERINGS=10000 cargo test --lib every_random_tampering --
//! --nocapture` makes ten thousand of them.

use super::long::{files, grow, held, small};
use super::*;
use crate::journal::{Chain, Checkpoint, Dropped, SCHEMA, Sealer, Seals, close};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// Chance that is the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// How a journal is tampered with. Each returns the changed files, or nothing when it would change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ChangeByte,
    RemoveLine,
    SwapLines,
    InsertEntry,
    /// One that follows the head, sealed or not, by somebody without the key.
    AppendEntry,
    /// From some entry on, written anew with hashes that fit, and no seals.
    Rewrite,
    /// The same by somebody who has a key, and not ours.
    RewriteSealed,
    Truncate,
    /// A checkpoint with another history and a hash that fits.
    ForgeCheckpoint,
    /// All as it was earlier.
    OlderCopy,
    RemoveSegment,
    ChangePreview,
    /// Something else stands for the entries up to one of them, or up to the last and beyond, and an entry that follows names it.
    ForgeCompaction,
    /// A checkpoint where entries were compacted away, and an empty segment that ends there.
    ForgeAtBase,
}

const WAYS: [Way; 14] = [
    Way::ChangeByte,
    Way::RemoveLine,
    Way::SwapLines,
    Way::InsertEntry,
    Way::AppendEntry,
    Way::Rewrite,
    Way::RewriteSealed,
    Way::Truncate,
    Way::ForgeCheckpoint,
    Way::OlderCopy,
    Way::RemoveSegment,
    Way::ChangePreview,
    Way::ForgeCompaction,
    Way::ForgeAtBase,
];

/// A journal, and what it was after each entry.
struct Victim {
    dir: tempfile::TempDir,
    key: Option<Key>,
    whole: Tree,
    earlier: Vec<Tree>,
    anchor: Anchor,
    /// Where its entries begin, and the history up to there.
    begun: (Chain, History),
}

impl Victim {
    async fn new(key: Option<Key>, is_compacted: bool) -> Self {
        use crate::change::{Unseen, UnseenReason};
        let dir = crate::scratch::dir();
        let store = small(dir.path(), key.as_ref());
        let unseen = Unseen::new("a@prod/x".parse().expect("a target"), UnseenReason::Cancelled);
        let set = Stored {
            head: None,
            base: "".into(),
            at_ms: 7,
            first_ms: 7,
            change: None,
            part: None,
            run: None,
            whole: None,
            previews: vec![Err(unseen)],
        };
        store.save(&set).await.expect("it has room");
        let mut earlier = Vec::new();
        let mut begun = (Chain::empty(), History::default());
        for nth in 0..if is_compacted { 12 } else { 7 } {
            grow(&store, nth, nth + 1).await;
            earlier.push(journal(dir.path()));
        }
        if is_compacted {
            store.compact(6, vec![], &"run".into(), 99).await.expect("it can");
            earlier.push(journal(dir.path()));
            let compacted = earlier.len() - 1;
            let has_tail = |tree: &Tree| tree.get(Path::new("entries.jsonl")).is_some_and(|tail| !tail.is_empty());
            for nth in 12.. {
                grow(&store, nth, nth + 1).await;
                earlier.push(journal(dir.path()));
                if earlier.last().is_some_and(has_tail) {
                    break;
                }
            }
            let (_, base) = earlier[compacted].iter().find(|(path, _)| path.starts_with("bases")).expect("a base");
            let (base, _) = Checkpoint::read(std::str::from_utf8(base).expect("text")).expect("it was just made");
            begun = (base.chain(None), base.history);
        }
        let whole = earlier.pop().expect("the last");
        let (seq, hash) = store.history().await.expect("whole").head().map(|(seq, hash)| (seq, hash.clone())).expect("a head");
        let anchor = format!("{seq}:{hash}").parse().expect("an anchor");
        assert!(whole.keys().filter(|path| path.starts_with("segments")).count() > 1, "it has segments");
        assert!(!whole[Path::new("entries.jsonl")].is_empty(), "and a tail");
        Self { dir, key, whole, earlier, anchor, begun }
    }

    /// Puts `tree` in the place of what is there.
    fn put(&self, tree: &Tree, before: &Tree) {
        for path in before.keys().filter(|path| !tree.contains_key(*path)) {
            std::fs::remove_file(self.dir.path().join(path)).expect("it is there");
        }
        for (path, bytes) in tree.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)) {
            let path = self.dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it is below")).expect("it has room");
            std::fs::write(path, bytes).expect("it has room");
        }
    }

    /// Says whether the audit finds `tree` to be tampered with, or cannot tell that it is not.
    fn finds(&self, tree: &Tree, key: Option<&Key>, anchors: &[Anchor]) -> bool {
        self.put(tree, &self.whole);
        let audit = small(self.dir.path(), key).shelf.audit_once(anchors);
        self.put(&self.whole, tree);
        match audit {
            Ok(audit) => !audit.findings.is_empty() || !audit.unproven.is_empty(),
            Err(StoreError::Newer(_)) => true, // the number of the schema was changed
            Err(error) => panic!("{error:?}"),
        }
    }

    fn tamper(&self, way: Way, chance: &mut Chance) -> Option<Tree> {
        let mut tree = self.whole.clone();
        match way {
            Way::ChangeByte => {
                let path = self.any(chance, |_| true)?;
                let bytes = tree.get_mut(&path)?;
                let at = chance.below(bytes.len());
                bytes[at] ^= 1 << chance.below(8);
            }
            Way::RemoveLine => self.edit(chance, &mut tree, |lines, at, _| {
                lines.remove(at);
            })?,
            Way::SwapLines => self.edit(chance, &mut tree, |lines, at, other| lines.swap(at, other))?,
            Way::InsertEntry => {
                let seq = chance.below(9) as u64;
                let prev = self.entries().get(seq as usize).map_or(Chain::empty().head, |entry| entry.prev.clone());
                let mut chain = Chain::after(seq.max(1) - 1, prev, Seals::None);
                let entry = chain.seal(held(99), &"eve".into(), seq);
                assert_eq!(entry.schema, SCHEMA);
                self.edit(chance, &mut tree, |lines, at, _| lines.insert(at, entry.line()))?;
            }
            Way::AppendEntry => {
                let last = self.entries().pop()?;
                let sealer = (chance.below(2) == 0).then(eve);
                let mut chain = Chain::after(last.seq, last.hash, Seals::None).sealed_by(sealer);
                let line = chain.seal(held(chance.below(1_000) as u64), &"eve".into(), 9).line() + "\n";
                tree.get_mut(Path::new("entries.jsonl"))?.extend(line.into_bytes());
            }
            Way::Rewrite => self.rewrite(chance, &mut tree, None),
            Way::RewriteSealed => self.rewrite(chance, &mut tree, Some(eve())),
            Way::Truncate => {
                let path = self.any(chance, is_of_entries)?;
                let bytes = tree.get_mut(&path)?;
                let at = chance.below(bytes.len());
                bytes.truncate(at);
            }
            Way::ForgeCheckpoint => {
                let path = self.any(chance, |path| path.starts_with("checkpoints"))?;
                let text = String::from_utf8_lossy(&tree[&path]).into_owned();
                let end = text.find(",\"seal\"").or_else(|| text.rfind(",\"hash\""))?;
                let lie = format!("\"until_ms\":{}", 1_000 + chance.below(1_000_000));
                let body = text[..end].replacen("\"until_ms\":null", &lie, 1) + "}";
                tree.insert(path, close(&body, None).into_bytes());
            }
            Way::OlderCopy => tree = self.earlier[chance.below(self.earlier.len())].clone(),
            Way::RemoveSegment => {
                tree.remove(&self.any(chance, |path| path.starts_with("segments"))?);
            }
            Way::ChangePreview => {
                let path = self.any(chance, |path| path.starts_with("previews"))?;
                let text = String::from_utf8_lossy(&tree[&path]).into_owned();
                let body = text[..text.find(",\"seal\"").or_else(|| text.rfind(",\"hash\""))?].to_string() + "}";
                let lie = format!("\"first_ms\":{}", 8 + chance.below(1_000));
                tree.insert(path, close(body.replacen("\"first_ms\":7", &lie, 1), None).into_bytes());
            }
            Way::ForgeCompaction => self.compact(chance, &mut tree),
            Way::ForgeAtBase => self.stand_at_base(&mut tree)?,
        }
        (tree != self.whole).then_some(tree)
    }

    fn any(&self, chance: &mut Chance, is: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let paths: Vec<&PathBuf> = self.whole.keys().filter(|path| is(path)).collect();
        paths.get(chance.below(paths.len().max(1))).map(|path| path.to_path_buf())
    }

    /// Edits the lines of a file with entries.
    fn edit(&self, chance: &mut Chance, tree: &mut Tree, edit: impl FnOnce(&mut Vec<String>, usize, usize)) -> Option<()> {
        let path = self.any(chance, is_of_entries)?;
        let text = String::from_utf8_lossy(&tree[&path]).into_owned();
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        let (at, other) = (chance.below(lines.len()), chance.below(lines.len()));
        edit(&mut lines, at, other);
        let text = lines.into_iter().fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
        tree.insert(path, text.into_bytes());
        Some(())
    }

    /// Every entry, oldest first.
    fn entries(&self) -> Vec<Entry> {
        let texts = self
            .whole
            .iter()
            .filter(|(path, _)| path.starts_with("segments"))
            .chain(self.whole.get_key_value(Path::new("entries.jsonl")));
        let lines = texts.flat_map(|(_, bytes)| std::str::from_utf8(bytes).expect("text").lines());
        lines.map(|line| Entry::read(line).expect("an entry")).collect()
    }

    /// Changes one entry and makes all hashes after it fit, by files as they were; whoever can write can do that. The checkpoints
    /// are made to fit too.
    fn rewrite(&self, chance: &mut Chance, tree: &mut Tree, sealer: Option<Sealer>) {
        let entries = self.entries();
        let at = chance.below(entries.len());
        let (mut chain, begun) = self.begun.clone();
        let before = chain.seq;
        for entry in &entries[..at] {
            chain.follow(entry).expect("it is whole");
        }
        chain = Chain::after(chain.seq, chain.head.clone(), chain.seals).sealed_by(sealer.clone());
        let mut lines: Vec<String> = entries[..at].iter().map(Entry::line).collect();
        let mut history = begun.and(entries[..at].to_vec());
        let mut checkpoints = BTreeMap::new();
        for (nth, entry) in entries.iter().enumerate().skip(at) {
            let event = if nth == at { held(500 + chance.below(500) as u64) } else { entry.event.clone() };
            let made = chain.seal(event, &entry.run, entry.at_ms);
            history.fold(&made);
            checkpoints.insert(made.seq, Checkpoint::of(&chain, history.clone().resolved()).text(sealer.as_ref()));
            lines.push(made.line());
        }
        for (path, bytes) in tree.iter_mut() {
            if is_of_entries(path) {
                let first = Entry::read(std::str::from_utf8(bytes).expect("text").lines().next().expect("a line"));
                let (from, length) =
                    ((first.expect("an entry").seq - 1 - before) as usize, bytes.split(|byte| *byte == b'\n').count() - 1);
                *bytes = lines[from..from + length].iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
            } else if let Some(text) = number_of(path).and_then(|seq| checkpoints.remove(&seq)) {
                *bytes = text.into_bytes();
            }
        }
    }
}

impl Victim {
    /// Makes the history up to an entry up and lets what stands for it begin the journal, as if that had been compacted; what follows
    /// stays, and an entry at its end names the base. Whoever can write can do that.
    fn compact(&self, chance: &mut Chance, tree: &mut Tree) {
        let entries = self.entries();
        let ends: Vec<u64> = tree.keys().filter_map(|path| last_of(path)).collect();
        let last = entries.last().expect("it has entries");
        let through = ends.get(chance.below(ends.len() + 1)).copied().unwrap_or(last.seq);
        let sealer = (chance.below(2) == 0).then(eve);
        let seals = if last.seal.is_some() { Seals::Unchecked } else { Seals::None };

        let old: Vec<Entry> = entries.iter().filter(|entry| entry.seq <= through).cloned().collect();
        let head = old.last().expect("it ends there").hash.clone();
        let mut chain = Chain::after(through, head.clone(), seals).sealed_by(sealer.clone());
        let lie = |entry: Entry| Entry { event: held(700), ..entry };
        let mut history = self.begun.1.clone().and(old.iter().cloned().map(lie));
        for nth in 0..if through == last.seq { chance.below(3) } else { 0 } {
            history = history.and([chain.seal(held(nth as u64), &"eve".into(), 9)]);
        }
        let part =
            Dropped { first: 1, last: chain.seq, prev: Chain::empty().head, head: chain.head.clone(), bytes: 9, digest: head };
        let base = Checkpoint::of(&chain, history).instead_of(vec![part]).text(None);
        let (_, hash) = Checkpoint::read(&base).expect("it was just made");

        let through = chain.seq;
        tree.retain(|path, _| {
            !(path.starts_with("bases") || path.starts_with("checkpoints") || last_of(path).is_some_and(|last| last <= through))
        });
        let tail = tree.entry("entries.jsonl".into()).or_default();
        if through >= last.seq {
            tail.clear();
        } else {
            chain = Chain::after(last.seq, last.hash.clone(), seals).sealed_by(sealer);
        }
        let says = Event::Compacted { through, head: chain.head.clone(), base: hash };
        tail.extend((chain.seal(says, &"eve".into(), 9).line() + "\n").into_bytes());
        tree.insert(format!("bases/{through:012}.json").into(), base.into_bytes());
    }

    /// Puts a made-up history where reading begins, with the head that is true.
    fn stand_at_base(&self, tree: &mut Tree) -> Option<()> {
        let (chain, history) = &self.begun;
        let (_, base) = tree.iter().find(|(path, _)| path.starts_with("bases"))?;
        let text = String::from_utf8_lossy(base).replace("\"until_ms\":null", "\"until_ms\":1000");
        let forged = close(text[..text.rfind(",\"hash\"")?].to_string() + "}", None);
        let (read, _) = Checkpoint::read(&forged).expect("it is closed");
        assert!((read.seq, &read.head) == (chain.seq, &chain.head) && read.history.holds(0).len() == history.holds(0).len());
        tree.retain(|path, _| !path.starts_with("checkpoints"));
        tree.insert(format!("checkpoints/{:012}.json", chain.seq).into(), forged.into_bytes());
        tree.insert(format!("segments/{0:012}-{0:012}.jsonl", chain.seq).into(), Vec::new());
        Some(())
    }
}

/// The last entry of a segment.
fn last_of(path: &Path) -> Option<u64> {
    path.starts_with("segments").then(|| path.file_stem()?.to_str()?.split_once('-')?.1.parse().ok())?
}

fn eve() -> Sealer {
    Sealer::of_journal(&Key::new(b"of eve"))
}

fn number_of(path: &Path) -> Option<u64> {
    path.starts_with("checkpoints").then(|| path.file_stem()?.to_str()?.parse().ok())?
}

fn is_of_entries(path: &Path) -> bool {
    path.starts_with("segments") || path == Path::new("entries.jsonl")
}

/// The journal's files, without what is only there while it is written to.
fn journal(dir: &Path) -> Tree {
    let below = ["checkpoints", "bases", "previews"];
    let of_journal = |path: &Path| is_of_entries(path) || below.iter().any(|dir| path.starts_with(dir));
    files(dir).into_iter().filter(|(path, _)| of_journal(path)).collect()
}

/// Tampers `rounds` times, and returns how many times in each way, and how many of them were found.
async fn tampered(victim: &Victim, rounds: usize, seed: u64, is_told: bool, is_anchored: bool) -> BTreeMap<Way, (usize, usize)> {
    let key = victim.key.as_ref().filter(|_| is_told);
    let anchors = if is_anchored { vec![victim.anchor.clone()] } else { vec![] };
    assert!(!victim.finds(&victim.whole, key, &anchors), "nothing is found where nothing was done");
    let (mut chance, mut found) = (Chance(seed), BTreeMap::new());
    let mut done = 0;
    while done < rounds {
        let way = WAYS[chance.below(WAYS.len())];
        let Some(tree) = victim.tamper(way, &mut chance) else { continue };
        let (all, hits) = found.entry(way).or_insert((0, 0));
        *all += 1;
        *hits += usize::from(victim.finds(&tree, key, &anchors));
        done += 1;
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_random_tampering_is_found_with_the_key_and_an_anchor() {
    let wanted: usize = std::env::var("ISOBAR_TAMPERINGS").map_or(600, |wanted| wanted.parse().expect("a number"));
    let halves = [(1, false), (2, true)].map(|(seed, is_compacted)| {
        tokio::spawn(async move {
            let victim = Victim::new(Some(Key::new(b"k")), is_compacted).await;
            tampered(&victim, wanted / 2, seed, true, true).await
        })
    });
    let mut all = 0;
    for half in halves {
        for (way, (done, found)) in half.await.expect("it ended") {
            assert_eq!(found, done, "{way:?}");
            all += done;
        }
    }
    assert_eq!(all, wanted / 2 * 2);
    let _nobody_looks = writeln!(std::io::stdout(), "{all} of {all} tamperings were found");
}

/// The table of docs/journal.md: what is found always, sometimes or never, by what is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_without_a_key_or_an_anchor_is_what_the_docs_say() {
    use Way::{AppendEntry, ChangePreview, ForgeCompaction, OlderCopy, RemoveLine, Rewrite, RewriteSealed, Truncate};
    // A line removed is a truncation when it was the last.
    let cut = [Truncate, RemoveLine, OlderCopy];
    let nothing = [&cut[..], &[Rewrite, RewriteSealed, AppendEntry, ChangePreview, ForgeCompaction]].concat();
    let cases = [
        // sealed, the key is told, an anchor is told: what may stay unseen
        (true, true, false, cut.to_vec()),
        (true, false, true, vec![AppendEntry, ChangePreview]),
        (false, false, true, vec![AppendEntry, ChangePreview]),
        (false, false, false, nothing),
    ];
    for ((is_sealed, is_told, is_anchored, unseen), is_compacted) in
        cases.into_iter().flat_map(|case| [(case.clone(), false), (case, true)])
    {
        let victim = Victim::new(is_sealed.then(|| Key::new(b"k")), is_compacted).await;
        let found = tampered(&victim, 200, 3, is_told, is_anchored).await;
        for (way, (done, found)) in found {
            let is_certain = !unseen.contains(&way);
            let known = format!("key {is_told}, anchor {is_anchored}, compacted {is_compacted}");
            assert_eq!(found == done, is_certain, "{way:?}: {found} of {done} with {known}");
        }
    }
}

#[tokio::test]
async fn nobody_begins_at_a_checkpoint_that_stands_where_entries_were_compacted_away() {
    for key in [None, Some(Key::new(b"k"))] {
        let victim = Victim::new(key, true).await;
        let read = || small(victim.dir.path(), victim.key.as_ref());
        let whole = read().history().await.expect("whole").holds(0).len();
        let mut forged = victim.whole.clone();
        victim.stand_at_base(&mut forged).expect("it was compacted");
        victim.put(&forged, &victim.whole);
        assert_eq!(
            read().history().await.expect("the base is there").holds(2_000).len(),
            whole,
            "the made-up one ends every hold at 1000"
        );
        let found = read().audit(&[]).await.expect("readable").findings;
        let places: Vec<&str> = found.iter().filter_map(|found| found.place.split('/').rev().nth(1)).collect();
        assert_eq!(places, ["checkpoints", "segments"], "{found:?}");
    }
}
