//! The fleet: every region, stack and target of one commit.

use super::draft::{self, Draft};
use super::fleet_file::{self, FleetFile};
use super::{
    JournalPlace, Kind, Leaf, Listing, Mistake, Mistakes, Mode, Node, OutputFrom, Region, RegionId, Site, Source, Stack,
    StackName, TargetId,
};
use super::{Unread, Vars, check, instance};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything the definitions of one commit say.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// In the order of the fleet file.
    pub regions: Vec<Arc<Region>>,
    /// Sorted by name.
    pub stacks: Vec<Arc<Stack>>,
    /// Layers above the regions: fleet, environments, clouds.
    pub vars: Vars,
    pub environment_vars: BTreeMap<Arc<str>, Vars>,
    pub cloud_vars: BTreeMap<Arc<str>, Vars>,
    /// Team name to its members' logins; what the local host goes by.
    pub teams: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    pub first_apply: FirstApply,
    pub direct_push: DirectPush,
    /// The `policy`, `rollout`, `slots` and `journal` sections, unread; `None` where the key is absent.
    pub policy: Option<Node>,
    pub rollout: Option<Node>,
    pub slots: Option<Node>,
    pub journal: Option<(Arc<str>, Site)>,
    /// Mistakes with which a fleet can still be read. Only one that is about to be applied must be free of them: whoever judges it
    /// reads older ones too, and those can't be mended any more.
    pub strict: Mistakes,
    /// What mistakes left unread; nothing in a fleet without mistakes.
    pub unread: Unread,
    /// Stack by stack (by name), region by region (in the order of the fleet file).
    targets: Vec<Target>,
    region_at: BTreeMap<RegionId, usize>,
    target_at: BTreeMap<TargetId, usize>,
}

/// What becomes of a new target that nobody could see before what it needs was applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstApply {
    /// It is previewed then, and waits for an approval of that.
    #[default]
    Waits,
    /// An approval of the preview that named it counts for its first apply, as long as that only creates.
    Covered,
}

/// What becomes of a commit that came to the branch which is applied, and that no pull request brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DirectPush {
    /// Somebody has to approve what it does, whatever the policy asks for.
    #[default]
    Deny,
    /// The policy decides alone.
    Allow,
}

/// One stack in one region, with both definitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub id: TargetId,
    pub stack: Arc<Stack>,
    pub region: Arc<Region>,
}

impl Fleet {
    /// Reads the fleet from `isobar.yaml` and every `stack.yaml` among `definitions`; `listing` tells which other files exist.
    /// Returns every mistake of every file at once.
    pub fn read(definitions: &[Source], listing: &Listing) -> Result<Fleet, Mistakes> {
        let text_of = |path: &str| definitions.iter().find(|source| &*source.path == path).map(|source| &*source.bytes);
        let (mut fleet, mut mistakes) = Self::read_as_far(definitions, listing);
        if mistakes.is_empty() {
            fleet.strict.quote(text_of);
            return Ok(fleet);
        }
        mistakes.extend(fleet.strict);
        mistakes.quote(text_of);
        Err(mistakes)
    }

    /// Like [`Fleet::read`], and returns what could be read in spite of mistakes: to find the others, and for nothing else.
    /// The mistakes have no lines yet.
    pub fn read_as_far(definitions: &[Source], listing: &Listing) -> (Fleet, Mistakes) {
        let mut mistakes = Mistakes::default();
        let file = read_fleet_file(definitions, listing, &mut mistakes).unwrap_or_else(FleetFile::unread);
        let (drafts, dirs) = read_stacks(definitions, listing, &mut mistakes);
        let stacks = check::stacks(&file, drafts, &dirs, &mut mistakes);
        let mut fleet = Self::of(file, stacks);
        let of_stacks: Vec<_> = fleet.stacks.iter().map(|stack| stack.unread).collect();
        fleet.unread.stacks = !dirs.is_empty() || of_stacks.iter().any(|unread| unread.name || unread.instances);
        fleet.unread.stack_labels = fleet.unread.stacks || of_stacks.iter().any(|unread| unread.labels);
        (fleet, mistakes)
    }

