//! Keeping secrets in and hostile text inert. Knows the values it was given, in the forms in which tools print them, and
//! what a runner or a terminal would obey; not where a text comes from or goes to.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

/// Replaces known secret values and their encoded forms in any text that leaves.
#[derive(Clone, Default)]
pub struct Redactor {
    /// `None` where nothing is to be found. A text is gone through once, however many there are.
    search: Option<AhoCorasick>,
    /// In the order of the search's patterns.
    needles: Arc<[Needle]>,
}

/// What to look for, and whose it is.
struct Needle {
    name: Arc<str>,
    /// Found only where no letter or digit touches it.
    whole_word: bool,
}

/// Shorter values are part of too many harmless words.
const SHORT: usize = 4;

/// Shorter lines of a secret of several lines, such as `-----` or `}`, are not looked for alone.
const LINE_MIN: usize = 8;

impl Redactor {
    /// Takes each secret's name and value; values shorter than four characters are masked only as whole words.
    pub fn new(secrets: Vec<(Arc<str>, Arc<str>)>) -> Self {
        Self::with_written(secrets, &[])
    }

    /// Takes secrets, and beside them values that are masked only as a definition or a message writes them: there may be ten thousand.
    pub fn with_written(secrets: Vec<(Arc<str>, Arc<str>)>, written: &[(Arc<str>, Arc<str>)]) -> Self {
        let forms_of = |pairs: &[(Arc<str>, Arc<str>)], forms: fn(&str) -> Vec<String>| -> Vec<(String, Needle)> {
            let needles = pairs.iter().flat_map(|(name, value)| {
                let whole_word = value.chars().count() < SHORT;
                let forms = if whole_word { vec![value.to_string()] } else { forms(value) };
                forms.into_iter().map(move |form| (form, Needle { name: name.clone(), whole_word }))
            });
            needles.filter(|(form, _)| !form.is_empty()).collect()
        };
        let mut found = forms_of(&secrets, forms);
        found.extend(forms_of(written, written_forms));
        found.sort_by(|(a, first), (b, second)| (a, &first.name).cmp(&(b, &second.name)));
        found.dedup_by(|(a, _), (b, _)| a == b);
        let (forms, needles): (Vec<String>, Vec<Needle>) = found.into_iter().unzip();
        if forms.is_empty() {
            return Self::default();
        }
        // Quickly built: most of them look at a few short texts.
        let search = AhoCorasickBuilder::new().kind(Some(AhoCorasickKind::NoncontiguousNFA)).prefilter(false).build(forms);
        Self { search: Some(search.expect("what is hidden is far below two thousand million bytes")), needles: needles.into() }
    }

    /// Returns `text` with every known secret replaced by `‹secret NAME›`.
    pub fn redact(&self, text: &str) -> String {
        let mut redacted = String::with_capacity(text.len());
        let mut from = 0;
        for (range, name) in self.find(text) {
            redacted.push_str(&text[from..range.start]);
            redacted.push_str("‹secret ");
            redacted.push_str(name);
            redacted.push('›');
            from = range.end;
        }
        redacted.push_str(&text[from..]);
        redacted
    }

    /// Says whether `text` holds a known secret.
    pub fn finds_in(&self, text: &str) -> bool {
        self.matches(text).next().is_some()
    }

    /// Returns where secrets stand; overlapping ones are one, named by the first and longest of them.
    fn find<'a>(&'a self, text: &'a str) -> Vec<(Range<usize>, &'a str)> {
        let mut found: Vec<(Range<usize>, &str)> = self.matches(text).collect();
        found.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
        let mut merged: Vec<(Range<usize>, &str)> = Vec::new();
        for (range, name) in found {
            match merged.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => merged.push((range, name)),
            }
        }
        merged
    }

    fn matches<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Range<usize>, &'a str)> {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let found = self.search.iter().flat_map(move |search| search.find_overlapping_iter(text));
        found.filter_map(move |found| {
            let needle = &self.needles[found.pattern().as_usize()];
            let is_part = || text[..found.start()].ends_with(word) || text[found.end()..].starts_with(word);
            (!needle.whole_word || !is_part()).then(|| (found.range(), &*needle.name))
        })
    }
}

