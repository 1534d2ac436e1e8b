//! What is known of one target, and how one event changes it. Knows no other target; what an event says of all of them at
//! once is kept as a [`Marks`] and reaches each record when it is next touched.

use super::Class;
use super::Drifted;
use crate::change::{ChangeMark, Digest, Intent};
use crate::review::User;
use crate::rollout::Outcome;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is known of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The commit whose definition it is at: its last apply, or a later commit at which it was found unchanged.
    pub commit: Option<Arc<str>>,
    /// Digest of the preview last applied, when and by which pull request and people: who cleared it, or else who ran it.
    pub applied: Option<Digest>,
    pub applied_at_ms: Option<u64>,
    /// When approvals were last used up: it arrived by changes of ours, or what had been cleared or started came to nothing. An
    /// apply that found nothing to do, and that nothing had been cleared for, uses up none.
    pub spent_at_ms: Option<u64>,
    pub pull_request: Option<u64>,
    pub by: Vec<User>,
    /// `by` are who cleared it.
    pub is_approved: bool,
    pub state: State,
    /// Cleared since its last successful apply, sorted.
    pub cleared: Vec<(ChangeMark, Vec<User>)>,
    /// We recorded a start since its last successful apply.
    pub started: bool,
    pub drift: Option<DriftNote>,
    pub drift_checked_at_ms: Option<u64>,
    /// The last rollout that planned it left it as it is.
    pub left: Option<Left>,
    /// An earlier start was recorded when the newest was.
    begun_before: bool,
    /// The commit of the newest clearance, and of the newest that was started: what an apply that died half-way may have left is
    /// of that definition.
    pub(super) sent: Option<Arc<str>>,
    pub(super) begun: Option<Arc<str>>,
    /// The event with which it last changed, and the last at which it was what its definition and its dependencies' outputs make; 0 when
    /// it is gone.
    pub(super) changed: u64,
    pub(super) arrived: u64,
    /// The newest clearance: digest of the preview, and people.
    last_cleared: Option<(Digest, Vec<User>)>,
    /// Somebody said resume since it failed.
    resumed: bool,
    /// The last event that reached it, counted over all events.
    seen: u64,
}

/// How a target stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing of it was ever applied.
    Never,
    Applied,
    /// Its last apply failed with this digest, in a run of this head, where both are known; retried after a change of either or `resume`.
    Failed {
        why: Arc<str>,
        digest: Option<Digest>,
        #[serde(default)]
        head: Option<Arc<str>>,
        at_ms: u64,
    },
    /// Started without an outcome.
    Unknown {
        since_ms: u64,
    },
    /// Destroyed.
    Removed,
}

/// A target that a rollout did not start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Left {
    pub why: Arc<str>,
    pub at_ms: u64,
}

/// The last drift that was found and not yet gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftNote {
    pub since_ms: u64,
    pub found: Drifted,
}

/// What was last said of every target at once, and as which event. Each concerns the records that were there then and that
/// no event has reached since; those it makes an exception of are reached first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// The event being folded.
    pub(super) now: u64,
    pub(super) settled: Option<(u64, Arc<str>)>,
    pub(super) checked: Option<(u64, u64)>,
    pub(super) resumed: u64,
}

/// Who ran, at which head, and for which pull request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) by: User,
    #[serde(default)]
    pub(super) head: Arc<str>,
    pub(super) pull_request: Option<u64>,
    /// Its first entry, and how many rollouts it planned.
    pub(super) seq: u64,
    pub(super) planned: usize,
}

impl Record {
    pub(super) fn new(marks: &Marks) -> Self {
        Self {
            commit: None,
            applied: None,
            applied_at_ms: None,
            spent_at_ms: None,
            pull_request: None,
            by: Vec::new(),
            is_approved: false,
            state: State::Never,
            cleared: Vec::new(),
            started: false,
            drift: None,
            drift_checked_at_ms: None,
            left: None,
            begun_before: false,
            sent: None,
            begun: None,
            changed: 0,
            arrived: 0,
            last_cleared: None,
            resumed: false,
            seen: marks.now,
        }
    }

    /// Its last apply failed with exactly this digest in a run of this head, and nobody said resume since: it is not tried again.
    pub fn is_stuck(&self, digest: &Digest, head: &str) -> bool {
        match &self.state {
            State::Failed { digest: failed, head: at, .. } => {
                failed.as_ref() == Some(digest) && at.as_deref() == Some(head) && !self.resumed
            }
            State::Never | State::Applied | State::Unknown { .. } | State::Removed => false,
        }
    }

    /// It failed in a run of this head, and nobody said resume since: only other changes would be tried.
    pub fn awaits_resume(&self, head: &str) -> bool {
        match &self.state {
            State::Failed { head: at, .. } => at.as_deref() == Some(head) && !self.resumed,
            State::Never | State::Applied | State::Unknown { .. } | State::Removed => false,
        }
    }

