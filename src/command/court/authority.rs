//! Who speaks for a target: whose policy, teams and labels count, and who is behind the change that is judged.

use super::Court;
use super::past::makers;
use crate::command::pending::Work;
use crate::command::scene::{FLEET, Scene};
use crate::exit::Failure;
use crate::journal::History;
use crate::policy::Policy;
use crate::review::{CommitSha, PullRequest, Reviewed, User};
use crate::stack::{Mistakes, TargetId};
use crate::workspace::{Earlier, UNSHALLOW};
use std::borrow::Cow;
use std::sync::Arc;

/// Commits before the first run that are read at most to find one without a mistake.
const BROKEN_COMMITS_MAX: usize = 50;

impl Court<'_> {
    /// Whose policy, teams and labels count for a target: the commit before the change. In a pull request's view that is the
    /// base; else the commit the target was last brought to. For a target that was never applied it is the commit that was
    /// settled last with nothing new left behind, or the one before the first run; a fleet that is not there yet is a bootstrap
    /// and speaks for itself. So a change cannot be tried until its own policy judges it.
    pub(crate) fn authority(&self, target: &TargetId, work: &Work, history: &History) -> Result<Arc<Scene>, Failure> {
        match &self.base {
            Some(base) => Ok(base.clone()),
            None => self.behind(target, work, history),
        }
    }

    /// Like [`Court::authority`], whatever change is looked at: the commit that the target is at. What a rollout goes by.
    pub(crate) fn behind(&self, target: &TargetId, work: &Work, history: &History) -> Result<Arc<Scene>, Failure> {
        let applied = history.at(work.names(target)).or_else(|| history.trusted_commit());
        if let Some(commit) = applied {
            return self.scenes.at(&CommitSha(commit.clone()));
        }
        if let Some(base) = &self.base {
            return Ok(base.clone());
        }
        // A change that brings the fleet is no word before itself, however many commits it has.
        let beginning = if self.change.is_none() { self.beginning(history)? } else { None };
        if let Some(beginning) = beginning {
            return Ok(beginning);
        }
        match work.get(target).or(work.pending.first()) {
            Some(pending) => Ok(pending.scene.clone()),
            None => Err(Failure::World(format!("no fleet speaks for {target}"), None)),
        }
    }

    /// The newest commit on the line that is brought: the base of a pull request, else what is decided about.
    pub(crate) fn newest(&self) -> Option<&CommitSha> {
        self.base.as_ref().and_then(|base| base.snapshot.commit.as_ref()).or(self.head.as_ref())
    }

    /// Nothing was ever brought, nor settled, before which a target could be judged: its fleet speaks for itself.
    pub(super) fn is_unspoken_for(&self, target: &TargetId, work: &Work, history: &History) -> bool {
        history.at(work.names(target)).is_none() && history.trusted_commit().is_none()
    }

    /// What a scene judges by: its own policy. On a shared machine the built-in one stands in the place of none, and beside that of a fleet
    /// which speaks for itself.
    pub(super) fn policy<'s>(&self, authority: &'s Scene, is_unspoken_for: bool) -> Option<Cow<'s, Policy>> {
        let own = authority.policy.as_ref();
        if !self.world.environment.on_actions() {
            return own.map(Cow::Borrowed);
        }
        let built_in = || Policy::built_in(authority.fleet.targets().len());
        match own {
            None => Some(Cow::Owned(built_in())),
            Some(own) if is_unspoken_for => Some(Cow::Owned(own.clone().and(built_in()))),
            Some(own) => Some(Cow::Borrowed(own)),
        }
    }

    /// Some policy that judges a pending target counts targets or changes: then the whole change matters, whatever part of it is
    /// looked at.
    pub(crate) fn counts_targets(&self, work: &Work, history: &History) -> Result<bool, Failure> {
        for pending in &work.pending {
            let authority = self.authority(&pending.target.id, work, history)?;
            let is_unspoken_for = self.is_unspoken_for(&pending.target.id, work, history);
            if self.policy(&authority, is_unspoken_for).is_some_and(|policy| policy.counts_targets()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The fleet from before the first run, or that of the first run itself; looked up once, as every new target asks. A commit
    /// without a fleet, or with one that cannot be read, says nothing: then the one before it speaks, and where there never was
    /// a readable one, nobody does. Where we would have to look further to know that, nobody is let in.
    pub(crate) fn beginning(&self, history: &History) -> Result<Option<Arc<Scene>>, Failure> {
        let first = history.first_commit().cloned().map(CommitSha);
        let mut known = self.beginning.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(scene) = known.get(&first) {
            return Ok(scene.clone());
        }
        let workspace = &self.world.workspace;
        let run = first.clone().or_else(|| self.head.clone());
        let has_fleet = |commit: &CommitSha| workspace.at(&commit.0).is_ok_and(|snapshot| snapshot.listing.get(FLEET).is_some());
        let before = match &run {
            Some(run) => workspace.earlier_with(FLEET, run, BROKEN_COMMITS_MAX)?,
            None => Earlier { commits: Vec::new(), is_whole: true },
        };
        let (mut found, mut broken) = (None, Vec::new());
        for commit in before.commits {
            match self.scenes.at(&commit) {
                Ok(scene) => {
                    found = Some(scene);
                    break;
                }
                Err(Failure::Definitions(mistakes)) => broken.push((commit, mistakes)),
                Err(other) => return Err(other),
            }
        }
        if let (None, Some((commit, mistakes)), BROKEN_COMMITS_MAX) = (&found, broken.first(), broken.len()) {
            return Err(nobody_speaks(commit, mistakes));
        }
        if found.is_none() && !before.is_whole {
            return Err(too_far_back(workspace.is_shallow()));
        }
        if found.is_none() {
            found = match first.as_ref().filter(|commit| has_fleet(commit)).map(|commit| self.scenes.at(commit)) {
                Some(Ok(scene)) => Some(scene),
                Some(Err(Failure::Definitions(_))) | None => None,
                Some(Err(other)) => return Err(other),
            };
        }
        known.insert(first, found.clone());
        Ok(found)
    }

    /// The commit since which a target's change is counted: what it was last brought to. Where nothing ever was, that is the last commit without
    /// a fleet; `None`: the whole line is the change.
    pub(super) fn since(&self, target: &TargetId, work: &Work, history: &History) -> Option<CommitSha> {
        match &self.base {
            Some(base) => base.snapshot.commit.clone(),
            None => {
                let applied = history.at(work.names(target)).or_else(|| history.trusted_commit()).cloned().map(CommitSha);
                applied.or_else(|| self.before_all.clone())
            }
        }
    }

    /// The people who made what is decided about: all of a pull request's, else those of the commit itself. What else a target
    /// waits for is known when it is judged.
    pub(super) fn made(&self) -> Result<PullRequest, Failure> {
        let base = self.base.as_ref().and_then(|base| base.snapshot.commit.clone());
        self.change(base.or(self.head.clone()).as_ref())
    }

    /// The people behind what is judged: everybody who wrote or committed since then.
    pub(super) fn change(&self, since: Option<&CommitSha>) -> Result<PullRequest, Failure> {
        match &self.head {
            Some(head) => {
                let mut change = self.world.workspace.people(since, head)?;
                for reviewed in &self.changes {
                    if self.is_behind(reviewed, since)? {
                        change.committers.extend(makers(reviewed));
                    }
                }
                if let Some(reviewed) = self.change_at(self.change) {
                    change.number = reviewed.change.number;
                    change.title = reviewed.change.title.clone();
                    change.author = reviewed.change.author.clone();
                }
                Ok(change)
            }
            None => {
                let operator = self.world.workspace.operator().unwrap_or(User("unknown".into()));
                Ok(PullRequest { number: None, title: String::new(), committers: vec![operator.clone()], author: operator })
            }
        }
    }
}

impl Court<'_> {
    /// The change is part of what is judged: it is the one that is looked at, or landed after `since`.
    pub(super) fn is_behind(&self, reviewed: &Reviewed, since: Option<&CommitSha>) -> Result<bool, Failure> {
        match (&reviewed.landed, since) {
            (_, _) if reviewed.change.number.is_none() => Ok(false), // a laptop's: git says who made it
            (_, _) if reviewed.change.number == self.change => Ok(true),
            (Some(landed), Some(since)) => Ok(!self.world.workspace.is_ancestor(&landed.commit, since)?),
            (Some(_), None) => Ok(true),
            (None, _) => Ok(false),
        }
    }
}

/// Nobody spoke in all that can be looked at, and somebody may have before.
pub(super) fn too_far_back(is_shallow: bool) -> Failure {
    let (what, hint) = match is_shallow {
        true => ("this clone lacks older commits", UNSHALLOW),
        false => (
            "its line of commits is too long to look at",
            "commit the fleet, with the policy that is to judge what follows, and have it reviewed: it speaks for the commit after it",
        ),
    };
    Failure::World(format!("who speaks for a fleet that was never applied is not known: {what}"), Some(hint.into()))
}

/// So many commits hide whoever spoke before them.
fn nobody_speaks(commit: &CommitSha, mistakes: &Mistakes) -> Failure {
    let first = mistakes.iter().next().map(ToString::to_string).unwrap_or_default();
    let first = first.lines().next().unwrap_or_default();
    let what = format!(
        "nobody speaks for a fleet that was never applied: none of the {BROKEN_COMMITS_MAX} commits before it can be read, such as {}: {first}",
        commit.short()
    );
    let hint = "commit a fleet without mistakes, with the policy that is to judge what follows, and have it reviewed: it speaks for the commit after it";
    Failure::World(what, Some(hint.into()))
}
