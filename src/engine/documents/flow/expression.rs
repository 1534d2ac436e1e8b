//! What an expression hands on, and what it looks at.

use super::super::syntax::argument;
use super::flowing::Flowing;
use super::{CALLER, DEPTH_MAX, Flow};
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, Filter};
use serde_json::Value;

impl<'v> Flow<'v> {
    pub(super) fn value(&mut self, expr: &Expr<'_>) -> Flowing<'v> {
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
    pub(super) fn items(&mut self, mut value: Flowing<'v>) -> Flowing<'v> {
        value.parts.retain(|part| !part.is_object());
        self.below(value, None)
    }

    pub(super) fn boxed(&mut self, value: Flowing<'v>) -> Flowing<'v> {
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

    pub(super) fn call(&mut self, call: &Call<'_>) -> Flowing<'v> {
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