    /// Brings it up to what was said of every target since an event last reached it. Called before anything else changes it,
    /// so that its state is still the one it had when the marks were made.
    pub(super) fn touch(&mut self, marks: &Marks) {
        if let Some((at, commit)) = &marks.settled
            && *at > self.seen
        {
            self.settle(commit);
        }
        if let Some((at, at_ms)) = marks.checked
            && at > self.seen
        {
            self.found_clean(at, at_ms);
        }
        if marks.resumed > self.seen {
            self.resume();
        }
        self.seen = marks.now;
    }

    pub(super) fn settle(&mut self, commit: &Arc<str>) {
        if self.state == State::Applied {
            self.commit = Some(commit.clone());
        }
    }

    /// `at` is the event that says so.
    pub(super) fn found_clean(&mut self, at: u64, at_ms: u64) {
        if self.state != State::Removed {
            self.drift = None;
            self.drift_checked_at_ms = Some(at_ms);
        }
        if self.state == State::Applied {
            self.arrived = self.arrived.max(at);
        }
    }

    pub(super) fn found_drifted(&mut self, found: &[(Arc<str>, Class)], at_ms: u64) {
        let since_ms = self.drift.as_ref().map_or(at_ms, |note| note.since_ms);
        self.drift = Some(DriftNote { since_ms, found: found.to_vec() });
        self.drift_checked_at_ms = Some(at_ms);
    }

    pub(super) fn resume(&mut self) {
        self.resumed = true;
    }

    pub(super) fn clear(&mut self, digest: &Digest, changes: &[ChangeMark], by: &[User]) {
        for change in changes {
            match self.cleared.binary_search_by(|(known, _)| known.cmp(change)) {
                Ok(at) => add_people(&mut self.cleared[at].1, by),
                Err(at) => self.cleared.insert(at, (change.clone(), by.to_vec())),
            }
        }
        self.last_cleared = Some((digest.clone(), by.to_vec()));
    }

    pub(super) fn start(&mut self, at_ms: u64) {
        self.begun_before = self.started;
        self.left = None;
        self.started = true;
        self.begun = self.sent.clone();
        self.state = State::Unknown { since_ms: at_ms };
    }

    /// `planned` is what its rollout wanted of it, and for which commit; `head` is that of the run that says so.
    pub(super) fn finish(&mut self, outcome: &Outcome, planned: Option<(Intent, Arc<str>)>, head: Option<Arc<str>>, at_ms: u64) {
        match outcome {
            Outcome::Applied | Outcome::Unchanged => {
                if let Some((intent, commit)) = planned {
                    self.arrive(intent, commit, at_ms);
                } else if self.state != State::Removed {
                    self.arrive_where_it_was_sent(at_ms);
                }
            }
            Outcome::Failed(why) => {
                let digest = self.last_cleared.as_ref().map(|(digest, _)| digest.clone());
                self.state = State::Failed { why: why.clone(), digest, head, at_ms };
                self.resumed = false;
            }
            // A start that has no outcome stays unknown: that we did not go on says nothing about it.
            Outcome::NotCleared(why) | Outcome::Skipped(why) => {
                self.left = Some(Left { why: why.clone(), at_ms });
            }
        }
    }

    /// Drift was found that our own code or its secrets explain: only an apply ends it.
    pub fn lacks_an_apply(&self) -> bool {
        self.drift.iter().flat_map(|note| &note.found).any(|(_, class)| *class == Class::UnappliedCommit)
    }

    /// It was brought to where it is before `dependency` last changed, so it may still hold an older output of it.
    pub fn is_older_than(&self, dependency: &Record) -> bool {
        self.arrived < dependency.changed
    }

    pub(super) fn apply(
        &mut self,
        intent: Intent,
        commit: Arc<str>,
        digest: &Digest,
        changes: &[ChangeMark],
        run: Option<&Run>,
        at_ms: u64,
    ) {
        if !changes.is_empty() {
            self.spent_at_ms = Some(at_ms);
        }
        let cleared_by = self.last_cleared.take().map(|(_, by)| by).unwrap_or_default();
        let run_by = run.map(|run| run.by.clone());
        self.is_approved = !cleared_by.is_empty();
        self.by = if cleared_by.is_empty() { run_by.into_iter().collect() } else { cleared_by };
        self.pull_request = run.and_then(|run| run.pull_request);
        self.applied = Some(digest.clone());
        self.applied_at_ms = Some(at_ms);
        self.arrive(intent, commit, at_ms);
    }

