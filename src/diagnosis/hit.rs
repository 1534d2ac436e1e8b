//! Where a rule found its words, and what stands around them: a path, a place in a file, the name of a variable or target.

/// The line in which all words of a pattern stand, split at the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit<'a> {
    line: &'a str,
    before: &'a str,
    after: &'a str,
}

impl<'a> Hit<'a> {
    /// Finds the first line of `text` with all of `words` (lower case) in it, in any order and case.
    pub(super) fn find(text: &'a str, words: &[&str]) -> Option<Self> {
        let first = words.first()?;
        text.lines().find_map(|line| {
            let lower = line.to_ascii_lowercase(); // keeps the length, so that places in it are places in `line`
            let at = lower.find(first).filter(|_| words.iter().all(|word| lower.contains(word)))?;
            Some(Self { line, before: &line[..at], after: &line[at + first.len()..] })
        })
    }

    /// Says whether the line has `word` (lower case) in it.
    pub(super) fn says(&self, word: &str) -> bool {
        self.line.to_ascii_lowercase().contains(word)
    }

    /// Returns the path that the words are about: the nearest before them, else the first after.
    pub(super) fn path(&self) -> Option<&'a str> {
        let is_path = |token: &&str| token.contains(['/', '\\']) || token.trim_matches('.').contains('.');
        let path = |mut tokens: Vec<&'a str>, nearest_last: bool| {
            tokens.retain(|token| is_path(token));
            if nearest_last { tokens.pop() } else { tokens.first().copied() }
        };
        path(tokens(self.before), true).or_else(|| path(tokens(self.after), false))
    }

    /// Returns the first `file:line` of the line.
    pub(super) fn place(&self) -> Option<&'a str> {
        tokens(self.line).into_iter().find_map(|token| {
            let (file, rest) = token.split_once(':')?;
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let is_place = !file.is_empty() && digits > 0 && file.contains(['/', '.']);
            is_place.then(|| &token[..file.len() + 1 + digits])
        })
    }

    /// Returns the first name in capitals, as environment variables have.
    pub(super) fn variable(&self) -> Option<&'a str> {
        let is_variable = |token: &&str| {
            token.len() > 1
                && token.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
                && token.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        };
        tokens(self.line).into_iter().find(is_variable)
    }

    /// Returns the last `stack@environment/region` of the line: the other one, where ours is named first.
    pub(super) fn target(&self) -> Option<&'a str> {
        let is_target =
            |token: &&str| token.split_once('@').is_some_and(|(stack, region)| !stack.is_empty() && region.contains('/'));
        tokens(self.line).into_iter().rfind(is_target)
    }
}

/// Splits at spaces, but keeps what is in quotes together; quotes, brackets and punctuation around a token are dropped.
fn tokens(text: &str) -> Vec<&str> {
    const AROUND: [char; 14] = ['"', '\'', '`', '(', ')', '[', ']', '{', '}', ',', ';', ':', '“', '”'];
    let mut tokens = Vec::new();
    for (nth, part) in text.split('"').enumerate() {
        let quoted = nth % 2 == 1;
        if quoted {
            tokens.push(part);
        } else {
            tokens.extend(part.split_whitespace().map(|token| token.trim_matches(AROUND)));
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit<'a>(text: &'a str, word: &str) -> Hit<'a> {
        Hit::find(text, &[word]).expect("the word is there")
    }

    #[test]
    fn all_words_must_stand_in_one_line() {
        assert!(Hit::find("secret A\nis not set", &["secret", "is not set"]).is_none());
        assert!(Hit::find("x\nSecret A Is Not Set", &["secret", "is not set"]).is_some());
    }

    #[test]
    fn the_nearest_path_before_the_words_is_meant_and_quotes_keep_spaces() {
        assert_eq!(hit("renaming a/b.tmp to a/b: denied", "denied").path(), Some("a/b"));
        assert_eq!(hit("writing \"my files/x\": denied (os error 13)", "denied").path(), Some("my files/x"));
        assert_eq!(hit("denied at path \"/tmp/x\"", "denied").path(), Some("/tmp/x"));
        assert_eq!(hit("it failed. denied", "denied").path(), None);
    }

    #[test]
    fn a_place_is_a_file_and_a_line() {
        assert_eq!(hit("undefined value (in net/a.tf:12)", "undefined").place(), Some("net/a.tf:12"));
        assert_eq!(hit("net/a.tf:12:3: undefined value", "undefined").place(), Some("net/a.tf:12"));
        assert_eq!(hit("at 12:30 undefined value", "undefined").place(), None);
    }

    #[test]
    fn variables_and_targets_are_known_by_their_looks() {
        assert_eq!(hit("the secret `DB_PASSWORD` is not set", "is not set").variable(), Some("DB_PASSWORD"));
        assert_eq!(hit("a@prod/x: owned by b@prod/x", "owned").target(), Some("b@prod/x"));
        assert_eq!(hit("mail me@example.org, it is owned", "owned").target(), None);
    }
}
