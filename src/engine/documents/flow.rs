//! Whether a template only prints a value, or looks at it. What stands in for an unknown output or a secret may be printed
//! and joined to other text, because putting the value in later gives the same text; a condition, a comparison, a filter
//! or a loop over it would be a guess.
//!
//! The answer is worked out from the syntax, without running the template: equality of a text and a mark asks no one.
//! Names are followed wherever they are assigned, in any order and in any branch, so the answer errs on the side of
//! "looked at". Values that hold no mark play no part.

use super::template::argument;
use super::values::{Mark, marks_in};
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, Filter, Macro, Stmt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Marks = BTreeSet<Mark>;

/// Returns the marks that `templates` look at, when they are given `values`.
pub(super) fn inspected(templates: &[&Stmt<'_>], values: &Value) -> Marks {
    let mut flow = Flow::new(values);
    loop {
        flow.inspected.clear();
        flow.grew = false;
        templates.iter().for_each(|template| flow.statement(template));
        if !flow.grew {
            return flow.inspected;
        }
    }
}

/// What an expression may be: parts of the values given, text with marks in it, or a list or map made here.
#[derive(Clone, Debug, Default, PartialEq)]
struct Flowing<'v> {
    /// Parts of the values, each with a mark in it.
    parts: Vec<&'v Value>,
    text: Marks,
    /// What a list or map made in the template holds.
    inner: Option<Box<Flowing<'v>>>,
}

/// Lists in lists made by a template, followed that deep; deeper ones count as looked at.
const DEPTH_MAX: usize = 8;

/// Parts of the values that one name may stand for; with more of them all their marks count as looked at.
const PARTS_MAX: usize = 512;

struct Flow<'v> {
    values: &'v Value,
    /// Every name that is assigned anywhere, and all that it may be.
    names: BTreeMap<String, Flowing<'v>>,
    /// What the calls of a macro pass to it, and what it prints.
    passed: BTreeMap<String, Flowing<'v>>,
    printed: BTreeMap<String, Marks>,
    /// Names of imported macros, and of whole modules.
    aliases: BTreeMap<String, String>,
    modules: BTreeSet<String>,
    /// Macros whose bodies are being walked, with the names of their arguments.
    inside: Vec<(String, BTreeSet<String>)>,
    /// What is printed anywhere: what a block, an include or `super()` may print.
    anywhere: Marks,
    /// What is printed into each capture that is open.
    captures: Vec<Marks>,
    inspected: Marks,
    grew: bool,
}

impl<'v> Flow<'v> {
    fn new(values: &'v Value) -> Self {
        Self {
            values,
            names: BTreeMap::new(),
            passed: BTreeMap::new(),
            printed: BTreeMap::new(),
            aliases: BTreeMap::new(),
            modules: BTreeSet::new(),
            inside: Vec::new(),
            anywhere: Marks::new(),
            captures: Vec::new(),
            inspected: Marks::new(),
            grew: false,
        }
    }

    fn statements(&mut self, body: &[Stmt<'_>]) {
        body.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(it) => self.statements(&it.children),
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(it) => {
                let value = self.value(&it.expr);
                self.print(value);
            }
            Stmt::ForLoop(it) => {
                let list = self.value(&it.iter);
                let items = self.items(list);
                self.assign(&it.target, items);
                it.filter_expr.iter().for_each(|expr| self.ask(expr));
                self.statements(&it.body);
                self.statements(&it.else_body);
            }
            Stmt::IfCond(it) => {
                self.ask(&it.expr);
                self.statements(&it.true_body);
                self.statements(&it.false_body);
            }
            Stmt::WithBlock(it) => {
                for (target, expr) in &it.assignments {
                    let value = self.value(expr);
                    self.assign(target, value);
                }
                self.statements(&it.body);
            }
            Stmt::Set(it) => {
                let value = self.value(&it.expr);
                self.assign(&it.target, value);
            }
            Stmt::SetBlock(it) => {
                let text = self.captured(&it.body);
                if let Some(filter) = &it.filter {
                    self.look_at(&text);
                    self.value(filter);
                }
                self.assign(&it.target, Flowing::text(text));
            }
            Stmt::AutoEscape(it) => {
                self.ask(&it.enabled);
                let text = self.captured(&it.body);
                self.look_at(&text);
            }
            Stmt::FilterBlock(it) => {
                let text = self.captured(&it.body);
                self.look_at(&text);
                self.value(&it.filter);
            }
            Stmt::Block(it) => {
                self.statements(&it.body);
                self.print_anything();
            }
            Stmt::Import(it) => {
                self.ask(&it.expr);
                if let Expr::Var(name) = &it.name {
                    self.grew |= self.modules.insert(name.id.to_string());
                }
            }
            Stmt::FromImport(it) => {
                self.ask(&it.expr);
                for (name, alias) in &it.names {
                    self.import(name, alias.as_ref().unwrap_or(name));
                }
            }
            Stmt::Extends(it) => {
                self.ask(&it.name);
                self.print_anything();
            }
            Stmt::Include(it) => {
                self.ask(&it.name);
                self.hand_to_included();
                self.print_anything();
            }
            Stmt::Macro(it) => self.declare(it.name, it),
            Stmt::CallBlock(it) => {
                self.declare(CALLER, &it.macro_decl);
                let text = self.call(&it.call);
                self.print(text);
            }
            Stmt::Do(it) => {
                self.call(&it.call);
            }
        }
    }

