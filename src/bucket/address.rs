//! Where an object is: `s3://bucket/…`, `gs://bucket/…`, `az://account/container/…`. Knows how names are written, and asks nobody.

use std::fmt;
use std::sync::Arc;

/// Which protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    S3,
    Google,
    Azure,
}

/// A bucket, or a container of an Azure storage account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Container {
    pub(super) service: Service,
    /// Of Azure; empty elsewhere.
    pub(super) account: Arc<str>,
    pub(super) name: Arc<str>,
}

/// A container and what was written behind it, not looked at yet: without `/` at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub container: Container,
    pub prefix: Arc<str>,
}

/// What is wrong with a URL, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub what: String,
    pub hint: String,
}

impl Address {
    /// The schemes, each with an example.
    pub const EXAMPLES: [(&'static str, &'static str); 3] = [
        ("s3://", "s3://bucket/live/prod/eu-west-1/network"),
        ("gs://", "gs://bucket/live/prod/eu-west-1/network"),
        ("az://", "az://account/container/live/prod/eu-west-1/network"),
    ];

    /// Reads a URL; `None` when it has none of our schemes.
    pub fn parse(text: &str) -> Option<Result<Self, Flaw>> {
        let service = Service::of(text)?;
        let (scheme, example) = Self::EXAMPLES[service as usize];
        let mut parts = text[scheme.len()..].splitn(if service == Service::Azure { 3 } else { 2 }, '/');
        let account = if service == Service::Azure { parts.next().unwrap_or_default() } else { "" };
        let (name, prefix) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let container = Container { service, account: account.into(), name: name.into() };
        let hint = || format!("write it as {example}");
        let read = match container.fault() {
            Some(what) => Err(Flaw { what, hint: hint() }),
            None if prefix.starts_with('/') => Err(Flaw { what: "it has an empty part".into(), hint: hint() }),
            None => Ok(Self { container, prefix: prefix.trim_end_matches('/').into() }),
        };
        Some(read)
    }
}

impl Service {
    fn of(text: &str) -> Option<Self> {
        [Self::S3, Self::Google, Self::Azure].into_iter().find(|service| text.starts_with(service.scheme()))
    }

    fn scheme(self) -> &'static str {
        Address::EXAMPLES[self as usize].0
    }
}

impl Container {
    fn fault(&self) -> Option<String> {
        let named = |kind: &str, name: &str, allowed: &str, max: usize| {
            let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || allowed.contains(c);
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            match name {
                "" => Some(format!("it names no {kind}")),
                name if name.len() < 3 || name.len() > max || !name.chars().all(is_fit) => {
                    Some(format!("{name:?} can't be the name of a {kind}"))
                }
                name if ends(name.chars().next()) && ends(name.chars().last()) => None,
                name => Some(format!("{name:?} can't be the name of a {kind}")),
            }
        };
        match self.service {
            Service::S3 => named("bucket", &self.name, "-.", 63),
            Service::Google => named("bucket", &self.name, "-._", 222),
            Service::Azure => named("storage account", &self.account, "", 24).or_else(|| match &*self.name {
                "$web" | "$root" => None,
                name => named("container", name, "-", 63),
            }),
        }
    }

    /// Returns how an object of this container is told.
    pub fn url(&self, key: &str) -> String {
        if key.is_empty() { self.to_string() } else { format!("{self}/{key}") }
    }
}

/// As it is written, without `/` at the end.
impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = if self.account.is_empty() { String::new() } else { format!("{}/", self.account) };
        write!(f, "{}{account}{}", self.service.scheme(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, String), String> {
        let address = Address::parse(text).expect("a scheme of ours");
        address.map(|address| (address.container.to_string(), address.prefix.to_string())).map_err(|flaw| flaw.what)
    }

    #[test]
    fn a_url_is_a_container_and_a_prefix() {
        let pair = |container: &str, prefix: &str| Ok((container.to_string(), prefix.to_string()));
        assert_eq!(read("s3://docs-eu/live/prod/"), pair("s3://docs-eu", "live/prod"));
        assert_eq!(read("gs://docs.example.org"), pair("gs://docs.example.org", ""));
        assert_eq!(read("az://acme/docs/live//x"), pair("az://acme/docs", "live//x"));
        assert_eq!(read("az://acme/$web"), pair("az://acme/$web", ""));
        assert_eq!(Address::parse("https://docs"), None);
    }

    #[test]
    fn a_name_that_no_service_has_is_told_before_anybody_is_asked() {
        for (text, why) in [
            ("s3://", "it names no bucket"),
            ("s3:///live", "it names no bucket"),
            ("s3://Docs/live", "\"Docs\" can't be the name of a bucket"),
            ("s3://docs_eu", "\"docs_eu\" can't be the name of a bucket"),
            ("s3://-docs", "\"-docs\" can't be the name of a bucket"),
            ("s3://docs//live", "it has an empty part"),
            ("s3://key:secret@docs/live", "can't be the name of a bucket"),
            ("az://acme", "it names no container"),
            ("az://ac-me/docs", "\"ac-me\" can't be the name of a storage account"),
        ] {
            let told = read(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