/// Never shows the secrets.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

/// Returns the forms in which `value` is written in a definition or a message: as it is, its long lines, JSON, and as we quote it.
fn written_forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_string()];
    forms.extend(value.lines().map(str::trim).filter(|line| line.len() >= LINE_MIN && *line != value).map(str::to_string));
    forms.extend([json(value), unquoted(&format!("{value:?}"))]);
    forms
}

fn json(value: &str) -> String {
    unquoted(&serde_json::Value::from(value).to_string())
}

/// Takes away the quotes at both ends, which every text in JSON has, and in our messages.
fn unquoted(text: &str) -> String {
    text[1..text.len() - 1].into()
}

/// Returns the forms in which `value` may be printed: as it is written, and percent, hex and base64.
fn forms(value: &str) -> Vec<String> {
    let mut forms = written_forms(value);
    forms.push(json(value).replace('/', "\\/"));
    let percent = |kept: &[u8], digits: &str| -> String { value.bytes().map(|byte| escaped(byte, kept, digits)).collect() };
    for kept in [&b"-_.~"[..], b"-_.!~*'()", b"-_.~/"] {
        forms.extend([percent(kept, UPPER), percent(kept, LOWER), percent(kept, UPPER).replace("%20", "+")]);
    }
    forms.extend([hex(value, LOWER), hex(value, UPPER)]);
    forms.extend((0..3).flat_map(|offset| base64(value.as_bytes(), offset)));
    forms
}

const LOWER: &str = "0123456789abcdef";
const UPPER: &str = "0123456789ABCDEF";

fn pair(byte: u8, digits: &str) -> [char; 2] {
    [byte >> 4, byte & 15].map(|nibble| char::from(digits.as_bytes()[usize::from(nibble)]))
}

fn escaped(byte: u8, kept: &[u8], digits: &str) -> String {
    if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
        return char::from(byte).to_string();
    }
    let [high, low] = pair(byte, digits);
    format!("%{high}{low}")
}

fn hex(value: &str, digits: &str) -> String {
    value.bytes().flat_map(|byte| pair(byte, digits)).collect()
}

/// Returns the characters that stand for `bytes` alone when `offset` other bytes (modulo three) come before them in a
/// base64 text, in both alphabets.
fn base64(bytes: &[u8], offset: usize) -> [String; 2] {
    let shifted: Vec<u8> = std::iter::repeat_n(0, offset).chain(bytes.iter().copied()).collect();
    let sextets = shifted.chunks(3).flat_map(|chunk| {
        let group = (0..3).fold(0u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        [18, 12, 6, 0].map(|shift| (group >> shift & 63) as u8)
    });
    // Sextets that hold bits of a neighbour are left out at both ends.
    let (first, whole) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
    let own: Vec<u8> = sextets.take(whole).skip(first).collect();
    [b"+/", b"-_"].map(|last| own.iter().map(|sextet| symbol(*sextet, last)).collect())
}

fn symbol(sextet: u8, last: &[u8; 2]) -> char {
    char::from(match sextet {
        0..=25 => b'A' + sextet,
        26..=51 => b'a' + sextet - 26,
        52..=61 => b'0' + sextet - 52,
        _ => last[usize::from(sextet & 1)],
    })
}

/// Returns `text` with control, bidirectional and zero-width characters shown as `U+XXXX` and a runner's commands (`::`, `##[`) broken, so that it can
/// neither command the runner nor the terminal. Line ends and tabs stay.
pub fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let body = line.trim_start();
        let (indent, body) = match body.strip_prefix("::") {
            Some(rest) => (format!("{}: :", &line[..line.len() - body.len()]), rest),
            None => (String::new(), line),
        };
        for c in indent.chars().chain(body.replace("##[", "## [").chars()) {
            match is_hostile(c) {
                true => write!(shown, "U+{:04X}", u32::from(c)).expect("a string takes any text"),
                false => shown.push(c),
            }
        }
    }
    shown
}

