//! Broken definitions: what is told of each case in `fixtures/broken.txt`, and that no input whatsoever makes the reader
//! panic.

use super::{BlobId, Fleet, Leaf, Listing, Mistakes, Mode, Source};
use std::collections::BTreeMap;

const CASES: &str = include_str!("../../fixtures/broken.txt");

struct Case<'a> {
    name: &'a str,
    files: BTreeMap<&'a str, String>,
    told: String,
}

fn cases() -> Vec<Case<'static>> {
    let case = |text: &'static str| {
        let (text, told) = text.split_once("\n>>").expect("every case tells something");
        let mut parts = text.split("\n-- ");
        let name = parts.next().expect("a case begins with its name");
        let file = |part: &'static str| {
            let (path, text) = part.split_once('\n').unwrap_or((part, ""));
            (path, if text.is_empty() { String::new() } else { format!("{text}\n") })
        };
        Case { name, files: parts.map(file).collect(), told: told.trim().into() }
    };
    let mut cases: Vec<_> = CASES.split("\n== ").skip(1).map(case).collect();
    let good = cases[0].files["isobar.yaml"].clone();
    for case in &mut cases {
        if case.files.remove("isobar.yaml (missing)").is_none() {
            case.files.entry("isobar.yaml").or_insert(good.clone());
        }
    }
    cases
}

fn mistakes_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Mistakes {
    let source = |(path, bytes): (&str, &[u8])| {
        let mode = if bytes.starts_with(b"-> ") { Mode::Symlink } else { Mode::File };
        Source { path: path.into(), mode, bytes: bytes.into() }
    };
    let sources: Vec<_> = files.into_iter().map(source).collect();
    let leaf = |source: &Source| Leaf { path: source.path.clone(), mode: source.mode, id: BlobId("0".into()) };
    let listing = Listing::new(sources.iter().map(leaf).collect());
    match Fleet::read(&sources, &listing) {
        Ok(fleet) => fleet.strict,
        Err(mistakes) => mistakes,
    }
}

fn told_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    mistakes_of(files).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_do() {
    for case in cases() {
        let told = told_of(case.files.iter().map(|(path, text)| (*path, text.as_bytes())));
        assert_eq!(told, case.told, "{}:\n{told}\n", case.name);
    }
}

#[test]
fn every_mistake_has_its_line_and_a_hint() {
    for case in cases() {
        for mistake in mistakes_of(case.files.iter().map(|(path, text)| (*path, text.as_bytes()))).iter() {
            assert!(mistake.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{}: {mistake}", case.name);
            let is_empty = mistake.site.as_ref().is_none_or(|site| case.files[&*site.path].is_empty());
            assert!(mistake.line.is_some() != is_empty, "{}: {mistake}", case.name);
        }
    }
}

#[test]
fn there_are_cases_enough_and_only_the_first_is_good() {
    let cases = cases();
    assert!(cases.len() > 30);
    assert!(cases.iter().skip(1).all(|case| !case.told.is_empty()));
}

/// A good fleet that uses every key.
const WHOLE: [(&str, &str); 3] = [
    (
        "isobar.yaml",
        "version: 1\nregions:\n  prod/us: &r {cloud: aws, weight: 5, labels: {tier: one}, vars: {cidr: 10.1.0.0/16}}\n  \
         dev/us: {<<: *r, weight: 1}\nenvironments: {prod: {vars: {size: 3}}}\nclouds: {aws: {vars: {arn: aws}}}\n\
         vars: {owner: platform}\nteams: {ops: [ann, bob]}\npolicy: []\nrollout: {prod: standard}\njournal: file:.isobar/j\n",
    ),
    (
        "base/stack.yaml",
        "where: all\ndocuments: {source: .}\noutputs:\n  id: {document: ids.json, pointer: /id}\n  \
         owner: ${{ vars.owner }}\n",
    ),
    (
        "net/stack.yaml",
        "name: network\nwhere: [{environment: prod, cloud: aws}, {region: dev/*, labels: {tier: [one]}}]\n\
         depends_on: [base, {stack: base, region: prod/us}]\nwas: old\nwatch: [modules/**]\nlabels: {kind: net}\n\
         instances: {one: {vars: {note: x}, where: {cloud: aws}, was: older}, two: }\n\
         vars: {note: \"it's\", many: [1, -2.5e3, null]}\ninputs:\n  id: ${{ stacks[\"base\"].outputs.id }}\n  \
         text: |\n    cidr ${{ region.vars.cidr }}\n  password: !secret DB\n  size: ${{ vars.size }}\nsensitive: [id]\n\
         documents: {source: ./t, destination: \"file:live/${{ region.id }}\"}\n",
    ),
];

fn whole_but(nth: usize, bytes: &[u8]) -> String {
    told_of(WHOLE.iter().enumerate().map(|(at, (path, text))| (*path, if at == nth { bytes } else { text.as_bytes() })))
}

#[test]
fn a_fleet_that_uses_every_key_is_read_without_a_mistake() {
    assert_eq!(told_of(WHOLE.iter().map(|(path, text)| (*path, text.as_bytes()))), "");
}

#[test]
fn a_file_cut_off_at_any_byte_makes_no_panic() {
    for (nth, (_, text)) in WHOLE.iter().enumerate() {
        assert!((0..text.len()).filter(|end| !whole_but(nth, &text.as_bytes()[..*end]).is_empty()).count() > 10);
    }
}

#[test]
fn flipped_bytes_make_no_panic() {
    let mut seed: u64 = 7;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let nasty = b"{}[]:,&*!|>'\"%@`#-? \n\t$~<\0\xff\xef";
    let mut refused = 0;
    let rounds = 750 * crate::fuzz::factor();
    for round in 0..rounds {
        let nth = round % WHOLE.len();
        let mut bytes = WHOLE[nth].1.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = if random(2) == 0 { nasty[random(nasty.len())] } else { random(256) as u8 };
        }
        refused += usize::from(!whole_but(nth, &bytes).is_empty());
    }
    assert!(refused > rounds / 2, "{refused} of {rounds}");
}
