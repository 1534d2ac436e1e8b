//! What there is to say of single targets, each sentence once however many targets it is about; and what is destroyed.

use super::{Report, Row, RowState};
use crate::change::{Action, generalise, inert};
use crate::stack::TargetId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a target stands, most urgent first, when there is a sentence to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Failed,
    Unknown,
    Unseen,
    Denied,
    Waiting,
    Skipped,
    NotStarted,
}

impl Standing {
    pub(super) const ALL: [Standing; 7] = [
        Standing::Failed,
        Standing::Unknown,
        Standing::Unseen,
        Standing::Denied,
        Standing::Waiting,
        Standing::Skipped,
        Standing::NotStarted,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Standing::Failed => "Failed",
            Standing::Unknown => "Unknown",
            Standing::Unseen => "Unseen",
            Standing::Denied => "Denied",
            Standing::Waiting => "Waiting",
            Standing::Skipped => "Skipped",
            Standing::NotStarted => "Not started",
        }
    }

    pub(super) fn symbol(self) -> char {
        match self {
            Standing::Failed => '✗',
            Standing::Unknown | Standing::Unseen => '?',
            Standing::Denied => '!',
            Standing::Waiting => '…',
            Standing::Skipped => '»',
            Standing::NotStarted => 'o',
        }
    }
}

/// One sentence and every target that it is about.
pub(super) struct Said<'a> {
    pub(super) standing: Standing,
    /// Untrusted; may have several lines.
    pub(super) sentence: String,
    /// Untrusted.
    pub(super) next: Option<String>,
    pub(super) targets: Vec<&'a TargetId>,
}

/// Destroyed or replaced resources of one stack with the same targets.
pub(super) struct Lost<'a> {
    pub(super) action: Action,
    /// Sorted; untrusted.
    pub(super) addresses: Vec<Arc<str>>,
    pub(super) targets: Vec<&'a TargetId>,
}

/// How a row stands, why, and what to do about it.
type Why<'a> = (Standing, &'a Arc<str>, Option<&'a Arc<str>>);

/// Returns how a row stands and why; nothing for what went as it should.
pub(super) fn standing(row: &Row) -> Option<Why<'_>> {
    let (standing, sentence, next) = match &row.state {
        RowState::Failed(cause, next) => (Standing::Failed, cause, next.as_ref()),
        RowState::Unknown(why) => (Standing::Unknown, why, None),
        RowState::Unseen(why) => (Standing::Unseen, why, None),
        RowState::Denied(why) => (Standing::Denied, why, None),
        RowState::Waiting(why) => (Standing::Waiting, why, None),
        RowState::Skipped(why) => (Standing::Skipped, why, None),
        RowState::NotStarted(why) => (Standing::NotStarted, why, None),
        RowState::Unchanged | RowState::Applied => return None,
        RowState::Changes => match &row.verdict {
            Some(verdict) if verdict.answer == "wait" => (Standing::Waiting, &verdict.sentence, None),
            Some(verdict) if verdict.answer == "deny" => (Standing::Denied, &verdict.sentence, None),
            Some(_) | None => return None,
        },
    };
    Some((standing, sentence, next))
}

/// Returns what there is to say of single targets, the same sentence once; most urgent first, then most targets first.
///
/// Sentences are the same when they read the same, or when they do after the names of their own targets are replaced.
pub(super) fn said(report: &Report) -> Vec<Said<'_>> {
    let mut order: Vec<Said<'_>> = Vec::new();
    let mut known: BTreeMap<(Standing, Words), usize> = BTreeMap::new();
    for alike in literally_alike(report) {
        let general = general(&alike);
        let key = (alike.standing, general.clone().unwrap_or_else(|| alike.words()));
        match known.get(&key) {
            Some(at) => {
                let said = &mut order[*at];
                said.targets.extend(alike.targets);
                (said.sentence, said.next) = key.1;
            }
            None => {
                known.insert(key, order.len());
                let (sentence, next) = alike.words();
                order.push(Said { standing: alike.standing, sentence, next, targets: alike.targets });
            }
        }
    }
    order.sort_by_key(|said| (said.standing, usize::MAX - said.targets.len()));
    order
}

