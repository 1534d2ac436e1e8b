//! The whole way of a change where the destination is a bucket: on moto for S3, Azurite for Azure, and a Google of our own.

use crate::support::cloud::{self, Cloud, clouds, google};
use crate::support::{Ran, Sandbox, app};
use isobar::bucket::{Access, Address, Bucket, Buckets};
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// A repository whose stack `app` publishes to a bucket, below a name that no other fleet has.
struct Fleet {
    sandbox: Sandbox,
    cloud: Cloud,
    bucket: Bucket,
    top: String,
}

impl Fleet {
    fn new(cloud: &Cloud, regions: &str, more: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let top = format!("stories/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let sandbox = cloud.variables.iter().fold(app(regions, more), |sandbox, (name, value)| sandbox.env(name, value));
        let destination = format!("{}/{top}/${{{{ region.id }}}}/${{{{ stack.name }}}}", cloud.url);
        sandbox.edit("app/stack.yaml", "file:./live/${{ region.id }}/app", &destination);
        sandbox.file("app/templates/more.txt", "more 1\n").commit("Into a bucket");
        let address = Address::parse(cloud.url).expect("a scheme of ours").expect("a name");
        let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
        let bucket = Buckets::new(access).open(&address.container).expect("it asks nobody");
        Self { sandbox, cloud: cloud.clone(), bucket, top }
    }

    /// Returns every object of this fleet.
    fn live(&self) -> BTreeMap<String, String> {
        let (mut found, mut dirs) = (BTreeMap::new(), vec![self.top.clone()]);
        while let Some(dir) = dirs.pop() {
            let names = RUNTIME.block_on(self.bucket.list(&dir, 1000)).expect("it can be listed");
            dirs.extend(names.prefixes.iter().map(|name| format!("{dir}/{name}")));
            for name in names.objects {
                let key = format!("{dir}/{name}");
                let object = RUNTIME.block_on(self.bucket.get(&key, 1 << 20)).expect("readable").expect("it is listed");
                let path = key[self.top.len() + 1..].to_string();
                found.insert(path, String::from_utf8(object.bytes).expect("a text"));
            }
        }
        found
    }

    /// Writes an object as somebody else would; `None` removes it.
    fn meddle(&self, path: &str, text: Option<&str>) {
        let key = format!("{}/{path}", self.top);
        let there = RUNTIME.block_on(self.bucket.get(&key, 1 << 20)).expect("readable").map(|object| object.version);
        match (text, there) {
            (Some(text), there) => {
                RUNTIME.block_on(self.bucket.put(&key, text.as_bytes(), there.as_ref())).expect("it can be written");
            }
            (None, there) => RUNTIME.block_on(self.bucket.delete(&key, &there.expect("it is there"))).expect("it can go"),
        }
    }

    /// Runs a line; no credential is ever told.
    fn isobar(&self, arguments: &str) -> Ran {
        let ran = self.sandbox.isobar(arguments);
        let secret = |name: &str| name.contains("SECRET") || name.contains("KEY") || name.contains("TOKEN");
        let secrets = self.cloud.variables.iter().filter(|(name, value)| secret(name) && value.len() > 8);
        secrets.fold(ran, |ran, (_, value)| ran.keeps_quiet_about(value))
    }
}

#[test]
fn a_change_goes_its_whole_way_into_a_bucket() {
    for cloud in clouds() {
        let fleet = Fleet::new(&cloud, "prod/a prod/b prod/c", "");
        fleet.isobar("check").ends(0);
        fleet.isobar("preview").ends(0).says("app.yaml");
        assert_eq!(fleet.live().len(), 0, "{}: a preview writes nothing", cloud.name);
        fleet.isobar("apply").ends(0);
        assert_eq!(fleet.live().len(), 9, "{}: two documents and a manifest in each", cloud.name);
        assert_eq!(fleet.live()["prod/b/app/app.yaml"], "region: b\nversion: 1\n");
        assert_eq!(fleet.sandbox.dirty(), [""; 0], "{}: and nothing in the repository", cloud.name);
        fleet.isobar("drift").ends(0).says("No drift in 3 targets");

        fleet.meddle("prod/a/app/app.yaml", Some("by hand\n"));
        fleet.meddle("prod/b/app/more.txt", None);
        fleet.meddle("prod/c/app/stranger", Some("stranger\n"));
        let json = fleet.isobar("drift --json").ends(2).json();
        let finding =
            |finding: &serde_json::Value| format!("{} {} {}", finding["class"], finding["targets"], finding["addresses"]);
        let mut found: Vec<String> = json["drift"]["findings"].as_array().expect("findings").iter().map(finding).collect();
        found.sort();
        let expected = [
            r#""missing" ["app@prod/b"] ["more.txt"]"#,
            r#""out_of_band" ["app@prod/a"] ["app.yaml"]"#,
            r#""unmanaged" ["app@prod/c"] ["stranger"]"#,
        ];
        assert_eq!(found, expected, "{}", cloud.name);
        fleet.isobar("drift --fix").ends(0);
        assert_eq!(fleet.live()["prod/a/app/app.yaml"], "region: a\nversion: 1\n", "{}", cloud.name);

        fleet.sandbox.remove("app/stack.yaml").commit("No more");
        fleet.isobar("preview").ends(0);
        fleet.isobar("apply").ends(0);
        let left: Vec<String> = fleet.live().into_keys().collect();
        assert_eq!(left, ["prod/c/app/stranger"], "{}: what is not ours stays", cloud.name);
    }
}

#[test]
fn a_bucket_is_left_for_no_other_place_and_holds_no_destination_in_another() {
    let fleet = Fleet::new(&google(), "prod/a", "");
    let (published, sandbox) = (format!("{}/{}/prod/a/app", fleet.cloud.url, fleet.top), &fleet.sandbox);
    fleet.isobar("apply").ends(0);
    for (from, to) in [("}}/${{ stack.name }}", "}}/elsewhere"), ("gs://", "s3://"), ("s3://isobar-tests", "file:./live")] {
        sandbox.edit("app/stack.yaml", from, to).commit("Elsewhere");
        for verb in ["preview", "apply"] {
            let told = format!("would leave what it published behind: it is at {published}");
            fleet.isobar(verb).ends(65).says(&told).says("app/stack.yaml:");
        }
    }
    assert_eq!(fleet.live().len(), 3);

    let other = format!("where: all\ndocuments:\n  source: ./templates\n  destination: {published}/inside\n");
    let fleet = Fleet { sandbox: app("prod/a", ""), ..fleet };
    fleet.sandbox.edit("app/stack.yaml", "file:./live/${{ region.id }}/app", &published);
    fleet.sandbox.file("other/stack.yaml", &other).file("other/templates/x", "x\n").commit("Inside");
    let told =
        format!("the destination of other@prod/a, {published}/inside, lies inside {published}, the destination of app@prod/a");
    fleet.isobar("check").ends(65).says(&told).says("other/stack.yaml:4:");
    fleet.sandbox.edit("other/stack.yaml", "/inside", "").commit("The same");
    fleet.isobar("check").ends(65).says(&format!("app@prod/a and other@prod/a are the same thing: {published}"));
}

#[test]
fn killed_at_any_point_and_run_again_a_bucket_ends_as_if_it_had_not_been() {
    for cloud in clouds() {
        let begin = || {
            let fleet = Fleet::new(&cloud, "prod/a prod/b", "");
            fleet.isobar("apply").ends(0);
            fleet.sandbox.edit("app/templates/more.txt", "1", "2").version(1, 2);
            fleet
        };
        let whole = begin();
        whole.isobar("apply").ends(0);
        let expected = whole.live();
        // An emulator is slow; the engine's own tests stop before every write of each.
        for point in if cloud.name == "gs" { 0..5 } else { 1..3 } {
            let fleet = begin();
            kill_after(&fleet, point * 7);
            fleet.isobar("apply").ends(0);
            assert_eq!(fleet.live(), expected, "{}: point {point}", cloud.name);
            fleet.isobar("drift").ends(0);
        }
    }
}

/// Kills an apply when it has begun to write and then had the time of so many requests: somewhere else every time.
fn kill_after(fleet: &Fleet, requests: usize) {
    let journal = fleet.sandbox.root().join(".isobar/journal/entries.jsonl");
    let length = || std::fs::metadata(&journal).map_or(0, |metadata| metadata.len());
    let before = length();
    let mut program = fleet.sandbox.program();
    let mut child = program.arg("apply").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    while length() == before && child.try_wait().expect("it is our child").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1)); // leaves the processor to the child
    }
    for _ in 0..requests {
        let asked = RUNTIME.block_on(fleet.bucket.get(&format!("{}/none", fleet.top), 1));
        assert_eq!(asked, Ok(None));
    }
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
}

