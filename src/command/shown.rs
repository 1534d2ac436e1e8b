//! What was shown last, here: a decision without a digest is about that, whoever else looked at what meanwhile, and whatever their
//! clocks say.

use crate::store::Stored;
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Tells a set from all others.
#[derive(PartialEq, Serialize, Deserialize)]
struct Name {
    head: Option<Arc<str>>,
    base: Arc<str>,
    at_ms: u64,
}

/// Remembers that this was shown now, kept or not. Where nothing can be written, what is newest counts as shown last.
pub(crate) fn remember(world: &World, stored: &Stored) {
    let path = place(world);
    let text = serde_json::to_string(&name(stored)).expect("a name holds only texts and a number");
    let dir = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    let _newest_counts = dir.and_then(|()| std::fs::write(&path, text));
}

/// Which of `saved`, oldest first, was shown last here. `None` when it is none of them: there was nothing to decide, or it was let go.
/// A clone that was shown nothing yet goes by the newest.
pub(crate) fn last(world: &World, saved: &[Stored]) -> Option<usize> {
    let text = std::fs::read_to_string(place(world)).ok();
    match text.and_then(|text| serde_json::from_str::<Name>(&text).ok()) {
        Some(shown) => saved.iter().rposition(|stored| name(stored) == shown),
        None => saved.len().checked_sub(1),
    }
}

fn name(stored: &Stored) -> Name {
    Name { head: stored.head.clone(), base: stored.base.clone(), at_ms: stored.at_ms }
}

fn place(world: &World) -> PathBuf {
    world.workspace.own_dir().join("isobar").join("shown.json")
}
