//! YAML to a tree that knows the place of every key and value. The only file that knows the YAML library; it knows no key.
//!
//! Definitions come from pull requests of strangers, so everything is bounded: bytes, depth, and nodes after aliases.

use super::scalar::plain;
use super::{Kind, Mistake, Mistakes, Node, Site, is_mark_character};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BYTES_MAX: usize = 256 * 1024; // a region takes about 100 bytes, so this holds 2,000 of them
const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 100_000; // after aliases; an anchored value counts twice, as it is kept twice

impl Node {
    /// Reads the YAML in `bytes`, which stand at `path`. An empty file is nothing ([`Kind::Null`]); `None` means that
    /// `mistakes` says why there is no tree.
    pub fn parse(path: &str, bytes: &[u8], mistakes: &mut Mistakes) -> Option<Node> {
        let top = Site::new(path, 1, 1);
        if bytes.len() > BYTES_MAX {
            let what = format!("the file has {} bytes, and at most {BYTES_MAX} are read", bytes.len());
            mistakes.push(Mistake::at(&top, what).hint("split it into more stacks"));
            return None;
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{FEFF}').unwrap_or(text),
            Err(error) => {
                let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
                let line = before.matches('\n').count() + 1;
                let site = Site { line: line as u32, column: column as u32, ..top };
                mistakes.push(Mistake::at(&site, "this byte is not UTF-8").hint("save the file as UTF-8"));
                return None;
            }
        };
        let options = granit_parser::options! {
            disallow_directives: true,
            emit_unresolved_aliases: true,
            emit_comments: false,
            flow_nesting_limit: DEPTH_MAX,
            block_nesting_limit: DEPTH_MAX,
        };
        let parser = Parser::new_from_str_with_options(text, options);
        Builder { top, text, parser, anchors: BTreeMap::new(), nodes: 0, mistakes }.document().ok()
    }
}

/// The file can't be read on; the mistake was pushed.
struct Stop;

/// A value with an anchor, complete.
struct Anchored {
    node: Node,
    size: usize,
    height: usize,
}

