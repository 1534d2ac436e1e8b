//! What a template reads whatever its values are: nothing that a condition, a loop or a test for absence could pass by. A name that is
//! not there is then an error in every rendering, and known to be one without any.

use super::bounds::GROWING;
use super::syntax::{At, argument, begin, dotted};
use super::template::Trace;
use minijinja::machinery::ast::{BinOpKind, Expr, Stmt};
use std::collections::BTreeMap;

/// What one template reads for certain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Certain {
    /// Dotted names, with where each is read first.
    pub(super) names: BTreeMap<String, At>,
    /// Templates that it includes for certain, as written.
    pub(super) includes: Vec<String>,
    /// Names that a `with` gives to what may be undefined, and nothing else gives a value to.
    aliases: BTreeMap<String, (String, At)>,
}

/// Filters that take an undefined value, or may. All others refuse it.
const TOLERANT: [&str; 5] = ["attr", "d", "default", "groupby", "map"];

impl Certain {
    pub(super) fn of(template: &Stmt<'_>) -> Self {
        let mut certain = Self::default();
        let is_whole = match template {
            Stmt::Template(it) => certain.statements(&it.children),
            _ => false,
        };
        if is_whole { certain } else { Self::default() }
    }

    /// False when another template decides what is printed.
    fn statements(&mut self, body: &[Stmt<'_>]) -> bool {
        body.iter().all(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> bool {
        match statement {
            Stmt::Extends(_) => return false,
            Stmt::EmitExpr(it) => self.printed(&it.expr),
            Stmt::ForLoop(it) => self.used(&it.iter),
            Stmt::IfCond(it) => self.used(&it.expr),
            Stmt::WithBlock(it) => {
                let outer = self.aliases.clone();
                for (target, expr) in &it.assignments {
                    self.evaluated(expr);
                    self.alias(target, expr, &it.body);
                }
                let goes_on = self.statements(&it.body);
                self.aliases = outer;
                return goes_on;
            }
            Stmt::Set(it) => self.evaluated(&it.expr),
            Stmt::SetBlock(it) => return self.statements(&it.body),
            Stmt::AutoEscape(it) => return self.statements(&it.body),
            Stmt::FilterBlock(it) => return self.statements(&it.body),
            Stmt::Block(it) => return self.statements(&it.body),
            Stmt::Include(it) if !it.ignore_missing => {
                let name = it.name.as_const().and_then(|name| name.as_str().map(str::to_string));
                self.includes.extend(name);
            }
            // What is imported or declared may be called, or not; what is called may look at anything.
            Stmt::Include(_) | Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Macro(_) | Stmt::CallBlock(_) | Stmt::Do(_) => {}
            Stmt::Template(_) | Stmt::EmitRaw(_) => {}
        }
        true
    }

    fn alias(&mut self, target: &Expr<'_>, expr: &Expr<'_>, body: &[Stmt<'_>]) {
        let assigned = Trace::assigned_in(body);
        let Expr::Var(var) = target else { return self.aliases.clear() };
        match dotted(expr).map(|name| self.meant(name, begin(expr))).filter(|_| !assigned.contains(var.id)) {
            Some(meant) => drop(self.aliases.insert(var.id.into(), meant)),
            None => drop(self.aliases.remove(var.id)),
        }
    }

    /// Returns what a dotted name stands for, and where that was said.
    fn meant(&self, name: String, at: At) -> (String, At) {
        let (root, below) = name.split_once('.').map_or((&*name, ""), |(root, _)| (root, &name[root.len()..]));
        match self.aliases.get(root) {
            Some((of, at)) => (format!("{of}{below}"), *at),
            None => (name, at),
        }
    }

    /// Notes an expression whose value must be there: it is printed, asked for its truth, gone through or looked into.
    fn used(&mut self, expr: &Expr<'_>) {
        match (dotted(expr), expr) {
            (Some(name), _) => {
                let (name, at) = self.meant(name, begin(expr));
                self.names.entry(name).or_insert(at);
            }
            (None, Expr::GetItem(it)) => {
                self.used(&it.expr);
                self.used(&it.subscript_expr);
            }
            (None, _) => self.evaluated(expr),
        }
    }

    /// Notes what is printed: all that a list or a map holds must be there.
    fn printed(&mut self, expr: &Expr<'_>) {
        match expr {
            Expr::List(it) => it.items.iter().for_each(|item| self.printed(item)),
            Expr::Tuple(it) => it.items.iter().for_each(|item| self.printed(item)),
            Expr::Map(it) => it.keys.iter().chain(&it.values).for_each(|item| self.printed(item)),
            other => self.used(other),
        }
    }

    /// Notes what is looked into: it must be there even where what is found in it need not. All that a template is given is, but for an
    /// instance.
    fn entered(&mut self, expr: &Expr<'_>) {
        if !matches!(expr, Expr::Var(var) if var.id != "instance" && !self.aliases.contains_key(var.id)) {
            self.used(expr);
        }
    }

    /// Notes what an expression needs to have a value at all; the value itself may be undefined.
    fn evaluated(&mut self, expr: &Expr<'_>) {
        match expr {
            Expr::BinOp(it) => {
                self.used(&it.left);
                if !matches!(it.op, BinOpKind::ScAnd | BinOpKind::ScOr) {
                    self.used(&it.right);
                }
            }
            Expr::Compare(it) => {
                self.used(&it.expr);
                it.ops.iter().take(1).for_each(|op| self.used(&op.expr)); // the next is looked at only if this one holds
            }
            Expr::UnaryOp(it) => self.used(&it.expr),
            Expr::IfExpr(it) => self.used(&it.test_expr),
            Expr::Slice(it) => self.used(&it.expr),
            Expr::Filter(it) => {
                let takes_undefined = TOLERANT.contains(&it.name);
                it.expr.iter().for_each(|subject| if takes_undefined { self.evaluated(subject) } else { self.used(subject) });
                let refuses = GROWING.contains(&it.name);
                it.args.iter().map(argument).for_each(|arg| if refuses { self.used(arg) } else { self.evaluated(arg) });
            }
            Expr::Test(it) => self.evaluated(&it.expr),
            Expr::Call(it) => {
                let refuses = matches!(&it.expr, Expr::Var(var) if var.id == "range");
                it.args.iter().map(argument).for_each(|arg| if refuses { self.used(arg) } else { self.evaluated(arg) });
            }
            Expr::List(it) => it.items.iter().for_each(|item| self.evaluated(item)),
            Expr::Tuple(it) => it.items.iter().for_each(|item| self.evaluated(item)),
            Expr::Map(it) => it.keys.iter().chain(&it.values).for_each(|item| self.evaluated(item)),
            Expr::GetAttr(it) => self.entered(&it.expr),
            Expr::GetItem(it) => {
                self.entered(&it.expr);
                self.evaluated(&it.subscript_expr);
            }
            Expr::Var(_) | Expr::Const(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vocabulary::FILTERS;
    use super::*;

    fn certain(text: &str) -> Certain {
        let syntax = minijinja::syntax::SyntaxConfig::default();
        Certain::of(&minijinja::machinery::parse(text, "t/a", syntax).expect("the template is well formed"))
    }

    fn names(text: &str) -> Vec<String> {
        certain(text).names.into_keys().collect()
    }

    /// Renders as documents are, where `vars` has an owner and nothing else.
    fn renders(text: &str) -> Result<String, minijinja::Error> {
        let mut environment = minijinja::Environment::new();
        let budget = super::super::bounds::Budget::default();
        budget.install(&mut environment);
        budget.refill();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.render_str(text, minijinja::context! { vars => minijinja::context! { owner => "ann" } })
    }

    #[test]
    fn what_is_printed_asked_or_gone_through_is_read_for_certain_and_is_an_error_where_it_is_not_there() {
        for text in [
            "{{ vars.x }}",
            "{{ vars['x'] }}",
            "{{ vars.x|upper }}",
            "{{ vars.x|upper|tojson }}",
            "{{ (vars.x ~ 'a')|default('b') }}",
            "{{ 'a' ~ vars.x }}",
            "{{ 1 + vars.x }}",
            "{{ vars.x == 1 }}",
            "{{ 1 in vars.x }}",
            "{{ not vars.x }}",
            "{{ vars.x and 1 }}",
            "{{ 1 if vars.x else 2 }}",
            "{{ vars.x[0:1] }}",
            "{{ [vars.x ~ 1] }}",
            "{{ (vars.x ~ 1) is defined }}",
            "{% if vars.x %}{% endif %}",
            "{% for a in vars.x %}{% endfor %}",
            "{% set a = vars.x ~ 1 %}",
            "{% set a %}{{ vars.x }}{% endset %}",
            "{% with a = 1 %}{{ vars.x }}{% endwith %}",
            "{% filter upper %}{{ vars.x }}{% endfilter %}",
            "{% block a %}{{ vars.x }}{% endblock %}",
        ] {
            assert_eq!(names(text), ["vars.x"], "{text}");
            assert!(renders(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_handed_on_or_looked_into_is_read_for_certain() {
        for (text, name) in [
            ("{% with w = vars.x %}{{ w }}{% endwith %}", "vars.x"),
            ("{% with w = vars.x %}{% with v = w.y %}{{ v }}{% endwith %}{% endwith %}", "vars.x.y"),
            ("{{ range(vars.x) }}", "vars.x"),
            ("{{ '%s'|format(vars.x) }}", "vars.x"),
            ("{{ 'a'|replace('a', vars.x) }}", "vars.x"),
            ("{{ vars.x|tojson }}", "vars.x"),
            ("{{ [1, {'a': vars.x.y}] }}", "vars.x.y"),
            ("{{ vars.owner[vars.x] }}", "vars.x"),
            ("{{ vars.owner.deep.deeper }}", "vars.owner.deep.deeper"),
            ("{{ vars.x.a.b|default(1) }}", "vars.x.a"),
            ("{{ vars.x.a is defined }}", "vars.x"),
            ("{{ instance.name|default(1) }}", "instance"),
            ("{{ instance.name is defined }}", "instance"),
        ] {
            assert!(names(text).contains(&name.to_string()), "{text}: {:?}", names(text));
            assert!(renders(text).is_err(), "{text}");
        }
        for text in [
            "{% with w = vars.x %}{{ w|default(1) }}{% endwith %}",
            "{% with w = vars.x %}{% if true %}{% set w = 1 %}{% endif %}{{ w }}{% endwith %}",
            "{% with w = vars.x %}{% with w = 1 %}{{ w }}{% endwith %}{% endwith %}",
            "{{ vars.owner|default(vars.x) }}",
        ] {
            assert!(!names(text).contains(&"vars.x".to_string()), "{text}: {:?}", names(text));
            assert!(renders(text).is_ok(), "{text}: {:?}", renders(text));
        }
    }

    #[test]
    fn what_may_be_passed_by_is_not_certain() {
        for text in [
            "{% if vars.x is defined %}{{ vars.x }}{% endif %}",
            "{{ vars.x if vars.x is defined else 1 }}",
            "{{ vars.x|default(1) }}",
            "{{ vars.x|d }}",
            "{{ true or vars.x }}",
            "{{ false and vars.x }}",
            "{{ 1 > 2 > vars.x }}",
            "{% for a in [] %}{{ vars.x }}{% else %}{% endfor %}",
            "{% macro m() %}{{ vars.x }}{% endmacro %}",
            "{% set a = vars.x %}",
            "{{ vars.x is none }}",
        ] {
            assert_eq!(names(text), [""; 0], "{text}");
            assert!(renders(text).is_ok(), "{text}: {:?}", renders(text));
        }
        assert_eq!(names("{{ vars.x }}{% extends 'a' %}"), [""; 0], "another template decides what is printed");
        assert_eq!(names("{{ vars.items() }}{{ vars.x() }}"), [""; 0], "what is called is not known");
    }

    #[test]
    fn filters_that_are_not_tolerant_refuse_what_is_undefined() {
        for filter in FILTERS.into_iter().filter(|filter| !TOLERANT.contains(filter)) {
            let args = match filter {
                "batch" | "slice" => "(2)",
                "selectattr" | "rejectattr" => "('a')",
                _ => "",
            };
            let error = renders(&format!("{{{{ vars.x|{filter}{args} }}}}")).expect_err(filter);
            assert!(!error.to_string().contains("argument"), "{filter}: {error}");
        }
    }

    #[test]
    fn includes_are_followed_where_they_are_certain() {
        let text = "{% include 'a' %}{% if x %}{% include 'b' %}{% endif %}{% include 'c' ignore missing %}";
        assert_eq!(certain(text).includes, ["a"]);
    }
}
