//! What this process verified of the book, and how it reads on from there. Knows lines, the chain and what a page does; not how
//! texts come here.

use super::contents::Contents;
use super::fault::broken;
use super::lines::{Lines, follow, is_vouched, vouch};
use super::page;
use super::start::Start;
use crate::bucket::Version;
use crate::change::Digest;
use crate::journal::{Chain, Entry, Sealer};
use crate::store::StoreError;
use crate::store::leases::LeaseFile;
use crate::store::recent::Followed;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

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
    is_open: bool,
    /// The last page; 0 before the first.
    pub(super) page: u64,
    /// Digest of its text.
    pub(super) last: Digest,
    pub(super) chain: Chain,
    pub(super) followed: Followed,
    /// By epoch.
    pub(super) leases: BTreeMap<u64, LeaseFile>,
    pub(super) epoch: u64,
    pub(super) contents: Contents,
    /// Of the contents; `None` while there are none.
    pub(super) version: Option<Version>,
    /// The base that reading began at, as long as no entry named it.
    unvouched: Option<Digest>,
    /// The newest checkpoint that is there is of no use to us.
    pub(super) is_late: bool,
    loose: VecDeque<Loose>,
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
            chain: Chain::empty().sealed_by(sealer),
            followed: Followed::default(),
            leases: BTreeMap::new(),
            epoch: 0,
            contents,
            version: None,
            unvouched: None,
            is_late: false,
            loose: VecDeque::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Opens it at the last page that is bound. `texts` are those of the volumes after `start`, in order.
    pub(super) fn open(
        &mut self,
        start: Start,
        texts: impl Iterator<Item = Result<String, StoreError>>,
    ) -> Result<(), StoreError> {
        let Start { contents, version, chain, history, base, is_late, .. } = start;
        let mut lines = Lines::new(&self.place, texts, chain, base);
        let history = history.and(&mut lines);
        let (chain, unvouched) = lines.end()?;
        if (chain.seq, &chain.head) != (contents.seq, &contents.hash) || !chain.is_whole() {
            return Err(broken(&self.place, format!("its volumes do not end with entry {} as its contents say", contents.seq)));
        }
        let leases = contents.leases.iter().map(|lease| (lease.epoch, lease.clone())).collect();
        self.followed = Followed::at(history);
        (self.chain, self.leases, self.epoch) = (chain, leases, contents.epoch);
        (self.page, self.last, self.unvouched) = (contents.page, contents.last.clone(), unvouched);
        (self.contents, self.version, self.is_late, self.is_open) = (contents, version, is_late, true);
        Ok(())
    }

    /// There is a last page, and it was not compacted away before we came.
    pub(super) fn has_last_page(&self) -> bool {
        let is_gone = self.contents.base.is_some() && self.contents.volumes.is_empty() && self.page == self.contents.page;
        self.page > 0 && !is_gone
    }

    /// Turns to the next page; returns its entries.
    pub(super) fn turn(&mut self, text: &str) -> Result<Vec<Entry>, StoreError> {
        let place = format!("{}/{}", self.place, page::name(self.page + 1));
        let says = || broken(&place, "it says that it was compacted away, and the page before it was not");
        let (mut head, lines) = page::read(&place, text)?.ok_or_else(says)?;
        if head.page != self.page + 1 || head.after != self.last {
            return Err(broken(&place, "it does not follow the page before it"));
        }
        let mut chain = self.chain.clone();
        let entries = lines.lines().map(|line| follow(&place, &mut chain, line)).collect::<Result<Vec<_>, _>>()?;
        if !chain.is_whole() {
            return Err(broken(&place, format!("the group of entry {} has no end", chain.seq)));
        }
        entries.iter().for_each(|entry| vouch(&mut self.unvouched, entry));
        self.followed.met(&entries);
        self.leases.retain(|epoch, _| !head.ended.contains(epoch));
        for lease in head.leases() {
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

    /// The lines of their entries, page by page; the first of them follows the last that is bound.
    pub(super) fn loose_texts(&self) -> impl Iterator<Item = &str> {
        self.loose.iter().map(|page| page.lines.as_str())
    }

    /// All of these lines.
    pub(super) fn loose_lines(&self) -> String {
        self.loose_texts().collect()
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

    /// How things stand at the last page, with nothing bound.
    pub(super) fn stand(&self) -> Contents {
        Contents::at(self.page, self.last.clone(), &self.chain, self.epoch, self.leases.values().cloned().collect())
    }

    /// Once all pages were turned, an entry has vouched for what was begun with.
    pub(super) fn is_vouched(&self) -> Result<(), StoreError> {
        is_vouched(&self.place, self.unvouched.as_ref())
    }

    /// Whoever has a key believes what that key sealed.
    pub(super) fn is_believed(&self) -> Result<(), StoreError> {
        self.chain.lacks_seal().map_or(Ok(()), |unsealed| Err(unsealed.into()))
    }
}