    fn import(&mut self, name: &Expr<'_>, alias: &Expr<'_>) {
        let (Expr::Var(name), Expr::Var(alias)) = (name, alias) else { return };
        if name.id != alias.id {
            self.grew |= self.aliases.insert(alias.id.into(), name.id.into()).is_none();
            let value = self.names.get(name.id).cloned().unwrap_or_default();
            self.give(alias.id.into(), value);
        }
    }

    fn declare(&mut self, name: &str, it: &Macro<'_>) {
        let mut passed = self.passed.entry(name.into()).or_default().clone();
        for default in &it.defaults {
            let value = self.value(default);
            passed.join(value);
        }
        let args = it.args.iter().filter_map(|arg| if let Expr::Var(var) = arg { Some(var.id.to_string()) } else { None });
        self.inside.push((name.into(), args.collect()));
        it.args.iter().for_each(|arg| self.assign(arg, passed.clone()));
        let text = self.captured(&it.body);
        self.inside.pop();
        let printed = self.printed.entry(name.into()).or_default();
        let before = printed.len();
        printed.extend(text);
        self.grew |= printed.len() > before;
    }

    /// What is included in a macro sees the arguments under their own names.
    fn hand_to_included(&mut self) {
        for (name, args) in self.inside.clone() {
            for arg in args {
                let value = self.names.get(&scoped(&name, &arg)).cloned().unwrap_or_default();
                self.give(arg, value);
            }
        }
    }

    /// Returns the key of `id` in `names`: an argument belongs to its macro, everything else to all templates.
    fn key(&self, id: &str) -> String {
        let owner = self.inside.iter().rev().find(|(_, args)| args.contains(id));
        owner.map_or_else(|| id.to_string(), |(name, _)| scoped(name, id))
    }

