//! A request as it came over the wire, and an answer as it goes back. Knows HTTP and nothing of GitHub.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Decoded parts of the path, without those of an Enterprise Server's prefix.
    pub(crate) path: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    /// As it stood in the first line.
    pub(crate) target: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads one; `None` where none comes any more.
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Self> {
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
        let body = body(reader, &headers)?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.strip_prefix("/api/v3").or(path.strip_prefix("/api")).unwrap_or(path);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Some(Self {
            method,
            path: path.split('/').filter(|part| !part.is_empty()).map(decoded).collect(),
            query: pairs.map(|(name, value)| (decoded(name), decoded(&value.replace('+', " ")))).collect(),
            headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            target,
        })
    }

    pub(crate) fn number(&self, name: &str, default: usize) -> usize {
        self.query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    }
}

fn body(reader: &mut impl BufRead, headers: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    if headers.get("transfer-encoding").is_some_and(|how| how.contains("chunked")) {
        let mut whole = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim().split(';').next()?, 16).ok()?;
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk).ok()?;
            if length == 0 {
                return Some(whole);
            }
            whole.extend_from_slice(&chunk[..length]);
        }
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut whole = vec![0; length];
    reader.read_exact(&mut whole).ok()?;
    Some(whole)
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type".into(), "application/json; charset=utf-8".into())];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        Self { status, headers, body }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same without a field of the object that it holds.
    pub(crate) fn without(mut self, field: &str) -> Self {
        if let Ok(Value::Object(mut facts)) = serde_json::from_slice(&self.body) {
            facts.remove(field);
            self.body = Value::Object(facts).to_string().into_bytes();
        }
        self
    }

    pub(crate) fn is_good(&self) -> bool {
        self.status < 300
    }

    /// Its bytes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} -\r\n", self.status);
        if self.status != 204 {
            let _written = write!(head, "content-length: {}\r\n", self.body.len()); // a text takes all
        }
        for (name, value) in &self.headers {
            let _written = write!(head, "{name}: {value}\r\n");
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }
}
