//! Heads that somebody kept, held against the entries that are there: one was met, or somebody changed the journal, or it cannot be
//! told. Knows numbers and hashes of entries; not what is in them.

use super::Unproven;
use crate::change::Digest;
use crate::journal::{Chain, Dropped, Entry, Event, Seals};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A head that somebody kept from a report: the entry with this number and hash was there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    seq: Option<u64>,
    /// The hash, or its beginning.
    hash: String,
}

const LATER: &str = "give an anchor that was taken after the compaction: every report since then names one";
const LATER_OR_KEY: &str =
    "set ISOBAR_KEY, or give an anchor that was taken after the compaction: every report since then names one";

impl Anchor {
    /// It is the head `seq` with this hash.
    pub fn names(&self, seq: u64, hash: &Digest) -> bool {
        self.seq.is_none_or(|own| own == seq) && hash.as_str().starts_with(&self.hash)
    }
}

impl FromStr for Anchor {
    type Err = String;

    /// Reads `1234:6767a4…` as reports print it, or only the hash; at least 16 of its 64 characters.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no head of a journal, such as 1234:6767a4959fffd68d…");
        let (seq, hash) = match text.split_once(':') {
            Some((seq, hash)) => (Some(seq.parse().map_err(|_| wrong())?), hash),
            None => (None, text),
        };
        let is_hash = (16..=64).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash {
            return Err(wrong());
        }
        Ok(Self { seq, hash: hash.to_ascii_lowercase() })
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "{seq}:{}", self.hash),
            None => f.write_str(&self.hash),
        }
    }
}

/// The anchors of an audit, as the entries pass by.
pub(super) struct Anchors<'a> {
    missed: Vec<&'a Anchor>,
    met: Vec<(u64, &'a Anchor)>,
    /// The last entry that was compacted away; 0 for none.
    through: u64,
    /// The hash of what stands for those, and the entry that names it.
    base: Option<Digest>,
    named_by: Option<u64>,
    /// What that says of them: numbers and hashes of some.
    kept: BTreeMap<u64, Digest>,
}

/// What became of all anchors.
#[derive(Default)]
pub(super) struct Weighed {
    pub(super) met: usize,
    pub(super) unproven: Vec<Unproven>,
    /// What cannot be, and what it means.
    pub(super) wrong: Vec<(String, &'static str)>,
}

impl<'a> Anchors<'a> {
    pub(super) fn of(anchors: &'a [Anchor]) -> Self {
        let (missed, met, kept) = (anchors.iter().collect(), Vec::new(), BTreeMap::new());
        Self { missed, met, through: 0, base: None, named_by: None, kept }
    }

    /// Reading begins after `chain`, at what stands for the entries up to there.
    pub(super) fn begin(&mut self, chain: &Chain, base: &Digest, dropped: &[Dropped]) {
        (self.through, self.base) = (chain.seq, Some(base.clone()));
        let before = |part: &Dropped| (part.first.saturating_sub(1), part.prev.clone());
        self.kept = dropped.iter().flat_map(|part| [before(part), (part.last, part.head.clone())]).collect();
        self.kept.insert(chain.seq, chain.head.clone());
    }

    pub(super) fn pass(&mut self, entry: &'_ Entry) {
        if matches!(&entry.event, Event::Compacted { base, .. } if self.base.as_ref() == Some(base)) {
            self.named_by.get_or_insert(entry.seq);
        }
        let met = self.missed.extract_if(.., |anchor| anchor.names(entry.seq, &entry.hash));
        self.met.extend(met.map(|anchor| (entry.seq, anchor)));
    }

    /// All was read up to `chain`, or to where it broke.
    ///
    /// Whoever can write can make compacted entries up, and the entries that follow them: then an anchor among them says nothing, and one
    /// of before the entry that names what stands for them says nothing of that. A seal of ours after that entry says what it says.
    pub(super) fn weigh(self, chain: &Chain, is_broken: bool) -> Weighed {
        let mut weighed = Weighed::default();
        let is_sealed = chain.seals == Seals::Checked && !is_broken;
        let next = if chain.seals == Seals::Unchecked { LATER_OR_KEY } else { LATER };
        let gone = format!("the entries 1 to {}, which were compacted away", self.through);
        for anchor in &self.missed {
            if is_broken {
                let what = format!("anchor {anchor} was not met before the chain broke");
                weighed.unproven.push(Unproven { what, next: "first do what is said of the place where it breaks" });
                continue;
            }
            let what = match (anchor.seq, self.says(anchor)) {
                (_, Some(true)) if is_sealed => {
                    weighed.met += 1;
                    continue;
                }
                (_, Some(true)) => format!(
                    "anchor {anchor} is named by what was kept of {gone}, and no seal that was checked vouches for what was kept"
                ),
                (Some(seq), Some(false)) => {
                    let what = format!("what was kept of compacted entries names another entry {seq} than anchor {anchor}");
                    weighed.wrong.push((what, "the chain was written anew from that entry or before, and was then compacted"));
                    continue;
                }
                (Some(seq), None) if seq <= self.through => {
                    format!("anchor {anchor} was not met: entry {seq} is among {gone}, or somebody only made it look so")
                }
                (None, _) if self.through > 0 => {
                    let what = format!("anchor {anchor} was not met, and why cannot be told: it may be among {gone}");
                    weighed
                        .unproven
                        .push(Unproven { what, next: "give it as NUMBER:HASH, or give one that was taken after the compaction" });
                    continue;
                }
                (Some(seq), _) if seq > chain.seq => {
                    let what = format!("the chain ends at entry {}, and {anchor} was once its head", chain.seq);
                    weighed.wrong.push((what, "entries at its end were removed, or an older copy of the journal was put back"));
                    continue;
                }
                (Some(_) | None, _) => {
                    let what = format!("no entry is the one of anchor {anchor}");
                    weighed.wrong.push((what, "the chain was written anew from that entry or before, or its end was removed"));
                    continue;
                }
            };
            weighed.unproven.push(Unproven { what, next });
        }

        let reaches = |named_by: u64| self.met.iter().any(|(seq, _)| *seq >= named_by);
        let is_held = self.through == 0 || is_sealed || is_broken || self.named_by.is_some_and(reaches);
        match is_held {
            true => weighed.met += self.met.len(),
            false => weighed.unproven.extend(self.met.iter().map(|(_, anchor)| {
                let named_by = self.named_by.unwrap_or(chain.seq);
                let what = format!(
                    "anchor {anchor} is there, and older than entry {named_by}, which alone says what stands for {gone}: that may be made up"
                );
                Unproven { what, next }
            })),
        }
        weighed
    }

