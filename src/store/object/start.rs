//! Where reading begins: at a checkpoint, at what stands for entries that were compacted away, or at the first page. Knows which of them
//! to take; not what follows.

use super::book::Book;
use super::contents::{Contents, Named};
use super::desk::{Desk, Texts, wait};
use super::fault::{broken, compacted_beyond, failed};
use super::lines::{Lines, is_vouched};
use super::page::{self, LetGo};
use crate::bucket::{Version, WRITE_MAX};
use crate::change::Digest;
use crate::journal::{Chain, Checkpoint, Dropped, Entry, History};
use crate::store::StoreError;

/// Times that is read what somebody may be compacting away; each compaction takes a while.
const READS_MAX: u32 = 3;

/// Where reading begins, and what is known there.
pub(super) struct Start {
    pub(super) contents: Contents,
    /// Of the contents; `None` where there are none.
    pub(super) version: Option<Version>,
    pub(super) chain: Chain,
    pub(super) history: History,
    /// The digest of the base that it begins at: an entry must name it.
    pub(super) base: Option<Digest>,
    /// What the base says of the entries before it.
    pub(super) dropped: Vec<Dropped>,
    /// The newest checkpoint that is there is of no use to us.
    pub(super) is_late: bool,
}

/// What stands for entries that were compacted away: how things stood at the last page of them, and the history up to there.
pub(super) struct Base {
    pub(super) stand: Contents,
    pub(super) history: Checkpoint,
    pub(super) digest: Digest,
}

impl Base {
    /// One line each, so that one hash stands for both.
    pub(super) fn text(stand: &Contents, history: &Checkpoint) -> String {
        let stand = serde_json::to_string(stand).expect("it holds only strings and numbers");
        format!("{stand}\n{}\n", history.text(None))
    }

    fn read(place: &str, text: &str) -> Result<Self, StoreError> {
        let (stand, history) = text.split_once('\n').ok_or_else(|| broken(place, "it has no second line"))?;
        let stand: Contents = page::parse(place, stand)?;
        let history = history.strip_suffix('\n').unwrap_or(history);
        let (history, _) = Checkpoint::read(history).map_err(|fault| StoreError::of_base(place.into(), fault))?;
        if (stand.seq, &stand.hash) != (history.seq, &history.head) {
            return Err(broken(place, "its two lines stand at two entries"));
        }
        Ok(Self { stand, history, digest: Digest::of_bytes(text.as_bytes()) })
    }
}

impl Desk {
    /// The book, read up to the last page that is bound. What cannot be read that way may just have been compacted away, or a checkpoint
    /// leads nowhere: then again, from the first entry that is there.
    pub(super) fn opened(&self) -> Result<Book, StoreError> {
        let mut opened = self.newest().and_then(|start| self.open_at(start));
        for _ in 1..READS_MAX {
            if !matches!(opened, Err(StoreError::Broken { .. })) {
                break;
            }
            let (contents, version) = self.found()?;
            let is_late = !contents.checkpoints.is_empty();
            opened = self.first(contents, version).and_then(|first| self.open_at(Start { is_late, ..first }));
        }
        opened
    }

    fn open_at(&self, start: Start) -> Result<Book, StoreError> {
        let volumes = start.contents.after(start.chain.seq);
        let volumes = volumes.ok_or_else(|| broken(&self.place, format!("no volume begins after entry {}", start.chain.seq)))?;
        let texts = Texts::new(self, volumes.iter().map(|volume| volume.name.clone()).collect());
        let mut book = self.closed_book();
        book.open(start, texts)?;
        Ok(book)
    }

    /// The contents; where there are none, how things stood at the first page that is not compacted away.
    pub(super) fn found(&self) -> Result<(Contents, Option<Version>), StoreError> {
        if let Some((contents, version)) = self.contents()? {
            return Ok((contents, Some(version)));
        }
        let Some(first) = self.first_let_go()?.map(|(first, _)| first) else { return Ok((Contents::empty(), None)) };
        let base = self.base_of(&first)?;
        Ok((self.base(&base)?.stand.with(Some(base), Vec::new(), Vec::new()), None))
    }

    /// The first page, if its entries were compacted away.
    pub(super) fn first_let_go(&self) -> Result<Option<(LetGo, Version)>, StoreError> {
        let name = page::name(1);
        let Some((text, version)) = wait(self.get(name.clone()))? else { return Ok(None) };
        let gone = page::let_go(&format!("{}/{name}", self.place), &text)?;
        Ok(gone.map(|gone| (gone, version)))
    }

    /// What the first page names.
    pub(super) fn base_of(&self, first: &LetGo) -> Result<Named, StoreError> {
        let says =
            || broken(&format!("{}/{}", self.place, page::name(1)), "it names nothing that stands for what was compacted away");
        first.base.clone().ok_or_else(says)
    }

