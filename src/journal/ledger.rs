//! The ledger: one row an apply, for somebody who asks who changed what, who approved it and by which rules. A fold over
//! entries, in little memory; knows not how a row is written.

use super::{Entry, Event, Verb};
use crate::change::{ChangeMark, Digest, Intent};
use crate::review::User;
use crate::rollout::{Outcome, StepEvent};
use crate::stack::TargetId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One start of an engine on one target, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub target: TargetId,
    pub outcome: Became,
    /// When it was started and when its end was recorded, milliseconds since 1970.
    pub started_ms: u64,
    pub ended_ms: Option<u64>,
    pub intent: Option<Intent>,
    /// What the engine said that it changed; for one that did not come to its end, what it was cleared to change.
    pub changes: Vec<ChangeMark>,
    /// Of the preview that was applied.
    pub digest: Option<Digest>,
    pub approved_by: Vec<User>,
    pub approved_because: Option<Arc<str>>,
    /// The commit whose policy cleared it, and the commit that was applied.
    pub authority: Option<Arc<str>>,
    pub commit: Option<Arc<str>>,
    pub rollout: Arc<str>,
    pub run: Arc<str>,
    pub run_by: Option<User>,
    pub verb: Option<Verb>,
    pub pull_request: Option<u64>,
    /// Number and hash of the entry that says how it ended, or that it was started.
    pub seq: u64,
    pub hash: Digest,
}

/// What became of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Became {
    Applied,
    Failed(Arc<str>),
    /// No end was recorded; a later look, by this run, found what it says.
    Recovered {
        how: Arc<str>,
        found_by: Arc<str>,
    },
    /// No end was recorded, and nobody has looked yet.
    Unknown,
}

/// The fold.
#[derive(Debug, Default)]
pub struct Ledger {
    runs: BTreeMap<Arc<str>, (User, Verb, Option<u64>)>,
    cleared: BTreeMap<TargetId, Cleared>,
    open: BTreeMap<TargetId, Row>,
    /// Started before one that is open, without an end of their own: what closes that one closes them.
    lost: BTreeMap<TargetId, Vec<Row>>,
    /// Ended in the group that is being read; more of the group may speak of them.
    ended: Vec<Row>,
}

#[derive(Debug)]
struct Cleared {
    changes: Vec<ChangeMark>,
    digest: Digest,
    by: Vec<User>,
    why: Arc<str>,
    authority: Option<Arc<str>>,
    commit: Arc<str>,
}

impl Ledger {
    /// Takes the next entry; returns the rows that are complete now, in the order of their ends.
    pub fn take(&mut self, entry: &Entry) -> Vec<Row> {
        match &entry.event {
            Event::RunStarted { verb, by, pull_request, commit: _ } => {
                self.runs.insert(entry.run.clone(), (by.clone(), *verb, *pull_request));
            }
            Event::Cleared { target, commit, digest, changes, by, why, authority } => {
                let (changes, digest, by, why) = (changes.clone(), digest.clone(), by.clone(), why.clone());
                let cleared = Cleared { changes, digest, by, why, authority: authority.clone(), commit: commit.clone() };
                self.cleared.insert(target.clone(), cleared);
            }
            Event::Step { rollout, step } => self.step(entry, rollout, step),
            Event::Applied { target, intent, commit, digest, changes, was } => {
                for former in was {
                    self.end(entry, former, recovered(entry, &format!("it arrived under its new name, {target}")));
                }
                if let Some(row) = self.ended.iter_mut().rfind(|row| row.target == *target) {
                    (row.intent, row.commit, row.digest) = (Some(*intent), Some(commit.clone()), Some(digest.clone()));
                    if row.outcome == Became::Applied {
                        row.changes = changes.clone();
                    }
                }
            }
            Event::Recovered { target, how, untouched: false } => self.end(entry, target, recovered(entry, how)),
            Event::Recovered { untouched: true, .. } => {} // its failure stands in the same group
            Event::Planned { .. } | Event::Superseded { .. } | Event::Settled { .. } | Event::DriftChecked { .. } => {}
            Event::Paused { .. } | Event::Resumed { .. } | Event::Held { .. } | Event::Released { .. } => {}
            Event::KeyBegan { .. } | Event::Compacted { .. } | Event::Freed { .. } | Event::GivenUp { .. } => {}
        }
        if entry.more == 0 { std::mem::take(&mut self.ended) } else { Vec::new() }
    }