struct Builder<'a> {
    top: Site,
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// By the parser's anchor id; an anchor whose value is still being read is not in it.
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    mistakes: &'a mut Mistakes,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Result<Node, Stop> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if root.is_some() => {
                    let mistake = Mistake::at(&self.site(&span), "a second document begins here");
                    self.mistakes.push(mistake.hint("a definition is one document: remove the --- or split the file"));
                    return Err(Stop);
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, &span, 1)?),
            }
        }
        Ok(root.unwrap_or(Node { site: self.top.clone(), kind: Kind::Null }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let mistake = self.syntax(&error);
                self.mistakes.push(mistake);
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Mistake {
        let site =
            Site { line: error.marker().line().max(1) as u32, column: error.marker().col() as u32 + 1, ..self.top.clone() };
        const TABS: &str = "indent with spaces, YAML allows no tabs there";
        if let Some(tab) = self.tab_at(&site) {
            let told = match tab.line == site.line {
                true => Mistake::at(&site, format!("not readable as YAML: {}", error.info().trim_end_matches('.'))),
                false => Mistake::at(&tab, "not readable as YAML: a tab indents this line"),
            };
            return told.hint(TABS);
        }
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(&site),
            kind => {
                let mistake = Mistake::at(&site, format!("not readable as YAML: {}", error.info().trim_end_matches('.')));
                mistake.hint(self.advice(kind, &site))
            }
        }
    }

    /// Returns the tab that indents the line of `site`, else one next to it: the parser may tell it of the line before, or of the one after.
    fn tab_at(&self, site: &Site) -> Option<Site> {
        let lines = (1..).zip(self.text.lines()).skip((site.line as usize).saturating_sub(2)).take(3);
        let tab = |(line, text): (u32, &str)| {
            let indent = text.len() - text.trim_start_matches(' ').len();
            let site = Site { line, column: indent as u32 + 1, ..self.top.clone() };
            text[indent..].starts_with('\t').then_some(site)
        };
        lines.filter_map(tab).min_by_key(|tab| tab.line.abs_diff(site.line))
    }

    fn advice(&self, kind: &ErrorKind, site: &Site) -> &'static str {
        let lines = self.text.lines().skip((site.line as usize).saturating_sub(2)).take(2);
        let in_flow = matches!(
            kind,
            ErrorKind::ExpectedFlowMappingSeparator
                | ErrorKind::ExpectedFlowSequenceSeparator
                | ErrorKind::MismatchedFlowCollectionEnd { .. }
                | ErrorKind::MisplacedFlowCollectionEnd
                | ErrorKind::UnclosedFlowCollection { .. }
        );
        if in_flow && lines.clone().any(|line| line.contains("${{")) {
            return "between { } or [ ] write an expression in quotes: \"${{ … }}\"";
        }
        match kind {
            ErrorKind::DirectiveDisallowed => "remove the line, definitions use no directives",
            ErrorKind::MappingValueNotAllowed => "check the indentation, and put a text that holds \": \" in quotes",
            ErrorKind::UnclosedQuotedScalar => "close the quote",
            _ => "look at this line and the one before: an open bracket or quote, or a wrong indentation",
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Stop> {
        let site = self.site(span);
        self.count(1, &site)?;
        if depth > DEPTH_MAX {
            self.mistakes.push(too_deep(&site));
            return Err(Stop);
        }
        let (before, anchor) = (self.nodes, event.anchor_id());
        let node = match event {
            Event::Scalar(value, style, _, tag) => self.scalar(&value, style, tag.as_deref(), span),
            Event::SequenceStart(_, _, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                Node { site, kind: Kind::List(self.items(depth)?) }
            }
            Event::MappingStart(_, _, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                Node { site, kind: Kind::Map(self.entries(depth)?) }
            }
            Event::Alias(id) => return self.alias(id, site, depth),
            Event::UnresolvedAlias(name) => {
                let mistake = Mistake::at(&site, format!("unknown anchor {name:?}"));
                self.mistakes.push(mistake.hint(format!("put &{name} before the value it stands for, further up in this file")));
                Node { site, kind: Kind::Null }
            }
            _ => {
                // The parser's events are open-ended; none but these begins a value.
                self.mistakes.push(Mistake::at(&site, "not readable as YAML: a value is missing").hint("write it here"));
                return Err(Stop);
            }
        };
        if let Some(anchor) = anchor.filter(|id| *id > 0) {
            let size = self.nodes - before + 1;
            self.count(size, &node.site)?;
            let height = height(&node);
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, height });
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, site: &Site) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > NODES_MAX {
            let mistake = Mistake::at(site, format!("more than {NODES_MAX} values, aliases counted in full"));
            self.mistakes.push(mistake.hint("no fleet needs that many in one file; is an alias repeated inside another?"));
            return Err(Stop);
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, site: Site, depth: usize) -> Result<Node, Stop> {
        let Some((size, height)) = self.anchors.get(&id).map(|anchored| (anchored.size, anchored.height)) else {
            self.mistakes.push(
                Mistake::at(&site, "an alias inside the value that it stands for")
                    .hint("write here what is meant; a value cannot hold itself"),
            );
            return Ok(Node { site, kind: Kind::Null });
        };
        if depth + height > DEPTH_MAX + 1 {
            self.mistakes.push(too_deep(&site));
            return Err(Stop);
        }
        self.count(size, &site)?;
        Ok(self.anchors[&id].node.clone())
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(Arc<str>, Site, Node)>, Stop> {
        let mut entries: Vec<(Arc<str>, Site, Node)> = Vec::new();
        let mut seen: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        let mut merged = None;
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => break,
                next => next,
            };
            let is_merge = matches!(&event, Event::Scalar(key, ScalarStyle::Plain, _, None) if key == "<<");
            let (key, site) = self.key(event, &span, depth)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;

            let Some(key) = key else { continue };
            if let Some(line) = seen.get(&key) {
                let mistake = Mistake::at(&site, format!("key {key:?} is written twice"));
                self.mistakes.push(mistake.hint(format!("it stands on line {line} already")));
                if let Some((_, _, first)) = entries.iter_mut().find(|(known, ..)| *known == key) {
                    first.take_in(value);
                }
                continue;
            }
            seen.insert(key.clone(), site.line);
            if is_merge {
                merged = Some(value);
            } else {
                entries.push((key, site, value));
            }
        }
        if let Some(merged) = merged {
            self.merge(&mut entries, merged);
        }
        Ok(entries)
    }

    /// Returns the text of a key; `None` for what can't be one, which was reported.
    fn key(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<(Option<Arc<str>>, Site), Stop> {
        if let Event::Scalar(text, _, 0, None) = &event {
            // As it is written: the key 1 is "1", and 1.10 is "1.10".
            let site = self.site(span);
            self.count(1, &site)?;
            self.refuse_marks(text, &site);
            if text.is_empty() {
                self.mistakes.push(Mistake::at(&site, "a key is empty").hint("write a name before the colon"));
                return Ok((None, site));
            }
            return Ok((Some(text.as_ref().into()), site));
        }
        let node = self.node(event, span, depth + 1)?;
        let text = match &node.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Number(number) => Some(number.to_string().into()),
            Kind::Bool(flag) => Some(flag.to_string().into()),
            Kind::Null | Kind::List(_) | Kind::Map(_) | Kind::Secret(_) => {
                let what = format!("a key must be a text, and this is {}", node.kind_name());
                self.mistakes.push(
                    Mistake::at(&node.site, what).hint("a value in { } or [ ] before a colon is a key too: put it in quotes"),
                );
                None
            }
        };
        Ok((text, node.site))
    }

    /// Adds the entries of `<<`, a map or a list of maps: own keys win over merged ones, earlier maps over later ones.
    fn merge(&mut self, entries: &mut Vec<(Arc<str>, Site, Node)>, merged: Node) {
        let maps = match merged.kind {
            Kind::List(items) => items,
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Map(_) | Kind::Secret(_) => vec![merged],
        };
        let mut seen: BTreeSet<Arc<str>> = entries.iter().map(|(key, ..)| key.clone()).collect();
        for map in maps {
            let Kind::Map(more) = map.kind else {
                self.mistakes.push(Mistake::at(&map.site, "<< merges a map or a list of maps").hint("write <<: *anchor"));
                continue;
            };
            entries.extend(more.into_iter().filter(|(key, ..)| seen.insert(key.clone())));
        }
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Node {
        let site = self.content_site(value, style, span);
        self.refuse_marks(value, &site);
        if tag.is_some_and(|tag| tag.handle() == "!" && tag.suffix() == "secret") {
            return Node { kind: self.secret(value, &site), site };
        }
        self.refuse_tag(tag, span);
        let kind = match style {
            ScalarStyle::Plain => plain(value),
            _ => Kind::Text(value.into()),
        };
        Node { site, kind }
    }

    fn secret(&mut self, name: &str, site: &Site) -> Kind {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(allowed) || name.starts_with(|c: char| c.is_ascii_digit()) {
            let mistake = Mistake::at(site, format!("{name:?} can't be the name of an environment variable"));
            self.mistakes.push(mistake.hint("write !secret NAME; the value comes from the environment variable NAME"));
        }
        Kind::Secret(name.into())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Span) {
        let Some(tag) = tag else { return };
        let site = self.mark_site(span.tag_start.as_ref().unwrap_or(&span.start));
        let shown = if tag.handle() == "!" { format!("!{}", tag.suffix()) } else { format!("{tag}") };
        let mistake = Mistake::at(&site, format!("unknown tag {shown:?}"));
        self.mistakes.push(mistake.hint("the only tag is !secret NAME, before a single value"));
    }

    fn refuse_marks(&mut self, text: &str, site: &Site) {
        if let Some(found) = text.chars().find(|c| is_mark_character(*c)) {
            let what = format!("the character U+{:04X} is not allowed", u32::from(found));
            self.mistakes.push(Mistake::at(site, what).hint("Unicode keeps it for inner use, and so does Isobar"));
        }
    }

    fn site(&self, span: &Span) -> Site {
        self.mark_site(&span.start)
    }

    fn mark_site(&self, mark: &granit_parser::Marker) -> Site {
        Site { path: self.top.path.clone(), line: mark.line().max(1) as u32, column: mark.col() as u32 + 1 }
    }

    /// Returns where the first character of a scalar's value stands, so that places inside it can be told: behind the
    /// quote, or below the `|`.
    fn content_site(&self, value: &str, style: ScalarStyle, span: &Span) -> Site {
        let site = self.site(span);
        match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Site { column: site.column + 1, ..site },
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // The parser points at the first line that is not blank.
                let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
                let at = span.start.byte_offset().unwrap_or(0);
                let from = self.text[..at].rfind('\n').map_or(0, |line_break| line_break + 1);
                let indent = blanks(&self.text[from..]);
                let own = value.lines().find(|line| !line.is_empty()).map_or(0, blanks);
                let above = value.bytes().take_while(|byte| *byte == b'\n').count();
                let line = (site.line as usize).saturating_sub(above).max(1);
                Site { path: site.path, line: line as u32, column: indent.saturating_sub(own) as u32 + 1 }
            }
            _ => site,
        }
    }
}

