//! What is asked again, and after how long: a decision over plain data. Knows GitHub's limits; asks nothing and waits for nothing.
//!
//! GitHub's rules: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use super::wire::{Answer, Lost};
use serde_json::Value;
use std::time::Duration;

/// Times that one thing is asked for at most.
const ATTEMPTS_MAX: u32 = 6;

/// The first pause after an answer that may be another the next time; it doubles, less a random part of at most one half.
const PAUSE_MS: u64 = 500;

/// What is waited at least after a secondary limit that does not say how long.
const SECONDARY_SECS: u64 = 60;

/// What a request does when it is done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing, or the same again.
    Same,
    /// A second thing beside the first: it is looked for before it is asked for again.
    Creates,
}

/// What has been spent on one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    /// Including the one that was just made.
    pub(super) attempts: u32,
    pub(super) elapsed: Duration,
}

/// How long is waited for one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline(pub(super) Duration);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The answer stays, good or bad.
    Stays,
    /// Ask again after this: for certain it was not done.
    Again(Duration),
    /// It may have been done. Look after this, and ask again only for what is not there.
    Look(Duration),
    /// Waiting would take longer than we have.
    TooLong(Duration),
}

/// Weighs one answer. `now_secs` is the time since 1970 that `x-ratelimit-reset` is held against; `chance` is any number.
pub(super) fn weigh(
    answer: &Result<Answer, Lost>,
    kind: Kind,
    spent: Spent,
    deadline: Deadline,
    now_secs: u64,
    chance: u64,
) -> Next {
    let (pause, is_unsure) = match answer {
        Ok(answer) => match limit(answer, now_secs, spent.attempts) {
            Some(pause) => (pause, false),
            None if is_passing(answer.status) => (backoff(spent.attempts, chance), true),
            None => return Next::Stays,
        },
        Err(lost) => (backoff(spent.attempts, chance), lost.is_unsure),
    };
    if spent.attempts >= ATTEMPTS_MAX {
        return Next::Stays;
    }
    if spent.elapsed + pause > deadline.0 {
        return if answer.is_ok() { Next::TooLong(pause) } else { Next::Stays };
    }
    if is_unsure && kind == Kind::Creates { Next::Look(pause) } else { Next::Again(pause) }
}

/// How long a limit asks to wait; `None` when it is none. A plain 403 is a missing permission, and asking again mends none.
fn limit(answer: &Answer, now_secs: u64, attempts: u32) -> Option<Duration> {
    let text = || String::from_utf8_lossy(&answer.body).to_lowercase();
    let is_limited = match answer.status {
        429 => true,
        403 => {
            answer.header("retry-after").is_some()
                || answer.header("x-ratelimit-remaining") == Some("0")
                || text().contains("secondary rate limit")
                || text().contains("abuse detection")
        }
        200 => is_limited_query(&answer.body),
        _ => false,
    };
    if !is_limited {
        return None;
    }
    let number = |name: &str| answer.header(name).and_then(|text| text.trim().parse::<u64>().ok());
    if let Some(secs) = number("retry-after") {
        return Some(Duration::from_secs(secs));
    }
    if let (Some("0"), Some(reset)) = (answer.header("x-ratelimit-remaining"), number("x-ratelimit-reset")) {
        return Some(Duration::from_secs(reset.saturating_sub(now_secs).max(1)));
    }
    Some(Duration::from_secs(SECONDARY_SECS << (attempts - 1).min(6)))
}

/// GraphQL tells a limit in an answer of 200.
fn is_limited_query(body: &[u8]) -> bool {
    if !body.windows(12).any(|part| part == b"RATE_LIMITED") {
        return false;
    }
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return false };
    let errors = answer["errors"].as_array().into_iter().flatten();
    errors.into_iter().any(|error| error["type"] == "RATE_LIMITED")
}

/// What may be another answer the next time: GitHub, or something in between, is not well.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 500 | 502..=504)
}

