//! What a history says after stories of entries.

use super::*;
use crate::change::{Action, ChangeMark, Digest, Intent};
use crate::journal::Class;
use crate::journal::{Chain, State, Verb};
use crate::rollout::{Outcome, Planned, Rollout, Wave};

/// Chance that is the same on every machine.
pub(in crate::journal) struct Chance(pub(in crate::journal) u64);

impl Chance {
    pub(in crate::journal) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    fn some<'a>(&mut self, texts: &[&'a str]) -> Vec<&'a str> {
        texts.iter().copied().filter(|_| self.below(2) == 0).collect()
    }
}

/// A random story: every kind of event, in any order, also such as no run would write.
pub(in crate::journal) fn events(chance: &mut Chance, length: usize) -> Vec<Event> {
    const TARGETS: [&str; 5] = ["a@prod/x", "a@prod/y", "b@prod/x", "b@prod/y", "c@prod/x"];
    const ROLLOUTS: [&str; 3] = ["r1", "r2", "r3"];
    const COMMITS: [&str; 4] = ["c1", "c2", "c3", "c4"];
    (0..length).map(|_| event(chance, &TARGETS, &ROLLOUTS, &COMMITS)).collect()
}

fn event(chance: &mut Chance, targets: &[&str], rollouts: &[&str], commits: &[&str]) -> Event {
    let (target, rollout, commit) = (chance.of(targets), chance.of(rollouts), chance.of(commits));
    let step = |step: StepEvent| Event::Step { rollout: rollout.into(), step };
    let digest = Digest::of_bytes(commit.as_bytes());
    match chance.below(18) {
        0 => Event::RunStarted { verb: Verb::Apply, commit: commit.into(), by: user("ann"), pull_request: Some(7) },
        1 | 2 => match planned(rollout, commit, &chance.some(targets)) {
            Event::Planned { mut rollout } => {
                rollout.waves[0].unproven = commit == commits[0];
                let whole = Extent { targets: 9, ..Extent::default() };
                Event::Planned {
                    rollout: Rollout { whole: (chance.below(2) == 0).then_some(whole), beside: Some(vec![]), ..rollout },
                }
            }
            other => other,
        },
        3 => Event::Cleared {
            target: id(target),
            commit: commit.into(),
            digest,
            changes: vec![mark(commit)],
            by: vec![user("bob")],
            why: "one of two".into(),
            authority: Some("c0".into()),
        },
        4..=6 => step(StepEvent::Started { target: id(target) }),
        7 => finished(rollout, target, Outcome::Failed("quota".into())),
        8 => finished(rollout, target, Outcome::Skipped("waits".into())),
        9 => finished(
            rollout,
            target,
            [Outcome::Applied, Outcome::Unchanged, Outcome::NotCleared("waits for ann".into())][chance.below(3)].clone(),
        ),
        10 => match chance.below(3) {
            0 => step(StepEvent::GatePassed { wave: 0, gate: 0 }),
            1 => step(StepEvent::GateFailed { wave: 0, gate: 0, why: "it answers 500".into() }),
            _ => step(StepEvent::Verified { wave: 0 }),
        },
        11 => step(StepEvent::Stopped { why: "1 of 2 failed".into() }),
        12 => step(StepEvent::Resumed),
        13 => {
            let changes = if chance.below(2) == 0 { vec![mark(commit)] } else { vec![] };
            let was = chance.some(targets).into_iter().filter(|was| chance.below(4) == 0 && *was != target).map(id).collect();
            Event::Applied { target: id(target), intent: Intent::Converge, commit: commit.into(), digest, changes, was }
        }
        14 => {
            let scope = chance.some(targets);
            settled(commit, (scope.len() > 2).then_some(scope.as_slice()), &chance.some(targets))
        }
        15 => {
            let found = vec![(id(target), vec![("doc".into(), Class::Missing)])];
            let scope = (chance.below(2) == 0).then(|| vec![id(target), id(targets[0])]);
            let unchecked = chance.some(targets).into_iter().map(id).collect();
            Event::DriftChecked { commit: commit.into(), scope, found, unchecked }
        }
        16 => Event::Recovered { target: id(target), how: "looked".into(), untouched: chance.below(2) == 0 },
        _ => match chance.below(9) {
            0 => Event::Paused { by: user("ann"), reason: "lunch".into() },
            1 => Event::Resumed { by: user("ann") },
            2 => {
                let region = "prod/x".parse().expect("a region");
                Event::Held { region, until_ms: Some(9), reason: "move".into(), by: user("ann") }
            }
            3 => Event::Released { region: "prod/x".parse().expect("a region"), by: user("ann") },
            4 => Event::Freed { of: "run-1".into(), by: user("ann"), reason: "its job was cancelled".into() },
            5 => Event::KeyBegan { key: digest, by: user("ann") },
            7 => Event::GivenUp { place: "git:#refs/isobar/old".into(), by: user("ann"), reason: "it is gone".into() },
            6 => Event::Compacted { through: 1, head: digest.clone(), base: digest },
            _ => Event::Superseded { rollout: rollout.into(), commit: commit.into() },
        },
    }
}

