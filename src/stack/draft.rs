//! One `stack.yaml`, read: the stack as its own file says, before the rest of the fleet was looked at.

use super::definition::BUILT_IN;
use super::expression::check_expressions;
use super::fleet_file::vars;
use super::place::Where;
use super::unread::{UnreadKeys, is_no_map};
use super::wiring::{depends_on, inputs, outputs, sensitive, uses_of_output};
use super::{ENGINES, Fields, Kind, Mistake, Mistakes, Node, OutputFrom, Reference, Site, Stack, StackName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the file that defines a stack.
pub(super) const FILE: &str = "stack.yaml";

/// Returns the directory that stands where a definition must, and holds the file at `path`; its own files define nothing.
pub(super) fn taken_by_a_directory(path: &str) -> Option<&str> {
    path.match_indices('/').map(|(end, _)| &path[..end]).find(|dir| dir_of(dir).is_some())
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
    /// What `was` of the definition itself says; for instances it stands for names below it.
    pub(super) was_of_all: Vec<(StackName, Site)>,
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
    if !says_something(node, mistakes) {
        return None;
    }
    let mut fields = Fields::of(node, "a stack", mistakes);
    let named = name(&mut fields, dir, &node.site);
    let before = fields.mistakes().len();
    let wanted = fields.need("where", "where: all").and_then(|node| Where::read(node, fields.mistakes()));
    let is_open = wanted.is_none() || fields.mistakes().len() > before;
    let instances = fields.get("instances").cloned();
    let (depends_on, vague) = depends_on(&mut fields);
    let was_of_all = was(&mut fields);
    let (was, was_sites) = was_of_all.iter().cloned().unzip();
    let inputs = inputs(&mut fields);
    let uses_of_inputs = inputs.iter().flat_map(|(_, _, node)| check_expressions(node, fields.mistakes())).collect();
    let before = fields.mistakes().len();
    let secret = fields.texts("sensitive").unwrap_or_default();
    let lacks_sensitive = fields.mistakes().len() > before;
    let secret = secret.into_iter().map(|(name, node)| (Arc::from(name), node.site.clone())).collect();
    let outputs = outputs(&mut fields);
    let watch = watch(&mut fields);
    let before = fields.mistakes().len();
    let labels = fields.labels("labels");
    let lacks_labels = fields.mistakes().len() > before;
    let vars = vars(fields.get("vars"), fields.mistakes());
    let section = section(&mut fields, &node.site);
    let uses = uses(section.as_ref().map(|(_, node)| node), &outputs, fields.mistakes());
    let mut unread = UnreadKeys::among(&fields.finish());
    unread.name |= named.is_none();
    unread.depends_on |= !vague.is_empty();
    unread.inputs |= is_no_map(node.get("inputs"));
    unread.outputs |= is_no_map(node.get("outputs"));
    unread.labels |= lacks_labels;
    let before = mistakes.len();
    let sensitive = sensitive(&inputs, secret, unread.inputs, mistakes);
    unread.sensitive |= lacks_sensitive || mistakes.len() > before;

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
    Some(Draft { stack, wanted, is_open, instances, shared, was_sites, was_of_all, vague, uses_of_inputs, uses })
}

/// Says whether there is anything to read.
fn says_something(node: &Node, mistakes: &mut Mistakes) -> bool {
    match node.kind {
        Kind::Map(_) => true,
        Kind::Null => {
            let mistake = Mistake::at(&node.site, "the file is empty");
            mistakes
                .push(mistake.hint("a stack needs where and an engine's section, such as documents; `isobar init` shows one"));
            false
        }
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) | Kind::Secret(_) => {
            let mistake = Mistake::at(&node.site, format!("a stack must be a map, and this is {}", node.kind_name()));
            mistakes.push(mistake.hint("write its keys without a dash, such as where: all"));
            false
        }
    }
}

/// Returns what the engine's section and the outputs refer to.
fn uses(section: Option<&Node>, outputs: &BTreeMap<Arc<str>, OutputFrom>, mistakes: &mut Mistakes) -> Vec<Reference> {
    let mut uses: Vec<_> = section.into_iter().flat_map(|node| check_expressions(node, mistakes)).collect();
    for output in outputs.values() {
        uses.extend(uses_of_output(output, mistakes));
    }
    uses
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
