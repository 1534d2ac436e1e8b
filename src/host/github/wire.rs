//! One request to GitHub, and its answer. Asks once, knows the meaning of nothing, and lets the token out to GitHub only.

use http::{HeaderMap, Method, Request};
use octocrab::Octocrab;
use serde_json::Value;
use std::error::Error as StdError;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
/// From the question to the last byte of the answer.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of one answer that we read: a page of a hundred comments of the largest size has 26 MB.
const BYTES_MAX: usize = 64 << 20;

/// GitHub's two addresses with a token: REST, and beside it GraphQL, which stands elsewhere on an Enterprise Server.
#[derive(Clone)]
pub(super) struct Wire {
    rest: Octocrab,
    graphql: Octocrab,
    base: Base,
}

/// Where the paths of the REST API begin: `https://api.github.com`, or `https://HOST/api/v3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base(String);

/// What came back, whatever it says.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// No answer, or only a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) why: String,
    /// It may have been done all the same.
    pub(super) is_unsure: bool,
}

impl Wire {
    /// Opens nothing yet; must be called inside a runtime. `api` and `graphql` are what GitHub sets as `GITHUB_API_URL` and
    /// `GITHUB_GRAPHQL_URL`.
    pub(super) fn new(api: &str, graphql: &str, token: &str) -> Result<Self, String> {
        let builder = || {
            let agent = concat!("isobar/", env!("CARGO_PKG_VERSION"));
            reqwest::Client::builder().user_agent(agent).connect_timeout(CONNECT).timeout(ANSWER)
        };
        let client = match builder().build() {
            // A machine without certificates can still ask over plain http.
            Err(_) if api.starts_with("http://") => builder().tls_certs_only([]).build(),
            client => client,
        };
        let client = client.map_err(|error| format!("making a client: {error}"))?;
        let to = |base: &str| -> Result<Octocrab, String> {
            let builder = Octocrab::builder().base_uri(base).map_err(|_| format!("{base:?} is no address"))?;
            let built = builder.personal_token(token.to_string()).build_with_reqwest(client.clone());
            built.map_err(|_| format!("{base:?} cannot be asked"))
        };
        let api = api.trim_end_matches('/');
        let beside = graphql
            .trim_end_matches('/')
            .strip_suffix("/graphql")
            .ok_or_else(|| format!("{graphql:?} is no address of GraphQL: it ends with /graphql"))?;
        Ok(Self { rest: to(api)?, graphql: to(beside)?, base: Base(api.to_string()) })
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    /// Asks for `path` below the base, which begins with a slash.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Lost> {
        send(&self.rest, method, path, body).await
    }

    /// Asks in GraphQL. An answer of 200 may hold errors.
    pub(super) async fn query(&self, query: &str, variables: Value) -> Result<Answer, Lost> {
        let body = serde_json::json!({ "query": query, "variables": variables });
        send(&self.graphql, Method::POST, "/graphql", Some(&body)).await
    }
}

impl Base {
    /// Returns what of `url` comes after the base; `None` for an address that is not GitHub's: it gets no token.
    pub(super) fn path<'a>(&self, url: &'a str) -> Option<&'a str> {
        url.strip_prefix(&self.0).filter(|path| path.starts_with('/'))
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The address of the next page.
    pub(super) fn next(&self) -> Option<&str> {
        let links = self.header("link")?.split(',');
        links
            .filter_map(|link| link.split_once(';'))
            .find(|(_, rest)| rest.contains("rel=\"next\""))
            .map(|(url, _)| url.trim().trim_start_matches('<').trim_end_matches('>'))
    }
}

async fn send(crab: &Octocrab, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Lost> {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request.header(http::header::CONTENT_TYPE, "application/json");
    }
    let body = body.map_or_else(String::new, Value::to_string);
    let request = request.body(body).map_err(|error| never_sent(&error.to_string()))?;
    let answer = crab.execute(request).await.map_err(|error| lost(&error))?;
    let (head, body) = answer.into_parts();
    let mut bytes = Vec::new();
    let mut body = std::pin::pin!(body);
    while let Some(frame) = std::future::poll_fn(|context| http_body::Body::poll_frame(body.as_mut(), context)).await {
        let frame = frame.map_err(|error| lost(&error))?;
        if let Ok(part) = frame.into_data() {
            bytes.extend_from_slice(&part);
        }
        if bytes.len() > BYTES_MAX {
            return Err(Lost { why: format!("the answer has more than {} MiB", BYTES_MAX >> 20), is_unsure: true });
        }
    }
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: bytes })
}

fn never_sent(why: &str) -> Lost {
    Lost { why: why.to_string(), is_unsure: false }
}

/// Says why, without the address: it may be that of a proxy with a password.
fn lost(error: &octocrab::Error) -> Lost {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return Lost { why: in_words(error), is_unsure: !error.is_connect() && !error.is_builder() };
        }
        next = error.source();
    }
    Lost { why: "the connection broke".into(), is_unsure: true }
}

fn in_words(error: &reqwest::Error) -> String {
    let certificate = root(error).to_lowercase().contains("certificate");
    match () {
        () if certificate => "its certificate is not trusted here".into(),
        () if error.is_timeout() => "it does not answer in time".into(),
        () if error.is_connect() => "it can't be reached".into(),
        () => "the connection broke".into(),
    }
}

fn root(error: &(dyn StdError + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_nobody_else() {
        let base = Base("https://github.example/api/v3".into());
        assert_eq!(base.path("https://github.example/api/v3/repos/a/b?page=2"), Some("/repos/a/b?page=2"));
        for other in ["https://github.example/api/v3.evil.example/x", "https://evil.example/api/v3/repos", "/repos/a"] {
            assert_eq!(base.path(other), None, "{other}");
        }
    }

    #[test]
    fn the_next_page_is_the_one_that_is_called_so() {
        let links = "<https://api.github.com/x?page=1>; rel=\"prev\", <https://api.github.com/x?page=3>; rel=\"next\"";
        let headers = HeaderMap::from_iter([(http::header::LINK, links.parse().expect("a header"))]);
        let answer = Answer { status: 200, headers, body: vec![] };
        assert_eq!(answer.next(), Some("https://api.github.com/x?page=3"));
    }
}
