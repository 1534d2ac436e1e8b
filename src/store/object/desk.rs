//! The book on a desk: read on, and written to by putting the next page where there is none yet. Knows that a change is made once; not
//! what it is.

use super::ObjectSite;
use super::book::Book;
use super::contents::Contents;
use super::copies::Copies;
use super::fault::{broken, compacted_beyond, crowded, failed, in_doubt};
use super::page;
use crate::bucket::{Address, Bucket, Fault, Version, WRITE_MAX};
use crate::change::{Digest, Key};
use crate::journal::{Entry, Sealer};
use crate::store::StoreError;
use crate::store::life::Here;
use crate::store::turn::Turns;
use crate::store::wish::Stroke;
use futures::{StreamExt as _, TryStreamExt as _};
use std::hash::{BuildHasher as _, RandomState};
#[cfg(test)]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Pages of one change. Each that comes too late means that somebody else's came in time, so many writers all get on.
const TRIES_MAX: u32 = 100;
/// Between two of them: from the first to the second at most, and at most at all.
const PAUSE_FIRST_MS: u64 = 8;
const PAUSE_MAX_MS: u64 = 500;
/// Pages that are asked for at once: by whoever reads on, at first; and at most.
const AHEAD_FIRST: u64 = 2;
pub(super) const AHEAD_MAX: u64 = 16;
/// Bytes of entries after the newest checkpoint at which the next one is made.
const SEGMENT_BYTES: usize = 16 << 20;
/// Volumes on their way at once; each may have tens of megabytes.
const VOLUMES_AHEAD: usize = 2;

const CONTENTS: &str = "contents.json";
/// What runs try to write over, to see whether the service keeps conditions; and what begins the name where that is asked by itself.
const TRIAL: &str = "trial";

/// What one call works with.
pub(super) struct Desk {
    /// As `journal:` says it.
    pub(super) place: Arc<str>,
    address: Address,
    pub(super) bucket: Bucket,
    sealer: Option<Sealer>,
    pub(super) preview_sealer: Option<Sealer>,
    pub(super) book: Book,
    pub(super) here: Here,
    /// Of the processes of this user on this machine.
    pub(super) turns: Turns,
    copies: Copies,
    /// The last page that was read from the service, or put there: copies tell of later ones, and that is no word of the service.
    confirmed: u64,
    pub(super) segment_bytes: usize,
    /// What was found to be wrong with the book: this process writes no more on it.
    fault: Option<StoreError>,
}

/// What is to be done after the last page.
pub(super) enum Plan<T> {
    /// Nothing.
    Done(T),
    Write(Box<Stroke>, T),
}

impl Desk {
    pub(super) fn open(site: ObjectSite) -> Result<Self, Fault> {
        let bucket = site.buckets.open(&site.address.container)?;
        let place: Arc<str> = site.address.container.url(&site.address.prefix).into();
        let beside = site.locks.join(Digest::of("bucket journal", &[&place]).short());
        let turns = Turns::new(beside.clone(), &place, None);
        let (book, here) = (Book::closed(place.clone(), None), Here::new(site.locks));
        let (copies, confirmed) = (Copies::from_now(beside.join("pages"), here.boot()), 0);
        let (address, segment_bytes) = (site.address, SEGMENT_BYTES);
        let (sealer, preview_sealer, fault) = (None, None, None);
        Ok(Self { place, address, bucket, sealer, preview_sealer, book, here, turns, copies, confirmed, segment_bytes, fault })
    }

    /// As if it were on a machine that cannot look at this one.
    #[cfg(test)]
    pub(super) fn move_to(&mut self, locks: PathBuf) {
        self.here = Here::of_another_boot(locks.clone());
        self.copies = Copies::from_now(locks.join("pages"), self.here.boot());
    }

    /// Begins anew with a key, or without one.
    pub(super) fn seal_by(&mut self, key: Option<&Key>) {
        (self.sealer, self.preview_sealer) = (key.map(Sealer::of_journal), key.map(Sealer::of_previews));
        self.turns.seal_by(key);
        self.book = self.closed_book();
    }

