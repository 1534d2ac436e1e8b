//! What is wrong in a definition: where, the line itself, and what to do next. All mistakes of all files are told at once.

use super::{Quiet, Site, unbroken};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One mistake in a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where; `None` only for what no file says, such as a missing `isobar.yaml`.
    pub site: Option<Site>,
    /// What is wrong, lower case, no full stop.
    pub what: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The line at `site`, filled in by [`Mistakes::quote`].
    pub line: Option<Quote>,
}

/// A line as it is shown: cut around the place where it is long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub text: Arc<str>,
    /// The character of `text` that is meant, from 0; it may be the one behind the last.
    pub caret: usize,
}

impl Mistake {
    pub fn at(site: &Site, what: impl Into<String>) -> Self {
        Self { site: Some(site.clone()), what: what.into(), hint: None, line: None }
    }

    pub fn nowhere(what: impl Into<String>) -> Self {
        Self { site: None, what: what.into(), hint: None, line: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// How many mistakes of one file are told.
pub(super) const TOLD_MAX: usize = 100;

/// How many characters of a line are quoted.
const QUOTED_MAX: usize = 160;

/// Where a line is cut, so many characters before the place stay.
const BEFORE: usize = 60;

/// Every mistake found, in the order of file and line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub fn push(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    pub fn extend(&mut self, others: impl IntoIterator<Item = Mistake>) {
        self.0.extend(others);
    }

    /// Tells whether more than can be told were found since there were `before`: a reader stops there, as finding hints for
    /// the ten thousand mistakes of a hostile file takes long.
    pub(super) fn are_plenty_since(&self, before: usize) -> bool {
        self.0.len() > before + TOLD_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// Sorts by place and fills in each mistake's line from `text_of(path)`. Of one file 100 stay, what differs before what is alike;
    /// the last of them says that there are more.
    pub fn quote<'a>(&mut self, text_of: impl Fn(&str) -> Option<&'a [u8]>) {
        self.quote_masked(text_of, &Quiet::default(), &str::to_string);
    }

    /// Like [`Mistakes::quote`], but for the lines that are `quiet`; all that is told goes through `mask`, which takes out what nobody
    /// may see.
    pub fn quote_masked<'a>(&mut self, text_of: impl Fn(&str) -> Option<&'a [u8]>, quiet: &Quiet, mask: &dyn Fn(&str) -> String) {
        self.0.sort_by(|a, b| a.site.cmp(&b.site).then_with(|| a.what.cmp(&b.what)));
        self.0.dedup();
        let mut told = Vec::new();
        for of_file in self.0.chunk_by(|a, b| path_of(a) == path_of(b)) {
            let lines: Vec<&[u8]> = match path_of(&of_file[0]).and_then(&text_of) {
                Some(text) => text.split(|byte| *byte == b'\n').collect(),
                None => Vec::new(),
            };
            for mistake in foremost(of_file) {
                let line = mistake.site.as_ref().filter(|site| !quiet.hides(site)).and_then(|site| {
                    let nth = (site.line as usize).checked_sub(1)?;
                    quotable(lines.get(nth)?, site.column, mask)
                });
                let (what, hint) = (mask(&mistake.what), mistake.hint.as_deref().map(mask));
                told.push(Mistake { site: mistake.site.clone(), what, hint, line: line.or(mistake.line.clone()) });
            }
            if let Some(last) = told.last_mut().filter(|_| of_file.len() > TOLD_MAX) {
                let hint = last.hint.take().map(|hint| format!("{hint}; "));
                last.hint = Some(format!("{}this file has more mistakes than are told", hint.unwrap_or_default()));
            }
        }
        self.0 = told;
    }

    /// Returns `value` when nothing is wrong, else the mistakes.
    pub fn or<T>(self, value: T) -> Result<T, Mistakes> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl IntoIterator for Mistakes {
    type Item = Mistake;
    type IntoIter = std::vec::IntoIter<Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Some(site) => write!(f, "{site}:{}: {}", site.column, unbroken(&self.what))?,
            None => f.write_str(&unbroken(&self.what))?,
        }
        if let (Some(line), Some(site)) = (&self.line, &self.site) {
            let number = site.line.to_string();
            let pad = " ".repeat(number.len());
            let Quote { text, caret } = line;
            let blanks = text.chars().chain(std::iter::repeat(' ')).take(*caret);
            let indent: String = blanks.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n {pad} |\n {number} | {text}\n {pad} | {indent}^")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", unbroken(hint)),
            None => Ok(()),
        }
    }
}

