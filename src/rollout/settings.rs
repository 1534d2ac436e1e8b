//! The fleet's `rollout` section, read: how each environment rolls out, and after which others. Knows no target.

use super::measure::{Share, read_secs, read_share};
use super::{Gate, gate};
use crate::stack::{Fields, Fleet, Kind, Mistake, Mistakes, Node, Region, RegionId, Unread, did_you_mean};
use globset::{GlobBuilder, GlobMatcher};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rollout settings per environment, in rollout order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Environments of the fleet: one comes after all that it rolls out after.
    pub(super) order: Vec<Arc<str>>,
    /// Every region of the fleet, with its weight.
    pub(super) regions: Vec<(RegionId, u32)>,
    paces: BTreeMap<Arc<str>, Pace>,
}

/// How one environment rolls out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pace {
    pub(super) profile: Profile,
    /// Environments that must be verified first.
    pub(super) after: Vec<Arc<str>>,
    pub(super) limits: Limits,
    pub(super) progress_deadline_secs: Option<u64>,
    /// `None` lets the profile cut the waves.
    pub(super) waves: Option<Vec<WaveSettings>>,
}

/// What holds for a wave; what is absent here is as the profile says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) max_parallel: Option<Share>,
    pub(super) failure_tolerance: Option<Share>,
    pub(super) bake_secs: Option<u64>,
    pub(super) gates: Option<Vec<Gate>>,
}

/// One wave as written; a region goes to the first wave that matches it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WaveSettings {
    pub(super) name: Arc<str>,
    pub(super) regions: Vec<Pattern>,
    pub(super) limits: Limits,
}

/// A pattern of regions, ready to be asked; two that are written alike are equal.
#[derive(Clone, Debug)]
pub(super) struct Pattern(GlobMatcher);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

/// The pace of an environment that says nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Profile {
    #[default]
    Instant,
    Standard,
}

const PROFILES: [&str; 2] = ["instant", "standard"];

impl Settings {
    /// Reads the fleet's `rollout` section; an environment it does not name is `instant`. Every mistake at once: unknown
    /// environments and profiles, circles in `after`, waves that match no region, regions in no wave.
    pub fn read(fleet: &Fleet, mistakes: &mut Mistakes) -> Self {
        Self::of(&fleet.regions, &fleet.unread, fleet.rollout.as_ref(), mistakes)
    }

    /// Like [`Settings::read`]. An environment that an `unread` region may be in is not unknown.
    pub(super) fn of(regions: &[Arc<Region>], unread: &Unread, section: Option<&Node>, mistakes: &mut Mistakes) -> Self {
        let mut reader = Reader { regions, unread, environments: environments(regions), mistakes };
        let paces = section.map(|section| reader.paces(section)).unwrap_or_default();
        let order = in_order(&reader.environments, |name| paces.get(name).map_or(&[], |pace| &pace.after));
        let regions = regions.iter().map(|region| (region.id.clone(), region.weight)).collect();
        Self { order, regions, paces }
    }

    /// Says at which commit each program of the repository lies that a gate names, by the path of the program.
    pub fn read_at(mut self, commit: impl Fn(&str) -> Arc<str>) -> Self {
        for pace in self.paces.values_mut() {
            let of_waves = pace.waves.iter_mut().flatten().map(|wave| &mut wave.limits);
            for gates in [&mut pace.limits].into_iter().chain(of_waves).filter_map(|limits| limits.gates.as_mut()) {
                *gates = gates.drain(..).map(|gate| gate.read_at(&commit)).collect();
            }
        }
        self
    }

    /// Returns every gate of every environment and wave.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.paces.values().flat_map(Pace::gates)
    }

    /// Says whether `environment` is one of the fleet's.
    pub fn knows(&self, environment: &str) -> bool {
        self.order.iter().any(|known| **known == *environment)
    }

    /// Says whether `late` comes after `early`, directly or not.
    pub fn comes_after(&self, late: &str, early: &str) -> bool {
        let mut ahead: Vec<&Arc<str>> = self.after(late).iter().collect();
        let mut seen: BTreeSet<&Arc<str>> = BTreeSet::new();
        while let Some(name) = ahead.pop() {
            if **name == *early {
                return true;
            }
            if seen.insert(name) {
                ahead.extend(self.after(name));
            }
        }
        false
    }

    /// Returns how `environment` rolls out; one that nobody named is `instant`.
    pub(super) fn pace(&self, environment: &str) -> Option<&Pace> {
        self.paces.get(environment)
    }

    /// Returns the environments that `environment` names in `after`.
    pub(super) fn after(&self, environment: &str) -> &[Arc<str>] {
        self.paces.get(environment).map_or(&[], |pace| &pace.after)
    }
}

