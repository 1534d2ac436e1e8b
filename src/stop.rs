//! The wish to stop: given once, by a signal, and heard by whoever works. Knows neither who asks nor what is stopped.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Set by SIGINT or SIGTERM: start nothing more.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The first signal, and when it came.
    asked: Arc<OnceLock<(i32, Instant)>>,
    wake: Arc<tokio::sync::Notify>,
}

impl Stop {
    pub fn ask(&self, signal: i32) {
        self.asked.get_or_init(|| (signal, Instant::now()));
        self.wake.notify_waiters();
    }

    /// Returns the signal when one came.
    pub fn asked(&self) -> Option<i32> {
        self.asked.get().map(|(signal, _)| *signal)
    }

    /// We were told to stop.
    pub fn is_asked(&self) -> bool {
        self.asked().is_some()
    }

    /// Ends when a signal comes.
    pub async fn wait(&self) {
        let woken = self.wake.notified(); // before we look, so that no signal falls between
        if !self.is_asked() {
            woken.await;
        }
    }

    /// Ends so long after a signal came, however late somebody began to wait.
    pub async fn wait_out(&self, patience: Duration) {
        self.wait().await;
        let since = self.asked.get().map_or(Duration::ZERO, |(_, at)| at.elapsed());
        if let Some(left) = patience.checked_sub(since) {
            tokio::time::sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn nobody_asked_and_everybody_waits_until_somebody_does() {
        let stop = Stop::default();
        let waiting = stop.wait();
        tokio::pin!(waiting);
        assert_eq!(((&mut waiting).now_or_never(), stop.asked()), (None, None));
        stop.ask(2);
        stop.ask(15);
        waiting.await;
        stop.wait().await;
        assert_eq!(stop.asked(), Some(2), "the first signal is the one that is told");
    }

    #[tokio::test]
    async fn patience_is_counted_from_the_signal() {
        let stop = Stop::default();
        stop.ask(15);
        let patience = Duration::from_millis(20);
        assert_eq!(stop.wait_out(patience * 1_000).now_or_never(), None);
        std::thread::sleep(patience * 2);
        assert_eq!(stop.wait_out(patience).now_or_never(), Some(()));
    }
}