fn backoff(attempts: u32, chance: u64) -> Duration {
    let whole = PAUSE_MS << (attempts - 1).min(6);
    Duration::from_millis(whole / 2 + chance % (whole / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName};

    const MINUTES: Deadline = Deadline(Duration::from_secs(600));

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Result<Answer, Lost> {
        let header = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().expect("a header"));
        Ok(Answer { status, headers: HeaderMap::from_iter(headers.iter().map(header)), body: body.as_bytes().to_vec() })
    }

    fn said(answer: &Result<Answer, Lost>, kind: Kind) -> Next {
        weigh(answer, kind, Spent { attempts: 1, elapsed: Duration::ZERO }, MINUTES, 1_000, 0)
    }

    #[test]
    fn a_limit_is_waited_out_as_long_as_it_says() {
        let secs = |secs| Next::Again(Duration::from_secs(secs));
        let secondary = r#"{"message":"You have exceeded a secondary rate limit"}"#;
        let graphql = r#"{"data":null,"errors":[{"type":"RATE_LIMITED","message":"slow"}]}"#;
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1090")];
        for (answer, next) in [
            (answer(429, &[("retry-after", "7")], ""), secs(7)),
            (answer(403, &[("retry-after", "7")], ""), secs(7)),
            (answer(403, &used_up, ""), secs(90)),
            (answer(429, &used_up, ""), secs(90)),
            (answer(403, &[], secondary), secs(60)),
            (answer(429, &[], ""), secs(60)),
            (answer(200, &[], graphql), secs(60)),
        ] {
            assert_eq!(said(&answer, Kind::Creates), next, "nothing was done, so that it can be asked for again: {answer:?}");
        }
    }

    #[test]
    fn a_refusal_stays() {
        let forbidden = r#"{"message":"Resource not accessible by integration"}"#;
        let quoted = r#"{"data":{"body":"RATE_LIMITED"}}"#;
        for (status, body) in [(403, forbidden), (401, ""), (404, ""), (410, ""), (422, ""), (200, quoted), (201, "")] {
            assert_eq!(said(&answer(status, &[], body), Kind::Creates), Next::Stays, "{status}");
        }
    }

    #[test]
    fn what_may_have_been_created_is_looked_for_first() {
        let broken = Err(Lost { why: "the connection broke".into(), is_unsure: true });
        let away = Err(Lost { why: "it can't be reached".into(), is_unsure: false });
        let pause = Duration::from_millis(PAUSE_MS / 2);
        for answer in [answer(502, &[], ""), answer(503, &[], ""), answer(500, &[], ""), broken] {
            assert_eq!(said(&answer, Kind::Creates), Next::Look(pause), "{answer:?}");
            assert_eq!(said(&answer, Kind::Same), Next::Again(pause), "{answer:?}");
        }
        assert_eq!(said(&away, Kind::Creates), Next::Again(pause));
    }

    #[test]
    fn nothing_is_waited_for_beyond_the_deadline_or_for_ever() {
        let spent = |attempts, secs| Spent { attempts, elapsed: Duration::from_secs(secs) };
        let far = answer(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4600")], "");
        assert_eq!(weigh(&far, Kind::Same, spent(1, 0), MINUTES, 1_000, 0), Next::TooLong(Duration::from_secs(3_600)));
        let down = answer(503, &[], "");
        assert_eq!(weigh(&down, Kind::Same, spent(ATTEMPTS_MAX, 0), MINUTES, 1_000, 0), Next::Stays);
        let late = weigh(&down, Kind::Same, spent(2, 600), MINUTES, 1_000, 0);
        assert_eq!(late, Next::TooLong(Duration::from_millis(PAUSE_MS)));
    }

    #[test]
    fn pauses_grow_and_are_not_alike() {
        let pauses: Vec<Duration> = (1..=4).map(|attempts| backoff(attempts, u64::MAX / 3)).collect();
        assert!(pauses.is_sorted() && pauses[3] > pauses[0], "{pauses:?}");
        assert_ne!(backoff(3, 1), backoff(3, 2));
    }
}
