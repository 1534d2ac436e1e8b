//! What a path of ours may look like: lexical rules only, the disk is not asked.

/// The name of the ownership manifest in a destination.
pub(super) const MANIFEST: &str = ".isobar-manifest.json";

/// How the names of unfinished files begin.
pub(super) const TEMPORARY: &str = ".isobar-tmp-";

/// The directory of a journal kept in a file; never published into.
const JOURNAL: &str = ".isobar";

/// Bytes in one part of a path; what the common file systems allow, less the prefix of unfinished files.
const PART_MAX: usize = 200;

/// Joins `path` to directory `base` and takes out `.`, `..` and doubled slashes; `None` when it leaves the root.
pub(super) fn normalise(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Says why `path`, already normalised, can't be written to, or nothing.
pub(super) fn fault(path: &str) -> Option<String> {
    path.split('/').find_map(part_fault)
}

fn part_fault(part: &str) -> Option<String> {
    let lower = part.to_ascii_lowercase(); // .GIT is .git on some disks
    if part.is_empty() || part == "." || part == ".." {
        return Some("a part of the path is empty, \".\" or \"..\"".into());
    }
    if part.len() > PART_MAX {
        return Some(format!("a part of the path has {} bytes, at most {PART_MAX} are allowed", part.len()));
    }
    if part.contains(|c: char| c.is_control() || c == '\\' || crate::stack::is_mark_character(c)) {
        return Some(format!("{part:?} holds a backslash or a control character"));
    }
    if lower == ".git" || lower == JOURNAL {
        return Some(format!("{part:?} belongs to {}", if lower == JOURNAL { "the journal" } else { "git" }));
    }
    if lower == MANIFEST || lower.starts_with(TEMPORARY) {
        return Some(format!("{part:?} is a name that isobar keeps for itself"));
    }
    None
}

/// Returns the directory of `path`, empty for the top, and its last part.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Returns every directory above `path`, the nearest first, without the top.
pub(super) fn parents(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(dir, _)| dir.rsplit_once('/')).map(|(dir, _)| dir)
}

/// Says whether `path` is `dir` or below it.
pub(super) fn is_within(path: &str, dir: &str) -> bool {
    dir.is_empty() || path == dir || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_made_plain_and_may_not_leave_the_root() {
        assert_eq!(normalise("network", "./templates//x"), Some("network/templates/x".into()));
        assert_eq!(normalise("apps/api", "../shared"), Some("apps/shared".into()));
        assert_eq!(normalise("network", "../../etc"), None);
        assert_eq!(normalise("", "./"), Some("".into()));
    }

    #[test]
    fn what_belongs_to_others_is_not_written_to() {
        for path in ["../x", "a//b", ".git/hooks/x", "a/.GIT/x", ".isobar/log", "a\\b", "a\nb", "x/.isobar-manifest.json"] {
            assert!(fault(path).is_some(), "{path}");
        }
        assert_eq!(fault("live/prod/eu-west-1/.gitignore"), None);
    }

    #[test]
    fn the_directories_above_a_path_are_listed_upwards() {
        assert_eq!(parents("a/b/c.yaml").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(parents("c.yaml").count(), 0);
        assert!(is_within("a/b", "a") && !is_within("ab", "a"));
    }
}
