//! Where it is the same: targets whose changes are equal once each region's own values are replaced by names are one group.
//! For reading only; approvals bind to the exact digests.
//!
//! Two targets are alike when their changes are equal as they are, or equal with the values replaced; of the two ways the one that
//! brings more targets together is taken. Inside a group a name stands only where its members' values differ, and `values`
//! says what they are, so that folding hides nothing. Digests of the content are left out of the comparison, as they differ
//! with the values; content that is not shown is compared by its digests, and sensitive content only by whether there is any.

mod canonical;
mod lines;
mod shown;
mod substitute;

pub use lines::{diff_lines, text_lines};
pub use substitute::generalise;

use super::{Preview, Sign, TextDiff};
use crate::stack::{StackName, TargetId};
use canonical::canonical;
use lines::{change_text, changed_lines};
use shown::{Shown, difference, values};
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use substitute::Values;

/// The region's own values and their names: `("{region.name}", "eu-west-1")`, `("{region.vars.cidr}", "10.2.0.0/16")`.
pub type Names = BTreeMap<TargetId, Vec<(Arc<str>, Arc<str>)>>;

/// Every changed target in exactly one group, stack by stack, the largest group of a stack first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    pub groups: Vec<Group>,
}

/// Targets of one stack with equal changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub stack: StackName,
    /// A for the largest of the stack, then B, C … Z, AA.
    pub letter: Arc<str>,
    /// In the order of the previews given.
    pub targets: Vec<TargetId>,
    /// The changes of the first target, with the values that differ between the members replaced by names. A single target's are
    /// as they are. Outputs and strays are left out.
    pub preview: Preview,
    /// The values behind the names in `preview` and `differs`: name, then each target's value.
    pub values: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// For any but the largest group: each differing address, with the difference between A's lines and its own.
    /// Empty when that is longer than the group's own difference, which is then the better read.
    pub differs: Vec<(Arc<str>, TextDiff)>,
    /// The number of lines that are not the same as A's; told even when `differs` is empty for its length.
    pub differs_lines: usize,
}

/// Folds the previews that change something. The order of `previews` is the fleet's and decides ties.
pub fn fold<P: Borrow<Preview>>(previews: &[P], names: &Names) -> Fold {
    let mut order: Vec<&StackName> = Vec::new();
    let mut stacks: BTreeMap<&StackName, Vec<Member<'_>>> = BTreeMap::new();
    for preview in previews.iter().map(Borrow::borrow).filter(|preview: &&Preview| !preview.is_empty()) {
        let stack = &preview.target.stack;
        let members = stacks.entry(stack).or_insert_with(|| {
            order.push(stack);
            Vec::new()
        });
        members.push(Member { preview, names: names.get(&preview.target).map_or(&[], Vec::as_slice) });
    }
    Fold { groups: order.into_iter().flat_map(|stack| fold_stack(&stacks[stack])).collect() }
}

/// One changed target and its own values.
#[derive(Clone, Copy)]
struct Member<'a> {
    preview: &'a Preview,
    names: &'a [(Arc<str>, Arc<str>)],
}

/// Members that are alike, and whether they are so only by their names.
struct Class {
    members: Vec<usize>,
    named: bool,
}

