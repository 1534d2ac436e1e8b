//! What a template says before it is rendered: its syntax, what it includes and which names it reads. No value is known here.

use super::path;
use super::syntax::{At, argument, at, begin, dotted};
use super::vocabulary::Word;
use crate::stack::unbroken;
use minijinja::machinery::ast::{Call, CallArg, Expr, Macro, Stmt};
use minijinja::machinery::{Token, parse as parse_template, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

/// What a template is given, at the top.
pub(super) const ROOTS: [&str; 5] = ["region", "stack", "instance", "inputs", "vars"];

/// Functions and names that every template has.
pub(super) const BUILT_IN: [&str; 7] = ["range", "dict", "namespace", "loop", "caller", "super", "self"];

/// How templates are written: as in Jinja, and a document ends as its template does.
pub(super) static SYNTAX: LazyLock<SyntaxConfig> = LazyLock::new(|| {
    let built = SyntaxConfig::builder().keep_trailing_newline(true).build();
    built.expect("the delimiters are the usual ones")
});

/// Operators, brackets and dots in one tag, and `elif`s in one template. Each may make the syntax one level deeper, and the
/// library walks it by recursion without a bound of its own.
const LINKS_MAX: usize = 300;

/// What is wrong in a template, by repository path and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) path: String,
    pub(super) line: u32,
    /// From 1.
    pub(super) column: u32,
    pub(super) what: String,
    pub(super) hint: &'static str,
}

/// Reads the template `name` (its repository path).
pub(super) fn parse<'s>(name: &'s str, text: &'s str) -> Result<Stmt<'s>, Wrong> {
    bound(name, text)?;
    parse_template(text, name, SYNTAX.clone()).map_err(|error| {
        let column = error.range().and_then(|range| column(text, range.start)).unwrap_or(1);
        Wrong { column, ..Wrong::of(name, &error) }
    })
}

/// Refuses a template whose syntax is too deep to be walked.
pub(super) fn bound(name: &str, text: &str) -> Result<(), Wrong> {
    if text.len() <= LINKS_MAX {
        return Ok(());
    }
    let (mut links, mut branches) = (0, 0);
    for (token, span) in tokenize(text, false, SYNTAX.clone()).map_while(Result::ok) {
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => links = 0,
            Token::Ident("elif") => branches += 1,
            Token::Ident("and" | "or" | "not" | "is" | "in" | "if" | "else") => links += 1,
            Token::Ident(_) | Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => {}
            Token::Comma | Token::Colon | Token::Assign | Token::VariableEnd | Token::BlockEnd => {}
            Token::BracketClose | Token::ParenClose | Token::BraceClose => {}
            _ => links += 1, // every operator, dot, pipe and opening bracket
        }
        if links > LINKS_MAX || branches > LINKS_MAX {
            let what = format!("the template is too deep: at most {LINKS_MAX} operators in one tag, and as many elif");
            let (line, column) = (u32::from(span.start_line), u32::from(span.start_col) + 1);
            return Err(Wrong { path: name.into(), line, column, what, hint: "cut it into several tags" });
        }
    }
    Ok(())
}

/// Returns the column of the character at byte `at`, from 1.
fn column(text: &str, at: usize) -> Option<u32> {
    let before = text.get(..at)?;
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    u32::try_from(before[line..].chars().count() + 1).ok()
}

impl Wrong {
    pub(super) fn of(name: &str, error: &minijinja::Error) -> Self {
        let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
        let line = error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(1);
        let hint = "a value is written {{ value }}, and what decides {% if … %} … {% endif %}; - at either end takes blanks away";
        Self { path: error.name().unwrap_or(name).into(), line, column: 1, what, hint }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", unbroken(&self.path), self.line, self.what)
    }
}

/// Returns the repository path that the templates in `source` mean by `name`: below `source`, or from the root with a
/// leading `/`. Nothing else can be included.
pub(super) fn included(source: &str, name: &str) -> Option<String> {
    match name.strip_prefix('/') {
        Some(rest) => path::normalise("", rest),
        None => path::normalise(source, name).filter(|path| path::is_within(path, source)),
    }
}

/// What one template uses.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) includes: Vec<Include>,
    /// Dotted names below [`ROOTS`], with where each is read first.
    pub(super) names: BTreeMap<String, At>,
    /// Other names, with where each is read first.
    pub(super) others: BTreeMap<String, At>,
    /// Names that the template gives a value to.
    pub(super) assigned: BTreeSet<String>,
    /// Filters, tests and methods, with where each is used first.
    pub(super) words: BTreeMap<(Word, String), At>,
}

/// One `include`, `import` or `extends`.
#[derive(Debug)]
pub(super) struct Include {
    /// As written; `None` when it is computed.
    pub(super) name: Option<String>,
    /// Absence is fine: `ignore missing`, or one of several.
    pub(super) may_miss: bool,
    pub(super) at: At,
}

