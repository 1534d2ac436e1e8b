//! Whose word counts: for each preview digest, the latest decision of every person who may decide.

use super::Facts;
use crate::change::Digest;
use crate::review::{Approval, Decision, User};
use std::collections::BTreeMap;

/// The decisions of a change, by the digest they are bound to.
pub(super) struct Votes<'a> {
    ballots: BTreeMap<&'a str, BTreeMap<String, &'a Approval>>,
    /// Who may not decide, by login, with the reason.
    barred: BTreeMap<String, &'static str>,
    /// Somebody made this change and we do not know who: it could be any reviewer, so nobody's word counts.
    unknown_hand: bool,
    now_ms: u64,
}

impl<'a> Votes<'a> {
    pub(super) fn of(facts: &'a Facts<'_>) -> Self {
        let (author, committers) = (&facts.pull_request.author, &facts.pull_request.committers);
        let mut barred: BTreeMap<_, _> = committers.iter().map(|user| (login(user), "a committer of the change")).collect();
        barred.insert(login(author), "the author");
        let unknown_hand = barred.contains_key("");

        let mut ballots: BTreeMap<&str, BTreeMap<String, &Approval>> = BTreeMap::new();
        for approval in facts.approvals {
            for digest in &approval.digests {
                ballots.entry(digest).or_default().insert(login(&approval.by), approval); // the later one stays
            }
        }
        Self { ballots, barred, unknown_hand, now_ms: facts.now_ms }
    }

    /// Says why this person's word does not count, or nothing.
    pub(super) fn bar(&self, user: &User) -> Option<&'static str> {
        let login = login(user);
        match self.barred.get(&login) {
            Some(why) => Some(why),
            None if login.is_empty() => Some("nameless"),
            None if login.ends_with("[bot]") => Some("a bot"),
            None if self.unknown_hand => Some("a possible author, as the change does not say who made it"),
            None => None,
        }
    }

    /// People whose approval of this very preview counts, sorted by login.
    pub(super) fn approvers(&self, digest: &Digest) -> Vec<&'a User> {
        let given = self.approved(digest).filter(|approval| !approval.is_to_come(self.now_ms));
        given.map(|approval| &approval.by).collect()
    }

    /// Approvals of this very preview by a clock that is ahead, sorted by login: they count from their time on.
    pub(super) fn to_come(&self, digest: &Digest) -> Vec<&'a Approval> {
        self.approved(digest).filter(|approval| approval.is_to_come(self.now_ms)).collect()
    }

    /// By people who may, now or from some time on.
    fn approved(&self, digest: &Digest) -> impl Iterator<Item = &'a Approval> {
        self.decided(digest, Decision::Approve).filter(|approval| self.bar(&approval.by).is_none())
    }

    /// People who rejected this very preview, sorted by login. Whoever made the change too: else a commit under somebody's name would
    /// silence them.
    pub(super) fn rejecters(&self, digest: &Digest) -> Vec<&'a User> {
        let is_person = |user: &&User| !login(user).is_empty() && !login(user).ends_with("[bot]");
        self.decided(digest, Decision::Reject).map(|approval| &approval.by).filter(is_person).collect()
    }

    /// People who approved this very preview and whose word does not count, with the reason.
    pub(super) fn uncounted(&self, digest: &Digest) -> Vec<(&'a User, &'static str)> {
        let given = self.decided(digest, Decision::Approve).map(|approval| &approval.by);
        given.filter_map(|user| Some((user, self.bar(user)?))).collect()
    }

    fn decided(&self, digest: &Digest, decision: Decision) -> impl Iterator<Item = &'a Approval> {
        let ballot = self.ballots.get(digest.as_str()).into_iter().flat_map(BTreeMap::values).copied();
        ballot.filter(move |approval| approval.decision == decision)
    }
}

/// What people are told apart by.
pub(super) fn login(user: &User) -> String {
    user.login()
}
