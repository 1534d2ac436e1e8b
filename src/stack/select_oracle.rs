//! Precision and recall of selection: generated fleets with random edits, against an oracle that skips nothing. It
//! resolves every target on both sides and compares all that each one uses.

use super::sample::{Sample, touched};
use super::{Known, OutputFrom, Resolved, StackName, Target, TargetId};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

/// Numbers that are the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, max: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % max
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A fleet to be written down as files.
#[derive(Clone)]
struct Draft {
    comment: usize,
    /// Layer to its vars: `fleet`, `prod`, `aws`.
    vars: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    regions: BTreeMap<&'static str, RegionDraft>,
    stacks: BTreeMap<String, StackDraft>,
    files: BTreeMap<String, usize>,
}

#[derive(Clone)]
struct RegionDraft {
    tier: usize,
    vars: BTreeMap<&'static str, usize>,
}

#[derive(Clone, Default)]
struct StackDraft {
    comment: usize,
    regions: BTreeSet<&'static str>,
    inputs: BTreeMap<&'static str, String>,
    vars: BTreeMap<&'static str, usize>,
    /// Each with its vars and a region that it stays away from.
    instances: BTreeMap<&'static str, (BTreeMap<&'static str, usize>, Option<&'static str>)>,
    output: Option<&'static str>,
    watch: Option<&'static str>,
    waits_for: Option<String>,
    /// What an engine would have traced.
    files: Vec<&'static str>,
    names: Vec<&'static str>,
}

const REGIONS: [&str; 5] = ["prod/us", "prod/eu", "prod/ap", "staging/us", "staging/eu"];
const LAYERS: [&str; 5] = ["fleet", "prod", "staging", "aws", "gcp"];
const VARS: [&str; 3] = ["owner", "size", "zone"];
const DIRS: [&str; 9] = ["a", "a/x", "a/x/y", "b", "c", "d", "d/e", "f", "g"];
const INSTANCES: [&str; 3] = ["acme", "globex", "initech"];
const FILES: [&str; 10] = [
    "README.md",
    "a/1.txt",
    "a/x/1 2.txt",
    "a/x/y/ü.txt",
    "b/1.txt",
    "lib/common.txt",
    "lib/deep/1.txt",
    "d/e/f/1.txt",
    "g/1.txt",
    "free/1.txt",
];
const EXPRESSIONS: [&str; 7] = [
    "${{ vars.owner }}",
    "${{ vars.size }}-${{ region.name }}",
    "${{ region.vars.zone }}",
    "${{ region.labels.tier }}",
    "${{ vars }}",
    "${{ stack.name }}",
    "plain",
];
const NAMES: [&str; 6] = ["vars.owner", "vars.zone", "vars", "region.labels.tier", "region.vars", "region.id"];
const TRACED: [&str; 4] = ["lib/common.txt", "lib/", "free/1.txt", "b/1.txt"];
const GLOBS: [&str; 3] = ["lib/**", "*/1.txt", "free/*"];

impl Draft {
    fn generate(dice: &mut Dice) -> Self {
        let mut draft = Self {
            comment: 0,
            vars: LAYERS.into_iter().map(|layer| (layer, BTreeMap::new())).collect(),
            regions: BTreeMap::new(),
            stacks: BTreeMap::new(),
            files: FILES.into_iter().map(|path| (path.to_string(), 0)).collect(),
        };
        draft.vars.insert("fleet", VARS.into_iter().map(|var| (var, 0)).collect());
        for id in &REGIONS[..3 + dice.below(3)] {
            let vars = BTreeMap::from([("zone", dice.below(3)), ("size", dice.below(3))]);
            draft.regions.insert(id, RegionDraft { tier: dice.below(2), vars });
        }
        for dir in DIRS {
            if !dice.one_in(4) {
                draft.add_stack(dir, dice);
            }
        }
        draft
    }

