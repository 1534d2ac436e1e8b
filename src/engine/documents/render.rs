//! From sources and values to documents, in memory. Knows templates; not what stands at the destination.

use super::bounds::{BYTES_MAX, Budget};
use super::flow;
use super::guard::guarded;
use super::layout::{self, Layout};
use super::template::{self, SYNTAX, Trace, Wrong};
use super::values::{Fault, Mark, Values, has_secrets, marks_in};
use crate::change::{Redactor, UnseenReason};
use crate::engine::Sources;
use crate::stack::{Source, show_marks, unbroken};
use minijinja::machinery::ast::Stmt;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// Steps of one rendering. A loop that never ends stops here, on every machine at the same step.
const STEPS_MAX: u64 = 2_000_000;

/// Templates that include, import or call each other, one inside the other.
const NESTING_MAX: usize = 100;

/// What is rendered for one target, by path in the destination.
pub(super) type Rendered = BTreeMap<Arc<str>, Document>;

/// One rendered document. Not `Debug`: it may hold secrets.
#[derive(Clone, PartialEq)]
pub(super) struct Document {
    /// The content; unknown outputs stand in it as marks.
    pub(super) bytes: Arc<[u8]>,
    pub(super) sensitive: Sensitive,
    /// Names of the unknown outputs in it, sorted.
    pub(super) holes: Vec<Arc<str>>,
}

/// Which lines of a document hold a sensitive value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sensitive {
    No,
    /// These, from 1; the others may be shown.
    Lines(BTreeSet<usize>),
    /// A template did more with a sensitive value than print it, so that any line may tell of it.
    Whole,
}

/// Renders every document of `layout`. All errors are told at once; a missing output or secret only when nothing is wrong.
pub(super) fn render(sources: &Sources, dir: &str, layout: &Layout<'_>, values: &Values) -> Result<Rendered, UnseenReason> {
    let redactor = Redactor::new(values.secrets());
    let told = |wrong: Wrong| UnseenReason::Engine(redactor.redact(&wrong.to_string()).into());
    let (environment, budget) = environment(sources, dir).map_err(told)?;
    let looked_at = looked_at(sources, dir, layout, values).map_err(told)?;
    let marked = minijinja::Value::from(Serde(&values.marked));
    let press = Press { sources, environment, budget, marked, values, redactor };

    let (mut rendered, mut wrong, mut needs, mut missing) = (Rendered::new(), Vec::new(), BTreeSet::new(), None);
    for (path, source) in &layout.documents {
        match press.document(source, looked_at.get(path)) {
            Ok(document) => {
                rendered.insert(path.clone(), document);
            }
            Err(Stopped::Wrong(text)) => wrong.push(text),
            Err(Stopped::Needs(names)) => needs.extend(names),
            Err(Stopped::Missing(name)) => missing = missing.or(Some(name)),
        }
    }
    if !wrong.is_empty() {
        return Err(UnseenReason::Engine(wrong.join("\n").into()));
    }
    if let Some(name) = missing {
        return Err(UnseenReason::SecretMissing { name, site: None });
    }
    if !needs.is_empty() {
        return Err(UnseenReason::Needs(needs.into_iter().collect()));
    }
    Ok(rendered)
}

/// Returns those documents of `layout` that would hold a sensitive value. No secret needs to be at hand: their marks are enough.
pub(super) fn sensitive(sources: &Sources, dir: &str, layout: &Layout<'_>, values: &Values) -> BTreeSet<Arc<str>> {
    let (Ok((environment, budget)), Ok(looked_at)) = (environment(sources, dir), looked_at(sources, dir, layout, values)) else {
        return BTreeSet::new(); // a template that can't be read is a mistake of its own
    };
    let marked = minijinja::Value::from(Serde(&values.marked));
    let press = Press { sources, environment, budget, marked, values, redactor: Redactor::default() };
    let is_sensitive = |(path, source): &(&Arc<str>, &&Source)| {
        let looked_at = looked_at.get(*path).into_iter().flatten();
        looked_at.into_iter().any(|mark| matches!(mark, Mark::Secret(_)))
            || layout::text(source).is_some() && press.run(source, &press.marked).is_ok_and(|text| has_secrets(&text))
    };
    layout.documents.iter().filter(is_sensitive).map(|(path, _)| path.clone()).collect()
}

