//! Tells an object store's answer from the page of somebody who stands in between: a login page, a proxy, a web server at the wrong
//! address. They answer 200, and a listing of theirs would be one without names. Knows what answers look like; not what was asked for.

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// Begin the names of headers that only an object store sends.
const OWN_HEADERS: [&str; 3] = ["x-amz-", "x-goog-", "x-ms-"];

/// Elements that a listing is.
const LISTINGS: [&str; 2] = ["ListBucketResult", "EnumerationResults"];

/// Somebody answered well, and it is no object store.
#[derive(Debug, thiserror::Error)]
#[error("a web page was answered")]
pub(super) struct WebPage;

/// Makes clients that refuse the answers of anybody else: one for all that want the same of it, for each reads the certificates of the
/// machine. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Discerning(Arc<Mutex<BTreeMap<String, HttpClient>>>);

#[derive(Debug)]
struct Client(HttpClient);

impl HttpConnector for Discerning {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient, object_store::Error> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wants = format!("{options:?}"); // it tells all of its members
        if let Some(client) = made.get(&wants) {
            return Ok(client.clone());
        }
        let client = HttpClient::new(Client(ReqwestConnector::default().connect(options)?));
        made.insert(wants, client.clone());
        Ok(client)
    }
}

impl HttpService for Client {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let is_listing = is_listing(&request);
        Box::pin(async move {
            let answer = self.0.execute(request).await?;
            let may_be_page = is_page(answer.headers());
            if !answer.status().is_success() || !(is_listing || may_be_page) {
                return Ok(answer);
            }
            let (parts, body) = answer.into_parts();
            let bytes = body.bytes().await?;
            let is_foreign = if is_listing { !is_list(&bytes) } else { is_html(&bytes) };
            if is_foreign {
                Err(HttpError::new(HttpErrorKind::Decode, WebPage))
            } else {
                Ok(HttpResponse::from_parts(parts, bytes.into()))
            }
        })
    }
}

fn is_listing(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && query.split('&').any(|pair| matches!(pair, "list-type=2" | "comp=list"))
}

/// Somebody may have uploaded a page: then the store that keeps it says more of itself.
fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_own = |name: &str| OWN_HEADERS.iter().any(|own| name.starts_with(own));
    kind.trim_start().to_ascii_lowercase().starts_with("text/html") && !headers.keys().any(|name| is_own(name.as_str()))
}

fn is_html(bytes: &[u8]) -> bool {
    start(bytes).trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// Its first element is that of a listing.
fn is_list(bytes: &[u8]) -> bool {
    let text = start(bytes);
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(after) = rest.strip_prefix("<?").and_then(|rest| rest.split_once("?>")).map(|(_, after)| after) {
        rest = after.trim_start();
    }
    LISTINGS.iter().any(|name| rest.strip_prefix('<').is_some_and(|rest| rest.starts_with(name)))
}

/// As much as tells what it is.
fn start(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(1024)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_made_for_all_who_want_the_same_of_it() {
        let (connector, none) = (Discerning::default(), ClientOptions::new);
        let second = std::time::Duration::from_secs(1);
        let plain = none().with_allow_http(true);
        let wishes = [none(), plain, none().with_timeout(second), none().with_connect_timeout(second)];
        for options in wishes.iter().chain(&wishes) {
            connector.clone().connect(options).expect("it can be made");
        }
        assert_eq!(connector.0.lock().expect("nobody panicked").len(), wishes.len());
    }

    #[test]
    fn only_a_listing_is_a_listing() {
        for text in [
            "<ListBucketResult/>",
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<EnumerationResults ServiceEndpoint=\"x\">",
            "<?xml version='1.0'?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        ] {
            assert!(is_list(text.as_bytes()), "{text}");
        }
        for text in
            ["", "{}", "<!DOCTYPE html><html>", "<html><ListBucketResult/></html>", "<?xml version='1.0'?><html/>", "\u{0}"]
        {
            assert!(!is_list(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_page_that_somebody_uploaded_is_an_object() {
        let headers = |own: Option<&'static str>, kind: &'static str| {
            let own = own.map(|name| (name.parse().expect("a name"), "1".parse().expect("a value")));
            let kind = (CONTENT_TYPE, kind.parse().expect("a value"));
            is_page(&own.into_iter().chain([kind]).collect::<HeaderMap>())
        };
        assert!(headers(None, "text/html; charset=utf-8") && headers(Some("x-cache"), "Text/HTML"));
        assert!(!headers(Some("x-amz-request-id"), "text/html") && !headers(Some("x-ms-version"), "text/html"));
        assert!(!headers(Some("x-goog-generation"), "text/html") && !headers(None, "application/octet-stream"));
        assert!(is_html(b"\n<html>") && !is_html(b"# a page about <html>"));
    }
}