/// Numbers the kinds of events. A new one must be told in a random story too.
fn kind(event: &Event) -> usize {
    match event {
        Event::RunStarted { .. } => 0,
        Event::Cleared { .. } => 1,
        Event::Planned { .. } => 2,
        Event::Superseded { .. } => 3,
        Event::Step { step, .. } => match step {
            StepEvent::Started { .. } => 4,
            StepEvent::Finished { outcome, .. } => match outcome {
                Outcome::Applied => 5,
                Outcome::Unchanged => 6,
                Outcome::Failed(_) => 7,
                Outcome::NotCleared(_) => 8,
                Outcome::Skipped(_) => 9,
            },
            StepEvent::GatePassed { .. } => 10,
            StepEvent::GateFailed { .. } => 11,
            StepEvent::Verified { .. } => 12,
            StepEvent::Stopped { .. } => 13,
            StepEvent::Resumed => 14,
        },
        Event::Applied { .. } => 15,
        Event::Settled { .. } => 16,
        Event::Paused { .. } => 17,
        Event::Resumed { .. } => 18,
        Event::Held { .. } => 19,
        Event::Released { .. } => 20,
        Event::DriftChecked { .. } => 21,
        Event::Recovered { .. } => 22,
        Event::KeyBegan { .. } => 23,
        Event::Compacted { .. } => 24,
        Event::Freed { .. } => 25,
        Event::GivenUp { .. } => 26,
    }
}

#[test]
fn a_random_story_tells_of_every_kind_of_event() {
    let told: BTreeSet<usize> = events(&mut Chance(5), 1_000).iter().map(kind).collect();
    assert_eq!(told, (0..=26).collect());
}

/// Holds two histories against each other, member by member: a new one must be kept in checkpoints, or shown here to be no
/// part of what is known.
pub(in crate::journal) fn assert_same(one: &History, other: &History, said: &str) {
    fn known(history: &History) -> impl PartialEq + std::fmt::Debug + '_ {
        let History {
            targets,
            marks,
            rollouts,
            runs,
            paused,
            holds,
            last_commit,
            first_commit,
            trusted_commit,
            rollouts_begun,
            parts,
            brought,
            usual,
            seq,
            misses,
            head,
            given_up,
            commit: _, // only shares its text
        } = history;
        let commits = (last_commit, first_commit, trusted_commit, parts, brought);
        let place = (seq, misses, head, rollouts_begun, given_up);
        (targets, marks, rollouts.facts(), runs, (paused, holds, usual), commits, place)
    }
    assert_eq!(known(one), known(other), "{said}");
}