#[test]
fn a_login_page_in_front_of_a_bucket_is_no_empty_destination_and_no_drift() {
    let server = cloud::google::Google::start();
    let fleet = Fleet::new(&server.cloud(), "prod/a", "");
    fleet.isobar("apply").ends(0);
    let live = fleet.live();
    fleet.sandbox.file("app/templates/more.txt", "more 2\n").commit("More");
    server.be_a_web_page(true);
    let told =
        "a web page was answered, and no object store; is a login page or a proxy in between, and is GOOGLE_BASE_URL right?";
    for verb in ["preview --json", "drift --json"] {
        let ran = fleet.isobar(verb);
        assert!(ran.code != 0 && ran.why("app@prod/a").contains(told), "{verb}: {} {}", ran.code, ran.stdout);
    }
    let ran = fleet.isobar("apply");
    assert!(ran.code != 0, "{}", ran.stdout);
    server.be_a_web_page(false);
    assert_eq!(fleet.live(), live);
    fleet.isobar("resume").ends(0);
    fleet.isobar("apply").ends(0);
    assert!(fleet.live().values().any(|text| text == "more 2\n"));
}

#[test]
fn without_credentials_a_target_is_unseen_and_says_what_to_set() {
    for (destination, set) in [
        ("s3://documents/live/${{ region.id }}", "AWS_"),
        ("gs://documents/live/${{ region.id }}", "GOOGLE_"),
        ("az://account/documents/live/${{ region.id }}", "AZURE_"),
    ] {
        // Where a cloud's own machines answer, nobody listens here.
        let fleet = app("prod/a", "")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "canary-secret")
            .env("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")
            .env("AZURE_STORAGE_KEY", "canary, and no base64");
        fleet.edit("app/stack.yaml", "file:./live/${{ region.id }}/app", destination).commit("Into a bucket");
        fleet.isobar("check").ends(0);
        let ran = fleet.isobar("preview --json").keeps_quiet_about("canary");
        assert_ne!(ran.code, 0, "{}", ran.stdout);
        assert!(ran.why("app@prod/a").contains(set), "{}", ran.why("app@prod/a"));
    }
}
