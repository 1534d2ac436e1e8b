//! What one target is given: its inputs, vars and engine section with every expression filled in. Knows layers and marks;
//! not where outputs come from, nor what a secret's value is.

mod scope;

use super::layer::{Merged, lay_stack};
use super::{Fleet, Mistakes, OutputFrom, Region, RegionId, Resolved, Target, TargetId};
use serde_json::{Map, Value, json};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use scope::Scope;
pub(super) use scope::{all_of, output_place};

/// The outputs known so far, by target and name. What is not in it becomes a named hole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known(pub BTreeMap<TargetId, BTreeMap<Arc<str>, Value>>);

/// Resolves many targets of one fleet: what the stacks of a region share is merged once.
pub struct Resolver<F: Borrow<Fleet>> {
    fleet: F,
    regions: BTreeMap<RegionId, OnceLock<Shared>>,
}

/// What every stack of a region is given alike.
pub(super) struct Shared {
    pub(super) region: Value,
    pub(super) vars: Merged,
}

impl Fleet {
    /// Fills in what `target` is given. References were checked when the fleet was read; what is left to fail is a value of
    /// one region, such as a var that only other regions have. For many targets, keep a [`Resolver`].
    pub fn resolve(&self, target: &Target, known: &Known) -> Result<Resolved, Mistakes> {
        Resolver::new(self).resolve(target, known)
    }
}

impl<F: Borrow<Fleet>> Resolver<F> {
    pub fn new(fleet: F) -> Self {
        let regions = fleet.borrow().regions.iter().map(|region| (region.id.clone(), OnceLock::new())).collect();
        Self { fleet, regions }
    }

    /// Like [`Fleet::resolve`]. `target` must be one of this fleet's.
    pub fn resolve(&self, target: &Target, known: &Known) -> Result<Resolved, Mistakes> {
        let none = Shared { region: Value::Null, vars: Merged::new() };
        let shared = self.shared(&target.region.id).unwrap_or(&none);
        let mut vars = shared.vars.clone();
        lay_stack(&mut vars, &target.stack);

        let mut mistakes = Mistakes::default();
        let mut scope = Scope { resolver: self, target, known, region: &shared.region, vars: &vars, inputs: BTreeMap::new() };
        scope.inputs = target.stack.inputs.iter().map(|input| scope.input(input, &mut mistakes)).collect();
        let section = scope.fill(&target.stack.section, &mut mistakes);
        let outputs = target.stack.outputs.iter().map(|(name, from)| {
            let filled = match from {
                OutputFrom::Value(node) => OutputFrom::Value(scope.fill(node, &mut mistakes)),
                OutputFrom::Engine(node) => OutputFrom::Engine(scope.fill(node, &mut mistakes)),
            };
            (name.clone(), filled)
        });
        let outputs = outputs.collect();
        let inputs = scope.inputs;
        mistakes.or(Resolved { inputs, vars, region: shared.region.clone(), section, outputs })
    }

    /// Returns the sensitive inputs of `target` that can be filled in; what is wrong with others plays no part.
    pub fn sensitive(&self, target: &Target) -> Vec<(Arc<str>, Value)> {
        let none = Shared { region: Value::Null, vars: Merged::new() };
        let shared = self.shared(&target.region.id).unwrap_or(&none);
        let mut vars = shared.vars.clone();
        lay_stack(&mut vars, &target.stack);
        let (region, vars, known) = (&shared.region, &vars, &Known::default());
        let scope = Scope { resolver: self, target, known, region, vars, inputs: BTreeMap::new() };
        let inputs = target.stack.inputs.iter().filter(|(name, ..)| target.stack.may_be_sensitive(name));
        inputs.map(|input| scope.input(input, &mut Mistakes::default())).map(|(name, input)| (name, input.value)).collect()
    }