impl Pace {
    /// Returns every gate of the environment, and of its waves.
    pub(super) fn gates(&self) -> impl Iterator<Item = &Gate> {
        let waves = self.waves.iter().flatten().map(|wave| &wave.limits);
        [&self.limits].into_iter().chain(waves).flat_map(|limits| limits.gates.iter().flatten())
    }

    /// Says whether targets go alike by this and by `other`, once what comes first is verified.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        let Self { profile, after: _, limits, progress_deadline_secs, waves } = self;
        (profile, limits, progress_deadline_secs, waves)
            == (&other.profile, &other.limits, &other.progress_deadline_secs, &other.waves)
    }
}

impl WaveSettings {
    pub(super) fn matches(&self, region: &RegionId) -> bool {
        self.regions.iter().any(|Pattern(glob)| glob.is_match(region.name()) || glob.is_match(region.as_str()))
    }
}

/// Reads the section against the regions of the fleet.
struct Reader<'a> {
    regions: &'a [Arc<Region>],
    unread: &'a Unread,
    environments: Vec<Arc<str>>,
    mistakes: &'a mut Mistakes,
}

impl Reader<'_> {
    fn paces(&mut self, section: &Node) -> BTreeMap<Arc<str>, Pace> {
        let entries = match &section.kind {
            Kind::Map(entries) => entries.as_slice(),
            Kind::Null => &[],
            _ => {
                let what = format!("\"rollout\" must be a map of environments, and this is {}", section.kind_name());
                self.mistakes.push(Mistake::at(&section.site, what).hint("write `rollout: { prod: standard }`"));
                &[]
            }
        };
        let mut paces = BTreeMap::new();
        for (name, site, node) in entries {
            if !self.unread.may_have(name) && !self.environments.contains(name) {
                let hint = did_you_mean(name, self.environments.iter().map(|name| &**name))
                    .unwrap_or_else(|| format!("the fleet's regions are in {}", self.environments.join(", ")));
                self.mistakes.push(Mistake::at(site, format!("unknown environment {name:?} in \"rollout\"")).hint(hint));
            }
            let pace = self.pace(name, node);
            paces.insert(name.clone(), pace);
        }
        for (name, site, node) in entries {
            if let Some(circle) = circle_from(name, &paces) {
                let site = node.get("after").map_or(site, |after| &after.site);
                let what = format!("environments roll out after one another in a circle: {}", circle.join(" after "));
                self.mistakes.push(Mistake::at(site, what).hint("take one of these `after` away"));
            }
        }
        paces
    }

    fn pace(&mut self, environment: &Arc<str>, node: &Node) -> Pace {
        if let Kind::Text(name) = &node.kind {
            return Pace { profile: self.profile(name, node), ..Pace::default() };
        }
        let what = format!("the rollout of {environment}");
        let mut own = Mistakes::default(); // what is read below lives as long as the list that it reports to
        let mut fields = Fields::of(node, &what, &mut own);
        let profile = fields.text("profile");
        let profile_node = fields.get("profile");
        let after = fields.texts("after").unwrap_or_default();
        let deadline = fields.get("progress_deadline");
        let limits = limits(&mut fields);
        let waves = fields.get("waves");
        let progress_deadline_secs = deadline.and_then(|node| read_secs(node, "progress_deadline", fields.mistakes()));
        fields.finish();

        let profile = match (profile, profile_node) {
            (Some(name), Some(node)) => self.profile(name, node),
            _ => Profile::default(),
        };
        let after = after.into_iter().filter_map(|(name, node)| self.known(name, node)).collect();
        let waves = waves.and_then(|node| self.waves(environment, node));
        self.mistakes.extend(own);
        Pace { profile, after, limits, progress_deadline_secs, waves }
    }

    fn profile(&mut self, name: &str, node: &Node) -> Profile {
        match name {
            "instant" => Profile::Instant,
            "standard" => Profile::Standard,
            _ => {
                let hint = did_you_mean(name, PROFILES).unwrap_or_else(|| format!("profiles are {}", PROFILES.join(", ")));
                self.mistakes.push(Mistake::at(&node.site, format!("unknown rollout profile {name:?}")).hint(hint));
                Profile::default()
            }
        }
    }

    fn known(&mut self, name: &str, node: &Node) -> Option<Arc<str>> {
        let found = self.environments.iter().find(|environment| &***environment == name).cloned();
        let found = found.or_else(|| self.unread.may_have(name).then(|| name.into()));
        if found.is_none() {
            let hint = did_you_mean(name, self.environments.iter().map(|name| &**name))
                .unwrap_or_else(|| format!("the fleet's regions are in {}", self.environments.join(", ")));
            self.mistakes.push(Mistake::at(&node.site, format!("unknown environment {name:?} in \"after\"")).hint(hint));
        }
        found
    }

    fn waves(&mut self, environment: &Arc<str>, node: &Node) -> Option<Vec<WaveSettings>> {
        if node.as_str() == Some("auto") {
            return None;
        }
        let Kind::List(items) = &node.kind else {
            let what = format!("\"waves\" must be \"auto\" or a list of waves, and this is {}", node.kind_name());
            self.mistakes.push(Mistake::at(&node.site, what).hint("such as waves: [{ name: canary, regions: [eu-*] }]"));
            return None;
        };
        let before = self.mistakes.len();
        let waves: Vec<_> = items.iter().filter_map(|item| self.wave(environment, item)).collect();
        if self.mistakes.len() == before {
            self.all_in_a_wave(environment, node, &waves);
        }
        Some(waves)
    }

    fn wave(&mut self, environment: &str, node: &Node) -> Option<WaveSettings> {
        let mut own = Mistakes::default();
        let mut fields = Fields::of(node, "a wave", &mut own);
        let name = fields.need("name", "name: canary").and_then(|_| fields.text("name"));
        let regions = fields.need("regions", "regions: [eu-*]").and_then(|_| fields.texts("regions"));
        let limits = limits(&mut fields);
        fields.finish();

        let wave = name.zip(regions).map(|(name, regions)| {
            let regions = regions.into_iter().filter_map(|(text, node)| self.pattern(text, node)).collect();
            WaveSettings { name: name.into(), regions, limits }
        });
        if let Some(wave) = &wave {
            self.check_wave(environment, node, wave);
        }
        self.mistakes.extend(own);
        wave
    }

    fn check_wave(&mut self, environment: &str, node: &Node, wave: &WaveSettings) {
        let name = &wave.name;
        if !is_plain(name) {
            let what = format!("a wave's name must be 1 to 63 letters, digits, spaces, - and _, and this is {name:?}");
            self.mistakes.push(Mistake::at(&node.site, what).hint("such as name: canary"));
        }
        let here = |region: &&Arc<Region>| region.id.environment() == environment;
        if !self.unread.may_have(environment) && !self.regions.iter().filter(here).any(|region| wave.matches(&region.id)) {
            let names: Vec<_> = self.regions.iter().filter(here).map(|region| region.id.name()).collect();
            let what = format!("wave {name:?} matches no region of {environment}");
            self.mistakes.push(Mistake::at(&node.site, what).hint(format!("its regions are {}", names.join(", "))));
        }
    }

    fn pattern(&mut self, text: &str, node: &Node) -> Option<Pattern> {
        match GlobBuilder::new(text).literal_separator(false).build() {
            Ok(glob) => Some(Pattern(glob.compile_matcher())),
            Err(error) => {
                let mistake = Mistake::at(&node.site, format!("{text:?} is no pattern of regions: {}", error.kind()));
                self.mistakes.push(mistake.hint("patterns know *, ?, [abc] and {one,other}"));
                None
            }
        }
    }

    fn all_in_a_wave(&mut self, environment: &str, node: &Node, waves: &[WaveSettings]) {
        for region in self.regions.iter().filter(|region| region.id.environment() == environment) {
            if !waves.iter().any(|wave| wave.matches(&region.id)) {
                let what =
                    format!("region {:?} is in no wave of {environment}, so nothing would ever reach it", region.id.as_str());
                let hint = "name it in a wave, or end with a wave of `regions: [\"*\"]`";
                self.mistakes.push(Mistake::at(&node.site, what).hint(hint));
            }
        }
    }
}

