//! Which targets a diff touches, and why: by comparing what each target uses on both sides, never by guessing from paths.

use super::used_files::{Both, count_files, file_reasons};
use super::used_values::{Reads, Values, count_values, outputs_used};
use super::{Fleet, Graph, Reason, RegionId, Side, Stack, StackName, Target, TargetId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// One touched target and every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub target: TargetId,
    pub reasons: Vec<Reason>,
}

/// The touched targets, in the order of the fleet; destroyed ones last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub touched: Vec<Why>,
}

/// What was compared of a target that is not touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Considered {
    pub files: usize,
    /// Inputs, declared outputs, and names that the engine's sources read.
    pub values: usize,
    pub dependencies: usize,
}

impl Selection {
    /// Compares both sides. Without a `before`, everything is new.
    pub fn between(before: Option<&Side<'_>>, after: &Side<'_>) -> Self {
        let targets = after.fleet.targets();
        let Some(before) = before else {
            let new = |target: &Target| Why { target: target.id.clone(), reasons: vec![Reason::New] };
            return Self { touched: targets.iter().map(new).collect() };
        };

        let values = Values::of(before, after);
        let stacks = Stacks::of(before, after, &values);
        let mut reasons: Vec<_> = targets.iter().map(|target| stacks.reasons(target, before.fleet, &values)).collect();
        let removed = stacks.removed(before.fleet, after.fleet);
        propagate(targets, &removed, &mut reasons);

        let touched = targets.iter().zip(reasons).filter(|(_, reasons)| !reasons.is_empty());
        let touched = touched.map(|(target, reasons)| Why { target: target.id.clone(), reasons: in_order(reasons) });
        let removed = removed.into_iter().map(|target| Why { target, reasons: vec![Reason::Removed] });
        Self { touched: touched.chain(removed).collect() }
    }

    /// Returns why `target` is touched. For many targets, make a map first.
    pub fn why(&self, target: &TargetId) -> Option<&Why> {
        self.touched.iter().find(|why| why.target == *target)
    }
}

impl Side<'_> {
    /// Returns what is compared of `target`, to be told of one that is not touched.
    pub fn considered(&self, target: &TargetId) -> Option<Considered> {
        let stack = &self.fleet.target(target)?.stack;
        let dependencies = Graph::of(self.fleet).dependencies(target).len();
        Some(Considered { files: count_files(self, stack), values: count_values(self, stack), dependencies })
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |count| if count == 1 { "" } else { "s" };
        let Considered { files, values, dependencies } = *self;
        let ies = if dependencies == 1 { "y" } else { "ies" };
        write!(f, "{files} file{}, {values} value{} and {dependencies} dependenc{ies}", s(files), s(values))
    }
}

/// Each stack of the new side with what it was: the stack of its own name first, then those it takes over.
struct Stacks<'a>(BTreeMap<&'a StackName, Vec<Compared<'a>>>);

/// One stack against what it was.
struct Compared<'a> {
    before: &'a Stack,
    files: Vec<Reason>,
    reads: Reads,
}

impl<'a> Stacks<'a> {
    fn of(before: &'a Side<'_>, after: &'a Side<'_>, values: &Values<'_>) -> Self {
        let pairs: Vec<_> = after.fleet.stacks.iter().flat_map(|stack| pasts(stack, before.fleet, after.fleet)).collect();
        let files = file_reasons(before, after, &pairs);
        let mut stacks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (Both { before, after }, files) in pairs.into_iter().zip(files) {
            let reads = values.reads(before, after);
            stacks.entry(&after.name).or_default().push(Compared { before, files, reads });
        }
        Self(stacks)
    }

    /// Returns the reasons that `target` itself gives, without its dependencies.
    fn reasons(&self, target: &Target, before: &Fleet, values: &Values<'_>) -> Vec<Reason> {
        let pasts = self.0.get(&target.id.stack).into_iter().flatten();
        let mut pasts = pasts.filter_map(|past| Some((past, before.target(&in_region(past.before, &target.id.region))?)));
        let Some((past, was)) = pasts.next() else { return vec![Reason::New] };

        let mut reasons = past.files.clone();
        reasons.extend(values.reasons(was, target, &past.reads));
        let others = pasts.map(|(_, other)| other).chain((was.id != target.id).then_some(was));
        reasons.extend(others.map(|other| Reason::Renamed { from: other.id.clone() }));
        reasons
    }

    /// Returns the targets of `before` that are gone and that no target of `after` takes over.
    fn removed(&self, before: &Fleet, after: &Fleet) -> Vec<TargetId> {
        let mut heirs: BTreeMap<&StackName, Vec<&StackName>> = BTreeMap::new();
        for (name, pasts) in &self.0 {
            pasts.iter().for_each(|past| heirs.entry(&past.before.name).or_default().push(name));
        }
        let has_heir = |id: &TargetId| {
            let names = heirs.get(&id.stack).into_iter().flatten();
            names.copied().any(|name| after.target(&TargetId::new(name.clone(), id.region.clone())).is_some())
        };
        before.targets().iter().map(|target| &target.id).filter(|id| !has_heir(id)).cloned().collect()
    }
}