    /// Another name took over what is there, and uses up what was approved under this one.
    pub(super) fn hand_over(&mut self, commit: &Arc<str>, at_ms: u64) {
        if self.state != State::Removed {
            self.arrive(Intent::Destroy, commit.clone(), at_ms);
            (self.applied_at_ms, self.spent_at_ms, self.arrived) = (Some(at_ms), Some(at_ms), 0);
        }
    }

    /// The engine failed before it touched anything: the newest start was none. An earlier one still counts.
    pub(super) fn take_start_back(&mut self) {
        self.started = self.begun_before;
    }

    /// `recover` looked: it is as it was before the start, and what is left of it can still go on.
    pub(super) fn recover(&mut self) {
        if matches!(self.state, State::Unknown { .. }) {
            self.state = if self.applied.is_some() { State::Applied } else { State::Never };
        }
    }

    fn arrive(&mut self, intent: Intent, commit: Arc<str>, at_ms: u64) {
        self.commit = Some(commit);
        self.arrive_where_it_was_sent(at_ms);
        if intent == Intent::Destroy {
            self.state = State::Removed;
            self.drift = None;
        }
    }

    /// Reality is what was wanted: clearances are used up, and what drifted of ours is ours again.
    fn arrive_where_it_was_sent(&mut self, at_ms: u64) {
        if self.started || !self.cleared.is_empty() {
            self.spent_at_ms = Some(at_ms);
        }
        self.state = State::Applied;
        self.left = None;
        self.started = false;
        self.resumed = false;
        self.cleared = Vec::new();
        if let Some(note) = &mut self.drift {
            note.found.retain(|(_, class)| is_not_ours(*class));
        }
        self.drift.take_if(|note| note.found.is_empty());
    }
}

/// An apply neither removes nor looks at it.
fn is_not_ours(class: Class) -> bool {
    match class {
        Class::Unmanaged => true,
        Class::OutOfBand | Class::Missing | Class::UnappliedCommit | Class::NotChecked => false,
    }
}

