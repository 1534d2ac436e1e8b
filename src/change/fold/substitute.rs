//! A region's own values, found in a text as whole tokens. Knows nothing of changes.
//!
//! A value is found only where it is not part of a longer word or number: `10.2.0.0/16` is not in `110.2.0.0/160`, nor `eu` in
//! `neutral`. The longest value wins. `true`, `null` and their like are never values; values of one or two characters, and numbers
//! of up to three digits, count only in quotes, because they turn up by chance. The region's name also counts when one letter
//! follows, which is how zones are called: `eu-west-1a` is `{region.name}a`.

use std::sync::Arc;

/// Characters that a value must have to count outside quotes.
const VALUE_MIN: usize = 3;
/// Digits that a whole number must have to count outside quotes.
const NUMBER_MIN: usize = 4;
/// Words that mean too much to be a region's own.
const NEVER: [&str; 8] = ["true", "false", "null", "none", "yes", "no", "on", "off"];
/// The name whose value may be followed by the letter of a zone.
const REGION_NAME: &str = "{region.name}";

/// The values of one target, ready to be looked for.
pub(super) struct Values<'a> {
    /// Sorted by first byte, then the longest first, then by name.
    entries: Vec<Entry<'a>>,
    /// For each first byte, where its entries begin and end.
    ranges: Vec<(u16, u16)>,
}

struct Entry<'a> {
    value: &'a str,
    /// Where its name stands among the names given.
    name: usize,
    quoted: bool,
    zoned: bool,
}

/// A part of a text: as it is, or the value of a name.
pub(super) enum Piece<'t> {
    Text(&'t str),
    Name(usize),
}

impl<'a> Values<'a> {
    pub(super) fn new(names: &'a [(Arc<str>, Arc<str>)]) -> Self {
        let entry = |(name, (label, value)): (usize, &'a (Arc<str>, Arc<str>))| {
            let zoned = **label == *REGION_NAME && value.ends_with(|c: char| c.is_ascii_digit());
            Entry { value, name, quoted: needs_quotes(value), zoned }
        };
        let counts = |entry: &Entry<'_>| !entry.value.trim().is_empty() && !NEVER.contains(&entry.value);
        let mut entries: Vec<_> = names.iter().enumerate().map(entry).filter(counts).take(usize::from(u16::MAX)).collect();
        let order = |entry: &Entry<'a>| (entry.value.as_bytes()[0], usize::MAX - entry.value.len(), &names[entry.name].0);
        entries.sort_by(|a, b| order(a).cmp(&order(b)));

        let mut ranges = vec![(0, 0); 256];
        for (at, entry) in (0u16..).zip(&entries) {
            let range = &mut ranges[usize::from(entry.value.as_bytes()[0])];
            *range = if range.1 == 0 { (at, at + 1) } else { (range.0, at + 1) };
        }
        Self { entries, ranges }
    }

    /// Gives `text` piece by piece; two texts never follow one another.
    pub(super) fn split<'t>(&self, text: &'t str, mut each: impl FnMut(Piece<'t>)) {
        let bytes = text.as_bytes();
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            let Some(entry) = self.at(bytes, at) else {
                at += 1;
                continue;
            };
            if from < at {
                each(Piece::Text(&text[from..at]));
            }
            each(Piece::Name(entry.name));
            at += entry.value.len();
            from = at;
        }
        if from < bytes.len() {
            each(Piece::Text(&text[from..]));
        }
    }

    /// Returns the longest value that stands at `at` as a whole token.
    fn at(&self, bytes: &[u8], at: usize) -> Option<&Entry<'a>> {
        let (from, to) = self.ranges[usize::from(bytes[at])];
        let entries = &self.entries[usize::from(from)..usize::from(to)];
        entries.iter().find(|entry| bytes[at..].starts_with(entry.value.as_bytes()) && entry.is_whole(bytes, at))
    }
}

impl Entry<'_> {
    fn is_whole(&self, bytes: &[u8], at: usize) -> bool {
        let end = at + self.value.len();
        if self.quoted {
            let quote = at.checked_sub(1).and_then(|before| bytes.get(before));
            return matches!(quote, Some(b'"' | b'\'' | b'`')) && quote == bytes.get(end);
        }
        let zone = self.zoned && bytes.get(end).is_some_and(u8::is_ascii_lowercase) && !joins(bytes, end, end + 1);
        !(at > 0 && joins(bytes, at - 1, at)) && (zone || !joins(bytes, end - 1, end))
    }
}

/// The bytes at `left` and `right`, which is the next one, belong to one word or number.
fn joins(bytes: &[u8], left: usize, right: usize) -> bool {
    let word = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii());
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let dot = |at: usize| bytes.get(at) == Some(&b'.');
    (word(left) && word(right))
        || (digit(left) && dot(right) && digit(right + 1))
        || (left > 0 && digit(left - 1) && dot(left) && digit(right))
}

fn needs_quotes(value: &str) -> bool {
    let number = value.bytes().all(|byte| byte.is_ascii_digit());
    value.chars().count() < if number { NUMBER_MIN } else { VALUE_MIN }
}

/// Returns `text` with the values replaced by their names.
pub fn generalise(text: &str, names: &[(Arc<str>, Arc<str>)]) -> String {
    let mut general = String::with_capacity(text.len());
    Values::new(names).split(text, |piece| match piece {
        Piece::Text(text) => general.push_str(text),
        Piece::Name(name) => general.push_str(&names[name].0),
    });
    general
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[(&str, &str)], text: &str, expected: &str) {
        let names: Vec<_> = names.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        assert_eq!(generalise(text, &names), expected);
    }

    #[test]
    fn only_whole_tokens_are_values() {
        let names = [("{cidr}", "10.2.0.0/16"), ("{ip}", "10.2.0.1"), ("{env}", "prod")];
        check(&names, "cidr: 10.2.0.0/16, not 110.2.0.0/160", "cidr: {cidr}, not 110.2.0.0/160");
        check(&names, "10.2.0.1 10.2.0.1.7 4.10.2.0.1 10.2.0.1.", "{ip} 10.2.0.1.7 4.10.2.0.1 {ip}.");
        check(&names, "prod prods reprod prod-a a_prod éprod", "{env} prods reprod {env}-a a_prod éprod");
    }

    #[test]
    fn the_longest_value_wins_and_equal_values_go_to_the_first_name() {
        check(&[("{name}", "eu-west-1"), ("{id}", "prod/eu-west-1")], "in prod/eu-west-1", "in {id}");
        check(&[("{b}", "same"), ("{a}", "same")], "same", "{a}");
    }

    #[test]
    fn small_values_count_only_in_quotes_and_plain_words_never() {
        let names = [("{weight}", "5"), ("{zone}", "eu"), ("{on}", "true"), ("{account}", "1111")];
        check(
            &names,
            "5 \"5\" '5' \"5' eu \"eu\" true \"true\" 1111",
            "5 \"{weight}\" '{weight}' \"5' eu \"{zone}\" true \"true\" {account}",
        );
    }

    #[test]
    fn a_zone_is_its_region_and_a_letter() {
        let names = [("{region.name}", "eu-west-1")];
        check(&names, "eu-west-1a, eu-west-1ab, eu-west-12", "{region.name}a, eu-west-1ab, eu-west-12");
    }
}
