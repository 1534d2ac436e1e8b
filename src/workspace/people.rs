//! Who wrote or committed what, and who works here.

use super::object::find_commit;
use super::{UNSHALLOW, Workspace, WorkspaceError, git};
use crate::review::{CommitSha, PullRequest, User};
use git2::Repository;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Workspace {
    /// Returns the change since `base` up to `head`: the head's title and author, and everybody who wrote or committed in
    /// between; without a base everybody who ever did.
    pub fn people(&self, base: Option<&CommitSha>, head: &CommitSha) -> Result<PullRequest, WorkspaceError> {
        let (mut committers, title) = {
            let repository = self.lock();
            let found = find_commit(&repository, &head.0)?;
            (people(&found), found.summary().ok().flatten().unwrap_or_default().to_string())
        };
        for user in self.authors(base, &[head])? {
            if !committers.contains(&user) {
                committers.push(user);
            }
        }
        let author = committers.first().cloned().unwrap_or_else(|| User("unknown".into()));
        Ok(PullRequest { number: None, title, author, committers })
    }

    /// Returns everybody who wrote or committed what `tips` have and `base` has not; without a base everybody who ever did.
    /// Who cannot be known is an error: a name that is missing could be anybody's.
    pub fn authors(&self, base: Option<&CommitSha>, tips: &[&CommitSha]) -> Result<Vec<User>, WorkspaceError> {
        let repository = self.lock();
        let mut walk = repository.revwalk().map_err(git("walking the history"))?;
        for tip in tips {
            walk.push(find_commit(&repository, &tip.0)?.id()).map_err(git("walking the history"))?;
        }
        if let Some(base) = base {
            walk.hide(find_commit(&repository, &base.0)?.id()).map_err(git("walking the history"))?;
        }
        let cut = if repository.is_shallow() { shallow(&repository)? } else { String::new() };
        let mut found: BTreeSet<Arc<str>> = BTreeSet::new();
        for id in walk {
            let id = id.map_err(git("walking the history"))?;
            if cut.contains(&id.to_string()) {
                return Err(WorkspaceError {
                    what: format!("who wrote what is before {id} is not known here"),
                    hint: Some(UNSHALLOW.into()),
                });
            }
            let commit = repository.find_commit(id).map_err(git("reading a commit"))?;
            found.extend(people(&commit).into_iter().map(|user| user.0));
        }
        Ok(found.into_iter().map(User).collect())
    }

    /// Returns who works here, as git's configuration says: names that may not approve their own change.
    pub fn operator(&self) -> Option<User> {
        let repository = self.lock();
        let signature = repository.signature().ok()?;
        signature.name().ok().map(|name| User(name.into()))
    }
}

/// The ids of the commits at which a shallow clone ends, one a line.
fn shallow(repository: &Repository) -> Result<String, WorkspaceError> {
    let path = repository.commondir().join("shallow");
    std::fs::read_to_string(&path)
        .map_err(|error| WorkspaceError { what: format!("reading {}: {error}", path.display()), hint: None })
}

/// Author, committer and co-authors, each by name and by the local part of the address.
fn people(commit: &git2::Commit<'_>) -> Vec<User> {
    let mut names: Vec<String> = Vec::new();
    for signature in [commit.author(), commit.committer()] {
        names.extend(signature.name().ok().map(str::to_string));
        names.extend(signature.email().ok().into_iter().flat_map(names_in));
    }
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let trailers = git2::message_trailers_strs(&message);
    let authors = trailers.iter().flat_map(git2::MessageTrailersStrs::iter);
    for (_, author) in authors.filter(|(key, _)| key.eq_ignore_ascii_case("co-authored-by")) {
        let (name, email) = author.split_once('<').unwrap_or((author, ""));
        names.push(name.to_string());
        names.extend(names_in(email.trim_end().trim_end_matches('>')));
    }
    let named = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    named.map(|name| User(name.into())).collect()
}

/// What somebody may be called by this address: `7+ada@users.noreply.github.com` is also `7+ada`, and `ada`.
fn names_in(email: &str) -> Vec<String> {
    let local = email.split('@').next().unwrap_or_default();
    let mut names = vec![local, email];
    names.extend(local.split('+').filter(|part| *part != local));
    names.into_iter().map(str::to_string).collect()
}
