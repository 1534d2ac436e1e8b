//! A Google Cloud Storage of our own on loopback: the XML interface with generations and their conditions, as much of it as is spoken
//! to. It can lose an answer, answer nonsense for a while, and forget its conditions.

use super::Cloud;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TOKEN: &str = "canary-google-token";

/// Names in one answer to a listing.
const PAGE: usize = 3;

/// What goes wrong with one of the next writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Goes well: for a trouble with a later one.
    None,
    /// Answers this status, and does nothing.
    Answer(u16),
    /// Closes the connection, and does nothing.
    LoseRequest,
    /// Does it, and closes the connection.
    LoseAnswer,
    /// Does nothing, and says nothing as long as the other side waits.
    Silence,
}

#[derive(Clone)]
pub(crate) struct Google {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By bucket and name: bytes and generation.
    objects: BTreeMap<String, (Vec<u8>, u64)>,
    generations: u64,
    troubles: VecDeque<Trouble>,
    forgets_conditions: bool,
    is_elsewhere: bool,
    is_web_page: bool,
    /// When nobody is answered any more.
    death: Option<Death>,
    /// Of paths whose objects nobody may write over or delete.
    locked: BTreeSet<String>,
    requests: usize,
    is_silent: bool,
    /// Of paths that nobody may write to.
    forbidden: BTreeSet<String>,
    /// What paths end with whose writes are answered late, and how late.
    late: Option<(String, Duration)>,
}

/// The asker dies, or the network: after so many requests, of which the last may still be done.
struct Death {
    left: usize,
    is_done: bool,
    /// The first that was not answered was a write.
    over: Option<bool>,
}

struct Request {
    method: String,
    /// With the bucket, decoded.
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// What becomes of a request.
enum Reply {
    Answer(Answer),
    Close,
    Silence,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Google {
    /// Starts to listen; its threads end with the process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let google = Self { address: listener.local_addr().expect("it is bound"), state: Arc::default() };
        let own = google.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        google
    }

    pub(crate) fn cloud(&self) -> Cloud {
        let url = format!("http://{}", self.address);
        let variables = [("GOOGLE_OAUTH_ACCESS_TOKEN", TOKEN.to_string()), ("GOOGLE_BASE_URL", url)];
        Cloud { name: "gs", url: "gs://isobar-tests", variables: variables.into() }
    }

    /// Everything that it keeps, by bucket and name, and which writing of it that is.
    pub(crate) fn objects(&self) -> BTreeMap<String, (Vec<u8>, u64)> {
        self.state().objects.clone()
    }

    /// Puts back what it once kept. Each counts as written anew, or a request that is still on its way would meet what it expects.
    pub(crate) fn put_back(&self, objects: &BTreeMap<String, (Vec<u8>, u64)>) {
        let mut state = self.state();
        let next = state.generations + 1;
        let anew = objects.iter().zip(next..).map(|((path, (bytes, _)), generation)| (path.clone(), (bytes.clone(), generation)));
        state.objects = anew.collect();
        state.generations += objects.len() as u64;
    }

    /// Lets the next writes go wrong, one after the other.
    pub(crate) fn troubles(&self, troubles: &[Trouble]) {
        self.state().troubles.extend(troubles);
    }

    /// Takes every write from now on, as some that speak such a protocol do.
    pub(crate) fn forget_conditions(&self) {
        self.state().forgets_conditions = true;
    }

    /// Answers from now on as a web server does that knows nothing of buckets.
    pub(crate) fn be_elsewhere(&self) {
        self.state().is_elsewhere = true;
    }

    /// Answers everything from now on with a page for people, as whoever stands in between does; or as itself again.
    pub(crate) fn be_a_web_page(&self, is_web_page: bool) {
        self.state().is_web_page = is_web_page;
    }