    fn add_stack(&mut self, dir: &str, dice: &mut Dice) {
        let regions = self.regions.keys().copied().filter(|_| !dice.one_in(5)).collect();
        let mut stack = StackDraft { regions, ..StackDraft::default() };
        stack.inputs = ["one", "two"].into_iter().map(|name| (name, dice.pick(&EXPRESSIONS).to_string())).collect();
        stack.output = (!dice.one_in(3)).then(|| dice.pick(&["${{ inputs.one }}", "{ at: a.txt }"]));
        for instance in INSTANCES {
            if dice.one_in(4) {
                stack.instances.insert(instance, (BTreeMap::from([(dice.pick(&VARS), dice.below(3))]), None));
            }
        }
        let lower: Vec<_> = self.stacks.iter().filter(|(name, _)| name.as_str() < dir).collect();
        if !lower.is_empty() {
            let (other, its) = lower[dice.below(lower.len())];
            let shared: BTreeSet<_> = stack.regions.intersection(&its.regions).copied().collect();
            let place = its.regions.first().filter(|_| dice.one_in(3)).map(|region| format!("@{region}"));
            if place.is_none() && !shared.is_empty() {
                stack.regions = shared;
            }
            let instances: Vec<_> = its.instances.keys().copied().collect();
            let instance = (!instances.is_empty()).then(|| format!("/{}", dice.pick(&instances)));
            let whole = format!("{other}{}", place.clone().unwrap_or_default());
            let other = format!("{other}{}{}", instance.unwrap_or_default(), place.unwrap_or_default());
            match dice.below(4) {
                0 if its.output.is_some() => {
                    drop(stack.inputs.insert("far", format!("${{{{ stacks[\"{other}\"].outputs.out }}}}")))
                }
                1 => stack.waits_for = Some(other),
                2 if stack.instances.is_empty() => stack.waits_for = Some(whole),
                _ => {}
            }
        }
        stack.watch = dice.one_in(4).then(|| dice.pick(&GLOBS));
        stack.files = TRACED.into_iter().filter(|_| dice.one_in(5)).collect();
        stack.names = NAMES.into_iter().filter(|_| dice.one_in(8)).collect();
        self.stacks.insert(dir.to_string(), stack);
    }

    /// Makes one random edit; it may turn out to be none, or to break the fleet.
    fn edit(&mut self, dice: &mut Dice) {
        let stacks: Vec<_> = self.stacks.keys().cloned().collect();
        let name = stacks[dice.below(stacks.len())].clone();
        let regions: Vec<_> = self.regions.keys().copied().collect();
        let (region, file) = (dice.pick(&regions), dice.pick(&FILES));
        let stack = self.stacks.get_mut(&name).expect("a name from the map");
        match dice.below(20) {
            0 => self.comment += 1,
            1 => stack.comment += 1,
            2 | 3 => drop(self.files.insert(file.into(), dice.below(3))),
            4 => drop(self.files.remove(file)),
            5 => drop(self.vars.entry(dice.pick(&LAYERS)).or_default().insert(dice.pick(&VARS), dice.below(3))),
            6 => drop(self.regions.get_mut(region).expect("a region of the map").vars.insert(dice.pick(&VARS), dice.below(3))),
            7 => self.regions.get_mut(region).expect("a region of the map").tier = dice.below(3),
            8 => drop(stack.inputs.insert("two", dice.pick(&EXPRESSIONS).into())),
            9 => drop(stack.vars.insert(dice.pick(&VARS), dice.below(3))),
            10 if !stack.regions.remove(region) => drop(stack.regions.insert(region)),
            11 => drop(self.stacks.remove(&name)),
            12 => self.add_stack(dice.pick(&DIRS), dice),
            13 => drop(self.regions.insert(dice.pick(&REGIONS), RegionDraft { tier: 0, vars: [("zone", 1)].into() })),
            14 => stack.names = NAMES.into_iter().filter(|_| dice.one_in(4)).collect(),
            15 => stack.watch = Some(dice.pick(&GLOBS)),
            16 => drop(stack.instances.remove(dice.pick(&INSTANCES))),
            17 if !stack.instances.is_empty() => drop(stack.instances.insert(dice.pick(&INSTANCES), (BTreeMap::new(), None))),
            18 => drop(stack.instances.first_entry().map(|mut one| one.get_mut().0.insert(dice.pick(&VARS), dice.below(3)))),
            19 => drop(stack.instances.first_entry().map(|mut one| one.get_mut().1 = Some(region))),
            _ => drop(self.files.insert(format!("{name}/new"), dice.below(2))),
        }
    }

    /// Reads what is written down; `None` when the fleet is broken.
    fn sample(&self) -> Option<Sample> {
        let mut files: BTreeMap<String, String> =
            self.files.iter().map(|(path, text)| (path.clone(), text.to_string())).collect();
        files.insert("isobar.yaml".into(), self.fleet_text());
        for (dir, stack) in &self.stacks {
            files.insert(format!("{dir}/stack.yaml"), stack.text());
        }
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let sample = Sample::read(&files).ok()?;
        let traced = |sample: Sample, (dir, stack): (&String, &StackDraft)| sample.uses(dir, &stack.files, &stack.names);
        Some(self.stacks.iter().fold(sample, traced))
    }

