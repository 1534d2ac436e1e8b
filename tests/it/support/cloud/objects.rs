//! What lies in a bucket of Google's, and how its XML interface is spoken: requests, objects with generations and conditions, answers;
//! as much of it as is spoken to. Knows no connection, and nothing that goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write as _};
use std::ops::Bound;
use std::sync::Arc;

pub(crate) const TOKEN: &str = "canary-google-token";

/// The one bucket that exists.
pub(crate) const BUCKET: &str = "isobar-tests";

/// The objects of the bucket. A clone shares their bytes.
#[derive(Clone)]
pub(crate) struct Objects {
    /// By bucket and name: bytes and generation.
    by_path: BTreeMap<String, (Arc<[u8]>, u64)>,
    generations: u64,
    /// Names in one answer to a listing.
    page: usize,
    pub(super) forgets_conditions: bool,
    /// Of paths whose objects nobody may write over or delete.
    pub(super) locked: BTreeSet<String>,
}

pub(crate) struct Request {
    pub(crate) method: String,
    /// With the bucket, decoded.
    pub(crate) path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Objects {
    /// An empty bucket that names so many objects in one answer.
    pub(crate) fn by_pages_of(page: usize) -> Self {
        Self { by_path: BTreeMap::new(), generations: 0, page, forgets_conditions: false, locked: BTreeSet::new() }
    }

    /// Every object whose name begins with `prefix`, by the rest of it.
    pub(crate) fn below(&self, prefix: &str) -> BTreeMap<String, String> {
        let whole = format!("{BUCKET}/{prefix}");
        let own = self.by_path.iter().filter_map(|(path, (bytes, _))| Some((path.strip_prefix(&whole)?, bytes)));
        own.map(|(name, bytes)| (name.to_string(), String::from_utf8_lossy(bytes).into_owned())).collect()
    }

    /// Puts an object there as somebody does who asks for no condition; `None` takes it away.
    pub(crate) fn meddle(&mut self, name: &str, text: Option<&str>) {
        let path = format!("{BUCKET}/{name}");
        self.generations += 1;
        match text {
            Some(text) => drop(self.by_path.insert(path, (text.as_bytes().into(), self.generations))),
            None => drop(self.by_path.remove(&path)),
        }
    }

    /// Puts back what was there once, each object as if it were written anew.
    pub(crate) fn put_back(&mut self, once: &Self) {
        let next = self.generations + 1;
        let anew = once.by_path.iter().zip(next..);
        self.by_path = anew.map(|((path, (bytes, _)), generation)| (path.clone(), (bytes.clone(), generation))).collect();
        self.generations += once.by_path.len() as u64;
    }

    /// What is answered whatever is asked: to who brings no token, or names another bucket.
    pub(crate) fn refusal(request: &Request) -> Option<Answer> {
        if request.headers.get("authorization").map(String::as_str) != Some(&format!("Bearer {TOKEN}")) {
            return Some(Answer::error(401, "AuthenticationRequired"));
        }
        (request.path.split('/').next() != Some(BUCKET)).then(|| Answer::error(404, "NoSuchBucket"))
    }

    pub(crate) fn read(&self, request: &Request) -> Answer {
        if request.query.contains_key("list-type") {
            return self.list(request);
        }
        match self.by_path.get(&request.path) {
            None => Answer::error(404, "NoSuchKey"),
            Some((bytes, generation)) => Answer { status: 200, headers: versioned(*generation), body: bytes.to_vec() },
        }
    }

    pub(crate) fn write(&mut self, request: &Request) -> Answer {
        let there = self.by_path.get(&request.path).map_or(0, |(_, generation)| *generation);
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
                self.by_path.insert(request.path.clone(), (request.body.as_slice().into(), self.generations));
                Answer { status: 200, headers: versioned(self.generations), body: vec![] }
            }
            "DELETE" if self.by_path.remove(&request.path).is_none() => Answer::error(404, "NoSuchKey"),
            "DELETE" => Answer { status: 204, headers: vec![], body: vec![] },
            _ => Answer::error(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, request: &Request) -> Answer {
        let of = |name: &str| request.query.get(name).map(String::as_str).unwrap_or_default();
        let (prefix, after) = (of("prefix"), of("continuation-token"));
        let mut names = BTreeSet::new();
        let whole = format!("{BUCKET}/{prefix}");
        let from = (Bound::Included(whole.as_str()), Bound::Unbounded);
        for path in self.by_path.range::<str, _>(from).map(|(path, _)| path).take_while(|path| path.starts_with(&whole)) {
            let (key, rest) = (&path[BUCKET.len() + 1..], &path[whole.len()..]);
            let end = if of("delimiter").is_empty() { None } else { rest.find('/') };
            names.insert(end.map_or(key, |end| &key[..prefix.len() + end + 1]));
        }
        let names: Vec<&str> = names.into_iter().filter(|name| *name > after).collect();
        let page = &names[..names.len().min(self.page)];
        let mut body = String::from("<ListBucketResult>");
        for name in page {
            let name = name.replace('&', "&amp;").replace('<', "&lt;");
            body += &match self.by_path.get(&format!("{BUCKET}/{name}")) {
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
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self { status, headers: vec![], body: format!("<Error><Code>{code}</Code></Error>").into_bytes() }
    }

    pub(crate) fn is_good(&self) -> bool {
        self.status < 300
    }

    /// Its bytes on the wire, for a request of this method.
    pub(crate) fn text(&self, method: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} -\r\ncontent-length: {}\r\n", self.status, self.body.len()).into_bytes();
        for (name, value) in &self.headers {
            let _written = write!(head, "{name}: {value}\r\n"); // a vector takes all
        }
        let body = if method == "HEAD" { &[] } else { self.body.as_slice() };
        [head.as_slice(), b"\r\n", body].concat()
    }
}

impl Request {
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut request = Self::head(reader)?;
        request.take(reader, request.length()).then_some(request)
    }

    /// All that comes before the body.
    pub(crate) fn head(reader: &mut impl BufRead) -> Option<Self> {
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
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(name, value)| (name.to_string(), decoded(&value.replace('+', " ")))).collect();
        Some(Self { method, path: decoded(path.trim_start_matches('/')), query, headers, body: Vec::new() })
    }

    /// How long its body is said to be.
    pub(crate) fn length(&self) -> usize {
        self.headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Takes so many bytes of the body; false when they do not come.
    pub(crate) fn take(&mut self, reader: &mut impl BufRead, bytes: usize) -> bool {
        self.body = vec![0; bytes];
        reader.read_exact(&mut self.body).is_ok()
    }

    pub(crate) fn is_read(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// What is listed, where that is asked.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.query.get("prefix").map(String::as_str)
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
