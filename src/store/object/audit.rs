//! Looks at everything that stands below the prefix: each page, what the contents, the volumes and the checkpoints say against the pages,
//! what stands for entries that were compacted away against the entry that names it, each preview's seal. Believes no shortcut.

use super::book::Book;
use super::contents::{Contents, Named};
use super::desk::{AHEAD_MAX, Desk, Texts, wait};
use super::fault::failed;
use super::start::{Base, Start};
use super::sweep::NAMES_MAX;
use super::{page, previews};
use crate::change::Digest;
use crate::journal::{Chain, Dropped, Entry, Event};
use crate::store::audit::{Reading, Standing};
use crate::store::{Anchor, Audit, StoreError};
use std::collections::BTreeSet;

const FORGED: &str = "it was changed after it was bound, or somebody made it up: who comes new believes it";
const REMAKE: &str =
    "delete contents.json and the volumes: they are made anew from the pages; then find out who could write here";
const SHORTCUT: &str = "it is only a shortcut: delete it, and it is made anew; then find out who could write here";
const UNUSED: &str = "its name is free again: a run that slept could write there, and would take it for a page of the journal";

/// What is found while somebody compacts the journal is looked at again.
pub(super) fn audit(desk: &Desk, anchors: &[Anchor]) -> Result<Audit, StoreError> {
    let begun = newest_base(desk)?;
    let audit = audit_once(desk, anchors)?;
    let is_settled = audit.findings.is_empty() || newest_base(desk)? == begun;
    if is_settled { Ok(audit) } else { audit_once(desk, anchors) }
}

/// `None` also where it cannot be told.
fn newest_base(desk: &Desk) -> Result<Option<Named>, StoreError> {
    match desk.newest_base() {
        Err(StoreError::Broken { .. }) => Ok(None),
        done => done,
    }
}

fn audit_once(desk: &Desk, anchors: &[Anchor]) -> Result<Audit, StoreError> {
    let mut reading = Reading::of(anchors, desk.is_keyed());
    let chain = match begin(desk) {
        Ok(start) => {
            reading.begin(&start.chain, start.base.as_ref(), &start.dropped);
            read(desk, start, &mut reading)?
        }
        Err(StoreError::Broken { place, what }) => {
            reading.broken_base(place, what);
            Chain::empty()
        }
        Err(other) => return Err(other),
    };
    let again = "delete that object and run isobar preview again";
    previews::texts(desk, |place, text| reading.preview(place, text, desk.preview_sealer.as_ref(), again))?;
    Ok(reading.finish(&desk.place, &chain))
}

/// Begins at the first page that is not compacted away.
fn begin(desk: &Desk) -> Result<Start, StoreError> {
    let first = desk.first_let_go()?.map(|(first, _)| first);
    let base = first.map(|first| desk.base_of(&first)).transpose()?;
    desk.beginning(base.as_ref())
}

/// Turns every page, up to the first fault, and holds what was bound against them. Returns the chain up to there.
fn read(desk: &Desk, start: Start, reading: &mut Reading<'_>) -> Result<Chain, StoreError> {
    let (through, gone) = (start.chain.seq, start.contents.page);
    let (begun, dropped) = (start.contents.base.clone(), start.dropped.clone());
    let mut book = desk.closed_book();
    book.open(start, std::iter::empty())?;
    let mut bound = Bound::of(desk, begun, dropped, reading)?;
    loop {
        let pages = desk.pages(book.page + 1, AHEAD_MAX)?;
        let there = pages.iter().take_while(|page| page.is_some()).count();
        let is_torn = pages[there..].iter().any(Option::is_some);
        for text in pages.into_iter().take(there).flatten() {
            let entries = match book.turn(&text) {
                Ok(entries) => entries,
                Err(StoreError::Broken { place, what }) => {
                    let (chain, line) = book.stops_at(&text);
                    reading.broken(place, &what, &chain, line.as_bytes());
                    return Ok(book.chain);
                }
                Err(other) => return Err(other),
            };
            for entry in &entries {
                reading.met(entry);
                reading.audit.sealed += u64::from(entry.seal.is_some());
            }
            bound.pass(&book, &text, &entries, reading)?;
            book.forget_loose();
        }
        if there == AHEAD_MAX as usize {
            continue;
        }
        let is_last = !is_torn && bound.last() <= book.page;
        if is_last || desk.pages(book.page + 1, 1)?[0].is_none() {
            if !is_last {
                let place = format!("{}/{}", desk.place, page::name(book.page + 1));
                reading.broken(place, "the page is gone", &book.chain, b"");
                return Ok(book.chain);
            }
            break;
        }
    }
    bound.end(&book, reading);
    if through > 0 {
        names(desk, gone, reading)?;
        reading.audit.unseen.push(format!(
            "the first {through} entries were compacted away; what they folded into is proven, they themselves are not here"
        ));
    }
    Ok(book.chain)
}