    fn of(file: FleetFile, stacks: Vec<Arc<Stack>>) -> Self {
        let FleetFile {
            regions,
            vars,
            environment_vars,
            cloud_vars,
            teams,
            first_apply,
            direct_push,
            policy,
            rollout,
            slots,
            journal,
            strict,
            unread,
        } = file;
        let region_at: BTreeMap<RegionId, usize> =
            regions.iter().enumerate().map(|(at, region)| (region.id.clone(), at)).collect();
        let mut targets = Vec::new();
        for stack in &stacks {
            for id in &stack.regions {
                let region = regions[region_at[id]].clone();
                let id = TargetId::new(stack.name.clone(), region.id.clone());
                targets.push(Target { id, stack: stack.clone(), region });
            }
        }
        let target_at = targets.iter().enumerate().map(|(at, target)| (target.id.clone(), at)).collect();
        Self {
            regions,
            stacks,
            vars,
            environment_vars,
            cloud_vars,
            teams,
            first_apply,
            direct_push,
            policy,
            rollout,
            slots,
            journal,
            strict,
            unread,
            targets,
            region_at,
            target_at,
        }
    }

    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.target_at.get(id).map(|at| &self.targets[*at])
    }

    pub fn region(&self, id: &RegionId) -> Option<&Arc<Region>> {
        self.region_at.get(id).map(|at| &self.regions[*at])
    }

    /// Returns where `target` is first given the secret `name`: by its own definition, else by a layer of vars, the nearest first.
    pub fn secret_site(&self, target: &Target, name: &str) -> Option<Site> {
        let (stack, region) = (&target.stack, &target.region);
        let outputs = stack.outputs.values().map(|from| match from {
            OutputFrom::Value(node) | OutputFrom::Engine(node) => node,
        });
        let environment = self.environment_vars.get(region.id.environment());
        let cloud = region.cloud.as_ref().and_then(|cloud| self.cloud_vars.get(cloud));
        let layers = [Some(&stack.vars), Some(&region.vars), cloud, environment, Some(&self.vars)];
        let own = stack.inputs.iter().map(|(.., node)| node).chain([&stack.section]).chain(outputs);
        let nodes = own.chain(layers.into_iter().flatten().filter_map(|vars| vars.0.as_ref()));
        nodes.into_iter().find_map(|node| node.secret_site(name)).cloned()
    }

    /// Returns where the fleet names a place for its journal that something else could lie in: a directory, from the root, or a
    /// URL in a bucket. `None` where it names none, or a ref.
    pub fn journal_path(&self) -> Option<String> {
        match JournalPlace::parse(&self.journal.as_ref()?.0).ok()? {
            JournalPlace::Directory(dir) => Some(dir),
            JournalPlace::Objects(url) => Some(url.to_string()),
            JournalPlace::Git(_) => None,
        }
    }

    pub fn stack(&self, name: &StackName) -> Option<&Arc<Stack>> {
        let at = self.stacks.binary_search_by(|stack| stack.name.cmp(name)).ok()?;
        self.stacks.get(at)
    }
}

fn read_fleet_file(definitions: &[Source], listing: &Listing, mistakes: &mut Mistakes) -> Option<FleetFile> {
    let Some(source) = definitions.iter().find(|source| &*source.path == fleet_file::PATH) else {
        let is_near = |leaf: &&Leaf| ["isobar.yml", ".isobar.yaml", "Isobar.yaml"].contains(&&*leaf.path);
        if listing.leaves().iter().any(|leaf| leaf.path.starts_with("isobar.yaml/")) {
            let what = "isobar.yaml is a directory, and must be a file";
            mistakes.push(Mistake::nowhere(what).hint("move the directory away, then isobar init writes the file"));
            return None;
        }
        let missing = Mistake::nowhere("there is no isobar.yaml at the root of the repository");
        mistakes.push(match listing.leaves().iter().find(is_near) {
            Some(leaf) => missing.hint(format!("rename {} to isobar.yaml", leaf.path)),
            None => missing.hint("`isobar init` writes one"),
        });
        return None;
    };
    let node = parse(source, mistakes)?;
    if node.kind == Kind::Null {
        mistakes.push(Mistake::at(&node.site, "the file is empty").hint("`isobar init` shows what belongs in it"));
        return None;
    }
    Some(fleet_file::read(&node, listing, mistakes))
}

