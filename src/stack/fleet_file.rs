//! `isobar.yaml`, read: regions, layers of vars, teams; policy, rollout and slots are kept unread.

use super::expression::check_expressions;
use super::node::A_MAP;
use super::source::Listing;
use super::unread::{Unread, is_no_map};
use super::{
    DirectPush, Fields, FirstApply, JournalPlace, Kind, Mistake, Mistakes, Node, Region, RegionId, Site, Vars, did_you_mean,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The path of the fleet file.
pub(super) const PATH: &str = "isobar.yaml";

/// The version of the fleet file that this program reads.
const VERSION: u64 = 1;

/// What `isobar.yaml` says.
#[derive(Clone, Debug, Default)]
pub(super) struct FleetFile {
    pub(super) regions: Vec<Arc<Region>>,
    pub(super) vars: Vars,
    pub(super) environment_vars: BTreeMap<Arc<str>, Vars>,
    pub(super) cloud_vars: BTreeMap<Arc<str>, Vars>,
    pub(super) teams: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    pub(super) first_apply: FirstApply,
    pub(super) direct_push: DirectPush,
    pub(super) policy: Option<Node>,
    pub(super) rollout: Option<Node>,
    pub(super) slots: Option<Node>,
    pub(super) journal: Option<(Arc<str>, Site)>,
    /// See [`super::Fleet::strict`].
    pub(super) strict: Mistakes,
    pub(super) unread: Unread,
}

impl FleetFile {
    /// Stands for a fleet file that can't be read at all.
    pub(super) fn unread() -> Self {
        Self { unread: Unread::all(), ..Self::default() }
    }
}

/// Reads the fleet file.
pub(super) fn read(node: &Node, listing: &Listing, mistakes: &mut Mistakes) -> FleetFile {
    if !matches!(node.kind, Kind::Map(_)) {
        let mistake = Mistake::at(&node.site, format!("the fleet must be a map, and this is {}", node.kind_name()));
        mistakes.push(mistake.hint(A_MAP));
        return FleetFile::unread();
    }
    let mut fields = Fields::of(node, "the fleet", mistakes);
    version(&mut fields);
    fields.need("regions", "regions: {prod/eu-west-1: {cloud: aws}}");
    let mut unread = Unread::default();
    let regions = regions(&mut fields, &mut unread);
    let mut strict = Mistakes::default();
    let environments = regions.iter().map(|region| Arc::from(region.id.environment()));
    let environments = environments.chain(unread.environments().into_iter().map(Arc::from)).collect();
    let clouds: BTreeSet<Arc<str>> = regions.iter().chain(&unread.regions).filter_map(|region| region.cloud.clone()).collect();
    let mut file = FleetFile {
        vars: vars(fields.get("vars"), fields.mistakes()),
        environment_vars: layers(&mut fields, "environments", "an environment", &environments, &mut unread),
        cloud_vars: layers(&mut fields, "clouds", "a cloud", &clouds, &mut unread),
        teams: teams(&mut fields, &mut strict),
        first_apply: first_apply(&mut fields),
        direct_push: direct_push(&mut fields),
        policy: fields.get("policy").cloned(),
        rollout: fields.get("rollout").cloned(),
        slots: fields.get("slots").cloned(),
        journal: journal(&mut fields, listing, &mut strict),
        regions,
        strict,
        unread,
    };
    file.unread.vars |= is_no_map(fields.get("vars"));
    for key in fields.finish() {
        file.unread.vars |= ["vars", "environments", "clouds"].contains(&key);
    }
    file
}

type Entry = (Arc<str>, Site, Node);

fn entries<'a>(fields: &mut Fields<'a>, key: &'static str) -> &'a [Entry] {
    fields.map(key).unwrap_or_default()
}

fn version(fields: &mut Fields<'_>) {
    let Some(node) = fields.need("version", "version: 1") else { return };
    if node.kind != Kind::Number(VERSION.into()) {
        let mistake = Mistake::at(&node.site, format!("\"version\" must be {VERSION}"));
        fields.mistakes().push(mistake.hint("another version of the file needs another version of isobar"));
    }
}

/// Returns the regions whose ids could be read; the others go to what is `unread`.
fn regions(fields: &mut Fields<'_>, unread: &mut Unread) -> Vec<Arc<Region>> {
    let (entries, mut regions) = (entries(fields, "regions"), Vec::new());
    for entry in entries {
        regions.extend(region(entry, unread, fields.mistakes()).map(Arc::new));
    }
    if entries.is_empty() {
        let site = fields.key_site("regions").filter(|_| !is_no_map(fields.get("regions")));
        let mistake = |site| Mistake::at(site, "the fleet has no region").hint("such as prod/eu-west-1: {cloud: aws}");
        fields.mistakes().extend(site.map(mistake));
        *unread = Unread::all();
    }
    regions
}

fn region((id, site, node): &Entry, unread: &mut Unread, mistakes: &mut Mistakes) -> Option<Region> {
    let parsed = id.parse::<RegionId>();
    let mut fields = Fields::of(node, "a region", mistakes);
    let told = |fields: &mut Fields<'_>| fields.mistakes().len();
    let before = told(&mut fields);
    let cloud = fields.text("cloud").map(Arc::from);
    unread.clouds |= told(&mut fields) > before || is_no_map(Some(node));
    let before = told(&mut fields);
    let labels = fields.labels("labels");
    unread.labels |= told(&mut fields) > before || is_no_map(Some(node));
    let weight = fields.count("weight", 1).map_or(1, |weight| u32::try_from(weight).unwrap_or(u32::MAX));
    let vars = vars(fields.get("vars"), fields.mistakes());
    let meant = fields.finish();
    unread.clouds |= meant.contains(&"cloud");
    unread.labels |= meant.contains(&"labels");
    unread.region_vars |= meant.contains(&"vars") || is_no_map(Some(node)) || is_no_map(node.get("vars"));
    unread.vars |= unread.region_vars;
    match parsed {
        Ok(id) => Some(Region { id, cloud, labels, weight, vars, site: site.clone() }),
        Err(why) => {
            let mistake = Mistake::at(site, format!("bad region id: {why}"));
            mistakes.push(mistake.hint("a region is environment/name or environment/name/cell, such as prod/eu-west-1"));
            let id = RegionId::unread(id);
            unread.regions.push(Arc::new(Region { id, cloud, labels, weight, vars, site: site.clone() }));
            unread.region_ids = true;
            None
        }
    }
}

/// Reads the vars of named layers; a name that is not `known` is a mistake, unless it may be that of a region that is `unread`.
fn layers(
    fields: &mut Fields<'_>,
    key: &'static str,
    what: &str,
    known: &BTreeSet<Arc<str>>,
    unread: &mut Unread,
) -> BTreeMap<Arc<str>, Vars> {
    let mut layers = BTreeMap::new();
    for (name, site, node) in entries(fields, key) {
        let may_be_unread = if key == "clouds" { unread.clouds } else { unread.may_have(name) };
        if !known.contains(name) && !may_be_unread {
            let near = did_you_mean(name, known.iter().map(|known| &**known));
            let hint = near.unwrap_or_else(|| "remove it, or add the region first".into());
            fields.mistakes().push(Mistake::at(site, format!("no region is in {name:?}")).hint(hint));
        }
        let mut layer = Fields::of(node, what, fields.mistakes());
        let vars = vars(layer.get("vars"), layer.mistakes());
        unread.vars |= layer.finish().contains(&"vars") || is_no_map(Some(node)) || is_no_map(node.get("vars"));
        layers.insert(name.clone(), vars);
    }
    unread.vars |= is_no_map(fields.get(key));
    layers
}

/// Reads one layer of vars: a map of plain values.
pub(super) fn vars(node: Option<&Node>, mistakes: &mut Mistakes) -> Vars {
    let Some(node) = node else { return Vars::default() };
    match &node.kind {
        Kind::Null => return Vars::default(),
        Kind::Map(_) => {}
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Secret(_) => {
            let mistake = Mistake::at(&node.site, format!("\"vars\" must be a map, and this is {}", node.kind_name()));
            mistakes.push(mistake.hint(A_MAP));
            return Vars(Some(node.clone())); // nobody knows what it was to hold: see `check`
        }
    }
    for reference in check_expressions(node, mistakes) {
        let mistake = Mistake::at(&reference.site, "vars hold plain values, and this is an expression");
        mistakes.push(mistake.hint("write the expression as an input of the stack that needs it"));
    }
    Vars(Some(node.clone()))
}

fn journal(fields: &mut Fields<'_>, listing: &Listing, strict: &mut Mistakes) -> Option<(Arc<str>, Site)> {
    let text = fields.text("journal")?;
    let site = &fields.get("journal")?.site;
    if let Err((what, hint)) = JournalPlace::parse_among(text, listing) {
        strict.push(Mistake::at(site, what).hint(hint));
    }
    Some((text.into(), site.clone()))
}

fn first_apply(fields: &mut Fields<'_>) -> FirstApply {
    match one_of(fields, "first_apply", ["waits", "covered"]) {
        Some("covered") => FirstApply::Covered,
        _ => FirstApply::Waits,
    }
}

fn direct_push(fields: &mut Fields<'_>) -> DirectPush {
    match one_of(fields, "direct_push", ["deny", "allow"]) {
        Some("allow") => DirectPush::Allow,
        _ => DirectPush::Deny,
    }
}

/// Reads a word of two; another is a mistake.
fn one_of<'a>(fields: &mut Fields<'a>, key: &'static str, words: [&str; 2]) -> Option<&'a str> {
    let word = fields.text(key)?;
    if words.contains(&word) {
        return Some(word);
    }
    let hint = did_you_mean(word, words).unwrap_or_else(|| format!("it is {}, or {}", words[0], words[1]));
    let mistake = fields.get(key).map(|node| Mistake::at(&node.site, format!("{key} can't be {word:?}")).hint(hint));
    fields.mistakes().extend(mistake);
    None
}

fn teams(fields: &mut Fields<'_>, strict: &mut Mistakes) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
    let mut teams = BTreeMap::new();
    for (name, site, members) in entries(fields, "teams") {
        let before = fields.mistakes().len();
        let logins = fields.texts_of(members, "a team");
        let blank = logins.iter().filter(|(login, _)| login.trim().is_empty());
        strict.extend(
            blank.map(|(_, node)| Mistake::at(&node.site, "a login is blank").hint("write a person's login, or remove it")),
        );
        let no_team = logins.iter().filter(|(login, _)| login.starts_with('@') && !is_kept_elsewhere(login));
        strict.extend(no_team.map(|(login, node)| {
            let mistake = Mistake::at(&node.site, format!("{login:?} is neither a login nor a team of an organisation"));
            mistake.hint("write a login as ada, and a team that GitHub keeps as \"@acme/platform\"")
        }));
        if logins.is_empty() && fields.mistakes().len() == before {
            let mistake = Mistake::at(site, format!("team {name:?} has no members: a rule that asks for it could never be met"));
            strict
                .push(mistake.hint(format!("name them, such as {name}: [ada, grace]; or remove the team and what asks for it")));
        }
        teams.insert(name.clone(), logins.into_iter().map(|(login, _)| login.into()).collect());
    }
    teams
}

/// `@ORGANISATION/TEAM`.
fn is_kept_elsewhere(login: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let parts = login.strip_prefix('@').and_then(|team| team.split_once('/'));
    parts.is_some_and(|(organisation, team)| is_name(organisation) && is_name(team))
}
