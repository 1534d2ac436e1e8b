//! What was shown, and last of all here: a decision without a digest is about that, whoever else looked at what meanwhile, and whatever
//! their clocks say. Knows no policy.

use crate::change::{Digest, Preview, Unseen};
use crate::exit::Failure;
use crate::stack::TargetId;
use crate::store::Stored;
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was shown, whenever that was: the very same that others were shown is the same.
#[derive(PartialEq, Serialize, Deserialize)]
struct Name {
    head: Option<Arc<str>>,
    base: Arc<str>,
    /// Of all that can be decided about.
    digest: Arc<str>,
}

/// Remembers that this was shown now, kept or not. Where it cannot be written down, that is said, and nothing counts as shown last
/// before something else is.
pub(crate) fn remember(world: &World, stored: &Stored) {
    let path = place(world);
    let text = serde_json::to_string(&name(stored)).expect("a name holds only texts");
    if let Err(error) = keep(&path, &text) {
        let path = path.display();
        world.terminal.note(&format!("note: {path} cannot be written, so name a digest with --review: {error}"));
    }
}

/// Puts `text` there at once, whoever else of this checkout does so too; or else nothing, which is not read as the newest.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path)?;
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        // Where this fails as well, what was shown before stays, and our caller says what to do.
        let (_removed, _emptied) = (fs::remove_file(&beside), fs::write(path, ""));
    })
}

/// Which of `saved`, oldest first, was shown last here. `None` when it is none of them: there was nothing to decide, or it was let go.
/// A clone that was shown nothing yet goes by the newest. An error where it could not be written down.
pub(crate) fn last(world: &World, saved: &[Stored]) -> Result<Option<usize>, Failure> {
    let path = place(world);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound && can_keep(&path) => return Ok(saved.len().checked_sub(1)),
        text => text.unwrap_or_default(),
    };
    let shown: Name = serde_json::from_str(&text).map_err(|_| {
        let what = format!("what was shown last is not known: it could not be written to {}", path.display());
        Failure::usage(what, "isobar preview shows it again; or name a digest: isobar apply --review NAME=approve@DIGEST")
    })?;
    let is_same = |stored: &Stored| stored.head == shown.head && stored.base == shown.base && name(stored) == shown;
    Ok(saved.iter().rposition(is_same))
}

/// Where nothing can be written down, that nothing is there does not tell that nothing was shown.
fn can_keep(path: &Path) -> bool {
    beside(path).and_then(|beside| fs::write(&beside, "").and_then(|()| fs::remove_file(&beside))).is_ok()
}

/// A file of this process alone, in a directory that is there.
fn beside(path: &Path) -> io::Result<PathBuf> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    Ok(path.with_extension(format!("{}.new", std::process::id())))
}

fn name(stored: &Stored) -> Name {
    let digests = digests(&stored.previews);
    let parts: Vec<&str> = digests.iter().map(|digest| &**digest).collect();
    let digest = Digest::of("what was shown", &parts).as_str().into();
    Name { head: stored.head.clone(), base: stored.base.clone(), digest }
}

/// What a review of a shown answer is bound to: the preview's digest, or that of what cannot be previewed yet.
pub(crate) fn approvable(answer: &Result<Arc<Preview>, Unseen>) -> Option<(&TargetId, Digest)> {
    match answer {
        Ok(preview) => Some((&preview.target, preview.digest())),
        Err(unseen) => Some((&unseen.target, unseen.promise.clone()?)),
    }
}

/// The digest of all that was shown together, by which it can be approved as one.
pub(crate) fn together(digests: impl IntoIterator<Item = Arc<str>>) -> Digest {
    let digests: BTreeSet<Arc<str>> = digests.into_iter().collect();
    let parts: Vec<&str> = digests.iter().map(|digest| &**digest).collect();
    Digest::of("shown together", &parts)
}

/// The digests of answers that a review can be bound to.
pub(crate) fn digests(answers: &[Result<Arc<Preview>, Unseen>]) -> Vec<Arc<str>> {
    answers.iter().filter_map(approvable).map(|(_, digest)| digest.as_str().into()).collect()
}

fn place(world: &World) -> PathBuf {
    world.workspace.own_dir().join("isobar").join("shown.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_down_takes_the_place_of_what_was_shown_before() {
        let dir = tempfile::tempdir().expect("it has room");
        let path = dir.path().join("isobar/shown.json");
        keep(&path, "before").expect("it has room");
        fs::create_dir(beside(&path).expect("it is there")).expect("it has room");
        assert!(keep(&path, "now").is_err());
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some(""));
    }
}
