//! What becomes of our texts on a pull request: a decision over those that are there. One stays of each part, the oldest; the newest
//! run's words stand in it.

use super::marker::Marker;
use crate::host::Comment;

/// A text of ours that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) id: u64,
    /// The name under which GraphQL knows it.
    pub(super) node: String,
    pub(super) marker: Marker,
    pub(super) body: String,
}

/// One request that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Edit { id: u64, node: String, body: String },
    Create { part: usize, body: String },
    Remove { id: u64 },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// In this order.
    pub(super) steps: Vec<Step>,
    /// Something newer was told: ours is not told, and what we made beside it is taken away.
    pub(super) is_overtaken: bool,
}

/// Returns what is to be done so that of each part one text stays, the oldest, with the latest turn's words.
pub(super) fn plan(found: &[Found], comment: &Comment) -> Plan {
    let mut own: Vec<&Found> = found.iter().filter(|one| one.marker.key == comment.key).collect();
    own.sort_by_key(|one| one.id);
    if own.iter().any(|one| one.marker.turn > comment.turn) {
        let has_older = |one: &Found| own.iter().any(|other| other.id < one.id && other.marker.part.0 == one.marker.part.0);
        let ours = own.iter().filter(|one| one.marker.turn == comment.turn && has_older(one));
        return Plan { steps: ours.map(|one| Step::Remove { id: one.id }).collect(), is_overtaken: true };
    }
    let (mut steps, mut surplus) = (Vec::new(), Vec::new());
    for (at, text) in comment.parts.iter().enumerate() {
        let part = at + 1;
        let body = body_of(comment, part, text);
        let mut there = own.iter().filter(|one| one.marker.part.0 == part);
        match there.next() {
            None => steps.push(Step::Create { part, body }),
            Some(one) if one.body == body => {}
            Some(one) => steps.push(Step::Edit { id: one.id, node: one.node.clone(), body }),
        }
        surplus.extend(there.map(|one| Step::Remove { id: one.id }));
    }
    let gone = own.iter().filter(|one| !(1..=comment.parts.len()).contains(&one.marker.part.0));
    surplus.extend(gone.map(|one| Step::Remove { id: one.id }));
    steps.extend(surplus);
    Plan { steps, is_overtaken: false }
}

/// The text of one part, with its marker.
pub(super) fn body_of(comment: &Comment, part: usize, text: &str) -> String {
    let marker =
        Marker { key: comment.key.clone(), head: comment.head.clone(), turn: comment.turn, part: (part, comment.parts.len()) };
    format!("{marker}\n{text}")
}

/// The latest turn's words of all that a text ever said, where they are no longer what it says.
pub(super) fn written_over<'a>(body: &str, edits: impl IntoIterator<Item = &'a str>, key: &str) -> Option<&'a str> {
    let turn = |text: &str| Marker::read(text).filter(|marker| marker.key == key).map(|marker| marker.turn);
    let newest = edits.into_iter().filter_map(|text| Some((turn(text)?, text))).max_by_key(|(turn, _)| *turn)?;
    (Some(newest.0) > turn(body)).then_some(newest.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::RunNumber;
    use crate::review::CommitSha;

    fn comment(run: u64, parts: &[&str]) -> Comment {
        Comment {
            key: "preview".into(),
            head: CommitSha("4be1d70".into()),
            turn: RunNumber { id: run, attempt: 1 }.into(),
            parts: parts.iter().map(ToString::to_string).collect(),
        }
    }

    fn found(id: u64, of: &Comment, part: usize) -> Found {
        let body = body_of(of, part, &of.parts[part - 1]);
        Found { id, node: format!("n{id}"), marker: Marker::read(&body).expect("we wrote it"), body }
    }

    fn said(found: &[Found], comment: &Comment) -> String {
        let say = |step: &Step| match step {
            Step::Edit { id, .. } => format!("edit {id}"),
            Step::Create { part, .. } => format!("create part {part}"),
            Step::Remove { id } => format!("remove {id}"),
        };
        let plan = plan(found, comment);
        let steps: Vec<String> = plan.steps.iter().map(say).collect();
        format!("{}{}", if plan.is_overtaken { "overtaken: " } else { "" }, steps.join(", "))
    }

    #[test]
    fn one_text_stays_and_says_what_the_newest_run_says() {
        let (old, new) = (comment(1, &["a"]), comment(2, &["b"]));
        let other = Comment { key: "other".into(), ..comment(9, &["x"]) };
        for (there, expected) in [
            (vec![], "create part 1"),
            (vec![found(7, &old, 1)], "edit 7"),
            (vec![found(7, &new, 1)], ""),
            (vec![found(9, &new, 1), found(7, &old, 1)], "edit 7, remove 9"),
            (vec![found(7, &comment(3, &["c"]), 1)], "overtaken: "),
            (vec![found(7, &comment(3, &["c"]), 1), found(9, &new, 1)], "overtaken: remove 9"),
            (vec![found(7, &new, 1), found(9, &comment(3, &["c"]), 1)], "overtaken: "),
            (vec![found(7, &other, 1)], "create part 1"),
        ] {
            assert_eq!(said(&there, &new), expected);
        }
    }

    #[test]
    fn parts_come_and_go_with_the_text() {
        let (one, three) = (comment(1, &["a"]), comment(2, &["a", "b", "c"]));
        assert_eq!(said(&[found(7, &one, 1)], &three), "edit 7, create part 2, create part 3");
        let there = [found(7, &three, 1), found(8, &three, 2), found(9, &three, 3)];
        assert_eq!(said(&there, &comment(3, &["a"])), "edit 7, remove 8, remove 9");
    }

    #[test]
    fn what_was_written_over_is_known_by_its_run() {
        let texts = [comment(3, &["c"]), comment(1, &["a"]), comment(2, &["b"])].map(|of| body_of(&of, 1, &of.parts[0]));
        let edits = || texts.iter().map(String::as_str);
        assert_eq!(written_over(&texts[2], edits(), "preview"), Some(&*texts[0]));
        assert_eq!(written_over("somebody emptied it", edits(), "preview"), Some(&*texts[0]));
        assert_eq!(written_over(&texts[0], edits(), "preview"), None);
        assert_eq!(written_over(&texts[1], edits(), "other"), None);
    }
}