fn too_deep(site: &Site) -> Mistake {
    Mistake::at(site, format!("nested deeper than {DEPTH_MAX} levels")).hint("no definition needs that; is a bracket repeated?")
}

fn height(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, _, node)| height(node)).max().unwrap_or(0),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Secret(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Node, String> {
        let mut mistakes = Mistakes::default();
        let node = Node::parse("a.yaml", text.as_bytes(), &mut mistakes);
        let told: Vec<_> = mistakes.iter().map(|mistake| Mistake { hint: None, ..mistake.clone() }.to_string()).collect();
        node.filter(|_| told.is_empty()).ok_or(told.join("\n"))
    }

    fn value(text: &str) -> String {
        parsed(text).map_or_else(|told| told, |node| node.to_value().to_string())
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let node = parsed("a: 1\nlist:\n  - x\n  - {k: \"v\"}\ntext: |\n  one\n   two\nnone:\nset: !secret DB\n").expect("valid");
        let at = |node: &Node| format!("{}:{}", node.site.line, node.site.column);
        let Kind::Map(entries) = &node.kind else { panic!("a map") };
        let places: Vec<_> = entries.iter().map(|(key, site, value)| format!("{key} {site} {}", at(value))).collect();
        assert_eq!(
            places,
            ["a a.yaml:1 1:4", "list a.yaml:2 3:3", "text a.yaml:5 6:3", "none a.yaml:8 8:5", "set a.yaml:9 9:14"]
        );
        let Some(Kind::List(items)) = node.get("list").map(|node| &node.kind) else { panic!("a list") };
        assert_eq!([at(&items[0]), at(&items[1]), at(items[1].get("k").expect("k"))], ["3:5", "4:5", "4:10"]);
    }

    #[test]
    fn a_place_inside_a_block_of_text_is_told_by_its_line() {
        for text in ["a: |\n\n  one\n   ${{ x }}\n", "a: |2\n\n   one\n   ${{ x }}\n", "a: |-  # why\n\n  one\n   ${{ x }}"] {
            let mut mistakes = Mistakes::default();
            super::super::expression::check_expressions(&parsed(text).expect("valid"), &mut mistakes);
            let site = mistakes.iter().next().and_then(|mistake| mistake.site.clone());
            assert_eq!(site, Some(Site::new("a.yaml", 4, 8)), "{text}");
        }
    }

    #[test]
    fn aliases_and_merge_keys_are_resolved_and_own_keys_win() {
        let text = "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\na: {<<: [*b, *m], x: 9}\nc: *b\n";
        let expected = r#"{"a":{"x":9,"y":2,"z":4},"base":{"x":1,"y":2},"c":{"x":1,"y":2},"more":{"y":3,"z":4}}"#;
        assert_eq!(value(text), expected);
    }

    #[test]
    fn a_secret_keeps_only_its_name() {
        assert_eq!(parsed("!secret DB_PASSWORD").map(|node| node.kind), Ok(Kind::Secret("DB_PASSWORD".into())));
        assert_eq!(value("a: !secret 1x"), "a.yaml:1:12: \"1x\" can't be the name of an environment variable");
        assert_eq!(value("a: !vault x"), "a.yaml:1:4: unknown tag \"!vault\"");
        assert_eq!(value("a: !secret [x]"), "a.yaml:1:4: unknown tag \"!secret\"");
    }

    #[test]
    fn a_byte_order_mark_and_windows_lines_are_read() {
        assert_eq!(value("\u{FEFF}a: 1\r\nb: x\r\n"), r#"{"a":1,"b":"x"}"#);
    }

    #[test]
    fn all_mistakes_of_a_file_are_told() {
        let text = "a: 1\na: 2\nb: *gone\nc: !x y\n? [k]\n: v\nd: \"\\uFDD0\"\n";
        let told = [
            "a.yaml:2:1: key \"a\" is written twice",
            "a.yaml:3:4: unknown anchor \"gone\"",
            "a.yaml:4:4: unknown tag \"!x\"",
            "a.yaml:5:3: a key must be a text, and this is a list",
            "a.yaml:7:5: the character U+FDD0 is not allowed",
        ];
        assert_eq!(value(text), told.join("\n"));
    }

    #[test]
    fn a_syntax_error_stands_at_its_place() {
        assert!(value("a: 1\nb: {c: 1\n").starts_with("a.yaml:"));
        assert_eq!(value("a: 1\n---\nb: 2\n"), "a.yaml:2:1: a second document begins here");
        let mut mistakes = Mistakes::default();
        assert_eq!(Node::parse("a.yaml", b"a: 1\nb\xC3: 2", &mut mistakes), None);
        assert_eq!(mistakes.iter().next().map(|m| m.site.clone()), Some(Some(Site::new("a.yaml", 2, 2))));
    }

    #[test]
    fn bombs_are_refused_at_once() {
        let mut laughs = String::from("a0: &a0 [lol, lol]\n");
        for n in 1..40 {
            laughs += &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "));
        }
        let nested: String = (0..60).map(|n| format!("&a{n} [")).collect();
        for (bomb, why) in [
            (laughs, "more than 100000 values"),
            ("{a: ".repeat(60_000), "deeper than 64"),
            ("[".repeat(200_000), "deeper than 64"),
            ((0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect(), "deeper than 64"),
            ("- ".repeat(100_000), "deeper than 64"),
            (format!("[{}]", "1,".repeat(120_000)), "more than 100000 values"),
            ((0..16_000).map(|n| format!("a{n}: |\n x\n")).collect::<String>() + "}", "YAML"),
            (format!("{nested}{}", "1,".repeat(100_000)), "more than 100000 values"),
            ("a".repeat(300_000), "at most 262144"),
        ] {
            let told = value(&bomb);
            assert!(told.contains(why), "{told}");
        }
    }
}