/// Characters that move a cursor, turn the reading direction, or are not seen at all.
fn is_hostile(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{FEFF}' => true,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{FDD0}'..='\u{FDEF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}' => true,
        c => c.is_control() || u32::from(c) & 0xFFFE == 0xFFFE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(value: &str, text: &str) -> String {
        Redactor::new(vec![("DB".into(), value.into())]).redact(text)
    }

    #[test]
    fn a_secret_is_replaced_by_its_name() {
        assert_eq!(redact("hunter2!", "password=hunter2! and hunter2!"), "password=‹secret DB› and ‹secret DB›");
    }

    #[test]
    fn encoded_forms_are_found_too() {
        for text in [
            r#"{"p":"hun\"ter\n2"}"#,
            "p=hun%22ter%0A2",
            "p=hun%22ter%0a2",
            "68756e227465720a32",
            "68756E227465720A32",
            "aHVuInRlcgoy",         // alone
            "eGh1biJ0ZXIKMnk=",     // x…y
            "eHhodW4idGVyCjJ5eQ==", // xx…yy
        ] {
            let told = redact("hun\"ter\n2", text);
            assert!(told.contains("‹secret DB›"), "{text}: {told}");
        }
    }

    #[test]
    fn the_url_alphabet_of_base64_is_found_too() {
        assert_eq!(redact("???>>>", "t=Pz8_Pj4-"), "t=‹secret DB›");
        assert_eq!(redact("???>>>", "t=Pz8/Pj4+"), "t=‹secret DB›");
    }

    #[test]
    fn a_long_line_of_a_secret_is_a_secret() {
        assert_eq!(redact("-----\nMIIEvQIBADAN\n-----", "  MIIEvQIBADAN"), "  ‹secret DB›");
    }

    #[test]
    fn a_short_secret_is_masked_only_as_a_word() {
        assert_eq!(redact("abc", "abc abcd x=abc."), "‹secret DB› abcd x=‹secret DB›.");
        assert_eq!(redact("", "nothing to hide"), "nothing to hide");
    }

    #[test]
    fn of_overlapping_secrets_nothing_is_left() {
        let redactor = Redactor::new(vec![("A".into(), "abcdef".into()), ("B".into(), "defghi".into())]);
        assert_eq!(redactor.redact("-abcdefghi-"), "-‹secret A›-");
        assert_eq!(format!("{redactor:?}"), "Redactor(…)");
    }

    #[test]
    fn ten_thousand_written_values_are_each_found_as_they_are_written() {
        let pairs: Vec<(Arc<str>, Arc<str>)> =
            (0..10_000).map(|n| (format!("K{n}").into(), format!("value \"{n:05}\"").into())).collect();
        let redactor = Redactor::with_written(vec![("DB".into(), "hunter2!".into())], &pairs);
        for n in (0..10_000).step_by(10) {
            assert_eq!(redactor.redact(&format!("a value \"{n:05}\"")), format!("a ‹secret K{n}›"));
            assert_eq!(redactor.redact(&format!("{:?}", format!("value \"{n:05}\"!"))), format!("\"‹secret K{n}›!\""));
        }
        assert_eq!(redactor.redact("68756e7465723221"), "‹secret DB›");
        assert!(redactor.finds_in("value \"09999\"") && !redactor.finds_in("value \"10000\""));
    }

    #[test]
    fn commands_of_a_runner_are_broken() {
        assert_eq!(inert("::error::x\n  ::set-env::\na::b ##[group]x"), ": :error::x\n  : :set-env::\na::b ## [group]x");
    }

    #[test]
    fn characters_that_deceive_are_shown() {
        assert_eq!(inert("a\u{1b}[2J\r\u{202e}b\u{200b}\tc\n"), "aU+001B[2JU+000DU+202EbU+200B\tc\n");
    }
}
