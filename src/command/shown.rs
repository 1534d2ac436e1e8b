//! What was shown, and last of all here: a decision without a digest is about that, whoever else looked at what meanwhile, and whatever
//! their clocks say. Knows no policy.

use crate::change::{Digest, Preview, Unseen};
use crate::stack::TargetId;
use crate::store::Stored;
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

/// What was shown, whenever that was: the very same that others were shown is the same.
#[derive(PartialEq, Serialize, Deserialize)]
struct Name {
    head: Option<Arc<str>>,
    base: Arc<str>,
    /// Of all that can be decided about.
    digest: Arc<str>,
}

/// Remembers that this was shown now, kept or not. Where it cannot be written down, nothing counts as shown last before something else
/// is.
pub(crate) fn remember(world: &World, stored: &Stored) {
    let path = place(world);
    let text = serde_json::to_string(&name(stored)).expect("a name holds only texts");
    let beside = path.with_extension("new");
    let dir = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = dir.and_then(|()| std::fs::write(&beside, text)).and_then(|()| std::fs::rename(&beside, &path));
    if written.is_err() && std::fs::remove_file(&path).is_err() && path.exists() {
        let what = format!(
            "note: {} cannot be written: name a digest with --review, as what was shown last is not known",
            path.display()
        );
        world.terminal.note(&what);
    }
}

/// Which of `saved`, oldest first, was shown last here. `None` when it is none of them: there was nothing to decide, or it was let go.
/// A clone that was shown nothing yet goes by the newest.
pub(crate) fn last(world: &World, saved: &[Stored]) -> Option<usize> {
    match std::fs::read_to_string(place(world)) {
        Err(error) if error.kind() == ErrorKind::NotFound => saved.len().checked_sub(1),
        text => {
            let shown: Name = serde_json::from_str(&text.ok()?).ok()?;
            let is_same = |stored: &Stored| stored.head == shown.head && stored.base == shown.base && name(stored) == shown;
            saved.iter().rposition(is_same)
        }
    }
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

/// The digests of answers that a review can be bound to.
pub(crate) fn digests(answers: &[Result<Arc<Preview>, Unseen>]) -> Vec<Arc<str>> {
    answers.iter().filter_map(approvable).map(|(_, digest)| digest.as_str().into()).collect()
}

fn place(world: &World) -> PathBuf {
    world.workspace.own_dir().join("isobar").join("shown.json")
}
