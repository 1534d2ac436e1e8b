//! Tries out whether a service keeps its conditions, before anything is written that counts on them: some that speak these protocols
//! take every write.

use super::fault::Fault;
use super::{Bucket, Version};
use std::hash::{BuildHasher as _, RandomState};

/// Bytes of the object that stays; it has far fewer.
const TRIAL_MAX: u64 = 4096;

/// Called before each write, with what is about to be done; an error stops there.
pub type BeforeWrite<'a> = &'a (dyn Fn(&str) -> Result<(), String> + Sync);

impl Bucket {
    /// Writes, and deletes again, an object of the name `stem` and a random end; once for a container. A service that writes over what
    /// it was not told to is refused.
    pub async fn try_out(&self, stem: &str, before: BeforeWrite<'_>) -> Result<(), Fault> {
        self.tried.get_or_try_init(|| self.try_anew(stem, before)).await.copied()
    }

    /// The same, whatever was seen before: rights may have been taken away since.
    pub async fn try_anew(&self, stem: &str, before: BeforeWrite<'_>) -> Result<(), Fault> {
        let key = format!("{stem}{:016x}", RandomState::new().hash_one(stem));
        let step = || before(&format!("trying out {}", self.container.url(&key))).map_err(Fault::plain);

        step()?;
        let first = self.put(&key, b"first", None).await?;
        step()?;
        self.refused(self.put(&key, b"second", None).await, "it writes over an object that was expected to be absent")?;
        step()?;
        let second = self.put(&key, b"second", Some(&first)).await?;
        step()?;
        self.refused(
            self.put(&key, b"third", Some(&first)).await,
            "it writes over an object that is no longer the expected one",
        )?;
        step()?;
        self.delete(&key, &second).await
    }

    /// The same on one object that stays: it is written when nobody has, and never again. Whoever dies in the middle, or may not delete,
    /// leaves nothing else behind; many may try at once.
    pub async fn try_out_on(&self, key: &str) -> Result<(), Fault> {
        self.tried.get_or_try_init(|| self.try_in_vain(key)).await.copied()
    }

    async fn try_in_vain(&self, key: &str) -> Result<(), Fault> {
        if self.get(key, TRIAL_MAX).await?.is_none() {
            match self.put(key, b"isobar tries here whether conditions are kept\n", None).await {
                Ok(_) | Err(Fault::Moved(_)) => {}
                Err(other) => return Err(other),
            }
        }
        self.refused(self.put(key, b"second", None).await, "it writes over an object that was expected to be absent")?;
        let none = Version { e_tag: Some(format!("\"{:032x}\"", 1)), generation: Some(i64::MAX.to_string()) };
        let written = self.put(key, b"third", Some(&none)).await;
        self.refused(written, "it writes over an object that is no longer the expected one")
    }

    fn refused(&self, written: Result<Version, Fault>, why: &str) -> Result<(), Fault> {
        match written {
            Ok(_) => Err(Fault::unfit(&self.container, why)),
            Err(Fault::Moved(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }
}
