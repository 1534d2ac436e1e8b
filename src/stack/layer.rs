//! Layers of vars: fleet < environment < cloud < region < stack < instance. A later layer wins, maps are merged key by key,
//! lists are replaced; every value knows its file and line, and whom it won over.

use super::mark::has_secret;
use super::vars::{Found, find};
use super::{Fleet, Layer, Region, Site, Stack, Traced, Vars};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Merged vars, one entry a top-level key.
pub(super) type Merged = BTreeMap<Arc<str>, Traced>;

impl Fleet {
    /// Returns the merged vars of `stack` in `region`. A merged map is traced to the nearest layer that states any of it;
    /// [`Fleet::trace`] tells of its parts.
    pub fn vars_of(&self, stack: &Stack, region: &Region) -> BTreeMap<Arc<str>, Traced> {
        let mut merged = self.vars_below_stacks(region);
        lay_stack(&mut merged, stack);
        merged
    }

    /// Returns who states the var at `path` (`tags.owner`) for `stack` in `region`, nearest first, each with its own value:
    /// the first one wins, unless all are maps, which are merged. Empty when the var does not exist there.
    pub fn trace(&self, stack: &Stack, region: &Region, path: &str) -> Vec<(Layer, Site, Value)> {
        let layers: Vec<_> = self.layers_below_stacks(region).chain(layers_of(stack)).collect();
        let mut stated = Vec::new();
        for (layer, vars) in layers.into_iter().rev() {
            match find(vars.entries(), path) {
                Found::Here(site, node) => {
                    stated.push((layer, site.clone(), node.to_value()));
                }
                Found::Replaced => break, // what lower layers say below this value is gone
                Found::Absent => {}
            }
        }
        stated
    }

    /// Merges the layers that all stacks of `region` share.
    pub(super) fn vars_below_stacks(&self, region: &Region) -> Merged {
        let mut merged = Merged::new();
        for (layer, vars) in self.layers_below_stacks(region) {
            lay(&mut merged, &layer, vars);
        }
        merged
    }

    fn layers_below_stacks<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = (Layer, &'a Vars)> {
        let environment = self.environment_vars.get_key_value(region.id.environment());
        let cloud = region.cloud.as_ref().and_then(|cloud| self.cloud_vars.get_key_value(cloud));
        [
            Some((Layer::Fleet, &self.vars)),
            environment.map(|(name, vars)| (Layer::Environment(name.clone()), vars)),
            cloud.map(|(name, vars)| (Layer::Cloud(name.clone()), vars)),
            Some((Layer::Region(region.id.clone()), &region.vars)),
        ]
        .into_iter()
        .flatten()
    }
}

/// Lays the vars of `stack` itself over what is merged so far.
pub(super) fn lay_stack(merged: &mut Merged, stack: &Stack) {
    for (layer, vars) in layers_of(stack) {
        lay(merged, &layer, vars);
    }
}

fn layers_of(stack: &Stack) -> impl Iterator<Item = (Layer, &Vars)> {
    let instance = stack.instance.as_ref().map(|instance| (Layer::Instance(stack.name.clone()), &instance.vars));
    [(Layer::Stack(stack.definition().clone()), &stack.vars)].into_iter().chain(instance)
}

/// Lays the vars of `layer` over what is merged so far.
fn lay(merged: &mut Merged, layer: &Layer, vars: &Vars) {
    for (key, site, node) in vars.entries() {
        let mut traced =
            Traced { value: node.to_value(), site: site.clone(), layer: Some(layer.clone()), over: Vec::new(), sensitive: false };
        if let Some(below) = merged.remove(key) {
            traced.over.extend(below.layer.map(|layer| (layer, below.site)));
            traced.over.extend(below.over);
            traced.value = deepen(below.value, traced.value);
        }
        traced.sensitive = has_secret(&traced.value);
        merged.insert(key.clone(), traced);
    }
}

/// Returns `above` over `below`: two maps are merged key by key, anything else is replaced.
fn deepen(below: Value, above: Value) -> Value {
    match (below, above) {
        (Value::Object(mut below), Value::Object(above)) => {
            for (key, value) in above {
                let value = match below.remove(&key) {
                    Some(under) => deepen(under, value),
                    None => value,
                };
                below.insert(key, value);
            }
            Value::Object(below)
        }
        (_, above) => above,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;
    use serde_json::json;

    const LAYERS: &str = "
version: 1
vars:
  owner: platform
  zones: [a, b]
  tags: { team: core, cost: one }
environments:
  prod: { vars: { owner: prod-team } }
clouds:
  aws: { vars: { zones: [c] } }
regions:
  prod/us: { cloud: aws, vars: { owner: us-team, tags: { cost: two } } }
  prod/eu: { cloud: gcp }
";
    const STACK: &str = "where: all
vars: { owner: net-team, tags: { net: yes-please } }
documents: { source: ., destination: 'file:./live/${{ region.id }}' }
";

    fn sample() -> Sample {
        Sample::of(&[("isobar.yaml", LAYERS), ("network/stack.yaml", STACK)])
    }

    fn vars(target: &str) -> BTreeMap<Arc<str>, Traced> {
        let sample = sample();
        let target = sample.target(target);
        sample.fleet.vars_of(&target.stack, &target.region)
    }

    #[test]
    fn the_nearest_layer_wins_and_knows_whom_it_won_over() {
        let vars = vars("network@prod/us");
        let owner = &vars["owner"];
        assert_eq!(owner.value, json!("net-team"));
        let over: Vec<_> = owner.over.iter().map(|(layer, site)| format!("{layer} {}", site.line)).collect();
        assert_eq!(over, ["region prod/us 12", "environment prod 8", "fleet 4"]);
        assert_eq!(owner.site, Site::new("network/stack.yaml", 2, 9));
    }

    #[test]
    fn maps_are_merged_key_by_key_and_lists_are_replaced() {
        let vars = vars("network@prod/us");
        assert_eq!(vars["tags"].value, json!({ "team": "core", "cost": "two", "net": "yes-please" }));
        assert_eq!(vars["zones"].value, json!(["c"]));
    }

    #[test]
    fn a_region_takes_no_part_in_another_cloud() {
        assert_eq!(vars("network@prod/eu")["zones"].value, json!(["a", "b"]));
    }

    #[test]
    fn a_trace_tells_of_one_key_inside_a_merged_map() {
        let sample = sample();
        let target = sample.target("network@prod/us");
        let trace = |path| {
            let stated = sample.fleet.trace(&target.stack, &target.region, path);
            stated.iter().map(|(layer, site, value)| format!("{layer} {} {value}", site.line)).collect::<Vec<_>>()
        };
        assert_eq!(trace("tags.cost"), ["region prod/us 12 \"two\"", "fleet 6 \"one\""]);
        assert_eq!(trace("tags.team"), ["fleet 6 \"core\""]);
        assert_eq!(trace("tags.none"), Vec::<String>::new());
    }

    #[test]
    fn what_stood_below_a_replaced_map_is_gone() {
        let fleet = "version: 1\nvars: { tags: { team: core } }\nregions: { prod/us: { vars: { tags: none } } }\n";
        let stack = "where: all\nvars: { tags: { net: one } }\ndocuments: { source: ., destination: file:./live }\n";
        let sample = Sample::of(&[("isobar.yaml", fleet), ("network/stack.yaml", stack)]);
        let target = sample.target("network@prod/us");
        assert_eq!(sample.resolved("network@prod/us").vars["tags"].value, json!({ "net": "one" }));
        assert_eq!(sample.fleet.trace(&target.stack, &target.region, "tags.team"), []);
    }
}
