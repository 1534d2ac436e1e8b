//! A target's life: made, changed, drifted, read, destroyed.

use super::*;
use crate::bucket::cloud::google::Google;
use crate::change::{Detail, StrayKind};
use crate::stack::mark_hole;

fn strays(preview: &Preview) -> Vec<(String, StrayKind)> {
    preview.strays.iter().map(|stray| (stray.address.to_string(), stray.kind)).collect()
}

#[test]
fn documents_are_made_changed_and_removed_and_then_nothing_is_left_to_do() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/a.yaml.j2", "cidr: {{ region.vars.cidr }}\n"), ("t/sub/b.txt", "b\n")]);
        assert_eq!(short(&bench.preview()), ["+ a.yaml", "+ sub/b.txt"]);
        let applied = bench.apply();
        assert_eq!(applied.changes.len(), 2);
        assert_eq!(bench.live("a.yaml"), Some("cidr: 10.2.0.0/16\n".into()));
        assert!(bench.preview().is_empty() && bench.preview().strays.is_empty());

        bench.add("network/t/a.yaml.j2", b"cidr: {{ region.vars.cidr }}\nowner: {{ vars.owner }}\n");
        bench.add("network/t/c", b"c\n");
        bench.drop_source("network/t/sub/b.txt");
        let preview = bench.preview();
        assert_eq!(short(&preview), ["~ a.yaml", "+ c", "- sub/b.txt"]);
        let Detail::Text(diff) = &preview.changes[0].detail else { panic!("{preview:?}") };
        assert_eq!(diff.hunks[0].lines.last().map(|line| &*line.text), Some("owner: platform"));
        bench.apply();
        assert!(bench.preview().is_empty());
        assert_eq!(bench.kept(), [".isobar-manifest.json", "a.yaml", "c"]);
        let mut dirs =
            bench.everything().into_keys().filter(|path| path.starts_with("live/prod/eu/network/") && path.ends_with('/'));
        assert!(dirs.all(|path| path == "live/prod/eu/network/"), "the empty directory is gone too");
    });
}

#[test]
fn a_document_may_become_a_directory_and_come_back() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/a", "file\n")]);
        bench.apply();
        let before = bench.everything();

        bench.drop_source("network/t/a");
        bench.add("network/t/a/b", b"below\n");
        assert_eq!(short(&bench.preview()), ["- a", "+ a/b"]);
        bench.apply();
        assert_eq!(bench.live("a/b"), Some("below\n".into()));

        bench.drop_source("network/t/a/b");
        bench.add("network/t/a", b"file\n");
        bench.apply();
        assert_eq!(bench.everything(), before);
    });
}

#[test]
fn destroy_removes_what_is_ours_and_nothing_else() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/a", "a\n"), ("t/sub/b", "b\n")]);
        bench.apply();
        bench.edit("foreign", "mine\n");
        bench.job.intent = Intent::Destroy;
        assert_eq!(short(&bench.preview()), ["- a", "- sub/b"]);
        bench.apply();
        assert_eq!(
            (bench.live("a"), bench.live("foreign"), bench.live(".isobar-manifest.json")),
            (None, Some("mine\n".into()), None)
        );

        bench.remove("foreign");
        bench.job.intent = Intent::Converge;
        bench.apply();
        bench.job.intent = Intent::Destroy;
        bench.apply();
        let left: Vec<String> = bench.everything().into_keys().filter(|path| path.contains("network")).collect();
        assert_eq!(left, [""; 0], "an empty destination goes too");
        assert!(bench.preview().is_empty());
    });
}