    pub(super) fn is_keyed(&self) -> bool {
        self.sealer.is_some()
    }

    pub(super) fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_ref()
    }

    /// The book before anything of it was read.
    pub(super) fn closed_book(&self) -> Book {
        Book::closed(self.place.clone(), self.sealer.clone())
    }

    /// The key of what is named from the journal's prefix.
    pub(super) fn key(&self, name: &str) -> String {
        if self.address.prefix.is_empty() { name.into() } else { format!("{}/{name}", self.address.prefix) }
    }

    /// Before the first write of a process, the service shows that it keeps conditions.
    pub(super) fn try_out(&self) -> Result<(), StoreError> {
        wait(self.bucket.try_out_on(&self.key(TRIAL))).map_err(|fault| failed(&fault))
    }

    /// The same for whoever only wants to know, also when it was seen before.
    pub(super) fn try_anew(&self) -> Result<(), StoreError> {
        wait(self.bucket.try_anew(&self.key(&format!("{TRIAL}-")), &|_| Ok(()))).map_err(|fault| failed(&fault))
    }

    /// Verifies what came since the last look.
    pub(super) fn look(&mut self) -> Result<(), StoreError> {
        self.looked(Self::read_on)
    }

    /// Turns a few pages one by one until `is_enough`; then, and when there are no more, all that follow.
    pub(super) fn read_until(&mut self, is_enough: impl Fn(&Self) -> bool) -> Result<(), StoreError> {
        self.looked(|desk| {
            desk.read_copies(&is_enough);
            for _ in 0..AHEAD_FIRST {
                if !desk.book.is_open() || is_enough(desk) {
                    break;
                }
                match desk.pages_after(1, false)?.pop().flatten() {
                    Some(page) => drop(desk.book.turn(&page)?),
                    None => break,
                }
                desk.confirmed = desk.book.page;
            }
            if is_enough(desk) { Ok(()) } else { desk.read_on() }
        })
    }

    /// What is found to be wrong with the book stays wrong.
    fn looked(&mut self, look: impl FnOnce(&mut Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.fault.clone().map_or(Ok(()), Err)?;
        let looked = look(self);
        if let Err(fault @ (StoreError::Broken { .. } | StoreError::Newer(_))) = &looked {
            self.fault = Some(fault.clone());
        }
        looked
    }

    fn read_on(&mut self) -> Result<(), StoreError> {
        if self.book.is_open() {
            self.read_copies(&|_| false);
            return self.read_ahead(1); // mostly nobody wrote
        }
        self.copies.begin_anew();
        self.book = self.opened()?;
        self.read_ahead(AHEAD_FIRST).inspect_err(|_| self.book = self.closed_book())
    }

    /// Turns pages that others of this machine wrote and left here, until `is_enough`. A copy follows the page that was read last, by the
    /// digest of that, or it is none; and the service is asked for the last of them before anything is put behind it, and with the next look.
    fn read_copies(&mut self, is_enough: &dyn Fn(&Self) -> bool) {
        while self.book.has_last_page() && !is_enough(self) {
            match self.copies.read(self.book.page + 1) {
                Some(text) if self.book.turn(&text).is_ok() => {}
                Some(_) | None => return,
            }
        }
    }

    /// Asks the service for the page that was read last; false where it has another one there, or none.
    fn confirm(&mut self) -> Result<bool, StoreError> {
        let text = self.page(self.book.page)?;
        let is_there = text.is_some_and(|text| Digest::of_bytes(text.as_bytes()) == self.book.last);
        if is_there {
            self.confirmed = self.book.page;
        }
        Ok(is_there)
    }

    /// Turns all pages that follow, `ahead` of which are asked for at first.
    fn read_ahead(&mut self, mut ahead: u64) -> Result<(), StoreError> {
        let mut is_known = self.book.has_last_page();
        loop {
            let pages = self.pages_after(ahead, is_known)?;
            let there = pages.iter().take_while(|page| page.is_some()).count();
            let is_torn = pages[there..].iter().any(Option::is_some);
            for page in pages.into_iter().take(there).flatten() {
                self.book.turn(&page)?;
            }
            self.confirmed = self.book.page;
            if is_torn && self.page(self.book.page + 1)?.is_none() {
                return Err(broken(&self.place, format!("{} is gone", page::name(self.book.page + 1))));
            }
            if there < ahead as usize && !is_torn {
                return self.book.is_vouched();
            }
            (ahead, is_known) = ((ahead * 2).min(AHEAD_MAX), false); // the last one was just read
        }
    }

    /// The texts of the next pages. Where the last one `is_known`, it is looked at as well: it must be there as it was.
    fn pages_after(&self, ahead: u64, is_known: bool) -> Result<Vec<Option<String>>, StoreError> {
        let known = self.book.page;
        let first = if is_known { known } else { known + 1 };
        let texts = self.pages(first, known + ahead + 1 - first)?;
        for (number, text) in (first..).zip(&texts).filter_map(|(number, text)| Some((number, text.as_ref()?))) {
            if page::let_go(&self.place, text)?.is_some() {
                return Err(self.was_compacted(number)?);
            }
        }
        let mut texts = texts.into_iter();
        if is_known && texts.next().flatten().is_none_or(|text| Digest::of_bytes(text.as_bytes()) != self.book.last) {
            let what = format!("{} is gone, or another one: somebody rewrote the journal or put it back", page::name(known));
            return Err(broken(&self.place, what));
        }
        Ok(texts.collect())
    }

    /// Why a page cannot be read that says that it was compacted away. The first page must say so too.
    fn was_compacted(&self, number: u64) -> Result<StoreError, StoreError> {
        let is_gone = self.first_let_go()?.is_some_and(|(first, _)| first.compacted >= number);
        let what = || format!("{} says that it was compacted away, and the first page does not", page::name(number));
        Ok(if is_gone { compacted_beyond(&self.place, self.book.chain.seq) } else { broken(&self.place, what()) })
    }

    /// The texts of pages from `first` on.
    pub(super) fn pages(&self, first: u64, count: u64) -> Result<Vec<Option<String>>, StoreError> {
        let reads = (first..first + count).map(|number| self.get(page::name(number)));
        let found: Vec<_> = wait(futures::stream::iter(reads).buffered(AHEAD_MAX as usize + 1).try_collect())?;
        Ok(found.into_iter().map(|found| found.map(|(text, _)| text)).collect())
    }

    fn page(&self, number: u64) -> Result<Option<String>, StoreError> {
        Ok(wait(self.get(page::name(number)))?.map(|(text, _)| text))
    }

    pub(super) async fn get(&self, name: String) -> Result<Option<(String, Version)>, StoreError> {
        let found = self.bucket.get(&self.key(&name), WRITE_MAX as u64).await.map_err(|fault| failed(&fault))?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| broken(&format!("{}/{name}", self.place), "it is not text"));
        found.map(|object| Ok((text(object.bytes)?, object.version))).transpose()
    }

    pub(super) fn contents(&self) -> Result<Option<(Contents, Version)>, StoreError> {
        let Some((text, version)) = wait(self.get(CONTENTS.into()))? else { return Ok(None) };
        let contents = page::parse(&format!("{}/{CONTENTS}", self.place), &text)?;
        Ok(Some((contents, version)))
    }

    pub(super) fn put_contents(&self, contents: &Contents, expected: Option<&Version>) -> Result<Version, Fault> {
        let text = serde_json::to_vec(contents).expect("it holds only strings and numbers");
        wait(self.bucket.put(&self.key(CONTENTS), &text, expected))
    }

    /// Puts what is named by its digest. That it is there already is fine.
    pub(super) fn put_named(&self, name: &str, text: &str) -> Result<(), StoreError> {
        match wait(self.bucket.put(&self.key(name), text.as_bytes(), None)) {
            Ok(_) | Err(Fault::Moved(_)) => Ok(()),
            Err(fault @ (Fault::Refused(_) | Fault::Unsure(_))) => Err(failed(&fault)),
        }
    }

    pub(super) async fn volume(&self, name: String) -> Result<String, StoreError> {
        let place = format!("{}/{name}", self.place);
        self.get(name).await?.map(|(text, _)| text).ok_or_else(|| broken(&place, "it is gone"))
    }

    /// The entries after one, up to the last that was verified: all of them are read again where we have not kept them.
    pub(super) fn entries_after(&mut self, seq: u64) -> Result<Vec<Entry>, StoreError> {
        if let Some(entries) = self.book.followed.since(seq, self.book.chain.seq) {
            return Ok(entries);
        }
        let mut entries = self.all()?;
        entries.retain(|entry| entry.seq > seq);
        Ok(entries)
    }

    /// Writes a change on the next page, and writes it anew on each page after one that somebody else wrote, until it is there or
    /// there is nothing to do. It is made once, whatever becomes of the answers.
    pub(super) fn change<T>(&mut self, mut plan: impl FnMut(&Desk) -> Result<Plan<T>, StoreError>) -> Result<T, StoreError> {
        self.try_out()?;
        let is_known = self.fault.is_none() && self.book.is_open() && (self.confirmed == self.book.page || self.confirm()?);
        if !is_known {
            self.look()?; // else the put tells as much as a look
        }
        for nth in 1..=TRIES_MAX {
            let (stroke, value) = match plan(self)? {
                Plan::Done(value) => return Ok(value),
                Plan::Write(stroke, value) => (stroke, value),
            };
            let text = page::text(*stroke, self.book.page + 1, &self.book.last);
            if self.put_page(&text)? {
                let entries = self.book.turn(&text)?;
                self.confirmed = self.book.page;
                self.copies.keep(self.book.page, &text);
                self.bind_if_due(&entries);
                return Ok(value);
            }
            wait(tokio::time::sleep(pause(nth)));
            self.look()?;
        }
        Err(crowded(&self.place, TRIES_MAX))
    }

    /// False when somebody else wrote the page.
    fn put_page(&self, text: &str) -> Result<bool, StoreError> {
        let number = self.book.page + 1;
        match wait(self.bucket.put(&self.key(&page::name(number)), text.as_bytes(), None)) {
            Ok(_) => Ok(true),
            Err(Fault::Moved(_)) => Ok(false),
            Err(fault @ Fault::Refused(_)) => Err(failed(&fault)),
            // A page never changes, so whose it is says what became of ours. Where there is none, ours may still be on its way.
            Err(fault @ Fault::Unsure(_)) => match self.page(number) {
                Ok(Some(there)) => Ok(there == text),
                Ok(None) | Err(_) => Err(in_doubt(&fault)),
            },
        }
    }
}

/// The texts of volumes, a few fetched ahead.
pub(super) struct Texts<'a> {
    coming: futures::stream::BoxStream<'a, Result<String, StoreError>>,
}

impl<'a> Texts<'a> {
    pub(super) fn new(desk: &'a Desk, names: Vec<String>) -> Self {
        let reads = names.into_iter().map(move |name| desk.volume(name));
        Self { coming: futures::stream::iter(reads).buffered(VOLUMES_AHEAD).boxed() }
    }
}

impl Iterator for Texts<'_> {
    type Item = Result<String, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.coming.next())
    }
}

/// Waits on a thread where waiting holds nobody up.
pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    Handle::current().block_on(work)
}

/// Longer each time at most, and by chance anything below it: two who met do not meet again.
fn pause(nth: u32) -> Duration {
    let most = (PAUSE_FIRST_MS << nth.min(10)).min(PAUSE_MAX_MS);
    Duration::from_millis(RandomState::new().hash_one(nth) % most)
}
