//! A rollout told to people while it goes on: wave by wave, seldom enough that a long one asks for little, and quiet as soon as a word of
//! it is not heard. How it ended is told by whoever began it.

use super::paused;
use crate::change::Fold;
use crate::command::audience::Audience;
use crate::command::tell;
use crate::report::{Report, Row, RowState, Told, WaveLine};
use crate::rollout::{Now, Outcome, Progress};
use crate::runner::Replica;
use crate::stack::TargetId;
use crate::world::World;
use futures::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is over before this is told once, at its end.
const FIRST: Duration = Duration::from_secs(3);
/// Between two words.
const LEAST: Duration = Duration::from_secs(10);
/// The part of the time passed that the next word waits at least: an hour takes some fifty words, and not 360.
const PART: u32 = 10;
/// How long the end waits for a word that is being told, so that it cannot come after the last one.
const LAST_WORD: Duration = Duration::from_secs(2);

/// One rollout, and who hears of it.
pub(super) struct Live<'a> {
    pub(super) world: &'a World,
    pub(super) audience: &'a Audience,
    pub(super) replica: &'a Replica<'a>,
    pub(super) told: Told,
    pub(super) rollout: Arc<str>,
}

/// Does the work, and tells meanwhile.
pub(super) async fn beside<T>(work: impl Future<Output = T>, live: Option<Live<'_>>) -> T {
    let Some(live) = live else { return work.await };
    let (is_telling, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let telling = pin!(live.tell(&is_telling, &is_over));
    match select(pin!(work), telling).await {
        Either::Left((done, telling)) => {
            is_over.store(true, Ordering::Relaxed);
            if is_telling.load(Ordering::Relaxed) {
                let _late = tokio::time::timeout(LAST_WORD, telling).await;
            }
            done
        }
        Either::Right(((), work)) => work.await,
    }
}

impl Live<'_> {
    /// Tells how it goes, as long as that is heard and there is more to come.
    async fn tell(&self, is_telling: &AtomicBool, is_over: &AtomicBool) {
        let begun = Instant::now();
        let mut last: Option<Report> = None;
        tokio::time::sleep(FIRST).await;
        while !is_over.load(Ordering::Relaxed) && !self.world.stop.is_asked() {
            let news = self.report().filter(|report| last.as_ref().is_none_or(|last| differs(last, report)));
            if let Some(report) = news {
                is_telling.store(true, Ordering::Relaxed);
                let is_heard = self.audience.tell_on(self.world, &report, last.is_none()).await;
                is_telling.store(false, Ordering::Relaxed);
                if !is_heard {
                    return;
                }
                last = Some(report);
            }
            tokio::time::sleep(LEAST.max(begun.elapsed() / PART)).await;
        }
    }

    /// How it stands now, as far as the journal has it; `None` once it is over.
    fn report(&self) -> Option<Report> {
        let history = self.replica.history();
        let pause = paused(&history);
        let now = Now { paused: pause.as_deref(), ..Now::at(self.world.clock.now_ms()) };
        let progress = history.rollout(&self.rollout).filter(|progress| progress.ending().is_none())?;
        let planned = progress.rollout().waves.iter().flat_map(|wave| &wave.targets);
        let rows = planned.map(|planned| row(progress, &planned.target)).collect();
        let waves = progress.wave_views(&now).into_iter().map(|wave| WaveLine {
            name: wave.name,
            targets: wave.targets,
            done: wave.done,
            failed: wave.failed,
            state: wave.state.into(),
        });
        Some(Report {
            head: Some(progress.rollout().commit.clone()),
            at_ms: Some(now.ms),
            rows,
            waves: waves.collect(),
            fold: Fold::default(),
            goes_on: true,
            ..Report::new(self.told)
        })
    }
}

/// Something happened between the two.
fn differs(last: &Report, now: &Report) -> bool {
    last.rows != now.rows || last.waves != now.waves
}

fn row(progress: &Progress, target: &TargetId) -> Row {
    let state = match progress.outcome(target) {
        None => RowState::Changes,
        Some(Outcome::Applied) => RowState::Applied,
        Some(Outcome::Unchanged) => RowState::Unchanged,
        Some(Outcome::Failed(text)) => tell::failed("", text),
        Some(Outcome::NotCleared(why)) => RowState::Waiting(why.clone()),
        Some(Outcome::Skipped(why)) => RowState::Skipped(why.clone()),
    };
    Row { target: target.clone(), state, preview: None, verdict: None }
}