/// Reads every stack's own file; beside the drafts, the directories whose file could not be read.
fn read_stacks<'a>(definitions: &'a [Source], listing: &'a Listing, mistakes: &mut Mistakes) -> (Vec<Draft>, BTreeSet<&'a str>) {
    let (mut drafts, mut unread) = (Vec::new(), BTreeSet::new());
    for source in definitions {
        let Some(dir) = draft::dir_of(&source.path) else { continue };
        let draft = parse(source, mistakes).and_then(|node| draft::read(dir, &node, mistakes));
        let stacks = draft.map(|draft| instance::stacks_of(draft, mistakes)).unwrap_or_default();
        if stacks.is_empty() {
            unread.insert(dir);
        }
        drafts.extend(stacks);
    }
    for dir in listing.leaves().iter().filter_map(|leaf| draft::taken_by_a_directory(&leaf.path)).collect::<BTreeSet<_>>() {
        let what = format!("{dir} is a directory, and must be a file");
        mistakes.push(Mistake::nowhere(what).hint("move the directory away, and put the definition in its place"));
    }
    let is_given = |leaf: &Leaf| definitions.iter().any(|source| source.path == leaf.path);
    for leaf in listing.leaves().iter().filter(|leaf| leaf.mode == Mode::Symlink) {
        let dir = draft::dir_of(&leaf.path);
        if (dir.is_some() || &*leaf.path == fleet_file::PATH) && !is_given(leaf) {
            mistakes.push(symlink(&leaf.path));
            unread.extend(dir);
        }
    }
    (drafts, unread)
}

fn parse(source: &Source, mistakes: &mut Mistakes) -> Option<Node> {
    match source.mode {
        Mode::File | Mode::Executable => Node::parse(&source.path, &source.bytes, mistakes),
        Mode::Symlink | Mode::Submodule => {
            mistakes.push(symlink(&source.path));
            None
        }
    }
}

