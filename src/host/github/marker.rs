//! The hidden first line by which we know a text of ours again: whose it is, of which commit, and which run wrote it.

use crate::host::{RunNumber, Turn};
use crate::review::CommitSha;
use std::fmt;

const BEGIN: &str = "<!-- isobar:v1 ";
const END: &str = " -->";

/// What stands in the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// What the text is, among ours: of lower-case letters, digits and `-`.
    pub(super) key: String,
    pub(super) head: CommitSha,
    pub(super) turn: Turn,
    /// Which part of how many.
    pub(super) part: (usize, usize),
}

impl Marker {
    /// Reads the first line of a text; `None` for a text that begins otherwise.
    pub(super) fn read(body: &str) -> Option<Self> {
        let line = body.lines().next()?.strip_prefix(BEGIN)?.strip_suffix(END)?;
        let mut fields = line.split(' ');
        let mut field = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=');
        let (key, head, seen_by, run, part) = (field("key")?, field("head")?, field("seen-by")?, field("run")?, field("part")?);
        let (part, parts) = part.split_once('/')?;
        Some(Self {
            key: key.to_string(),
            head: CommitSha(head.into()),
            turn: Turn { seen_by: number(seen_by)?, run: number(run)? },
            part: (part.parse().ok()?, parts.parse().ok()?),
        })
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, head, turn: Turn { seen_by, run }, part: (part, parts) } = self;
        let (seen_by, run) = (spelled(*seen_by), spelled(*run));
        write!(f, "{BEGIN}key={key} head={head} seen-by={seen_by} run={run} part={part}/{parts}{END}")
    }
}

/// A run's number in one word, such as `17.2`: the second attempt of run 17.
pub(super) fn spelled(RunNumber { id, attempt }: RunNumber) -> String {
    format!("{id}.{attempt}")
}

/// Reads such a word.
pub(super) fn number(word: &str) -> Option<RunNumber> {
    let (id, attempt) = word.split_once('.')?;
    Some(RunNumber { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written_and_only_at_the_beginning() {
        let turn = Turn { seen_by: RunNumber { id: 16, attempt: 1 }, run: RunNumber { id: 17, attempt: 2 } };
        let marker = Marker { key: "preview-1f".into(), head: CommitSha("4be1d70".into()), turn, part: (2, 3) };
        let body = format!("{marker}\n### 2 destroyed");
        assert_eq!(Marker::read(&body), Some(marker));
        for other in
            [format!(" {body}"), format!("> {body}"), format!("text\n{body}"), body.replace("part=2", "part=x"), String::new()]
        {
            assert_eq!(Marker::read(&other), None, "{other}");
        }
    }
}
