//! One slip at one place is one mistake, however many targets it is true of: it tells the first, and which others.

use crate::command::say::some;
use crate::stack::{Mistake, Site, TargetId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was found wrong with single targets, by place and what helps.
#[derive(Default)]
pub(super) struct Alike<'f>(BTreeMap<(Option<Site>, Option<String>), Slip<'f>>);

struct Slip<'f> {
    first: &'f TargetId,
    /// What is wrong with the first.
    mistakes: Vec<Mistake>,
    /// Of whom something else is said.
    others: Vec<Arc<str>>,
}

impl<'f> Alike<'f> {
    pub(super) fn add(&mut self, target: &'f TargetId, mistake: Mistake) {
        let key = (mistake.site.clone(), mistake.hint.clone());
        let slip = self.0.entry(key).or_insert_with(|| Slip { first: target, mistakes: Vec::new(), others: Vec::new() });
        if slip.first == target {
            slip.mistakes.push(mistake);
        } else if slip.mistakes.iter().all(|told| told.what != mistake.what) {
            slip.others.push(target.to_string().into());
        }
    }

    pub(super) fn into_mistakes(self) -> impl Iterator<Item = Mistake> {
        self.0.into_values().flat_map(|slip| {
            let others = if slip.others.is_empty() { String::new() } else { format!("; so it is with {}", some(&slip.others)) };
            slip.mistakes.into_iter().map(move |mistake| Mistake { what: format!("{}{others}", mistake.what), ..mistake })
        })
    }
}