fn symlink(path: &str) -> Mistake {
    let mistake = Mistake::at(&Site::new(path, 1, 1), "a definition must be a plain file, and this is a link");
    mistake.hint("put the file itself here")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGIONS: &str = "version: 1\nregions: {prod/b: , prod/a: , dev/a: }\n";

    fn read<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Fleet {
        let source = |(path, text): (&str, &str)| Source { path: path.into(), mode: Mode::File, bytes: text.as_bytes().into() };
        let sources: Vec<_> = files.into_iter().map(source).collect();
        Fleet::read(&sources, &Listing::default()).unwrap_or_else(|mistakes| {
            panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        })
    }

    #[test]
    fn targets_stand_by_stack_name_and_then_in_the_order_of_the_fleet_file() {
        let fleet = read([
            (fleet_file::PATH, REGIONS),
            ("z/stack.yaml", "where: all\ndocuments: {}"),
            ("a/b/stack.yaml", "where: {region: '*/a'}\ndocuments: {}"),
        ]);
        let ids: Vec<_> = fleet.targets().iter().map(|target| target.id.to_string()).collect();
        assert_eq!(ids, ["a/b@prod/a", "a/b@dev/a", "z@prod/b", "z@prod/a", "z@dev/a"]);
    }

    #[test]
    fn a_use_of_outputs_implies_the_dependency_and_a_declared_one_is_not_doubled() {
        let used = "where: all\ndepends_on: dns@prod/a\ninputs:\n  id: ${{ stacks[\"base\"].outputs.id }}\n  \
                    ip: ${{ stacks[\"dns@prod/a\"].outputs.ip }}\ndocuments: {}";
        let fleet = read([
            (fleet_file::PATH, REGIONS),
            ("base/stack.yaml", "where: all\noutputs: {id: {document: a.json}}\ndocuments: {}"),
            ("dns/stack.yaml", "where: {region: prod/a}\noutputs: {ip: \"${{ region.name }}\"}\ndocuments: {}"),
            ("net/stack.yaml", used),
        ]);
        let net = fleet.stack(&"net".parse().expect("a name")).expect("read");
        let shown = |dependency: &super::super::Dependency| {
            let region = dependency.region.as_ref().map_or("same region", RegionId::as_str);
            format!("{} {region} {}", dependency.stack, dependency.site)
        };
        let dependencies: Vec<_> = net.depends_on.iter().map(shown).collect();
        assert_eq!(dependencies, ["dns prod/a net/stack.yaml:2", "base same region net/stack.yaml:4"]);
        let outputs = |name: &str| fleet.stack(&name.parse().expect("a name")).expect("read").outputs.clone();
        assert!(matches!(outputs("base")["id"], OutputFrom::Engine(_)));
        assert!(matches!(outputs("dns")["ip"], OutputFrom::Value(_)));
    }

    #[test]
    fn secret_inputs_are_sensitive_without_saying_so() {
        let text = "where: all\ninputs: {a: 1, b: {c: [!secret DB]}, d: 2}\nsensitive: [d, b]\ndocuments: {}";
        let fleet = read([(fleet_file::PATH, REGIONS), ("a/stack.yaml", text)]);
        let names: Vec<_> = fleet.stacks[0].sensitive.iter().map(|name| &**name).collect();
        assert_eq!(names, ["b", "d"]);
    }

    #[test]
    fn a_secret_is_found_where_the_definitions_ask_for_it() {
        let regions = "version: 1\nregions: {prod/a: {vars: {db: !secret DB}}, prod/b: }\nvars: {pin: {of: !secret PIN}}\n";
        let text = "where: all\ninputs:\n  db: ${{ vars.db }}\n  pw: {x: [!secret PW]}\ndocuments: {}";
        let fleet = read([(fleet_file::PATH, regions), ("a/stack.yaml", text)]);
        let place = |name: &str| {
            let site = fleet.secret_site(&fleet.targets()[0], name)?;
            Some(format!("{site}:{}", site.column))
        };
        assert_eq!(place("PW").as_deref(), Some("a/stack.yaml:4:20"));
        assert_eq!(place("DB").as_deref(), Some("isobar.yaml:2:39"));
        assert_eq!(place("PIN").as_deref(), Some("isobar.yaml:3:26"));
        assert_eq!(place("NONE"), None);
    }

    #[test]
    fn a_dependency_may_be_met_in_another_region() {
        let first = "where: {region: prod/a}\nname: first\noutputs: {id: 1}\ndocuments: {}";
        let text = "where: all\ninputs: {id: \"${{ stacks['first@prod/a'].outputs.id }}\"}\ndocuments: {}";
        let fleet = read([(fleet_file::PATH, REGIONS), ("a/stack.yaml", first), ("a/b/stack.yaml", text)]);
        assert_eq!(fleet.targets().len(), 4);
    }

    #[test]
    fn each_of_ten_thousand_targets_is_found_again() {
        let regions: String = (0..10).map(|n| format!("  prod/r{n}: {{vars: {{cidr: 10.{n}.0.0/16}}}}\n")).collect();
        let mut files = vec![(fleet_file::PATH.to_string(), format!("version: 1\nregions:\n{regions}"))];
        let inputs = "where: all\ndocuments: {}\noutputs: {id: {document: a.json}}\ninputs:\n  cidr: ${{ region.vars.cidr }}\n";
        for n in 0..1_000 {
            let base = n - n % 10;
            let id = if n == base { String::new() } else { format!("  id: ${{{{ stacks.s{base}.outputs.id }}}}\n") };
            files.push((format!("s{n}/stack.yaml"), format!("{inputs}{id}")));
        }
        let fleet = read(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        assert_eq!(fleet.targets().len(), 10_000);
        assert!(fleet.targets().iter().all(|target| fleet.target(&target.id) == Some(target)));
    }
}
