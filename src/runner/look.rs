//! Looks at many targets at once, bounded; what is not seen when we are told to stop is left at once, for a look changes nothing.

use super::{MakeJob, Moment};
use crate::change::{Preview, Unseen, UnseenReason};
use crate::engine::{Engines, Job};
use crate::stack::{Known, TargetId};
use crate::stop::Stop;
use futures::StreamExt as _;

/// Looks in flight at once unless `--parallel` says otherwise; one runner has 4 cores and engines mostly wait.
const LOOKS_AT_ONCE: usize = 16;

/// How looks are taken.
#[derive(Clone, Copy)]
pub struct Looks<'a> {
    pub engines: &'a Engines,
    /// At most so many at once; 0 for the default.
    pub parallel: usize,
    pub stop: &'a Stop,
}

impl Looks<'_> {
    /// Previews targets level by level, so that each sees the proposed outputs of those before it; the answers come in the
    /// order of the levels.
    pub async fn preview(
        &self,
        levels: &[Vec<TargetId>],
        known: &mut Known,
        make: &MakeJob<'_>,
        watch: &(dyn Fn(Moment<'_>) + Sync),
    ) -> Vec<Result<Preview, Unseen>> {
        let mut answers = Vec::new();
        for level in levels {
            tracing::debug!(targets = level.len(), parallel = self.at_once(), "previewing a level");
            let seen = {
                let known = &*known;
                let looks = level.iter().map(|target| async move {
                    let answer = tokio::select! {
                        biased;
                        () = self.stop.wait() => Err(unseen(target, UnseenReason::Cancelled)),
                        answer = async { look(self.engines, make(target, known)).await } => answer,
                    };
                    watch(Moment::Previewed(target));
                    answer
                });
                futures::stream::iter(looks).buffered(self.at_once()).collect::<Vec<_>>().await
            };
            for preview in seen.iter().flatten() {
                let outputs = preview.outputs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
                known.0.insert(preview.target.clone(), outputs.collect());
            }
            answers.extend(seen);
        }
        answers
    }

    /// Adds the outputs of targets as they are in reality now, level by level; a target that cannot be asked has none.
    pub async fn outputs(&self, levels: &[Vec<TargetId>], known: &mut Known, make: &MakeJob<'_>) {
        for level in levels {
            let found = {
                let known = &*known;
                let asks = level.iter().map(|target| async move {
                    tokio::select! {
                        biased;
                        () = self.stop.wait() => None,
                        outputs = async {
                            let job = make(target, known).ok()?;
                            self.engines.get(&job.target.stack.engine)?.outputs(&job).await.ok()
                        } => Some((target.clone(), outputs?)),
                    }
                });
                futures::stream::iter(asks).buffered(self.at_once()).collect::<Vec<_>>().await
            };
            known.0.extend(found.into_iter().flatten());
        }
    }

    fn at_once(&self) -> usize {
        if self.parallel == 0 { LOOKS_AT_ONCE } else { self.parallel }
    }
}

async fn look(engines: &Engines, job: Result<Job, Unseen>) -> Result<Preview, Unseen> {
    let job = job?;
    match engines.get(&job.target.stack.engine) {
        Some(engine) => engine.preview(&job).await,
        None => Err(unseen(&job.target.id, UnseenReason::Engine(format!("no engine named {}", job.target.stack.engine).into()))),
    }
}

fn unseen(target: &TargetId, reason: UnseenReason) -> Unseen {
    Unseen::new(target.clone(), reason)
}
