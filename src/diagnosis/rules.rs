//! The table of causes: what an engine or the store says, what it means, and what to do next. The first rule that finds its words wins, so a
//! narrower rule stands before a wider one.

use super::hit::Hit;

/// One cause that can be recognised.
pub struct Rule {
    /// Stable name, for journals and for folding.
    pub name: &'static str,
    /// One sentence for the docs.
    pub about: &'static str,
    /// Engines that say it; empty: any of them, and the store.
    pub(super) engines: &'static [&'static str],
    /// Patterns of which one must be found: words in lower case that stand in one line together.
    pub(super) says: &'static [&'static [&'static str]],
    pub(super) sentence: fn(&Hit<'_>) -> String,
    pub(super) next_step: fn(&Hit<'_>) -> String,
}

/// Every known cause.
pub const RULES: &[Rule] = &[
    Rule {
        name: "disk_full",
        about: "the disk or a quota is full",
        engines: &[],
        says: &[&["no space left on device"], &["disk quota exceeded"], &["storage full"]],
        sentence: |_| "no space is left on the disk".into(),
        next_step: |_| "free some space, then go on as Next says: where it stopped".into(),
    },
    Rule {
        name: "read_only",
        about: "the file system cannot be written",
        engines: &[],
        says: &[&["read-only file system"], &["read-only filesystem"]],
        sentence: |_| "the file system is read-only".into(),
        next_step: |_| "mount it writable, or choose another destination".into(),
    },
    Rule {
        name: "permission",
        about: "the user who runs us may not write or read a path",
        engines: &[],
        says: &[&["permission denied"], &["operation not permitted"]],
        sentence: |hit| about("permission denied", "on", hit.path()),
        next_step: |hit| format!("give the user who runs isobar access to {}", hit.path().unwrap_or("it")),
    },
    Rule {
        name: "held",
        about: "another run works on the same target",
        engines: &[],
        says: &[&["is held by run"]],
        sentence: |hit| about("another run works", "on", hit.target()),
        next_step: |_| "wait until it has ended; isobar status shows it".into(),
    },
    Rule {
        name: "fenced",
        about: "our lease was taken over by a later run",
        engines: &[],
        says: &[&["lease", "no longer ours"]],
        sentence: |hit| about("a later run took over", "", hit.target()),
        next_step: |_| "see isobar status; the later run decides, this one must not go on".into(),
    },
    Rule {
        name: "journal_broken",
        about: "the journal is not what we wrote",
        engines: &[],
        says: &[&["journal is broken"]],
        sentence: |hit| about("the journal is broken", "at", hit.path()),
        next_step: |_| "apply nothing; restore the journal from a copy, isobar doctor says more".into(),
    },
    Rule {
        name: "secret_missing",
        about: "an environment variable that holds a secret is not set",
        engines: &[],
        says: &[
            &["secret", "not set"],
            &["secret", "isn't set"],
            &["environment variable", "not set"],
            &["environment variable", "isn't set"],
            &["environment variable not found"],
        ],
        sentence: |hit| {
            let at = hit.place().map(|place| format!("{place}: ")).unwrap_or_default();
            match hit.variable() {
                Some(name) => format!("{at}the secret {name} is not set"),
                None => format!("{at}a secret is not set"),
            }
        },
        next_step: |hit| format!("set the environment variable {} and run again", hit.variable().unwrap_or("it is read from")),
    },
    Rule {
        name: "destination_taken",
        about: "two targets publish to one destination",
        engines: &["documents"],
        says: &[&["another target"], &["belongs to", "@"], &["is owned by", "@"], &["same destination"]],
        sentence: |hit| about("the destination is owned by another target", ":", hit.target()),
        next_step: |_| "give each target its own destination, or declare the move with `was:`".into(),
    },
    Rule {
        name: "unowned",
        about: "a document is in the way that we did not write",
        engines: &["documents"],
        says: &[
            &["does not own"],
            &["do not own"],
            &["don't own"],
            &["is not ours"],
            &["not written by us"],
            &["refuses to overwrite"],
            &["refusing to overwrite"],
            &["will not overwrite"],
            &["unowned"],
            &["unmanaged document"],
        ],
        sentence: |hit| about("a document that is not ours is in the way", ":", hit.path()),
        next_step: |hit| format!("move {} away, or choose another destination", hit.path().unwrap_or("it")),
    },
    Rule {
        name: "moved",
        about: "reality is no longer what the preview saw",
        engines: &[],
        says: &[
            &["reality moved"],
            &["since the preview"],
            &["since it was previewed"],
            &["no longer what the preview"],
            &["not what the preview saw"],
        ],
        sentence: |hit| about("reality moved since the preview", ":", hit.path()),
        next_step: |_| "run isobar apply again: it previews afresh, and asks for an approval only if more would change".into(),
    },
    Rule {
        name: "template",
        about: "a template is wrong, or uses a value that is not defined",
        engines: &["documents"],
        says: &[&["undefined"], &["unknown filter"], &["unknown function"], &["syntax error"], &["template not found"]],
        sentence: |hit| match (hit.says("undefined"), hit.place()) {
            (true, Some(place)) => format!("the template uses an undefined value at {place}"),
            (true, None) => "a template uses an undefined value".into(),
            (false, Some(place)) => format!("the template is wrong at {place}"),
            (false, None) => "a template is wrong".into(),
        },
        next_step: |hit| match hit.says("undefined") {
            true => "define it in inputs or vars, or give it a default; isobar check shows every such place".into(),
            false => "mend the template; isobar check shows every such place".into(),
        },
    },
];

impl Rule {
    pub(super) fn find<'a>(&self, text: &'a str) -> Option<Hit<'a>> {
        self.says.iter().find_map(|words| Hit::find(text, words))
    }
}

