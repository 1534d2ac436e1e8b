//! Time that is made up: it stands still while anybody has something to do, and jumps to the next sleeper when nobody has. So a
//! rollout of days is played in no time, and the same one is played the same way on every machine.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A clock that its clones share.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<Dial>>);

struct Dial {
    now_ms: u64,
    /// Sleepers ever: those of one moment wake in the order in which they lay down.
    sleepers: u64,
    asleep: BTreeMap<(u64, u64), Waker>,
}

/// Ends when it is that late.
pub struct Sleep {
    clock: Clock,
    place: (u64, u64),
}

impl Clock {
    /// A clock that shows `now_ms`, milliseconds since 1970.
    pub fn at(now_ms: u64) -> Self {
        Self(Arc::new(Mutex::new(Dial { now_ms, sleepers: 0, asleep: BTreeMap::new() })))
    }

    pub fn now_ms(&self) -> u64 {
        self.lock().now_ms
    }

    pub fn sleep(&self, ms: u64) -> Sleep {
        self.sleep_until(self.now_ms().saturating_add(ms))
    }

    pub fn sleep_until(&self, at_ms: u64) -> Sleep {
        let mut dial = self.lock();
        dial.sleepers += 1;
        Sleep { place: (at_ms, dial.sleepers), clock: self.clone() }
    }

    /// Plays `story` on this clock, in this thread alone; `None` when it waits for something that can never happen.
    pub fn play<T>(&self, story: impl Future<Output = T>) -> Option<T> {
        let (clock, stuck, busy) = (self.clone(), Arc::new(AtomicBool::new(false)), Arc::new(Busy::default()));
        let (over, awake) = (stuck.clone(), busy.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || {
                if !awake.is_awake() && !clock.jump() {
                    over.store(true, Ordering::Relaxed);
                    awake.wake_by_ref();
                }
            })
            .build()
            .expect("a runtime without drivers asks nothing of the system");

        let mut story = std::pin::pin!(story);
        runtime.block_on(std::future::poll_fn(|context| {
            let waker = busy.begin(context);
            match story.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if stuck.load(Ordering::Relaxed) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        }))
    }

    /// Goes to the next sleeper and wakes all of that moment; `false` when nobody sleeps.
    fn jump(&self) -> bool {
        let mut dial = self.lock();
        let Some((at_ms, _)) = dial.asleep.keys().next().copied() else { return false };
        dial.now_ms = dial.now_ms.max(at_ms);
        let later = dial.asleep.split_off(&(at_ms + 1, 0));
        let woken = std::mem::replace(&mut dial.asleep, later);
        drop(dial); // who wakes may look at the clock
        woken.into_values().for_each(Waker::wake);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Dial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut dial = self.clock.lock();
        if dial.now_ms >= self.place.0 {
            return Poll::Ready(());
        }
        dial.asleep.insert(self.place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().asleep.remove(&self.place);
    }
}

/// Whether the story itself was woken and not yet asked: the runtime knows that of its tasks only.
#[derive(Default)]
struct Busy {
    awake: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Busy {
    fn is_awake(&self) -> bool {
        self.awake.load(Ordering::Relaxed)
    }

    fn begin(self: &Arc<Self>, context: &Context<'_>) -> Waker {
        self.awake.store(false, Ordering::Relaxed);
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        Waker::from(self.clone())
    }
}

impl Wake for Busy {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.awake.store(true, Ordering::Relaxed);
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_passes_at_once_and_in_order() {
        let clock = Clock::at(1_000);
        let seen = Mutex::new(Vec::new());
        let nap = async |name: &'static str, ms: u64| {
            clock.sleep(ms).await;
            seen.lock().expect("one thread").push((name, clock.now_ms()));
        };
        let year = 365 * 86_400_000;
        let played = clock.play(async { tokio::join!(nap("long", year), nap("short", 5), nap("too", 5)) });
        assert!(played.is_some());
        assert_eq!(*seen.lock().expect("one thread"), [("short", 1_005), ("too", 1_005), ("long", 1_000 + year)]);
    }

    #[test]
    fn time_stands_still_while_a_task_or_the_story_has_something_to_do() {
        let clock = Clock::at(0);
        let ours = clock.clone();
        let told = clock.play(async move {
            let other = ours.clone();
            let task = tokio::spawn(async move {
                other.sleep(10).await;
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                other.now_ms()
            });
            let late = ours.sleep(11);
            let ended = task.await.expect("it does not panic");
            let then = ours.now_ms();
            late.await;
            (ended, then, ours.now_ms())
        });
        assert_eq!(told, Some((10, 10, 11)));
    }

    #[test]
    fn a_story_that_can_never_go_on_is_told_as_that() {
        assert_eq!(Clock::at(0).play(std::future::pending::<()>()), None);
    }
}
