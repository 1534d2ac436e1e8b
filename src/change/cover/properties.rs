//! Random small cases against the rule as the design says it, word for word and slowly.

use super::*;
use crate::change::Detail;

const ACTIONS: [Action; 6] = [Action::Create, Action::Update, Action::Replace, Action::Delete, Action::Read, Action::Move];

/// Knuth's multiplier: the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn digest(&mut self) -> Option<Digest> {
        [None, Some("A"), Some("B")][self.roll(3) as usize].map(|text| Digest::of_bytes(text.as_bytes()))
    }

    fn change(&mut self) -> Change {
        Change {
            address: ["a", "b", "c"][self.roll(3) as usize].into(),
            kind: ["document", "bucket"][usize::from(self.roll(8) == 0)].into(),
            action: ACTIONS[self.roll(6) as usize],
            before: self.digest(),
            after: self.digest(),
            detail: Detail::Hidden("test".into()),
            sensitive: false,
            bound: self.roll(12) != 0,
            holes: if self.roll(6) == 0 { vec!["base.outputs.id".into()] } else { Vec::new() },
        }
    }

    fn changes(&mut self, max: u64) -> Vec<Change> {
        (0..self.roll(max + 1)).map(|_| self.change()).collect()
    }

    /// What was cleared, and a fresh preview that often resembles it.
    fn case(&mut self) -> (Vec<Change>, Vec<ChangeMark>, bool) {
        let mut fresh = self.changes(3);
        let mut cleared: Vec<ChangeMark> = self.changes(4).iter().map(Change::mark).collect();
        for change in &mut fresh {
            if !cleared.is_empty() && self.roll(4) != 0 {
                let mark = cleared[self.roll(cleared.len() as u64) as usize].clone();
                let before = if self.roll(3) == 0 { self.digest() } else { mark.before.clone() };
                change.clone_from(&Change {
                    address: mark.address,
                    kind: mark.kind,
                    action: mark.action,
                    before,
                    after: mark.after,
                    holes: mark.holes,
                    ..change.clone()
                });
            }
        }
        let twice = self.roll(2) == 0;
        if twice {
            cleared.extend(cleared.clone()); // the same clearance, recorded again by a later wave
        }
        (fresh, cleared, self.roll(2) == 0)
    }
}

/// "Covered", said in one breath.
fn is_covered(fresh: &[Change], cleared: &[ChangeMark], started: bool) -> bool {
    let each_was_cleared = fresh.iter().all(|f| {
        f.bound
            && cleared.iter().any(|c| {
                let same =
                    (&c.address, &c.kind, c.action, &c.after, &c.holes) == (&f.address, &f.kind, f.action, &f.after, &f.holes);
                let made_by_us = cleared.iter().filter(|made| made.address == f.address).any(|made| match made.action {
                    Action::Delete => f.before.is_none(),
                    Action::Read => false,
                    _ => made.holes.is_empty() && made.after.is_some() && made.after == f.before,
                });
                same && (c.before == f.before || made_by_us)
            })
    });
    let each_once = fresh.iter().enumerate().all(|(i, f)| fresh[..i].iter().all(|e| e.address != f.address));
    let destroys = fresh.iter().any(|f| matches!(f.action, Action::Delete | Action::Replace));
    let gone = |c: &ChangeMark| c.action != Action::Read && fresh.iter().all(|f| f.address != c.address);
    each_was_cleared && each_once && (started || !destroys || !cleared.iter().any(gone))
}

#[test]
fn the_rule_and_its_plain_statement_agree() {
    let mut dice = Dice(7);
    let (mut yes, mut no) = (0, 0);
    for _ in 0..20_000 {
        let (fresh, cleared, started) = dice.case();
        let covered = is_covered(&fresh, &cleared, started);
        assert_eq!(beyond(&fresh, &cleared, started).is_empty(), covered, "{fresh:#?}\n{cleared:#?}\n{started}");
        *(if covered && !fresh.is_empty() { &mut yes } else { &mut no }) += 1;
    }
    assert!(yes > 1_000 && no > 1_000, "both answers were met: {yes} covered, {no} not");
}

#[test]
fn the_order_of_clearances_and_their_repetition_do_not_matter() {
    let mut dice = Dice(11);
    for _ in 0..2_000 {
        let (fresh, mut cleared, started) = dice.case();
        let first = beyond(&fresh, &cleared, started);
        cleared.extend(cleared.clone());
        cleared.reverse();
        assert_eq!(beyond(&fresh, &cleared, started), first);
    }
}

#[test]
fn a_start_of_ours_never_takes_cover_away() {
    let mut dice = Dice(13);
    for _ in 0..2_000 {
        let (fresh, cleared, _) = dice.case();
        assert!(beyond(&fresh, &cleared, true).len() <= beyond(&fresh, &cleared, false).len());
    }
}

#[test]
fn another_clearance_never_lets_a_delete_through_that_was_not_cleared() {
    let mut dice = Dice(17);
    for _ in 0..2_000 {
        let (fresh, cleared, started) = dice.case();
        for extra in beyond(&fresh, &cleared, started).iter().filter(|extra| extra.why == NOT_CLEARED) {
            let elsewhere = ChangeMark { address: "elsewhere".into(), ..extra.change.clone() };
            let more: Vec<_> = cleared.iter().cloned().chain([elsewhere]).collect();
            assert!(beyond(&fresh, &more, started).contains(extra));
        }
    }
}
