//! Pages bound into volumes, so that whoever comes new reads few objects. Once in [`PAGES`] pages whoever wrote the last of them does it;
//! if nothing comes of it, the pages are there all the same, and the next does more.
//!
//! Volumes are bound together in turn, before there are many small ones: each entry is written about three times in all.

use super::book::Volume;
use super::desk::{Desk, wait};
use super::fault::failed;
use crate::bucket::Fault;
use crate::change::Digest;
use crate::store::StoreError;

/// Pages in a volume when it is bound first.
#[cfg(not(test))]
pub(super) const PAGES: u64 = 64;
#[cfg(test)]
pub(super) const PAGES: u64 = 4;
/// Small volumes at the end that are bound together with what comes next; and how many bytes make one large.
#[cfg(not(test))]
pub(super) const SMALL_MAX: usize = 31;
#[cfg(test)]
pub(super) const SMALL_MAX: usize = 3;
const SMALL_BYTES: usize = 1 << 20;

impl Desk {
    pub(super) fn bind_if_due(&mut self) {
        let is_late = self.book.loose_pages() as u64 >= 4 * PAGES;
        if (is_late || self.book.page.is_multiple_of(PAGES))
            && let Err(error) = self.bind()
        {
            tracing::debug!(page = self.book.page, %error, "pages stay loose");
        }
    }

    fn bind(&mut self) -> Result<(), StoreError> {
        if let Some((contents, version)) = self.contents()? {
            if contents.page > self.book.page {
                return Ok(()); // somebody was further
            }
            self.book.rebind(contents, version)?;
        }
        let mut volumes = self.book.contents.volumes.clone();
        let mut text = self.book.loose_lines();
        if !text.is_empty() {
            let small = volumes.iter().rev().take_while(|volume| volume.bytes < SMALL_BYTES).count();
            let again = if small < SMALL_MAX { volumes.len() } else { volumes.len() - small };
            let again = volumes.split_off(again);
            let earlier = again.iter().map(|volume| wait(self.volume(volume.name.clone()))).collect::<Result<String, _>>()?;
            let first = again.first().map_or(self.book.loose_from(), |volume| volume.first);
            text.insert_str(0, &earlier);
            let digest = Digest::of_bytes(text.as_bytes());
            let name = format!("volumes/{first:012}-{}.jsonl", digest.short());
            match wait(self.bucket.put(&self.key(&name), text.as_bytes(), None)) {
                Ok(_) | Err(Fault::Moved(_)) => {} // bound before, by somebody who went no further
                Err(fault @ (Fault::Refused(_) | Fault::Unsure(_))) => return Err(failed(&fault)),
            }
            volumes.push(Volume { name, first, bytes: text.len() });
        }
        let contents = self.book.bound(volumes);
        let version = self.put_contents(&contents).map_err(|fault| failed(&fault))?;
        self.book.rebind(contents, version)
    }
}
