//! What `journal:` may say: the one place that reads it. Lexical, as everything here.

/// Returns the directory that `text` names, from the root of the repository; else what is wrong with it, and a hint.
pub fn journal_dir(text: &str) -> Result<String, (String, &'static str)> {
    const HINT: &str = "journal: file:.isobar/journal (git and object stores are planned)";
    let refuse = |why: &str| Err((format!("journal {text:?} {why}"), HINT));
    let Some(dir) = text.strip_prefix("file:") else {
        return refuse("is no directory, and this version keeps its journal in a directory only");
    };
    if dir.starts_with('/') {
        return refuse("is absolute, and a journal's directory is named from the root of the repository");
    }
    let parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return refuse("holds \"..\", and a journal stays inside the repository");
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return refuse("lies in .git, which belongs to git");
    }
    if parts.is_empty() {
        return refuse("is the repository itself");
    }
    if dir.contains(|c: char| c.is_control() || c == '\\') {
        return refuse("holds a backslash or a control character");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_a_directory_inside_the_repository() {
        assert_eq!(journal_dir("file:./.isobar//journal/"), Ok(".isobar/journal".into()));
        for (text, why) in [
            ("s3:foo", "is no directory"),
            ("git", "is no directory"),
            ("file:../../j", "stays inside the repository"),
            ("file:a/../b", "stays inside the repository"),
            ("file:/etc/foo", "is absolute"),
            ("file:.git/x", "belongs to git"),
            ("file:a/.GIT/x", "belongs to git"),
            ("file:./", "is the repository itself"),
            ("file:a\\b", "holds a backslash"),
        ] {
            assert!(journal_dir(text).is_err_and(|(what, _)| what.contains(why)), "{text}");
        }
    }
}
