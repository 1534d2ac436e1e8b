//! Deletes an object only when it is still a known version. The library's own delete has no condition, so the request is made here and
//! signed by the library.

use super::Version;
use super::patience::Asked;
use futures::StreamExt as _;
use object_store::aws::AmazonS3;
use object_store::azure::{AzureAuthorizer, AzureCredentialProvider};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::gcp::GcpCredentialProvider;
use object_store::path::Path;
use object_store::signer::Signer as _;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue, IF_MATCH};
use reqwest::{Method, Url};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A signed request is used at once.
const SIGNED_SECS: u64 = 300;

/// Bytes of an answer that are looked at for its code, about.
const ANSWER_MAX: usize = 16 * 1024;

const GENERATION: HeaderName = HeaderName::from_static("x-goog-if-generation-match");

/// Deletes the objects of one container.
pub(super) struct Eraser {
    pub(super) client: HttpClient,
    pub(super) rights: Rights,
}

/// Who signs, and where the objects are.
pub(super) enum Rights {
    S3(AmazonS3),
    Google { credentials: GcpCredentialProvider, bucket: String },
    Azure { credentials: AzureCredentialProvider, account: Arc<str>, container: String },
}

impl Eraser {
    pub(super) async fn delete(&self, path: &Path, expected: &Version) -> Result<(), Asked> {
        let request = self.request(path, expected).await?;
        let answer = self.client.execute(request).await.map_err(|error| Asked::lost(&error))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(());
        }
        let (mut text, mut body) = (Vec::new(), answer.into_body().bytes_stream());
        while let Some(Ok(part)) = body.next().await.filter(|_| text.len() < ANSWER_MAX) {
            text.extend_from_slice(&part);
        }
        Err(Asked::answered(status, &String::from_utf8_lossy(&text)))
    }

    async fn request(&self, path: &Path, expected: &Version) -> Result<HttpRequest, Asked> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::DELETE;
        let condition = |request: &mut HttpRequest, name: HeaderName, value: &Option<String>| {
            let value = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok());
            request
                .headers_mut()
                .insert(name, value.ok_or_else(|| Asked::unusable("the object has no version to delete it by"))?);
            Ok::<(), Asked>(())
        };
        match &self.rights {
            Rights::S3(store) => {
                // A URL that carries its signature: the condition beside it need not be signed.
                let url = store.signed_url(Method::DELETE, path, Duration::from_secs(SIGNED_SECS)).await?;
                aim(&mut request, url.as_str())?;
                condition(&mut request, IF_MATCH, &expected.e_tag)?;
            }
            Rights::Google { credentials, bucket } => {
                aim(&mut request, &format!("{bucket}/{}", encoded(path.as_ref())))?;
                condition(&mut request, GENERATION, &expected.generation)?;
                let credential = credentials.get_credential().await?;
                let mut bearer = HeaderValue::from_str(&format!("Bearer {}", credential.bearer))
                    .map_err(|_| Asked::unusable("the access token holds a character that no header may have"))?;
                bearer.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, bearer);
            }
            Rights::Azure { credentials, account, container } => {
                let mut url = Url::parse(container).map_err(|_| Asked::unusable("the endpoint is no URL"))?;
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.extend(path.parts());
                }
                aim(&mut request, url.as_str())?;
                condition(&mut request, IF_MATCH, &expected.e_tag)?;
                let credential = credentials.get_credential().await?;
                AzureAuthorizer::new(&credential, account).try_authorize(&mut request)?;
            }
        }
        Ok(request)
    }
}

fn aim(request: &mut HttpRequest, url: &str) -> Result<(), Asked> {
    *request.uri_mut() = url.parse().map_err(|_| Asked::unusable("the endpoint is no URL"))?;
    Ok(())
}

/// Encodes all that is no letter or digit, as the library does for this service.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => text.push(char::from(byte)),
            false => write!(text, "%{byte:02X}").expect("a string takes all"),
        }
    }
    text
}
