//! Three object stores on loopback: moto for S3 and Azurite for Azure, real processes that `scripts/engines` installs, and a server of
//! our own for Google. Each is started once for a test binary and ends with it, however it ends.

#![allow(dead_code)] // compiled into several binaries, each of which uses a part

mod azure;
pub(crate) mod emulator;
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

/// Moto looks whether an object is there and writes it in two steps, and answers many at once: of two who create an object, both may be
/// told that it is theirs. No S3 does that, so it gets to answer one request after the other.
const ONE_AT_A_TIME: &str = "
import threading, moto.server as server
run, turn = server.run_simple, threading.Lock()
def one_at_a_time(host, port, app, **settings):
    def answer(*request):
        with turn:
            return list(app(*request))
    run(host, port, answer, **settings)
server.run_simple = one_at_a_time
server.main()
";

/// The Python that a script begins with, or that lies beside it where another program chooses one, told to run moto one request at a
/// time.
fn in_turn(script: &std::path::Path) -> Vec<std::ffi::OsString> {
    let text = std::fs::read_to_string(script).expect("it is a script");
    let first = text.lines().next().and_then(|line| line.strip_prefix("#!")).expect("it says what runs it");
    let beside = script.with_file_name("python3");
    let python = if first.contains("python") { first } else { beside.to_str().expect("a path in UTF-8") };
    python.split_whitespace().chain(["-c", ONE_AT_A_TIME]).map(Into::into).collect()
}

/// Returns S3, spoken by moto.
pub(crate) fn s3() -> Option<Cloud> {
    static MOTO: OnceLock<Option<Emulator>> = OnceLock::new();
    let start = || {
        let moto = Emulator::start_by("moto", "moto_server", in_turn, &["-H", "127.0.0.1", "-p", "0"], &[])?;
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