/// The names of pages that were compacted away stay used.
fn names(desk: &Desk, through: u64, reading: &mut Reading<'_>) -> Result<(), StoreError> {
    let names = wait(desk.bucket.list(&desk.key("pages"), NAMES_MAX)).map_err(|fault| failed(&fault))?.objects;
    let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let is_there = |number: &u64| page::name(*number).strip_prefix("pages/").is_some_and(|name| there.contains(name));
    let next = "put it back as the other compacted pages are; keep rules that delete away from the journal's prefix";
    for number in (1..=through).filter(|number| !is_there(number)) {
        reading.found(format!("{}/{}", desk.place, page::name(number)), "the page is gone".into(), UNUSED, next);
    }
    Ok(())
}

/// What the contents, the volumes and the checkpoints say, as the pages pass by.
struct Bound<'a> {
    desk: &'a Desk,
    contents: Option<Contents>,
    volumes: Texts<'a>,
    /// The volume that is held against the pages: which, its text, and how far it was right.
    open: (usize, String, usize),
    /// Checkpoints, and a base that the pages are still there of.
    standing: Standing,
    /// The base that the contents begin at and the pages do not yet.
    ahead: Option<(Named, Base)>,
    /// Digests of bases that no entry named so far, and where they stand.
    unvouched: Vec<(String, Digest)>,
}

impl<'a> Bound<'a> {
    /// The pages begin at the base that `begun` names.
    fn of(desk: &'a Desk, begun: Option<Named>, dropped: Vec<Dropped>, reading: &mut Reading<'_>) -> Result<Self, StoreError> {
        let contents = match desk.contents() {
            Ok(found) => found.map(|(contents, _)| contents),
            Err(StoreError::Broken { place, what }) => {
                reading.found(place, what, FORGED, REMAKE);
                None
            }
            Err(other) => return Err(other),
        };
        let names = contents.iter().flat_map(|contents| &contents.volumes).map(|volume| volume.name.clone()).collect();
        let (standing, open, unvouched) = (Standing::new(SHORTCUT, dropped), (0, String::new(), 0), Vec::new());
        let volumes = Texts::new(desk, names);
        let mut bound = Self { desk, contents, volumes, open, standing, ahead: None, unvouched };
        if let Some(begun) = &begun {
            bound.unvouched.push((bound.place(&begun.name), desk.base(begun)?.digest));
        }
        let through = begun.as_ref().map_or(0, |begun| begun.seq);
        let kept = bound.contents.iter().flat_map(|contents| &contents.checkpoints).filter(|kept| kept.seq > through);
        for kept in kept.cloned().collect::<Vec<_>>() {
            let text = desk.checkpoint(&kept)?;
            if !text.is_empty() {
                bound.standing.add(kept.seq, bound.place(&kept.name), text); // one that is gone is no finding
            }
        }
        let Some(contents) = &bound.contents else { return Ok(bound) };
        let early = contents.checkpoints.iter().find(|kept| kept.seq <= through);
        let wrong = match (&contents.base, early) {
            (Some(base), _) if base.seq <= through && Some(base) != begun.as_ref() => {
                format!("it begins at {}, which others took the place of", base.name)
            }
            (None, _) if through > 0 => format!("it does not say that the entries up to {through} were compacted away"),
            (_, Some(kept)) => format!("it names {}, and the entries up to {through} were compacted away", kept.name),
            (Some(base), None) if Some(base) != begun.as_ref() => {
                bound.wait_for(base.clone(), reading)?;
                return Ok(bound);
            }
            (Some(_) | None, None) => return Ok(bound),
        };
        reading.found(bound.place("contents.json"), wrong, FORGED, REMAKE);
        bound.contents = None;
        Ok(bound)
    }