#[test]
fn drift_is_changed_missing_or_unmanaged() {
    on_every_ground(|ground| {
        let bench = Bench::on(ground, &[("t/a", "a\n"), ("t/b", "b\n"), ("t/c", "c\n")]);
        bench.apply();
        bench.edit("a", "by hand\n");
        bench.remove("b");
        bench.edit("sub/new", "x");
        let preview = bench.preview();
        assert_eq!(short(&preview), ["~ a", "+ b"]);
        let expected = [("a", StrayKind::Changed), ("b", StrayKind::Missing), ("sub/new", StrayKind::Unmanaged)];
        assert_eq!(strays(&preview), expected.map(|(path, kind)| (path.to_string(), kind)));

        bench.apply();
        assert_eq!(strays(&bench.preview()), [("sub/new".to_string(), StrayKind::Unmanaged)]);
    });
}

#[test]
fn unmanaged_files_are_not_told_when_the_section_says_so() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/a", "a\n")]);
        bench.apply();
        bench.edit("sub/new", "x");
        bench.section(&json!({ "source": "./t", "destination": bench.url("live/prod/eu/network"), "unmanaged": "ignore" }));
        assert_eq!(strays(&bench.preview()), []);
    });
}

#[test]
fn a_destination_inside_another_one_is_not_its_drift() {
    on_every_ground(|ground| {
        let bench = Bench::on(ground, &[("t/a", "a\n")]);
        bench.apply();
        let mut inner = Bench::new(&[("t/a", "inner\n")]).beside(&bench);
        inner.rename("inner", "prod/eu");
        inner.section(&json!({ "source": "./t", "destination": bench.url("live/prod/eu/network/inner") }));
        inner.apply();
        assert_eq!(strays(&bench.preview()), []);
    });
}

#[test]
fn a_preview_is_the_same_twice_and_on_another_machine() {
    let files = [("t/a", "{{ region.id }}\n"), ("t/b", "id={{ inputs.id }}\n")];
    let (mut one, mut two) = (Bench::new(&files), Bench::new(&files));
    for bench in [&mut one, &mut two] {
        bench.inputs(vec![input("id", json!(mark_hole("base.outputs.id")))]);
    }
    assert_eq!(one.preview(), two.preview());
    assert_eq!(one.preview().digest(), one.preview().digest());
    assert_eq!(one.preview().digest(), two.preview().digest());
    let text = format!("{:?}", one.preview());
    assert!(!text.contains(&*one.root.path().to_string_lossy()), "no path of this machine");
}

#[test]
fn a_hole_is_in_the_change_by_name_and_stops_an_apply() {
    let mut bench = Bench::new(&[("t/a", "id={{ inputs.id }}\n")]);
    bench.inputs(vec![input("id", json!(format!("vpc-{}", mark_hole("base.outputs.id"))))]);
    let preview = bench.preview();
    assert_eq!(preview.changes[0].holes, [Arc::from("base.outputs.id")]);
    let Detail::Text(diff) = &preview.changes[0].detail else { panic!("{preview:?}") };
    assert_eq!(&*diff.hunks[0].lines[0].text, "id=vpc-‹base.outputs.id›");

    let failure = bench.make(&preview).expect_err("an unknown value can't be written");
    assert!(failure.untouched && failure.text.contains("needs base.outputs.id"), "{failure:?}");
    assert!(bench.everything().is_empty());
}

#[test]
fn outputs_are_known_before_the_apply_only_where_their_document_stays() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/net.json", "{\"vpc\": {\"id\": \"vpc-{{ region.name }}\"}}\n"), ("t/b", "b")]);
        let read = |pointer: &str| OutputFrom::Engine(node(&json!({ "document": "net.json", "pointer": pointer })));
        let value = |value: Value| OutputFrom::Value(node(&value));
        let unknown = value(json!(mark_hole("base.outputs.id")));
        bench.outputs(&[
            ("id", read("/vpc/id")),
            ("none", read("/nothing")),
            ("given", value(json!([1, 2]))),
            ("later", unknown),
        ]);

        let known = |preview: Preview| preview.outputs.get("id").cloned().expect("it is declared");
        assert_eq!(bench.preview().outputs.len(), 4);
        assert_eq!(known(bench.preview()), None);
        assert_eq!(bench.read_outputs(), [(Arc::from("given"), json!([1, 2]))].into());

        let applied = bench.apply();
        let expected: Outputs = [(Arc::from("given"), json!([1, 2])), (Arc::from("id"), json!("vpc-eu"))].into();
        assert_eq!(applied.outputs, expected);
        assert_eq!(bench.read_outputs(), expected);
        bench.add("network/t/b", b"another document changes");
        assert_eq!(known(bench.preview()), Some(json!("vpc-eu")));
    });
}