/// Returns `stack` against everything it was.
fn pasts<'a>(stack: &'a Stack, before: &'a Fleet, after: &Fleet) -> impl Iterator<Item = Both<'a>> {
    let renamed = stack.was.iter().filter(|name| **name != stack.name && after.stack(name).is_none());
    let names: Vec<_> = [&stack.name].into_iter().chain(renamed).collect();
    names.into_iter().filter_map(|name| before.stack(name)).map(|was| Both { before: was, after: stack })
}

fn in_region(stack: &Stack, region: &RegionId) -> TargetId {
    TargetId::new(stack.name.clone(), region.clone())
}

/// Gives every target that uses outputs of a touched one a reason, and what uses theirs, and so on.
fn propagate(targets: &[Target], removed: &[TargetId], reasons: &mut [Vec<Reason>]) {
    let touched = targets.iter().zip(&*reasons).filter(|(_, reasons)| !reasons.is_empty()).map(|(target, _)| &target.id);
    let mut queue: Vec<TargetId> = touched.chain(removed).cloned().collect();
    if queue.is_empty() {
        return;
    }
    let users = users_of_outputs(targets);
    while let Some(target) = queue.pop() {
        for user in users.get(&target).into_iter().flatten() {
            let own = &mut reasons[*user];
            if own.is_empty() {
                queue.push(targets[*user].id.clone());
            }
            if !own.contains(&Reason::New) {
                own.push(Reason::Dependency { target: target.clone() });
            }
        }
    }
}

/// Returns, for each target whose outputs are used, the places in `targets` of those who use them. For lookup only.
pub fn users_of_outputs(targets: &[Target]) -> HashMap<TargetId, Vec<usize>> {
    let mut users: HashMap<_, Vec<_>> = HashMap::new();
    let mut stacks: HashMap<&StackName, BTreeSet<(StackName, Option<RegionId>)>> = HashMap::new();
    for (at, target) in targets.iter().enumerate() {
        let used = stacks.entry(&target.id.stack).or_insert_with(|| outputs_used(&target.stack));
        for (stack, region) in &*used {
            let region = region.as_ref().unwrap_or(&target.id.region);
            users.entry(TargetId::new(stack.clone(), region.clone())).or_default().push(at);
        }
    }
    users
}

fn in_order(mut reasons: Vec<Reason>) -> Vec<Reason> {
    reasons.sort();
    reasons.dedup();
    reasons
}

#[cfg(test)]
mod tests {
    use super::super::sample::{FLEET, PLAIN, Sample, touched};
    use super::*;

    /// `base` with an output, `network` that uses it, `api` that uses network's, and `logs` that only waits for `base`.
    fn chain() -> Vec<(&'static str, String)> {
        let with = |rest: &str| format!("{PLAIN}{rest}").replace("all", "{ region: [prod/us, prod/eu] }");
        vec![
            ("base/stack.yaml", with("inputs: { cidr: '${{ region.vars.cidr }}' }\noutputs: { id: '${{ inputs.cidr }}' }\n")),
            (
                "network/stack.yaml",
                with("inputs: { id: '${{ stacks[\"base\"].outputs.id }}' }\noutputs: { net: { at: net.txt } }\n"),
            ),
            ("api/stack.yaml", with("inputs: { net: '${{ stacks[\"network\"].outputs.net }}' }\n")),
            ("logs/stack.yaml", with("depends_on: [base]\n")),
        ]
    }

    fn sample(files: &[(&str, String)]) -> Sample {
        Sample::of(&files.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>())
    }

