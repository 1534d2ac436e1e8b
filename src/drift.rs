//! What moved without us: previews of unchanged code against history. Knows no schedule, and not where findings are told.

use crate::change::{Action, Preview, Stray, StrayKind, Unseen, UnseenReason};
use crate::stack::TargetId;
use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::journal::Class;

/// The same drift, in however many targets: one class, one stack, the same addresses. One decision answers it, even where the
/// content differs from region to region; the previews show how.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub class: Class,
    pub stack: Arc<str>,
    /// Addresses in it, sorted; empty for `NotChecked`.
    pub addresses: Vec<Arc<str>>,
    /// In the order of the previews.
    pub targets: Vec<TargetId>,
    /// Why it could not be looked at; or why it would change though its code did not.
    pub why: Option<Arc<str>>,
}

impl Finding {
    /// Something that no apply brings about.
    pub fn is_news(&self) -> bool {
        self.class != Class::UnappliedCommit
    }
}

/// All that was found, most targets first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    pub findings: Vec<Finding>,
    /// Targets looked at.
    pub checked: usize,
}

/// What was found in one target: addresses and why, sorted.
pub type Found = Vec<(Arc<str>, Class)>;

impl Class {
    /// Returns the name that people read.
    pub fn name(self) -> &'static str {
        match self {
            Class::OutOfBand => "out-of-band",
            Class::Missing => "missing",
            Class::Unmanaged => "unmanaged",
            Class::UnappliedCommit => "not applied",
            Class::NotChecked => "not checked",
        }
    }
}

impl Drift {
    /// Everything was looked at and is what the code says.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns what was found per target, both sorted; targets that could not be looked at are in [`Drift::unchecked`].
    pub fn found(&self) -> Vec<(TargetId, Found)> {
        let mut found: BTreeMap<&TargetId, Found> = BTreeMap::new();
        for finding in self.findings.iter().filter(|finding| finding.class != Class::NotChecked) {
            for target in &finding.targets {
                let addresses = finding.addresses.iter().map(|address| (address.clone(), finding.class));
                found.entry(target).or_default().extend(addresses);
            }
        }
        let sorted = |mut addresses: Found| {
            addresses.sort();
            addresses
        };
        found.into_iter().map(|(target, addresses)| (target.clone(), sorted(addresses))).collect()
    }

    /// Returns the targets that could not be looked at, sorted.
    pub fn unchecked(&self) -> Vec<TargetId> {
        let blind = self.findings.iter().filter(|finding| finding.class == Class::NotChecked);
        let targets: BTreeSet<&TargetId> = blind.flat_map(|finding| &finding.targets).collect();
        targets.into_iter().cloned().collect()
    }
}

/// Compares what engines say with what was applied. One entry a target: seen, or why not. `never` says of which nothing ever was.
/// `ahead` are the targets whose code changed since: for all others, whatever would change was changed by somebody else.
pub fn compare<P: Borrow<Preview>>(
    previews: &[Result<P, Unseen>],
    never: impl Fn(&TargetId) -> bool,
    ahead: &BTreeSet<TargetId>,
) -> Drift {
    gather(previews, |target| match (never(target), ahead.contains(target)) {
        (true, _) => Code::Never,
        (false, true) => Code::Ahead,
        (false, false) => Code::Applied,
    })
}

/// Why our own documents would change though no code did.
const NEW_VALUE: &str = "a secret or an output that it uses changed: isobar apply";

/// How a target's code stands to what was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// Nothing of it was ever applied.
    Never,
    /// It changed since.
    Ahead,
    Applied,
}

/// What makes two drifts the same.
type Same = (Class, Arc<str>, Vec<Arc<str>>, Option<Arc<str>>);

