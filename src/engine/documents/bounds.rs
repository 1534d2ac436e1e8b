//! How large a value of a template may be. A template that runs away ends as an error with its line, and never takes the machine's memory.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// Bytes of one value, and of one rendered document; above it a template is more likely to run away than to be right.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// Items of one list; as many as `range` gives.
const ITEMS_MAX: usize = 100_000;

/// Bytes of all values that one rendering makes.
const MADE_MAX: usize = 256 * 1024 * 1024;

/// Lists and maps, one inside the other.
const DEPTH_MAX: usize = 100;

/// Filters whose output may be larger than what they are given. None of them takes an undefined value.
pub(super) const GROWING: [&str; 23] = [
    "batch",
    "capitalize",
    "chain",
    "e",
    "escape",
    "format",
    "indent",
    "join",
    "lines",
    "list",
    "lower",
    "pprint",
    "replace",
    "safe",
    "slice",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "upper",
    "zip",
];

/// Those of them that hand on the items of a list as they are.
const KEEPING: [&str; 5] = ["batch", "chain", "list", "slice", "zip"];

/// The filters of the library, which ours ask once the sizes are known to be fine.
static LIBRARY: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment
});

/// The library's own multiplication.
static TIMES: LazyLock<Expression<'static, 'static>> =
    LazyLock::new(|| LIBRARY.compile_expression("left * right").expect("an expression that is well formed"));

/// What one rendering may still make.
#[derive(Clone, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Begins a rendering.
    pub(super) fn refill(&self) {
        self.0.store(MADE_MAX, Ordering::Relaxed);
    }

    /// Takes `bytes` for a value that was made.
    fn spend(&self, bytes: usize) -> Result<(), Error> {
        let left = self.0.load(Ordering::Relaxed).checked_sub(bytes);
        let text =
            || format!("the values that it makes are larger than {MADE_MAX} bytes in all; is there a loop without an end?");
        self.0.store(left.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, text()))?, Ordering::Relaxed);
        Ok(())
    }

    /// Refuses a value that is too large, by what it holds itself.
    fn sized(&self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::String | ValueKind::Bytes => {
                let bytes = value.as_bytes().map_or(0, <[u8]>::len);
                within(bytes, BYTES_MAX)?;
                self.spend(bytes)
            }
            ValueKind::Seq | ValueKind::Iterable => {
                within(value.len().unwrap_or_default(), ITEMS_MAX)?;
                self.spend(64)
            }
            _ => Ok(()), // numbers, flags, and maps, which are built or given
        }
    }

    /// Refuses what can't be printed: it is too large, too deep, or holds something undefined.
    pub(super) fn printed(&self, value: &Value) -> Result<(), Error> {
        let size = Size::of(value, Undefined::Refused)?;
        self.spend(size.bytes)
    }

    /// Puts the bounds into `environment`, under the names that [`guard`](super::guard) writes and the library's own.
    pub(super) fn install(&self, environment: &mut Environment<'_>) {
        let budget = self.clone();
        environment.add_filter("__printed", |value: Value| match value.kind() {
            ValueKind::Undefined => Ok(value), // the operator tells of it
            _ => Size::of(&value, Undefined::Refused).map(|_| value),
        });
        environment.add_filter("__sized", move |value: Value| budget.sized(&value).map(|()| value));
        environment.add_filter("__built", |value: Value| Size::of(&value, Undefined::Held).map(|_| value));
        let budget = self.clone();
        environment.add_filter("__times", move |left: Value, right: Value| budget.times(left, right));
        let budget = self.clone();
        environment.add_filter("__weighed", move |bytes: usize| budget.spend(bytes).map(|()| ""));
        for name in GROWING {
            let budget = self.clone();
            environment.add_filter(name, move |args: Rest<ValueOrKwargs>| budget.filter(name, &args.into_values()));
        }
    }

    fn times(&self, left: Value, right: Value) -> Result<Value, Error> {
        for (value, times) in [(&left, &right), (&right, &left)] {
            let times = times.as_usize().unwrap_or_default();
            match value.kind() {
                ValueKind::String => within(value.as_bytes().map_or(0, <[u8]>::len).saturating_mul(times), BYTES_MAX)?,
                ValueKind::Seq | ValueKind::Iterable => within(value.len().unwrap_or_default().saturating_mul(times), ITEMS_MAX)?,
                _ => {} // a number
            }
        }
        let product = TIMES.eval(minijinja::context! { left, right });
        let product =
            product.map_err(|error| Error::new(error.kind(), error.detail().unwrap_or("can't be multiplied").to_string()))?;
        self.sized(&product).map(|()| product)
    }

    fn filter(&self, name: &str, args: &[Value]) -> Result<Value, Error> {
        if let Some(value) = args.iter().find(|value| value.is_undefined()) {
            LIBRARY.empty_state().apply_filter("string", std::slice::from_ref(value))?; // fails, and knows the name
        }
        let mut given = Size::default();
        for value in args {
            let is_kept = KEEPING.contains(&name) && !value.is_kwargs();
            let size = Size::of(value, if is_kept { Undefined::Held } else { Undefined::Refused })?;
            given = Size { bytes: given.bytes + size.bytes, nodes: given.nodes + size.nodes, depth: given.depth.max(size.depth) };
        }
        within(expected(name, args, &given), BYTES_MAX)?;
        let made = LIBRARY.empty_state().apply_filter(name, args)?;
        self.sized(&made)?;
        if matches!(made.kind(), ValueKind::Seq | ValueKind::Iterable) {
            self.spend(made.len().unwrap_or_default() * size_of::<Value>())?;
        }
        Ok(made)
    }
}

