//! What the tests of this room share: definitions, targets and rollouts from short texts.

use super::order::Order;
use super::plan::waves;
use super::{Paces, PlanError, Progress, Rollout, Settings, Todo};
use crate::change::Intent;
use crate::policy::Clearance;
use crate::stack::{Kind, Mistakes, Node, Region, Site, TargetId, Vars};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads YAML without places: entry by entry the line grows by one, as in a file with one entry a line.
pub(super) fn node(text: &str) -> Node {
    convert(&serde_yaml::from_str(text).expect("the test's YAML"), &mut 0)
}

fn convert(value: &serde_yaml::Value, line: &mut u32) -> Node {
    use serde_yaml::Value;
    let site = Site::new("isobar.yaml", (*line).max(1), 1);
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(flag) => Kind::Bool(*flag),
        Value::Number(number) => Kind::Number(number.as_u64().expect("whole numbers only").into()),
        Value::String(text) => Kind::Text(text.as_str().into()),
        Value::Sequence(items) => Kind::List(items.iter().map(|item| item_of(item, line)).collect()),
        Value::Mapping(entries) => Kind::Map(entries.iter().map(|(key, value)| entry_of(key, value, line)).collect()),
        Value::Tagged(_) => panic!("no tags in these tests"),
    };
    Node { site, kind }
}

/// A map in a list begins on the line of its first entry.
fn item_of(item: &serde_yaml::Value, line: &mut u32) -> Node {
    let mut node = convert(item, line);
    if let Kind::Map(entries) = &node.kind
        && let Some((_, first, _)) = entries.first()
    {
        node.site = first.clone();
    }
    node
}

fn entry_of(key: &serde_yaml::Value, value: &serde_yaml::Value, line: &mut u32) -> (Arc<str>, Site, Node) {
    *line += 1;
    let site = Site::new("isobar.yaml", *line, 1);
    (key.as_str().expect("keys are texts").into(), site, convert(value, line))
}

pub(super) fn regions(ids: &[&str]) -> Vec<Arc<Region>> {
    let region = |id: &&str| Region {
        id: id.parse().expect("a region's id"),
        cloud: None,
        labels: BTreeMap::new(),
        weight: 1,
        vars: Vars(None),
        site: Site::new("isobar.yaml", 1, 1),
    };
    ids.iter().map(|id| Arc::new(region(id))).collect()
}

pub(super) fn settings(text: &str, ids: &[&str]) -> Settings {
    let mut mistakes = Mistakes::default();
    let settings = Settings::of(&regions(ids), &crate::stack::Unread::default(), Some(&node(text)), &mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    settings
}

pub(super) fn id(text: &str) -> TargetId {
    text.parse().expect("a target's id")
}

/// Targets that must come first: who waits, for whom.
pub(super) type Needs<'a> = &'a [(&'a str, &'a str)];

/// Plans targets such as `a@prod/us` or `-a@prod/us`, which is destroyed. Each `(a, b)` of `needs` says that `a` depends on `b`;
/// for a destroyed `b` it says so of the definitions before.
pub(super) fn plan(settings: &Settings, targets: &[&str], needs: Needs<'_>) -> Result<Rollout, PlanError> {
    plan_by(&settings.clone().into(), targets, needs)
}

/// Like [`plan`], of targets that are at several commits.
pub(super) fn plan_by(paces: &Paces, targets: &[&str], needs: Needs<'_>) -> Result<Rollout, PlanError> {
    let targets: Vec<(TargetId, Intent, u32)> = targets
        .iter()
        .map(|text| match text.strip_prefix('-') {
            Some(text) => (id(text), Intent::Destroy, 1),
            None => (id(text), Intent::Converge, 1),
        })
        .collect();
    let mut down: BTreeMap<TargetId, Vec<TargetId>> = BTreeMap::new();
    let mut up: BTreeMap<TargetId, Vec<TargetId>> = BTreeMap::new();
    for (late, early) in needs {
        down.entry(id(late)).or_default().push(id(early));
        up.entry(id(early)).or_default().push(id(late));
    }
    let of = |map: &BTreeMap<TargetId, Vec<TargetId>>, target: &TargetId| {
        map.get(target).cloned().unwrap_or_default().leak() as &[_]
    };
    let order = Order::of(&targets, |target| of(&down, target), |target| of(&up, target))?;
    Ok(Rollout { id: "r1".into(), commit: "c1".into(), waves: waves(paces, &targets, &order)?, whole: None, beside: None })
}

/// Clears every target that is asked about.
pub(super) fn clear_all(progress: &mut Progress, todos: &[Todo]) {
    for todo in todos {
        if let Todo::NeedsClearance { targets, .. } = todo {
            let clearances = targets.iter().map(|target| clearance(progress, target)).collect();
            progress.clear(clearances);
        }
    }
}

pub(super) fn clearance(progress: &Progress, target: &TargetId) -> Clearance {
    let planned = progress.rollout().waves.iter().flat_map(|wave| &wave.targets).find(|planned| planned.target == *target);
    Clearance::given(target.clone(), planned.expect("a target of the rollout").intent)
}
