//! Which values each target uses, and which of them differ between two commits: by what they are after every layer and
//! expression, so that a comment, an order of keys or a var that nobody reads is no change.

use super::fleet_file::PATH as FLEET;
use super::resolve::{Shared, all_of, output_place};
use super::{
    Fleet, Known, Mistakes, Node, OutputFrom, Reason, RegionId, Resolved, Resolver, Side, Site, Stack, StackName, Target, To,
    references_in,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compares the values of targets on two sides.
pub(super) struct Values<'a> {
    before: &'a Side<'a>,
    after: &'a Side<'a>,
    old: Resolver<&'a Fleet>,
    new: Resolver<&'a Fleet>,
    /// What a region gives differently than before: dotted names such as `vars.owner`. Nothing for an equal region.
    moved: BTreeMap<&'a RegionId, Vec<String>>,
}

/// What one stack reads, on both sides together.
pub(super) struct Reads {
    /// True when `stack.yaml` itself was edited or moved, so that anything may differ.
    edited: bool,
    /// Dotted names in expressions and in the engine's sources; left empty where nobody will ask.
    names: BTreeSet<String>,
    /// Those of `names` that the engine's sources read themselves.
    traced: BTreeSet<Arc<str>>,
}

impl<'a> Values<'a> {
    pub(super) fn of(before: &'a Side<'a>, after: &'a Side<'a>) -> Self {
        let (old, new) = (Resolver::new(before.fleet), Resolver::new(after.fleet));
        let is_same_file = is_same_file(before, FLEET, after, FLEET);
        let regions = after.fleet.regions.iter().filter(|_| !is_same_file).filter_map(|region| {
            let moved = moved_names(old.shared(&region.id)?, new.shared(&region.id)?);
            (!moved.is_empty()).then_some((&region.id, moved))
        });
        let moved = regions.collect();
        Self { before, after, old, new, moved }
    }

    /// Returns what `before`, now `after`, reads.
    pub(super) fn reads(&self, before: &Stack, after: &Stack) -> Reads {
        let uses = [(self.before, before), (self.after, after)]
            .into_iter()
            .filter_map(|(side, stack)| side.uses.get(stack.definition()));
        let traced: BTreeSet<_> = uses.flat_map(|uses| uses.names.iter().cloned()).collect();
        let is_moved = before.name != after.name || before.dir != after.dir;
        let edited = is_moved || !is_same_file(self.before, &before.site.path, self.after, &after.site.path);
        let mut names = BTreeSet::new();
        if !edited && !self.moved.is_empty() {
            names.extend(traced.iter().map(ToString::to_string));
            names.extend(expressions(before).chain(expressions(after)).flat_map(references_in).map(|found| found.to.to_string()));
        }
        Reads { edited, names, traced }
    }

    /// Returns the reasons that values and definitions give for `after`, which was `before`.
    pub(super) fn reasons(&self, before: &Target, after: &Target, reads: &Reads) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if !reads.edited && !self.may_differ(&after.id.region, reads) {
            return reasons;
        }
        match (self.old.resolve(before, &Known::default()), self.new.resolve(after, &Known::default())) {
            (Ok(was), Ok(is)) => {
                self.compare_values((before, &was), (after, &is), reads, &mut reasons);
                compare_definitions((before, &was), (after, &is), &mut reasons);
            }
            (Err(was), Err(is)) if !reads.edited && faults(&was) == faults(&is) => {}
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                reasons
                    .push(Reason::Definition { what: "a value that can't be filled in".into(), site: after.stack.site.clone() });
            }
        }
        reasons
    }

    /// Returns true when the region gives something differently that the stack reads.
    fn may_differ(&self, region: &RegionId, reads: &Reads) -> bool {
        let is_below =
            |long: &str, short: &str| long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let overlap = |one: &str, other: &str| is_below(one, other) || is_below(other, one);
        let moved = self.moved.get(region).map_or(&[][..], Vec::as_slice);
        moved.iter().any(|name| reads.names.iter().any(|read| overlap(read, name)))
    }

    fn compare_values(
        &self,
        (before, was): (&Target, &Resolved),
        (after, is): (&Target, &Resolved),
        reads: &Reads,
        reasons: &mut Vec<Reason>,
    ) {
        let names: BTreeSet<_> = was.inputs.keys().chain(is.inputs.keys()).collect();
        for name in names {
            let (old, new) = (was.inputs.get(name), is.inputs.get(name));
            if old.map(|input| &input.value) != new.map(|input| &input.value) {
                let site = new.or(old).map(|input| input.site.clone());
                reasons.push(Reason::Value { name: format!("inputs.{name}").into(), site });
            }
        }
        let traced = reads.traced.iter().filter(|name| !name.starts_with("inputs"));
        for name in traced.flat_map(|name| differing_names(name, was.value(name).as_ref(), is.value(name).as_ref())) {
            let site = site_of(self.after.fleet, after, &name).or_else(|| site_of(self.before.fleet, before, &name));
            reasons.push(Reason::Value { name: name.into(), site });
        }
    }
}