    fn fleet_text(&self) -> String {
        let mut text = format!("# {}\nversion: 1\nvars: {}\nregions:\n", self.comment, flow(&self.vars["fleet"]));
        for (id, region) in &self.regions {
            let cloud = if id.ends_with("us") { "aws" } else { "gcp" };
            let _ = writeln!(
                text,
                "  {id}: {{ cloud: {cloud}, labels: {{ tier: t{} }}, vars: {} }}",
                region.tier,
                flow(&region.vars)
            );
        }
        let has = |part: &str| self.regions.keys().any(|id| id.starts_with(part));
        let _ = writeln!(
            text,
            "clouds:\n  aws: {{ vars: {} }}\n  gcp: {{ vars: {} }}",
            flow(&self.vars["aws"]),
            flow(&self.vars["gcp"])
        );
        text.push_str("environments:\n");
        for environment in ["prod", "staging"].into_iter().filter(|environment| has(environment)) {
            let _ = writeln!(text, "  {environment}: {{ vars: {} }}", flow(&self.vars[environment]));
        }
        text
    }
}

impl StackDraft {
    fn text(&self) -> String {
        let regions = self.regions.iter().copied().collect::<Vec<_>>().join(", ");
        let mut text = format!("# {}\nwhere: {{ region: [{regions}] }}\nvars: {}\ninputs:\n", self.comment, flow(&self.vars));
        for (name, value) in &self.inputs {
            let _ = writeln!(text, "  {name}: {value}");
        }
        let _ = self.output.iter().try_for_each(|output| writeln!(text, "outputs:\n  out: {output}"));
        let _ = self.watch.iter().try_for_each(|glob| writeln!(text, "watch: '{glob}'"));
        let _ = self.waits_for.iter().try_for_each(|stack| writeln!(text, "depends_on: {stack}"));
        if !self.instances.is_empty() {
            text.push_str("instances:\n");
        }
        for (name, (vars, away)) in &self.instances {
            let regions: Vec<_> = self.regions.iter().copied().filter(|region| Some(*region) != *away).collect();
            let _ = writeln!(text, "  {name}: {{ vars: {}, where: {{ region: [{}] }} }}", flow(vars), regions.join(", "));
        }
        text.push_str("documents:\n  source: .\n  destination: file:./live/${{ region.id }}/${{ stack.name }}\n");
        text
    }
}

fn flow(vars: &BTreeMap<&str, usize>) -> String {
    let pairs: Vec<_> = vars.iter().map(|(key, value)| format!("{key}: v{value}")).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// Returns every touched target by resolving and comparing all of them.
fn oracle(before: &Sample, after: &Sample) -> BTreeSet<String> {
    let ids = |sample: &Sample| sample.fleet.targets().iter().map(|target| target.id.clone()).collect::<BTreeSet<_>>();
    let (old, new) = (ids(before), ids(after));
    let mut touched: BTreeSet<TargetId> = old.symmetric_difference(&new).cloned().collect();
    touched.extend(old.intersection(&new).filter(|id| differs(before, after, id) || is_watched(before, after, id)).cloned());
    loop {
        let count = touched.len();
        let uses_touched = |id: &&TargetId| waits_for_outputs_of(after, id).iter().any(|from| touched.contains(from));
        let more: Vec<_> = new.iter().filter(uses_touched).cloned().collect();
        touched.extend(more);
        if touched.len() == count {
            return touched.iter().map(ToString::to_string).collect();
        }
    }
}

fn differs(before: &Sample, after: &Sample, id: &TargetId) -> bool {
    let names = [before, after]
        .into_iter()
        .filter_map(|sample| sample.uses.get(definition(sample, id)))
        .flat_map(|uses| uses.names.clone());
    let names: BTreeSet<_> = names.collect();
    given(before, id, &names) != given(after, id, &names)
}

fn definition<'a>(sample: &'a Sample, id: &TargetId) -> &'a StackName {
    sample.target(&id.to_string()).stack.definition()
}

/// Everything that a target uses, by name; of what templates can read, `names`.
fn given(sample: &Sample, id: &TargetId, names: &BTreeSet<Arc<str>>) -> BTreeMap<String, String> {
    let target = sample.target(&id.to_string());
    let mut given = used_files(sample, target);
    match sample.fleet.resolve(target, &Known::default()) {
        Ok(resolved) => given.extend(used_values(&resolved, names)),
        Err(mistakes) => drop(given.insert("mistakes".into(), mistakes.iter().map(|mistake| mistake.what.as_str()).collect())),
    }
    let needs: BTreeSet<_> = target.stack.depends_on.iter().map(|need| format!("{} {:?}", need.written, need.region)).collect();
    given.insert("needs".into(), format!("{needs:?}"));
    given
}