fn within(size: usize, bound: usize) -> Result<(), Error> {
    let text = || {
        format!(
            "a value is larger than {BYTES_MAX} bytes or {ITEMS_MAX} items, the most that a template may hold; cut it into parts"
        )
    };
    if size > bound { Err(Error::new(ErrorKind::InvalidOperation, text())) } else { Ok(()) }
}

/// Returns about how many bytes a filter would make, for those that are told a number or repeat what they are given.
fn expected(name: &str, args: &[Value], given: &Size) -> usize {
    let number = |at: usize, key: &str| {
        let value = args.get(at).and_then(Value::as_usize);
        let named = || args.last().filter(|last| last.is_kwargs()).and_then(|last| last.get_attr(key).ok()?.as_usize());
        value.or_else(named).unwrap_or_default()
    };
    let text = |at: usize| {
        args.get(at).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_string)).unwrap_or_default()
    };
    match name {
        "batch" | "slice" => number(1, "count").saturating_mul(BYTES_MAX / ITEMS_MAX),
        "indent" => text(0).lines().count().saturating_add(1).saturating_mul(number(1, "width")),
        "tojson" => given.nodes.saturating_mul(number(1, "indent")).saturating_mul(given.depth + 1),
        "join" => given.nodes.saturating_mul(text(1).len().max(given_text(args, "d"))),
        "replace" => text(0).matches(&text(1)).count().saturating_mul(text(2).len()),
        "format" => widths(&text(0), &args[1..]),
        _ => 0, // about as large as what it is given, which is bounded
    }
}

fn given_text(args: &[Value], key: &str) -> usize {
    let named = args.last().filter(|last| last.is_kwargs()).and_then(|last| last.get_attr(key).ok());
    named.and_then(|value| value.as_str().map(str::len)).unwrap_or_default()
}

/// Adds up all numbers in a format, and those of its arguments where it takes a width from them.
fn widths(format: &str, args: &[Value]) -> usize {
    let numbers = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let written = numbers.map(|digits| digits.parse().unwrap_or(usize::MAX)).fold(0, usize::saturating_add);
    let stars = args.iter().filter(|_| format.contains('*')).filter_map(|value| i64::try_from(value.clone()).ok());
    stars.map(|number| usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX)).fold(written, usize::saturating_add)
}

/// What to do with an undefined value inside another.
#[derive(Clone, Copy, PartialEq)]
enum Undefined {
    Refused,
    /// It is told of when it is looked at.
    Held,
}

/// How large a value is with all that it holds, each as often as it is printed.
#[derive(Default)]
struct Size {
    bytes: usize,
    nodes: usize,
    depth: usize,
}

impl Size {
    /// Stops at the first bound, so that even a value which holds itself is measured.
    fn of(value: &Value, undefined: Undefined) -> Result<Self, Error> {
        let mut size = Self::default();
        size.add(value, undefined, 0)?;
        Ok(size)
    }

    fn add(&mut self, value: &Value, undefined: Undefined, depth: usize) -> Result<(), Error> {
        self.depth = self.depth.max(depth);
        self.nodes += 1;
        self.bytes += value.as_bytes().map_or(1, |bytes| bytes.len() + usize::from(depth > 0));
        within(self.bytes, BYTES_MAX)?;
        if depth > DEPTH_MAX {
            let text = format!("a value has more than {DEPTH_MAX} lists and maps one inside the other");
            return Err(Error::new(ErrorKind::InvalidOperation, text));
        }
        match value.kind() {
            ValueKind::Undefined if depth > 0 && undefined == Undefined::Refused => {
                Err(Error::new(ErrorKind::UndefinedError, "a list or a map holds an undefined value"))
            }
            ValueKind::Seq | ValueKind::Iterable => {
                within(value.len().unwrap_or_default(), ITEMS_MAX)?;
                value.try_iter()?.try_for_each(|item| self.add(&item, undefined, depth + 1))
            }
            ValueKind::Map => value.try_iter()?.try_for_each(|key| {
                self.add(&key, undefined, depth + 1)?;
                self.add(&value.get_item(&key)?, undefined, depth + 1)
            }),
            _ => Ok(()), // holds nothing else
        }
    }
}
