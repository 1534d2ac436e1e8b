//! The clients of the three services: one timeout, no retries of their own, and no word of the environment but [`Access`].

use super::Bucket;
use super::access::Access;
use super::address::{Container, Service};
use super::answer::Discerning;
use super::delete::{Eraser, Rights};
use super::fault::Fault;
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::{MicrosoftAzureBuilder, split_sas};
use object_store::client::HttpConnector as _;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::PaginatedListStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

const CONNECT_SECS: u64 = 5;

/// One request with its whole answer.
const REQUEST_SECS: u64 = 60;

const GOOGLE: &str = "https://storage.googleapis.com";

/// Makes the client of a container. Asks nobody yet; a file of credentials is read.
pub(super) fn open(container: &Container, access: &Access, connector: &Discerning) -> Result<Bucket, Fault> {
    let made = match container.service {
        Service::S3 => s3(container, access, connector),
        Service::Google => google(container, access, connector),
        Service::Azure => azure(container, access, connector),
    };
    let (store, lists, eraser) = made.map_err(|error| unfit_credentials(container, &error))?;
    Ok(Bucket { container: container.clone(), store, lists, eraser: Arc::new(eraser), tried: Arc::default() })
}

type Made = (Arc<dyn ObjectStore>, Arc<dyn PaginatedListStore>, Eraser);

fn s3(container: &Container, access: &Access, connector: &Discerning) -> Result<Made, object_store::Error> {
    let mut builder = AmazonS3Builder::new().with_http_connector(connector.clone());
    for (name, value) in access.below("AWS_") {
        builder = builder.with_config(name.to_ascii_lowercase().parse()?, value);
    }
    let options = options(access.first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
    let store = builder
        .with_bucket_name(&*container.name)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(options.clone())
        .with_retry(no_retries())
        .build()?;
    let eraser = Eraser { client: connector.connect(&options)?, rights: Rights::S3(store.clone()) };
    Ok((Arc::new(store.clone()), Arc::new(store), eraser))
}

fn google(container: &Container, access: &Access, connector: &Discerning) -> Result<Made, object_store::Error> {
    let base = access.get("GOOGLE_BASE_URL").unwrap_or(GOOGLE).trim_end_matches('/');
    let mut builder = GoogleCloudStorageBuilder::new().with_http_connector(connector.clone()).with_base_url(base);
    builder = match (access.get("GOOGLE_OAUTH_ACCESS_TOKEN"), access.get("GOOGLE_SERVICE_ACCOUNT_KEY")) {
        (Some(token), _) => builder.with_bearer_token(token),
        (None, Some(key)) => builder.with_service_account_key(key),
        (None, None) => match access.get("GOOGLE_APPLICATION_CREDENTIALS") {
            Some(path) => builder.with_application_credentials(path),
            None => builder,
        },
    };
    let options = options(Some(base));
    let store =
        builder.with_bucket_name(&*container.name).with_client_options(options.clone()).with_retry(no_retries()).build()?;
    let rights = Rights::Google { credentials: store.credentials().clone(), bucket: format!("{base}/{}", container.name) };
    let eraser = Eraser { client: connector.connect(&options)?, rights };
    Ok((Arc::new(store.clone()), Arc::new(store), eraser))
}

fn azure(container: &Container, access: &Access, connector: &Discerning) -> Result<Made, object_store::Error> {
    let of_account = || format!("https://{}.blob.core.windows.net", container.account);
    let endpoint = access.get("AZURE_STORAGE_ENDPOINT").map_or_else(of_account, String::from);
    // A key is of one account, and goes to no other that a definition may name.
    let is_of_key = access.get("AZURE_STORAGE_ACCOUNT").is_none_or(|account| account == &*container.account);
    let mut builder = MicrosoftAzureBuilder::new().with_http_connector(connector.clone());
    for (name, value) in access.below("AZURE_") {
        builder = match name {
            "AZURE_STORAGE_KEY" | "AZURE_STORAGE_ACCOUNT_KEY" if is_of_key => builder.with_access_key(value),
            "AZURE_STORAGE_SAS_TOKEN" if is_of_key => builder.with_sas_authorization(split_sas(value)?),
            name if name.starts_with("AZURE_STORAGE_") => builder,
            name => builder.with_config(name.to_ascii_lowercase().parse()?, value),
        };
    }
    let options = options(Some(&endpoint));
    let store = builder
        .with_account(&*container.account)
        .with_container_name(&*container.name)
        .with_endpoint(endpoint.clone())
        .with_client_options(options.clone())
        .with_retry(no_retries())
        .build()?;
    let rights = Rights::Azure {
        credentials: store.credentials().clone(),
        account: container.account.clone(),
        container: format!("{}/{}", endpoint.trim_end_matches('/'), container.name),
    };
    let eraser = Eraser { client: connector.connect(&options)?, rights };
    Ok((Arc::new(store.clone()), Arc::new(store), eraser))
}

/// Plain HTTP is spoken only where an endpoint says so.
fn options(endpoint: Option<&str>) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")))
        .with_connect_timeout(Duration::from_secs(CONNECT_SECS))
        .with_timeout(Duration::from_secs(REQUEST_SECS))
}

/// The library would ask again without telling us, and then we could not know a write of our own that was asked twice.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn unfit_credentials(container: &Container, error: &object_store::Error) -> Fault {
    let hint = match container.service {
        Service::S3 => "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
        Service::Google => "set GOOGLE_OAUTH_ACCESS_TOKEN, or name a service account's file in GOOGLE_APPLICATION_CREDENTIALS",
        Service::Azure => "set AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or AZURE_CLIENT_ID with AZURE_TENANT_ID",
    };
    // What the library says may quote a key that it could not read.
    let kind = match error {
        object_store::Error::Generic { source, .. } if source.to_string().contains("external_account") => {
            "a file of the kind external_account is not supported"
        }
        _ => "the credentials in the environment can't be used",
    };
    Fault::plain(format!("opening {container}: {kind}; {hint}"))
}
