//! The filters and tests that templates know. The library tells of an unknown one only when a rendering comes to it, which may be
//! in one region of many; with the lists it is known before.

use crate::stack::did_you_mean;

/// What a template may ask of the library by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// `value|name`
    Filter,
    /// `value is name`
    Test,
    /// `inputs.value.name()`: our values are plain and have none.
    Method,
}

pub(super) const FILTERS: [&str; 48] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

const TESTS: [&str; 42] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

impl Word {
    /// Says what is wrong with `name` and what to write instead, or nothing.
    pub(super) fn fault(self, name: &str) -> Option<(String, String)> {
        let (kind, known): (&str, &[&str]) = match self {
            Word::Filter => ("filter", &FILTERS),
            Word::Test => ("test", &TESTS),
            Word::Method => return Some(no_method(name)),
        };
        if known.contains(&name) {
            return None;
        }
        let hint = did_you_mean(name, known.iter().copied());
        let hint = hint.unwrap_or_else(|| format!("a template knows {}", known.join(", ")));
        Some((format!("unknown {kind} {name:?}"), hint))
    }
}

/// A call such as `inputs.name.upper()`, of which `name` is all before the brackets.
fn no_method(name: &str) -> (String, String) {
    let (value, method) = name.rsplit_once('.').unwrap_or(("", name));
    let hint = match FILTERS.contains(&method) {
        true => format!("write it as a filter: {value}|{method}"),
        false => "values are plain: texts, numbers, flags, lists and maps".into(),
    };
    (format!("{name} can't be called"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that the library's environment lists under `kind`, sorted.
    fn listed(kind: &str) -> Vec<String> {
        let told = format!("{:?}", minijinja::Environment::new());
        let (_, rest) = told.split_once(&format!("{kind}: [")).expect("the environment lists them");
        let (words, _) = rest.split_once(']').expect("the list ends");
        words.split(", ").map(|word| word.trim_matches('"').to_string()).collect()
    }

    #[test]
    fn the_lists_are_those_of_the_library() {
        assert_eq!(listed("filters"), FILTERS);
        assert_eq!(listed("tests"), TESTS);
    }

    #[test]
    fn a_slip_is_guessed_and_another_word_is_told_what_there_is() {
        assert_eq!(Word::Filter.fault("uper"), Some(("unknown filter \"uper\"".into(), "did you mean \"upper\"?".into())));
        assert_eq!(Word::Test.fault("definde"), Some(("unknown test \"definde\"".into(), "did you mean \"defined\"?".into())));
        let (_, hint) = Word::Filter.fault("to_nice_yaml").expect("there is none");
        assert!(hint.starts_with("a template knows abs, attr, "), "{hint}");
        assert_eq!((Word::Filter.fault("upper"), Word::Test.fault("defined")), (None, None));
    }

    #[test]
    fn a_method_is_told_as_the_filter_that_it_means() {
        let fault = Word::Method.fault("inputs.name.upper").expect("texts have no methods");
        assert_eq!(fault, ("inputs.name.upper can't be called".into(), "write it as a filter: inputs.name|upper".into()));
    }
}
