//! What a look at every kept byte can say: where it is not what was written, what that means, and what nobody can see any more.
//! Knows the chain; not which files it lies in.

mod anchors;

pub use anchors::Anchor;

use crate::change::Digest;
use crate::journal::{Chain, Checkpoint, CheckpointFault, Dropped, Entry, History, Sealer, Seals, is_closed, is_sealed_by};
use anchors::Anchors;
use std::collections::BTreeMap;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Entries that were read and proven, and how many of them ISOBAR_KEY sealed.
    pub entries: u64,
    pub sealed: u64,
    /// Number and hash of the last of them.
    pub head: Option<(u64, Digest)>,
    pub seals: Seals,
    /// A key was there to check seals with.
    pub has_key: bool,
    pub checkpoints: usize,
    pub previews: usize,
    /// Every entry follows the one before; anchors and seals are other questions.
    pub chain_holds: bool,
    /// Anchors that were met, and hold all that stands before them.
    pub anchored: usize,
    /// Oldest place first.
    pub findings: Vec<Finding>,
    /// Anchors of which nobody can tell whether they were met: nothing shows that somebody changed the journal, nor that nobody did.
    pub unproven: Vec<Unproven>,
    /// What could not be looked at, and is no finding.
    pub unseen: Vec<String>,
}

/// One place that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// File and line, or what stands for it.
    pub place: String,
    /// The entry that must stand there.
    pub seq: Option<u64>,
    pub what: String,
    pub means: &'static str,
    pub next: &'static str,
}

/// What can be neither proven nor refuted, and what would settle it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    pub what: String,
    pub next: &'static str,
}

/// What was compacted away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    pub segments: usize,
    pub entries: u64,
    pub bytes: u64,
    /// The last entry that is gone.
    pub through: u64,
}

const RESTORE: &str = "restore the journal from a copy that is older than the change, and find out who could write here";

/// An audit as it goes through the entries.
pub(super) struct Reading<'a> {
    pub(super) audit: Audit,
    is_broken: bool,
    anchors: Anchors<'a>,
}

impl<'a> Reading<'a> {
    pub(super) fn of(anchors: &'a [Anchor], has_key: bool) -> Self {
        Self { audit: Audit { has_key, ..Audit::default() }, is_broken: false, anchors: Anchors::of(anchors) }
    }

    /// Reading begins after `chain`; where entries were compacted away, at what stands for them.
    pub(super) fn begin(&mut self, chain: &Chain, base: Option<&Digest>, dropped: &[Dropped]) {
        if let Some(base) = base {
            self.anchors.begin(chain, base, dropped);
        }
    }

    /// An entry was read, and it follows the one before.
    pub(super) fn met(&mut self, entry: &Entry) {
        self.audit.entries += 1;
        self.audit.head = Some((entry.seq, entry.hash.clone()));
        self.anchors.pass(entry);
    }

    /// A line was read that cannot stand where it does; `chain` is what it should have followed.
    pub(super) fn broken(&mut self, place: String, what: &str, chain: &Chain, line: &[u8]) {
        let (means, seq) = (meaning(chain, line), Some(chain.seq + 1));
        self.audit.findings.push(Finding { place, seq, what: what.into(), means, next: RESTORE });
        self.audit.unseen.push("the entries after the place where the chain breaks: nothing holds them to it".into());
        self.is_broken = true;
    }

    /// What stands where the journal must be is something else.
    pub(super) fn no_journal(&mut self, place: String, what: String) {
        self.found(place, what, "what stands at the ref is no journal, or somebody put something into it by hand", RESTORE);
        self.is_broken = true;
    }

    /// What stands in the place of entries is not what it must be.
    pub(super) fn broken_base(&mut self, place: String, what: String) {
        let means = "what was kept of compacted entries is not what was made of them";
        self.found(place, what, means, "restore bases/ from a copy");
        self.is_broken = true;
    }

    pub(super) fn found(&mut self, place: String, what: String, means: &'static str, next: &'static str) {
        self.audit.findings.push(Finding { place, seq: None, what, means, next });
    }

    /// All was read up to `chain`.
    pub(super) fn finish(mut self, place: &str, chain: &Chain) -> Audit {
        self.audit.seals = chain.seals;
        let was_broken = self.is_broken;
        if let (Some(seq), false) = (chain.replaced, was_broken) {
            let what = format!("entry {seq} begins with another key, and what is before it is sealed by ISOBAR_KEY");
            let means = "the key was replaced there, or somebody without it wrote that entry and what follows";
            let next =
                "set the key that took over; where nobody changed the key, restore the journal from a copy without that entry";
            self.audit.findings.push(Finding { place: place.into(), seq: Some(seq), what, means, next });
        } else if let (Some(unsealed), false) = (chain.lacks_seal(), was_broken) {
            let means = "the whole chain may have been written anew by somebody without the key";
            self.found(place.into(), unsealed.what.into(), means, unsealed.hint);
        }
        self.audit.chain_holds = !was_broken;
        let weighed = std::mem::replace(&mut self.anchors, Anchors::of(&[])).weigh(chain, was_broken);
        (self.audit.anchored, self.audit.unproven) = (weighed.met, weighed.unproven);
        for (what, means) in weighed.wrong {
            self.found(place.into(), what, means, RESTORE);
        }
        self.audit
    }
}