fn compare_definitions((before, was): (&Target, &Resolved), (after, is): (&Target, &Resolved), reasons: &mut Vec<Reason>) {
    let mut differs = |what: Arc<str>, site: &Site| reasons.push(Reason::Definition { what, site: site.clone() });
    if before.stack.dir != after.stack.dir {
        differs("directory".into(), &after.stack.site);
    }
    if before.stack.engine != after.stack.engine {
        differs("engine".into(), &is.section.site);
    } else if was.section.to_value() != is.section.to_value() {
        differs(after.stack.engine.clone(), &is.section.site);
    }
    if needs(&before.stack) != needs(&after.stack) {
        differs("depends_on".into(), after.stack.depends_on.first().map_or(&after.stack.site, |dependency| &dependency.site));
    }
    let names: BTreeSet<_> = was.outputs.keys().chain(is.outputs.keys()).collect();
    for name in names {
        let (old, new) = (was.outputs.get(name), is.outputs.get(name));
        if old.map(output_value) != new.map(output_value) {
            let site = new.map_or(&after.stack.site, |from| &output_node(from).site);
            differs(format!("outputs.{name}").into(), site);
        }
    }
}

fn needs(stack: &Stack) -> BTreeSet<(&StackName, Option<&RegionId>)> {
    stack.depends_on.iter().map(|dependency| (&dependency.written, dependency.region.as_ref())).collect()
}

fn output_node(from: &OutputFrom) -> &Node {
    match from {
        OutputFrom::Value(node) | OutputFrom::Engine(node) => node,
    }
}

fn output_value(from: &OutputFrom) -> (bool, Value) {
    (matches!(from, OutputFrom::Value(_)), output_node(from).to_value())
}

fn faults(mistakes: &Mistakes) -> Vec<&str> {
    mistakes.iter().map(|mistake| mistake.what.as_str()).collect()
}

/// Returns the parts of `stack` that may hold expressions.
fn expressions(stack: &Stack) -> impl Iterator<Item = &Node> {
    let inputs = stack.inputs.iter().map(|(_, _, node)| node);
    inputs.chain([&stack.section]).chain(stack.outputs.values().map(output_node))
}

/// Returns whose outputs `stack` uses; `None` is its own region.
pub(super) fn outputs_used(stack: &Stack) -> BTreeSet<(StackName, Option<RegionId>)> {
    let place = |to: To| match to {
        To::Output { stack: name, region, .. } => output_place(stack, &name, region.as_deref()).ok(),
        To::Region(_) | To::StackName | To::InstanceName | To::Vars(_) | To::Input(_) => None,
    };
    expressions(stack).flat_map(references_in).filter_map(|found| place(found.to)).collect()
}

/// Counts the values that `stack` uses: inputs, declared outputs, and names that the engine's sources read.
pub(super) fn count_values(side: &Side<'_>, stack: &Stack) -> usize {
    let traced = side.uses.get(stack.definition()).into_iter().flat_map(|uses| &uses.names);
    stack.inputs.len() + stack.outputs.len() + traced.filter(|name| !name.starts_with("inputs")).count()
}

/// Returns true when both files exist with the same bytes; what neither listing holds may be anything.
fn is_same_file(before: &Side<'_>, old: &str, after: &Side<'_>, new: &str) -> bool {
    let (old, new) = (before.listing.get(old), after.listing.get(new));
    old.zip(new).is_some_and(|(old, new)| old.id == new.id && old.mode == new.mode)
}