/// Why one document could not be rendered.
enum Stopped {
    Wrong(String),
    Needs(Vec<Arc<str>>),
    Missing(Arc<str>),
}

/// What is shared between the documents of one target.
struct Press<'s> {
    sources: &'s Sources,
    environment: Environment<'s>,
    budget: Budget,
    marked: minijinja::Value,
    values: &'s Values,
    redactor: Redactor,
}

impl Press<'_> {
    fn document(&self, source: &Source, looked_at: Option<&BTreeSet<Mark>>) -> Result<Document, Stopped> {
        if layout::text(source).is_none() {
            return Ok(Document { bytes: source.bytes.clone(), sensitive: Sensitive::No, holes: vec![] });
        }
        let none = BTreeSet::new();
        let looked_at = looked_at.unwrap_or(&none);
        let needs: Vec<Arc<str>> = looked_at.iter().flat_map(|mark| self.values.holes_behind(mark)).collect();
        if !needs.is_empty() {
            return Err(Stopped::Needs(needs));
        }
        if looked_at.is_empty() { self.printed(source) } else { self.computed(source, looked_at) }
    }

    /// Renders with marks, and puts the secrets in afterwards: then it is known where each one stands.
    fn printed(&self, source: &Source) -> Result<Document, Stopped> {
        let text = self.run(source, &self.marked).map_err(|error| Stopped::Wrong(tell(&error, self.sources, &self.redactor)))?;
        let settled = self.values.settle(&text).map_err(|fault| broken(source, fault))?;
        let sensitive = if settled.sensitive.is_empty() { Sensitive::No } else { Sensitive::Lines(settled.sensitive) };
        Ok(Document { bytes: settled.text.into_bytes().into(), sensitive, holes: settled.holes.into_iter().collect() })
    }

    /// Renders with the secrets themselves, for a template that computes with one. Nothing of the document is shown, and of
    /// an error only its place: its text may hold a part of the secret.
    fn computed(&self, source: &Source, looked_at: &BTreeSet<Mark>) -> Result<Document, Stopped> {
        for mark in looked_at {
            if let Mark::Secret(name) = mark {
                self.values.settle(&crate::stack::mark_secret(name)).map_err(|fault| broken(source, fault))?;
            }
        }
        let plain = minijinja::Value::from(Serde(self.values.plain()));
        let text = self.run(source, &plain).map_err(|error| Stopped::Wrong(place(&error)))?;
        let settled = self.values.settle(&text).map_err(|fault| broken(source, fault))?;
        let holes = settled.holes.into_iter().collect();
        Ok(Document { bytes: settled.text.into_bytes().into(), sensitive: Sensitive::Whole, holes })
    }

    fn run(&self, source: &Source, values: &minijinja::Value) -> Result<String, minijinja::Error> {
        let mut page = Page(Vec::new());
        self.budget.refill();
        let template = self.environment.get_template(&source.path)?;
        template.render_captured_to(values.clone(), &mut page).map_err(|error| match page_is_full(&error) {
            true => {
                let text = format!("{} is rendered to more than {BYTES_MAX} bytes", source.path);
                minijinja::Error::new(ErrorKind::WriteFailure, text)
            }
            false => error,
        })?;
        Ok(String::from_utf8(page.0).expect("a template prints texts"))
    }
}

fn broken(source: &Source, fault: Fault) -> Stopped {
    match fault {
        Fault::Missing(name) => Stopped::Missing(name),
        Fault::Broken => Stopped::Wrong(format!("{}: takes a value apart that is secret or not known yet", source.path)),
    }
}

/// Collects what a template prints, up to the bound.
struct Page(Vec<u8>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn page_is_full(error: &minijinja::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::FileTooLarge)
}

