//! Work that waits for a disk, a lock or a network: done where it holds nobody up. Knows no place.

use super::StoreError;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Ends what is said of an append that may be there or not.
pub(super) const IN_DOUBT: &str = "it is not sure whether it was journalled";

/// Whoever panicked with the lock left what it guards as it was.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` where waiting for a disk, a lock or a network holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(interrupted()),
        },
    }
}

pub(super) fn interrupted() -> StoreError {
    let hint = "it is not sure whether it was done: see `isobar status`, and run the same command again";
    StoreError::Io { what: "we were stopped in the middle of a call to the journal".into(), hint: Some(hint.into()) }
}
