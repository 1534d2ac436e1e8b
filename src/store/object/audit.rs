//! Looks at everything that stands below the prefix: each page, what the contents and the volumes say against the pages, each
//! preview's seal. Believes no shortcut.

use super::book::{Book, Contents};
use super::desk::{AHEAD_MAX, Desk, Texts};
use super::{page, previews};
use crate::store::audit::Reading;
use crate::store::{Anchor, Audit, StoreError};

const FORGED: &str = "it was changed after it was bound, or somebody made it up: who comes new believes it";
const REMAKE: &str =
    "delete contents.json and the volumes: they are made anew from the pages; then find out who could write here";

pub(super) fn audit(desk: &Desk, anchors: &[Anchor]) -> Result<Audit, StoreError> {
    let mut reading = Reading::of(anchors, desk.is_keyed());
    let mut book = desk.closed_book();
    read(desk, &mut book, &mut reading)?;
    let again = "delete that object and run isobar preview again";
    previews::texts(desk, |place, text| reading.preview(place, text, desk.preview_sealer.as_ref(), again))?;
    Ok(reading.finish(&desk.place, &book.chain, 0))
}

/// Turns every page, up to the first fault, and holds what was bound against them.
fn read(desk: &Desk, book: &mut Book, reading: &mut Reading<'_>) -> Result<(), StoreError> {
    let mut bound = Bound::of(desk, reading)?;
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
                    return Ok(());
                }
                Err(other) => return Err(other),
            };
            for entry in &entries {
                reading.met(entry);
                reading.audit.sealed += u64::from(entry.seal.is_some());
            }
            bound.pass(book, &text, reading)?;
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
            }
            return Ok(());
        }
    }
}

/// What the contents and the volumes say, as the pages pass by.
struct Bound<'a> {
    place: &'a str,
    contents: Option<Contents>,
    volumes: Texts<'a>,
    /// The volume that is held against the pages: which, its text, and how far it was right.
    open: (usize, String, usize),
}

impl<'a> Bound<'a> {
    fn of(desk: &'a Desk, reading: &mut Reading<'_>) -> Result<Self, StoreError> {
        let contents = match desk.contents() {
            Ok(found) => found.map(|(contents, _)| contents),
            Err(StoreError::Broken { place, what }) => {
                reading.found(place, what, FORGED, REMAKE);
                None
            }
            Err(other) => return Err(other),
        };
        let names = contents.iter().flat_map(|contents| &contents.volumes).map(|volume| volume.name.clone()).collect();
        Ok(Self { place: &desk.place, contents, volumes: Texts::new(desk, names), open: (0, String::new(), 0) })
    }

    /// The last page that is bound.
    fn last(&self) -> u64 {
        self.contents.as_ref().map_or(0, |contents| contents.page)
    }

    /// `book` was just turned to the page with this text. Says the first thing that is wrong, and looks no further.
    fn pass(&mut self, book: &Book, text: &str, reading: &mut Reading<'_>) -> Result<(), StoreError> {
        let Some(contents) = self.contents.take_if(|contents| book.page <= contents.page) else { return Ok(()) };
        let lines = text.split_once('\n').map_or("", |(_, lines)| lines);
        let wrong = match self.holds(lines, &contents) {
            Ok(false) => Some((self.name(&contents), "it is not what the pages say".to_string())),
            Ok(true) if book.page < contents.page => None,
            Ok(true) if self.open.1.len() > self.open.2 || self.open.0 < contents.volumes.len() => {
                Some((self.name(&contents), "it holds more than the pages say".to_string()))
            }
            Ok(true) if book.bound(contents.volumes.clone()) != contents => {
                Some((format!("{}/contents.json", self.place), format!("it is not how things stood at page {}", book.page)))
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
        format!("{}/{}", self.place, volume.map_or("contents.json", |volume| &volume.name))
    }
}
