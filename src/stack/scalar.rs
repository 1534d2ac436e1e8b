//! The type of a plain YAML scalar.

use super::Kind;

/// Gives a plain scalar its type. Only what can mean nothing else is typed: `NO`, `012345`, `1_000` and `0x1F` are texts.
pub(super) fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" => Kind::Null,
        "true" => Kind::Bool(true),
        "false" => Kind::Bool(false),
        _ => number(text).map_or_else(|| Kind::Text(text.into()), Kind::Number),
    }
}

/// Reads a decimal number as JSON writes it, with a `+` allowed; what would lose digits stays a text.
fn number(text: &str) -> Option<serde_json::Number> {
    let plus = text.strip_prefix('+').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let text = plus.unwrap_or(text);
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    let is_whole = !text.contains(['.', 'e', 'E']);
    (!is_whole || !number.is_f64()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mean_something_else_stays_a_text() {
        for text in ["NO", "yes", "on", "True", "012345", "00.5", "1_000", "0x1F", ".inf", "1.2.3", "10.1.0.0/16", "-", "1e999"] {
            assert_eq!(plain(text), Kind::Text(text.into()));
        }
        let long = "99999999999999999999"; // a float would lose digits
        assert_eq!(plain(long), Kind::Text(long.into()));
    }

    #[test]
    fn plain_numbers_and_words_are_typed() {
        let number = |text: &str| match plain(text) {
            Kind::Number(number) => number.to_string(),
            other => panic!("{text} is {other:?}"),
        };
        let numbers: Vec<_> = ["0", "-7", "+7", "1.5", "1e3", "111111111111"].map(number).to_vec();
        assert_eq!(numbers, ["0", "-7", "7", "1.5", "1000.0", "111111111111"]);
        assert_eq!(
            ["true", "false", "null", "~", ""].map(plain),
            [Kind::Bool(true), Kind::Bool(false), Kind::Null, Kind::Null, Kind::Null]
        );
    }
}
