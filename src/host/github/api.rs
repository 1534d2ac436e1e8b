//! Asks GitHub with patience: waits out its limits, asks again what may be asked again, looks before it creates a second time, and
//! follows every list to its end. Knows what a request needs; not what is told.

use super::needs::{Needs, refused, too_long, unanswered, unreadable};
use super::patience::{Deadline, Kind, Next, Spent, is_passing, weigh};
use super::wire::{Answer, Lost, Wire};
use crate::host::{Boxed, HostError};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Pages of one list that are followed at most: a list that is longer is no answer.
const PAGES_MAX: usize = 100;

/// What a request is for, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// `reading the reviews of #7`.
    pub(super) doing: &'a str,
    pub(super) needs: Needs,
    pub(super) deadline: Deadline,
}

/// One request.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Option<&'a Value>,
}

/// What came of one try to create something.
enum Created {
    Done(Answer),
    /// It may be there.
    Unsure,
    /// It was asked for as often as we do, and may be there all the same.
    GivenUp(HostError),
}

/// Seconds before each look for what may have been created: a list can be older than what is in it.
const LOOKS_SECS: [u64; 3] = [0, 1, 3];

/// What has been put into one thing.
struct Effort {
    begun: Instant,
    attempts: u32,
    /// Waiting that was asked for and did not take place: where a second is shorter than one.
    skipped: Duration,
}

impl Effort {
    fn begin() -> Self {
        Self { begun: Instant::now(), attempts: 0, skipped: Duration::ZERO }
    }

    fn spent(&self) -> Spent {
        Spent { attempts: self.attempts, elapsed: self.begun.elapsed() + self.skipped }
    }
}

/// A repository on GitHub, with one token.
#[derive(Clone)]
pub(super) struct Api {
    wire: Wire,
    /// How long a second of waiting takes.
    second: Duration,
}

impl Api {
    /// `second` is what a second of waiting takes; another than a second is for tests.
    pub(super) fn new(wire: Wire, second: Duration) -> Self {
        Self { wire, second }
    }

    /// Reads one thing that may not be there.
    pub(super) async fn find<T: DeserializeOwned>(&self, ask: Ask<'_>, path: &str) -> Result<Option<T>, HostError> {
        let answer = self.patiently(ask, Kind::Same, &Call { method: Method::GET, path, body: None }).await?;
        match answer.status {
            404 => Ok(None),
            _ => read(ask, &good(ask, answer)?).map(Some),
        }
    }

    /// Reads a list to its end; `items` takes them out of one page.
    pub(super) async fn list<T>(
        &self,
        ask: Ask<'_>,
        path: &str,
        items: impl Fn(Value) -> Result<Vec<T>, serde_json::Error>,
    ) -> Result<Vec<T>, HostError> {
        let (mut all, mut next) = (Vec::new(), Some(path.to_string()));
        for _ in 0..PAGES_MAX {
            let Some(path) = next else { return Ok(all) };
            let answer = self.answer(ask, Call { method: Method::GET, path: &path, body: None }).await?;
            let page: Value = read(ask, &answer)?;
            all.extend(items(page).map_err(|error| unreadable(ask.doing, &error.to_string()))?);
            next = match answer.next() {
                None => None,
                Some(url) => match self.wire.base().path(url) {
                    Some(path) => Some(path.to_string()),
                    None => return Err(unreadable(ask.doing, "its next page is at another server")),
                },
            };
        }
        match next {
            None => Ok(all),
            Some(_) => Err(unreadable(ask.doing, &format!("it has more than {PAGES_MAX} pages"))),
        }
    }

    /// Changes what is there: the same again changes nothing. Says whether it was there.
    pub(super) async fn change(&self, ask: Ask<'_>, method: Method, path: &str, body: &Value) -> Result<bool, HostError> {
        let answer = self.patiently(ask, Kind::Same, &Call { method, path, body: Some(body) }).await?;
        if answer.status == 404 { Ok(false) } else { good(ask, answer).map(|_| true) }
    }

    /// Takes away what is there; what is gone already is fine.
    pub(super) async fn delete(&self, ask: Ask<'_>, path: &str) -> Result<(), HostError> {
        let answer = self.patiently(ask, Kind::Same, &Call { method: Method::DELETE, path, body: None }).await?;
        if answer.status == 404 { Ok(()) } else { good(ask, answer).map(drop) }
    }