fn mark(commit: &str) -> ChangeMark {
    let after = Some(Digest::of_bytes(commit.as_bytes()));
    let holes = vec!["base.outputs.id".into()];
    ChangeMark { address: "doc".into(), kind: "document".into(), action: Action::Create, before: None, after, holes }
}

fn id(text: &str) -> TargetId {
    text.parse().expect("a target")
}

fn user(name: &str) -> User {
    User(name.into())
}

/// One entry for each event, at 1, 2, 3 … ms.
fn entries(events: Vec<Event>) -> Vec<Entry> {
    let mut chain = Chain::empty();
    (1..).zip(events).map(|(at_ms, event)| chain.seal(event, &"run-1".into(), at_ms)).collect()
}

fn history(events: Vec<Event>) -> History {
    History::of(entries(events))
}

fn applied(target: &str, commit: &str) -> Event {
    let digest = Digest::of_bytes(commit.as_bytes());
    Event::Applied { target: id(target), intent: Intent::Converge, commit: commit.into(), digest, changes: vec![], was: vec![] }
}

fn settled(commit: &str, scope: Option<&[&str]>, behind: &[&str]) -> Event {
    let ids = |texts: &[&str]| texts.iter().map(|text| id(text)).collect();
    Event::Settled { commit: commit.into(), scope: scope.map(ids), behind: ids(behind) }
}

#[test]
fn what_a_start_without_an_end_had_changed_is_new_to_those_who_use_it() {
    let step = |step: StepEvent| Event::Step { rollout: "r1".into(), step };
    let base = id("base@prod/eu");
    let user_first = vec![applied("base@prod/eu", "c1"), applied("app@prod/eu", "c1")];
    let recovered = [
        step(StepEvent::Started { target: base.clone() }),
        step(StepEvent::Finished { target: base.clone(), outcome: Outcome::Applied }),
        applied("base@prod/eu", "c2"), // by a fresh preview that was empty
    ];
    let is_older = |events: Vec<Event>| {
        let history = history(events);
        let record = |target: &TargetId| history.target(target).cloned().expect("it was applied");
        record(&id("app@prod/eu")).is_older_than(&record(&base))
    };
    assert!(!is_older([user_first.clone(), vec![applied("base@prod/eu", "c2")]].concat()), "nothing was begun");
    assert!(is_older([user_first, recovered.to_vec()].concat()));
}

#[test]
fn two_runs_at_once_number_their_rollouts_apart() {
    let mut chain = Chain::empty();
    let begin = |chain: &mut Chain, run: &str| {
        let event = Event::RunStarted { verb: Verb::Apply, commit: "c1".into(), by: user("ann"), pull_request: None };
        chain.seal(event, &run.into(), 1)
    };
    let (one, two) = (begin(&mut chain, "one"), begin(&mut chain, "two"));
    let rollout = Rollout { id: "c1-1".into(), commit: "c1".into(), waves: vec![], whole: None, beside: None };
    let planned = chain.seal(Event::Planned { rollout }, &"one".into(), 1);
    let numbers = |entries: &[&Entry]| {
        let history = History::of(entries.iter().map(|entry| (*entry).clone()));
        (history.rollout_number("one"), history.rollout_number("two"))
    };
    assert_eq!(numbers(&[&one, &two]), ("1".into(), "2".into()));
    assert_eq!(numbers(&[&one, &two, &planned]), ("1.2".into(), "2".into()));
}

#[test]
fn a_commit_that_leaves_a_new_target_behind_is_not_trusted() {
    let history =
        history(vec![settled("c1", None, &[]), settled("c2", None, &["new@prod/x"]), settled("c3", Some(&["a@prod/x"]), &[])]);
    assert_eq!(history.trusted_commit().map(|commit| &**commit), Some("c1"));
    assert_eq!(history.last_commit().map(|commit| &**commit), Some("c3"));
}

