//! What a template reads whatever its values are: nothing that a condition, a loop or a test for absence could pass by. A name that is
//! not there is then an error in every rendering, and known to be one without any.

use super::syntax::{At, argument, begin, dotted};
use minijinja::machinery::ast::{BinOpKind, Expr, Stmt};
use std::collections::BTreeMap;

/// What one template reads for certain.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Certain {
    /// Dotted names, with where each is read first.
    pub(super) names: BTreeMap<String, At>,
    /// Templates that it includes for certain, as written.
    pub(super) includes: Vec<String>,
}

/// Filters that take an undefined value, or may. All others refuse it.
const TOLERANT: [&str; 12] =
    ["attr", "chain", "d", "default", "e", "escape", "groupby", "join", "map", "pprint", "tojson", "zip"];

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
            Stmt::EmitExpr(it) => self.used(&it.expr),
            Stmt::ForLoop(it) => self.used(&it.iter),
            Stmt::IfCond(it) => self.used(&it.expr),
            Stmt::WithBlock(it) => {
                it.assignments.iter().for_each(|(_, expr)| self.evaluated(expr));
                return self.statements(&it.body);
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

    /// Notes an expression whose value must be there: it is printed, asked for its truth, or gone through.
    fn used(&mut self, expr: &Expr<'_>) {
        match dotted(expr) {
            Some(name) => drop(self.names.entry(name).or_insert(begin(expr))),
            None => self.evaluated(expr),
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
                it.args.iter().for_each(|arg| self.evaluated(argument(arg)));
            }
            Expr::Test(it) => self.evaluated(&it.expr),
            Expr::Call(it) => it.args.iter().for_each(|arg| self.evaluated(argument(arg))),
            Expr::List(it) => it.items.iter().for_each(|item| self.evaluated(item)),
            Expr::Tuple(it) => it.items.iter().for_each(|item| self.evaluated(item)),
            Expr::Map(it) => it.keys.iter().chain(&it.values).for_each(|item| self.evaluated(item)),
            Expr::GetAttr(_) | Expr::GetItem(_) | Expr::Var(_) | Expr::Const(_) => {}
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

    /// Renders as documents are, where `vars` has nothing.
    fn renders(text: &str) -> Result<String, minijinja::Error> {
        let mut environment = minijinja::Environment::new();
        environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        environment.render_str(text, minijinja::context! { vars => minijinja::context! {} })
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
        assert_eq!(names("{{ vars.items() }}{{ vars[vars.y] }}"), [""; 0], "what is called or computed is not known");
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
