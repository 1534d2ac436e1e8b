//! Takes away what a base stands for: pages are written over with the word that they were, volumes, checkpoints and earlier bases are
//! deleted. Knows what may go; whether it may, was seen before. Safe to do again, and beside others who do it.

use super::compact::{TRIES_MAX, somebody_else};
use super::contents::Named;
use super::desk::{AHEAD_MAX, Desk, wait};
use super::fault::failed;
use super::page::{self, LetGo};
use crate::bucket::{Fault, Version};
use crate::store::StoreError;
use futures::{StreamExt as _, TryStreamExt as _};

/// Names in one directory at most; a page has about a hundred bytes at least.
pub(super) const NAMES_MAX: usize = 50_000_000;

impl Desk {
    /// First the first page names `base`, which stands for the pages up to `through`; when all is done it says so.
    pub(super) fn sweep(&self, base: &Named, through: u64) -> Result<(), StoreError> {
        let Some(swept) = self.write_over_first(base, through, None)? else { return Ok(()) };
        let writes = (swept.max(1) + 1..=through).map(|number| self.write_over(number, through));
        wait(futures::stream::iter(writes).buffer_unordered(AHEAD_MAX as usize).try_collect::<()>())?;
        self.remove_below("volumes", |first| first <= base.seq)?;
        self.remove_below("checkpoints", |seq| seq <= base.seq)?;
        self.remove_below("bases", |seq| seq < base.seq)?;
        self.write_over_first(base, through, Some(through)).map(drop)
    }

    /// Has the first page name `base`, and say up to where nothing is left, if that is known by now. Returns what it said of that
    /// before; nothing when somebody went further.
    fn write_over_first(&self, base: &Named, through: u64, swept: Option<u64>) -> Result<Option<u64>, StoreError> {
        let name = page::name(1);
        for _ in 0..TRIES_MAX {
            let there = wait(self.get(name.clone()))?;
            let said = match &there {
                Some((text, _)) => page::let_go(&format!("{}/{name}", self.place), text)?,
                None => None,
            };
            let before = said.as_ref().map_or(0, |said| said.swept);
            if said.as_ref().and_then(|said| said.base.as_ref()).is_some_and(|named| named.seq > base.seq) {
                return Ok(None);
            }
            let says = LetGo::first(base.clone(), through, swept.unwrap_or(before));
            if said.as_ref() == Some(&says) {
                return Ok(Some(before));
            }
            match wait(self.bucket.put(&self.key(&name), says.text().as_bytes(), there.as_ref().map(|(_, version)| version))) {
                Ok(_) => return Ok(Some(before)),
                Err(Fault::Moved(_) | Fault::Unsure(_)) => {}
                Err(fault @ Fault::Refused(_)) => return Err(failed(&fault)),
            }
        }
        Err(somebody_else())
    }

    /// Writes over a page, unless somebody did.
    async fn write_over(&self, number: u64, through: u64) -> Result<(), StoreError> {
        let name = page::name(number);
        for _ in 0..TRIES_MAX {
            let there: Option<(String, Version)> = self.get(name.clone()).await?;
            if let Some((text, _)) = &there
                && page::let_go(&format!("{}/{name}", self.place), text)?.is_some()
            {
                return Ok(());
            }
            let text = LetGo::of(number, through).text();
            match self.bucket.put(&self.key(&name), text.as_bytes(), there.as_ref().map(|(_, version)| version)).await {
                Ok(_) => return Ok(()),
                Err(Fault::Moved(_) | Fault::Unsure(_)) => {}
                Err(fault @ Fault::Refused(_)) => return Err(failed(&fault)),
            }
        }
        Err(somebody_else())
    }

    /// Deletes what stands in a directory at an entry that goes.
    fn remove_below(&self, dir: &str, goes: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        let names = wait(self.bucket.list(&self.key(dir), NAMES_MAX)).map_err(|fault| failed(&fault))?.objects;
        let number = |name: &str| name.split_once('-').and_then(|(number, _)| number.parse().ok());
        let old = names.iter().filter(|name| number(name).is_some_and(&goes));
        old.map(|name| format!("{dir}/{name}")).try_for_each(|name| self.remove(&name))
    }

    /// Deletes an object; that it is gone already is fine.
    pub(super) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let key = self.key(name);
        let removed = wait(async {
            match self.bucket.version(&key).await? {
                Some(version) => self.bucket.delete(&key, &version).await,
                None => Ok(()),
            }
        });
        removed.map_err(|fault| failed(&fault))
    }
}