fn started(target: &str) -> Event {
    Event::Step { rollout: "r".into(), step: StepEvent::Started { target: id(target) } }
}

fn finished(rollout: &str, target: &str, outcome: Outcome) -> Event {
    Event::Step { rollout: rollout.into(), step: StepEvent::Finished { target: id(target), outcome } }
}

fn planned(rollout: &str, commit: &str, targets: &[&str]) -> Event {
    let planned = |target: &&str| Planned { target: id(target), intent: Intent::Converge, after: vec![] };
    let wave = Wave {
        name: "prod".into(),
        environment: "prod".into(),
        after: vec![],
        targets: targets.iter().map(planned).collect(),
        max_parallel: 1,
        failure_tolerance: 0,
        gates: vec![],
        bake_secs: 0,
        progress_deadline_secs: None,
        unproven: false,
    };
    Event::Planned {
        rollout: Rollout { id: rollout.into(), commit: commit.into(), waves: vec![wave], whole: None, beside: None },
    }
}

fn counted(rollout: &str, commit: &str, targets: &[&str], beside: &[&str]) -> Event {
    let Event::Planned { mut rollout } = planned(rollout, commit, targets) else { unreachable!("it is planned") };
    rollout.beside = Some(beside.iter().map(|target| id(target)).collect());
    Event::Planned { rollout }
}

/// An apply that creates something.
fn brought(target: &str, commit: &str) -> Event {
    let change = ChangeMark {
        address: "a.yaml".into(),
        kind: "document".into(),
        action: Action::Create,
        before: None,
        after: Some(Digest::of_bytes(b"a")),
        holes: vec![],
    };
    let Event::Applied { target, intent, commit, digest, was, .. } = applied(target, commit) else {
        unreachable!("it is applied")
    };
    Event::Applied { target, intent, commit, digest, changes: vec![change], was }
}

#[test]
fn what_is_left_of_a_change_counts_with_what_was_brought_of_it_until_it_arrives() {
    let left = |events: &[Event]| {
        let history = history(events.to_vec());
        ["a", "b", "c", "new"].map(|stack| history.left_by(&id(&format!("{stack}@prod/x"))).targets)
    };
    let mut events = vec![
        settled("c0", None, &[]),
        counted("r1", "c1", &["a@prod/x", "c@prod/x"], &["b@prod/x"]),
        settled("c1", None, &["a@prod/x", "b@prod/x", "c@prod/x"]),
    ];
    assert_eq!(left(&events), [0, 0, 0, 0], "nothing was brought");
    events.extend([brought("a@prod/x", "c1"), brought("c@prod/x", "c1")]);
    assert_eq!(left(&events), [0, 2, 0, 0]);
    events.extend([brought("b@prod/x", "c0"), settled("c1", Some(&["b@prod/x"]), &["b@prod/x"])]);
    assert_eq!(left(&events), [0, 2, 0, 0], "it was put back, or brought to an older commit");
    events.extend([counted("r2", "c2", &["new@prod/x"], &["b@prod/x"]), settled("c2", None, &["b@prod/x", "new@prod/x"])]);
    assert_eq!(left(&events), [0, 2, 0, 0], "what is new is a part of what it came with");
    events.push(brought("new@prod/x", "c2"));
    assert_eq!(left(&events), [0, 3, 0, 0]);
    events.push(settled("c3", None, &[]));
    assert_eq!(left(&events), [0, 0, 0, 0]);
}

fn commits(history: &History) -> Vec<(String, Option<&str>)> {
    history.targets().map(|(target, record)| (target.to_string(), record.commit.as_deref())).collect()
}

