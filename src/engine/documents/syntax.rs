//! Names and places in the syntax of a template.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{CallArg, Expr};

/// Line and column, from 1.
pub(super) type At = (u32, u32);

pub(super) fn argument<'e, 'a>(arg: &'e CallArg<'a>) -> &'e Expr<'a> {
    match arg {
        CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => expr,
    }
}

/// Returns `a.b.c` for a variable and the constant keys below it; a key with a dot in it ends the name one step earlier, so
/// that a name never says more than the template does.
pub(super) fn dotted(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Var(var) => Some(var.id.to_string()),
        Expr::GetAttr(it) => Some(format!("{}.{}", dotted(&it.expr)?, it.name)),
        Expr::GetItem(it) => {
            let key = it.subscript_expr.as_const()?;
            let key = key.as_str().map(str::to_string).or_else(|| key.as_usize().map(|index| index.to_string()))?;
            let base = dotted(&it.expr)?;
            Some(if key.contains('.') { base } else { format!("{base}.{key}") })
        }
        _ => None, // anything else is computed, and its parts are read one by one
    }
}

/// Returns where a dotted name begins; the span of one with many steps is that of the last.
pub(super) fn begin(expr: &Expr<'_>) -> At {
    match expr {
        Expr::GetAttr(it) => begin(&it.expr),
        Expr::GetItem(it) => begin(&it.expr),
        other => at(other.span()),
    }
}

pub(super) fn at(span: Span) -> At {
    (u32::from(span.start_line), u32::from(span.start_col) + 1)
}
