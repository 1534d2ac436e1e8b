//! How long a service is waited for: which answers are asked again, how often, and after which pause.

use super::address::{Container, Service};
use super::answer::WebPage;
use super::fault::{Cause, Fault};
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as StdError;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Requests for one thing at most. The pauses between them are 0.2 to 3.2 s, less a random part of at most one half: long enough for a
/// service that takes one write of an object a second.
const ATTEMPTS_MAX: u32 = 6;

#[cfg(not(test))]
const PAUSE_MS: u64 = 200;
#[cfg(test)]
const PAUSE_MS: u64 = 1;

/// There is no room, and nothing was written.
const FULL: u16 = 507;

/// What is said where a login page or a proxy answers.
const WEB_PAGE: &str = "a web page was answered, and no object store";

/// After so long nothing is asked again.
const TOTAL_SECS: u64 = 180;

/// One request that did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Of the answer; `None` when there was none.
    status: Option<u16>,
    /// The service's own word for it, such as `NoSuchBucket`; or our words when it could not be asked.
    what: String,
    /// The request may have been done all the same.
    unsure: bool,
    may_pass: bool,
}

/// Counts what was asked for one thing.
pub(super) struct Patience {
    attempt: u32,
    since: Instant,
    /// An earlier request may have been done without our knowing.
    pub(super) unsure: bool,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { attempt: 1, since: Instant::now(), unsure: false }
    }

    /// Returns an answer that stays; or waits a moment, and returns `None` to be asked again.
    pub(super) async fn weigh<T>(&mut self, answer: Result<T, Asked>) -> Option<Result<T, Asked>> {
        let asked = match answer {
            Ok(answer) => return Some(Ok(answer)),
            Err(asked) => asked,
        };
        self.unsure |= asked.unsure;
        if !asked.may_pass || self.attempt == ATTEMPTS_MAX || self.since.elapsed().as_secs() > TOTAL_SECS {
            return Some(Err(Asked { unsure: self.unsure, ..asked }));
        }
        tracing::debug!(attempt = self.attempt, status = asked.status, what = asked.what, "asking an object store again");
        tokio::time::sleep(pause(self.attempt)).await;
        self.attempt += 1;
        None
    }
}

/// Doubles with each attempt; between half of it and all, so that many writers do not come back at once.
fn pause(attempt: u32) -> Duration {
    let whole = PAUSE_MS << (attempt - 1);
    let random = RandomState::new().hash_one(attempt) % (whole / 2 + 1);
    Duration::from_millis(whole / 2 + random)
}

impl Asked {
    pub(super) fn answered(status: u16, body: &str) -> Self {
        let may_pass = matches!(status, 408 | 409 | 429 | 500..=599);
        // A conflict on a container or a snapshot stays; one between two writes passes.
        let code = code(body);
        let stays = status == 409 && !matches!(code.as_str(), "" | "ConditionalRequestConflict" | "OperationAborted");
        let is_full = status == FULL;
        let unsure = status == 408 || (status >= 500 && !is_full);
        Self { status: Some(status), what: code, unsure, may_pass: may_pass && !stays && !is_full }
    }

    /// There was no answer, or only a part of it.
    pub(super) fn lost(error: &HttpError) -> Self {
        if error.source().is_some_and(|source| source.is::<WebPage>()) {
            return Self { status: None, what: WEB_PAGE.into(), unsure: true, may_pass: false };
        }
        let (what, unsure) = match error.kind() {
            HttpErrorKind::Connect => ("it can't be reached", false),
            HttpErrorKind::Timeout => ("it does not answer in time", true),
            _ => ("the connection broke", true),
        };
        Self { status: None, what: what.into(), unsure, may_pass: true }
    }

    /// It could not even be asked.
    pub(super) fn unusable(what: &str) -> Self {
        Self { status: None, what: what.into(), unsure: false, may_pass: false }
    }

    /// What was to be written over is gone.
    pub(super) fn moved(self) -> Self {
        Self { status: Some(412), what: String::new(), may_pass: false, ..self }
    }

    /// What is there is not what the request was bound to.
    pub(super) fn is_moved(&self) -> bool {
        self.status == Some(412) || (self.status == Some(409) && !self.may_pass && self.what.contains("AlreadyExists"))
    }