#[test]
fn settling_moves_every_applied_target_that_is_not_behind() {
    let history = history(vec![
        applied("a@prod/x", "c1"),
        applied("b@prod/x", "c1"),
        applied("c@prod/x", "c1"),
        started("c@prod/x"),
        settled("c2", None, &["b@prod/x"]),
        applied("d@prod/x", "c0"),
    ]);
    let expected = [("a", "c2"), ("b", "c1"), ("c", "c1"), ("d", "c0")];
    assert_eq!(commits(&history), expected.map(|(stack, commit)| (format!("{stack}@prod/x"), Some(commit))));
    assert_eq!(history.last_commit().map(|commit| &**commit), Some("c2"));
}

#[test]
fn a_target_behind_keeps_what_an_earlier_settling_gave_it() {
    let history = history(vec![
        applied("a@prod/x", "c1"),
        settled("c2", None, &[]),
        settled("c3", None, &["a@prod/x"]),
        started("a@prod/x"),
        settled("c4", None, &[]),
    ]);
    assert_eq!(history.commit_of(&id("a@prod/x")).map(|commit| &**commit), Some("c2"));
}

#[test]
fn settling_a_scope_moves_nothing_else() {
    let history = history(vec![
        applied("a@prod/x", "c1"),
        applied("b@prod/x", "c1"),
        applied("c@prod/x", "c1"),
        settled("c2", Some(&["a@prod/x", "b@prod/x", "new@prod/x"]), &["b@prod/x"]),
    ]);
    let expected = [("a", "c2"), ("b", "c1"), ("c", "c1")];
    assert_eq!(commits(&history), expected.map(|(stack, commit)| (format!("{stack}@prod/x"), Some(commit))));
}

#[test]
fn folding_at_once_and_one_by_one_is_the_same() {
    let checked =
        |found: Vec<(TargetId, Drifted)>, unchecked| Event::DriftChecked { commit: "c".into(), scope: None, found, unchecked };
    let events = entries(vec![
        applied("a@prod/x", "c1"),
        checked(vec![(id("a@prod/x"), vec![("doc".into(), Class::Missing)])], vec![]),
        settled("c2", None, &[]),
        started("b@prod/x"),
        finished("r", "b@prod/x", Outcome::Failed("quota".into())),
        settled("c3", None, &["b@prod/x"]),
        checked(vec![], vec![id("b@prod/x")]),
        Event::Resumed { by: user("ann") },
        applied("b@prod/x", "c3"),
        settled("c4", None, &["a@prod/x"]),
        applied("c@prod/x", "c4"),
    ]);
    let at_once = History::of(events.clone());
    let mut one_by_one = History::default();
    for entry in &events {
        one_by_one.record(entry);
    }
    one_by_one.resolve();
    assert_eq!(at_once.targets, one_by_one.targets);
    assert_eq!(commits(&at_once)[0], ("a@prod/x".to_string(), Some("c3")));
}

#[test]
fn a_drift_check_clears_what_it_did_not_find_again_and_skips_what_it_could_not_see() {
    let found =
        |targets: &[&str]| targets.iter().map(|target| (id(target), vec![("doc".into(), Class::OutOfBand)])).collect::<Vec<_>>();
    let check = |found, unchecked| Event::DriftChecked { commit: "c1".into(), scope: None, found, unchecked };
    let history = history(vec![
        applied("a@prod/x", "c1"),
        applied("b@prod/x", "c1"),
        check(found(&["a@prod/x", "b@prod/x"]), vec![]),
        check(vec![], vec![id("b@prod/x")]),
    ]);
    let drift = |target: &str| {
        let record = history.target(&id(target)).expect("it was applied");
        (record.drift.is_some(), record.drift_checked_at_ms)
    };
    assert_eq!((drift("a@prod/x"), drift("b@prod/x")), ((false, Some(4)), (true, Some(3))));
}

#[test]
fn a_drift_check_of_a_scope_says_nothing_of_the_rest() {
    let history = history(vec![
        applied("a@prod/x", "c1"),
        applied("b@prod/x", "c1"),
        Event::DriftChecked { commit: "c1".into(), scope: Some(vec![id("a@prod/x")]), found: vec![], unchecked: vec![] },
    ]);
    let checked: Vec<_> = history.targets().map(|(_, record)| record.drift_checked_at_ms).collect();
    assert_eq!(checked, [Some(3), None]);
}