fn used_files(sample: &Sample, target: &Target) -> BTreeMap<String, String> {
    let dirs: Vec<_> = sample.fleet.stacks.iter().map(|stack| &*stack.dir).collect();
    let owner = |path: &str| dirs.iter().filter(|dir| path.starts_with(&format!("{dir}/"))).max_by_key(|dir| dir.len()).copied();
    let traced = sample.uses.get(target.stack.definition()).map(|uses| uses.files.clone()).unwrap_or_default();
    let is_traced = |path: &str| traced.iter().any(|one| **one == *path || (one.ends_with('/') && path.starts_with(&**one)));
    let leaves = sample.listing.leaves().iter();
    let used = leaves.filter(|leaf| *leaf.path != *target.stack.site.path);
    let used = used.filter(|leaf| owner(&leaf.path) == Some(&*target.stack.dir) || is_traced(&leaf.path));
    used.map(|leaf| (format!("file {}", leaf.path), leaf.id.0.to_string())).collect()
}

fn used_values(resolved: &Resolved, names: &BTreeSet<Arc<str>>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([("section".to_string(), resolved.section.to_value().to_string())]);
    values.extend(resolved.inputs.iter().map(|(name, input)| (format!("input {name}"), input.value.to_string())));
    let whole = |from: &OutputFrom| match from {
        OutputFrom::Value(node) => format!("value {}", node.to_value()),
        OutputFrom::Engine(node) => format!("engine {}", node.to_value()),
    };
    values.extend(resolved.outputs.iter().map(|(name, from)| (format!("output {name}"), whole(from))));
    let vars: Value = resolved.vars.iter().map(|(key, var)| (key.to_string(), var.value.clone())).collect();
    let context = serde_json::json!({ "vars": vars, "region": resolved.region });
    for name in names {
        let pointer = format!("/{}", name.replace('.', "/"));
        values.insert(format!("name {name}"), format!("{:?}", context.pointer(&pointer)));
    }
    values
}

fn is_watched(before: &Sample, after: &Sample, id: &TargetId) -> bool {
    let changed = before.listing.changed(&after.listing);
    let globs = [before, after].into_iter().flat_map(|sample| sample.target(&id.to_string()).stack.watch.clone());
    let matchers = globs.map(|(glob, _)| {
        globset::GlobBuilder::new(&glob).literal_separator(true).build().expect("a glob that was read").compile_matcher()
    });
    matchers.into_iter().any(|matcher| changed.iter().any(|path| matcher.is_match(path)))
}

/// Reads the holes of all that `id` is given: whose outputs it needs.
fn waits_for_outputs_of(sample: &Sample, id: &TargetId) -> Vec<TargetId> {
    let target = sample.target(&id.to_string());
    let Ok(resolved) = sample.fleet.resolve(target, &Known::default()) else { return Vec::new() };
    let from = |hole: &Arc<str>| {
        let (place, _) = hole.split_once(".outputs.")?;
        let place = if place.contains('@') { place.to_string() } else { format!("{place}@{}", id.region) };
        place.parse().ok()
    };
    resolved.holes().iter().filter_map(from).collect()
}

#[test]
fn selection_finds_exactly_what_an_oracle_finds_that_skips_nothing() {
    let (mut compared, mut found, mut untouched, mut instances) = (0, 0, 0, 0);
    for seed in 0..50 * crate::fuzz::factor() as u64 {
        let mut dice = Dice(seed);
        let draft = Draft::generate(&mut dice);
        let Some(before) = draft.sample() else { continue };
        let mut edited = draft.clone();
        (0..=dice.below(3)).for_each(|_| edited.edit(&mut dice));
        let Some(after) = edited.sample() else { continue };

        let selected: BTreeSet<_> =
            touched(&before, &after).iter().filter_map(|line| line.split(": ").next()).map(String::from).collect();
        assert_eq!(selected, oracle(&before, &after), "seed {seed}: {:#?}", touched(&before, &after));
        compared += 1;
        found += selected.len();
        instances += selected.iter().filter(|target| INSTANCES.iter().any(|name| target.contains(name))).count();
        untouched += after.fleet.targets().len().saturating_sub(selected.len());
    }
    let told = format!("{compared} fleets, {found} touched, {instances} of them instances, {untouched} untouched");
    assert!(compared > 40 && found > 150 && instances > 80 && untouched > 700, "{told}");
}
