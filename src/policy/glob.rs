//! Patterns in rules. `*` also crosses `/`: every rule restricts, so a pattern that reaches further is the safe reading.

use crate::stack::{Mistake, Mistakes, Node};
use globset::{Glob, GlobSet, GlobSetBuilder};

/// Patterns of which one must match.
#[derive(Clone, Debug)]
pub(super) struct Globs(GlobSet);

impl Globs {
    /// Reads patterns; each one that is no pattern is a mistake.
    pub(super) fn read(texts: &[(&str, &Node)], mistakes: &mut Mistakes) -> Self {
        let mut builder = GlobSetBuilder::new();
        for (text, node) in texts {
            match Glob::new(text) {
                Ok(glob) => {
                    builder.add(glob);
                }
                Err(error) => {
                    let what = format!("{text:?} is not a pattern: {}", error.kind());
                    mistakes.push(Mistake::at(&node.site, what).hint("patterns know *, ?, [abc] and {one,other}"));
                }
            }
        }
        let set = builder.build();
        if let (Err(error), Some((_, node))) = (&set, texts.first()) {
            let mistake = Mistake::at(&node.site, format!("these patterns are too much together: {}", error.kind()));
            mistakes.push(mistake.hint("write fewer or shorter ones; * stands for any characters"));
        }
        Self(set.unwrap_or_else(|_| GlobSet::empty()))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Says whether `text` is a plain name rather than a pattern.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(['*', '?', '[', '{', '\\'])
}