    /// Begins at the newest checkpoint that can be used; at the first entry that is there when there is none.
    fn newest(&self) -> Result<Start, StoreError> {
        let (contents, version) = self.found()?;
        let is_kept = |kept: &&Named| kept.seq > contents.through() && contents.after(kept.seq).is_some();
        for (nth, kept) in contents.checkpoints.iter().rev().enumerate().filter(|(_, kept)| is_kept(kept)) {
            let is_there = |read: &Checkpoint| read.seq == kept.seq && (read.seq < contents.seq || read.head == contents.hash);
            match Checkpoint::read_sealed(&self.checkpoint(kept)?, self.sealer()) {
                Ok(read) if is_there(&read) => {
                    let (chain, dropped) = (read.chain(self.sealer().cloned()), Vec::new());
                    let is_late = nth > 0;
                    return Ok(Start { contents, version, chain, history: read.history, base: None, dropped, is_late });
                }
                Ok(_) => tracing::warn!(name = kept.name, "the checkpoint stands elsewhere"),
                Err(why) => tracing::warn!(name = kept.name, %why, "the checkpoint cannot be used"),
            }
        }
        let is_late = !contents.checkpoints.is_empty();
        Ok(Start { is_late, ..self.first(contents, version)? })
    }

    /// The text of a checkpoint; of one that is gone or no text, something that no hash closes.
    pub(super) fn checkpoint(&self, kept: &Named) -> Result<String, StoreError> {
        let found = wait(self.bucket.get(&self.key(&kept.name), WRITE_MAX as u64)).map_err(|fault| failed(&fault))?;
        Ok(found.map(|object| String::from_utf8_lossy(&object.bytes).into_owned()).unwrap_or_default())
    }

    /// Begins at the first entry that is there.
    fn first(&self, contents: Contents, version: Option<Version>) -> Result<Start, StoreError> {
        let begin = self.beginning(contents.base.as_ref())?;
        Ok(Start { contents, version, ..begin })
    }

    /// The same, with nothing bound: at the page after those that were compacted away.
    pub(super) fn beginning(&self, base: Option<&Named>) -> Result<Start, StoreError> {
        let chain = Chain::empty().sealed_by(self.sealer().cloned());
        let (contents, history, dropped) = (Contents::empty(), History::default(), Vec::new());
        let none = Start { contents, version: None, chain, history, base: None, dropped, is_late: false };
        let Some(named) = base else { return Ok(none) };
        let Base { stand, history: read, digest } = self.base(named)?;
        let chain = read.chain(None).sealed_by(self.sealer().cloned());
        let contents = stand.with(Some(named.clone()), Vec::new(), Vec::new());
        Ok(Start { contents, chain, history: read.history, base: Some(digest), dropped: read.dropped, ..none })
    }

    pub(super) fn base(&self, named: &Named) -> Result<Base, StoreError> {
        let place = format!("{}/{}", self.place, named.name);
        let text = wait(self.get(named.name.clone()))?.map(|(text, _)| text);
        let text = text.ok_or_else(|| broken(&place, "it is gone, and it stands for entries that were compacted away"))?;
        let base = Base::read(&place, &text)?;
        if base.stand.seq != named.seq {
            return Err(broken(&place, "it stands elsewhere than its name says"));
        }
        Ok(base)
    }

    /// Every entry that was not compacted away, as it was at the last look; that of now where they were just compacted away.
    pub(super) fn all(&mut self) -> Result<Vec<Entry>, StoreError> {
        let mut read = 1;
        loop {
            let (mut entries, through) = (Vec::new(), self.book.contents.through());
            match self.each(&mut |entry| entries.push(entry)) {
                Err(StoreError::Io { .. }) if self.book.contents.through() > through && read < READS_MAX => read += 1,
                done => return done.map(|()| entries),
            }
        }
    }

    /// Hands every entry on that was not compacted away, as it was at the last look. What is compacted away meanwhile is looked for
    /// again, where it is now.
    pub(super) fn each(&mut self, take: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        let mut handed = 0;
        let mut done = self.each_after(&mut handed, None, take);
        for _ in 1..READS_MAX {
            if !matches!(done, Err(StoreError::Broken { .. })) {
                break;
            }
            let anew = self.closed_book();
            let known = std::mem::replace(&mut self.book, anew);
            if let Err(error) = self.look() {
                self.book = known;
                return Err(error);
            }
            if handed > 0 && self.book.contents.through() > handed {
                return Err(compacted_beyond(&self.place, handed));
            }
            done = self.each_after(&mut handed, Some(&known.chain), take);
        }
        done
    }

    /// The same, but for those that were `handed` on already. The chain must pass through what was `known`.
    fn each_after(&self, handed: &mut u64, known: Option<&Chain>, take: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        let contents = &self.book.contents;
        let start = self.beginning(contents.base.as_ref())?;
        let volumes = contents.after(start.chain.seq);
        let volumes = volumes.ok_or_else(|| broken(&self.place, format!("no volume begins after entry {}", start.chain.seq)))?;
        let texts = Texts::new(self, volumes.iter().map(|volume| volume.name.clone()).collect());
        let texts = texts.chain(std::iter::once_with(|| Ok(self.book.loose_lines())));
        let mut lines = Lines::new(&self.place, texts, start.chain, start.base);
        for entry in &mut lines {
            if known.is_some_and(|known| known.seq == entry.seq && known.head != entry.hash) {
                return Err(broken(&self.place, format!("entry {} was another one: somebody rewrote the journal", entry.seq)));
            }
            if entry.seq > *handed {
                *handed = entry.seq;
                take(entry);
            }
        }
        let (_, unvouched) = lines.end()?;
        is_vouched(&self.place, unvouched.as_ref())?;
        self.book.is_believed()
    }
}