    /// Creates something, once: where an answer was lost, `look` says whether it is there, before anything is asked for again.
    pub(super) async fn create<'l, T: DeserializeOwned>(
        &self,
        ask: Ask<'_>,
        path: &str,
        body: &Value,
        look: impl Fn() -> Boxed<'l, Result<Option<T>, HostError>>,
    ) -> Result<T, HostError> {
        let mut effort = Effort::begin();
        let call = Call { method: Method::POST, path, body: Some(body) };
        loop {
            let given_up = match self.once_created(ask, &call, &mut effort).await? {
                Created::Done(answer) => return read(ask, &answer),
                Created::Unsure => None,
                Created::GivenUp(error) => Some(error),
            };
            for secs in LOOKS_SECS {
                self.pause(Duration::from_secs(secs)).await;
                if let Some(there) = look().await? {
                    return Ok(there);
                }
            }
            if let Some(error) = given_up {
                return Err(error);
            }
        }
    }

    async fn once_created(&self, ask: Ask<'_>, call: &Call<'_>, effort: &mut Effort) -> Result<Created, HostError> {
        loop {
            effort.attempts += 1;
            let answer = self.wire.ask(call.method.clone(), call.path, call.body).await;
            let is_unsure = answer.as_ref().map_or_else(|lost| lost.is_unsure, |answer| is_passing(answer.status));
            match self.next(ask, &answer, Kind::Creates, effort) {
                Next::Stays => {
                    let whole = answer.map_err(|lost| unanswered(ask.doing, &lost)).and_then(|answer| good(ask, answer));
                    return match whole {
                        Ok(answer) => Ok(Created::Done(answer)),
                        Err(error) if is_unsure => Ok(Created::GivenUp(error)),
                        Err(error) => Err(error),
                    };
                }
                Next::TooLong(wait) => return Err(too_long(ask.doing, wait)),
                Next::Again(pause) => self.rest(pause, effort).await,
                Next::Look(pause) => {
                    self.rest(pause, effort).await;
                    return Ok(Created::Unsure);
                }
            }
        }
    }

    /// Asks in GraphQL for what is only read, or what may be done twice. Errors beside data are errors.
    pub(super) async fn query<T: DeserializeOwned>(&self, ask: Ask<'_>, query: &str, variables: Value) -> Result<T, HostError> {
        let mut effort = Effort::begin();
        let answer = loop {
            effort.attempts += 1;
            let answer = self.wire.query(query, variables.clone()).await;
            match self.next(ask, &answer, Kind::Same, &effort) {
                Next::Stays => break good(ask, answer.map_err(|lost| unanswered(ask.doing, &lost))?)?,
                Next::TooLong(wait) => return Err(too_long(ask.doing, wait)),
                Next::Again(pause) | Next::Look(pause) => self.rest(pause, &mut effort).await,
            }
        };
        let mut whole: Value = read(ask, &answer)?;
        if let Some(first) = whole["errors"].as_array().and_then(|errors| errors.first()) {
            let status = if first["type"] == "FORBIDDEN" { 403 } else { 422 };
            let body = first.to_string().into_bytes();
            return Err(refused(ask.doing, ask.needs, &Answer { status, headers: answer.headers, body }));
        }
        serde_json::from_value(whole["data"].take()).map_err(|error| unreadable(ask.doing, &error.to_string()))
    }

    async fn answer(&self, ask: Ask<'_>, call: Call<'_>) -> Result<Answer, HostError> {
        good(ask, self.patiently(ask, Kind::Same, &call).await?)
    }

    /// Asks for what may be asked for twice, until the answer stays.
    async fn patiently(&self, ask: Ask<'_>, kind: Kind, call: &Call<'_>) -> Result<Answer, HostError> {
        let mut effort = Effort::begin();
        loop {
            effort.attempts += 1;
            let answer = self.wire.ask(call.method.clone(), call.path, call.body).await;
            match self.next(ask, &answer, kind, &effort) {
                Next::Stays => return answer.map_err(|lost| unanswered(ask.doing, &lost)),
                Next::TooLong(wait) => return Err(too_long(ask.doing, wait)),
                Next::Again(pause) | Next::Look(pause) => self.rest(pause, &mut effort).await,
            }
        }
    }

    fn next(&self, ask: Ask<'_>, answer: &Result<Answer, Lost>, kind: Kind, effort: &Effort) -> Next {
        let now_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let spent = effort.spent();
        let chance = RandomState::new().hash_one(spent.attempts);
        let next = weigh(answer, kind, spent, ask.deadline, now_secs, chance);
        if next != Next::Stays {
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            tracing::debug!(attempts = spent.attempts, status, "asking GitHub again");
        }
        next
    }

    async fn rest(&self, pause: Duration, effort: &mut Effort) {
        self.pause(pause).await;
        effort.skipped += pause.saturating_sub(self.scaled(pause));
    }

    /// Waits so long, by this host's seconds.
    pub(super) async fn pause(&self, pause: Duration) {
        tokio::time::sleep(self.scaled(pause)).await;
    }

    fn scaled(&self, pause: Duration) -> Duration {
        pause.mul_f64(self.second.as_secs_f64())
    }
}

fn good(ask: Ask<'_>, answer: Answer) -> Result<Answer, HostError> {
    if answer.is_good() { Ok(answer) } else { Err(refused(ask.doing, ask.needs, &answer)) }
}

fn read<T: DeserializeOwned>(ask: Ask<'_>, answer: &Answer) -> Result<T, HostError> {
    serde_json::from_slice(&answer.body).map_err(|error| unreadable(ask.doing, &error.to_string()))
}