    /// A compaction was cut short: what stands for entries is there, and so are they.
    fn wait_for(&mut self, base: Named, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        match self.desk.base(&base) {
            Ok(read) => {
                self.unvouched.push((self.place(&base.name), read.digest.clone()));
                self.ahead = Some((base, read));
            }
            Err(StoreError::Broken { place, what }) => {
                reading.found(place, what, FORGED, REMAKE);
                self.contents = None;
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// The last page that is bound.
    fn last(&self) -> u64 {
        self.contents.as_ref().map_or(0, |contents| contents.page)
    }

    /// `book` was just turned to the page with this text and these entries. Says the first thing that is wrong with what is bound, and
    /// looks no further.
    fn pass(&mut self, book: &Book, text: &str, entries: &[Entry], reading: &mut Reading<'_>) -> Result<(), StoreError> {
        for entry in entries {
            if let Event::Compacted { base, .. } = &entry.event {
                self.unvouched.retain(|(_, digest)| digest != base);
            }
        }
        if !entries.is_empty() {
            self.standing.pass(&book.chain, || book.followed.history(), reading);
        }
        if let Some((base, read)) = self.ahead.take() {
            self.pass_to(base, read, book, reading);
            return Ok(());
        }
        let Some(contents) = self.contents.take_if(|contents| book.page <= contents.page) else { return Ok(()) };
        let lines = text.split_once('\n').map_or("", |(_, lines)| lines);
        let wrong = match self.holds(lines, &contents) {
            Ok(false) => Some((self.name(&contents), "it is not what the pages say".to_string())),
            Ok(true) if book.page < contents.page => None,
            Ok(true) if self.open.1.len() > self.open.2 || self.open.0 < contents.volumes.len() => {
                Some((self.name(&contents), "it holds more than the pages say".to_string()))
            }
            Ok(true) if !is_of(&contents, book) => {
                Some((self.place("contents.json"), format!("it is not how things stood at page {}", book.page)))
            }
            Ok(true) => None,
            Err(StoreError::Broken { place, what }) => Some((place, what)),
            Err(other) => return Err(other),
        };
        match wrong {
            Some((place, what)) => reading.found(place, what, FORGED, REMAKE),
            None => self.contents = Some(contents),
        }
        Ok(())
    }

    /// Turns on to where the contents begin, and holds what they begin at against what the pages fold into.
    fn pass_to(&mut self, base: Named, read: Base, book: &Book, reading: &mut Reading<'_>) {
        if book.page < read.stand.page {
            self.ahead = Some((base, read));
            return;
        }
        let folded = |history| serde_json::to_string(history).expect("a history holds only what JSON can");
        if read.stand != book.stand() || folded(&read.history.history) != folded(&book.followed.history().resolved()) {
            let what = format!("it is not what the pages up to {} fold into", book.page);
            reading.found(self.place(&base.name), what, FORGED, REMAKE);
            self.contents = None;
        }
    }

    /// All pages were turned.
    fn end(self, book: &Book, reading: &mut Reading<'_>) {
        for (place, digest) in self.unvouched {
            reading.broken_base(place, format!("no entry says that anything was compacted into what has the hash {digest}"));
        }
        self.standing.rest(&book.chain, reading);
    }

    /// The volumes go on with these lines.
    fn holds(&mut self, lines: &str, contents: &Contents) -> Result<bool, StoreError> {
        let (nth, text, at) = &mut self.open;
        if !lines.is_empty() && *at == text.len() {
            let Some(next) = self.volumes.next() else { return Ok(false) };
            (*nth, *text, *at) = (*nth + 1, next?, 0);
        }
        let holds = text[*at..].starts_with(lines) && *nth <= contents.volumes.len();
        *at += if holds { lines.len() } else { 0 };
        Ok(holds)
    }

    fn name(&self, contents: &Contents) -> String {
        let volume = contents.volumes.get(self.open.0.saturating_sub(1));
        self.place(volume.map_or("contents.json", |volume| &volume.name))
    }

    fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.desk.place)
    }
}

/// The contents are how things stood at the page that `book` was turned to.
fn is_of(contents: &Contents, book: &Book) -> bool {
    let Contents { base, checkpoints, volumes, .. } = contents.clone();
    book.stand().with(base, checkpoints, volumes) == *contents
}
