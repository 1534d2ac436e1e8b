//! What this process verified of the book, and how it reads on from there. Knows lines, the chain and what a page does; not how
//! texts come here.

use super::fault::broken;
use super::page::{self, SCHEMA};
use crate::bucket::Version;
use crate::change::Digest;
use crate::journal::{Chain, Entry, Fault, History, Sealer};
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use crate::store::recent::Recent;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// `contents.json`: which volumes there are, and how things stood at the last page in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Contents {
    schema: u32,
    /// The last page that is bound; 0 for none.
    pub(super) page: u64,
    /// Digest of its text.
    last: Digest,
    /// Of the last entry bound.
    seq: u64,
    hash: Digest,
    /// Of the last lease, held or not.
    epoch: u64,
    /// Held then.
    leases: Vec<LeaseFile>,
    pub(super) volumes: Vec<Volume>,
}

/// Entries of many pages in one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Volume {
    /// From the journal's prefix.
    pub(super) name: String,
    /// Its first entry.
    pub(super) first: u64,
    pub(super) bytes: usize,
}

/// A page after the last that is bound.
struct Loose {
    page: u64,
    last: Digest,
    lines: String,
}

/// The book as far as this process verified it.
pub(super) struct Book {
    /// For people.
    place: Arc<str>,
    sealer: Option<Sealer>,
    is_open: bool,
    /// The last page; 0 before the first.
    pub(super) page: u64,
    /// Digest of its text.
    pub(super) last: Digest,
    pub(super) chain: Chain,
    pub(super) history: History,
    pub(super) recent: Recent,
    /// By epoch.
    pub(super) leases: BTreeMap<u64, LeaseFile>,
    pub(super) epoch: u64,
    pub(super) contents: Contents,
    /// Of the contents; `None` while there are none.
    pub(super) version: Option<Version>,
    loose: VecDeque<Loose>,
}

impl Contents {
    fn empty() -> Self {
        let chain = Chain::empty();
        let (last, hash) = (Digest::of("pages", &["none"]), chain.head);
        Self { schema: SCHEMA, page: 0, last, seq: 0, hash, epoch: 0, leases: Vec::new(), volumes: Vec::new() }
    }
}