/// Returns the names of what a region gives differently, down to the top-level keys of vars and labels.
fn moved_names(old: &Shared, new: &Shared) -> Vec<String> {
    let mut names = Vec::new();
    for key in ["cloud", "labels", "vars"] {
        names.extend(differing_keys(&format!("region.{key}"), old.region.get(key), new.region.get(key)));
    }
    names.extend(differing_keys("vars", Some(&all_of(&old.vars)), Some(&all_of(&new.vars))));
    names
}

/// Returns the keys below `name` that differ, or `name` itself where one side is no map.
fn differing_keys(name: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
            keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).map(|key| format!("{name}.{key}")).collect()
        }
        (old, new) if old == new => Vec::new(),
        _ => vec![name.to_string()],
    }
}

/// Returns every name at or below `name` whose value differs, as deep as both sides are maps.
fn differing_names(name: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    match (old, new) {
        (Some(Value::Object(was)), Some(Value::Object(is))) => {
            let keys: BTreeSet<_> = was.keys().chain(is.keys()).collect();
            keys.into_iter().flat_map(|key| differing_names(&format!("{name}.{key}"), was.get(key), is.get(key))).collect()
        }
        (old, new) if old == new => Vec::new(),
        _ => vec![name.to_string()],
    }
}

/// Returns where the value called `name` is written for `target`.
fn site_of(fleet: &Fleet, target: &Target, name: &str) -> Option<Site> {
    if let Some(path) = name.strip_prefix("vars.") {
        return fleet.trace(&target.stack, &target.region, path).into_iter().next().map(|(_, site, _)| site);
    }
    let of_region = name.strip_prefix("region.vars.").and_then(|path| target.region.vars.find(path));
    of_region.map(|(site, _)| site).or_else(|| name.starts_with("region").then_some(&target.region.site)).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::sample::{FLEET, PLAIN, Sample, touched};
    use super::{Arc, Reason, Target, compare_definitions};

    /// A fleet file with one edit, and one stack in one region with `rest`.
    fn edited(from: &str, to: &str, rest: &str) -> [Sample; 2] {
        assert!(FLEET.contains(from), "{from}");
        let stack = PLAIN.replace("all", "{ region: prod/us }") + rest;
        [FLEET.to_string(), FLEET.replace(from, to)]
            .map(|fleet| Sample::of(&[("isobar.yaml", &fleet), ("apps/stack.yaml", &stack)]))
    }

    fn restacked(before: &str, after: &str) -> Vec<String> {
        let sample = |rest: &str| {
            let stack = PLAIN.replace("all", "{ region: prod/us }") + rest;
            Sample::of(&[("apps/stack.yaml", stack.as_str()), ("base/stack.yaml", PLAIN), ("dns/stack.yaml", PLAIN)])
        };
        touched(&sample(before), &sample(after))
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn comments_order_and_labels_are_no_change() {
        assert_eq!(restacked("inputs: { a: 1, b: 2 }\n", "# why\ninputs:\n  b: 2\n  a: 1\n"), NOTHING);
        assert_eq!(restacked("", "labels: { team: web }\n"), NOTHING);
        let [before, after] = edited("vars: { owner: p", "# why\nvars: { owner: p", "inputs: { a: '${{ vars.owner }}' }\n");
        assert_eq!(touched(&before, &after), NOTHING);
    }

    #[test]
    fn a_var_touches_only_the_stack_that_uses_it() {
        let uses = PLAIN.replace("all", "{ region: prod/us }") + "inputs: { owner: '${{ vars.owner }}' }\n";
        let [before, after] = ["platform", "sre"].map(|owner| {
            let fleet = FLEET.replace("platform", owner);
            Sample::of(&[("isobar.yaml", &fleet), ("api/stack.yaml", &uses), ("network/stack.yaml", PLAIN)])
        });
        assert_eq!(touched(&before, &after), ["api@prod/us: inputs.owner (api/stack.yaml:3)"]);
    }

    #[test]
    fn a_var_that_a_nearer_layer_wins_over_is_no_change() {
        let [before, after] =
            edited("owner: platform", "owner: sre", "vars: { owner: web }\ninputs: { a: '${{ vars.owner }}' }\n");
        assert_eq!(touched(&before, &after), NOTHING);
    }

    #[test]
    fn names_that_templates_read_count() {
        let trace = |samples: [Sample; 2], name: &str| {
            let [before, after] = samples.map(|sample| sample.uses("apps", &[], &[name]));
            touched(&before, &after)
        };
        let owner = || edited("owner: platform", "owner: sre", "");
        assert_eq!(trace(owner(), "vars.owner"), ["apps@prod/us: vars.owner (isobar.yaml:7)"]);
        assert_eq!(trace(owner(), "vars"), ["apps@prod/us: vars.owner (isobar.yaml:7)"]);
        assert_eq!(trace(owner(), "vars.size"), NOTHING);
        let tier = || edited("tier: one", "tier: zero", "");
        assert_eq!(trace(tier(), "region.labels.tier"), ["apps@prod/us: region.labels.tier (isobar.yaml:5)"]);
        assert_eq!(trace(tier(), "region.labels"), ["apps@prod/us: region.labels.tier (isobar.yaml:5)"]);
        assert_eq!(trace(tier(), "region.vars"), NOTHING);
        let cidr = edited("10.1.0.0", "10.7.0.0", "");
        assert_eq!(trace(cidr, "region.vars.cidr"), ["apps@prod/us: region.vars.cidr (isobar.yaml:5)"]);
    }

    #[test]
    fn a_var_of_the_stack_itself_counts_for_its_templates() {
        let [before, after] = ["1", "2"].map(|size| {
            let stack = format!("{}vars: {{ size: {size} }}\n", PLAIN.replace("all", "{ region: prod/us }"));
            Sample::of(&[("apps/stack.yaml", stack.as_str())]).uses("apps", &[], &["vars.size"])
        });
        assert_eq!(touched(&before, &after), ["apps@prod/us: vars.size (apps/stack.yaml:3)"]);
    }

    #[test]
    fn an_edited_definition_says_which_part_changed() {
        let told = |after: &str| restacked("inputs: { a: 1 }\noutputs: { id: x }\ndepends_on: [base]\n", after);
        assert_eq!(
            told("inputs: { a: 2 }\noutputs: { id: x }\ndepends_on: [base]\n"),
            ["apps@prod/us: inputs.a (apps/stack.yaml:3)"]
        );
        assert_eq!(
            told("inputs: { a: 1 }\noutputs: { id: y }\ndepends_on: [base]\n"),
            ["apps@prod/us: definition of outputs.id (apps/stack.yaml:4)"]
        );
        assert_eq!(
            told("inputs: { a: 1 }\noutputs: { id: x }\ndepends_on: [dns]\n"),
            ["apps@prod/us: definition of depends_on (apps/stack.yaml:5)"]
        );
        assert_eq!(restacked("inputs: { a: 1 }\n", ""), ["apps@prod/us: inputs.a (apps/stack.yaml:3)"]);
    }

    #[test]
    fn an_edit_of_the_section_names_the_engine() {
        let [before, after] = ["live", "out"].map(|dir| {
            let stack = PLAIN.replace("all", "{ region: prod/us }").replace("live", dir);
            Sample::of(&[("apps/stack.yaml", stack.as_str())])
        });
        assert_eq!(touched(&before, &after), ["apps@prod/us: definition of documents (apps/stack.yaml:2)"]);
    }

    #[test]
    fn another_engine_is_told_once() {
        let sample = Sample::of(&[("apps/stack.yaml", PLAIN)]);
        let (before, resolved) = (sample.target("apps@prod/us"), sample.resolved("apps@prod/us"));
        let stack = super::Stack { engine: "tofu".into(), ..(*before.stack).clone() };
        let after = Target { stack: Arc::new(stack), ..before.clone() };
        let mut reasons = Vec::new();
        compare_definitions((before, &resolved), (&after, &resolved), &mut reasons);
        assert!(matches!(&*reasons, [Reason::Definition { what, .. }] if &**what == "engine"), "{reasons:?}");
    }

    #[test]
    fn a_var_that_one_region_loses_touches_it_there() {
        let stack = PLAIN.replace("all", "{ environment: prod }") + "inputs: { a: '${{ region.vars.cidr }}' }\n";
        let [before, after] = [", vars: { cidr: 10.1.0.0/16 }", ""].map(|vars| {
            let fleet = FLEET.replace(", vars: { cidr: 10.1.0.0/16 }", vars);
            Sample::of(&[("isobar.yaml", &fleet), ("apps/stack.yaml", &stack)])
        });
        assert_eq!(touched(&before, &after), ["apps@prod/us: definition of a value that can't be filled in (apps/stack.yaml:1)"]);
    }
}