/// Returns what runs templates: strict, and without a way to the disk, the clock or the environment.
fn environment<'s>(sources: &'s Sources, dir: &str) -> Result<(Environment<'s>, Budget), Wrong> {
    let (mut environment, budget) = (Environment::new(), Budget::default());
    budget.install(&mut environment);
    environment.set_syntax(SYNTAX.clone());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let printed = budget.clone();
    environment.set_formatter(move |out, state, value| {
        printed.printed(value)?;
        print(out, state, value)
    });
    environment.set_fuel(Some(STEPS_MAX));
    environment.set_recursion_limit(NESTING_MAX);
    environment.remove_global("debug"); // prints every value, secrets too
    let owned = dir.to_string();
    environment.set_path_join_callback(move |name, _| template::included(&owned, name).unwrap_or_default().into());
    for (path, source) in sources {
        if let Some(text) = layout::text(source) {
            template::bound(path, text)?;
            environment.add_template_owned(&**path, guarded(text)).map_err(|error| Wrong::of(path, &error))?;
        }
    }
    Ok((environment, budget))
}

/// Prints flags and nothing as YAML and JSON write them: documents are configuration, not Python.
fn print(out: &mut minijinja::Output<'_>, state: &mut State<'_, '_>, value: &minijinja::Value) -> Result<(), minijinja::Error> {
    match value.kind() {
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
        ValueKind::None => Ok(out.write_str("null")?),
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// Returns, for each document, the marks that its templates look at; nothing when the values hold no marks.
fn looked_at(
    sources: &Sources,
    dir: &str,
    layout: &Layout<'_>,
    values: &Values,
) -> Result<BTreeMap<Arc<str>, BTreeSet<Mark>>, Wrong> {
    if marks_in(&values.marked).is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut parsed: BTreeMap<&str, (Stmt<'_>, Trace)> = BTreeMap::new();
    for (path, source) in sources {
        if let Some(text) = layout::text(source) {
            let template = template::parse(path, text)?;
            let trace = Trace::of(&template);
            parsed.insert(path, (template, trace));
        }
    }
    let look = |(path, source): (&Arc<str>, &&Source)| {
        let templates: Vec<&Stmt<'_>> = reached(&source.path, dir, &parsed)
            .iter()
            .filter_map(|path| parsed.get(path))
            .map(|(template, _)| template)
            .collect();
        (path.clone(), flow::inspected(&templates, &values.marked))
    };
    Ok(layout.documents.iter().map(look).collect())
}

/// Returns the templates that rendering `path` may read: itself and what it includes; every one when a name is computed.
fn reached<'p>(path: &'p str, dir: &str, parsed: &BTreeMap<&'p str, (Stmt<'_>, Trace)>) -> BTreeSet<&'p str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![path];
    while let Some(path) = next.pop() {
        let Some((_, trace)) = parsed.get(path).filter(|_| reached.insert(path)) else { continue };
        for include in &trace.includes {
            match &include.name {
                None => next.extend(parsed.keys()),
                Some(name) => {
                    let path = template::included(dir, name);
                    next.extend(path.and_then(|path| parsed.get_key_value(path.as_str())).map(|(path, _)| *path));
                }
            }
        }
    }
    reached
}

/// Returns an error for people: where, what, and nothing of a secret.
fn tell(error: &minijinja::Error, sources: &Sources, redactor: &Redactor) -> String {
    let error = innermost(error);
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("takes more than {STEPS_MAX} steps; is there a loop without an end?"),
        (ErrorKind::UndefinedError, detail) => {
            let what = detail.map_or_else(|| format!("undefined value{}", line_of(error, sources)), String::from);
            format!("{what} (undefined is an error: declare it, or print {{{{ name|default(…) }}}})")
        }
        // One that is written out was found, or refused, before.
        (ErrorKind::TemplateNotFound, Some(detail)) => {
            format!("{detail} (a name that is computed is looked for below the source only)")
        }
        (_, Some(detail)) => detail.to_string(),
        (kind, None) => kind.to_string(),
    };
    redactor.redact(&show_marks(&format!("{}{what}", where_of(error))))
}