/// Adds what the sentence is about, where the text names it.
fn about(sentence: &str, joint: &str, what: Option<&str>) -> String {
    match (what, joint) {
        (None, _) => sentence.to_owned(),
        (Some(what), ":") => format!("{sentence}: {what}"),
        (Some(what), "") => format!("{sentence} {what}"),
        (Some(what), joint) => format!("{sentence} {joint} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::explain;

    /// What is said, the cause and its sentence; at least one line for every rule.
    const SAID: &[(&str, &str, &str)] = &[
        ("writing live/prod/a.yaml: No space left on device (os error 28)", "disk_full", "no space is left on the disk"),
        ("creating live: Read-only file system (os error 30)", "read_only", "the file system is read-only"),
        ("writing live/prod/a.yaml: Permission denied (os error 13)", "permission", "permission denied on live/prod/a.yaml"),
        ("Permission denied (os error 13)", "permission", "permission denied"),
        ("network@prod/eu is held by run 17 since 5", "held", "another run works on network@prod/eu"),
        ("the lease on network@prod/eu is no longer ours", "fenced", "a later run took over network@prod/eu"),
        (
            "the journal is broken at .isobar/journal.jsonl:7: the hash is wrong",
            "journal_broken",
            "the journal is broken at .isobar/journal.jsonl:7",
        ),
        ("the secret DB_PASSWORD is not set", "secret_missing", "the secret DB_PASSWORD is not set"),
        (
            "db/stack.yaml:4:13: the secret PW is not set in the environment",
            "secret_missing",
            "db/stack.yaml:4: the secret PW is not set",
        ),
        (
            "live/prod/eu belongs to network@prod/eu",
            "destination_taken",
            "the destination is owned by another target: network@prod/eu",
        ),
        ("live/prod/a.yaml exists and is not ours", "unowned", "a document that is not ours is in the way: live/prod/a.yaml"),
        ("live/a.yaml changed since the preview", "moved", "reality moved since the preview: live/a.yaml"),
        (
            "could not render: undefined value (in network/templates/a.yaml:3)",
            "template",
            "the template uses an undefined value at network/templates/a.yaml:3",
        ),
        ("syntax error: unexpected end (in net/a.yaml:9)", "template", "the template is wrong at net/a.yaml:9"),
    ];

    #[test]
    fn what_is_said_is_understood() {
        for (text, name, sentence) in SAID {
            let cause = explain("documents", text);
            assert_eq!((cause.name, &*cause.sentence), (*name, *sentence), "{text}");
            assert!(!cause.next_step.is_empty() && !cause.next_step.ends_with('.'), "{text}");
        }
    }

    #[test]
    fn every_rule_is_described_and_has_a_line_here() {
        for rule in RULES {
            assert!(!rule.about.is_empty() && !rule.about.ends_with('.'), "{}", rule.name);
            assert!(SAID.iter().any(|(_, name, _)| *name == rule.name), "{}", rule.name);
            assert_eq!(RULES.iter().filter(|other| other.name == rule.name).count(), 1, "{}", rule.name);
        }
    }

    #[test]
    fn words_to_look_for_are_in_lower_case() {
        for words in RULES.iter().flat_map(|rule| rule.says).copied().flatten() {
            assert_eq!(*words, words.to_ascii_lowercase());
        }
    }

    #[test]
    fn another_engines_words_are_not_read_as_ours() {
        assert_eq!(explain("tofu", "undefined value (in a.tf:3)").name, "unknown");
        assert_eq!(explain("tofu", "x: Permission denied (os error 13)").name, "permission");
    }

    #[test]
    fn the_line_that_says_it_need_not_be_the_first() {
        let cause = explain("documents", "publishing failed\n\ncaused by: writing live/x: Permission denied (os error 13)\n");
        assert_eq!(&*cause.sentence, "permission denied on live/x");
    }
}
