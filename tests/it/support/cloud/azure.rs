//! What Azurite must be told before a test: an account and a container.

use super::emulator::Emulator;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpRequest, HttpRequestBody};

pub(super) const ACCOUNT: &str = "isobartests";
pub(super) const KEY: &str = "Y2FuYXJ5LWF6dXJlLXNlY3JldA==";

pub(super) fn make_container(azurite: &Emulator, name: &str) {
    let path = format!("/{ACCOUNT}/{name}?restype=container");
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.method_mut() = reqwest::Method::PUT;
    *request.uri_mut() = format!("{}{path}", azurite.url()).parse().expect("a URL");
    let key = AzureAccessKey::try_new(KEY).expect("a key in base64");
    AzureAuthorizer::new(&AzureCredential::AccessKey(key), ACCOUNT).try_authorize(&mut request).expect("it can be signed");
    let headers: Vec<(&str, &str)> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().expect("a text"))).collect();
    assert_eq!(azurite.send(&format!("PUT {path} HTTP/1.1"), &headers), 201, "the container can be made");
}