#[test]
fn an_apply_names_the_pull_request_of_its_run() {
    let run = Event::RunStarted { verb: Verb::Apply, commit: "c1".into(), by: user("ann"), pull_request: Some(12) };
    let history = history(vec![run, applied("a@prod/x", "c1")]);
    let record = history.target(&id("a@prod/x")).expect("it was applied");
    assert_eq!((record.pull_request, record.by.as_slice()), (Some(12), [user("ann")].as_slice()));
    assert_eq!(record.applied_at_ms, Some(2));
}

#[test]
fn resume_ends_the_pause_and_frees_what_failed() {
    let digest = Digest::of_bytes(b"p");
    let cleared = Event::Cleared {
        target: id("a@prod/x"),
        commit: "c1".into(),
        digest: digest.clone(),
        changes: vec![],
        by: vec![],
        why: "no rule asks for more".into(),
        authority: None,
    };
    let begun = Event::RunStarted { verb: Verb::Apply, commit: "c1".into(), by: user("ann"), pull_request: None };
    let mut history = history(vec![
        begun,
        cleared,
        started("a@prod/x"),
        finished("r", "a@prod/x", Outcome::Failed("quota".into())),
        Event::Paused { by: user("ann"), reason: "incident".into() },
    ]);
    let stuck = |history: &History| history.target(&id("a@prod/x")).is_some_and(|record| record.is_stuck(&digest, "c1"));
    assert_eq!((stuck(&history), history.paused()), (true, Some((&user("ann"), "incident"))));
    for entry in entries(vec![Event::Resumed { by: user("bob") }]) {
        history.record(&entry);
    }
    assert_eq!((stuck(&history), history.paused()), (false, None));
}

#[test]
fn a_hold_ends_by_itself_or_by_release() {
    let region: RegionId = "prod/x".parse().expect("a region");
    let held = |until_ms| Event::Held { region: region.clone(), until_ms, reason: "move".into(), by: user("ann") };
    let released = Event::Released { region: region.clone(), by: user("ann") };
    let timed = history(vec![held(Some(100))]);
    assert_eq!((timed.holds(99).len(), timed.holds(100).len()), (1, 0));
    assert_eq!(history(vec![held(None)]).holds(u64::MAX).len(), 1);
    assert_eq!(history(vec![held(None), released]).holds(0), Vec::<&Hold>::new());
}

#[test]
fn a_target_found_unchanged_is_at_the_commit_of_its_rollout() {
    let history = history(vec![planned("r", "c7", &["a@prod/x"]), finished("r", "a@prod/x", Outcome::Unchanged)]);
    let record = history.target(&id("a@prod/x")).expect("it was looked at");
    assert_eq!((record.commit.as_deref(), &record.state), (Some("c7"), &State::Applied));
}

#[test]
fn a_rollout_holds_what_has_no_outcome_yet() {
    let history = history(vec![
        planned("r", "c1", &["a@prod/x", "b@prod/x", "c@prod/x"]),
        finished("r", "a@prod/x", Outcome::Applied),
        started("b@prod/x"),
    ]);
    let held = ["a@prod/x", "b@prod/x", "c@prod/x"].map(|target| history.holder(&id(target)).is_some());
    assert_eq!(held, [false, true, true]);
    let unknown: Vec<TargetId> = history.rollouts().flat_map(Progress::unknown).collect();
    assert_eq!(unknown, [id("b@prod/x")], "it was started and nobody knows");
}

