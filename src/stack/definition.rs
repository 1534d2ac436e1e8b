//! One stack as its `stack.yaml` defines it.

use super::expression::check_expressions;
use super::fleet_file::vars;
use super::place::Where;
use super::unread::{UnreadKeys, is_no_map};
use super::{Fields, Kind, Mistake, Mistakes, Node, Reference, RegionId, Site, StackName, Vars, did_you_mean};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the file that defines a stack.
pub(super) const FILE: &str = "stack.yaml";

/// The engines a definition may name.
pub const ENGINES: [&str; 6] = ["documents", "tofu", "terraform", "pulumi", "kubernetes", "helm"];

/// The engines that this version of the program holds; a section of another one is a mistake.
pub const BUILT_IN: &[&str] = &["documents"];

/// A stack: what runs in every region that `where` matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    pub name: StackName,
    /// Directory from the root, without a slash at the end; empty for the root itself.
    pub dir: Arc<str>,
    pub site: Site,
    /// Regions in which it runs, in the order of the fleet file.
    pub regions: Vec<RegionId>,
    /// Declared dependencies and those that a use of `stacks["…"].outputs` implies.
    pub depends_on: Vec<Dependency>,
    /// Which instance of its definition it is; `None` where the definition stands for one stack.
    pub instance: Option<Instance>,
    /// Names it had before (`was:`): their targets are taken over, not destroyed.
    pub was: Vec<StackName>,
    /// Inputs as written, expressions unfilled.
    pub inputs: Vec<(Arc<str>, Site, Node)>,
    /// Inputs that are never shown (`sensitive: […]` or `!secret`).
    pub sensitive: Vec<Arc<str>>,
    pub outputs: BTreeMap<Arc<str>, OutputFrom>,
    /// Globs from the root whose files touch this stack too.
    pub watch: Vec<(Arc<str>, Site)>,
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    pub vars: Vars,
    /// The engine's name: the key of its section.
    pub engine: Arc<str>,
    /// The engine's section as written; its own room parses it.
    pub section: Node,
    /// What its definition says in vain; nothing in a fleet without mistakes.
    pub unread: UnreadKeys,
}

/// One of the several stacks that a definition stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// `acme`, for the stack `tenants/acme`.
    pub name: Arc<str>,
    /// The name of the definition: `tenants`.
    pub of: StackName,
    /// The highest layer of vars.
    pub vars: Vars,
}

impl Stack {
    /// Returns the name of its definition: its own, or of an instance the name that all instances share.
    pub fn definition(&self) -> &StackName {
        self.instance.as_ref().map_or(&self.name, |instance| &instance.of)
    }
}

/// A stack that must be applied before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub stack: StackName,
    /// The region it is met in; `None` means the same region.
    pub region: Option<RegionId>,
    /// The name as written: of a definition, where every one of its instances is meant.
    pub written: StackName,
    pub site: Site,
}

/// Where an output comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFrom {
    /// An expression over region, vars and inputs: known at preview.
    Value(Node),
    /// Read back from what the engine published; the engine's own form, known after apply.
    Engine(Node),
}

/// A stack as its own file says, before the rest of the fleet was looked at.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// Without regions and implied dependencies.
    pub(super) stack: Stack,
    /// All of them must match.
    pub(super) wanted: Vec<Where>,
    /// A mistake in one of them leaves open which regions match.
    pub(super) is_open: bool,
    /// What `instances` says, unread.
    pub(super) instances: Option<Node>,
    /// How many values its instances share.
    pub(super) shared: usize,
    /// Names given in `was`, each with its place.
    pub(super) was_sites: Vec<Site>,
    /// Declared dependencies of which a mistake leaves open in which region they are met.
    pub(super) vague: Vec<Site>,
    pub(super) uses_of_inputs: Vec<Reference>,
    /// What the engine's section and the outputs refer to.
    pub(super) uses: Vec<Reference>,
}

/// Returns the directory of the definition at `path`, or nothing when it defines no stack.
pub(super) fn dir_of(path: &str) -> Option<&str> {
    match path.strip_suffix(FILE)? {
        "" => Some(""),
        dir => dir.strip_suffix('/'),
    }
}