    fn one(files: &[(&str, &str)]) -> Sample {
        let stack = PLAIN.replace("all", "{ region: prod/us }");
        Sample::of(&[&[("network/stack.yaml", stack.as_str())], files].concat())
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn without_a_before_everything_is_new() {
        let after = sample(&chain());
        let selection = Selection::between(None, &after.side());
        assert_eq!(selection.touched.len(), 8);
        assert!(selection.touched.iter().all(|why| why.reasons == [Reason::New]));
    }

    #[test]
    fn the_same_commit_touches_nothing() {
        assert_eq!(touched(&sample(&chain()), &sample(&chain())), NOTHING);
    }

    #[test]
    fn outputs_touch_who_uses_them_and_who_uses_theirs_but_not_who_only_waits() {
        let mut files = chain();
        let before = sample(&files);
        files.push(("base/main.txt", "a".into()));
        let lines = touched(&before, &sample(&files));
        let us: Vec<_> = lines.iter().filter(|line| line.contains("@prod/us: ")).collect();
        let expected = [
            "api@prod/us: outputs of network@prod/us",
            "base@prod/us: file base/main.txt",
            "network@prod/us: outputs of base@prod/us",
        ];
        assert_eq!(us, expected);
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn a_var_of_one_region_touches_only_that_region() {
        let fleet = FLEET.replace("10.2.0.0", "10.9.0.0");
        let mut files = chain();
        let before = sample(&files);
        files.push(("isobar.yaml", fleet));
        let expected = [
            "api@prod/eu: outputs of network@prod/eu",
            "base@prod/eu: inputs.cidr (base/stack.yaml:3), definition of outputs.id (base/stack.yaml:4)",
            "network@prod/eu: outputs of base@prod/eu",
        ];
        assert_eq!(touched(&before, &sample(&files)), expected);
    }

    #[test]
    fn a_new_region_touches_only_its_new_targets() {
        let fleet = FLEET.replace("vars: { owner: p", "  prod/ap: {}\nvars: { owner: p");
        let before = Sample::of(&[("network/stack.yaml", PLAIN)]);
        let after = Sample::of(&[("isobar.yaml", &fleet), ("network/stack.yaml", PLAIN)]);
        assert_eq!(touched(&before, &after), ["network@prod/ap: new"]);
    }

    #[test]
    fn a_deleted_stack_and_a_region_no_longer_matched_are_to_be_destroyed_last() {
        let some = PLAIN.replace("all", "{ environment: prod }");
        let before = Sample::of(&[("apps/stack.yaml", &some), ("network/stack.yaml", PLAIN)]);
        let after = Sample::of(&[("network/stack.yaml", &some), ("zone/stack.yaml", &some)]);
        let expected = [
            "zone@prod/us: new",
            "zone@prod/eu: new",
            "apps@prod/us: removed",
            "apps@prod/eu: removed",
            "network@staging/us: removed",
        ];
        assert_eq!(touched(&before, &after), expected);
    }

    #[test]
    fn a_removed_dependency_touches_who_used_its_outputs() {
        let mut files = chain();
        let before = sample(&files);
        files[1].1 = files[1].1.replace("inputs: { id: '${{ stacks[\"base\"].outputs.id }}' }\n", "");
        files.retain(|(path, _)| !path.starts_with("base") && !path.starts_with("logs"));
        let lines = touched(&before, &sample(&files));
        let us: Vec<_> = lines.iter().filter(|line| line.contains("@prod/us: ")).collect();
        let expected = [
            "api@prod/us: outputs of network@prod/us",
            "network@prod/us: inputs.id (network/stack.yaml:3), definition of depends_on (network/stack.yaml:1)",
            "base@prod/us: removed",
            "logs@prod/us: removed",
        ];
        assert_eq!(us, expected);
    }

    #[test]
    fn a_renamed_stack_takes_over_and_nothing_is_destroyed() {
        let renamed = PLAIN.replace("all", "{ region: prod/us }") + "was: network\n";
        let before = one(&[("network/a.txt", "a"), ("network/b.txt", "b")]);
        let after = Sample::of(&[("net/stack.yaml", &renamed), ("net/a.txt", "a"), ("net/b.txt", "new")]);
        let expected = "net@prod/us: was network@prod/us, file net/b.txt, definition of directory (net/stack.yaml:1), \
                        definition of documents (net/stack.yaml:2)";
        assert_eq!(touched(&before, &after), [expected]);
        assert_eq!(touched(&after, &after), NOTHING);
    }

    #[test]
    fn a_renamed_stack_that_leaves_a_region_leaves_something_to_destroy() {
        let renamed = PLAIN.replace("all", "{ environment: prod }") + "was: network\n";
        let lines = touched(&Sample::of(&[("network/stack.yaml", PLAIN)]), &Sample::of(&[("net/stack.yaml", &renamed)]));
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "network@staging/us: removed");
    }

    #[test]
    fn a_moved_stack_that_keeps_its_name_is_no_other_stack() {
        let moved = PLAIN.replace("all", "{ region: prod/us }") + "name: network\n";
        let before = Sample::of(&[("network/stack.yaml", &moved), ("network/a.txt", "a")]);
        let after = Sample::of(&[("far/network/stack.yaml", &moved), ("far/network/a.txt", "a")]);
        let lines = touched(&before, &after);
        assert_eq!(lines, ["network@prod/us: definition of directory (far/network/stack.yaml:3)"]);
    }

    #[test]
    fn what_was_compared_is_counted() {
        let sample = sample(&chain()).uses("network", &["lib/a.txt"], &["vars.owner", "inputs.id"]);
        let considered = sample.side().considered(&"network@prod/us".parse().expect("an id")).expect("a target");
        assert_eq!(considered, Considered { files: 0, values: 3, dependencies: 1 });
        assert_eq!(considered.to_string(), "0 files, 3 values and 1 dependency");
        assert_eq!(sample.side().considered(&"network@staging/us".parse().expect("an id")), None);
    }
}