/// Reads the keys that an environment and a wave share.
fn limits(fields: &mut Fields<'_>) -> Limits {
    let max_parallel = fields.get("max_parallel");
    let failure_tolerance = fields.get("failure_tolerance");
    let bake = fields.get("bake");
    let gates = fields.list("gates");
    let mistakes = fields.mistakes();
    Limits {
        max_parallel: max_parallel.and_then(|node| read_share(node, "max_parallel", 1, mistakes)),
        failure_tolerance: failure_tolerance.and_then(|node| read_share(node, "failure_tolerance", 0, mistakes)),
        bake_secs: bake.and_then(|node| read_secs(node, "bake", mistakes)),
        gates: gates.map(|gates| gates.iter().filter_map(|node| gate::read(node, mistakes)).collect()),
    }
}

fn is_plain(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_');
    !name.trim().is_empty() && name.len() <= 63 && name.chars().all(allowed)
}

/// Returns the environments in the order of their first regions.
fn environments(regions: &[Arc<Region>]) -> Vec<Arc<str>> {
    let mut seen = BTreeSet::new();
    regions.iter().map(|region| region.id.environment()).filter(|name| seen.insert(*name)).map(Arc::from).collect()
}

/// Returns the way from `start` along the first `after` back to itself, told once a circle: at its smallest name.
fn circle_from(start: &Arc<str>, paces: &BTreeMap<Arc<str>, Pace>) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        for next in paces.get(last).map_or(&[] as &[_], |pace| &pace.after) {
            if next == start {
                let first = way.iter().min() == Some(start);
                return first.then(|| way.iter().chain([start]).map(ToString::to_string).collect());
            }
            if seen.insert(next.clone()) {
                ways.push(way.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}

/// Puts each environment after those that it names; a circle, which is a mistake, keeps the order of the file.
pub(super) fn in_order<'a>(environments: &[Arc<str>], after: impl Fn(&Arc<str>) -> &'a [Arc<str>]) -> Vec<Arc<str>> {
    let mut order: Vec<Arc<str>> = Vec::new();
    let mut rest: Vec<&Arc<str>> = environments.iter().collect();
    while !rest.is_empty() {
        let waits = |name: &Arc<str>| after(name).iter().any(|before| environments.contains(before) && !order.contains(before));
        let at = rest.iter().position(|name| !waits(name)).unwrap_or(0);
        order.push(rest.remove(at).clone());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::trial::{node, regions};
    use super::*;

    const FLEET: [&str; 4] = ["staging/us", "prod/us", "prod/eu", "prod/ap/cell-1"];

    fn read(text: &str) -> (Settings, Vec<String>) {
        let mut mistakes = Mistakes::default();
        let settings = Settings::of(&regions(&FLEET), &Unread::default(), Some(&node(text)), &mut mistakes);
        (settings, mistakes.iter().map(ToString::to_string).collect())
    }

    #[track_caller]
    fn mistaken(text: &str, expected: &[&str]) {
        assert_eq!(read(text).1, expected);
    }

    #[test]
    fn an_environment_is_a_profile_or_a_map() {
        let (settings, mistakes) =
            read("staging: instant\nprod: { profile: standard, after: staging, bake: 0s, max_parallel: 25% }");
        assert_eq!(mistakes, Vec::<String>::new());
        let prod = settings.pace("prod").expect("it is written");
        assert_eq!((prod.profile, prod.after.as_slice()), (Profile::Standard, &["staging".into()] as &[_]));
        assert_eq!((prod.limits.bake_secs, prod.limits.max_parallel), (Some(0), Some(Share::Percent(25))));
        assert_eq!(settings.pace("staging").map(|pace| pace.profile), Some(Profile::Instant));
    }

    #[test]
    fn environments_come_after_those_they_name_and_else_as_in_the_file() {
        let (settings, _) = read("staging: { after: prod }");
        assert_eq!(settings.order, ["prod".into(), "staging".into()]);
        let nothing = Settings::of(&regions(&FLEET), &Unread::default(), None, &mut Mistakes::default());
        assert_eq!(nothing.order, ["staging".into(), "prod".into()]);
    }

    #[test]
    fn gates_are_an_address_or_a_command() {
        let text = "prod: { gates: [{ http: 'https://x/health' }, { command: [./smoke, prod], timeout: 30s }] }";
        let (settings, mistakes) = read(text);
        assert_eq!(mistakes, Vec::<String>::new());
        let gates = settings.pace("prod").and_then(|pace| pace.limits.gates.clone()).unwrap_or_default();
        assert_eq!(gates[0], Gate::Http { url: "https://x/health".into(), timeout_secs: 10 });
        let argv = vec!["./smoke".into(), "prod".into()];
        assert_eq!(gates[1], Gate::Command { argv: argv.clone(), timeout_secs: 30, commit: None });
        assert_eq!(
            gates[1].clone().read_at(|_| "c1".into()),
            Gate::Command { argv, timeout_secs: 30, commit: Some("c1".into()) }
        );
    }

    #[test]
    fn a_gates_program_is_of_the_repository_when_it_is_a_path_and_not_from_the_root_of_the_machine() {
        let file = |program: &str| {
            let argv = vec![program.into()];
            let gate = Gate::Command { argv, timeout_secs: 1, commit: None }.read_at(|_| "c1".into());
            let at = matches!(&gate, Gate::Command { commit: Some(_), .. });
            (gate.file().unwrap_or_default(), at)
        };
        assert_eq!(file("./smoke"), ("smoke".into(), true));
        assert_eq!(file("ops/./a/../smoke"), ("ops/smoke".into(), true));
        assert_eq!((file("smoke"), file("/bin/smoke")), ((String::new(), false), (String::new(), false)));
        mistaken(
            "prod: { gates: [{ command: [ops/../../smoke] }] }",
            &[
                "isobar.yaml:3:1: the program of a gate, \"ops/../../smoke\", leads out of the repository\n  hint: name a program elsewhere by its whole path, or by its name in PATH",
            ],
        );
    }

    #[test]
    fn slips_are_told_with_their_places_and_all_at_once() {
        mistaken(
            "prd: instant\nstaging: standrd\nprod:\n  aftr: staging\n  bake: 15\n  max_parallel: 0",
            &[
                "isobar.yaml:1:1: unknown environment \"prd\" in \"rollout\"\n  hint: did you mean \"prod\"?",
                "isobar.yaml:2:1: unknown rollout profile \"standrd\"\n  hint: did you mean \"standard\"?",
                "isobar.yaml:6:1: \"max_parallel\" must be a whole number, at least 1, or a share such as \"25%\"\n  hint: such as max_parallel: 2, or max_parallel: \"25%\"",
                "isobar.yaml:5:1: \"bake\" must be a duration of at most a year\n  hint: write 90s, 15m, 12h or 2d",
                "isobar.yaml:4:1: unknown key \"aftr\" in the rollout of prod\n  hint: did you mean \"after\"?",
            ],
        );
    }

    #[test]
    fn a_circle_is_told_once_with_its_way() {
        mistaken(
            "staging: { after: prod }\nprod: { after: [staging] }",
            &["isobar.yaml:4:1: environments roll out after one another in a circle: prod after staging after prod\n  \
               hint: take one of these `after` away"],
        );
        let itself = read("prod: { after: prod }").1;
        assert_eq!(itself.len(), 1);
        assert!(itself[0].contains("prod after prod"), "{itself:?}");
    }

    #[test]
    fn every_region_is_in_a_wave_and_every_wave_has_a_region() {
        mistaken(
            "prod:\n  waves:\n    - name: first\n      regions: us\n    - name: lost\n      regions: mars-*",
            &["isobar.yaml:5:1: wave \"lost\" matches no region of prod\n  hint: its regions are us, eu, ap/cell-1"],
        );
        mistaken(
            "prod:\n  waves:\n    - name: first\n      regions: [us, 'prod/ap*']",
            &["isobar.yaml:2:1: region \"prod/eu\" is in no wave of prod, so nothing would ever reach it\n  \
               hint: name it in a wave, or end with a wave of `regions: [\"*\"]`"],
        );
    }

    #[test]
    fn a_gate_that_is_no_gate_is_refused() {
        for (gate, why) in [
            ("{}", "exactly one"),
            ("{ http: 'ftp://x' }", "no http or https address"),
            ("{ command: [] }", "needs a program"),
            ("{ command: [1] }", "must be a text"),
            ("{ http: 'https://x', timeout: 2h }", "1s to 1h"),
            ("{ htp: 'https://x' }", "unknown key"),
        ] {
            let mistakes = read(&format!("prod: {{ gates: [{gate}] }}")).1;
            assert!(mistakes.iter().any(|mistake| mistake.contains(why)), "{gate}: {mistakes:?}");
        }
    }

    #[test]
    fn what_the_schema_names_is_what_is_read() {
        let schema = super::super::schema();
        let environment = &schema["additionalProperties"]["anyOf"][1]["properties"];
        let keys: Vec<_> = environment.as_object().expect("a map").keys().map(String::as_str).collect();
        let known = ["after", "bake", "failure_tolerance", "gates", "max_parallel", "profile", "progress_deadline", "waves"];
        assert_eq!(keys, known);
        let told = read("prod: { nothing_like_it_at_all: 1 }").1.join("");
        assert!(known.iter().all(|key| told.contains(key)), "{told}");
    }
}