    /// Returns what the stacks of region `id` share, or nothing when the fleet has no such region.
    pub(super) fn shared(&self, id: &RegionId) -> Option<&Shared> {
        let fleet = self.fleet.borrow();
        let (shared, region) = (self.regions.get(id)?, fleet.region(id)?);
        Some(shared.get_or_init(|| Shared { region: region_value(region), vars: fleet.vars_below_stacks(region) }))
    }

    /// Says in which regions `has` is true, for a value that `region` lacks.
    fn elsewhere(&self, has: impl Fn(&Shared) -> bool) -> String {
        const NAMED: usize = 3; // enough to see the pattern, short enough for one line
        let with: Vec<_> = self.regions.keys().filter(|id| self.shared(id).is_some_and(&has)).collect();
        let named = with.iter().take(NAMED).map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        match with.len() {
            0 => "no region has it".into(),
            len if len <= NAMED => format!("only {named} {} it", if len == 1 { "has" } else { "have" }),
            len => format!("{named} and {} more have it", len - NAMED),
        }
    }
}

fn region_value(region: &Region) -> Value {
    let labels: Map<_, _> = region.labels.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect();
    let vars: Map<_, _> = region.vars.entries().iter().map(|(key, _, node)| (key.to_string(), node.to_value())).collect();
    let mut value = json!({
        "id": region.id.as_str(),
        "environment": region.id.environment(),
        "name": region.id.name(),
        "labels": labels,
        "vars": vars,
    });
    if let Some(cloud) = &region.cloud {
        value["cloud"] = json!(&**cloud); // else it is undefined, as a label that is not there
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::sample::{PLAIN, Sample};
    use super::super::{Node, Traced, mark_hole};
    use super::super::{mark_secret, show_marks};
    use super::*;
    use std::collections::BTreeSet;

    const BASE: &str = "where: all\noutputs: { id: '${{ region.name }}-base' }\ndocuments: { source: ., destination: 'file:./live/${{ region.id }}' }\n";

    /// A fleet of `base`, `dns` in one region, and `network` with `rest`.
    fn with(rest: &str) -> Sample {
        let dns =
            PLAIN.replace("all", "{ region: [prod/eu] }") + "outputs: { ip: { document: ip.txt }, list: { document: a.json } }\n";
        let network = format!("{PLAIN}{rest}");
        Sample::of(&[("base/stack.yaml", BASE), ("dns/stack.yaml", &dns), ("network/stack.yaml", &network)])
    }

    fn input(sample: &Sample, known: &Known, name: &str) -> Traced {
        let resolved = sample.fleet.resolve(sample.target("network@prod/us"), known).expect("a network without mistakes");
        resolved.inputs[name].clone()
    }

    fn shown(value: &Value) -> String {
        show_marks(value.as_str().expect("a text"))
    }

    #[test]
    fn inputs_take_the_values_of_their_own_region() {
        let sample = with(
            "inputs:\n  cidr: ${{ region.vars.cidr }}\n  tag: ${{ vars.owner }} of ${{ stack.name }} in ${{ region.name }}\n",
        );
        let values = |target| {
            let inputs = sample.resolved(target).inputs;
            [inputs["cidr"].value.clone(), inputs["tag"].value.clone()]
        };
        assert_eq!(values("network@prod/us"), [json!("10.1.0.0/16"), json!("platform of network in us")]);
        assert_eq!(values("network@prod/eu"), [json!("10.2.0.0/16"), json!("eu-team of network in eu")]);
    }

    #[test]
    fn the_section_and_the_outputs_may_use_inputs() {
        let rest = "inputs: { name: '${{ region.name }}-net' }\noutputs: { id: 'id-${{ inputs.name }}' }\n";
        let resolved = with(rest).resolved("network@prod/us");
        assert_eq!(resolved.section.get("destination").and_then(Node::as_str), Some("file:./live/prod/us/network"));
        let OutputFrom::Value(id) = &resolved.outputs["id"] else { panic!("a value") };
        assert_eq!(id.as_str(), Some("id-us-net"));
    }

    #[test]
    fn an_unknown_output_is_a_hole_named_after_its_target() {
        let sample =
            with("inputs:\n  id: ${{ stacks[\"base\"].outputs.id }}\n  ip: x-${{ stacks[\"dns@prod/eu\"].outputs.ip }}\n");
        let none = Known::default();
        assert_eq!(shown(&input(&sample, &none, "id").value), "‹base.outputs.id›");
        assert_eq!(shown(&input(&sample, &none, "ip").value), "x-‹dns@prod/eu.outputs.ip›");
        let holes = sample.resolved("network@prod/us").holes();
        assert_eq!(holes.iter().map(|name| &**name).collect::<Vec<_>>(), ["base.outputs.id", "dns@prod/eu.outputs.ip"]);
    }

    #[test]
    fn a_dependency_that_names_a_region_is_asked_there() {
        let sample = with("depends_on: [dns@prod/eu]\ninputs: { ip: '${{ stacks[\"dns\"].outputs.ip }}' }\n");
        assert_eq!(shown(&input(&sample, &Known::default(), "ip").value), "‹dns@prod/eu.outputs.ip›");
    }

    #[test]
    fn known_outputs_fill_their_holes_and_keep_marks_of_their_own() {
        let sample =
            with("inputs:\n  id: ${{ stacks[\"base\"].outputs.id }}\n  one: ${{ stacks[\"dns@prod/eu\"].outputs.list[0] }}\n");
        let know = |target: &str, name: &str, value| {
            Known([(target.parse().expect("an id"), [(name.into(), value)].into_iter().collect())].into_iter().collect())
        };
        assert_eq!(input(&sample, &know("base@prod/us", "id", json!(7)), "id").value, json!(7));
        assert_eq!(input(&sample, &know("dns@prod/eu", "list", json!(["a"])), "one").value, json!("a"));
        let proposed = know("dns@prod/eu", "list", json!(mark_hole("far.outputs.list")));
        assert_eq!(shown(&input(&sample, &proposed, "one").value), "‹dns@prod/eu.outputs.list.0›");
    }

    #[test]
    fn secrets_are_marks_and_sensitive() {
        let sample = with("sensitive: [plain]\ninputs: { password: !secret DB_PASSWORD, plain: a, open: b }\n");
        let inputs = sample.resolved("network@prod/us").inputs;
        assert_eq!(inputs["password"].value, json!(mark_secret("DB_PASSWORD")));
        let sensitive: Vec<_> = inputs.iter().filter(|(_, input)| input.sensitive).map(|(name, _)| &**name).collect();
        assert_eq!(sensitive, ["password", "plain"]);
        assert_eq!(sample.resolved("network@prod/us").secrets(), BTreeSet::from(["DB_PASSWORD".into()]));
    }

    #[test]
    fn a_var_of_other_regions_only_is_a_mistake_at_its_expression() {
        let fleet = "version: 1\nregions:\n  prod/eu: { vars: { zone: a } }\n  prod/us: {}\n";
        let stack = format!("{PLAIN}inputs:\n  zone: ${{{{ region.vars.zone }}}}\n  again: ${{{{ vars.zone }}}}\n");
        let sample = Sample::of(&[("isobar.yaml", fleet), ("network/stack.yaml", &stack)]);
        assert!(sample.fleet.resolve(sample.target("network@prod/eu"), &Known::default()).is_ok());
        let mistakes = sample.fleet.resolve(sample.target("network@prod/us"), &Known::default()).expect_err("zone is missing");
        let told: Vec<_> = mistakes.iter().map(|mistake| (mistake.site.as_ref().map(|site| site.line), &*mistake.what)).collect();
        let expected = [
            (Some(4), "region.vars has no \"zone\" in prod/us; only prod/eu has it"),
            (Some(5), "vars has no \"zone\" in prod/us; only prod/eu has it"),
        ];
        assert_eq!(told, expected);
    }
}