fn fold_stack(members: &[Member<'_>]) -> Vec<Group> {
    let classes = classes(members);
    let of = |class: &Class| -> Vec<Member<'_>> { class.members.iter().map(|at| members[*at]).collect() };
    let Some(largest) = classes.first() else { return Vec::new() };
    let reference = (of(largest), largest.named);
    let mut groups = Vec::with_capacity(classes.len());
    for (nth, class) in classes.iter().enumerate() {
        let alike = of(class);
        let mut shown = Shown::of(&alike, class.named, &[]);
        let preview = shown.preview(alike[0].preview);
        let (mut differs, mut differs_lines) = (Vec::new(), 0);
        if nth > 0 {
            let beside = class.named && reference.1;
            let mut theirs = Shown::of(&reference.0, reference.1, if beside { &alike } else { &[] });
            let mut ours = Shown::of(&alike, beside, &reference.0);
            differs = difference(&mut theirs, reference.0[0].preview, &mut ours, alike[0].preview);
            differs_lines = changed_lines(&differs);
            if other_lines(&differs) > own_lines(&preview) {
                differs.clear();
            }
            if !differs.is_empty() {
                shown.used.extend(ours.used);
            }
        }
        groups.push(Group {
            stack: alike[0].preview.target.stack.clone(),
            letter: letter(nth).into(),
            targets: alike.iter().map(|member| member.preview.target.clone()).collect(),
            preview,
            values: values(&alike, &shown.used),
            differs,
            differs_lines,
        });
    }
    groups
}

/// Puts every member into one class, the largest class first, then the one whose first member comes first.
fn classes(members: &[Member<'_>]) -> Vec<Class> {
    let named = alike(members, |member, bytes| canonical(member.preview, &Values::new(member.names), member.names, bytes));
    let plain = if named.len() > 1 {
        alike(members, |member, bytes| canonical(member.preview, &Values::new(&[]), &[], bytes))
    } else {
        Vec::new()
    };
    let mut open: Vec<Class> = named.into_iter().map(|members| Class { members, named: true }).collect();
    open.extend(plain.into_iter().filter(|members| members.len() > 1).map(|members| Class { members, named: false }));
    open.sort_by_key(|class| (usize::MAX - class.members.len(), !class.named, class.members[0]));

    let mut taken = BTreeSet::new();
    for class in &mut open {
        class.members.retain(|member| taken.insert(*member));
    }
    open.retain(|class| !class.members.is_empty());
    open.sort_by_key(|class| (usize::MAX - class.members.len(), class.members[0]));
    open
}

/// Members with the same bytes, exactly: no digest stands between, so that nobody can make two changes look alike.
fn alike(members: &[Member<'_>], write: impl Fn(&Member<'_>, &mut Vec<u8>)) -> Vec<Vec<usize>> {
    let mut classes: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
    let mut bytes = Vec::new();
    for (at, member) in members.iter().enumerate() {
        bytes.clear();
        write(member, &mut bytes);
        match classes.get_mut(&bytes) {
            Some(class) => class.push(at),
            None => {
                classes.insert(bytes.clone(), vec![at]);
            }
        }
    }
    classes.into_values().collect()
}

/// Counts every line by which the reader's page would grow; context is for orientation and does not count.
fn other_lines(diffs: &[(Arc<str>, TextDiff)]) -> usize {
    let lines = diffs.iter().flat_map(|(_, diff)| &diff.hunks).flat_map(|hunk| &hunk.lines);
    lines.filter(|line| line.sign != Sign::Same).count()
}

fn own_lines(preview: &Preview) -> usize {
    preview.changes.iter().map(|change| change_text(change).lines().count()).sum()
}

/// A … Z, AA, AB …
fn letter(mut nth: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + u8::try_from(nth % 26).expect("a remainder of 26 is small"));
        nth /= 26;
        if nth == 0 {
            break;
        }
        nth -= 1;
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Action, Change, Detail, Digest, Hunk, Intent, Line};
    use super::*;

    /// A preview of documents, each one replaced line by line: `- before`, `+ after`.
    fn preview(target: &str, documents: &[(&str, &[&str])]) -> Preview {
        let line =
            |text: &&str| Line { sign: if text.starts_with('-') { Sign::Removed } else { Sign::Added }, text: text[1..].into() };
        let change = |(address, lines): &(&str, &[&str])| Change {
            address: (*address).into(),
            kind: "document".into(),
            action: Action::Update,
            before: Some(Digest::of("before", &[target])),
            after: Some(Digest::of("after", &[target])),
            detail: Detail::Text(TextDiff {
                hunks: vec![Hunk { old_start: 1, old_len: 1, new_start: 1, new_len: 1, lines: lines.iter().map(line).collect() }],
            }),
            sensitive: false,
            bound: true,
            holes: Vec::new(),
        };
        Preview {
            target: target.parse().expect("a good name"),
            engine: "documents".into(),
            intent: Intent::Converge,
            changes: documents.iter().map(change).collect(),
            outputs: BTreeMap::new(),
            strays: Vec::new(),
            sides: Default::default(),
        }
    }

    fn names(of: &[(&str, &[(&str, &str)])]) -> Names {
        let pair = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
        of.iter().map(|(target, pairs)| (target.parse().expect("a good name"), pairs.iter().map(pair).collect())).collect()
    }

    /// One line a group: letter, regions, and what is shown.
    fn told(fold: &Fold) -> Vec<String> {
        let group = |group: &Group| {
            let regions: Vec<_> = group.targets.iter().map(|target| target.region.name()).collect();
            let text: Vec<_> =
                group.preview.changes.iter().map(|change| format!("{}: {}", change.address, change_text(change))).collect();
            let text = text.concat().replace("@@ ~ document @@\n@@ -1 +1 @@\n", "").replace('\n', " ");
            format!("{} {} {}| {}", group.stack, group.letter, regions.join(","), text.trim_end())
        };
        fold.groups.iter().map(group).collect()
    }

    const CIDRS: [(&str, &[(&str, &str)]); 3] = [
        ("net@prod/a-1", &[("{region.name}", "a-1"), ("{cidr}", "10.1.0.0/16"), ("{owner}", "platform")]),
        ("net@prod/b-1", &[("{region.name}", "b-1"), ("{cidr}", "10.2.0.0/16"), ("{owner}", "platform")]),
        ("net@prod/c-1", &[("{region.name}", "c-1"), ("{cidr}", "10.3.0.0/16"), ("{owner}", "platform")]),
    ];

    #[test]
    fn targets_that_differ_only_by_their_own_values_are_one_group_and_the_values_are_told() {
        let previews = [
            preview("net@prod/a-1", &[("a-1.yaml", &["-open", "+cidr 10.1.0.0/16 of platform"])]),
            preview("net@prod/b-1", &[("b-1.yaml", &["-open", "+cidr 10.2.0.0/16 of platform"])]),
        ];
        let fold = fold(&previews, &names(&CIDRS));
        assert_eq!(told(&fold), ["net A a-1,b-1| {region.name}.yaml: -open +cidr {cidr} of platform"]);
        let values: Vec<_> = fold.groups[0].values.iter().map(|(name, values)| (&**name, values.join(" "))).collect();
        assert_eq!(values, [("{cidr}", "10.1.0.0/16 10.2.0.0/16".into()), ("{region.name}", "a-1 b-1".into())]);
    }

    #[test]
    fn an_unchanged_target_is_in_no_group_and_a_single_one_is_shown_as_it_is() {
        let previews = [preview("net@prod/a-1", &[("a-1.yaml", &["+10.1.0.0/16"])]), preview("net@prod/b-1", &[])];
        assert_eq!(told(&fold(&previews, &names(&CIDRS))), ["net A a-1| a-1.yaml: +10.1.0.0/16"]);
    }

    #[test]
    fn a_text_that_only_looks_like_a_name_is_another_change() {
        let previews =
            [preview("net@prod/a-1", &[("x", &["+in a-1"])]), preview("net@prod/b-1", &[("x", &["+in {region.name}"])])];
        assert_eq!(told(&fold(&previews, &names(&CIDRS))), ["net A a-1| x: +in a-1", "net B b-1| x: +in {region.name}"]);
    }

    #[test]
    fn a_value_that_turns_up_by_chance_does_not_part_equal_changes() {
        let names = names(&[("net@prod/a", &[("{tier}", "one")]), ("net@prod/b", &[("{tier}", "two")])]);
        let previews = [preview("net@prod/a", &[("x", &["+one of them"])]), preview("net@prod/b", &[("x", &["+one of them"])])];
        assert_eq!(told(&fold(&previews, &names)), ["net A a,b| x: +one of them"]);
    }

    #[test]
    fn an_outlier_is_told_by_its_difference_to_the_largest_group() {
        let same: &[&str] = &["+one", "+two", "+three", "+four"];
        let previews = [
            preview("net@prod/a-1", &[("x", &["+one", "+two", "+three", "+10.1.0.0/16"])]),
            preview("net@prod/b-1", &[("x", &["+one", "+two", "+three", "+10.2.0.0/16"])]),
            preview("net@prod/c-1", &[("x", same)]),
        ];
        let fold = fold(&previews, &names(&CIDRS));
        assert_eq!(told(&fold), ["net A a-1,b-1| x: +one +two +three +{cidr}", "net B c-1| x: +one +two +three +four"]);
        let (address, diff) = &fold.groups[1].differs[0];
        let mut lines = Vec::new();
        text_lines(diff, |sign, line| lines.push(format!("{sign}{line}")));
        assert_eq!(&**address, "x");
        assert_eq!(lines, ["@@ -1,4 +1,4 @@", " +one", " +two", " +three", "-+{cidr}", "++four"]);
        assert_eq!(fold.groups[1].differs_lines, 2);
    }

    #[test]
    fn an_outlier_with_one_more_edit_is_not_told_by_the_lines_around_it() {
        let page = |rate: &str, end: &str| format!("a\nb\n{rate}\nd\ne\nf\ng\nh\ni\nj\n{end}\n");
        let of = |target: &str, after: &str| {
            let mut preview = preview(target, &[("x", &["+x"])]);
            preview.changes[0].detail = Detail::Text(TextDiff::between(&page("400", "old"), after));
            preview
        };
        let usual = page("400", "new");
        let previews = [of("net@prod/a-1", &usual), of("net@prod/b-1", &usual), of("net@prod/c-1", &page("250", "new"))];

        let fold = fold(&previews, &Names::new());

        let mut lines = Vec::new();
        text_lines(&fold.groups[1].differs[0].1, |sign, line| lines.push(format!("{sign}{line}")));
        assert_eq!(lines[1..], ["+-400", "++250", " -old", " +new"]);
        assert_eq!(fold.groups[1].differs_lines, 2);
    }

    #[test]
    fn an_outlier_unlike_its_group_is_told_by_itself() {
        let previews = [
            preview("net@prod/a-1", &[("x", &["+one", "+two", "+three"])]),
            preview("net@prod/b-1", &[("x", &["+one", "+two", "+three"])]),
            preview("net@prod/c-1", &[("y", &["+four"])]),
        ];
        let fold = fold(&previews, &names(&CIDRS));
        assert!(fold.groups[1].differs.is_empty());
        assert_eq!(fold.groups[1].differs_lines, 4); // three lines less, one more
    }

    #[test]
    fn hidden_content_is_compared_by_digest_and_sensitive_content_is_not() {
        let hidden = |target: &str, digest: &str, sensitive: bool| {
            let mut preview = preview(target, &[("x", &["+x"])]);
            preview.changes[0].detail = Detail::Hidden("binary".into());
            preview.changes[0].before = None;
            preview.changes[0].after = Some(Digest::of("after", &[digest]));
            preview.changes[0].sensitive = sensitive;
            preview
        };
        let groups = |a: &str, b: &str, sensitive| {
            fold(&[hidden("net@prod/a-1", a, sensitive), hidden("net@prod/b-1", b, sensitive)], &Names::new()).groups.len()
        };
        assert_eq!((groups("1", "1", false), groups("1", "2", false), groups("1", "2", true)), (1, 2, 1));
    }

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 51, 52, 701, 702].map(letter), ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
    }
}