fn add_people(known: &mut Vec<User>, more: &[User]) {
    for user in more {
        if !known.contains(user) {
            known.push(user.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Action;

    fn mark(address: &str) -> ChangeMark {
        ChangeMark {
            address: address.into(),
            kind: "document".into(),
            action: Action::Create,
            before: None,
            after: None,
            holes: Vec::new(),
        }
    }

    fn user(name: &str) -> User {
        User(name.into())
    }

    fn record() -> Record {
        Record::new(&Marks::default())
    }

    fn people(record: &Record) -> Vec<(String, Vec<String>)> {
        let names = |by: &[User]| by.iter().map(ToString::to_string).collect();
        record.cleared.iter().map(|(change, by)| (change.address.to_string(), names(by))).collect()
    }

    #[test]
    fn clearances_add_up_and_a_change_cleared_twice_has_both_people() {
        let mut record = record();
        record.clear(&Digest::of_bytes(b"1"), &[mark("b"), mark("a")], &[user("ann")]);
        record.clear(&Digest::of_bytes(b"2"), &[mark("b")], &[user("ANN"), user("bob")]);
        let both = [("a".to_string(), vec!["ann".to_string()]), ("b".to_string(), vec!["ann".into(), "bob".into()])];
        assert_eq!(people(&record), both);
    }

    #[test]
    fn an_apply_uses_up_what_was_cleared() {
        let mut record = record();
        record.clear(&Digest::of_bytes(b"1"), &[mark("a")], &[user("ann")]);
        record.start(5);
        record.apply(Intent::Converge, "c1".into(), &Digest::of_bytes(b"1"), &[], None, 6);
        assert_eq!((record.cleared.len(), record.started, &record.state), (0, false, &State::Applied));
        assert_eq!((record.by.as_slice(), record.commit.as_deref()), ([user("ann")].as_slice(), Some("c1")));
    }

    #[test]
    fn an_apply_of_nothing_uses_up_no_approval_unless_something_was_cleared_or_begun() {
        let spent = |prepare: fn(&mut Record), changes: &[ChangeMark]| {
            let mut record = record();
            prepare(&mut record);
            record.finish(&Outcome::Unchanged, Some((Intent::Converge, "c1".into())), None, 6);
            record.apply(Intent::Converge, "c1".into(), &Digest::of_bytes(b"1"), changes, None, 7);
            (record.applied_at_ms, record.spent_at_ms)
        };
        assert_eq!(spent(|_| {}, &[]), (Some(7), None));
        assert_eq!(spent(|_| {}, &[mark("a")]), (Some(7), Some(7)));
        assert_eq!(spent(|record| record.start(5), &[]), (Some(7), Some(6)), "an earlier start may have made it so");
        let cleared = |record: &mut Record| record.clear(&Digest::of_bytes(b"1"), &[mark("a")], &[user("ann")]);
        assert_eq!(spent(cleared, &[]), (Some(7), Some(6)), "what was cleared came to nothing");
    }

    #[test]
    fn who_ran_it_stands_for_a_clearance_that_nobody_gave() {
        let mut record = record();
        record.clear(&Digest::of_bytes(b"1"), &[mark("a")], &[]);
        let run = Run { by: user("runner"), head: "c1".into(), pull_request: Some(7), seq: 1, planned: 0 };
        record.apply(Intent::Converge, "c1".into(), &Digest::of_bytes(b"1"), &[], Some(&run), 6);
        assert_eq!((record.by, record.pull_request), (vec![user("runner")], Some(7)));
    }

    #[test]
    fn a_failed_digest_is_stuck_at_its_head_until_resume_and_another_is_not() {
        let (one, two) = (Digest::of_bytes(b"1"), Digest::of_bytes(b"2"));
        let failed = |head: Option<&str>| {
            let mut record = record();
            record.clear(&one, &[mark("a")], &[]);
            record.start(5);
            record.finish(&Outcome::Failed("quota".into()), None, head.map(Arc::from), 6);
            record
        };
        let mut record = failed(Some("c1"));
        assert_eq!((record.is_stuck(&one, "c1"), record.is_stuck(&two, "c1"), record.is_stuck(&one, "c2")), (true, false, false));
        record.resume();
        assert!(!record.is_stuck(&one, "c1"));
        record.finish(&Outcome::Failed("quota".into()), None, Some("c1".into()), 7);
        assert!(record.is_stuck(&one, "c1"), "it failed again");
        assert!(!failed(None).is_stuck(&one, "c1"), "nobody knows where, so it is tried once more");
    }

    #[test]
    fn a_start_that_touched_nothing_is_taken_back_and_an_earlier_one_is_not() {
        let mut record = record();
        let fail = |record: &mut Record, untouched: bool| {
            record.start(5);
            record.finish(&Outcome::Failed("reality moved".into()), None, None, 6);
            if untouched {
                record.take_start_back();
            }
            record.started
        };
        assert_eq!([true, false, true].map(|untouched| fail(&mut record, untouched)), [false, true, true]);
    }

    #[test]
    fn what_was_started_stays_unknown_until_somebody_looked() {
        let mut record = record();
        record.start(5);
        record.finish(&Outcome::NotCleared("waits for approval".into()), None, None, 6);
        assert_eq!(record.state, State::Unknown { since_ms: 5 });
        record.recover();
        assert_eq!((&record.state, record.started), (&State::Never, true), "what is left of it can go on");
    }

    #[test]
    fn why_a_target_was_left_is_remembered_until_it_is_brought_on() {
        let mut record = record();
        let left = |why: &str, at_ms: u64| Some(Left { why: why.into(), at_ms });
        record.finish(&Outcome::NotCleared("1 of sre is missing".into()), None, None, 6);
        assert_eq!(record.left, left("1 of sre is missing", 6));
        record.finish(&Outcome::Skipped("region held".into()), None, None, 7);
        assert_eq!(record.left, left("region held", 7));
        record.start(8);
        assert_eq!(record.left, None);
    }

    #[test]
    fn a_destroyed_target_is_removed_and_drifts_no_more() {
        let mut record = record();
        record.found_drifted(&[("a".into(), Class::Unmanaged)], 1);
        record.apply(Intent::Destroy, "c2".into(), &Digest::of_bytes(b"1"), &[], None, 6);
        record.finish(&Outcome::Applied, None, None, 6);
        assert_eq!((&record.state, &record.drift), (&State::Removed, &None));
        record.found_clean(1, 9);
        assert_eq!(record.drift_checked_at_ms, Some(1));
    }

    #[test]
    fn an_apply_mends_our_drift_and_leaves_what_is_not_ours() {
        let mut record = record();
        record.found_drifted(&[("a".into(), Class::OutOfBand), ("b".into(), Class::Unmanaged)], 1);
        record.apply(Intent::Converge, "c1".into(), &Digest::of_bytes(b"1"), &[], None, 6);
        let left = DriftNote { since_ms: 1, found: vec![("b".into(), Class::Unmanaged)] };
        assert_eq!(record.drift, Some(left));
    }

    #[test]
    fn drift_found_again_is_as_old_as_when_it_was_first_found() {
        let mut record = record();
        record.found_drifted(&[("a".into(), Class::Missing)], 1);
        record.found_drifted(&[("a".into(), Class::Missing), ("b".into(), Class::Missing)], 9);
        assert_eq!(record.drift.map(|note| (note.since_ms, note.found.len())), Some((1, 2)));
        assert_eq!(record.drift_checked_at_ms, Some(9));
    }
}