    /// What was kept of compacted entries says of an anchor: it names that entry, or another with the same number; `None` when nothing.
    fn says(&self, anchor: &Anchor) -> Option<bool> {
        match anchor.seq {
            Some(seq) => self.kept.get(&seq).map(|hash| anchor.names(seq, hash)),
            None => self.kept.iter().any(|(seq, hash)| anchor.names(*seq, hash)).then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_reports_print_it() {
        let hash = "6767a4959fffd68d92e20bc25c896682afb2136db3d13dbbbc58b98cf72712b1";
        for text in [hash.to_string(), format!("12:{hash}"), hash[..16].to_string()] {
            assert_eq!(text.parse::<Anchor>().map(|anchor| anchor.to_string()), Ok(text));
        }
        for text in ["", "12", "12:", &hash[..15], "x:6767a4959fffd68d", "6767a4959fffd68g", &format!("{hash}0")] {
            assert!(text.parse::<Anchor>().is_err(), "{text}");
        }
    }

    /// Nine entries, of which the first four were compacted in two parts; the eighth says so.
    fn compacted() -> (Vec<Entry>, Chain, Vec<Dropped>, Digest) {
        let (mut chain, base) = (Chain::empty(), Digest::of_bytes(b"base"));
        let (mut entries, mut begun): (Vec<Entry>, _) = (Vec::new(), chain.clone());
        for seq in 1..=9 {
            let base = if seq == 8 { base.clone() } else { Digest::of_bytes(b"another") };
            let event = Event::Compacted { through: 4, head: begun.head.clone(), base };
            entries.push(chain.seal(event, &"run".into(), seq));
            if seq == 4 {
                begun = chain.clone();
            }
        }
        let part = |first: usize, last: usize| Dropped {
            first: first as u64,
            last: last as u64,
            prev: entries[first - 1].prev.clone(),
            head: entries[last - 1].hash.clone(),
            bytes: 0,
            digest: base.clone(),
        };
        let dropped = vec![part(1, 2), part(3, 4)];
        (entries, begun, dropped, base)
    }

    /// How many anchors were met, cannot be told, and are wrong, when our key sealed the newest entry and when it did not.
    fn weighed(anchors: &[&str]) -> [(usize, usize, usize); 2] {
        let (entries, begun, dropped, base) = compacted();
        let hash = |seq: usize| entries[seq - 1].hash.as_str();
        let named = |text: &&str| match text.split_once(':') {
            Some((seq, of)) => format!("{seq}:{}", hash(of.parse().expect("a number"))),
            None => hash(text.parse().expect("a number")).to_string(),
        };
        let anchors: Vec<Anchor> = anchors.iter().map(|text| named(text).parse().expect("an anchor")).collect();
        [Seals::Checked, Seals::None].map(|seals| {
            let mut reading = Anchors::of(&anchors);
            reading.begin(&begun, &base, &dropped);
            entries[4..].iter().for_each(|entry| reading.pass(entry));
            let weighed = reading.weigh(&Chain::after(9, entries[8].hash.clone(), seals), false);
            (weighed.met, weighed.unproven.len(), weighed.wrong.len())
        })
    }

    #[test]
    fn an_anchor_among_compacted_entries_is_met_only_where_a_seal_vouches_for_what_names_it() {
        assert_eq!(weighed(&["2:2"]), [(1, 0, 0), (0, 1, 0)], "the last of a part");
        assert_eq!(weighed(&["4:4"]), [(1, 0, 0), (0, 1, 0)], "the last of all");
        assert_eq!(weighed(&["4"]), [(1, 0, 0), (0, 1, 0)], "by its hash alone");
        assert_eq!(weighed(&["3:3"]), [(0, 1, 0); 2], "nothing was kept of it");
        assert_eq!(weighed(&["3"]), [(0, 1, 0); 2], "nor, without its number, can it be told that it was there");
        assert_eq!(weighed(&["2:3"]), [(0, 0, 1); 2], "what was kept says otherwise");
        assert_eq!(weighed(&["6:7"]), [(0, 0, 1); 2], "what is there says otherwise");
        assert_eq!(weighed(&["10:7"]), [(0, 0, 1); 2], "its end was removed");
    }

    #[test]
    fn an_anchor_that_is_older_than_the_compaction_says_nothing_of_what_stands_for_the_entries() {
        assert_eq!(weighed(&["6:6"]), [(1, 0, 0), (0, 1, 0)]);
        assert_eq!(weighed(&["6:6", "7:7"]), [(2, 0, 0), (0, 2, 0)]);
        assert_eq!(weighed(&["8:8"]), [(1, 0, 0); 2]);
        assert_eq!(weighed(&["6:6", "9:9"]), [(2, 0, 0); 2], "the newest stands for all before it");
    }
}
