//! Lines that no mistake quotes, as a sensitive value may stand in them: in a spelling by which nobody would know it again, or of an
//! input that only a slip keeps from being sensitive. Values that are known are masked besides, wherever they stand.

use super::expression::{OPEN, references_in};
use super::{ENGINES, Kind, Mistakes, Node, Site, Source, To, did_you_mean, draft, fleet_file};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Lines of definitions that are not quoted.
#[derive(Debug, Default)]
pub struct Quiet {
    by_path: BTreeMap<Arc<str>, Lines>,
}

#[derive(Debug)]
enum Lines {
    All,
    Some(Vec<RangeInclusive<u32>>),
}

/// Keys of a stack whose values are neither inputs nor vars.
const QUOTED: [&str; 8] = ["name", "where", "depends_on", "was", "watch", "labels", "outputs", "sensitive"];

impl Quiet {
    /// Of a stack that speaks of sensitive values: its inputs, vars and instances, and keys that nobody knows. Of the fleet's file: what
    /// fills those inputs. All of a file of these that cannot be read.
    pub fn of(definitions: &[Source]) -> Self {
        let mut by_path = BTreeMap::new();
        let mut filled_by = FilledBy::default();
        for source in definitions.iter().filter(|source| draft::dir_of(&source.path).is_some() && speaks(&source.bytes)) {
            let tree = tree(source);
            filled_by.look(tree.as_ref());
            let lines =
                tree.and_then(|tree| lines(&tree, &source.bytes, |key| !QUOTED.contains(&key) && !ENGINES.contains(&key)));
            by_path.insert(source.path.clone(), lines.map_or(Lines::All, Lines::Some));
        }
        let fleet = definitions.iter().find(|source| &*source.path == fleet_file::PATH && !filled_by.is_nothing());
        if let Some(source) = fleet {
            let tree = tree(source).filter(|_| !filled_by.anything);
            let lines = tree.and_then(|tree| lines_below(&tree, &source.bytes, |key| filled_by.has(key)));
            by_path.insert(source.path.clone(), lines.map_or(Lines::All, Lines::Some));
        }
        Self { by_path }
    }

    /// Says whether the line at `site` is not quoted.
    pub(super) fn hides(&self, site: &Site) -> bool {
        match self.by_path.get(&site.path) {
            Some(Lines::All) => true,
            Some(Lines::Some(ranges)) => ranges.iter().any(|range| range.contains(&site.line)),
            None => false,
        }
    }
}

/// Says whether a definition has the word `sensitive`, or one that may be meant by it.
fn speaks(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).any(|word| did_you_mean(word, ["sensitive"]).is_some())
}

/// Reads it as YAML; `None` when anything is wrong with that.
fn tree(source: &Source) -> Option<Node> {
    let mut mistakes = Mistakes::default();
    Node::parse(&source.path, &source.bytes, &mut mistakes).filter(|_| mistakes.is_empty())
}

/// Names of vars and labels that may fill a sensitive input.
#[derive(Default)]
struct FilledBy {
    names: BTreeSet<Arc<str>>,
    anything: bool,
}

impl FilledBy {
    fn look(&mut self, stack: Option<&Node>) {
        let Some(inputs) = stack.and_then(sensitive) else {
            self.anything = true;
            return;
        };
        for input in inputs {
            let references = references_in(input);
            self.anything |= references.len() < input.to_value().to_string().matches(OPEN).count();
            for reference in references {
                match reference.to {
                    To::Vars(path) => self.take(path.first()),
                    To::Region(path) if path.len() > 1 || ["vars", "labels"].contains(&&*path[0]) => self.take(path.get(1)),
                    To::Region(_) | To::StackName | To::InstanceName | To::Input(_) | To::Output { .. } => {}
                }
            }
        }
    }

    fn take(&mut self, name: Option<&Arc<str>>) {
        self.anything |= name.is_none();
        self.names.extend(name.cloned());
    }

    fn is_nothing(&self) -> bool {
        !self.anything && self.names.is_empty()
    }

    /// A key with a dot in it is a way of two steps.
    fn has(&self, key: &str) -> bool {
        self.names.contains(key.split('.').next().unwrap_or_default())
    }
}

/// Returns the sensitive inputs, or all where it is not clear which they are; `None` where not even that is known.
fn sensitive(stack: &Node) -> Option<Vec<&Node>> {
    let Some(Kind::Map(inputs)) = stack.get("inputs").map(|node| &node.kind) else { return None };
    let names: &[Node] = match stack.get("sensitive").map(|node| (node, &node.kind)) {
        Some((_, Kind::List(items))) => items,
        Some((node, _)) => std::slice::from_ref(node),
        None => &[],
    };
    let is_named = |key: &str| names.iter().any(|name| name.as_str() == Some(key));
    let is_clear = names.iter().all(|name| name.as_str().is_some_and(|name| inputs.iter().any(|(key, ..)| &**key == name)));
    let is_meant = |key: &str| names.is_empty() || !is_clear || is_named(key);
    Some(inputs.iter().filter(|(key, ..)| is_meant(key)).map(|(.., node)| node).collect())
}

/// Returns the lines of the keys at the top that are `quiet`; `None` when they cannot be told from others.
fn lines(tree: &Node, bytes: &[u8], quiet: impl Fn(&str) -> bool) -> Option<Vec<RangeInclusive<u32>>> {
    let Kind::Map(entries) = &tree.kind else { return None };
    let text = Text::of(tree, bytes);
    entries.iter().filter(|(key, ..)| quiet(key)).map(|(_, site, node)| text.span(site, node)).collect()
}

