//! CODEOWNERS as GitHub reads it: whom a file names for a path. Pure; which file counts, and who is in a team, others find out.
//!
//! Source: "About code owners" in GitHub's documentation. The last line that matches a path counts; one without owners takes them away.
//! Patterns are those of `.gitignore`, without `!`, `[…]` and an escaped `#`; a line with one of these is skipped by GitHub, and here it
//! makes the whole file unreadable, as nobody can tell whose word it was meant to need.

use std::sync::Arc;

/// Bytes of a file that GitHub reads.
const BYTES_MAX: usize = 3 << 20;

/// The lines of one file, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeOwners {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    pattern: Pattern,
    owners: Arc<[Owner]>,
}

/// Whom a line names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// `@ada`, without the sign.
    User(Arc<str>),
    /// `@acme/platform`, without the sign.
    Team(Arc<str>),
    /// Nobody can tell whose account that is.
    Email(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// Parts between the slashes; `**` stands for any number of them.
    parts: Vec<Arc<str>>,
    /// Ends with a slash: what is below it matches, and it does not.
    is_folder: bool,
}

impl CodeOwners {
    /// Reads a whole file, or says what is wrong with its first bad line.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("it has more than {} MiB, and GitHub reads no more", BYTES_MAX >> 20));
        }
        let mut lines = Vec::new();
        for (nth, line) in text.lines().enumerate() {
            let line = line.split_once(" #").map_or(line, |(line, _)| line).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            lines.push(Line::read(line).map_err(|why| format!("line {}: {why}", nth + 1))?);
        }
        Ok(Self { lines })
    }

    /// Every team that it names.
    pub fn teams(&self) -> impl Iterator<Item = &Arc<str>> {
        let owners = self.lines.iter().flat_map(|line| line.owners.iter());
        owners.filter_map(|owner| if let Owner::Team(name) = owner { Some(name) } else { None })
    }

    /// Whom it names for a path from the repository's root; nobody, where no line matches or the last one that does names nobody.
    pub fn of(&self, path: &str) -> &[Owner] {
        self.lines.iter().rfind(|line| line.pattern.matches(path)).map_or(&[], |line| &line.owners)
    }
}

impl Line {
    fn read(line: &str) -> Result<Self, String> {
        let mut words = words(line).into_iter();
        let pattern = Pattern::read(&words.next().unwrap_or_default())?;
        let owners = words.map(|word| Owner::read(&word)).collect::<Result<Vec<Owner>, String>>()?;
        Ok(Self { pattern, owners: owners.into() })
    }
}

/// Splits at spaces, but for those behind a backslash.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), line.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            c => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

impl Owner {
    fn read(word: &str) -> Result<Self, String> {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        match word.strip_prefix('@') {
            Some(name) => match name.split_once('/') {
                Some((organisation, team)) if is_name(organisation) && is_name(team) => {
                    Ok(Self::Team(name.to_lowercase().into()))
                }
                None if is_name(name) => Ok(Self::User(name.into())),
                Some(_) | None => Err(format!("{word:?} is no owner")),
            },
            None if word.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.')) => {
                Ok(Self::Email(word.into()))
            }
            None => Err(format!("{word:?} is no owner")),
        }
    }
}

impl Pattern {
    fn read(text: &str) -> Result<Self, String> {
        if text.starts_with('!') || text.contains(['[', ']']) || text.starts_with("\\#") {
            return Err(format!("{text:?} is no pattern of CODEOWNERS"));
        }
        let is_folder = text.ends_with('/');
        let trimmed = text.trim_matches('/');
        // Without a slash before its end a pattern matches at any depth.
        let is_anywhere = !text.trim_end_matches('/').contains('/');
        let mut parts: Vec<Arc<str>> = trimmed.split('/').filter(|part| !part.is_empty()).map(Arc::from).collect();
        if is_anywhere {
            parts.insert(0, "**".into());
        }
        Ok(Self { parts, is_folder })
    }

    /// It names the path, or a folder that the path is below.
    fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        // How many names of the path the parts so far may stand for.
        let mut ends: Vec<bool> = std::iter::once(true).chain(names.iter().map(|_| false)).collect();
        for (nth, part) in self.parts.iter().enumerate() {
            let is_last = nth + 1 == self.parts.len();
            let mut next = vec![false; ends.len()];
            match &**part {
                "**" => {
                    let mut is_any = false;
                    for (at, end) in ends.iter().enumerate() {
                        next[at] = is_any || (*end && !is_last);
                        is_any |= end;
                    }
                }
                part => {
                    for (at, name) in names.iter().enumerate() {
                        next[at + 1] = ends[at] && match_name(part, name);
                    }
                }
            }
            ends = next;
        }
        let whole = names.len();
        // `docs/*` names the files of that folder, and none that is deeper.
        let is_flat = self.parts.last().is_some_and(|part| &**part == "*") && !self.is_folder;
        (0..=whole).any(|at| ends[at] && if is_flat { at == whole } else { !self.is_folder || at < whole })
    }
}