impl Trace {
    pub(super) fn of(template: &Stmt<'_>) -> Self {
        let mut trace = Self::default();
        trace.statement(template);
        trace
    }

    /// Returns the names that `body` gives a value to.
    pub(super) fn assigned_in(body: &[Stmt<'_>]) -> BTreeSet<String> {
        let mut trace = Self::default();
        trace.statements(body);
        trace.assigned
    }

    fn statements(&mut self, body: &[Stmt<'_>]) {
        body.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(it) => self.statements(&it.children),
            Stmt::EmitExpr(it) => self.expression(&it.expr),
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(it) => {
                self.expression(&it.iter);
                self.assign(&it.target);
                it.filter_expr.iter().for_each(|expr| self.expression(expr));
                self.statements(&it.body);
                self.statements(&it.else_body);
            }
            Stmt::IfCond(it) => {
                self.expression(&it.expr);
                self.statements(&it.true_body);
                self.statements(&it.false_body);
            }
            Stmt::WithBlock(it) => {
                for (target, expr) in &it.assignments {
                    self.assign(target);
                    self.expression(expr);
                }
                self.statements(&it.body);
            }
            Stmt::Set(it) => {
                self.assign(&it.target);
                self.expression(&it.expr);
            }
            Stmt::SetBlock(it) => {
                self.assign(&it.target);
                it.filter.iter().for_each(|filter| self.expression(filter));
                self.statements(&it.body);
            }
            Stmt::AutoEscape(it) => {
                self.expression(&it.enabled);
                self.statements(&it.body);
            }
            Stmt::FilterBlock(it) => {
                self.expression(&it.filter);
                self.statements(&it.body);
            }
            Stmt::Block(it) => self.statements(&it.body),
            Stmt::Import(it) => {
                self.include(&it.expr, false);
                self.assign(&it.name);
            }
            Stmt::FromImport(it) => {
                self.include(&it.expr, false);
                it.names.iter().for_each(|(name, alias)| self.assign(alias.as_ref().unwrap_or(name)));
            }
            Stmt::Extends(it) => self.include(&it.name, false),
            Stmt::Include(it) => self.include(&it.name, it.ignore_missing),
            Stmt::Macro(it) => self.macro_(it),
            Stmt::CallBlock(it) => {
                self.call(&it.call);
                self.macro_(&it.macro_decl);
            }
            Stmt::Do(it) => self.call(&it.call),
        }
    }

    fn macro_(&mut self, it: &Macro<'_>) {
        self.assigned.insert(it.name.into());
        it.args.iter().for_each(|arg| self.assign(arg));
        it.defaults.iter().for_each(|default| self.expression(default));
        self.statements(&it.body);
    }

    fn include(&mut self, expr: &Expr<'_>, may_miss: bool) {
        let at = at(expr.span());
        let names = expr.as_const().map(|value| match value.as_str() {
            Some(name) => vec![name.to_string()],
            None => value.try_iter().into_iter().flatten().filter_map(|name| name.as_str().map(str::to_string)).collect(),
        });
        match names {
            Some(names) => {
                let may_miss = may_miss || names.len() > 1;
                self.includes.extend(names.into_iter().map(|name| Include { name: Some(name), may_miss, at }));
            }
            None => {
                self.includes.push(Include { name: None, may_miss, at });
                self.expression(expr);
            }
        }
    }

    fn assign(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(var) => {
                self.assigned.insert(var.id.into());
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.assign(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.assign(item)),
            other => self.expression(other), // `set space.name = …` reads `space`
        }
    }

    fn expression(&mut self, expr: &Expr<'_>) {
        if let Some(name) = dotted(expr) {
            return self.read(name, begin(expr));
        }
        match expr {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(it) => {
                self.expression(&it.expr);
                [&it.start, &it.stop, &it.step].into_iter().flatten().for_each(|expr| self.expression(expr));
            }
            Expr::UnaryOp(it) => self.expression(&it.expr),
            Expr::BinOp(it) => {
                self.expression(&it.left);
                self.expression(&it.right);
            }
            Expr::Compare(it) => {
                self.expression(&it.expr);
                it.ops.iter().for_each(|op| self.expression(&op.expr));
            }
            Expr::IfExpr(it) => {
                self.expression(&it.test_expr);
                self.expression(&it.true_expr);
                it.false_expr.iter().for_each(|expr| self.expression(expr));
            }
            Expr::Filter(it) => {
                self.words.entry((Word::Filter, it.name.into())).or_insert(at(expr.span()));
                it.expr.iter().for_each(|expr| self.expression(expr));
                self.arguments(&it.args);
            }
            Expr::Test(it) => {
                self.words.entry((Word::Test, it.name.into())).or_insert(at(expr.span()));
                self.expression(&it.expr);
                self.arguments(&it.args);
            }
            Expr::GetAttr(it) => self.expression(&it.expr),
            Expr::GetItem(it) => {
                self.expression(&it.expr);
                self.expression(&it.subscript_expr);
            }
            Expr::Call(it) => self.call(it),
            Expr::List(it) => it.items.iter().for_each(|item| self.expression(item)),
            Expr::Tuple(it) => it.items.iter().for_each(|item| self.expression(item)),
            Expr::Map(it) => it.keys.iter().chain(&it.values).for_each(|item| self.expression(item)),
        }
    }

    fn call(&mut self, call: &Call<'_>) {
        let is_ours = |name: &String| ROOTS.iter().any(|root| name.strip_prefix(root).is_some_and(|rest| rest.starts_with('.')));
        if let Some(name) = dotted(&call.expr).filter(is_ours) {
            self.words.entry((Word::Method, name)).or_insert(at(call.expr.span()));
        }
        self.expression(&call.expr);
        self.arguments(&call.args);
    }

    fn arguments(&mut self, args: &[CallArg<'_>]) {
        args.iter().for_each(|arg| self.expression(argument(arg)));
    }

    fn read(&mut self, name: String, at: At) {
        let root = name.split('.').next().unwrap_or_default();
        if ROOTS.contains(&root) {
            self.names.entry(name).or_insert(at);
        } else {
            self.others.entry(root.to_string()).or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Trace {
        Trace::of(&parse("t/a", text).expect("the template is well formed"))
    }

    fn names(text: &str) -> Vec<String> {
        trace(text).names.into_keys().collect()
    }

    #[test]
    fn names_are_traced_through_every_construct() {
        assert_eq!(names("{{ region.vars.cidr }} {{ region.labels[\"tier\"] }}"), ["region.labels.tier", "region.vars.cidr"]);
        assert_eq!(names("{% for z in vars.zones if z == region.name %}{{ z }}{% endfor %}"), ["region.name", "vars.zones"]);
        assert_eq!(names("{{ inputs.ids[0:inputs.count] }}"), ["inputs.count", "inputs.ids"]);
        assert_eq!(names("{% filter indent(vars.width) %}x{% endfilter %}"), ["vars.width"]);
        assert_eq!(names("{% include inputs.kind ~ '.j2' %}"), ["inputs.kind"]);
        assert_eq!(names("{% macro m(a, b=vars.b) %}{{ a }}{% endmacro %}{{ m(stack.name) }}"), ["stack.name", "vars.b"]);
        assert_eq!(names("{% set x = vars %}{{ x.owner }}"), ["vars"]);
        assert_eq!(names("{{ vars[inputs.key] }}"), ["inputs.key", "vars"]);
    }

    #[test]
    fn other_names_are_told_unless_the_template_assigns_them() {
        let trace = trace("{{ owner }}\n{% set x = 1 %}{{ x }}{{ range(3) }}");
        let free: Vec<_> = trace.others.iter().filter(|(name, _)| !trace.assigned.contains(*name)).collect();
        assert_eq!(free, [(&"owner".to_string(), &(1, 4)), (&"range".to_string(), &(2, 26))]);
    }

    #[test]
    fn includes_are_found_by_name_or_known_to_be_computed() {
        let found: Vec<_> = trace("{% include 'a' %}{% include ['b', 'c'] ignore missing %}{% import x as y %}")
            .includes
            .into_iter()
            .map(|include| (include.name, include.may_miss))
            .collect();
        let name = |name: &str| Some(name.to_string());
        assert_eq!(found, [(name("a"), false), (name("b"), true), (name("c"), true), (None, false)]);
    }

    #[test]
    fn an_include_stays_below_the_source_or_begins_at_the_root() {
        assert_eq!(included("net/t", "a/b"), Some("net/t/a/b".into()));
        assert_eq!(included("net/t", "/shared/x"), Some("shared/x".into()));
        assert_eq!(included("net/t", "../x"), None);
        assert_eq!(included("net/t", "/../x"), None);
    }

    #[test]
    fn a_syntax_error_knows_file_and_line() {
        let error = parse("net/t/a", "ok\n{% if %}").expect_err("the condition is missing");
        assert!(error.to_string().starts_with("net/t/a:2: "), "{error}");
    }

    #[test]
    fn syntax_that_is_too_deep_to_be_walked_is_refused() {
        let elifs = format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(5_000));
        for deep in ["~a".repeat(5_000), ".a".repeat(5_000), "|list".repeat(5_000), "(1,2)".repeat(5_000)] {
            let error = parse("t/a", &format!("{{{{ a{deep} }}}}")).expect_err("it is deep").to_string();
            assert!(error.starts_with("t/a:1: the template is too deep"), "{error}");
        }
        assert!(parse("t/a", &elifs).is_err());
        assert!(parse("t/a", &"{{ a ~ b }}".repeat(5_000)).is_ok());
        assert!(parse("t/a", &format!("{{{{ [{}] }}}}", "1,".repeat(5_000))).is_ok());
    }
}