fn gather<P: Borrow<Preview>>(previews: &[Result<P, Unseen>], code: impl Fn(&TargetId) -> Code) -> Drift {
    let mut same: BTreeMap<Same, Vec<TargetId>> = BTreeMap::new();
    for preview in previews {
        match preview {
            Ok(preview) => {
                let preview = preview.borrow();
                let stack: Arc<str> = preview.target.stack.as_str().into();
                for (class, addresses) in classes(preview, code(&preview.target)) {
                    let addresses = addresses.into_iter().collect();
                    let new = class == Class::UnappliedCommit && code(&preview.target) == Code::Applied;
                    let why = new.then(|| NEW_VALUE.into());
                    same.entry((class, stack.clone(), addresses, why)).or_default().push(preview.target.clone());
                }
            }
            Err(unseen) => {
                let why = Some(words(&unseen.reason));
                let key = (Class::NotChecked, unseen.target.stack.as_str().into(), Vec::new(), why);
                same.entry(key).or_default().push(unseen.target.clone());
            }
        }
    }
    let finding = |((class, stack, addresses, why), targets)| Finding { class, stack, addresses, targets, why };
    let mut findings: Vec<Finding> = same.into_iter().map(finding).collect();
    findings.sort_by_key(|finding| Reverse(finding.targets.len())); // stable: then by class, stack and addresses
    Drift { findings, checked: previews.iter().filter(|preview| preview.is_ok()).count() }
}

/// Sorts one target's addresses by class. What strayed from our own last apply says how; any other change is our own code, if that
/// changed or is given a new value. What would be made anew though nothing of it changed was taken away whole, with all that we
/// would know it by. Before a first apply nothing of ours can have strayed, so all that would change is ours.
fn classes(preview: &Preview, code: Code) -> BTreeMap<Class, BTreeSet<Arc<str>>> {
    let never = code == Code::Never;
    let changes: BTreeSet<&Arc<str>> = preview.changes.iter().map(|change| &change.address).collect();
    let strays: Vec<&Stray> = preview.strays.iter().filter(|stray| !(never && changes.contains(&stray.address))).collect();
    let strayed: BTreeSet<&Arc<str>> = strays.iter().map(|stray| &stray.address).collect();

    let mut classes: BTreeMap<Class, BTreeSet<Arc<str>>> = BTreeMap::new();
    for stray in &strays {
        let class = match stray.kind {
            StrayKind::Changed => Class::OutOfBand,
            StrayKind::Missing => Class::Missing,
            StrayKind::Unmanaged => Class::Unmanaged,
        };
        classes.entry(class).or_default().insert(stray.address.clone());
    }
    for change in preview.changes.iter().filter(|change| !strayed.contains(&change.address)) {
        let class = match (code, change.action) {
            (Code::Never | Code::Ahead, _) => Class::UnappliedCommit,
            (Code::Applied, Action::Create) => Class::Missing,
            // What lies there is what we made: not somebody else, but a value that is new, such as a rotated secret.
            (Code::Applied, Action::Update | Action::Replace | Action::Delete | Action::Read | Action::Move) => {
                Class::UnappliedCommit
            }
        };
        classes.entry(class).or_default().insert(change.address.clone());
    }
    classes
}