/// The line that an error names, as it is written there, for one that names nothing itself.
fn line_of(error: &minijinja::Error, sources: &Sources) -> String {
    const SHOWN: usize = 120; // characters: what is told stays a line
    let text = error.name().and_then(|name| sources.get(name)).and_then(|source| layout::text(source));
    let line = text.zip(error.line()).and_then(|(text, line)| text.lines().nth(line.checked_sub(1)?));
    let Some(line) = line.map(str::trim).filter(|line| !line.is_empty()) else { return String::new() };
    let shown: String = line.chars().take(SHOWN).collect();
    format!(" in: {}{}", unbroken(&shown), if shown.len() < line.len() { "…" } else { "" })
}

/// Returns only the place of an error and its kind.
fn place(error: &minijinja::Error) -> String {
    let error = innermost(error);
    let hint = "the template computes with a sensitive value, so the rest is not shown";
    format!("{}{} ({hint})", where_of(error), error.kind())
}

fn where_of(error: &minijinja::Error) -> String {
    match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{}:{line}: ", unbroken(name)),
        (Some(name), None) => format!("{}: ", unbroken(name)),
        (None, _) => String::new(),
    }
}

/// The error of an included template stands inside that of the including one.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut innermost = error;
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<minijinja::Error>() {
            innermost = inner;
        }
        source = inner.source();
    }
    innermost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::documents::tests::{Bench, input, secret};
    use crate::stack::{Mistakes, Site, mark_hole, mark_secret};
    use serde_json::json;

    /// Renders the files below `network/t` and returns each document as text, or why not.
    fn rendered(bench: &Bench) -> Result<Vec<(String, String)>, UnseenReason> {
        let job = bench.job();
        let mut mistakes = Mistakes::default();
        let layout = Layout::of(&job.sources, "network/t", &Site::new("network/stack.yaml", 1, 1), &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let rendered = render(&job.sources, "network/t", &layout, &Values::of(&job))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(rendered.into_iter().map(|(path, document)| (path.to_string(), text(&document.bytes))).collect())
    }

    fn one(text: &str) -> Result<String, UnseenReason> {
        rendered(&Bench::new(&[("t/a", text)])).map(|documents| documents[0].1.clone())
    }

    fn wrong(text: &str) -> String {
        match one(text) {
            Err(UnseenReason::Engine(text)) => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_template_sees_region_stack_inputs_and_vars() {
        let text = "{{ region.id }} {{ region.vars.cidr }} {{ stack.name }} {{ inputs.name }} {{ vars.owner }}\n";
        assert_eq!(one(text), Ok("prod/eu 10.2.0.0/16 network api platform\n".into()));
    }

    #[test]
    fn flags_and_nothing_are_printed_as_yaml_writes_them_and_nothing_is_escaped() {
        assert_eq!(one("{{ true }} {{ none }} {{ 1.0 }} {{ '<&>' }}"), Ok("true null 1.0 <&>".into()));
        assert_eq!(one("{{ {'a': [true, none]}|tojson }}"), Ok("{\"a\": [true, null]}".into()));
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        assert!(wrong("\n{{ inputs.nome }}").starts_with("network/t/a:2: "), "{}", wrong("\n{{ inputs.nome }}"));
        assert!(wrong("{{ 1 / 0 }}").starts_with("network/t/a:1: "));
        let told = rendered(&Bench::new(&[("t/a", "\n{% include '_p' %}"), ("t/_p", "\n\n{{ nope }}")]));
        assert!(matches!(told, Err(UnseenReason::Engine(text)) if text.starts_with("network/t/_p:3: ")));
    }

    #[test]
    fn an_undefined_value_is_told_with_the_line_that_names_it() {
        let told = wrong("\n  a: {% for x in [{}] %}{{ x.nope }}{% endfor %}\n");
        let line = "network/t/a:2: undefined value in: a: {% for x in [{}] %}{{ x.nope }}{% endfor %} (undefined is an error: ";
        assert!(told.starts_with(line), "{told}");
        let told = rendered(&Bench::new(&[("t/a", "\n{% include '_p' %}"), ("t/_p", "\n\n{{ [1][7] }} \u{1b}")]));
        let line = "network/t/_p:3: undefined value in: {{ [1][7] }} U+001B (";
        assert!(matches!(&told, Err(UnseenReason::Engine(text)) if text.starts_with(line)), "{told:?}");
        let told = wrong(&format!("{{{{ [1][7] }}}}{}", "x".repeat(200)));
        assert!(told.contains("{{ [1][7] }}xx") && told.contains("xx… ("), "{told}");
    }

    #[test]
    fn what_runs_away_is_stopped() {
        assert!(wrong("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}").contains("steps"));
        assert!(wrong("{% for i in range(20000) %}{{ 'x' * 100 }}{% endfor %}").contains("more than 1048576 bytes"));
        assert!(wrong("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").contains("recursion"));
    }

    #[test]
    fn what_would_take_all_memory_is_an_error_with_its_line() {
        let doubled =
            |with: &str| format!("{{% set ns = namespace(s='x', l=[1]) %}}{{% for i in range(60) %}}{with}{{% endfor %}}");
        let long = "x".repeat(9_000);
        for text in [
            "{{ '%9999999999d'|format(1) }}",
            "{{ '%*d'|format(9999999999, 1) }}",
            "{{ '%.2000000000f'|format(1.0) }}",
            "{{ 'x\\nx'|indent(5000000000) }}",
            "{{ 'x\\nx'|indent(width=5000000000) }}",
            "{{ [1]|slice(2000000000)|list|length }}",
            "{{ [1]|batch(2000000000, 0)|list|length }}",
            "{% set a = 'x' * 1000000 %}{% set b = a|replace('x', a) %}{{ b|length }}",
            "{{ {'a': 1}|tojson(indent=2000000000) }}",
            "{{ {'a': 1}|tojson(2000000000) }}",
            "{% set a = 'x' * 1000000 %}{{ ([a] * 100000)|join|length }}",
            "{% set a = 'x' * 1000 %}{{ range(100000)|join(a)|length }}",
            "{% set a = 'x' * 1000000 %}{{ ([a] * 100000)|sum(start='')|length }}",
            "{% set a = 'x' * 1000000 %}{{ ([a] * 100000)|string|length }}",
            "{{ 'x' * 100000000 }}",
            "{{ ([1] * 100000000)|list|length }}",
            "{{ ((1, 2) * 40000000)|length }}",
            "{% macro m(s, n) %}{% if n %}{{ m(s ~ s, n - 1) }}{% endif %}{% endmacro %}{{ m('x' * 100000, 8) }}",
            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns|tojson }}",
            "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}",
            &format!("{{% set a %}}{{% for i in range(100000) %}}{long}{{% endfor %}}{{% endset %}}"),
            &doubled("{% set ns.s = ns.s ~ ns.s %}"),
            &doubled("{% set ns.s = ns.s + ns.s %}"),
            &doubled("{% set ns.s = ns.s * 2 %}"),
            &doubled("{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}"),
            &doubled("{% set ns.l = ns.l + ns.l %}"),
            &doubled("{% set ns.l = ns.l|chain(ns.l)|list %}"),
            &format!("{}{{{{ ns.l|tojson|length }}}}", doubled("{% set ns.l = [ns.l, ns.l] %}")),
        ] {
            let told = wrong(&format!("\n{text}"));
            assert!(told.starts_with("network/t/a:2: "), "{text}: {told}");
            assert!(
                told.contains("the most that a template may hold")
                    || told.contains("bytes in all")
                    || told.contains("one inside the other"),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn guards_change_nothing_that_stays_small() {
        for (text, with) in [
            ("{{ 'a' ~ 1 ~ true ~ none }}", "a1TrueNone"),
            ("{{ 1 + 2 * 3 - 4 ** 2 // 5 }}{{ -2 + 1 }}{{ 2 * -3 }}", "4-1-6"),
            ("{{ 'a' + 'b' * 2 ~ [1, 'x'] }}", "abb[1, 'x']"),
            ("{{ [1, 2][1] }}{{ {'a': 3}.a }}{{ {'a': 3}['a'] }}{{ (4, 5)[0] }}{{ [1] + [2] }}", "2334[1, 2]"),
            ("{% set a, b = 1, (2, 3) %}{% set c, d = b %}{{ a }}{{ c ~ d }}", "123"),
            (
                "{% for k, v in {'a': 1}|items %}{{ k ~ v }}{% endfor %}{% for (a, b) in [(1, 2)] if a ~ b %}{{ a + b }}{% endfor %}",
                "a13",
            ),
            (
                "{% macro m(a, b='x' ~ 'y') %}{{ a ~ b }}{% endmacro %}{{ m(1) }}{% macro c(a, b) %}{{ a ~ b }}{{ caller() }}{% endmacro %}{% call c(2, b=3 * 2) %}!{% endcall %}",
                "1xy26!",
            ),
            (
                "{% with a = 1 + 1, b = [3] %}{{ a * b[0] }}{% endwith %}{{ 1 in [1] and not 2 in [1] }}{{ 1 is in [1] }}",
                "6truetrue",
            ),
            ("{{ 'x' if 1 + 1 == 2 else 'y' ~ 'z' }}{{ 'abc'[0:1 + 1] }}{{ ('a' ~ 'b')|upper ~ 'c' }}", "xabABc"),
            (
                "{{ [3, 1]|sort|join('-') }}{{ 'a,b'|split(',')|last }}{{ '%05d %s'|format(7, 'x') }}{{ ['a']|map('upper')|join }}",
                "1-3b00007 xA",
            ),
            ("{% for i in [1, 2] -%}  x{{ i }}  {%- endfor %}{{ [none, {'a': [1]}]|tojson(indent=2)|length }}", "x1x244"),
        ] {
            assert_eq!(one(text).as_deref(), Ok(with), "{text}");
        }
    }

    #[test]
    fn an_undefined_value_inside_another_is_never_published() {
        for text in [
            "{{ [vars.nope] }}",
            "{{ {'a': vars.nope} }}",
            "{{ [[1, {'a': vars.nope}]] }}",
            "{{ [vars.nope]|join(',') }}",
            "{{ {'a': vars.nope}|tojson }}",
            "{{ [vars.nope]|string }}",
            "{{ 'a' ~ [vars.nope] }}",
            "{{ '%s'|format([vars.nope]) }}",
            "{% set a = [vars.nope] %}{{ a|pprint }}",
            "{{ vars.nope|tojson }}",
            "{{ vars.nope|join }}",
        ] {
            let told = wrong(&format!("\n{text}"));
            assert!(told.starts_with("network/t/a:2: ") && told.contains("undefined"), "{text}: {told}");
        }
        assert_eq!(one("{{ [vars.nope, 'b']|select('defined')|first }}").as_deref(), Ok("b"));
    }

    #[test]
    fn nothing_outside_the_sources_can_be_read() {
        for name in ["/etc/passwd", "../../../etc/passwd", "../stack.yaml", "/../x"] {
            assert!(wrong(&format!("{{% include '{name}' %}}")).contains("non-existing"), "{name}");
        }
        let computed = wrong("{% include '/shared/' ~ region.cloud %}");
        assert!(computed.contains("network/t/a:1: ") && computed.contains("is looked for below the source only"), "{computed}");
        assert!(wrong("{{ debug() }}").contains("unknown"), "{}", wrong("{{ debug() }}"));
    }

    #[test]
    fn binary_files_are_copied_and_text_keeps_its_last_line_end() {
        let mut bench = Bench::new(&[("t/a", "x\n\n"), ("t/_lib", "{% macro m() %}!{% endmacro %}")]);
        bench.add("network/t/logo", &[0xFF, 0, b'{', b'{']);
        bench.add("shared/p", b"from the root");
        bench.add("network/t/c.j2", b"{% import '_lib' as lib %}{{ lib.m() }}{% include '/shared/p' %}");
        let documents = rendered(&bench).expect("every template is fine");
        let shown = |at: usize| (documents[at].0.as_str(), documents[at].1.as_str());
        assert_eq!(shown(0), ("a", "x\n\n"));
        assert_eq!(shown(1), ("c", "!from the root"));
        assert_eq!(documents[2].0, "logo");
    }

    #[test]
    fn a_hole_is_printed_as_its_mark_and_never_looked_at() {
        let mut bench = Bench::new(&[("t/a", "id={{ inputs.id }}")]);
        bench.inputs(vec![input("id", json!(format!("vpc-{}", mark_hole("base.outputs.id"))))]);
        let documents = rendered(&bench).expect("printing needs no value");
        assert_eq!(documents[0].1, format!("id=vpc-{}", mark_hole("base.outputs.id")));

        bench.add("network/t/b", b"{% if inputs.id == 'vpc-1' %}x{% endif %}");
        assert_eq!(rendered(&bench), Err(UnseenReason::Needs(vec!["base.outputs.id".into()])));
    }

    #[test]
    fn a_hole_that_one_document_looks_at_by_an_include_stops_the_target() {
        let mut bench = Bench::new(&[("t/a", "{% include '_p' %}"), ("t/_p", "{{ inputs.id|upper }}"), ("t/b", "fine")]);
        bench.inputs(vec![input("id", json!(mark_hole("base.outputs.id")))]);
        assert_eq!(rendered(&bench), Err(UnseenReason::Needs(vec!["base.outputs.id".into()])));
    }

    #[test]
    fn secrets_are_put_in_and_their_lines_are_known() {
        let mut bench = Bench::new(&[("t/a", "user: x\npw: {{ inputs.password }}\nkey: {{ inputs.key }}\nend\n")]);
        bench.inputs(vec![secret("password", json!("hunter2!")), input("key", json!(mark_secret("TLS_KEY")))]);
        bench.secrets(&[("TLS_KEY", "one\ntwo")]);
        let job = bench.job();
        let layout = Layout::of(&job.sources, "network/t", &Site::new("s", 1, 1), &mut Mistakes::default());
        let documents = render(&job.sources, "network/t", &layout, &Values::of(&job)).unwrap_or_default();
        let document = documents.get("a").expect("it was rendered");
        assert_eq!(&*document.bytes, b"user: x\npw: hunter2!\nkey: one\ntwo\nend\n");
        assert_eq!(document.sensitive, Sensitive::Lines([2, 3, 4].into()));
    }

    #[test]
    fn a_document_that_computes_with_a_secret_is_secret_as_a_whole() {
        let mut bench = Bench::new(&[("t/a", "{{ inputs.port + 1 }} {{ inputs.password|upper }} {{ inputs.on }}")]);
        bench.inputs(vec![secret("password", json!("hunter2!")), secret("port", json!(5432)), secret("on", json!(true))]);
        let job = bench.job();
        let layout = Layout::of(&job.sources, "network/t", &Site::new("s", 1, 1), &mut Mistakes::default());
        let documents = render(&job.sources, "network/t", &layout, &Values::of(&job)).unwrap_or_default();
        let document = documents.get("a").expect("it was rendered");
        assert_eq!((&*document.bytes, &document.sensitive), (&b"5433 HUNTER2! true"[..], &Sensitive::Whole));
    }

    #[test]
    fn an_error_tells_no_secret() {
        let mut bench = Bench::new(&[("t/a", "{{ inputs.password[0:4]|int }}{{ ('x' ~ inputs.password)|int }}")]);
        bench.inputs(vec![secret("password", json!("hunter2!"))]);
        let told = format!("{:?}", rendered(&bench));
        assert!(told.contains("network/t/a:1: ") && !told.contains("hunt"), "{told}");
    }

    #[test]
    fn a_secret_that_is_not_set_is_missed_only_where_it_is_used() {
        let missing = || UnseenReason::SecretMissing { name: "DB_PASSWORD".into(), site: None };
        let mut bench = Bench::new(&[("t/a", "plain")]);
        bench.inputs(vec![secret("password", json!(format!("x{}", mark_secret("DB_PASSWORD"))))]);
        assert!(rendered(&bench).is_ok());
        bench.add("network/t/b", b"{{ inputs.password }}");
        assert_eq!(rendered(&bench), Err(missing()));
        bench.add("network/t/b", b"{{ inputs.password|upper }}");
        assert_eq!(rendered(&bench), Err(missing()));
    }
}