/// Returns those mistakes of a file that are told, in its order: of what is alike, at one place or but for the names in it, the first come
/// before the others, so that many slips of one kind hide none of another.
fn foremost(of_file: &[Mistake]) -> Vec<&Mistake> {
    let (mut places, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut nth_alike = |mistake: &Mistake| {
        let of_place = places.entry(mistake.site.clone()).or_insert(0);
        let of_kind = kinds.entry(mistake.what.split('"').step_by(2).collect::<String>()).or_insert(0);
        let nth = (*of_place).max(*of_kind);
        *of_place += 1;
        *of_kind += 1;
        nth
    };
    let mut told: Vec<(usize, usize)> = of_file.iter().map(&mut nth_alike).zip(0..).collect();
    told.sort_unstable();
    told.truncate(TOLD_MAX);
    told.sort_unstable_by_key(|(_, at)| *at);
    told.into_iter().map(|(_, at)| &of_file[at]).collect()
}

fn path_of(mistake: &Mistake) -> Option<&str> {
    mistake.site.as_ref().map(|site| &*site.path)
}

/// Returns what is shown of a line: no longer than a reader wants, nothing that could command a terminal, and nothing masked.
fn quotable(line: &[u8], column: u32, mask: &dyn Fn(&str) -> String) -> Option<Quote> {
    let line = String::from_utf8_lossy(line);
    let line = line.strip_prefix('\u{FEFF}').unwrap_or(&line).trim_end();
    if line.is_empty() {
        return None;
    }
    let before = line.char_indices().nth(column.saturating_sub(1) as usize).map_or(line, |(at, _)| &line[..at]);
    let beyond = (column.saturating_sub(1) as usize).saturating_sub(line.chars().count());
    let (before, masked) = (mask(before), mask(line));
    // Where the place is in the midst of what is masked, it is where that begins.
    let caret = before.chars().zip(masked.chars()).take_while(|(one, other)| one == other).count();
    let inert = |c: char| if c.is_control() && c != '\t' { '\u{FFFD}' } else { c };
    let shown: Vec<char> = masked.chars().map(inert).collect();
    let (text, caret) = around(&shown, caret);
    Some(Quote { text: text.into(), caret: caret + beyond.min(BEFORE) })
}

/// Cuts a long line, so that the character at `caret` is in it; says where it is then.
fn around(line: &[char], caret: usize) -> (String, usize) {
    if line.len() <= QUOTED_MAX {
        return (line.iter().collect(), caret);
    }
    let from = if caret < QUOTED_MAX - 1 { 0 } else { (caret - BEFORE).min(line.len() - QUOTED_MAX) };
    let mut cut: Vec<char> = line[from..].iter().take(QUOTED_MAX).copied().collect();
    if from > 0 {
        cut[0] = CUT;
    }
    if from + QUOTED_MAX < line.len() {
        cut[QUOTED_MAX - 1] = CUT;
    }
    (cut.into_iter().collect(), caret - from)
}

/// Stands where a line was cut.
const CUT: char = '…';

/// Returns "did you mean …" when one of `known` is close to `word`: a slip leaves at least one letter where it was.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let far = 1 + word.len() / 4;
    let distances = known.into_iter().filter(|candidate| candidate.len().abs_diff(word.len()) <= far);
    let distances = distances.map(|candidate| (distance(word, candidate), candidate));
    let is_close = |(distance, candidate): &(usize, &str)| *distance <= far && *distance < candidate.len().min(word.len()).max(1);
    let (_, best) = distances.filter(is_close).min_by_key(|(distance, _)| *distance)?;
    Some(format!("did you mean {best:?}?"))
}