/// A sentence and what to do about it.
type Words = (String, Option<String>);

/// Targets of which the very same is said.
struct Alike<'a> {
    standing: Standing,
    sentence: &'a str,
    next: Option<&'a str>,
    targets: Vec<&'a TargetId>,
}

impl Alike<'_> {
    fn words(&self) -> Words {
        (self.sentence.into(), self.next.map(Into::into))
    }
}

fn literally_alike(report: &Report) -> Vec<Alike<'_>> {
    let mut order: Vec<Alike<'_>> = Vec::new();
    let mut known: BTreeMap<(Standing, &str, Option<&str>), usize> = BTreeMap::new();
    for row in &report.rows {
        let Some((standing, sentence, next)) = standing(row) else { continue };
        let (sentence, next) = (&**sentence, next.map(|next| &**next));
        let at = *known.entry((standing, sentence, next)).or_insert(order.len());
        match order.get_mut(at) {
            Some(alike) => alike.targets.push(&row.target),
            None => order.push(Alike { standing, sentence, next, targets: vec![&row.target] }),
        }
    }
    order
}

/// The words with names in the place of each target's own; nothing when that reads otherwise from one target to the next.
fn general(alike: &Alike<'_>) -> Option<Words> {
    let of = |target: &&TargetId| {
        let names = own_names(target);
        let general = |text: &str| generalise(text, &names).replace("@{region.id}", " in the same region");
        (general(alike.sentence), alike.next.map(general))
    };
    let mut all = alike.targets.iter().map(of);
    let first = all.next()?;
    all.all(|words| words == first).then_some(first)
}

/// What a sentence may call the target it is about.
fn own_names(target: &TargetId) -> [(Arc<str>, Arc<str>); 3] {
    [
        ("{target}".into(), target.to_string().into()),
        ("{region.id}".into(), target.region.as_str().into()),
        ("{region.name}".into(), target.region.name().into()),
    ]
}

/// Returns every deleted or replaced resource, deletions first; resources with the same targets stand together.
pub(super) fn lost(report: &Report) -> Vec<Lost<'_>> {
    let nth: BTreeMap<&TargetId, usize> = report.rows.iter().enumerate().map(|(nth, row)| (&row.target, nth)).collect();
    let mut folded: BTreeSet<usize> = BTreeSet::new();
    let mut regions: BTreeMap<(bool, &str, &Arc<str>), Vec<usize>> = BTreeMap::new();
    for group in &report.fold.groups {
        let rows: Vec<usize> = group.targets.iter().filter_map(|target| nth.get(target).copied()).collect();
        folded.extend(&rows);
        for change in group.preview.changes.iter().filter(|change| change.action.is_destructive()) {
            let key = (change.action == Action::Replace, group.stack.as_str(), &change.address);
            regions.entry(key).or_default().extend(&rows);
        }
    }
    for (nth, row) in report.rows.iter().enumerate().filter(|(nth, _)| !folded.contains(nth)) {
        let changes = row.preview.iter().flat_map(|preview| &preview.changes);
        for change in changes.filter(|change| change.action.is_destructive()) {
            let key = (change.action == Action::Replace, row.target.stack.as_str(), &change.address);
            regions.entry(key).or_default().push(nth);
        }
    }

    let mut alike: BTreeMap<_, Vec<Arc<str>>> = BTreeMap::new();
    for ((replace, stack, address), mut rows) in regions {
        rows.sort_unstable();
        rows.dedup();
        alike.entry((replace, stack, rows)).or_default().push(address.clone());
    }
    let mut lost = Vec::with_capacity(alike.len());
    for ((replace, _, rows), addresses) in alike {
        let targets = rows.into_iter().map(|row| &report.rows[row].target).collect();
        lost.push(Lost { action: if replace { Action::Replace } else { Action::Delete }, addresses, targets });
    }
    lost
}

/// The lines of an untrusted sentence, inert, without blank ones at its ends.
pub(super) fn sentence_lines(sentence: &str) -> Vec<String> {
    let text = inert(sentence);
    let lines: Vec<String> = text.trim_matches('\n').lines().map(|line| line.trim_end().to_owned()).collect();
    if lines.is_empty() { vec!["no reason was given".into()] } else { lines }
}
