//! The journal in a bucket: clones that know of each other only what stands there.

use crate::support::cloud::{Cloud, clouds, google};
use crate::support::{APPROVALS, Sandbox, app};
use isobar::bucket::{Access, Address, Bucket, Buckets};
use serde_json::Value;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

const FILE: &str = "journal: file:.isobar/journal";

/// Two regions, a bare `origin`, and the journal in a bucket, below a name that no other fleet has.
struct Fleet {
    sandbox: Sandbox,
    bare: std::path::PathBuf,
    cloud: Cloud,
    bucket: Bucket,
    prefix: String,
}

impl Fleet {
    fn new(cloud: &Cloud, more: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let prefix = format!("histories/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let sandbox = reaching(cloud, app("prod/a prod/b", more));
        sandbox.edit("isobar.yaml", FILE, &format!("journal: {}/{prefix}", cloud.url)).commit("The journal goes along");
        let bare = sandbox.publish();
        let address = Address::parse(cloud.url).expect("a scheme of ours").expect("a name");
        let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
        let bucket = Buckets::new(access).open(&address.container).expect("it asks nobody");
        Self { sandbox, bare, cloud: cloud.clone(), bucket, prefix }
    }

    fn clone(&self) -> Sandbox {
        reaching(&self.cloud, Sandbox::clone_of(&self.bare))
    }

    /// The texts of all pages, in order.
    fn pages(&self) -> Vec<String> {
        let page = |number: usize| {
            let key = format!("{}/pages/{number:012}.jsonl", self.prefix);
            let object = RUNTIME.block_on(self.bucket.get(&key, 1 << 24)).expect("readable")?;
            Some(String::from_utf8(object.bytes).expect("a text"))
        };
        (1..).map_while(page).collect()
    }

    /// Every entry, oldest first.
    fn entries(&self) -> Vec<Value> {
        let pages = self.pages();
        let lines = pages.iter().flat_map(|page| page.lines().skip(1));
        lines.map(|line| serde_json::from_str::<Value>(line).expect("an entry")).collect()
    }

    fn count(&self, event: &str) -> usize {
        self.entries().iter().filter(|entry| entry["event"] == event).count()
    }

    /// Writes the next page, as somebody else would: another machine took every target.
    fn take_elsewhere(&self) {
        let pages = self.pages();
        let last = pages.last().expect("something was written");
        let held = last_lease(&pages);
        let mut lease = held.clone();
        lease["epoch"] = (held["epoch"].as_u64().expect("a number") + 1).into();
        lease["holder"]["run"] = "elsewhere-1".into();
        lease["holder"]["host"] = "runner-7".into();
        lease["trace"]["boot"] = "of another machine".into();
        let after = isobar::change::Digest::of_bytes(last.as_bytes());
        let page = serde_json::json!({ "schema": 1, "page": pages.len() + 1, "after": after, "lease": lease });
        let key = format!("{}/pages/{:012}.jsonl", self.prefix, pages.len() + 1);
        RUNTIME.block_on(self.bucket.put(&key, format!("{page}\n").as_bytes(), None)).expect("it is the next");
    }
}

fn reaching(cloud: &Cloud, sandbox: Sandbox) -> Sandbox {
    cloud.variables.iter().fold(sandbox, |sandbox, (name, value)| sandbox.env(name, value))
}

/// The lease that was taken last, given back or not.
fn last_lease(pages: &[String]) -> Value {
    let heads = pages.iter().rev().filter_map(|page| serde_json::from_str::<Value>(page.lines().next()?).ok());
    heads.map(|head| head["lease"].clone()).find(|lease| !lease.is_null()).expect("somebody wrote")
}

#[test]
fn what_one_clone_applied_another_sees() {
    for cloud in clouds() {
        let fleet = Fleet::new(&cloud, "");
        let (one, other) = (&fleet.sandbox, fleet.clone());
        other.isobar("status").ends(0).says("2 never applied");
        one.isobar("apply").ends(0);
        other.isobar("status").ends(0).says("All 2 targets applied");
        other.pass_secs(60).isobar("pause --reason lunch").ends(0);
        one.isobar("status").ends(0).says("paused by ada: lunch");
        assert!(one.dirty().is_empty() && other.dirty().is_empty(), "{}", cloud.name);
        assert!(!one.root().join(".isobar").exists(), "{}", cloud.name);
        let secrets = cloud.variables.iter().filter(|(name, _)| name.contains("SECRET") || name.contains("TOKEN"));
        for (_, value) in secrets {
            one.isobar("doctor").ends(0).says(&format!("{}/{}", cloud.url, fleet.prefix)).keeps_quiet_about(value);
        }
    }
}

#[test]
fn a_web_server_that_knows_no_buckets_is_no_empty_journal() {
    let server = google::Google::start();
    let fleet = Fleet::new(&server.cloud(), "");
    fleet.sandbox.isobar("apply").ends(0);
    server.be_elsewhere();
    let hint = "404; an object store says more about what it does not have: is GOOGLE_BASE_URL right?";
    fleet.sandbox.isobar("status").ends(1).says(hint);
    fleet.sandbox.isobar("apply").ends(1).says(hint);
}

#[test]
fn a_run_that_ends_while_it_tries_out_the_bucket_leaves_nothing_that_nobody_uses() {
    for nth in 0..6 {
        let server = google::Google::start();
        let fleet = Fleet::new(&server.cloud(), "");
        let mut troubles = vec![google::Trouble::None; nth];
        troubles.push(google::Trouble::Answer(403));
        server.troubles(&troubles);
        fleet.sandbox.isobar("apply");
        fleet.sandbox.isobar("apply").ends(0);
        let names = RUNTIME.block_on(fleet.bucket.list(&fleet.prefix, 100)).expect("it can be listed");
        assert_eq!((names.objects, names.prefixes), (vec!["trial".into()], vec!["pages".into()]), "{nth}");
    }
}

#[test]
fn a_login_page_is_no_empty_journal() {
    let server = google::Google::start();
    let fleet = Fleet::new(&server.cloud(), "");
    fleet.sandbox.isobar("apply").ends(0);
    server.be_a_web_page(true);
    let told =
        "a web page was answered, and no object store; is a login page or a proxy in between, and is GOOGLE_BASE_URL right?";
    for verb in ["status", "apply", "audit verify", "recover"] {
        fleet.sandbox.isobar(verb).ends(1).says(told);
    }
    server.be_a_web_page(false);
    fleet.sandbox.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn previews_and_approvals_go_along() {
    let fleet = Fleet::new(&google(), APPROVALS);
    fleet.sandbox.isobar("preview").ends(0);
    let previews = RUNTIME.block_on(fleet.bucket.list(&format!("{}/previews", fleet.prefix), 10)).expect("it can be listed");
    assert_eq!(previews.objects.len(), 1);
    fleet.sandbox.isobar("apply --review bob=approve").ends(0);
    assert_eq!(fleet.count("cleared"), 2);
}

#[test]
fn a_journal_in_a_bucket_is_sealed_and_proven() {
    let mut fleet = Fleet::new(&google(), "");
    fleet.sandbox = fleet.sandbox.env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.sandbox.isobar("apply").ends(0);
    assert!(fleet.pages().iter().flat_map(|page| page.lines().skip(1)).all(|line| line.contains("\"seal\":")));
    fleet.sandbox.isobar("audit verify").ends(0).says("ISOBAR_KEY sealed the newest, and so vouches for all");
    fleet.clone().isobar("pause --reason lunch").ends(1).says("the journal is sealed, and ISOBAR_KEY is not set");
}

#[test]
fn a_journal_in_a_bucket_is_compacted_and_knows_as_much_as_before() {
    let server = google::Google::start();
    let mut fleet = Fleet::new(&server.cloud(), "");
    fleet.sandbox = fleet.sandbox.env("ISOBAR_KEY", "a key of thirty-two characters!!");
    fleet.sandbox.isobar("apply").ends(0);
    fleet.sandbox.pass_secs(86_400).isobar("audit compact --before 1h").ends(0).says("nothing to compact");
    for _ in 0..35 {
        fleet.sandbox.isobar("pause --reason lunch").ends(0);
        fleet.sandbox.isobar("resume").ends(0);
    }
    fleet.sandbox.pass_secs(86_400);
    server.lock(&format!("{}/pages", fleet.prefix), true);
    fleet
        .sandbox
        .isobar("audit compact --before 1h")
        .ends(1)
        .says("a page that cannot be written over cannot be compacted; nothing was let go");
    server.lock(&format!("{}/pages", fleet.prefix), false);
    fleet.sandbox.isobar("audit compact --before 1h").ends(0).says("are gone, in 1 segment of");
    fleet.sandbox.isobar("audit verify").ends(0).says("compacted away; what they folded into is proven");
    fleet.sandbox.isobar("status").ends(0).says("All 2 targets applied");
    fleet.sandbox.isobar("apply").ends(0);
    assert!(fleet.pages()[0].contains("\"base\":"));
}

#[test]
fn the_history_of_a_directory_counts_until_somebody_moves_it() {
    let fleet = app("prod/a", "");
    fleet.isobar("apply").ends(0);
    let sandbox = reaching(&google(), fleet);
    sandbox.edit("isobar.yaml", FILE, "journal: gs://isobar-tests/never").commit("The journal goes along");
    sandbox.version(1, 2);
    sandbox.isobar("apply").ends(0);
    assert_eq!(sandbox.events("applied").len(), 2);
}

#[test]
fn history_in_a_bucket_counts_until_somebody_moves_it() {
    let fleet = Fleet::new(&google(), "");
    fleet.sandbox.isobar("apply").ends(0);
    fleet.sandbox.edit("isobar.yaml", &format!("{}\n", fleet.prefix), "histories/another\n").version(1, 2);
    fleet.sandbox.isobar("apply").ends(0);
    assert_eq!(fleet.count("applied"), 4);
    fleet.sandbox.edit("isobar.yaml", "journal: gs://isobar-tests/histories/another", FILE).version(2, 3);
    fleet.sandbox.isobar("apply").ends(0);
    assert_eq!(fleet.count("applied"), 6);
}

#[test]
fn what_a_run_on_another_machine_holds_is_freed_by_the_word_of_somebody() {
    let fleet = Fleet::new(&google(), "");
    fleet.sandbox.isobar("apply").ends(0);
    fleet.take_elsewhere();
    fleet.sandbox.version(1, 2);
    fleet.sandbox.isobar("status").ends(0).says("elsewhere-1").says("on runner-7");
    let refused = fleet.sandbox.isobar("apply");
    assert_ne!(refused.code, 0);
    refused.says("isobar recover --release elsewhere-1");
    fleet.sandbox.isobar("recover --release elsewhere-1 --reason gone").ends(0);
    assert_eq!(fleet.count("freed"), 1);
    fleet.sandbox.isobar("apply").ends(0);
    fleet.sandbox.isobar("status").ends(0).says("All 2 targets applied");
}

#[test]
fn a_destination_does_not_lie_in_the_journal_nor_the_other_way_round() {
    let fleet = Fleet::new(&google(), "");
    let sandbox = &fleet.sandbox;
    let journal = format!("gs://isobar-tests/{}", fleet.prefix);
    sandbox.edit("app/stack.yaml", "file:./live", &journal).commit("Into the journal");
    let told = format!("the destination of app@prod/a, {journal}/prod/a/app, lies in the journal, {journal}");
    sandbox.isobar("check").ends(65).says(&told);
    sandbox.edit("app/stack.yaml", &format!("{journal}/${{{{ region.id }}}}/app"), "gs://isobar-tests/histories");
    sandbox.edit("app/stack.yaml", "where: all", "where: { region: prod/a }").commit("Around the journal");
    let told = format!("the destination of app@prod/a, gs://isobar-tests/histories, holds the journal, {journal}");
    sandbox.isobar("apply").ends(65).says(&told);
    assert_eq!(fleet.pages().len(), 0);
}

#[test]
fn a_bucket_that_cannot_be_reached_is_no_empty_journal() {
    for (place, set) in [("s3://documents/j", "AWS_"), ("gs://documents/j", "GOOGLE_"), ("az://account/documents/j", "AZURE_")] {
        let fleet = app("prod/a", "")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "canary-secret")
            .env("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/credentials.json")
            .env("AZURE_STORAGE_KEY", "canary, and no base64");
        fleet.edit("isobar.yaml", FILE, &format!("journal: {place}")).commit("Into a bucket");
        let ran = fleet.isobar("apply").keeps_quiet_about("canary");
        assert_ne!(ran.code, 0, "{}", ran.stdout);
        ran.says(set);
        assert_eq!(fleet.live("live").len(), 0, "nothing is applied without a journal");
    }
}

#[test]
fn three_shards_that_meet_in_a_bucket_bring_each_target_once_and_in_its_wave() {
    for cloud in clouds() {
        let waves = "rollout: { prod: { waves: [{ name: first, regions: [a, b] }, { name: rest, regions: \"*\" }] } }";
        let fleet = Fleet::new(&cloud, waves);
        let more: String = ('c'..='h').map(|region| format!("  prod/{region}: {{}}\n")).collect();
        fleet.sandbox.edit("isobar.yaml", "  prod/b: {}\n", &format!("  prod/b: {{}}\n{more}")).commit("More regions");

        let start = |nth: usize| {
            let mut program = fleet.sandbox.program();
            program.args(["apply", "--json", "--shard", &format!("{nth}/3")]).stdout(Stdio::piped()).stderr(Stdio::piped());
            program.spawn().expect("the program starts")
        };
        for child in [1, 2, 3].map(start) {
            let output = child.wait_with_output().expect("it is our child");
            assert_eq!(output.status.code(), Some(0), "{}: {}", cloud.url, String::from_utf8_lossy(&output.stdout));
        }
        assert_eq!(fleet.count("planned"), 1, "one of them plans, the others join");
        let (mut begun, mut proven) = (Vec::new(), false);
        for entry in fleet.entries().iter().filter(|entry| entry["event"] == "step") {
            let target = entry["step"]["target"].as_str().unwrap_or_default().to_string();
            match entry["step"]["step"].as_str().unwrap_or_default() {
                "started" => {
                    assert_eq!(proven, !["app@prod/a", "app@prod/b"].contains(&&*target), "{target}");
                    begun.push(target);
                }
                "verified" => proven = true,
                _ => {}
            }
        }
        begun.sort();
        assert_eq!(begun, ('a'..='h').map(|region| format!("app@prod/{region}")).collect::<Vec<_>>());
        fleet.sandbox.isobar("audit verify").ends(0);
        fleet.sandbox.isobar("drift").ends(0);
    }
}