fn words(reason: &UnseenReason) -> Arc<str> {
    match reason {
        UnseenReason::Needs(holes) => format!("needs {}, which nobody has applied yet", holes.join(", ")).into(),
        UnseenReason::Conflict(_) | UnseenReason::SecretMissing { .. } | UnseenReason::Definition(_) => reason.say().into(),
        UnseenReason::Engine(_) | UnseenReason::Cancelled | UnseenReason::Lost => reason.say().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Change, Detail, Intent};

    /// `~a.yaml` would be updated; `!a.yaml` strayed and would be; `?a.yaml` is gone and would be made; `+a.yaml` is unmanaged.
    fn preview(target: &str, said: &str) -> Result<Preview, Unseen> {
        let change = |address: &str| Change {
            address: address.into(),
            kind: "document".into(),
            action: Action::Update,
            before: None,
            after: None,
            detail: Detail::Hidden("test".into()),
            sensitive: false,
            bound: true,
            holes: Vec::new(),
        };
        let (mut changes, mut strays) = (Vec::new(), Vec::new());
        for word in said.split_whitespace() {
            let (sign, address) = word.split_at(1);
            let kind = match sign {
                "!" => Some(StrayKind::Changed),
                "?" => Some(StrayKind::Missing),
                "+" => Some(StrayKind::Unmanaged),
                _ => None,
            };
            strays.extend(kind.map(|kind| Stray { address: address.into(), kind }));
            changes.extend((sign != "+").then(|| change(address)));
        }
        Ok(Preview {
            target: id(target),
            engine: "documents".into(),
            intent: Intent::Converge,
            changes,
            outputs: BTreeMap::new(),
            strays,
            sides: Default::default(),
        })
    }

    fn unseen(target: &str, reason: UnseenReason) -> Result<Preview, Unseen> {
        Err(Unseen::new(id(target), reason))
    }

    fn id(text: &str) -> TargetId {
        text.parse().expect("a target's id")
    }

    #[track_caller]
    fn check(never: bool, previews: &[Result<Preview, Unseen>], expected: &[&str]) -> Drift {
        let drift = gather(previews, |_| if never { Code::Never } else { Code::Ahead });
        let line = |finding: &Finding| {
            let targets: Vec<_> = finding.targets.iter().map(ToString::to_string).collect();
            let what = finding.why.as_ref().map_or_else(|| finding.addresses.join(" "), ToString::to_string);
            format!("{}: {what}: {}", finding.class.name(), targets.join(" "))
        };
        assert_eq!(drift.findings.iter().map(line).collect::<Vec<_>>(), expected);
        drift
    }

    #[test]
    fn each_change_without_us_has_its_class_and_the_rest_is_our_own_code() {
        let previews = [preview("net@prod/eu", "!a ?b +c ~d !e")];
        check(
            false,
            &previews,
            &[
                "out-of-band: a e: net@prod/eu",
                "missing: b: net@prod/eu",
                "unmanaged: c: net@prod/eu",
                "not applied: d: net@prod/eu",
            ],
        );
    }

    #[test]
    fn the_same_drift_in_many_targets_is_one_finding_and_comes_first() {
        let previews = [preview("b@prod/eu", "!x"), preview("net@prod/us", "!a"), preview("net@prod/eu", "!a")];
        check(false, &previews, &["out-of-band: a: net@prod/us net@prod/eu", "out-of-band: x: b@prod/eu"]);
    }

    #[test]
    fn what_was_never_applied_is_our_own_code_whatever_lies_there() {
        let drift =
            check(true, &[preview("net@prod/eu", "!a ~b +c")], &["unmanaged: c: net@prod/eu", "not applied: a b: net@prod/eu"]);
        assert_eq!(compare(&[preview("net@prod/eu", "!a ~b +c")], |_| true, &BTreeSet::new()), drift);
    }

    #[test]
    fn not_checked_says_why_and_is_not_clean() {
        let missing = || UnseenReason::SecretMissing { name: "TOKEN".into(), site: None };
        let previews = [unseen("a@prod/eu", missing()), unseen("a@prod/us", missing()), preview("a@prod/ap", "")];
        let drift =
            check(false, &previews, &["not checked: the secret TOKEN is not set in the environment: a@prod/eu a@prod/us"]);
        assert_eq!((drift.checked, drift.is_empty()), (1, false));
        assert_eq!(drift.unchecked(), [id("a@prod/eu"), id("a@prod/us")]);
        assert!(drift.found().is_empty());
    }

    #[test]
    fn what_is_found_is_told_per_target_for_the_journal() {
        let drift =
            gather(&[preview("b@prod/eu", "~z !a"), preview("a@prod/eu", "!a"), preview("c@prod/eu", "")], |_| Code::Ahead);
        let expected = vec![
            (id("a@prod/eu"), vec![("a".into(), Class::OutOfBand)]),
            (id("b@prod/eu"), vec![("a".into(), Class::OutOfBand), ("z".into(), Class::UnappliedCommit)]),
        ];
        assert_eq!(drift.found(), expected);
    }

    #[test]
    fn what_would_be_made_anew_though_nothing_changed_was_taken_away_whole() {
        let mut seen = preview("net@prod/eu", "~a");
        if let Ok(preview) = &mut seen {
            preview.changes[0].action = Action::Create;
        }
        let drift = gather(&[seen, preview("b@prod/eu", "~z")], |_| Code::Applied);
        let classes: Vec<Class> = drift.findings.iter().map(|finding| finding.class).collect();
        assert_eq!(classes, [Class::Missing, Class::UnappliedCommit]);
    }
}
