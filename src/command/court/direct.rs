//! Commits that somebody pushed to the branch which is applied, without a change that anybody could have looked at.

use super::Court;
use crate::command::pending::Work;
use crate::command::scene::Scene;
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::{Answer, Facts, Verdict};
use crate::review::{CommitSha, Landed, Reviewed};
use crate::stack::{DirectPush, TargetId};
use std::collections::{BTreeMap, BTreeSet};

/// Those of a line, new before old, that none of these changes brought.
pub(super) fn pushed(line: &[CommitSha], changes: &[Reviewed]) -> Vec<CommitSha> {
    let place: BTreeMap<&CommitSha, usize> = line.iter().enumerate().map(|(at, commit)| (commit, at)).collect();
    let mut brought = BTreeSet::new();
    for landed in changes.iter().filter_map(|change| change.landed.as_ref()) {
        let Some(newest) = place.get(&landed.commit).copied() else { continue };
        let oldest = place.get(&landed.first).copied().unwrap_or(newest);
        brought.extend(newest..=oldest);
    }
    line.iter().enumerate().filter(|(at, _)| !brought.contains(at)).map(|(_, commit)| commit.clone()).collect()
}

impl Court<'_> {
    /// Marks what nobody was asked about and a commit touched that no change brought, where the authority wants somebody to look at that.
    /// Says whether there is anything.
    pub(super) fn mark_direct(
        &self,
        authority: &Scene,
        facts: &mut Facts<'_>,
        verdicts: &[Verdict],
        (work, history): (&Work, &History),
    ) -> Result<bool, Failure> {
        if self.direct.is_empty() || authority.fleet.direct_push == DirectPush::Allow {
            return Ok(false);
        }
        let mut after: BTreeMap<Option<CommitSha>, Vec<&CommitSha>> = BTreeMap::new();
        for (subject, verdict) in facts.subjects.iter_mut().zip(verdicts) {
            let is_nobodys = matches!(&verdict.answer, Answer::Clear(clearance) if clearance.by().is_empty());
            if !is_nobodys || subject.preview.is_empty() {
                continue;
            }
            let (target, since) = (&subject.preview.target, self.since(&subject.preview.target, work, history));
            if !after.contains_key(&since) {
                after.insert(since.clone(), self.pushed_after(since.as_ref())?);
            }
            subject.direct = self.newest_on(&after[&since], &work.names(target))?;
        }
        Ok(facts.subjects.iter().any(|subject| subject.direct.is_some()))
    }

    fn pushed_after(&self, since: Option<&CommitSha>) -> Result<Vec<&CommitSha>, Failure> {
        let mut after = Vec::new();
        for commit in &self.direct {
            let is_before = since.map(|since| self.world.workspace.is_ancestor(commit, since)).transpose()?;
            after.extend(Some(commit).filter(|_| is_before != Some(true)));
        }
        Ok(after)
    }

    /// The first of these commits that touches a target of these names.
    fn newest_on(&self, commits: &[&CommitSha], names: &[TargetId]) -> Result<Option<CommitSha>, Failure> {
        for commit in commits {
            let alone = Landed { commit: (*commit).clone(), first: (*commit).clone(), at_ms: 0 };
            if self.touched(&alone)?.holds(names) {
                return Ok(Some((*commit).clone()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::{PullRequest, User};

    fn landed(commit: &str, first: &str) -> Reviewed {
        let change = PullRequest { number: Some(1), title: String::new(), author: User("ada".into()), committers: Vec::new() };
        let landed = Landed { commit: CommitSha(commit.into()), first: CommitSha(first.into()), at_ms: 0 };
        Reviewed { change, is_authorship_known: true, proposed: None, landed: Some(landed), decisions: Vec::new() }
    }

    #[test]
    fn what_a_change_brought_was_not_pushed_alone() {
        let line: Vec<CommitSha> = ["f", "e", "d", "c", "b", "a"].map(|commit| CommitSha(commit.into())).to_vec();
        let alone = |changes: &[Reviewed]| pushed(&line, changes).iter().map(|commit| commit.0.to_string()).collect::<String>();
        assert_eq!(alone(&[]), "fedcba");
        assert_eq!(alone(&[landed("e", "e"), landed("d", "b")]), "fa");
        assert_eq!(alone(&[landed("elsewhere", "elsewhere"), landed("f", "long ago")]), "edcba");
    }
}