    /// Returns the starts of which nobody knows the end, by target.
    pub fn rest(self) -> Vec<Row> {
        let mut rest: Vec<Row> = self.lost.into_values().flatten().chain(self.open.into_values()).collect();
        rest.sort_by(|one, other| (&one.target, one.seq).cmp(&(&other.target, other.seq)));
        rest
    }

    fn step(&mut self, entry: &Entry, rollout: &Arc<str>, step: &StepEvent) {
        match step {
            StepEvent::Started { target } => {
                let row = self.start(entry, rollout, target);
                if let Some(before) = self.open.insert(target.clone(), row) {
                    self.lost.entry(target.clone()).or_default().push(before);
                }
            }
            StepEvent::Finished { target, outcome } => match outcome {
                Outcome::Applied => self.end(entry, target, Became::Applied),
                Outcome::Failed(why) => self.end(entry, target, Became::Failed(why.clone())),
                Outcome::Unchanged => {
                    self.end(entry, target, recovered(entry, "a later preview found nothing left to do"));
                }
                Outcome::Skipped(_) | Outcome::NotCleared(_) => {} // says nothing about a start before it
            },
            StepEvent::GatePassed { .. } | StepEvent::GateFailed { .. } | StepEvent::Verified { .. } => {}
            StepEvent::Stopped { .. } | StepEvent::Resumed => {}
        }
    }

    fn start(&mut self, entry: &Entry, rollout: &Arc<str>, target: &TargetId) -> Row {
        let run = self.runs.get(&entry.run);
        let cleared = self.cleared.get(target);
        Row {
            target: target.clone(),
            outcome: Became::Unknown,
            started_ms: entry.at_ms,
            ended_ms: None,
            intent: None,
            changes: cleared.map(|cleared| cleared.changes.clone()).unwrap_or_default(),
            digest: cleared.map(|cleared| cleared.digest.clone()),
            approved_by: cleared.map(|cleared| cleared.by.clone()).unwrap_or_default(),
            approved_because: cleared.map(|cleared| cleared.why.clone()),
            authority: cleared.and_then(|cleared| cleared.authority.clone()),
            commit: cleared.map(|cleared| cleared.commit.clone()),
            rollout: rollout.clone(),
            run: entry.run.clone(),
            run_by: run.map(|(by, ..)| by.clone()),
            verb: run.map(|(_, verb, _)| *verb),
            pull_request: run.and_then(|(_, _, pull_request)| *pull_request),
            seq: entry.seq,
            hash: entry.hash.clone(),
        }
    }

    fn end(&mut self, entry: &Entry, target: &TargetId, outcome: Became) {
        let Some(row) = self.open.remove(target) else { return };
        let end = |outcome: Became, row: Row| Row {
            outcome,
            ended_ms: Some(entry.at_ms),
            seq: entry.seq,
            hash: entry.hash.clone(),
            ..row
        };
        // Whoever starts anew has looked at what the one before it left.
        let how = match &outcome {
            Became::Applied => "a later apply looked again, and came to its end",
            Became::Failed(_) => "a later apply looked again, and failed",
            Became::Recovered { how, .. } => how,
            Became::Unknown => return,
        };
        let lost = self.lost.remove(target).unwrap_or_default();
        self.ended.extend(lost.into_iter().map(|row| end(recovered(entry, how), row)));
        self.ended.push(end(outcome, row));
    }
}