impl Book {
    /// Not read yet; with a key, seals are made and checked.
    pub(super) fn closed(place: Arc<str>, sealer: Option<Sealer>) -> Self {
        let contents = Contents::empty();
        Self {
            place,
            is_open: false,
            page: 0,
            last: contents.last.clone(),
            chain: Chain::empty().sealed_by(sealer.clone()),
            sealer,
            history: History::default(),
            recent: Recent::default(),
            leases: BTreeMap::new(),
            epoch: 0,
            contents,
            version: None,
            loose: VecDeque::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Opens it at the last page that is bound. `texts` are those of the volumes, in order.
    pub(super) fn open(
        &mut self,
        found: Option<(Contents, Version)>,
        texts: impl Iterator<Item = Result<String, StoreError>>,
    ) -> Result<(), StoreError> {
        let (contents, version) = match found {
            Some((contents, version)) => (contents, Some(version)),
            None => (Contents::empty(), None),
        };
        let mut lines = self.lines(texts);
        let history = History::of(&mut lines);
        let chain = lines.end()?;
        if (chain.seq, &chain.head) != (contents.seq, &contents.hash) || !chain.is_whole() {
            return Err(broken(&self.place, format!("its volumes do not end with entry {} as its contents say", contents.seq)));
        }
        let leases = contents.leases.iter().map(|lease| (lease.epoch, lease.clone())).collect();
        (self.chain, self.history, self.leases, self.epoch) = (chain, history, leases, contents.epoch);
        (self.page, self.last) = (contents.page, contents.last.clone());
        (self.contents, self.version, self.is_open) = (contents, version, true);
        Ok(())
    }

    /// Turns to the next page; returns its entries.
    pub(super) fn turn(&mut self, text: &str) -> Result<Vec<Entry>, StoreError> {
        let place = format!("{}/{}", self.place, page::name(self.page + 1));
        let (head, lines) = page::read(&place, text)?;
        if head.page != self.page + 1 || head.after != self.last {
            return Err(broken(&place, "it does not follow the page before it"));
        }
        let mut chain = self.chain.clone();
        let entries = lines.lines().map(|line| follow(&place, &mut chain, line)).collect::<Result<Vec<_>, _>>()?;
        if !chain.is_whole() {
            return Err(broken(&place, format!("the group of entry {} has no end", chain.seq)));
        }
        entries.iter().for_each(|entry| self.history.record(entry));
        self.recent.met(&entries);
        self.leases.retain(|epoch, _| !head.ended.contains(epoch));
        if let Some(lease) = head.lease {
            self.epoch = lease.epoch;
            self.leases.insert(lease.epoch, lease);
        }
        (self.chain, self.page, self.last) = (chain, head.page, Digest::of_bytes(text.as_bytes()));
        self.loose.push_back(Loose { page: self.page, last: self.last.clone(), lines: lines.into() });
        Ok(entries)
    }

    /// The chain before the first line of a page that cannot stand where it does, and that line.
    pub(super) fn stops_at<'a>(&self, text: &'a str) -> (Chain, &'a str) {
        let mut chain = self.chain.clone();
        for line in text.lines().skip(1) {
            let before = chain.clone();
            if chain.follow_line(line).is_err() {
                return (before, line);
            }
        }
        (self.chain.clone(), text.lines().next().unwrap_or_default())
    }

    /// Keeps no texts of pages, for whoever reads on and binds nothing.
    pub(super) fn forget_loose(&mut self) {
        self.loose.clear();
    }

    /// Pages that are in no volume that we know of.
    pub(super) fn loose_pages(&self) -> usize {
        self.loose.len()
    }

    /// The number of the first entry that is in no volume, there or to come.
    pub(super) fn loose_from(&self) -> u64 {
        self.contents.seq + 1
    }

    /// The lines of their entries.
    pub(super) fn loose_lines(&self) -> String {
        self.loose.iter().map(|page| page.lines.as_str()).collect()
    }

    /// Takes over newer contents; pages that they bind are loose no more.
    pub(super) fn rebind(&mut self, contents: Contents, version: Version) -> Result<(), StoreError> {
        let bound = self.loose.iter().find(|page| page.page == contents.page);
        if bound.is_some_and(|page| page.last != contents.last) {
            return Err(broken(&self.place, format!("page {} was another one: somebody rewrote the journal", contents.page)));
        }
        self.loose.retain(|page| page.page > contents.page);
        (self.contents, self.version) = (contents, Some(version));
        Ok(())
    }

    /// The contents once all pages are bound in `volumes`.
    pub(super) fn bound(&self, volumes: Vec<Volume>) -> Contents {
        Contents {
            schema: SCHEMA,
            page: self.page,
            last: self.last.clone(),
            seq: self.chain.seq,
            hash: self.chain.head.clone(),
            epoch: self.epoch,
            leases: self.leases.values().cloned().collect(),
            volumes,
        }
    }

    /// Reads every entry again, of the texts of the volumes and the loose pages, and hands it on.
    pub(super) fn each(
        &self,
        texts: impl Iterator<Item = Result<String, StoreError>>,
        take: &mut dyn FnMut(Entry),
    ) -> Result<(), StoreError> {
        let mut lines = self.lines(texts.chain(std::iter::once_with(|| Ok(self.loose_lines()))));
        (&mut lines).for_each(take);
        lines.end()?;
        self.is_believed()
    }

    /// Whoever has a key believes what that key sealed.
    pub(super) fn is_believed(&self) -> Result<(), StoreError> {
        self.chain.lacks_seal().map_or(Ok(()), |unsealed| Err(unsealed.into()))
    }

    /// Verifies texts from the first entry on.
    fn lines<Texts: Iterator<Item = Result<String, StoreError>>>(&self, texts: Texts) -> Lines<'_, Texts> {
        let chain = Chain::empty().sealed_by(self.sealer.clone());
        Lines { place: &self.place, texts, open: Default::default(), chain, fault: None }
    }
}

fn follow(place: &str, chain: &mut Chain, line: &str) -> Result<Entry, StoreError> {
    chain.follow_line(line).map_err(|fault| match fault {
        Fault::Newer(schema) => StoreError::Newer(schema),
        Fault::Broken(what) => broken(place, what),
    })
}

/// Reads and verifies the lines of texts, one after the other; ends with the first fault.
struct Lines<'a, Texts> {
    place: &'a str,
    texts: Texts,
    /// The text that is read, and from where.
    open: (String, usize),
    chain: Chain,
    fault: Option<StoreError>,
}

impl<Texts: Iterator<Item = Result<String, StoreError>>> Lines<'_, Texts> {
    fn end(self) -> Result<Chain, StoreError> {
        self.fault.map_or(Ok(self.chain), Err)
    }

    fn read(&mut self) -> Result<Option<Entry>, StoreError> {
        loop {
            let (text, at) = &mut self.open;
            if let Some((line, _)) = text[*at..].split_once('\n') {
                *at += line.len() + 1;
                return follow(self.place, &mut self.chain, line).map(Some);
            }
            if *at != text.len() {
                return Err(broken(self.place, "the last line of a volume has no end"));
            }
            match self.texts.next() {
                Some(text) => self.open = (text?, 0),
                None => return Ok(None),
            }
        }
    }
}

impl<Texts: Iterator<Item = Result<String, StoreError>>> Iterator for Lines<'_, Texts> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.fault.is_some() {
            return None;
        }
        self.read().unwrap_or_else(|fault| {
            self.fault = Some(fault);
            None
        })
    }
}