/// The same of keys on every level.
fn lines_below(tree: &Node, bytes: &[u8], quiet: impl Fn(&str) -> bool) -> Option<Vec<RangeInclusive<u32>>> {
    let text = Text::of(tree, bytes);
    let (mut found, mut next) = (Vec::new(), vec![tree]);
    while let Some(node) = next.pop() {
        match &node.kind {
            Kind::List(items) => next.extend(items),
            Kind::Map(entries) => {
                for (key, site, node) in entries {
                    if quiet(key) {
                        found.push(text.span(site, node)?);
                    }
                    next.push(node);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => {}
        }
    }
    Some(found)
}

/// Line and column, from 1.
type At = (u32, u32);

/// A definition, and where something begins in it.
struct Text<'a> {
    lines: Vec<&'a [u8]>,
    begins: BTreeSet<At>,
}

impl<'a> Text<'a> {
    fn of(tree: &Node, bytes: &'a [u8]) -> Self {
        let mut begins = BTreeSet::new();
        gather(tree, &mut begins);
        Self { lines: bytes.split(|byte| *byte == b'\n').collect(), begins }
    }

    /// Returns the lines from a key up to where the next thing begins that is none of its own; `None` when something of its own stands
    /// elsewhere, as what an alias stands for.
    fn span(&self, key: &Site, node: &Node) -> Option<RangeInclusive<u32>> {
        let mut own = BTreeSet::from([(key.line, key.column)]);
        gather(node, &mut own);
        let last = *own.last()?;
        if own.first() != Some(&(key.line, key.column)) || self.begins.range(*own.first()?..=last).ne(own.iter()) {
            return None;
        }
        let next = self.begins.range(last..).find(|at| **at != last);
        let end = next.map_or(u32::MAX, |(line, column)| if self.is_first(*line, *column) { line - 1 } else { *line });
        Some(key.line..=end.max(last.0))
    }

    /// Nothing but blanks stands before it in its line.
    fn is_first(&self, line: u32, column: u32) -> bool {
        let before = self.lines.get(line as usize - 1).and_then(|text| text.get(..column as usize - 1));
        before.is_some_and(|before| before.iter().all(|byte| *byte == b' '))
    }
}

/// Gathers where each key, item and value begins.
fn gather(node: &Node, begins: &mut BTreeSet<At>) {
    begins.insert((node.site.line, node.site.column));
    match &node.kind {
        Kind::List(items) => items.iter().for_each(|item| gather(item, begins)),
        Kind::Map(entries) => {
            for (_, site, node) in entries {
                begins.insert((site.line, site.column));
                gather(node, begins);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Mode;

    fn hidden(files: &[(&str, &str)], path: &str) -> Vec<u32> {
        let source =
            |(path, text): &(&str, &str)| Source { path: (*path).into(), mode: Mode::File, bytes: text.as_bytes().into() };
        let quiet = Quiet::of(&files.iter().map(source).collect::<Vec<_>>());
        (1..=9).filter(|line| quiet.hides(&Site::new(path, *line, 1))).collect()
    }

    fn own(text: &str) -> Vec<u32> {
        hidden(&[("a/stack.yaml", text)], "a/stack.yaml")
    }

    fn of_fleet(inputs: &str, fleet: &str) -> Vec<u32> {
        let stack = format!("where: all\ninputs: {{ {inputs} }}\nsensitive: pw\n");
        hidden(&[("a/stack.yaml", &stack), ("isobar.yaml", fleet)], "isobar.yaml")
    }

    #[test]
    fn inputs_vars_and_keys_that_nobody_knows_are_quiet_in_a_stack_that_speaks_of_sensitive_values() {
        assert_eq!(own("where: all\ninputs:\n  a: 'x\n    y'\n\nsensitive: a\nvars: { b: 1 }\nzz: 1\n"), [2, 3, 4, 5, 7, 8, 9]);
        assert_eq!(own("where: all\ninputs: {\n a: x }\nwatch: b\nsensitve: a\n"), [2, 3, 5, 6, 7, 8, 9]);
        assert_eq!(own("{ where: all, inputs: { a: x\n }, watch: b,\n sensitive: a }\n"), [1, 2]);
        assert_eq!(own("where: all\ninputs: { a: x }\n"), [0; 0]);
    }

    #[test]
    fn a_file_that_cannot_be_read_or_whose_values_stand_elsewhere_is_quiet() {
        let all = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(own("inputs: { a: x\nsensitive: a\n"), all);
        assert_eq!(own("watch: &w x\ninputs: { a: *w }\nsensitive: a\n"), all);
        assert_eq!(own("inputs: { a: x }\nwatch: b\ninputs: { a: y }\nsensitive: a\n"), all);
        assert_eq!(own("zz: &z\n  inputs: { a: x }\n  watch: b\n<<: *z\nsensitive: a\n"), [1, 2, 3, 4]);
    }

    #[test]
    fn in_the_fleets_file_only_what_fills_a_sensitive_input_is_quiet() {
        let fleet =
            "vars:\n  a: 1\n  pw: x\n  b: 2\nregions:\n  prod/a: { vars: { pw: y } }\n  prod/b:\n    vras:\n      pw: z\n";
        assert_eq!(of_fleet("pw: '${{ vars.pw.x }}', a: '${{ vars.a }}'", fleet), [3, 6, 9]);
        assert_eq!(of_fleet("pw: '${{ region.vars.a }}'", fleet), [2]);
        assert_eq!(of_fleet("pw: x", fleet), [0; 0]);
        assert_eq!(of_fleet("p: '${{ vars.a }}', w: '${{ vars.b }}'", fleet), [2, 4], "which of them is meant is not known");
        for anything in ["pw: '${{ vras.pw }}'", "pw: '${{ vars }}'", "[]"] {
            assert_eq!(of_fleet(anything, fleet).len(), 9, "{anything}");
        }
    }
}