/// Reads one `stack.yaml`; `None` when it says nothing at all.
pub(super) fn read(dir: &str, node: &Node, mistakes: &mut Mistakes) -> Option<Draft> {
    if node.kind == Kind::Null {
        let mistake = Mistake::at(&node.site, "the file is empty");
        mistakes.push(mistake.hint("a stack needs where and an engine's section, such as documents; `isobar init` shows one"));
        return None;
    }
    if !matches!(node.kind, Kind::Map(_)) {
        let mistake = Mistake::at(&node.site, format!("a stack must be a map, and this is {}", node.kind_name()));
        mistakes.push(mistake.hint("write its keys without a dash, such as where: all"));
        return None;
    }
    let mut fields = Fields::of(node, "a stack", mistakes);
    let mut unread = UnreadKeys::default();
    let named = name(&mut fields, dir, &node.site);
    let before = fields.mistakes().len();
    let wanted = fields.need("where", "where: all").and_then(|node| Where::read(node, fields.mistakes()));
    let is_open = wanted.is_none() || fields.mistakes().len() > before;
    let instances = fields.get("instances").cloned();
    let before = fields.mistakes().len();
    let (depends_on, vague) = depends_on(&mut fields);
    unread.depends_on = fields.mistakes().len() > before;
    unread.inputs = is_no_map(fields.get("inputs"));
    unread.outputs = is_no_map(fields.get("outputs"));
    let (was, was_sites) = was(&mut fields).into_iter().unzip();
    let inputs = inputs(&mut fields);
    let uses_of_inputs = inputs.iter().flat_map(|(_, _, node)| check_expressions(node, fields.mistakes())).collect();
    let secret = fields.texts("sensitive").unwrap_or_default();
    let secret = secret.into_iter().map(|(name, node)| (Arc::from(name), node.site.clone())).collect();
    let outputs = outputs(&mut fields);
    let watch = watch(&mut fields);
    let before = fields.mistakes().len();
    let labels = fields.labels("labels");
    unread.labels = fields.mistakes().len() > before;
    let vars = vars(fields.get("vars"), fields.mistakes());
    let section = section(&mut fields, &node.site);
    let of_section = section.iter().flat_map(|(_, node)| check_expressions(node, fields.mistakes()));
    let mut uses: Vec<_> = of_section.collect();
    for output in outputs.values() {
        uses.extend(uses_of_output(output, fields.mistakes()));
    }
    let meant = fields.finish();
    unread.name = named.is_none() || meant.contains(&"name");
    unread.instances = meant.contains(&"instances");
    unread.depends_on |= meant.contains(&"depends_on");
    unread.inputs |= meant.contains(&"inputs");
    unread.outputs |= meant.contains(&"outputs");
    unread.labels |= meant.contains(&"labels");
    unread.vars = meant.contains(&"vars");
    let sensitive = sensitive(&inputs, secret, unread.inputs, mistakes);

    // A path with a dot in it is no name, and so nobody else's.
    let (name, site) = named.unwrap_or_else(|| (StackName::unread(&node.site.path), node.site.clone()));
    let (engine, section) = section.unwrap_or_else(|| ("".into(), Node { site: node.site.clone(), kind: Kind::Null }));
    let (dir, regions, instance) = (dir.into(), Vec::new(), None);
    let stack = Stack {
        name,
        dir,
        site,
        regions,
        depends_on,
        instance,
        was,
        inputs,
        sensitive,
        outputs,
        watch,
        labels,
        vars,
        engine,
        section,
        unread,
    };
    let wanted = wanted.into_iter().collect();
    let shared = node.count() - instances.as_ref().map_or(0, Node::count);
    Some(Draft { stack, wanted, is_open, instances, shared, was_sites, vague, uses_of_inputs, uses })
}

fn name(fields: &mut Fields<'_>, dir: &str, top: &Site) -> Option<(StackName, Site)> {
    let (text, site, hint) = match fields.get("name") {
        Some(node) => match node.as_str() {
            Some(text) => (text, &node.site, "such as apps/api"),
            None => {
                let what = format!("\"name\" must be a text, and this is {}", node.kind_name());
                fields.mistakes().push(Mistake::at(&node.site, what).hint("such as name: apps/api"));
                return None;
            }
        },
        None if dir.is_empty() => {
            let mistake = Mistake::at(top, "a stack at the root of the repository needs the key \"name\"");
            fields.mistakes().push(mistake.hint("elsewhere a stack is named after its directory"));
            return None;
        }
        None => (dir, top, "the name is the directory's path, unless the file says name: another"),
    };
    match text.parse() {
        Ok(name) => Some((name, site.clone())),
        Err(why) => {
            fields.mistakes().push(Mistake::at(site, format!("bad stack name: {why}")).hint(hint));
            None
        }
    }
}