#[test]
fn a_stopped_rollout_holds_what_failed_until_a_later_one_plans_it() {
    let mut history = history(vec![
        planned("r", "c1", &["a@prod/x", "b@prod/x"]),
        started("a@prod/x"),
        finished("r", "a@prod/x", Outcome::Failed("quota".into())),
        Event::Step { rollout: "r".into(), step: StepEvent::Stopped { why: "1 of 2 failed".into() } },
    ]);
    let holders = |history: &History| {
        ["a@prod/x", "b@prod/x"].map(|target| history.holder(&id(target)).map(|held| held.rollout().id.to_string()))
    };
    assert_eq!(holders(&history), [Some("r".into()), Some("r".into())]);

    for entry in entries(vec![planned("revert", "c2", &["a@prod/x"])]) {
        history.record(&entry);
    }
    assert_eq!(holders(&history), [Some("revert".into()), Some("r".into())]);

    for entry in entries(vec![planned("next", "c3", &["b@prod/x"])]) {
        history.record(&entry);
    }
    let open: Vec<String> = history.rollouts().map(|open| open.rollout().id.to_string()).collect();
    assert_eq!(open, ["revert", "next"], "the first holds nothing any more");
}

#[test]
fn a_resumed_rollout_leaves_alone_what_a_newer_one_has() {
    let step = |step: StepEvent| Event::Step { rollout: "r".into(), step };
    let history = history(vec![
        planned("r", "c1", &["a@prod/x", "b@prod/x"]),
        started("a@prod/x"),
        finished("r", "a@prod/x", Outcome::Failed("quota".into())),
        finished("r", "b@prod/x", Outcome::Skipped("dependency a@prod/x failed".into())),
        step(StepEvent::Stopped { why: "1 of 2 failed".into() }),
        planned("next", "c2", &["b@prod/x"]),
        step(StepEvent::Resumed),
    ]);
    let resumed = history.rollout("r").expect("it still has the other");
    let taken = Outcome::Skipped("rollout next took it over".into());
    assert_eq!(["a@prod/x", "b@prod/x"].map(|target| resumed.outcome(&id(target))), [None, Some(&taken)]);
}

#[test]
fn a_resumed_rollout_forgives_its_failures() {
    let digest = Digest::of_bytes(b"p");
    let cleared = Event::Cleared {
        target: id("a@prod/x"),
        commit: "c1".into(),
        digest: digest.clone(),
        changes: vec![],
        by: vec![],
        why: "".into(),
        authority: None,
    };
    let failed = vec![
        Event::RunStarted { verb: Verb::Apply, commit: "c1".into(), by: user("ann"), pull_request: None },
        planned("r", "c1", &["a@prod/x", "b@prod/x"]),
        cleared,
        started("a@prod/x"),
        finished("r", "a@prod/x", Outcome::Failed("quota".into())),
        Event::Step { rollout: "r".into(), step: StepEvent::Stopped { why: "1 of 2 failed".into() } },
    ];
    let is_stuck = |history: &History| history.target(&id("a@prod/x")).is_some_and(|record| record.is_stuck(&digest, "c1"));
    assert!(is_stuck(&history(failed.clone())));
    let resumed = Event::Step { rollout: "r".into(), step: StepEvent::Resumed };
    let history = history(failed.into_iter().chain([resumed]).collect());
    assert!(!is_stuck(&history));
    assert!(history.holder(&id("b@prod/x")).is_some(), "it goes on");
}

#[test]
fn the_first_run_is_the_first_that_may_bring_something() {
    let begun = |verb: Verb, commit: &str| Event::RunStarted { verb, commit: commit.into(), by: user("ann"), pull_request: None };
    let said = [Verb::Pause, Verb::Resume, Verb::Hold, Verb::Audit].map(|verb| begun(verb, "c1"));
    let brought = [begun(Verb::Apply, "c2"), begun(Verb::Apply, "c3")];
    assert_eq!(history(said.to_vec()).first_commit(), None);
    assert_eq!(history(said.into_iter().chain(brought).collect()).first_commit().map(|commit| &**commit), Some("c2"));
}
