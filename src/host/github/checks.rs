//! A commit's status under one name: looked at first, and again afterwards, so that the newest run's word stands.

use super::needs::Needs;
use super::{GitHub, telling};
use crate::host::{Boxed, Check, CheckState, HostError, Posted, RunNumber};
use crate::review::CommitSha;
use serde::Deserialize;
use serde_json::json;

/// Characters of a status's sentence.
const SENTENCE_CHARS: usize = 140;

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
        if there.iter().any(|status| run_of(status) > check.run) {
            return Ok(Posted::Overtaken);
        }
        if there.first() == Some(&said) {
            return Ok(Posted::Done);
        }
        self.say(commit, &said).await?;
        // Whoever wrote meanwhile may have said something newer, beneath ours.
        let there = self.statuses(commit, &check.name).await?;
        match there.iter().max_by_key(|status| run_of(status)) {
            Some(newest) if run_of(newest) > check.run => {
                if there.first() != Some(newest) {
                    self.say(commit, newest).await?;
                }
                Ok(Posted::Overtaken)
            }
            _ => Ok(Posted::Done),
        }
    }

    /// What was said of a commit under this name, newest first.
    async fn statuses(&self, commit: &CommitSha, name: &str) -> Result<Vec<Status>, HostError> {
        let doing = format!("reading the statuses of {}", commit.short());
        let path = self.path(&format!("/commits/{commit}/statuses?per_page=100"));
        let mut all: Vec<Status> = self.api.list(telling(&doing, Needs::StatusesWrite), &path, serde_json::from_value).await?;
        all.retain(|status| status.context.eq_ignore_ascii_case(name));
        Ok(all)
    }

    async fn say(&self, commit: &CommitSha, status: &Status) -> Result<(), HostError> {
        let doing = format!("setting the status {} of {}", status.context, commit.short());
        let path = self.path(&format!("/statuses/{commit}"));
        let body = json!({
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        });
        let look = || -> Boxed<'_, Result<Option<Status>, HostError>> {
            Box::pin(async move {
                let there = self.statuses(commit, &status.context).await?;
                Ok(there.into_iter().next().filter(|first| first == status))
            })
        };
        self.api.create(telling(&doing, Needs::StatusesWrite), &path, &body, look).await.map(drop)
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
        target_url: check.address.clone(),
    }
}

/// Returns as much as fits, and says that more was there.
fn shortened(sentence: &str) -> String {
    let one_line: String = sentence.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if one_line.chars().count() <= SENTENCE_CHARS {
        return one_line;
    }
    one_line.chars().take(SENTENCE_CHARS - 1).chain(['…']).collect()
}

/// The run that said it, by the address it gave: `…/actions/runs/17/attempts/2`.
fn run_of(status: &Status) -> RunNumber {
    let read = || {
        let (_, rest) = status.target_url.as_deref()?.split_once("/actions/runs/")?;
        let mut parts = rest.split('/');
        let id = parts.next()?.parse().ok()?;
        let attempt = parts.nth(1).and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
        Some(RunNumber { id, attempt })
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
    fn a_status_is_of_the_run_that_its_address_names() {
        let of = |address: &str| {
            let (context, state) = ("isobar".into(), "success".into());
            run_of(&Status { context, state, description: None, target_url: Some(address.into()) })
        };
        assert_eq!(of("https://github.example/acme/fleet/actions/runs/17/attempts/2"), RunNumber { id: 17, attempt: 2 });
        assert_eq!(of("https://github.example/acme/fleet/actions/runs/17"), RunNumber { id: 17, attempt: 1 });
        assert_eq!(of("https://elsewhere.example/"), RunNumber::default());
    }
}