/// `*` stands for any signs of one name, `?` for one.
fn match_name(pattern: &str, name: &str) -> bool {
    let mut ends: Vec<bool> = std::iter::once(true).chain(name.chars().map(|_| false)).collect();
    for sign in pattern.chars() {
        let mut next = vec![false; ends.len()];
        match sign {
            '*' => {
                let mut is_any = false;
                for (at, end) in ends.iter().enumerate() {
                    is_any |= end;
                    next[at] = is_any;
                }
            }
            sign => {
                for (at, own) in name.chars().enumerate() {
                    next[at + 1] = ends[at] && (sign == '?' || sign == own);
                }
            }
        }
        ends = next;
    }
    ends.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, path: &str) -> String {
        let owners = CodeOwners::read(text).expect("a good file");
        let said = |owner: &Owner| match owner {
            Owner::User(name) => format!("@{name}"),
            Owner::Team(name) => format!("@{name}"),
            Owner::Email(address) => address.to_string(),
        };
        owners.of(path).iter().map(said).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_last_line_that_matches_counts_and_one_without_owners_takes_them_away() {
        let text = "# all\n* @ada @Acme/Platform # everybody else\n/network/ @net\n/network/edge/\n*.md docs@acme.example\n";
        assert_eq!(of(text, "apps/api/stack.yaml"), "@ada @acme/platform");
        assert_eq!(of(text, "network/stack.yaml"), "@net");
        assert_eq!(of(text, "network/edge/stack.yaml"), "");
        assert_eq!(of(text, "network/README.md"), "docs@acme.example");
        assert_eq!(of("", "stack.yaml"), "");
    }

    /// The examples of GitHub's page, and those of `.gitignore` that differ by a slash.
    #[test]
    fn patterns_are_those_of_gitignore() {
        for (pattern, yes, no) in [
            ("*", &["a", "a/b"][..], &[][..]),
            ("*.js", &["a.js", "x/a.js"], &["a.jsx"]),
            ("/build/logs/", &["build/logs/a", "build/logs/a/b"], &["x/build/logs/a", "build/logs"]),
            ("docs/*", &["docs/a.md"], &["docs/a/b.md", "x/docs/a.md"]),
            ("apps/", &["apps/a", "x/apps/a/b"], &["apps"]),
            ("/docs/", &["docs/a"], &["x/docs/a"]),
            ("/scripts/", &["scripts/a"], &["scripts"]),
            ("**/logs", &["logs/a", "build/logs", "a/b/logs/c"], &["logs.txt"]),
            ("/apps/github", &["apps/github", "apps/github/a"], &["apps/githubs", "x/apps/github"]),
            ("network", &["network", "network/stack.yaml", "x/network/a"], &["networks/a"]),
            ("/a/**/c", &["a/c", "a/b/c", "a/b/b/c/d"], &["a/b", "x/a/c"]),
            ("/a/**", &["a/b", "a/b/c"], &["b/a"]),
            ("sta?k.yaml", &["stack.yaml", "x/stack.yaml"], &["stck.yaml"]),
            ("/net*/stack.yaml", &["network/stack.yaml"], &["network/a/stack.yaml"]),
            ("with\\ space/", &["with space/a"], &["with/space/a"]),
        ] {
            let text = format!("{pattern} @ada\n");
            yes.iter().for_each(|path| assert_eq!(of(&text, path), "@ada", "{pattern} {path}"));
            no.iter().for_each(|path| assert_eq!(of(&text, path), "", "{pattern} {path}"));
        }
    }

    #[test]
    fn a_line_that_nobody_can_read_makes_the_file_unreadable() {
        for (text, why) in [
            ("* ada\n", "line 1: \"ada\" is no owner"),
            ("\n* @ada/\n", "line 2: \"@ada/\" is no owner"),
            ("!x @ada\n", "line 1: \"!x\" is no pattern of CODEOWNERS"),
            ("[ab].md @ada\n", "line 1: \"[ab].md\" is no pattern of CODEOWNERS"),
        ] {
            assert_eq!(CodeOwners::read(text), Err(why.into()));
        }
        assert!(CodeOwners::read(&"# x\n".repeat(1 << 20)).is_err_and(|why| why.contains("more than 3 MiB")));
    }

    #[test]
    fn many_stars_take_no_time() {
        assert_eq!(of(&format!("{}b @ada\n", "*a".repeat(500)), &"a".repeat(2_000)), "");
        assert_eq!(of(&format!("/{}b @ada\n", "**/a/".repeat(12)), &"a/".repeat(60)), "");
    }
}
