//! The fleet's `slots` section, read: how many targets may be in flight at once that share an account, an engine, or any label of
//! their region, whichever wave they are in. Knows no rollout.

use crate::stack::{Fields, Fleet, Kind, Mistake, Mistakes, Node, Region, Site, Target, did_you_mean};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every bound of the fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slots(Vec<Bound>);

/// Targets that are alike in all of `per` share so many slots.
#[derive(Clone, Debug, PartialEq)]
struct Bound {
    per: Vec<Arc<str>>,
    slots: usize,
}

/// The slots that a target needs one of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pool {
    /// What its targets share, such as `account 111111111111, engine documents`.
    pub name: Arc<str>,
    pub slots: usize,
}

/// What targets may share besides labels of their regions.
const OWN: [&str; 3] = ["engine", "cloud", "region"];

impl Slots {
    /// Reads the fleet's `slots` section. Every mistake at once: unknown keys, and labels that no region has.
    pub fn read(fleet: &Fleet, mistakes: &mut Mistakes) -> Self {
        let Some(section) = &fleet.slots else { return Self::default() };
        let items = match &section.kind {
            Kind::List(items) => items.as_slice(),
            Kind::Null => &[],
            _ => {
                let what = format!("\"slots\" must be a list, and this is {}", section.kind_name());
                mistakes.push(Mistake::at(&section.site, what).hint("write `slots: [{ per: account, count: 5 }]`"));
                &[]
            }
        };
        Self(items.iter().filter_map(|item| bound(item, fleet, mistakes)).collect())
    }

    /// Nothing is bounded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the pools that a target needs a slot of. A region without a label that a bound names is not bound by it.
    pub fn pools(&self, target: &Target) -> Vec<Pool> {
        let pool = |bound: &Bound| {
            let shared = bound.per.iter().map(|name| Some(format!("{name} {}", value(target, name)?)));
            let shared: Option<Vec<String>> = shared.collect();
            Some(Pool { name: shared?.join(", ").into(), slots: bound.slots })
        };
        self.0.iter().filter_map(pool).collect()
    }
}

fn value<'a>(target: &'a Target, name: &str) -> Option<&'a str> {
    match name {
        "engine" => Some(&*target.stack.engine),
        "cloud" => target.region.cloud.as_deref(),
        "region" => Some(target.region.id.as_str()),
        label => target.region.labels.get(label).map(|value| &**value),
    }
}

fn bound(node: &Node, fleet: &Fleet, mistakes: &mut Mistakes) -> Option<Bound> {
    let mut own = Mistakes::default(); // what is read below lives as long as the list that it reports to
    let mut fields = Fields::of(node, "an entry of slots", &mut own);
    fields.need("per", "per: account");
    fields.need("count", "count: 5");
    let per = fields.texts("per").unwrap_or_default().into_iter();
    let per: Vec<(Arc<str>, Site)> = per.map(|(name, node)| (name.into(), node.site.clone())).collect();
    let count = fields.count("count", 1);
    fields.finish();
    mistakes.extend(own);

    let regions = || fleet.regions.iter().chain(&fleet.unread.regions);
    let labels: BTreeSet<&str> = regions().flat_map(|region: &Arc<Region>| region.labels.keys()).map(|key| &**key).collect();
    for (name, site) in &per {
        if !OWN.contains(&&**name) && !labels.contains(&**name) && !fleet.unread.labels {
            let hint = did_you_mean(name, labels.iter().copied().chain(OWN))
                .unwrap_or_else(|| format!("name {}, or a label of the regions", OWN.join(", ")));
            mistakes.push(Mistake::at(site, format!("no region has the label {name:?}")).hint(hint));
        }
    }
    let slots = usize::try_from(count?).unwrap_or(usize::MAX);
    (!per.is_empty()).then(|| Bound { per: per.into_iter().map(|(name, _)| name).collect(), slots })
}

/// Returns the schema of the fleet's `slots` section.
pub fn slots_schema() -> Value {
    json!({
        "description": "How many targets may be in flight at once that share something, whichever wave they are in.",
        "examples": [[{ "per": "account", "count": 5 }, { "per": ["account", "engine"], "count": 2 }]],
        "type": "array",
        "items": {
            "type": "object",
            "description": "One bound. A region without a label that it names is not bound by it.",
            "additionalProperties": false,
            "required": ["per", "count"],
            "properties": {
                "per": {
                    "description": "What they share: engine, cloud, region, or a label of the regions; several: all of them.",
                    "examples": ["account", ["account", "engine"]],
                    "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
                },
                "count": { "description": "Targets in flight at most.", "examples": [5], "type": "integer", "minimum": 1 }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{BlobId, Leaf, Listing, Mode, Source};

    /// A stack in two regions with an account and one without; `slots` is the section.
    fn fleet(slots: &str) -> Fleet {
        let regions = "{ prod/a: { labels: { account: one } }, prod/b: { labels: { account: two } }, prod/c: {} }";
        let text = format!("version: 1\nregions: {regions}\nslots: {slots}\n");
        let stack = "where: all\ndocuments: { source: ., destination: 'file:./live/${{ region.id }}' }\n";
        let files = [("isobar.yaml", text.as_str()), ("app/stack.yaml", stack)];
        let leaf = |(path, text): &(&str, &str)| Leaf { path: (*path).into(), mode: Mode::File, id: BlobId((*text).into()) };
        let source =
            |(path, text): &(&str, &str)| Source { path: (*path).into(), mode: Mode::File, bytes: text.as_bytes().into() };
        let sources: Vec<Source> = files.iter().map(source).collect();
        Fleet::read(&sources, &Listing::new(files.iter().map(leaf).collect())).expect("a fleet")
    }

    /// The pools of each target, or what is wrong.
    fn told(slots: &str) -> Vec<String> {
        let (fleet, mut mistakes) = (fleet(slots), Mistakes::default());
        let slots = Slots::read(&fleet, &mut mistakes);
        let pools = |target: &Target| {
            let pools = slots.pools(target).into_iter().map(|pool| format!("{}: {}", pool.name, pool.slots));
            pools.collect::<Vec<_>>().join("; ")
        };
        match mistakes.is_empty() {
            true => fleet.targets().iter().map(pools).collect(),
            false => mistakes.iter().map(|mistake| mistake.what.to_string()).collect(),
        }
    }

    #[test]
    fn targets_that_share_an_account_share_its_slots_and_others_are_not_bound() {
        assert_eq!(told("[{ per: account, count: 5 }]"), ["account one: 5", "account two: 5", ""]);
        let several = told("[{ per: [account, engine], count: 2 }, { per: engine, count: 9 }]");
        let both = |account: &str| format!("account {account}, engine documents: 2; engine documents: 9");
        assert_eq!(several, [both("one"), both("two"), "engine documents: 9".into()]);
        assert_eq!(told("[{ per: region, count: 1 }]"), ["region prod/a: 1", "region prod/b: 1", "region prod/c: 1"]);
        assert_eq!(told("[]"), ["", "", ""]);
    }

    #[test]
    fn what_nobody_could_mean_is_a_mistake() {
        assert_eq!(told("[{ per: acount, count: 5 }]"), ["no region has the label \"acount\""]);
        assert_eq!(told("{ account: 5 }"), ["\"slots\" must be a list, and this is a map"]);
        assert_eq!(told("[{ per: engine, count: 0 }]").len(), 1);
        assert_eq!(told("[{ count: 1 }]").len(), 1);
    }
}