/// Returns the dependencies that could be read, and the places of those that could be in part.
fn depends_on(fields: &mut Fields<'_>) -> (Vec<Dependency>, Vec<Site>) {
    let (mut found, mut vague) = (Vec::new(), Vec::new());
    let Some(node) = fields.get("depends_on") else { return (found, vague) };
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        Kind::Null => &[],
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) | Kind::Secret(_) => std::slice::from_ref(node),
    };
    for item in items {
        let before = fields.mistakes().len();
        found.extend(dependency(item, fields.mistakes()));
        vague.extend((fields.mistakes().len() > before).then(|| item.site.clone()));
    }
    (found, vague)
}

fn dependency(node: &Node, mistakes: &mut Mistakes) -> Option<Dependency> {
    let (stack, region) = match &node.kind {
        Kind::Text(text) => match text.split_once('@') {
            Some((stack, region)) => (Some((stack, node)), Some((region, node))),
            None => (Some((&**text, node)), None),
        },
        Kind::Map(_) => {
            let mut fields = Fields::of(node, "a dependency", mistakes);
            fields.need("stack", "stack: dns");
            fields.text("stack");
            fields.text("region");
            fields.finish();
            let text_of = |key| node.get(key).and_then(|node| Some((node.as_str()?, node)));
            (text_of("stack"), text_of("region"))
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::List(_) | Kind::Secret(_) => {
            let what = format!("a dependency must be a stack's name or a map, and this is {}", node.kind_name());
            mistakes
                .push(Mistake::at(&node.site, what).hint("such as base, dns@prod/global or {stack: dns, region: prod/global}"));
            return None;
        }
    };
    let mut bad = |site: &Site, what: &str, why: String| {
        mistakes
            .push(Mistake::at(site, format!("bad {what}: {why}")).hint("such as base, or dns@prod/global for another region"));
    };
    let region: Option<RegionId> = match region {
        Some((text, node)) => Some(text.parse().map_err(|why| bad(&node.site, "region id", why)).ok()?),
        None => None,
    };
    let (text, _) = stack?;
    let stack: StackName = text.parse().map_err(|why| bad(&node.site, "stack name", why)).ok()?;
    Some(Dependency { written: stack.clone(), stack, region, site: node.site.clone() })
}

/// Reads the former names of a stack.
pub(super) fn was(fields: &mut Fields<'_>) -> Vec<(StackName, Site)> {
    let mut names = Vec::new();
    for (text, node) in fields.texts("was").unwrap_or_default() {
        match text.parse() {
            Ok(name) => names.push((name, node.site.clone())),
            Err(why) => {
                let mistake = Mistake::at(&node.site, format!("bad stack name: {why}"));
                fields.mistakes().push(mistake.hint("the name that the stack had before, such as apps/api"));
            }
        }
    }
    names
}

/// Refuses names that no expression could spell.
fn check_name(what: &str, name: &str, site: &Site, mistakes: &mut Mistakes) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.chars().all(allowed) || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let mistake = Mistake::at(site, format!("bad name of {what} {name:?}"));
        mistakes.push(mistake.hint("letters, digits, _ and -, and a letter or _ first"));
    }
}

fn inputs(fields: &mut Fields<'_>) -> Vec<(Arc<str>, Site, Node)> {
    let inputs = fields.map("inputs").unwrap_or_default();
    inputs.iter().for_each(|(name, site, _)| check_name("an input", name, site, fields.mistakes()));
    inputs.to_vec()
}

/// Reads what is sensitive: inputs that hold a secret, and those that are named so.
fn sensitive(
    inputs: &[(Arc<str>, Site, Node)],
    named: Vec<(Arc<str>, Site)>,
    unread: bool,
    mistakes: &mut Mistakes,
) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> =
        inputs.iter().filter(|(_, _, node)| holds_secret(node)).map(|(name, ..)| name.clone()).collect();
    for (name, site) in named {
        match inputs.iter().find(|(known, ..)| *known == name) {
            Some((known, ..)) if names.contains(known) => {}
            Some((known, ..)) => names.push(known.clone()),
            None if unread => {}
            None => {
                let mistake = Mistake::at(&site, format!("\"sensitive\" names no input: {name:?}"));
                let near = did_you_mean(&name, inputs.iter().map(|(known, ..)| &**known));
                mistakes.push(mistake.hint(near.unwrap_or_else(|| "declare it under inputs".into())));
            }
        }
    }
    names
}