    /// Only a service's own word says that there is no such object. Another 404 comes from a web server that knows nothing of objects,
    /// and a journal that stands elsewhere would be taken for an empty one.
    pub(super) fn is_absent(&self) -> bool {
        self.status == Some(404) && matches!(self.what.as_str(), "NoSuchKey" | "BlobNotFound")
    }

    /// Tells it: `writing s3://docs/a: 403 AccessDenied; …`.
    pub(super) fn fault(self, doing: &str, container: &Container, key: &str) -> Fault {
        let url = container.url(key);
        match (self.is_moved(), self.unsure) {
            (true, false) => return Fault::Moved(url),
            (true, true) => {
                return Fault::Unsure(format!("{doing} {url}: there was no answer, and then somebody else had changed it"));
            }
            (false, _) => {}
        }
        let what = match self.status {
            Some(status) => format!("{status} {}", self.what).trim_end().to_string(),
            None => self.what.clone(),
        };
        let hint = self.hint(container);
        let told = format!("{doing} {url}: {what}{}{hint}", if hint.is_empty() { "" } else { "; " });
        let is_read = matches!(doing, "reading" | "listing");
        if self.unsure && !is_read { Fault::Unsure(told) } else { Fault::refused(self.cause(), told) }
    }

    fn cause(&self) -> Cause {
        match self.status {
            Some(401 | 403) => Cause::Forbidden,
            Some(FULL) => Cause::Full,
            Some(408 | 429 | 500..=599) => Cause::Away,
            Some(409) | None if self.may_pass => Cause::Away,
            Some(_) | None => Cause::Unfit,
        }
    }

    fn hint(&self, container: &Container) -> String {
        let endpoint = match container.service {
            Service::S3 => "AWS_ENDPOINT_URL",
            Service::Google => "GOOGLE_BASE_URL",
            Service::Azure => "AZURE_STORAGE_ENDPOINT",
        };
        match (self.status, container.service) {
            (None, _) if self.what == WEB_PAGE => {
                format!("is a login page or a proxy in between, and is {endpoint} right?")
            }
            (Some(404), _) if matches!(self.what.as_str(), "NoSuchBucket" | "ContainerNotFound") => {
                format!("there is no {container}; create it first")
            }
            (Some(404), _) => {
                format!("an object store says more about what it does not have: is {endpoint} right?")
            }
            (Some(301 | 307 | 308), Service::S3) => "set AWS_REGION to the region of the bucket".into(),
            (Some(401), _) => "the credentials in the environment are not accepted".into(),
            (Some(FULL), _) => format!("there is no room left in {container}"),
            (Some(403), _) => format!("the credentials must be allowed to list, read, write and delete in {container}"),
            (None, Service::S3) => "is AWS_REGION right, and are credentials of AWS_* set?".into(),
            (None, Service::Google) => "are credentials of GOOGLE_* set?".into(),
            (None, Service::Azure) => "is the account right, and are credentials of AZURE_* set?".into(),
            (Some(_), _) => String::new(),
        }
    }
}

/// The status stands only in the text of the library's error, which is the same for its three services.
impl From<object_store::Error> for Asked {
    fn from(error: object_store::Error) -> Self {
        let mut next: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(error) = next {
            if let Some(lost) = error.downcast_ref::<HttpError>() {
                return Self::lost(lost);
            }
            let text = error.to_string();
            if let Some(rest) = text.strip_prefix("Server returned non-2xx status code: ") {
                let status = rest.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(500);
                return Self::answered(status, rest);
            }
            if text.starts_with("Received redirect without LOCATION") {
                return Self::answered(301, "");
            }
            next = error.source();
        }
        match error {
            object_store::Error::InvalidPath { .. } => Self::unusable("it holds a name with an empty part, \".\" or \"..\""),
            _ => Self::unusable("the answer can't be read, or there are no credentials"),
        }
    }
}

/// Returns the word in `<Code>` of an answer; nothing of its text, which anybody may have written.
fn code(body: &str) -> String {
    let inside = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let word = inside.map(|(word, _)| word).unwrap_or_default();
    if word.len() <= 64 && word.chars().all(|c| c.is_ascii_alphanumeric()) { word.into() } else { String::new() }
}