#[test]
fn a_published_text_that_looks_like_a_mark_is_no_output() {
    on_every_ground(|ground| {
        let mut bench = Bench::on(ground, &[("t/net.json", "{\"id\": \"x\"}")]);
        bench.outputs(&[("id", OutputFrom::Engine(node(&json!({ "document": "net.json", "pointer": "/id" }))))]);
        bench.apply();
        bench.edit("net.json", "{\"id\": \"\\ufdd2KEY\\ufdd3\"}");
        assert_eq!(bench.read_outputs(), Outputs::new());
    });
}

#[test]
fn the_identity_is_the_destination_made_plain() {
    let mut bench = Bench::new(&[]);
    for (written, identity) in [
        ("file:./live//x/../prod", "file:live/prod"),
        ("s3://docs/live/", "s3://docs/live"),
        ("az://acme/docs", "az://acme/docs"),
    ] {
        bench.section(&json!({ "source": "./t", "destination": written }));
        assert_eq!(Documents::default().identity(&bench.job.resolved), Some(identity.into()));
    }
    bench.section(&json!({ "source": "./t", "destination": format!("file:{}", mark_hole("base.outputs.dir")) }));
    assert_eq!(Documents::default().identity(&bench.job.resolved), None);
    let needs = bench.see().expect_err("the destination is not known").reason;
    assert_eq!(needs, UnseenReason::Needs(vec!["base.outputs.dir".into()]));
}

#[test]
fn a_bucket_is_not_asked_for_what_a_listing_says_is_not_there() {
    let google = Google::start();
    let cloud = google.cloud();
    let access = Access::of(|name| cloud.variables.get(name).map(String::as_str));
    let ground = Ground::Cloud(cloud, Buckets::new(access), String::new());
    let mut bench = Bench::on(&ground, &[("t/net.json", "{\"id\": \"x\"}"), ("t/sub/b", "b\n")]);
    let asks = |what: &str, work: &dyn Fn()| {
        let before = google.requests();
        work();
        (what.to_string(), google.requests() - before)
    };
    bench.make(&bench.preview()).expect("the first apply also tries the service out");
    let made = bench.preview();
    let known = asks("nothing to do", &|| assert!(bench.see().is_ok_and(|seen| seen.is_empty())));
    bench.outputs(&[("given", OutputFrom::Value(node(&json!(1))))]);
    let given = asks("outputs that stand in the definition", &|| drop(bench.read_outputs()));
    bench.outputs(&[("id", OutputFrom::Engine(node(&json!({ "document": "net.json", "pointer": "/id" }))))]);
    let read = asks("outputs that stand in a document", &|| drop(bench.read_outputs()));
    bench.section(&json!({ "source": "./t", "destination": bench.url("live/prod/us/network") }));
    let new = asks("new", &|| assert_eq!(bench.see().map(|seen| seen.changes.len()), Ok(2)));
    let preview = bench.preview();
    let applied = asks("apply", &|| assert!(bench.make(&preview).expect("it is new").outputs.contains_key("id")));

    let asked = [known, given, read, new, applied];
    let asked: Vec<(&str, usize)> = asked.iter().map(|(what, asked)| (&**what, *asked)).collect();
    assert_eq!(
        asked,
        [
            ("nothing to do", 5), // a list of the top, one of sub, the manifest, and each document
            ("outputs that stand in the definition", 0),
            ("outputs that stand in a document", 2),
            ("new", 1),
            ("apply", 5), // the list again, the intent, each document, and the manifest
        ]
    );
    assert!(made.is_empty());
}