    /// Walks `body` and returns what it prints.
    fn captured(&mut self, body: &[Stmt<'_>]) -> Marks {
        self.captures.push(Marks::new());
        self.statements(body);
        self.captures.pop().unwrap_or_default()
    }

    fn print(&mut self, value: Flowing<'v>) {
        let text = self.printable(value);
        self.emit(text);
    }

    fn print_anything(&mut self) {
        if !self.captures.is_empty() {
            self.emit(self.anywhere.clone());
        }
    }

    fn emit(&mut self, text: Marks) {
        let before = self.anywhere.len();
        self.anywhere.extend(text.iter().cloned());
        self.grew |= self.anywhere.len() > before;
        if let Some(capture) = self.captures.last_mut() {
            capture.extend(text);
        }
    }

    /// Returns the marks in what printing `value` writes. A list or a map is written with quotes around its texts, which is
    /// more than putting them in later.
    fn printable(&mut self, value: Flowing<'v>) -> Marks {
        let mut text = value.text;
        for part in value.parts {
            match part {
                Value::String(_) => text.extend(marks_in(part)),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
                Value::Array(_) | Value::Object(_) => self.inspected.extend(marks_in(part)),
            }
        }
        if let Some(inner) = value.inner {
            self.inspected.extend(inner.marks());
        }
        text
    }

    fn look_at(&mut self, marks: &Marks) {
        self.inspected.extend(marks.iter().cloned());
    }

    fn look_into(&mut self, value: &Flowing<'v>) {
        self.inspected.extend(value.marks());
    }

    /// Notes that the truth or the text of `expr` decides something. Whether a list is empty is known.
    fn ask(&mut self, expr: &Expr<'_>) {
        let value = self.value(expr);
        self.decide(&value);
    }

    fn decide(&mut self, value: &Flowing<'v>) {
        self.look_at(&value.text);
        let texts = value.parts.iter().filter(|part| part.is_string());
        self.inspected.extend(texts.flat_map(|part| marks_in(part)));
    }

    fn assign(&mut self, target: &Expr<'_>, value: Flowing<'v>) {
        match target {
            Expr::Var(var) => self.give(self.key(var.id), value),
            Expr::List(list) => {
                let items = self.items(value);
                list.items.iter().for_each(|target| self.assign(target, items.clone()));
            }
            Expr::Tuple(tuple) => {
                let items = self.items(value);
                tuple.items.iter().for_each(|target| self.assign(target, items.clone()));
            }
            Expr::GetAttr(attr) => {
                let boxed = self.boxed(value); // `set space.name = …`
                self.assign(&attr.expr, boxed);
            }
            other => {
                self.look_into(&value);
                self.value(other);
            }
        }
    }

    fn give(&mut self, key: String, value: Flowing<'v>) {
        let known = self.names.entry(key).or_default();
        let before = known.clone();
        known.join(value);
        self.grew |= *known != before;
        if known.parts.len() > PARTS_MAX {
            let marks = known.marks();
            self.inspected.extend(marks);
        }
    }

    fn value(&mut self, expr: &Expr<'_>) -> Flowing<'v> {
        match expr {
            Expr::Const(_) => Flowing::default(),
            Expr::Var(var) => self.name(var.id),
            Expr::GetAttr(it) => match &it.expr {
                Expr::Var(module) if self.modules.contains(module.id) => self.name(it.name),
                base => {
                    let base = self.value(base);
                    self.below(base, Some(it.name))
                }
            },
            Expr::GetItem(it) => {
                let base = self.value(&it.expr);
                let key = it.subscript_expr.as_const();
                let key = key.and_then(|key| key.as_str().map(str::to_string).or(key.as_usize().map(|at| at.to_string())));
                let subscript = self.value(&it.subscript_expr);
                self.look_into(&subscript);
                self.below(base, key.as_deref())
            }
            Expr::BinOp(it) => {
                let (left, right) = (self.value(&it.left), self.value(&it.right));
                self.operation(it.op, left, right)
            }
            Expr::IfExpr(it) => {
                self.ask(&it.test_expr);
                let mut value = self.value(&it.true_expr);
                let other = it.false_expr.as_ref().map(|expr| self.value(expr));
                value.join(other.unwrap_or_default());
                value
            }
            Expr::Filter(it) => self.filter(it),
            Expr::Test(it) => {
                let value = self.value(&it.expr);
                let args = self.arguments(&it.args);
                if !matches!(it.name, "defined" | "undefined") {
                    self.look_into(&value);
                    self.look_into(&args);
                }
                Flowing::default()
            }
            Expr::Call(it) => self.call(it),
            Expr::List(it) => self.made_of(it.items.iter()),
            Expr::Tuple(it) => self.made_of(it.items.iter()),
            Expr::Map(it) => {
                for key in &it.keys {
                    let key = self.value(key);
                    self.look_into(&key);
                }
                self.made_of(it.values.iter())
            }
            Expr::UnaryOp(it) => {
                let value = self.value(&it.expr);
                self.look_into(&value);
                Flowing::default()
            }
            Expr::Compare(it) => {
                for expr in std::iter::once(&it.expr).chain(it.ops.iter().map(|op| &op.expr)) {
                    let value = self.value(expr);
                    self.look_into(&value);
                }
                Flowing::default()
            }
            Expr::Slice(it) => {
                for expr in [Some(&it.expr), it.start.as_ref(), it.stop.as_ref(), it.step.as_ref()].into_iter().flatten() {
                    let value = self.value(expr);
                    self.look_into(&value);
                }
                Flowing::default()
            }
        }
    }

    fn name(&mut self, id: &str) -> Flowing<'v> {
        let mut value = self.names.get(&self.key(id)).cloned().unwrap_or_default();
        if let Some(part) = self.values.get(id) {
            value.join(Flowing::part(part));
        }
        value
    }

    /// Returns what stands below `key` of `base`, or below any key.
    fn below(&mut self, base: Flowing<'v>, key: Option<&str>) -> Flowing<'v> {
        self.decide(&base); // a key of what is not known
        let mut found = base.inner.map_or_else(Flowing::default, |inner| *inner);
        for part in base.parts {
            let children: Vec<&Value> = match (part, key) {
                (Value::Object(map), Some(key)) => map.get(key).into_iter().collect(),
                (Value::Object(map), None) => map.values().collect(),
                (Value::Array(items), key) => match key.and_then(|key| key.parse::<usize>().ok()) {
                    Some(at) => items.get(at).into_iter().collect(),
                    None => items.iter().collect(),
                },
                (Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_), _) => vec![],
            };
            children.into_iter().for_each(|child| found.join(Flowing::part(child)));
        }
        found
    }

    /// Returns what a loop over `value` runs through: items of lists; keys of maps hold no marks.
    fn items(&mut self, mut value: Flowing<'v>) -> Flowing<'v> {
        value.parts.retain(|part| !part.is_object());
        self.below(value, None)
    }

    fn boxed(&mut self, value: Flowing<'v>) -> Flowing<'v> {
        if value.depth() >= DEPTH_MAX {
            self.look_into(&value);
            return Flowing::text(value.marks());
        }
        Flowing { inner: Some(Box::new(value)), ..Flowing::default() }
    }

    fn made_of<'e, 'a: 'e>(&mut self, items: impl Iterator<Item = &'e Expr<'a>>) -> Flowing<'v> {
        let mut all = Flowing::default();
        for item in items {
            all.join(self.value(item));
        }
        if all == Flowing::default() { all } else { self.boxed(all) }
    }

    fn operation(&mut self, op: BinOpKind, left: Flowing<'v>, right: Flowing<'v>) -> Flowing<'v> {
        match op {
            BinOpKind::Concat => {
                let mut text = self.printable(left);
                text.extend(self.printable(right));
                Flowing::text(text)
            }
            BinOpKind::ScAnd | BinOpKind::ScOr => {
                self.decide(&left);
                let mut either = left;
                either.join(right);
                either
            }
            BinOpKind::Eq
            | BinOpKind::Ne
            | BinOpKind::Lt
            | BinOpKind::Lte
            | BinOpKind::Gt
            | BinOpKind::Gte
            | BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Mul
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow
            | BinOpKind::In => {
                self.look_into(&left);
                self.look_into(&right);
                Flowing::default()
            }
        }
    }

    /// The few filters that only hand on; every other one looks at what it is given.
    fn filter(&mut self, it: &Filter<'_>) -> Flowing<'v> {
        let base = it.expr.as_ref().map(|expr| self.value(expr)).unwrap_or_default();
        let args = self.arguments(&it.args);
        match (it.name, it.args.len()) {
            ("default" | "d", 0 | 1) => {
                let mut either = base;
                either.join(args);
                either
            }
            ("items" | "dictsort", 0) => {
                let values = self.below(base, None);
                let pair = self.boxed(values);
                self.boxed(pair)
            }
            ("list", 0) => {
                let items = self.items(base);
                self.boxed(items)
            }
            ("first" | "last", 0) => self.items(base),
            ("length" | "count", 0) => {
                self.decide(&base);
                Flowing::default()
            }
            ("join", _) => {
                let items = self.items(base);
                let mut text = self.printable(items);
                text.extend(self.printable(args));
                Flowing::text(text)
            }
            ("string", 0) => Flowing::text(self.printable(base)),
            _ => {
                self.look_into(&base);
                self.look_into(&args);
                Flowing::default()
            }
        }
    }

    fn arguments(&mut self, args: &[CallArg<'_>]) -> Flowing<'v> {
        let mut all = Flowing::default();
        for arg in args {
            let value = self.value(argument(arg));
            let value = match arg {
                CallArg::Pos(_) | CallArg::Kwarg(..) => value,
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => self.below(value, None),
            };
            all.join(value);
        }
        all
    }

    fn call(&mut self, call: &Call<'_>) -> Flowing<'v> {
        let args = self.arguments(&call.args);
        let name = match &call.expr {
            Expr::Var(var) => Some(var.id),
            Expr::GetAttr(attr) => match &attr.expr {
                Expr::Var(module) if self.modules.contains(module.id) => Some(attr.name),
                _ => None,
            },
            _ => None,
        };
        let name = name.map(|name| self.aliases.get(name).cloned().unwrap_or_else(|| name.to_string()));
        match name {
            Some(name) if name == CALLER || self.passed.contains_key(&name) => self.pass(&name, args),
            Some(name) if matches!(name.as_str(), "namespace" | "dict") => self.boxed(args),
            _ => {
                let callee = self.value(&call.expr);
                self.look_into(&callee);
                self.look_into(&args);
                Flowing::text(self.anywhere.clone()) // `super()`, `self.block()`, a macro under another name
            }
        }
    }

    fn pass(&mut self, name: &str, args: Flowing<'v>) -> Flowing<'v> {
        let passed = self.passed.entry(name.into()).or_default();
        let before = passed.clone();
        passed.join(args);
        self.grew |= *passed != before;
        Flowing::text(self.printed.get(name).cloned().unwrap_or_default())
    }
}

fn scoped(name: &str, arg: &str) -> String {
    format!("{name}({arg})")
}

/// The name under which a macro calls the block it was called with.
const CALLER: &str = "caller";

impl<'v> Flowing<'v> {
    fn part(value: &'v Value) -> Self {
        let parts = if marks_in(value).is_empty() { vec![] } else { vec![value] };
        Self { parts, ..Self::default() }
    }

    fn text(text: Marks) -> Self {
        Self { text, ..Self::default() }
    }

    fn join(&mut self, other: Self) {
        for part in other.parts {
            if !self.parts.iter().any(|known| std::ptr::eq(*known, part)) {
                self.parts.push(part);
            }
        }
        self.text.extend(other.text);
        match (&mut self.inner, other.inner) {
            (Some(inner), Some(other)) => inner.join(*other),
            (inner @ None, other) => *inner = other,
            (Some(_), None) => {}
        }
    }

    fn marks(&self) -> Marks {
        let mut marks: Marks = self.parts.iter().flat_map(|part| marks_in(part)).collect();
        marks.extend(self.text.iter().cloned());
        marks.extend(self.inner.iter().flat_map(|inner| inner.marks()));
        marks
    }

    fn depth(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| 1 + inner.depth())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::documents::template::parse;
    use crate::stack::mark_hole;
    use serde_json::json;

    /// Names of the holes that `text`, with a second template of macros, looks at.
    fn looked_at(text: &str) -> Vec<String> {
        let values = json!({
            "inputs": {
                "id": mark_hole("id"), "arn": format!("arn:{}", mark_hole("arn")), "known": "x",
                "subnets": [mark_hole("a"), mark_hole("b")], "zones": [{ "name": "a", "id": mark_hole("zone") }],
                "tags": { "id": mark_hole("tag") },
            },
            "vars": { "owner": "platform" },
        });
        let library = "{% macro show(x) %}<{{ x }}>{% endmacro %}{% macro choose(x) %}{% if x %}y{% endif %}{% endmacro %}\
                       {% macro wrap() %}{{ caller(inputs.id) }}{% endmacro %}";
        let (one, two) = (parse("a", text).expect("well formed"), parse("lib", library).expect("well formed"));
        let marks = inspected(&[&one, &two], &values);
        let name = |mark| match mark {
            Mark::Hole(name) => name.to_string(),
            Mark::Secret(name) => format!("secret {name}"),
        };
        marks.into_iter().map(name).collect()
    }

    #[test]
    fn printing_looks_at_nothing() {
        for text in [
            "{{ inputs.id }} {{ inputs['arn'] }}",
            "{{ 'x-' ~ inputs.id ~ '-y' }}",
            "{% set x = inputs.id %}{{ x }}",
            "{% with x = inputs.arn %}{{ x }}{% endwith %}",
            "{% for s in inputs.subnets %}{{ s }}{% if not loop.last %},{% endif %}{% endfor %}",
            "{% for z in inputs.zones %}{% if z.name == 'a' %}{{ z.id }}{% endif %}{% endfor %}",
            "{% for k, v in inputs.tags|items %}{{ k }}={{ v }}{% endfor %}",
            "{{ inputs.subnets|join(',') }} {{ inputs.subnets[0] }} {{ inputs.subnets|length }}",
            "{{ inputs.id if inputs.known == 'x' else 'y' }}",
            "{{ inputs.id|default('none') }}{% if inputs.id is defined %}y{% endif %}",
            "{% from 'lib' import show %}{{ show(inputs.id) }}",
            "{% from 'lib' import show as s %}{{ s(inputs.id) }}",
            "{% import 'lib' as lib %}{{ lib.show(x=inputs.id) }}",
            "{% call(x) wrap() %}{{ x }}{% endcall %}",
            "{% set x %}a{{ inputs.id }}b{% endset %}{{ x }}",
            "{% for x in [inputs.id, 'b'] %}{{ x }}{% endfor %}",
            "{% if inputs.subnets %}y{% endif %}{{ vars.owner|upper }}",
            "{% set ns = namespace(last='') %}{% set ns.last = inputs.id %}{{ ns.last }}",
        ] {
            assert_eq!(looked_at(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn whatever_asks_looks_at_the_value() {
        for text in [
            "{% if inputs.id %}y{% endif %}",
            "{% if 'x' == inputs.id %}y{% endif %}",
            "{% if inputs.id in ['x'] %}y{% endif %}",
            "{{ inputs.id|upper }}",
            "{{ inputs.id + 'x' }}",
            "{{ inputs.id[0] }}{{ inputs.id.name }}",
            "{{ inputs.id[0:3] }}",
            "{% for c in inputs.id %}{{ c }}{% endfor %}",
            "{% set x = inputs.id %}{% if x == 'a' %}y{% endif %}",
            "{% set x %}{{ inputs.id }}{% endset %}{% if x == 'a' %}y{% endif %}",
            "{% filter upper %}{{ inputs.id }}{% endfilter %}",
            "{% macro m(a) %}{% set a = a %}{% if a %}{% endif %}{% endmacro %}{{ m(inputs.id) }}",
            "{% macro m(a) %}{% include 'b' %}{% endmacro %}{{ m(inputs.id) }}{{ a|upper }}",
            "{% autoescape true %}{{ inputs.id }}{% endautoescape %}",
            "{{ inputs.id or 'none' }}",
            "{{ 1 if inputs.id else 2 }}",
            "{% from 'lib' import choose %}{{ choose(inputs.id) }}",
            "{% from 'lib' import choose as c %}{{ c(inputs.id) }}",
            "{% import 'lib' as lib %}{{ lib.choose(inputs.id) }}",
            "{% from 'lib' import show %}{{ show(inputs.id)|upper }}",
            "{% call(x) wrap() %}{{ x|upper }}{% endcall %}",
            "{% macro m(a) %}{% if a == 'x' %}{% endif %}{% endmacro %}{% set f = m %}{{ f(inputs.id) }}",
            "{{ [inputs.id] }}",
            "{{ {'a': inputs.id}|tojson }}",
            "{{ vars[inputs.id] }}",
            "{{ range(inputs.id) }}",
            "{% include inputs.id %}",
            "{% if inputs.id is string %}{% endif %}",
            "{% set x %}{% block b %}{{ inputs.id }}{% endblock %}{% endset %}{{ x|upper }}",
            "{% for k in [[inputs.id]] %}{% for i in k %}{{ i|lower }}{% endfor %}{% endfor %}",
        ] {
            assert_eq!(looked_at(text), ["id"], "{text}");
        }
    }

    #[test]
    fn a_list_that_is_printed_whole_or_sorted_is_looked_at() {
        assert_eq!(looked_at("{{ inputs.subnets }}"), ["a", "b"]);
        assert_eq!(looked_at("{{ inputs.subnets|sort|join(',') }}"), ["a", "b"]);
        assert_eq!(looked_at("{{ inputs.tags|tojson }}"), ["tag"]);
        assert_eq!(looked_at("{% for z in inputs.zones %}{{ z.id|upper }}{% endfor %}"), ["zone"]);
    }
}