fn holds_secret(node: &Node) -> bool {
    match &node.kind {
        Kind::Secret(_) => true,
        Kind::List(items) => items.iter().any(holds_secret),
        Kind::Map(entries) => entries.iter().any(|(_, _, node)| holds_secret(node)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) => false,
    }
}

fn outputs(fields: &mut Fields<'_>) -> BTreeMap<Arc<str>, OutputFrom> {
    let mut outputs = BTreeMap::new();
    for (name, site, node) in fields.map("outputs").unwrap_or_default() {
        check_name("an output", name, site, fields.mistakes());
        let from = match node.kind {
            Kind::Map(_) => OutputFrom::Engine(node.clone()),
            Kind::Null => {
                let mistake = Mistake::at(&node.site, format!("output {name:?} has no value"));
                fields.mistakes().push(mistake.hint("such as ${{ inputs.id }}, or a map that says where the engine finds it"));
                OutputFrom::Value(node.clone())
            }
            Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Secret(_) => OutputFrom::Value(node.clone()),
        };
        outputs.insert(name.clone(), from);
    }
    outputs
}

fn uses_of_output(output: &OutputFrom, mistakes: &mut Mistakes) -> Vec<Reference> {
    match output {
        OutputFrom::Value(node) => check_expressions(node, mistakes),
        OutputFrom::Engine(node) => {
            for reference in check_expressions(node, mistakes) {
                let mistake = Mistake::at(&reference.site, "what the engine reads an output from can't hold an expression");
                mistakes.push(mistake.hint("write the expression itself as the output"));
            }
            Vec::new()
        }
    }
}

fn watch(fields: &mut Fields<'_>) -> Vec<(Arc<str>, Site)> {
    let mut globs = Vec::new();
    for (glob, node) in fields.texts("watch").unwrap_or_default() {
        let fault = match globset::GlobBuilder::new(glob).literal_separator(true).build() {
            Ok(_) if glob.starts_with('/') || glob.split('/').any(|part| part == "..") => Some("it leaves the repository".into()),
            Ok(_) if glob.is_empty() => Some("it is empty".into()),
            Ok(_) => None,
            Err(error) => Some(error.kind().to_string()),
        };
        match fault {
            None => globs.push((glob.into(), node.site.clone())),
            Some(why) => {
                let mistake = Mistake::at(&node.site, format!("bad glob {glob:?}: {why}"));
                fields.mistakes().push(mistake.hint("globs begin at the root of the repository, such as modules/**"));
            }
        }
    }
    globs
}

/// Returns the one engine's name and section.
fn section(fields: &mut Fields<'_>, top: &Site) -> Option<(Arc<str>, Node)> {
    let found: Vec<_> = ENGINES.into_iter().filter_map(|engine| Some((engine, fields.get(engine)?))).collect();
    let mut found: Vec<_> =
        found.into_iter().filter_map(|(engine, node)| Some((engine, fields.key_site(engine)?, node))).collect();
    found.sort_by_key(|(_, site, _)| *site);
    let built_in = BUILT_IN.join(", ");
    for (engine, site, _) in &found {
        if !BUILT_IN.contains(engine) {
            let mistake = Mistake::at(site, format!("the engine {engine} is not built into this version"));
            fields.mistakes().push(mistake.hint(format!("this version has {built_in}")));
        }
    }
    match found.as_slice() {
        [] => {
            let mistake = Mistake::at(top, "the stack has no engine's section");
            fields.mistakes().push(mistake.hint(format!("add one of {built_in}")));
            None
        }
        [(engine, _, node)] => Some(((*engine).into(), (*node).clone())),
        [(first, ..), (second, site, _), ..] => {
            let mistake = Mistake::at(site, format!("two engines' sections, {first} and {second}"));
            fields.mistakes().push(mistake.hint("a stack has one engine; make a second stack of the other section"));
            let (engine, _, node) = found.iter().find(|(engine, ..)| BUILT_IN.contains(engine))?;
            Some(((*engine).into(), (*node).clone()))
        }
    }
}