/// Counts the edits (insert, delete, change, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_guessed_and_another_word_is_not() {
        let known = ["prod/eu-west-1", "prod/us-east-1"];
        assert_eq!(did_you_mean("prod/eu-wst-1", known), Some("did you mean \"prod/eu-west-1\"?".into()));
        assert_eq!(did_you_mean("staging", known), None);
        assert_eq!(did_you_mean("w", ["n", "ww"]), None, "one letter is no likeness");
        assert_eq!(did_you_mean("vx", ["vz"]), Some("did you mean \"vz\"?".into()));
    }

    #[test]
    fn of_very_many_mistakes_in_a_file_the_first_are_told() {
        let mut mistakes = Mistakes::default();
        mistakes.extend((1..=150).map(|line| Mistake::at(&Site::new("a.yaml", line, 1), "wrong")));
        mistakes.push(Mistake::at(&Site::new("b.yaml", 1, 1), "wrong"));
        mistakes.quote(|_| None);
        assert_eq!(mistakes.len(), TOLD_MAX + 1);
        let last = mistakes.iter().nth(TOLD_MAX - 1).and_then(|mistake| mistake.hint.clone());
        assert_eq!(last.as_deref(), Some("this file has more mistakes than are told"));
    }

    #[test]
    fn what_is_alike_hides_nothing_that_differs() {
        let (path, mut mistakes): (Arc<str>, _) = ("a.yaml".into(), Mistakes::default());
        let at = |line| Site::new(path.clone(), line, 1);
        mistakes.extend((0..150).map(|n| Mistake::at(&at(3), format!("a@{n} and b@{n} are the same"))));
        mistakes.extend((5..200).map(|line| Mistake::at(&at(line), format!("unknown region \"{line}\""))));
        mistakes.push(Mistake::at(&at(4), "bad"));
        mistakes.push(Mistake::at(&at(250), "unknown key \"zzz\""));
        mistakes.quote(|_| None);
        let told: Vec<_> = mistakes.iter().map(|mistake| mistake.to_string()).collect();
        assert_eq!(told.len(), TOLD_MAX);
        assert!(told[0].starts_with("a.yaml:3:1: ") && told.iter().any(|told| told == "a.yaml:4:1: bad"), "{told:#?}");
        assert!(told[TOLD_MAX - 1].starts_with("a.yaml:250:1: unknown key \"zzz\"\n  hint: this file has more"), "{told:#?}");
    }

    fn quoted(line: &str, column: u32) -> (String, usize) {
        let quote = quotable(line.as_bytes(), column, &str::to_string).expect("there is something to quote");
        (quote.text.to_string(), quote.caret)
    }

    #[test]
    fn a_quoted_line_can_not_command_a_terminal() {
        assert_eq!(quoted("a: \x1b[31mred", 4), ("a: \u{FFFD}[31mred".into(), 3));
        assert_eq!(quotable(b" \t", 1, &str::to_string), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        for (marked, cut_before, cut_after) in [(7, false, true), (157, false, true), (158, false, true), (160, true, true)] {
            let line: String = (0..5000).map(|at| if at == marked { 'X' } else { 'x' }).collect();
            let (text, caret) = quoted(&line, marked as u32 + 1);
            assert_eq!(text.chars().count(), QUOTED_MAX);
            assert_eq!(text.chars().nth(caret), Some('X'), "{marked}");
            assert_eq!((text.starts_with('…'), text.ends_with('…')), (cut_before, cut_after), "{marked}");
        }
        let (text, caret) = quoted(&format!("{}X", "x".repeat(4999)), 5000);
        assert_eq!((text.chars().nth(caret), text.starts_with('…'), caret), (Some('X'), true, QUOTED_MAX - 1));
        assert_eq!(quoted(&"x".repeat(5000), 9000).1, QUOTED_MAX + BEFORE, "beyond the end it is behind the last");
        assert_eq!(quoted("abc", 4), ("abc".into(), 3));
    }

    #[test]
    fn what_is_masked_is_neither_told_nor_quoted_and_the_place_stays() {
        let mask = |text: &str| text.replace("hunter2", "‹pw›");
        let mut mistakes = Mistakes::default();
        for (column, what) in [(1, "hunter2 is wrong"), (7, "in the midst"), (15, "behind")] {
            mistakes.push(Mistake::at(&Site::new("a.yaml", 1, column), what).hint("not hunter2"));
        }
        mistakes.quote_masked(|_| Some(b"{pw: hunter2, x: 1}\n"), &Quiet::default(), &mask);
        let quotes: Vec<_> = mistakes.iter().filter_map(|mistake| mistake.line.clone()).collect();
        assert!(quotes.iter().all(|quote| &*quote.text == "{pw: ‹pw›, x: 1}"), "{quotes:?}");
        assert_eq!(quotes.iter().map(|quote| quote.caret).collect::<Vec<_>>(), [0, 5, 11]);
        assert!(mistakes.iter().all(|mistake| !mistake.to_string().contains("hunter2")));
    }

    #[test]
    fn a_mistake_shows_its_line_and_points_at_the_column() {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&Site::new("a.yaml", 2, 3), "unknown key \"wher\"").hint("did you mean \"where\"?"));
        mistakes.quote(|_| Some(b"one: 1\n  wher: all\n"));
        let told = mistakes.iter().next().map(ToString::to_string);
        let expected = "a.yaml:2:3: unknown key \"wher\"\n   |\n 2 |   wher: all\n   |   ^\n  hint: did you mean \"where\"?";
        assert_eq!(told.as_deref(), Some(expected));
    }
}