impl Reading<'_> {
    /// A kept set of previews was looked at.
    pub(super) fn preview(&mut self, place: String, text: &str, sealer: Option<&Sealer>, next: &'static str) {
        self.audit.previews += 1;
        match sealer {
            Some(sealer) if !is_sealed_by(text, sealer) => {
                let what = "ISOBAR_KEY did not seal this set of previews".to_string();
                self.found(place, what, "it was changed, or made without the key; nobody believes it", next);
            }
            None if !is_closed(text) => {
                self.found(place, "it is not what its hash says".into(), "the set of previews was changed", next);
            }
            Some(_) | None => {}
        }
    }
}

/// Checkpoints and bases that wait for the fold to reach them: where each stands, and its text.
pub(super) struct Standing {
    waiting: BTreeMap<u64, Vec<(String, String)>>,
    /// What was compacted away before them.
    dropped: Vec<Dropped>,
    /// What to do about one that is wrong.
    remake: &'static str,
}

impl Standing {
    pub(super) fn new(remake: &'static str, dropped: Vec<Dropped>) -> Self {
        Self { waiting: BTreeMap::new(), dropped, remake }
    }

    pub(super) fn add(&mut self, seq: u64, place: String, text: String) {
        self.waiting.entry(seq).or_default().push((place, text));
    }

    /// Holds what stands at the end of `chain` against that, and against the fold up to there.
    pub(super) fn pass(&mut self, chain: &Chain, history: impl FnOnce() -> History, reading: &mut Reading<'_>) {
        let Some(standing) = self.waiting.remove(&chain.seq) else { return };
        let folded = history().resolved();
        for (place, text) in standing {
            let forged = "its history is not what the entries fold into: somebody made it up";
            match Checkpoint::read_sealed(&text, None) {
                Ok(read) if !read.is_of(chain, &folded, &self.dropped) => {
                    reading.found(place, format!("it is not the checkpoint of entry {}", chain.seq), forged, self.remake);
                }
                Ok(_) => reading.audit.checkpoints += 1,
                Err(CheckpointFault::Schema(schema)) => {
                    reading.audit.unseen.push(format!("{place} has schema {schema}; this version does not use it"));
                }
                Err(CheckpointFault::Broken(what)) => {
                    reading.found(place, what, "it was changed after it was written", self.remake);
                }
            }
        }
    }

    /// What stands behind the end of the chain.
    pub(super) fn rest(self, chain: &Chain, reading: &mut Reading<'_>) {
        if !reading.audit.findings.is_empty() {
            return; // the fold did not come that far
        }
        for (seq, standing) in self.waiting {
            for (place, _) in standing {
                let what =
                    format!("it stands at entry {seq}, and no group of the chain, which goes to {}, ends there", chain.seq);
                let means = "entries at the end were removed, or somebody made the checkpoint up";
                reading.found(place, what, means, "restore the journal from a copy, or delete that file");
            }
        }
    }
}

/// What it means that `line` cannot follow `chain`.
fn meaning(chain: &Chain, line: &[u8]) -> &'static str {
    let entry = std::str::from_utf8(line).ok().and_then(|text| Entry::read(text).ok());
    match entry {
        None if line.is_empty() => "what stood there was taken away",
        None => "the line was changed after it was written",
        Some(entry) if entry.seq > chain.seq + 1 => "entries before this line were removed or moved",
        Some(entry) if entry.seq <= chain.seq => "the line was put in, stands twice, or was moved",
        Some(entry) if entry.prev != chain.head => "this line, or one before it, was put here from another chain",
        Some(entry) if entry.seal.is_none() && chain.seals != Seals::None => "somebody without the key wrote it",
        Some(_) if chain.lacks > 0 => "a group of entries was taken apart",
        Some(_) => "somebody without the key wrote it, or changed it",
    }
}

/// Audits entries that a store has read and verified already.
pub(super) fn audit_entries(entries: &[Entry], anchors: &[Anchor], place: &str) -> Audit {
    let (mut reading, mut chain) = (Reading::of(anchors, false), Chain::empty());
    for entry in entries {
        if let Err(what) = chain.follow(entry) {
            reading.broken(format!("{place} entry {}", entry.seq), &what, &chain.clone(), entry.line().as_bytes());
            break;
        }
        reading.met(entry);
    }
    reading.finish(place, &chain)
}
