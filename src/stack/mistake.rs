//! What is wrong in a definition: where, the line itself, and what to do next. All mistakes of all files are told at once.

use super::Site;
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

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// Sorts by place and fills in each mistake's line from `text_of(path)`.
    pub fn quote<'a>(&mut self, text_of: impl Fn(&str) -> Option<&'a [u8]>) {
        for mistake in &mut self.0 {
            let Some(site) = &mistake.site else { continue };
            let Some(text) = text_of(&site.path) else { continue };
            let nth = (site.line as usize).saturating_sub(1);
            let line = text.split(|byte| *byte == b'\n').nth(nth);
            mistake.line = line.map(|line| String::from_utf8_lossy(line).trim_end().into());
        }
        self.0.sort_by(|a, b| a.site.cmp(&b.site).then_with(|| a.what.cmp(&b.what)));
        self.0.dedup();
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
            Some(site) => write!(f, "{}:{}:{}: {}", site.path, site.line, site.column, self.what)?,
            None => f.write_str(&self.what)?,
        }
        if let (Some(line), Some(site)) = (&self.line, &self.site) {
            let number = site.line.to_string();
            let pad = " ".repeat(number.len());
            let indent: String =
                line.chars().take(site.column.saturating_sub(1) as usize).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n {pad} |\n {number} | {line}\n {pad} | {indent}^")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Returns "did you mean …" when one of `known` is close to `word`.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = |candidate: &&str| distance(word, candidate) <= 1 + word.len() / 4;
    let best = known.into_iter().filter(near).min_by_key(|candidate| distance(word, candidate))?;
    Some(format!("did you mean {best:?}?"))
}

/// Counts the edits (insert, delete, change, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for j in 0..=b.len() {
        rows[0][j] = j;
    }
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
    fn a_mistake_shows_its_line_and_points_at_the_column() {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&Site::new("a.yaml", 2, 3), "unknown key \"wher\"").hint("did you mean \"where\"?"));
        mistakes.quote(|_| Some(b"one: 1\n  wher: all\n"));
        let told = mistakes.iter().next().map(ToString::to_string);
        let expected = "a.yaml:2:3: unknown key \"wher\"\n   |\n 2 |   wher: all\n   |   ^\n  hint: did you mean \"where\"?";
        assert_eq!(told.as_deref(), Some(expected));
    }
}
