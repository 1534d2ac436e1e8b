//! Three object stores on loopback: moto for S3 and Azurite for Azure, real processes that `scripts/engines` installs, and a server of
//! our own for Google. Each is started once for a test binary and ends with it, however it ends.

#![allow(dead_code)] // compiled into several binaries, each of which uses a part

mod azure;
mod emulator;
pub(crate) mod google;
pub(crate) mod objects;

use google::Google;

use emulator::Emulator;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One object store that can be reached.
#[derive(Clone)]
pub(crate) struct Cloud {
    /// The scheme of its URLs: `s3`, `gs`, `az`.
    pub(crate) name: &'static str,
    /// An empty container that exists.
    pub(crate) url: &'static str,
    /// What the environment must hold.
    pub(crate) variables: BTreeMap<&'static str, String>,
}

/// Returns every object store that this machine has the tool for; one that is absent is said on standard error.
pub(crate) fn clouds() -> Vec<Cloud> {
    let (s3, azure) = std::thread::scope(|scope| {
        let s3 = scope.spawn(s3);
        let azure = azure();
        (s3.join().expect("it starts or is not there"), azure)
    });
    [s3, azure, Some(google())].into_iter().flatten().collect()
}

/// Returns S3, spoken by moto.
pub(crate) fn s3() -> Option<Cloud> {
    static MOTO: OnceLock<Option<Emulator>> = OnceLock::new();
    let start = || {
        let moto = Emulator::start("moto", "moto_server", &["-H", "127.0.0.1", "-p", "0"], &[])?;
        assert_eq!(moto.send("PUT /isobar-tests HTTP/1.1", &[]), 200, "the bucket can be made");
        Some(moto)
    };
    let moto = MOTO.get_or_init(start).as_ref()?;
    let variables = [
        ("AWS_ACCESS_KEY_ID", "isobar".to_string()),
        ("AWS_SECRET_ACCESS_KEY", "canary-aws-secret".to_string()),
        ("AWS_REGION", "us-east-1".to_string()),
        ("AWS_ENDPOINT_URL", moto.url()),
    ];
    Some(Cloud { name: "s3", url: "s3://isobar-tests", variables: variables.into() })
}

/// Returns Azure Blob Storage, spoken by Azurite.
pub(crate) fn azure() -> Option<Cloud> {
    static AZURITE: OnceLock<Option<Emulator>> = OnceLock::new();
    let start = || {
        let arguments = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck"];
        let account = format!("{}:{}", azure::ACCOUNT, azure::KEY);
        let azurite = Emulator::start("azurite", "azurite-blob", &arguments, &[("AZURITE_ACCOUNTS", account)])?;
        azure::make_container(&azurite, "tests");
        Some(azurite)
    };
    let azurite = AZURITE.get_or_init(start).as_ref()?;
    let endpoint = format!("{}/{}", azurite.url(), azure::ACCOUNT);
    let variables = [("AZURE_STORAGE_KEY", azure::KEY.to_string()), ("AZURE_STORAGE_ENDPOINT", endpoint)];
    Some(Cloud { name: "az", url: "az://isobartests/tests", variables: variables.into() })
}

/// Returns Google Cloud Storage, spoken by our own server.
pub(crate) fn google() -> Cloud {
    google_server().cloud()
}

/// Returns that server, which can be told what to refuse.
pub(crate) fn google_server() -> &'static Google {
    static GOOGLE: OnceLock<Google> = OnceLock::new();
    GOOGLE.get_or_init(Google::start)
}
