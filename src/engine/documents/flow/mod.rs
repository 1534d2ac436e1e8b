//! Whether a template only prints a value, or looks at it. What stands in for an unknown output or a secret may be printed
//! and joined to other text, because putting the value in later gives the same text; a condition, a comparison, a filter
//! or a loop over it would be a guess.
//!
//! The answer is worked out from the syntax, without running the template: equality of a text and a mark asks no one.
//! Names are followed wherever they are assigned, in any order and in any branch, so the answer errs on the side of
//! "looked at". Values that hold no mark play no part.

mod expression;
mod flowing;

use super::values::marks_in;
use flowing::{Flowing, Marks};
use minijinja::machinery::ast::{Expr, Macro, Stmt};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
}

fn scoped(name: &str, arg: &str) -> String {
    format!("{name}({arg})")
}

/// The name under which a macro calls the block it was called with.
const CALLER: &str = "caller";

#[cfg(test)]
mod tests;