    /// Answers so many more requests and then none, until [`Google::live`]; the first of those may still be done.
    pub(crate) fn die_after(&self, left: usize, is_done: bool) {
        self.state().death = Some(Death { left, is_done, over: None });
    }

    /// Answers again. Returns whether the first request that had not been answered was a write, if there was one.
    pub(crate) fn live(&self) -> Option<bool> {
        self.state().death.take().and_then(|death| death.over)
    }

    /// Lets nobody write over or delete what is below `prefix` of the bucket, as a retention does, or lets them again.
    pub(crate) fn lock(&self, prefix: &str, is_locked: bool) {
        let prefix = format!("isobar-tests/{prefix}");
        let locked = &mut self.state().locked;
        let _known = if is_locked { locked.insert(prefix) } else { locked.remove(&prefix) };
    }

    /// Returns how many requests came so far.
    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    /// Says whether a request came that is never answered.
    pub(crate) fn is_silent(&self) -> bool {
        self.state().is_silent
    }

    /// Lets nobody write below `prefix` of the bucket, or lets them again.
    pub(crate) fn forbid(&self, prefix: &str, is_forbidden: bool) {
        let prefix = format!("isobar-tests/{prefix}");
        let forbidden = &mut self.state().forbidden;
        let _known = if is_forbidden { forbidden.insert(prefix) } else { forbidden.remove(&prefix) };
    }

    /// Answers every write to a path with this end so much later.
    pub(crate) fn answer_late(&self, end: &str, by: Duration) {
        self.state().late = Some((end.into(), by));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(mut writer) = stream.try_clone() else { return };
        let mut reader = BufReader::new(stream);
        while let Some(request) = Request::read(&mut reader) {
            let (answer, late) = {
                let mut state = self.state();
                let late = state.late.clone().filter(|(end, _)| request.method == "PUT" && request.path.ends_with(end.as_str()));
                (state.answer(&request), late)
            };
            if let Some((_, by)) = late {
                std::thread::sleep(by);
            }
            let answer = match answer {
                Reply::Answer(answer) => answer,
                Reply::Close => return,
                Reply::Silence => return drop(reader.read_to_end(&mut Vec::new())), // until the other side goes
            };
            let mut head = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
            for (name, value) in &answer.headers {
                head += &format!("{name}: {value}\r\n");
            }
            let body = if request.method == "HEAD" { &[] } else { answer.body.as_slice() };
            let text = [head.as_bytes(), b"\r\n", body].concat();
            if writer.write_all(&text).is_err() {
                return;
            }
        }
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        self.requests += 1;
        if self.is_web_page {
            let headers = vec![("content-type", "text/html; charset=utf-8".into()), ("etag", "\"page\"".into())];
            let body = b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>".into();
            return Reply::Answer(Answer { status: 200, headers, body });
        }
        if self.is_elsewhere {
            return Reply::Answer(Answer { status: 404, headers: vec![], body: b"<html>Not Found</html>".into() });
        }
        if request.headers.get("authorization").map(String::as_str) != Some(&format!("Bearer {TOKEN}")) {
            return Reply::Answer(Answer::error(401, "AuthenticationRequired"));
        }
        if request.path.split('/').next() != Some("isobar-tests") {
            return Reply::Answer(Answer::error(404, "NoSuchBucket"));
        }
        if let Some(death) = &mut self.death {
            match death.left.checked_sub(1) {
                Some(left) => death.left = left,
                None => {
                    let is_write = !matches!(request.method.as_str(), "GET" | "HEAD");
                    let is_last = death.over.is_none();
                    death.over.get_or_insert(is_write);
                    if is_last && is_write && death.is_done {
                        self.write(request);
                    }
                    return Reply::Close;
                }
            }
        }
        if matches!(request.method.as_str(), "GET" | "HEAD") {
            return Reply::Answer(if request.query.contains_key("list-type") { self.list(request) } else { self.get(request) });
        }
        if self.forbidden.iter().any(|prefix| request.path.starts_with(prefix)) {
            return Reply::Answer(Answer::error(403, "AccessDenied"));
        }
        match self.troubles.pop_front().unwrap_or(Trouble::None) {
            Trouble::None => Reply::Answer(self.write(request)),
            Trouble::Answer(status) => Reply::Answer(Answer::error(status, "")),
            Trouble::LoseRequest => Reply::Close,
            Trouble::LoseAnswer => {
                self.write(request);
                Reply::Close
            }
            Trouble::Silence => {
                self.is_silent = true;
                Reply::Silence
            }
        }
    }

