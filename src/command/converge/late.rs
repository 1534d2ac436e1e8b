//! The end of the job: what still fits into the time that is left, and what is said of what does not. Knows how long applies usually
//! take; not what a job is, or when its next one comes.

use super::Converge;
use crate::rollout::duration;
use crate::runner::TimeLeft;
use crate::stack::TargetId;

impl Converge<'_> {
    /// How long a target usually takes that would not have begun either had it been the first of this run; nothing for one that
    /// would, nor where nothing at all was left of the job.
    pub(super) fn too_long_ms(&self, target: &TargetId) -> Option<u64> {
        let TimeLeft { whole_ms, .. } = self.order.time?;
        Some(self.replica.usual_ms(target)).filter(|usual_ms| whole_ms > 0 && *usual_ms > whole_ms)
    }

    /// The run began at the very end of its job: not even the quickest of what it found to do would have fitted in. What is left says
    /// nothing of a whole job then.
    pub(super) fn is_spent<'a>(&self, mut found: impl Iterator<Item = &'a TargetId>) -> bool {
        found.all(|target| self.too_long_ms(target).is_some())
    }

    /// Says what to do about what no longer began; `longest_ms` is what needs more than all the time that this run had.
    pub(super) fn say_late(&mut self, longest_ms: Option<u64>) {
        let how = match longest_ms {
            Some(ms) => format!("with a --time-left above {}, or without one", told(ms)),
            None => "goes on with what did not fit into the time that was left".into(),
        };
        self.done.next.push(format!("isobar tick  ({how})"));
        self.done.wait = Some((self.world.clock.now_ms(), "it usually takes longer than the time that is left".into()));
    }

    /// Why this target was not begun before the job's end.
    pub(super) fn why_late(&self, target: &TargetId) -> String {
        if let (Some(usual_ms), Some(time)) = (self.too_long_ms(target), self.order.time) {
            let (usual, whole) = (told(usual_ms), told(time.whole_ms));
            return format!(
                "it usually takes {usual}, and this run had {whole}; isobar tick begins it with a --time-left above {usual}"
            );
        }
        let why = match (self.replica.is_late(), self.replica.fits(target, self.world.clock.now_ms())) {
            (true, _) => "no time is left of the job",
            (false, true) => "it comes after what usually takes longer than the time that is left",
            (false, false) => "it usually takes longer than the time that is left",
        };
        format!("{why}; isobar tick goes on")
    }
}

/// A duration, upwards: in seconds up to ten minutes, in minutes from there.
fn told(ms: u64) -> String {
    match ms.div_ceil(1_000) {
        secs @ ..600 => duration(secs),
        secs => duration(secs.next_multiple_of(60)),
    }
}
