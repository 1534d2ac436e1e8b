//! Untrusted text in Markdown: it can neither form markup, nor mention anybody, nor link to anything.

use super::super::words::one_line;
use std::fmt::Write as _;

/// Characters of a line that are shown at most, in a sentence and in a diff.
pub(super) const LINE_CHARS: usize = 500;

/// Stands invisibly between what would become a link or a mention.
const GAP: char = '\u{200b}';

/// Returns `text` as a code span, outside tables.
pub(super) fn code(text: &str) -> String {
    let text = unmentioned(&cut(&one_line(text)));
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// As [`code`], inside a table, where `|` would end the cell; a backslash before it would take the escape away.
pub(super) fn cell(text: &str) -> String {
    code(text).replace("\\|", "\\\u{200b}|").replace('|', "\\|")
}

/// Returns a sentence of ours or of somebody else: spans between paired backticks stay code, all other markup is text.
pub(super) fn prose(text: &str) -> String {
    let text = cut(&one_line(text));
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) || parts.iter().skip(1).step_by(2).any(|part| part.trim().is_empty()) {
        return plain(&text);
    }
    let part = |(nth, part): (usize, &&str)| if nth % 2 == 1 { code(part) } else { plain(part) };
    parts.iter().enumerate().map(part).collect()
}

/// Returns one line with everything escaped that Markdown, HTML or GitHub would make something of.
pub(super) fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    let mut before = None;
    for c in apart(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' => escaped.extend(['\\', c]),
            '#' | '-' | '+' | '=' if before.is_none() => escaped.extend(['\\', c]),
            '.' | ')' if escaped.chars().all(|c| c.is_ascii_digit()) && !escaped.is_empty() => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
        before = Some(c);
    }
    escaped
}

/// Puts a gap into mentions, references and addresses: `@name`, `#1`, `GH-1`, `https://`, `www.`, `a@b.c`.
fn apart(text: &str) -> String {
    let text = unmentioned(text);
    let mut parted = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let (before, rest) = (&text[..at], &text[at + c.len_utf8()..]);
        let named = rest.starts_with(char::is_alphanumeric);
        let word = || rest.split(|c: char| c.is_whitespace() || c == '@').next().unwrap_or_default();
        let after = |end: &str| {
            before.len() >= end.len() && before.as_bytes()[before.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
        };
        let gap_before = match c {
            '/' => before.ends_with(':'),
            '.' => after("www"),
            _ => c.is_ascii_digit() && after("gh-"),
        };
        if gap_before {
            parted.push(GAP);
        }
        parted.push(c);
        if named && (c == '#' || (c == '@' && word().contains('.'))) {
            parted.push(GAP);
        }
    }
    parted
}

/// Puts a gap into `@name` where it would be a mention: some readers see code as text.
fn unmentioned(text: &str) -> String {
    let mut parted = String::with_capacity(text.len());
    for (at, part) in text.split('@').enumerate() {
        if at > 0 {
            let inside = parted.ends_with(|c: char| c.is_ascii_alphanumeric()); // GitHub's words are of ASCII: `é@name` is a mention
            parted.push('@');
            if !inside && part.starts_with(char::is_alphanumeric) {
                parted.push(GAP);
            }
        }
        parted.push_str(part);
    }
    parted
}

/// Returns at most [`LINE_CHARS`] characters and says how many are left out.
pub(super) fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_CHARS) {
        None => line.to_owned(),
        Some((at, _)) => format!("{} … ({} more characters)", &line[..at], line[at..].chars().count()),
    }
}

/// Returns the number of backticks in the longest run.
pub(super) fn longest_run(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Returns a fence that no line of the text within can close.
pub(super) fn fence(longest_run: usize) -> String {
    "`".repeat((longest_run + 1).max(3))
}

/// Returns `lines`, inert already, as a fenced block.
pub(super) fn fenced(language: &str, lines: &[String]) -> String {
    let fence = fence(lines.iter().map(|line| longest_run(line)).max().unwrap_or(0));
    let mut block = format!("{fence}{language}\n");
    for line in lines {
        let _ = writeln!(block, "{}", cut(line)); // writing to a string does not fail
    }
    block + &fence + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_cannot_be_left() {
        assert_eq!(code("a.yaml"), "`a.yaml`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x"), "`` `x ``");
        assert_eq!(code("a|b\nc"), "`a|b c`");
        assert_eq!(cell("a|b\\|c"), "`a\\|b\\\u{200b}\\|c`");
        assert_eq!(code("@everyone"), "`@\u{200b}everyone`");
        assert_eq!(code("network@prod/eu"), "`network@prod/eu`");
    }

    #[test]
    fn a_sentence_keeps_its_code_and_nothing_else() {
        assert_eq!(prose("one owner of `network` is missing"), "one owner of `network` is missing");
        assert_eq!(prose("</details> <img src=x> **b** [l](u)"), "&lt;/details&gt; &lt;img src=x&gt; \\*\\*b\\*\\* \\[l\\](u)");
        assert_eq!(prose("a ` lone one"), "a \\` lone one");
        assert_eq!(prose("1. one"), "1\\. one");
        assert_eq!(prose("- x # y - z"), "\\- x # y - z");
    }

    #[test]
    fn mentions_references_and_addresses_are_broken() {
        let broken = "@\u{200b}everyone #\u{200b}1 o/r#\u{200b}2 GH-\u{200b}3 https:\u{200b}//x.io www\u{200b}.x.io";
        assert_eq!(prose("@everyone #1 o/r#2 GH-3 https://x.io www.x.io"), broken);
        assert_eq!(prose("a@b.c base@prod/eu-west-1"), "a@\u{200b}b.c base@prod/eu-west-1");
        assert_eq!(prose("é@everyone"), "é@\u{200b}everyone");
    }

    #[test]
    fn a_fence_is_longer_than_any_run_inside() {
        assert_eq!(fenced("", &["```".into(), "````x".into()]), "`````\n```\n````x\n`````\n");
    }

    #[test]
    fn a_long_line_says_what_is_left_out() {
        let cut = cut(&"é".repeat(LINE_CHARS + 7));
        assert!(cut.ends_with("é … (7 more characters)"), "{cut}");
    }
}