    fn get(&self, request: &Request) -> Answer {
        match self.objects.get(&request.path) {
            None => Answer::error(404, "NoSuchKey"),
            Some((bytes, generation)) => Answer { status: 200, headers: versioned(*generation), body: bytes.clone() },
        }
    }

    fn write(&mut self, request: &Request) -> Answer {
        let there = self.objects.get(&request.path).map_or(0, |(_, generation)| *generation);
        let expected = request.headers.get("x-goog-if-generation-match").and_then(|text| text.parse().ok());
        if expected.is_some_and(|expected: u64| expected != there) && !self.forgets_conditions {
            return Answer::error(412, "PreconditionFailed");
        }
        if there > 0 && self.locked.iter().any(|prefix| request.path.starts_with(prefix)) {
            return Answer::error(403, "RetentionPolicyNotMet");
        }
        match request.method.as_str() {
            "PUT" => {
                self.generations += 1;
                self.objects.insert(request.path.clone(), (request.body.clone(), self.generations));
                Answer { status: 200, headers: versioned(self.generations), body: vec![] }
            }
            "DELETE" if self.objects.remove(&request.path).is_none() => Answer::error(404, "NoSuchKey"),
            "DELETE" => Answer { status: 204, headers: vec![], body: vec![] },
            _ => Answer::error(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, request: &Request) -> Answer {
        let of = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
        let (prefix, after) = (of("prefix"), of("continuation-token"));
        let mut names = BTreeSet::new();
        for key in self.objects.keys().filter_map(|path| path.strip_prefix("isobar-tests/")) {
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            let end = if of("delimiter").is_empty() { None } else { rest.find('/') };
            names.insert(end.map_or(key, |end| &key[..prefix.len() + end + 1]));
        }
        let names: Vec<&str> = names.into_iter().filter(|name| *name > after).collect();
        let page = &names[..names.len().min(PAGE)];
        let mut body = String::from("<ListBucketResult>");
        for name in page {
            let name = name.replace('&', "&amp;").replace('<', "&lt;");
            body += &match self.objects.get(&format!("isobar-tests/{name}")) {
                Some((bytes, generation)) => format!(
                    "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>2026-11-01T00:00:00Z</LastModified><ETag>{generation}</ETag></Contents>",
                    bytes.len()
                ),
                None => format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
            };
        }
        if let Some(last) = page.last().filter(|_| page.len() < names.len()) {
            body += &format!("<NextContinuationToken>{last}</NextContinuationToken>");
        }
        Answer { status: 200, headers: vec![], body: (body + "</ListBucketResult>").into_bytes() }
    }
}

fn versioned(generation: u64) -> Vec<(&'static str, String)> {
    vec![
        ("etag", format!("\"{generation}\"")),
        ("x-goog-generation", generation.to_string()),
        ("last-modified", "Sun, 01 Nov 2026 00:00:00 GMT".into()),
    ]
}

impl Answer {
    fn error(status: u16, code: &str) -> Self {
        Self { status, headers: vec![], body: format!("<Error><Code>{code}</Code></Error>").into_bytes() }
    }
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
        let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (name.to_string(), decoded(&value.replace('+', " ")))).collect();
        Some(Self { method, path: decoded(path.trim_start_matches('/')), query, headers, body })
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).expect("names are UTF-8")
}