fn recovered(entry: &Entry, how: &str) -> Became {
    Became::Recovered { how: how.into(), found_by: entry.run.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::Chain;
    use super::*;
    use crate::change::Action;

    fn id(text: &str) -> TargetId {
        text.parse().expect("a target")
    }

    fn mark(address: &str) -> ChangeMark {
        let (kind, action) = ("document".into(), Action::Create);
        ChangeMark { address: address.into(), kind, action, before: None, after: None, holes: vec![] }
    }

    fn step(step: StepEvent) -> Event {
        Event::Step { rollout: "r1".into(), step }
    }

    fn started(target: &str) -> Event {
        step(StepEvent::Started { target: id(target) })
    }

    fn finished(target: &str, outcome: Outcome) -> Event {
        step(StepEvent::Finished { target: id(target), outcome })
    }

    fn cleared(target: &str, address: &str) -> Event {
        Event::Cleared {
            target: id(target),
            commit: "c1".into(),
            digest: Digest::of_bytes(b"p"),
            changes: vec![mark(address)],
            by: vec![User("grace".into())],
            why: "one of platform".into(),
            authority: Some("c0".into()),
        }
    }

    fn applied(target: &str, changes: Vec<ChangeMark>) -> Event {
        let digest = Digest::of_bytes(b"p");
        Event::Applied { target: id(target), intent: Intent::Converge, commit: "c1".into(), digest, changes, was: vec![] }
    }

    fn run() -> Event {
        Event::RunStarted { verb: Verb::Apply, commit: "c1".into(), by: User("ada".into()), pull_request: Some(7) }
    }

    /// Rows of groups of events, and those that are left.
    fn rows(groups: Vec<Vec<Event>>) -> (Vec<Row>, Vec<Row>) {
        let (mut chain, mut ledger, mut rows) = (Chain::empty(), Ledger::default(), Vec::new());
        for (at_ms, group) in (1..).zip(groups) {
            for entry in chain.seal_group(group, &"run-1".into(), at_ms) {
                rows.extend(ledger.take(&entry));
            }
        }
        (rows, ledger.rest())
    }

    #[test]
    fn an_apply_names_who_approved_what_by_which_policy_and_which_run() {
        let end = vec![finished("a@prod/x", Outcome::Applied), applied("a@prod/x", vec![mark("done.yaml")])];
        let (rows, rest) = rows(vec![vec![run()], vec![cleared("a@prod/x", "a.yaml")], vec![started("a@prod/x")], end]);
        let row = &rows[0];
        assert_eq!((rows.len(), rest.len(), &row.outcome), (1, 0, &Became::Applied));
        assert_eq!((row.started_ms, row.ended_ms, row.seq), (3, Some(4), 4));
        assert_eq!((&*row.changes[0].address, row.approved_by[0].0.as_ref()), ("done.yaml", "grace"));
        assert_eq!((row.authority.as_deref(), row.commit.as_deref()), (Some("c0"), Some("c1")));
        assert_eq!((row.run_by.as_ref(), row.verb, row.pull_request), (Some(&User("ada".into())), Some(Verb::Apply), Some(7)));
    }

    #[test]
    fn a_failed_apply_tells_what_it_was_cleared_to_do() {
        let end = vec![finished("a@prod/x", Outcome::Failed("quota".into()))];
        let (rows, _) = rows(vec![vec![cleared("a@prod/x", "a.yaml"), started("a@prod/x")], end]);
        assert_eq!((&rows[0].outcome, &*rows[0].changes[0].address), (&Became::Failed("quota".into()), "a.yaml"));
    }

    #[test]
    fn a_start_without_an_end_is_unknown_until_somebody_looked() {
        let lost = || vec![started("a@prod/x")];
        let (none, left) = rows(vec![lost(), vec![finished("a@prod/x", Outcome::Skipped("waits".into()))]]);
        assert_eq!((none.len(), &left[0].outcome), (0, &Became::Unknown));

        let (again, left) = rows(vec![lost(), lost()]);
        assert_eq!((again.len(), left.iter().map(|row| row.seq).collect::<Vec<_>>()), (0, vec![1, 2]));

        let looked = vec![applied("a@prod/x", vec![]), finished("a@prod/x", Outcome::Unchanged)];
        let (found, left) = rows(vec![lost(), looked]);
        assert!(matches!(found[0].outcome, Became::Recovered { .. }) && left.is_empty());
    }

    #[test]
    fn what_a_later_apply_closed_is_unknown_no_more() {
        let lost = || vec![started("a@prod/x")];
        let end = vec![finished("a@prod/x", Outcome::Applied), applied("a@prod/x", vec![mark("done.yaml")])];
        let (found, left) = rows(vec![lost(), lost(), end]);
        let how = "a later apply looked again, and came to its end".into();
        assert_eq!(found[0].outcome, Became::Recovered { how, found_by: "run-1".into() });
        assert_eq!((found[0].started_ms, found[0].ended_ms, &found[0].changes[..]), (1, Some(3), &[][..]));
        assert_eq!((&found[1].outcome, &*found[1].changes[0].address, left.len()), (&Became::Applied, "done.yaml", 0));

        let (found, left) = rows(vec![lost(), lost(), vec![finished("a@prod/x", Outcome::Failed("quota".into()))]]);
        assert!(matches!(found[0].outcome, Became::Recovered { .. }) && left.is_empty(), "it is failed today, not unknown");
        assert_eq!(found[1].outcome, Became::Failed("quota".into()));
    }

    #[test]
    fn what_was_never_started_is_no_apply() {
        let (rows, rest) = rows(vec![vec![finished("a@prod/x", Outcome::Unchanged), applied("a@prod/x", vec![])]]);
        assert_eq!((rows.len(), rest.len()), (0, 0));
    }
}
