//! `where`: in which regions a stack runs. Lists are or, keys are and.

use super::{Fields, Kind, Mistake, Mistakes, Node, Region, Site, Unread, did_you_mean};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A `where`, read; matches one region at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Where {
    All,
    Any(Vec<Term>),
}

/// One map of a `where`: each key that is there must match.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    site: Site,
    environment: Option<Vec<Wanted>>,
    region: Option<Vec<Wanted>>,
    cloud: Option<Vec<Wanted>>,
    labels: Vec<(Wanted, Vec<Wanted>)>,
}

type Wanted = (Arc<str>, Site);

impl Where {
    pub(super) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let items = match &node.kind {
            Kind::Text(text) if &**text == "all" => return Some(Self::All),
            Kind::Map(_) => std::slice::from_ref(node),
            Kind::List(items) if !items.is_empty() => items.as_slice(),
            Kind::List(_) | Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => {
                let what = format!("\"where\" must be all, a map or a list of maps, and this is {}", node.kind_name());
                mistakes.push(Mistake::at(&node.site, what).hint("such as {environment: prod}"));
                return None;
            }
        };
        Some(Self::Any(items.iter().filter_map(|item| Term::read(item, mistakes)).collect()))
    }

    pub(super) fn matches(&self, region: &Region) -> bool {
        match self {
            Self::All => true,
            Self::Any(terms) => terms.iter().any(|term| term.matches(region)),
        }
    }

    /// Says whether mistakes elsewhere leave open which regions it matches, besides those whose ids could not be read.
    pub(super) fn is_open(&self, unread: &Unread) -> bool {
        match self {
            Self::All => false,
            Self::Any(terms) => terms.iter().any(|term| term.is_open(unread)),
        }
    }

    /// Reports what no region of the fleet has, and terms that match none.
    pub(super) fn check(&self, regions: &[Arc<Region>], unread: &Unread, mistakes: &mut Mistakes) {
        match self {
            Self::All => {}
            Self::Any(terms) => {
                let before = mistakes.len();
                for term in terms {
                    if mistakes.are_plenty_since(before) {
                        return;
                    }
                    term.check(regions, unread, mistakes);
                }
            }
        }
    }
}

impl Term {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let known_before = mistakes.len();
        let mut fields = Fields::of(node, "a where", mistakes);
        let wanted = |texts: Vec<(&str, &Node)>| texts.into_iter().map(|(text, node)| (text.into(), node.site.clone())).collect();
        let environment = fields.texts("environment").map(wanted);
        let region = fields.texts("region").map(wanted);
        let cloud = fields.texts("cloud").map(wanted);
        let mut labels = Vec::new();
        for (key, site, values) in fields.map("labels").unwrap_or_default() {
            let values = fields.texts_of(values, "a label").into_iter().map(|(text, node)| (text.into(), node.site.clone()));
            labels.push(((key.clone(), site.clone()), values.collect()));
        }
        fields.finish();
        let is_empty = environment.is_none() && region.is_none() && cloud.is_none() && labels.is_empty();
        if is_empty && mistakes.len() == known_before {
            mistakes.push(Mistake::at(&node.site, "this where says nothing").hint("write where: all for every region"));
        }
        (!is_empty).then(|| Self { site: node.site.clone(), environment, region, cloud, labels })
    }

    fn matches(&self, region: &Region) -> bool {
        let any = |wanted: &Option<Vec<Wanted>>, matches: &dyn Fn(&str) -> bool| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|(text, _)| matches(text)))
        };
        any(&self.environment, &|text| text == region.id.environment())
            && any(&self.region, &|text| glob(text, region.id.as_str()))
            && any(&self.cloud, &|text| Some(text) == region.cloud.as_deref())
            && self.labels.iter().all(|((key, _), values)| {
                let label = region.labels.get(key);
                label.is_some_and(|label| values.iter().any(|(text, _)| text == label))
            })
    }

    /// Says whether it asks for what may be written in a region, but could not be read.
    fn is_open(&self, unread: &Unread) -> bool {
        unread.clouds && self.cloud.is_some() || unread.labels && !self.labels.is_empty()
    }

    fn check(&self, regions: &[Arc<Region>], unread: &Unread, mistakes: &mut Mistakes) {
        let known_before = mistakes.len();
        let mut unknown = |what: String, (text, site): &Wanted, known: BTreeSet<&str>| {
            if mistakes.are_plenty_since(known_before) {
                return;
            }
            let near = did_you_mean(text, known.iter().copied()).unwrap_or_else(|| listing(&known));
            mistakes.push(Mistake::at(site, what).hint(format!("{near} regions are listed in isobar.yaml")));
        };
        let unread_environments = unread.environments();
        for wanted in self.environment.iter().flatten().filter(|(text, _)| !unread.may_have(text)) {
            let known = regions.iter().map(|region| region.id.environment());
            let known: BTreeSet<_> = known.chain(unread_environments.iter().map(String::as_str)).collect();
            if !known.contains(&*wanted.0) {
                unknown(format!("unknown environment {:?}", wanted.0), wanted, known);
            }
        }
        for wanted in self.region.iter().flatten().filter(|_| !unread.region_ids) {
            if !regions.iter().any(|region| glob(&wanted.0, region.id.as_str())) {
                let known = regions.iter().map(|region| region.id.as_str()).collect();
                unknown(format!("unknown region {:?}", wanted.0), wanted, known);
            }
        }
        let all = || regions.iter().chain(&unread.regions);
        for wanted in self.cloud.iter().flatten().filter(|_| !unread.clouds) {
            let known: BTreeSet<_> = all().filter_map(|region| region.cloud.as_deref()).collect();
            if !known.contains(&*wanted.0) {
                unknown(format!("unknown cloud {:?}", wanted.0), wanted, known);
            }
        }
        for (key, values) in self.labels.iter().filter(|_| !unread.labels) {
            let known: BTreeSet<_> = all().filter_map(|region| region.labels.get(&key.0)).map(|value| &**value).collect();
            if known.is_empty() {
                let keys = all().flat_map(|region| region.labels.keys()).map(|key| &**key).collect();
                unknown(format!("unknown label {:?}", key.0), key, keys);
                continue;
            }
            for wanted in values.iter().filter(|wanted| !known.contains(&*wanted.0)) {
                unknown(format!("no region has label {:?} with value {:?}", key.0, wanted.0), wanted, known.clone());
            }
        }
        let is_open = unread.region_ids || self.is_open(unread);
        if mistakes.len() == known_before && !is_open && !regions.iter().any(|region| self.matches(region)) {
            let mistake = Mistake::at(&self.site, "this where matches no region");
            mistakes.push(mistake.hint("all of its keys must match one region; regions are listed in isobar.yaml"));
        }
    }
}

fn listing(known: &BTreeSet<&str>) -> String {
    match known.len() {
        0 => "no region has any;".into(),
        1..=8 => format!("there is {};", known.iter().copied().collect::<Vec<_>>().join(", ")),
        more => format!("there are {more};"),
    }
}

/// Matches `text` against a pattern in which each `*` stands for any characters, `/` among them.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, matches) in [
            ("prod/*", "prod/eu-west-1/cell-1", true),
            ("*/eu-*", "prod/eu-west-1", true),
            ("*", "prod/eu", true),
            ("prod/eu", "prod/eu", true),
            ("prod/eu", "prod/eu-west", false),
            ("prod/*/cell", "prod/cell", false),
            ("*west*1", "prod/eu-west-2", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
