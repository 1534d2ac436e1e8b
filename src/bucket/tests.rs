//! What holds for every object store: one list, over moto, Azurite and a Google of our own; and what only a store that fails can show.

use super::cloud::google::{Google, Trouble};
use super::cloud::{Cloud, clouds};
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

fn open(cloud: &Cloud) -> Bucket {
    let address = Address::parse(cloud.url).expect("a scheme of ours").expect("a name");
    let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
    Buckets::new(access).open(&address.container).expect("it asks nobody")
}

/// A Google that nobody else speaks to.
fn own() -> (Google, Bucket) {
    let google = Google::start();
    let bucket = open(&google.cloud());
    (google, bucket)
}

/// A name that no other test has.
fn fresh(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("bucket/{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn text(bucket: &Bucket, key: &str) -> Option<String> {
    let object = bucket.get(key, 1000).await.expect("it can be read")?;
    Some(String::from_utf8(object.bytes).expect("a text"))
}

#[tokio::test]
async fn a_write_is_bound_to_what_was_seen() {
    for cloud in clouds() {
        let (bucket, key) = (open(&cloud), fresh("bound"));
        let moved = Err(Fault::Moved(format!("{}/{key}", cloud.url)));
        assert_eq!(bucket.get(&key, 10).await, Ok(None), "{}", cloud.name);

        let first = bucket.put(&key, b"one", None).await.expect("nobody has it");
        assert_eq!(bucket.put(&key, b"two", None).await, moved, "{}", cloud.name);
        let second = bucket.put(&key, b"two", Some(&first)).await.expect("it is still the first");
        assert_eq!(bucket.put(&key, b"three", Some(&first)).await, moved, "{}", cloud.name);
        let object = bucket.get(&key, 10).await.expect("it can be read").expect("it is there");
        assert_eq!(object, Object { bytes: b"two".into(), version: second.clone() }, "{}", cloud.name);

        assert_eq!(bucket.delete(&key, &first).await, Err(Fault::Moved(format!("{}/{key}", cloud.url))), "{}", cloud.name);
        assert_eq!(bucket.delete(&key, &second).await, Ok(()), "{}", cloud.name);
        assert_eq!(bucket.delete(&key, &second).await, Ok(()), "{}: gone already is fine", cloud.name);
        assert_eq!(bucket.put(&key, b"four", Some(&second)).await, moved, "{}", cloud.name);
        assert!(bucket.put(&key, b"four", None).await.is_ok(), "{}", cloud.name);
    }
}

#[tokio::test]
async fn names_are_listed_a_level_at_a_time_and_page_by_page() {
    for cloud in clouds() {
        let (bucket, dir) = (open(&cloud), fresh("listed"));
        let names = ["a", "b/1", "b/2", "c & d/x", "e", "ä.yaml", "b.c", "%41", "f/g/h"];
        for name in names {
            bucket.put(&format!("{dir}/{name}"), b"x", None).await.expect("nobody has it");
        }
        bucket.put(&format!("{dir}-beside"), b"x", None).await.expect("nobody has it");

        let listed = bucket.list(&dir, 7 + 1).await.expect("it can be listed");
        assert_eq!(listed.objects, ["%41", "a", "b.c", "e", "ä.yaml"], "{}", cloud.name);
        assert_eq!(listed.prefixes, ["b", "c & d", "f"], "{}", cloud.name);
        assert_eq!(bucket.list(&format!("{dir}/none"), 1).await, Ok(Names::default()), "{}", cloud.name);
        let refused = bucket.list(&dir, 7).await.expect_err("there are eight");
        assert!(refused.to_string().contains("holds more than 7 objects"), "{refused}");
        for name in names {
            assert_eq!(text(&bucket, &format!("{dir}/{name}")).await.as_deref(), Some("x"), "{}: {name}", cloud.name);
        }
    }
}

#[tokio::test]
async fn an_object_is_read_up_to_a_bound() {
    for cloud in clouds() {
        let (bucket, key) = (open(&cloud), fresh("large"));
        bucket.put(&key, &[b'x'; 100], None).await.expect("nobody has it");
        assert!(bucket.get(&key, 100).await.is_ok(), "{}", cloud.name);
        let refused = bucket.get(&key, 99).await.expect_err("it has more");
        assert!(refused.to_string().ends_with("has more than 99 bytes"), "{refused}");
    }
}

#[tokio::test]
async fn of_many_writers_one_wins() {
    for cloud in clouds() {
        let (bucket, key) = (open(&cloud), fresh("race"));
        let texts: Vec<String> = (0..16).map(|writer| format!("writer {writer}")).collect();
        let writes = texts.iter().map(|text| bucket.put(&key, text.as_bytes(), None));
        let won = futures::future::join_all(writes).await.into_iter().filter(Result::is_ok).count();
        assert_eq!(won, 1, "{}", cloud.name);
    }
}

#[tokio::test]
async fn a_trial_passes_once_and_leaves_nothing() {
    for cloud in clouds() {
        let (bucket, dir) = (open(&cloud), fresh("trial"));
        let writes = AtomicUsize::new(0);
        let count = |_: &str| {
            writes.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        bucket.try_out(&format!("{dir}/x-"), &count).await.expect(cloud.name);
        bucket.try_out(&format!("{dir}/x-"), &count).await.expect(cloud.name);
        assert_eq!(writes.into_inner(), 5, "{}", cloud.name);
        assert_eq!(bucket.list(&dir, 10).await, Ok(Names::default()), "{}", cloud.name);
    }
}

#[tokio::test]
async fn an_object_on_which_conditions_are_tried_out_is_written_once() {
    for cloud in clouds() {
        let (bucket, key) = (open(&cloud), fresh("lasting"));
        bucket.try_out_on(&key).await.expect(cloud.name);
        let first = bucket.get(&key, 100).await.expect("it can be read").expect("it stays");
        open(&cloud).try_out_on(&key).await.expect(cloud.name);
        assert_eq!(bucket.get(&key, 100).await, Ok(Some(first)), "{}", cloud.name);
    }
}

#[tokio::test]
async fn a_service_that_forgets_its_conditions_is_refused() {
    let (google, bucket) = own();
    google.forget_conditions();
    let refused = bucket.try_out("x-", &|_| Ok(())).await.expect_err("it takes every write");
    let told = refused.to_string();
    assert!(
        told.starts_with("gs://isobar-tests can't be used: it writes over an object that was expected to be absent"),
        "{told}"
    );
    let refused = bucket.try_out_on("y").await.expect_err("it takes every write");
    assert_eq!(refused.to_string(), told);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_known_again() {
    let (google, bucket) = own();
    google.troubles(&[Trouble::LoseAnswer]);
    let first = bucket.put("a", b"one", None).await.expect("it had arrived");
    google.troubles(&[Trouble::LoseAnswer, Trouble::Answer(503), Trouble::LoseRequest]);
    let second = bucket.put("a", b"two", Some(&first)).await.expect("it had arrived");
    assert_eq!(bucket.get("a", 10).await, Ok(Some(Object { bytes: b"two".into(), version: second.clone() })));

    google.troubles(&[Trouble::LoseAnswer]);
    assert_eq!(bucket.delete("a", &second).await, Ok(()));
    assert_eq!(text(&bucket, "a").await, None);
}

#[tokio::test]
async fn somebody_elses_write_is_never_taken_for_our_own() {
    let (google, bucket) = own();
    let first = bucket.put("a", b"same", None).await.expect("nobody has it");
    assert_eq!(bucket.put("a", b"same", None).await, Err(Fault::Moved("gs://isobar-tests/a".into())), "even of the same bytes");

    // Ours did not arrive, and theirs did.
    let theirs = bucket.put("a", b"theirs", Some(&first)).await.expect("it is still the first");
    google.troubles(&[Trouble::LoseRequest]);
    let refused = bucket.put("a", b"ours", Some(&first)).await.expect_err("theirs is there");
    assert!(matches!(&refused, Fault::Unsure(text) if text.contains("somebody else")), "{refused:?}");
    assert_eq!(bucket.get("a", 10).await.expect("readable").expect("there").version, theirs);
}

#[tokio::test]
async fn what_passes_is_asked_again_and_what_stays_is_not() {
    let (google, bucket) = own();
    for status in [408, 409, 429, 500, 503] {
        google.troubles(&[Trouble::Answer(status); 5]);
        assert!(bucket.put(&format!("passes-{status}"), b"x", None).await.is_ok(), "{status}");
    }
    google.troubles(&[Trouble::Answer(503); 6]);
    let told = bucket.put("never", b"x", None).await.expect_err("six times no");
    assert_eq!(told, Fault::Unsure("writing gs://isobar-tests/never: 503".into()));

    let address = Address::parse("gs://isobar-tests/a").expect("a scheme of ours").expect("a name");
    let told = super::patience::Asked::answered(503, "").fault("reading", &address.container, "a");
    assert!(matches!(&told, Fault::Refused(refusal) if refusal.cause == Cause::Away), "{told:?}");
    let told = bucket.put("large", &vec![0; WRITE_MAX + 1], None).await.expect_err("it is not even asked");
    assert!(matches!(&told, Fault::Refused(refusal) if refusal.cause == Cause::TooMuch), "{told:?}");

    for (status, cause, hint) in [
        (401, Cause::Forbidden, "are not accepted"),
        (403, Cause::Forbidden, "must be allowed to list, read, write and delete"),
        (404, Cause::Unfit, "is GOOGLE_BASE_URL right?"),
        (507, Cause::Full, "there is no room left in gs://isobar-tests"),
    ] {
        let before = google.requests();
        google.troubles(&[Trouble::Answer(status)]);
        let told = bucket.put("no", b"x", None).await.expect_err("it said no");
        assert!(told.is_untouched() && told.to_string().contains(hint), "{told}");
        assert!(matches!(&told, Fault::Refused(refusal) if refusal.cause == cause), "{told:?}");
        assert_eq!(google.requests() - before, 1);
    }
}

#[tokio::test]
async fn a_container_that_does_not_exist_is_no_empty_one() {
    for cloud in clouds() {
        let missing = Cloud { url: if cloud.name == "az" { "az://isobartests/missing" } else { "" }, ..cloud.clone() };
        let url = if missing.url.is_empty() { format!("{}://isobar-missing", cloud.name) } else { missing.url.to_string() };
        let address = Address::parse(&url).expect("a scheme of ours").expect("a name");
        let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
        let bucket = Buckets::new(access).open(&address.container).expect("it asks nobody");
        let told = [
            bucket.get("a", 10).await.map(|_| ()).expect_err("no container"),
            bucket.list("a", 10).await.map(|_| ()).expect_err("no container"),
            bucket.put("a", b"x", None).await.map(|_| ()).expect_err("no container"),
        ];
        for told in told {
            assert!(told.to_string().ends_with(&format!("there is no {url}; create it first")), "{}: {told}", cloud.name);
        }
    }
}

#[tokio::test]
async fn an_object_is_absent_only_where_the_service_says_so() {
    let (google, bucket) = own();
    let version = bucket.put("a", b"one", None).await.expect("nobody has it");
    google.be_elsewhere();
    let told = [
        ("reading", bucket.get("a", 10).await.map(|_| ())),
        ("listing", bucket.list("a", 10).await.map(|_| ())),
        ("writing", bucket.put("a", b"two", Some(&version)).await.map(|_| ())),
        ("deleting", bucket.delete("a", &version).await),
    ];
    for (doing, told) in told {
        let told = told.expect_err("nobody said that it is absent").to_string();
        let hint = "404; an object store says more about what it does not have: is GOOGLE_BASE_URL right?";
        assert_eq!(told, format!("{doing} gs://isobar-tests/a: {hint}"));
    }
}

#[tokio::test]
async fn a_login_page_is_neither_an_empty_listing_nor_an_object_nor_a_write() {
    let (google, bucket) = own();
    let version = bucket.put("a/b", b"one", None).await.expect("nobody has it");
    google.be_a_web_page(true);
    let told = [
        ("reading", "a/b", bucket.get("a/b", 1000).await.map(|_| ())),
        ("reading", "a/b", bucket.version("a/b").await.map(|_| ())),
        ("listing", "a", bucket.list("a", 10).await.map(|_| ())),
        ("writing", "a/c", bucket.put("a/c", b"two", None).await.map(|_| ())),
        ("deleting", "a/b", bucket.delete("a/b", &version).await),
    ];
    for (doing, key, told) in told {
        let fault = told.expect_err("nobody said so");
        assert_eq!(fault.is_untouched(), matches!(doing, "reading" | "listing"), "{doing}");
        let hint =
            "a web page was answered, and no object store; is a login page or a proxy in between, and is GOOGLE_BASE_URL right?";
        assert_eq!(fault.to_string(), format!("{doing} gs://isobar-tests/{key}: {hint}"));
    }
    google.be_a_web_page(false);
    assert_eq!(bucket.list("a", 10).await.map(|names| names.objects), Ok(vec!["b".to_string()]));
}

#[tokio::test]
async fn nothing_that_is_said_holds_a_credential() {
    let nowhere = [
        ("s3://docs", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"),
        ("gs://docs", "GOOGLE_BASE_URL", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        ("az://acme/docs", "AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_SAS_TOKEN"),
    ];
    for (url, endpoint, secret) in nowhere {
        let access = Access::of(|name| match name {
            "AWS_ACCESS_KEY_ID" => Some("id"),
            name if name == endpoint => Some("http://127.0.0.1:1"), // nobody listens there
            name if name == secret => Some("sv=1&sig=canary"),
            _ => None,
        });
        let address = Address::parse(url).expect("a scheme of ours").expect("a name");
        let bucket = Buckets::new(access).open(&address.container).expect("it asks nobody");
        let version = Version { e_tag: Some("1".into()), generation: Some("1".into()) };
        let told = [
            bucket.get("a", 10).await.map(|_| ()),
            bucket.list("a", 10).await.map(|_| ()),
            bucket.put("a", b"x", None).await.map(|_| ()),
            bucket.delete("a", &version).await,
        ];
        for told in told {
            let told = told.expect_err("nobody is there").to_string();
            assert!(told.contains("it can't be reached") && !told.contains("canary"), "{told}");
        }
    }
    let access = Access::of(|name| (name == "AZURE_STORAGE_KEY").then_some("canary, and no base64"));
    let address = Address::parse("az://acme/docs").expect("a scheme of ours").expect("a name");
    let told = Buckets::new(access).open(&address.container).map(|_| ()).expect_err("it is no key").to_string();
    assert!(!told.contains("canary"), "{told}");
}

#[tokio::test]
async fn a_version_that_was_lost_is_refused_before_anything_is_asked() {
    let (google, bucket) = own();
    let none = Version { e_tag: None, generation: None };
    assert!(bucket.delete("a", &none).await.is_err());
    assert!(bucket.put("a", b"x", Some(&none)).await.is_err());
    assert_eq!(google.requests(), 0);
}

/// A store's futures move between threads.
#[test]
fn its_futures_may_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let (_google, bucket) = own();
    moves(bucket.put("a", b"x", None));
    moves(bucket.get("a", 1));
    moves(bucket.list("a", 1));
}
