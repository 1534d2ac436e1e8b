//! What is wrong in a definition: where, the line itself, and what to do next. All mistakes of all files are told at once.

use super::{Site, unbroken};
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
    pub line: Option<Arc<str>>,
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

/// How many characters of a line are quoted; a mistake further to the right is told without its line.
const QUOTED_MAX: usize = 160;

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

    /// Sorts by place and fills in each mistake's line from `text_of(path)`. Of one file the first 100
    /// stay; the last of them says that there are more.
    pub fn quote<'a>(&mut self, text_of: impl Fn(&str) -> Option<&'a [u8]>) {
        self.0.sort_by(|a, b| a.site.cmp(&b.site).then_with(|| a.what.cmp(&b.what)));
        self.0.dedup();
        let mut told = Vec::new();
        for of_file in self.0.chunk_by(|a, b| path_of(a) == path_of(b)) {
            let lines: Vec<&[u8]> = match path_of(&of_file[0]).and_then(&text_of) {
                Some(text) => text.split(|byte| *byte == b'\n').collect(),
                None => Vec::new(),
            };
            for mistake in of_file.iter().take(TOLD_MAX) {
                let line = mistake.site.as_ref().and_then(|site| {
                    let nth = (site.line as usize).checked_sub(1)?;
                    quotable(lines.get(nth)?, site.column)
                });
                told.push(Mistake { line: line.or(mistake.line.clone()), ..mistake.clone() });
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
            let indent: String =
                line.chars().take(site.column.saturating_sub(1) as usize).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n {pad} |\n {number} | {line}\n {pad} | {indent}^")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", unbroken(hint)),
            None => Ok(()),
        }
    }
}

fn path_of(mistake: &Mistake) -> Option<&str> {
    mistake.site.as_ref().map(|site| &*site.path)
}

/// Returns what is shown of a line: no longer than a reader wants, and nothing that could command a terminal.
fn quotable(line: &[u8], column: u32) -> Option<Arc<str>> {
    if column as usize > QUOTED_MAX {
        return None;
    }
    let line = String::from_utf8_lossy(&line[..line.len().min(QUOTED_MAX * 4)]);
    let line = line.strip_prefix('\u{FEFF}').unwrap_or(&line).trim_end();
    let inert = |c: char| if c.is_control() && c != '\t' { '\u{FFFD}' } else { c };
    if line.is_empty() {
        return None;
    }
    Some(line.chars().take(QUOTED_MAX).map(inert).collect::<String>().into())
}

/// Returns "did you mean …" when one of `known` is close to `word`.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let far = 1 + word.len() / 4;
    let distances = known.into_iter().filter(|candidate| candidate.len().abs_diff(word.len()) <= far);
    let distances = distances.map(|candidate| (distance(word, candidate), candidate));
    let (_, best) = distances.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance)?;
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
    fn a_quoted_line_can_neither_command_a_terminal_nor_fill_it() {
        assert_eq!(quotable(b"a: \x1b[31mred", 4).as_deref(), Some("a: \u{FFFD}[31mred"));
        assert_eq!(quotable(&[b'x'; 5000], 7).map(|line| line.len()), Some(QUOTED_MAX));
        assert_eq!(quotable(&[b'x'; 5000], 4000), None);
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
