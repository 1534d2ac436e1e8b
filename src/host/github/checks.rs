//! A commit's status under one name: looked at first, and again afterwards, so that the word of the latest turn stands.

use super::marker::{number, spelled};
use super::needs::Needs;
use super::{GitHub, telling};
use crate::host::{Boxed, Check, CheckState, HostError, Posted, RunNumber, Turn};
use crate::review::CommitSha;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Characters of a status's sentence.
const SENTENCE_CHARS: usize = 140;

/// Times that something newer is said again.
const ROUNDS_MAX: usize = 5;
/// Seconds between looks for what we said ourselves: an answer can be older than that.
const LOOKS_SECS: [u64; 4] = [0, 1, 2, 3];

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Posting {
    id: u64,
    #[serde(flatten)]
    status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Status {
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

impl GitHub {
    pub(super) async fn tell_in_status(&self, commit: &CommitSha, check: &Check) -> Result<Posted, HostError> {
        let said = said(check);
        let there = self.statuses(commit, &check.name).await?;
        if there.iter().any(|posting| turn_of(&posting.status) > check.turn) {
            return Ok(Posted::Overtaken);
        }
        if there.first().is_some_and(|first| first.status == said) {
            return Ok(Posted::Done);
        }
        // Whoever wrote meanwhile may have said something newer, which now stands beneath ours: then that is said again.
        let mut stands = said;
        for _ in 0..ROUNDS_MAX {
            let id = self.say(commit, &stands).await?;
            let there = self.statuses_with(commit, &check.name, id).await?;
            let all = || there.iter().map(|posting| &posting.status);
            let newest = all().max_by_key(|status| turn_of(status)).unwrap_or(&stands);
            if all().next().is_none_or(|first| turn_of(first) >= turn_of(newest)) {
                break;
            }
            stands = newest.clone();
        }
        Ok(if turn_of(&stands) > check.turn { Posted::Overtaken } else { Posted::Done })
    }

    /// The same as [`GitHub::statuses`], no older than the posting of this id.
    async fn statuses_with(&self, commit: &CommitSha, name: &str, id: u64) -> Result<Vec<Posting>, HostError> {
        for secs in LOOKS_SECS {
            let there = self.statuses(commit, name).await?;
            if there.iter().any(|posting| posting.id == id) {
                return Ok(there);
            }
            self.api.pause(Duration::from_secs(secs)).await;
        }
        self.statuses(commit, name).await
    }

    /// What was said of a commit under this name, newest first.
    async fn statuses(&self, commit: &CommitSha, name: &str) -> Result<Vec<Posting>, HostError> {
        let doing = format!("reading the statuses of {}", commit.short());
        let path = self.path(&format!("/commits/{commit}/statuses?per_page=100"));
        let mut all: Vec<Posting> = self.api.list(telling(&doing, Needs::StatusesWrite), &path, serde_json::from_value).await?;
        all.retain(|posting| posting.status.context.eq_ignore_ascii_case(name));
        Ok(all)
    }

    /// Returns the id of the posting.
    async fn say(&self, commit: &CommitSha, status: &Status) -> Result<u64, HostError> {
        let doing = format!("setting the status {} of {}", status.context, commit.short());
        let path = self.path(&format!("/statuses/{commit}"));
        let body = json!({
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        });
        let look = || -> Boxed<'_, Result<Option<Posting>, HostError>> {
            Box::pin(async move {
                let there = self.statuses(commit, &status.context).await?;
                Ok(there.into_iter().next().filter(|first| first.status == *status))
            })
        };
        let posting: Posting = self.api.create(telling(&doing, Needs::StatusesWrite), &path, &body, look).await?;
        Ok(posting.id)
    }
}

fn said(check: &Check) -> Status {
    let state = match check.state {
        CheckState::Pending => "pending",
        CheckState::Success => "success",
        CheckState::Failure => "failure",
        CheckState::Error => "error",
    };
    Status {
        context: check.name.clone(),
        state: state.into(),
        description: Some(shortened(&check.sentence)),
        target_url: check.address.as_ref().map(|address| with_turn(address, check.turn)),
    }
}

/// Returns as much as fits, and says that more was there.
pub(super) fn shortened(sentence: &str) -> String {
    let one_line: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if one_line.chars().count() <= SENTENCE_CHARS {
        return one_line;
    }
    one_line.chars().take(SENTENCE_CHARS - 1).chain(['…']).collect()
}

/// Who tells what another run saw names that one behind the address.
const SEEN_BY: &str = "#seen-by-";

fn with_turn(address: &str, Turn { seen_by, run }: Turn) -> String {
    if seen_by == run { address.to_string() } else { format!("{address}{SEEN_BY}{}", spelled(seen_by)) }
}

/// When it was said, by the address it gave: `…/actions/runs/17/attempts/2`, and `…#seen-by-16.1`.
fn turn_of(status: &Status) -> Turn {
    let read = || {
        let (_, rest) = status.target_url.as_deref()?.split_once("/actions/runs/")?;
        let (rest, seen_by) = rest.split_once(SEEN_BY).map_or((rest, None), |(rest, seen_by)| (rest, number(seen_by)));
        let mut parts = rest.split('/');
        let id = parts.next()?.parse().ok()?;
        let attempt = parts.nth(1).and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
        let run = RunNumber { id, attempt };
        Some(Turn { seen_by: seen_by.unwrap_or(run), run })
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_is_cut_by_characters() {
        assert_eq!(shortened("3 targets\nwait"), "3 targets wait");
        let cut = shortened(&"é".repeat(200));
        assert!(cut.chars().count() == SENTENCE_CHARS && cut.ends_with("é…"), "{cut}");
    }

    #[test]
    fn a_status_is_of_the_turn_that_its_address_names() {
        let of = |address: &str| {
            let (context, state) = ("isobar".into(), "success".into());
            turn_of(&Status { context, state, description: None, target_url: Some(address.into()) })
        };
        let run = RunNumber { id: 17, attempt: 2 };
        let address = "https://github.example/acme/fleet/actions/runs/17/attempts/2";
        for turn in [run.into(), Turn { seen_by: RunNumber { id: 16, attempt: 3 }, run }] {
            assert_eq!(of(&with_turn(address, turn)), turn);
        }
        assert_eq!(of("https://github.example/acme/fleet/actions/runs/17"), RunNumber { id: 17, attempt: 1 }.into());
        assert_eq!(of("https://elsewhere.example/"), Turn::default());
    }
}
