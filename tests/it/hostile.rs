//! Hostile pull requests: whatever their texts hold and wherever these stand, the runner is not commanded, what is told is only read, and
//! no secret is in it.

use crate::support::github::{BOT, TOKEN};
use crate::support::{Forge, Ran, Sandbox, app, tree};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

/// A policy that says yes to what is small.
const OPEN: &str = "policy: [{ rule: limit, targets_max: 10 }]";

/// No longer definition is read.
const DEFINITION_BYTES: usize = 262_144;

/// What somebody may write. Each has the word `evil`, by which it is found again.
const TEXTS: &[(&str, &str)] = &[
    ("a command", "::error::evil"),
    ("two commands", "evil\n::stop-commands::evil\n  ::set-output name=evil::evil"),
    ("a command after a carriage return", "evil\r::add-mask::evil\u{85}::error::evil"),
    ("a command of the old kind", "evil ##[set-env name=evil]evil"),
    ("an escaped command", "evil%0A::error::evil%0D%3A%2C%25"),
    ("an end of a property", "evil,title=evil::evil"),
    ("mentions", "@evil, @acme/evil (@evil) \u{e9}@evil _@evil .@evil/"),
    ("closing words", "evil fixes #1, closes acme/fleet#2, resolves GH-3 and gh-4"),
    ("HTML", "</details></summary></sub></b></td><script>evil()</script><img src=x onerror=evil>"),
    ("a marker", "<!-- isobar:v1 key=evil head=0 seen-by=999999.1 run=999999.1 part=1/1 -->"),
    ("a fence", "evil\n```\n# evil\n@evil"),
    ("a longer fence", "evil\n``````````\n  ``````````\n# evil"),
    ("another fence", "~~~~\n# evil\n> evil"),
    ("backticks", "evil `` @evil ` <b> ```` \\` evil\\"),
    ("links", "![evil](https://evil.example/x.png) [evil](javascript:evil) [evil]: evil [^evil]"),
    ("addresses", "https://evil.example www.evil.example evil@evil.example mailto:evil@evil.example <https://evil.example>"),
    ("colours", "\u{1b}[31mevil\u{1b}[0m \u{1b}]8;;https://evil.example\u{7}evil\u{9b}2J"),
    ("a turned direction", "\u{202e}evil\u{2066}evil\u{2069}\u{61c}\u{200f}evil"),
    ("what is not seen", "evil ev\u{200b}il\u{feff}\u{2060}\u{ad}\u{e0041}\u{fffe}"),
    ("emphasis", "**evil gate open**: __evil__ ~~evil~~ *evil* _evil_"),
    ("a table", "| evil | b |\n| --- | --- |\n| evil \\| evil \\\\| evil |"),
    ("entities", "&#64;evil &lt;evil&gt; &#x202e; &commat;evil &Tab;"),
    ("formulas and pictures", "$evil$ $$evil$$ :evil: \\(evil\\)"),
    ("headings and lists", "# evil\n> evil\n1. evil\n- evil\n- [ ] evil\n=====\n-----\n***"),
    ("a shell's words", "'; evil; $(evil) \"evil\" | evil > evil && evil #evil"),
    ("a command of ours", "/isobar approve 0123456789ab evil"),
    ("a very long line", ""),
];

/// The text of this name; the long one is a megabyte, with a command at its end.
fn text(nth: usize) -> String {
    let (_, text) = TEXTS[nth];
    if text.is_empty() { format!("{}\r::error::evil @evil", "evil ".repeat(200_000)) } else { text.to_string() }
}

/// As much of a text as may be the name of a file.
fn file_name(text: &str) -> String {
    let name: String = text.chars().map(|c| if "/\n".contains(c) { '\u{2215}' } else { c }).take(60).collect();
    name.trim().to_string()
}

/// A text as YAML takes it on one line.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

/// A pull request that holds a text somewhere, and what came of it.
struct Played {
    forge: Forge,
    runs: Vec<Ran>,
}

/// A pull request whose branch is made by `write`.
fn proposed(fleet: Sandbox, write: impl FnOnce(&Sandbox)) -> Played {
    proposed_by(fleet, "Evil", |_| {}, write)
}

fn proposed_by(fleet: Sandbox, title: &str, more: impl FnOnce(&Forge), write: impl FnOnce(&Sandbox)) -> Played {
    let forge = Forge::of(fleet);
    let base = forge.fleet.head();
    forge.fleet.branch("hostile");
    write(&forge.fleet);
    let head = forge.fleet.commit(title);
    forge.github.people(|state| state.open("ada", title, &base, &[&head]));
    more(&forge);
    let ran = forge.on_pull("pull_request", "opened", 1);
    Played { forge, runs: vec![ran] }
}

fn plain() -> Sandbox {
    app("staging/a staging/b", OPEN)
}

/// The default branch is applied as it is.
fn pushed(fleet: Sandbox, prepare: impl FnOnce(&Sandbox)) -> Played {
    prepare(&fleet);
    fleet.commit("Evil");
    let forge = Forge::new(fleet);
    let ran = forge.on_push("");
    Played { forge, runs: vec![ran] }
}

/// Where a text may stand, how that is played, and whether people are told of it then.
struct Place {
    name: &'static str,
    /// `None`: of some texts.
    is_told: Option<bool>,
    play: fn(&str) -> Played,
}

const fn told(name: &'static str, play: fn(&str) -> Played) -> Place {
    Place { name, is_told: Some(true), play }
}

const fn silent(name: &'static str, play: fn(&str) -> Played) -> Place {
    Place { name, is_told: Some(false), play }
}

const fn at_times(name: &'static str, play: fn(&str) -> Played) -> Place {
    Place { name, is_told: None, play }
}

/// Each with every text.
const EVERYWHERE: &[Place] = &[
    told("a new document", |text| {
        proposed(plain(), |fleet| {
            fleet.file("app/templates/more.txt", &format!("{text}\n{TOKEN}\n"));
        })
    }),
    told("the name of a document", |text| {
        proposed(plain(), |fleet| {
            fleet.file(&format!("app/templates/{}", file_name(text)), "x\n");
        })
    }),
    told("a mistake in a definition", |text| {
        proposed(plain(), |fleet| {
            fleet.edit("app/stack.yaml", "where: all", &format!("where: {}", quoted(text)));
        })
    }),
    told("a template's name in an error of the engine", |text| {
        let include = format!("{{% set name = {} %}}{{% include name %}}\n", quoted(text));
        proposed(plain(), |fleet| {
            fleet.file("app/templates/more.txt", &include);
        })
    }),
];

/// Each with some texts.
const SOMEWHERE: &[Place] = &[
    told("a document that goes away", |text| {
        let fleet = plain();
        fleet.file("app/templates/more.txt", &format!("{text}\n")).file(&format!("app/templates/{}", file_name(text)), "x\n");
        fleet.commit("More");
        let forge = Forge::of(fleet);
        let first = forge.on_push("");
        let base = forge.fleet.head();
        forge.fleet.branch("hostile").edit("app/templates/app.yaml.j2", "version: 1", "version: 2");
        forge.fleet.remove("app/templates/more.txt").remove(&format!("app/templates/{}", file_name(text)));
        let head = forge.fleet.commit("Less");
        let number = forge.github.people(|state| state.open("ada", "Less", &base, &[&head]));
        let second = forge.on_pull("pull_request", "opened", number);
        Played { forge, runs: vec![first, second] }
    }),
    told("an unknown key", |text| {
        proposed(plain(), |fleet| {
            fleet.edit("app/stack.yaml", "where: all", &format!("where: all\n{}: 1", quoted(text)));
        })
    }),
    at_times("a definition that is no YAML", |text| {
        proposed(plain(), |fleet| {
            fleet.edit("app/stack.yaml", "where: all", &format!("where: [all {text}"));
        })
    }),
    told("a stack's directory", |text| {
        proposed(plain(), |fleet| {
            fleet.stack(&file_name(text), "").file("x", "x");
        })
    }),
    told("the line of an undefined name", |text| {
        let line = format!("{{{{ nobody.nothing }}}} {}\n", text.replace('\n', " "));
        proposed(plain(), |fleet| {
            fleet.file("app/templates/more.txt", &line);
        })
    }),
    told("a value of a region", |text| {
        let fleet = plain();
        fleet.edit("isobar.yaml", "staging/a: {}", "staging/a: { vars: { x: one } }");
        fleet.edit("isobar.yaml", "staging/b: {}", "staging/b: { vars: { x: two } }").commit("Values");
        proposed(fleet, |fleet| {
            fleet.edit("isobar.yaml", "x: two", &format!("x: {}", quoted(text)));
            fleet.file("app/templates/more.txt", "x={{ region.vars.x }}\n");
        })
    }),
    told("a place of documents", |text| {
        proposed(plain(), |fleet| {
            fleet.edit("app/stack.yaml", "\"file:./live/${{ region.id }}/app\"", &quoted(text));
        })
    }),
    told("a template's name in a mistake", |text| {
        let include = format!("{{% include {} %}}\n", quoted(text));
        proposed(plain(), |fleet| {
            fleet.file("app/templates/more.txt", &include);
        })
    }),
    told("a dependency", |text| {
        let edited = format!("where: all\ndepends_on: [{}]", quoted(text));
        proposed(plain(), |fleet| {
            fleet.edit("app/stack.yaml", "where: all", &edited);
        })
    }),
    told("a secret that is not set", |text| {
        let edited = format!("where: all\ninputs: {{ x: !secret {} }}", quoted(text));
        proposed(plain(), |fleet| {
            fleet.edit("app/stack.yaml", "where: all", &edited);
        })
    }),
    told("a rule's message", |text| {
        let rule = format!("policy: [{{ rule: deny, message: {}, when: {{ environment: staging }} }}]", quoted(text));
        let fleet = app("staging/a", &rule);
        proposed(fleet, |fleet| {
            fleet.version(1, 2);
        })
    }),
    told("an apply that fails", |text| {
        let name = file_name(text);
        pushed(plain(), |fleet| {
            fleet.file(&format!("app/templates/{name}"), "x\n");
            fleet.file(&format!("live/staging/a/app/.isobar-tmp-{name}/x"), "in the way\n");
        })
    }),
    told("a document that was changed by hand", |text| {
        let name = file_name(text);
        let Played { forge, mut runs } = pushed(plain(), |fleet| {
            fleet.file(&format!("app/templates/{name}"), "x\n");
        });
        forge.fleet.file(&format!("live/staging/a/app/{name}"), text);
        runs.push(forge.on("schedule", &json!({})));
        Played { forge, runs }
    }),
    told("why everything is paused", |text| {
        let forge = Forge::of(plain());
        let first = forge.fleet.run(&["pause", "--reason", &text.chars().take(10_000).collect::<String>()]);
        let second = forge.on_push("");
        Played { forge, runs: vec![first, second] }
    }),
    told("the branch that it goes into", |text| {
        let forge = Forge::of(plain());
        let number = forge.propose(1, 2);
        let mut payload = forge.payload("opened", number);
        payload["pull_request"]["base"]["ref"] = json!(text);
        payload["repository"]["default_branch"] = json!(text);
        let ran = forge.on("pull_request", &payload);
        Played { forge, runs: vec![ran] }
    }),
    silent("the title, the description, the branch and the labels", |text| {
        let more = |forge: &Forge| {
            forge.github.people(|state| {
                let pull = state.pull(1);
                (pull.body, pull.head_ref, pull.labels) = (text.into(), text.into(), vec![text.into()]);
            });
        };
        proposed_by(plain(), text, more, |fleet| {
            fleet.version(1, 2);
        })
    }),
    silent("a commit and a review", |text| {
        let name: String = text
            .chars()
            .filter(|c| {
                !"<>
"
                .contains(*c)
            })
            .take(200)
            .collect();
        let fleet = plain().by(&format!("evil {name} evil"));
        let Played { forge, mut runs } = proposed(fleet, |fleet| {
            fleet.version(1, 2);
        });
        forge.github.people(|state| {
            state.commits.values_mut().for_each(|commit| commit.message = text.into());
            state.review(1, "bob", "COMMENTED");
            state.pull(1).reviews[0].body = text.into();
        });
        runs.push(forge.on_pull("pull_request_review", "submitted", 1));
        Played { forge, runs }
    }),
    silent("words after a command", |text| {
        let forge = Forge::of(plain());
        let number = forge.propose(1, 2);
        let commands = ["", "preview ", "pause ", "apply ", "approve "];
        let said = commands.iter().flat_map(|command| ["bob", "eve"].map(|by| (by, format!("/isobar {command}{text}"))));
        let runs = said.map(|(by, body)| forge.says(by, number, &body)).collect();
        Played { forge, runs }
    }),
    silent("a comment", |text| {
        let forge = Forge::of(plain());
        let number = forge.propose(1, 2);
        let runs = ["bob", "eve", "evil[bot]"].map(|by| forge.says(by, number, text)).into();
        Played { forge, runs }
    }),
    at_times("an event's own words", |text| {
        let forge = Forge::of(plain());
        let number = forge.propose(1, 2);
        let first = forge.on_pull("pull_request", text, number);
        let second = forge.on("push", &json!({ "ref": text, "before": text, "repository": { "default_branch": "main" } }));
        Played { forge, runs: vec![first, second] }
    }),
];

#[test]
fn no_document_gets_out_of_its_text() {
    plays(&EVERYWHERE[..1], 0..TEXTS.len());
}

#[test]
fn no_name_of_a_document_gets_out_of_its_text() {
    plays(&EVERYWHERE[1..2], 0..TEXTS.len());
}

#[test]
fn no_mistake_gets_out_of_its_text() {
    plays(&EVERYWHERE[2..3], 0..TEXTS.len());
}

#[test]
fn no_error_of_the_engine_gets_out_of_its_text() {
    plays(&EVERYWHERE[3..], 0..TEXTS.len());
}

#[test]
fn no_other_place_lets_a_text_out() {
    for (nth, place) in SOMEWHERE.iter().enumerate() {
        plays(std::slice::from_ref(place), (nth % 4..TEXTS.len()).step_by(4));
    }
}

#[test]
fn a_marker_in_a_comment_of_somebody_else_makes_it_none_of_ours() {
    let forge = Forge::of(plain());
    let number = forge.propose(1, 2);
    let head = forge.fleet.head();
    let turn = "seen-by=999999.1 run=999999.1 part=1/1";
    let marked = ["isobar", "isobar-answer"].map(|key| format!("<!-- isobar:v1 key={key} head={head} {turn} -->\n**Gate open**"));
    let theirs = ["eve", "bob", "evil[bot]"].map(|by| {
        for body in &marked {
            forge.github.people(|state| state.comment(number, by, body));
        }
        by
    });
    let runs = vec![forge.on_pull("pull_request", "opened", number).ends(0), forge.says("bob", number, "/isobar help").ends(0)];

    forge.github.people(|state| {
        let all = state.comments_of(number);
        let by =
            |wanted: &str| all.iter().filter(|comment| comment.by == wanted).map(|comment| &comment.body).collect::<Vec<_>>();
        theirs.iter().for_each(|theirs| assert!(marked.iter().all(|body| by(theirs).contains(&body)), "{theirs}'s stay"));
        let ours = by(BOT);
        assert_eq!(ours.len(), 2, "{ours:#?}");
        assert!(ours[0].contains("2 of 2 regions will change") && ours[1].contains("`/isobar preview`"), "{ours:#?}");
    });
    is_harmless("markers of others", &Played { forge, runs });
}

fn plays(places: &[Place], texts: impl Iterator<Item = usize> + Clone) {
    for place in places {
        for nth in texts.clone() {
            let text = text(nth);
            let case = format!("{} in {}", TEXTS[nth].0, place.name);
            let played = (place.play)(&text);
            is_harmless(&case, &played);
            let is_told = everything(&played).contains("evil");
            let is_refused = text.len() > DEFINITION_BYTES && !is_told;
            let is_as_wanted = is_refused || place.is_told.is_none_or(|wanted| wanted == is_told);
            assert!(
                is_as_wanted,
                "{case}: told: {is_told}
{:#?}",
                played.runs
            );
        }
    }
}

/// All that people and programs are told by it.
fn everything(played: &Played) -> String {
    let mut all: Vec<String> = played.runs.iter().map(|ran| format!("{}\n{}", ran.stdout, ran.stderr)).collect();
    played.forge.github.people(|state| {
        all.extend(state.comments.values().filter(|comment| comment.by == BOT).map(|comment| comment.body.clone()));
        all.extend(state.issues.values().map(|issue| format!("{}\n{}", issue.title, issue.body)));
        all.extend(state.statuses.iter().map(|status| status.description.clone()));
    });
    all.extend(left(played, "summary.md"));
    all.join("\n")
}

/// A file for a later step or a reader of the run.
fn left(played: &Played, name: &str) -> Option<String> {
    fs::read_to_string(played.forge.fleet.outside(name)).ok()
}

/// The one judge of all cases.
#[track_caller]
fn is_harmless(case: &str, played: &Played) {
    for ran in &played.runs {
        commands_nobody(case, &ran.stdout);
        commands_nobody(case, &ran.stderr);
    }
    for line in left(played, "outputs").iter().flat_map(|outputs| outputs.split('\n')).filter(|line| !line.is_empty()) {
        assert!(is_output_of_ours(line), "{case}: an output {line:?}");
    }
    if let Some(summary) = left(played, "summary.md") {
        only_reads(case, &summary);
    }
    played.forge.github.people(|state| {
        let mut markers = BTreeSet::new();
        let comments = state.comments.values().filter(|comment| comment.by == BOT).map(|comment| (comment.number, &comment.body));
        for (number, body) in comments.chain(state.issues.values().map(|issue| (issue.number, &issue.body))) {
            let (marker, below) = body.split_once('\n').unwrap_or((body, ""));
            let is_marked = marker.starts_with("<!-- isobar:v1 key=isobar") && marker.ends_with(" -->");
            assert!(is_marked && marker.matches("<!--").count() == 1, "{case}: begins with {marker:?}");
            let key = marker.split(' ').find(|word| word.starts_with("key=")).map(str::to_string);
            assert!(markers.insert((number, key)), "{case}: two texts of one kind under #{number}");
            assert!(body.chars().count() < 65_536, "{case}: {} characters", body.len());
            assert!(!body.contains(TOKEN), "{case}: tells the token");
            only_reads(case, below);
        }
        for issue in state.issues.values() {
            let titles = ["Drift", "An apply failed", "Isobar cannot apply", "Isobar cannot look for drift"];
            assert!(titles.contains(&issue.title.as_str()), "{case}: an issue {:?}", issue.title);
        }
        for status in &state.statuses {
            let said = &status.description;
            assert!(["isobar", "isobar apply"].contains(&status.context.as_str()), "{case}: a status {:?}", status.context);
            assert!(said.chars().count() <= 140 && !said.contains(['\n', '\t']), "{case}: a status says {said:?}");
            assert!(!said.chars().any(deceives), "{case}: a status says {said:?}");
        }
    });
}

/// Characters that move a cursor, turn the direction, or are not seen.
fn deceives(c: char) -> bool {
    let is_unseen = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{e0000}'..='\u{e007f}');
    is_unseen || (c.is_control() && c != '\n' && c != '\t')
}

/// A runner takes lines for commands that begin so, after blanks; and the old kind anywhere.
#[track_caller]
fn commands_nobody(case: &str, said: &str) {
    assert!(!said.chars().any(deceives), "{case}: says {:?}", said.chars().find(|c| deceives(*c)));
    for line in said.lines().map(str::trim_start) {
        let shown: String = line.chars().take(300).collect();
        assert!(!line.contains("##["), "{case}: commands by {shown}");
        assert!(!line.starts_with("::") || is_annotation(line), "{case}: commands by {shown}");
    }
}

/// `::error file=…,line=…,col=…,title=…::…`, in which `%`, `:` and `,` stand only for themselves where they may.
fn is_annotation(line: &str) -> bool {
    let is_escaped =
        |text: &str| text.split('%').skip(1).all(|rest| ["25", "0A", "3A", "2C"].iter().any(|one| rest.starts_with(one)));
    let level = ["::error ", "::warning "].iter().find_map(|level| line.strip_prefix(level));
    let Some((properties, message)) = level.and_then(|rest| rest.split_once("::")) else { return false };
    let is_property = |(property, name): (&str, &str)| {
        property.split_once('=').is_some_and(|(key, value)| key == name && !value.contains(':') && is_escaped(value))
    };
    let properties: Vec<&str> = properties.split(',').collect();
    let names: &[&str] = if properties.len() == 1 { &["title"] } else { &["file", "line", "col", "title"] };
    properties.len() == names.len() && properties.into_iter().zip(names.iter().copied()).all(is_property) && is_escaped(message)
}

/// One line of a step's outputs, with a name and a value that we give.
fn is_output_of_ours(line: &str) -> bool {
    match line.split_once('=') {
        Some(("targets" | "changed" | "applied" | "failed" | "waiting" | "drifted" | "exit-code", value)) => {
            value.bytes().all(|byte| byte.is_ascii_digit())
        }
        Some(("result", value)) => ["clean", "found", "waiting", "failed", "stopped"].contains(&value),
        Some(("report", value)) => value.ends_with("/isobar-report.json"),
        _ => false,
    }
}

/// A text of Markdown in which no more is made of what others wrote than letters.
#[track_caller]
fn only_reads(case: &str, body: &str) {
    let mut fence: Option<(usize, usize)> = None;
    let mut open: Vec<&str> = Vec::new();
    let mut gap_after = ' ';
    for c in body.chars() {
        // Our own gap stands in what would become a link or a mention.
        let is_gap = c == '\u{200b}' && "@#:-w\\W".contains(gap_after);
        assert!(is_gap || !deceives(c), "{case}: {c:?} in\n{body}");
        gap_after = c;
    }
    for line in body.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        let ticks = line[indent..].bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            Some((of, at)) => {
                assert!(indent >= at || line.is_empty(), "{case}: a list ends in a fence by {line:?} in\n{body}");
                if ticks >= of && line[indent + ticks..].trim().is_empty() {
                    assert_eq!((ticks, indent), (of, at), "{case}: a fence is closed by {line:?} in\n{body}");
                    fence = None;
                }
            }
            None if ticks >= 3 && !line[indent + ticks..].contains('`') => {
                let language = &line[indent + ticks..];
                assert!(["", "diff", "text"].contains(&language), "{case}: a fence of {language:?} in\n{body}");
                fence = Some((ticks, indent));
            }
            None => only_reads_here(case, line, &mut open),
        }
    }
    assert_eq!((fence, open), (None, Vec::new()), "{case}: something is left open in\n{body}");
}

/// The same of a line that stands in no fence.
#[track_caller]
fn only_reads_here<'a>(case: &str, line: &'a str, open: &mut Vec<&'a str>) {
    let (markup, words) = outside_code(line).unwrap_or_else(|| panic!("{case}: a code span that goes on in {line:?}"));
    for (at, _) in markup.match_indices('<') {
        let tags = ["details", "summary", "b", "sub"];
        let begun = &line_from(&markup, at);
        let tag = tags.iter().find(|tag| begun.starts_with(&format!("<{tag}>")) || begun.starts_with(&format!("</{tag}>")));
        let tag = tag.unwrap_or_else(|| panic!("{case}: the tag {begun:?} in {line:?}"));
        if begun.starts_with("</") {
            assert_eq!(open.pop(), Some(*tag), "{case}: {begun:?} in {line:?}");
        } else {
            open.push(tag);
        }
    }
    for (at, _) in markup.match_indices('&') {
        let is_ours = ["&lt;", "&gt;", "&amp;", "&nbsp;", "&#126;"].iter().any(|entity| markup[at..].starts_with(entity));
        assert!(is_ours, "{case}: an entity in {line:?}");
    }
    assert!(!markup.contains(['[', ']', '$']), "{case}: a link or a formula in {line:?}");
    for evil in ["**evil", "__evil", "~~evil", "*evil", "_evil"] {
        assert!(!markup.contains(evil), "{case}: {evil} in {line:?}");
    }
    let begun = markup
        .trim_start()
        .trim_start_matches(['#', '>', '-', '+', '*', '|', '.', ')'])
        .trim_start_matches(|c: char| c.is_ascii_digit());
    assert!(begun.len() == markup.trim_start().len() || !begun.trim_start().starts_with("evil"), "{case}: a block {line:?}");

    let small = words.to_ascii_lowercase();
    let is_word = |c: char| c.is_ascii_alphanumeric();
    for (at, mark) in small.match_indices(['@', '#']) {
        let (before, after) = (&small[..at], &small[at + 1..]);
        let is_mention = mark == "@" && !before.ends_with(is_word) && after.starts_with(is_word);
        let is_mail = mark == "@"
            && after.starts_with(is_word)
            && after.split(char::is_whitespace).next().is_some_and(|word| word.contains('.'));
        let is_reference = mark == "#" && after.starts_with(|c: char| c.is_ascii_digit());
        assert!(!is_mention && !is_mail && !is_reference, "{case}: {mark}{after} in {line:?}");
    }
    for address in ["://", "www.", "gh-1", "gh-3", "gh-4", "mailto:evil@e"] {
        assert!(!small.contains(address), "{case}: {address} in {line:?}");
    }
}

fn line_from(text: &str, at: usize) -> String {
    text[at..].chars().take(12).collect()
}

/// A line without its code spans and our one link: as Markdown sees it, each escaped character a blank; and as a reader does, who knows no
/// escapes. `None` where a code span has no end.
fn outside_code(line: &str) -> Option<(String, String)> {
    let (mut rest, mut markup, mut words) = (line, String::new(), String::new());
    while let Some(c) = rest.chars().next() {
        let ticks = rest.bytes().take_while(|byte| *byte == b'`').count();
        if let Some(after) = rest.strip_prefix('\\').filter(|after| after.starts_with(|c: char| c.is_ascii_punctuation())) {
            markup.push(' ');
            words.push_str(&after[..1]);
            rest = &after[1..];
        } else if let Some(after) = link_of_ours(rest) {
            rest = after;
        } else if ticks > 0 {
            rest = after_code(&rest[ticks..], ticks)?;
            [&mut markup, &mut words].iter_mut().for_each(|text| text.push('\u{b7}'));
        } else {
            [&mut markup, &mut words].iter_mut().for_each(|text| text.push(c));
            rest = &rest[c.len_utf8()..];
        }
    }
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&nbsp;", " "), ("&#126;", "~"), ("&amp;", "&")];
    let words = entities.iter().fold(words, |words, (entity, c)| words.replace(entity, c));
    Some((markup, words))
}

/// What comes after the code span that so many backticks opened.
fn after_code(inside: &str, ticks: usize) -> Option<&str> {
    let mut at = 0;
    while let Some(next) = inside[at..].find('`') {
        let begin = at + next;
        let run = inside[begin..].bytes().take_while(|byte| *byte == b'`').count();
        if run == ticks {
            return Some(&inside[begin + run..]);
        }
        at = begin + run;
    }
    None
}

fn link_of_ours(text: &str) -> Option<&str> {
    let after = text.strip_prefix("[run](https://github.com/acme/fleet/actions/runs/")?;
    let (address, after) = after.split_once(')')?;
    address.bytes().all(|byte| byte.is_ascii_digit() || b"/atemps".contains(&byte)).then_some(after)
}

/// How many secrets are planted.
const PLANTED: usize = 1_000;
/// A long one is longer than what is shown of a line.
const PARTS: usize = 25;
const STACKS: usize = 20;
const OF_STACK: usize = PLANTED / STACKS;
/// So many of a stack's stand in the environment; the others are values of the definitions that are said to be sensitive.
const OF_ENVIRONMENT: usize = 40;

/// What tells a secret, whole or in part: 24 letters and digits that stand nowhere else.
fn core(nth: usize, part: usize) -> String {
    use sha2::{Digest as _, Sha256};

    let digest = Sha256::digest(format!("planted {nth}.{part}"));
    digest.iter().take(24).map(|byte| char::from(b"ghijkmnpqrstuvwxyz2345789"[usize::from(*byte) % 25])).collect()
}

/// A secret, in one of the shapes that secrets have.
fn planted(nth: usize) -> String {
    let core = |part: usize| core(nth, part);
    match nth % 10 {
        0 => core(0),
        1 => format!("{}+/{}==", core(0), core(1)),
        2 => format!("a\"{}\\'%22&<{}>;$x", core(0), core(1)),
        3 => format!("-----BEGIN KEY-----\n{}\n{}\n-----END KEY-----\n", core(0), core(1)),
        4 => format!("\u{43a}\u{43b}\u{44e}\u{447}-{}-\u{e9}", core(0)),
        5 => format!("::add-mask::{} ##[x]{}", core(0), core(1)),
        6 => format!("  {} *_`{}`_*  ", core(0), core(1)),
        7 => json!({ "user": core(0), "password": core(1) }).to_string(),
        8 => format!("\u{200b}{}\t{}\r", core(0), core(1)),
        _ => (0..PARTS).map(core).collect(),
    }
}

/// What may be seen nowhere: each part of each secret, in halves and in what others make of it.
fn tells() -> Vec<String> {
    use base64::Engine as _;

    let base64 = |core: &str, before: usize| {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{}{core}", "x".repeat(before)));
        text[4..text.len() - 4].to_string()
    };
    let of = |core: String| {
        let halves = [core[..12].to_string(), core[12..].to_string()];
        let hex: String = core.bytes().map(|byte| format!("{byte:02x}")).collect();
        let reversed: String = core.chars().rev().collect();
        let others = [core.to_uppercase(), hex.to_uppercase(), hex, reversed].into_iter();
        let all: Vec<String> = halves.into_iter().chain(others).chain((0..3).map(|before| base64(&core, before))).collect();
        all
    };
    let parts = |nth: usize| (0..PARTS).filter(move |part| planted(nth).contains(&core(nth, *part)));
    (0..PLANTED).flat_map(|nth| parts(nth).map(move |part| core(nth, part))).flat_map(of).collect()
}

/// A fleet whose stacks each have their secrets as inputs.
fn planted_fleet() -> Sandbox {
    let fleet = app("prod/a prod/b", "policy: [{ rule: limit, targets_max: 1000 }]").env("ISOBAR_KEY", &core(5_000, 0));
    let mut fleet = fleet.env("AWS_SECRET_ACCESS_KEY", &core(5_001, 0)).env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE");
    let mut vars = String::new();
    for stack in 0..STACKS {
        let (mut inputs, mut sensitive) = (String::new(), Vec::new());
        for at in 0..OF_STACK {
            let nth = stack * OF_STACK + at;
            if at < OF_ENVIRONMENT {
                fleet = fleet.env(&format!("PLANTED_{nth}"), &planted(nth));
                inputs.push_str(&format!("  k{at}: !secret PLANTED_{nth}\n"));
            } else {
                vars.push_str(&format!("  v{nth}: {}\n", quoted(&planted(nth))));
                inputs.push_str(&format!("  k{at}: ${{{{ vars.v{nth} }}}}\n"));
                sensitive.push(format!("k{at}"));
            }
        }
        let more = format!("inputs:\n{inputs}sensitive: [{}]", sensitive.join(", "));
        fleet.stack(&format!("s{stack}"), &more).file(&format!("s{stack}/templates/open.txt"), "open\n");
    }
    fleet.edit("isobar.yaml", "version: 1", &format!("version: 1\nvars:\n{}", vars.trim_end())).commit("Plant");
    fleet
}

/// Writes one document of each stack, by the text for each of its inputs.
fn documents(fleet: &Sandbox, name: &str, line: impl Fn(usize, usize) -> String) {
    for stack in 0..STACKS {
        let text: String = (0..OF_STACK).map(|at| line(stack * OF_STACK + at, at)).collect();
        fleet.file(&format!("s{stack}/templates/{name}"), &text);
    }
}

/// A person opens a pull request for a branch.
fn open(forge: &Forge, branch: &str, write: impl FnOnce(&Sandbox)) -> u64 {
    let base = forge.fleet.head();
    forge.fleet.branch(branch);
    write(&forge.fleet);
    let head = forge.fleet.commit(branch);
    forge.github.people(|state| state.open("ada", branch, &base, &[&head]))
}

/// All that was written or sent, by where: the places that may hold secrets are not among them.
fn all_that_is_told(forge: &Forge, runs: &[(&str, Ran)]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (what, ran) in runs {
        all.push((format!("standard output of {what}"), ran.stdout.clone()));
        all.push((format!("standard error of {what}"), ran.stderr.clone()));
    }
    for (nth, one) in forge.github.recorded().into_iter().enumerate() {
        let mut headers = one.request.headers;
        headers.remove("authorization");
        all.push((
            format!("request {nth}"),
            format!("{} {headers:?} {:?} {}", one.request.target, one.request.path, one.request.body),
        ));
    }
    forge.github.people(|state| all.push(("what GitHub holds".into(), format!("{state:?}"))));
    for name in ["summary.md", "outputs", "page.html"] {
        all.push((name.into(), fs::read_to_string(forge.fleet.outside(name)).unwrap_or_default()));
    }
    for dir in [forge.fleet.root().join(".isobar"), forge.fleet.outside("home").into(), forge.fleet.outside("tmp").into()] {
        all.extend(tree(&dir).into_iter().map(|(path, text)| (path.clone(), format!("{path}\n{text}"))));
    }
    all
}

#[test]
fn of_a_thousand_planted_secrets_none_is_told() {
    let forge = Forge::of(planted_fleet());
    let before = forge.fleet.head();
    let mut runs = vec![("the first apply", forge.on_push("").ends(0))];

    let first = open(&forge, "printed", |fleet| {
        documents(fleet, "printed.yaml", |_, at| format!("k{at}: {{{{ inputs.k{at} }}}}\n"));
        documents(fleet, "computed.txt", |_, at| {
            format!("{{{{ inputs.k{at}|upper }}}} {{{{ inputs.k{at}|reverse }}}} {{{{ inputs.k{at}|tojson }}}}\n")
        });
        documents(fleet, "copied.txt", |nth, _| format!("beside\n{}\nbetween\n{}\n", planted(nth).trim(), json!(planted(nth))));
    });
    runs.push(("the preview", forge.on_pull("pull_request", "opened", first).ends(0)));
    forge.merge(first, "printed");
    runs.push(("the apply", forge.on_push(&before).ends(0)));
    for nth in 0..PLANTED {
        let live = forge.fleet.live(&format!("live/prod/b/s{}", nth / OF_STACK));
        assert!(live["printed.yaml"].contains(&planted(nth)), "secret {nth} is published");
    }

    for stack in 0..STACKS {
        let dir = format!("live/prod/a/s{stack}");
        let text = forge.fleet.live(&dir)["printed.yaml"].replace("k1:", "other:");
        forge.fleet.file(&format!("{dir}/printed.yaml"), &text).file(&format!("{dir}/nobodys.txt"), &text);
        forge.fleet.file(&format!("{dir}/open.txt"), &text);
    }
    runs.push(("the look for drift", forge.on("schedule", &json!({})).ends(2)));
    runs.push(("a preview of all", forge.fleet.isobar("preview --all")));

    let second = open(&forge, "wrong", |fleet| {
        let wrong = ["inputs.k + 1", "inputs.k.x.y", "inputs.k|nothing", "inputs.k[inputs.k]", "[][inputs.k]", "none(inputs.k)"];
        for (nth, wrong) in wrong.iter().enumerate() {
            documents(fleet, &format!("wrong{nth}.txt"), |_, at| {
                format!("{{{{ {} }}}}\n", wrong.replace("inputs.k", &format!("inputs.k{at}")))
            });
        }
        documents(fleet, "included.txt", |_, at| format!("{{% include inputs.k{at} %}}\n"));
    });
    runs.push(("a preview that fails", forge.on_pull("pull_request", "opened", second)));
    runs.push(("a preview that fails, in JSON", forge.fleet.isobar("preview --json")));

    let page = forge.fleet.outside("page.html");
    for line in [
        &["apply", "--json"][..],
        &["drift", "--json"],
        &["why", "s1@prod/a"],
        &["status", "--html", &page],
        &["check", "--json"],
    ] {
        runs.push((line[0], forge.fleet.run(line)));
    }

    let tells: Vec<String> = tells().into_iter().chain([core(5_000, 0), core(5_001, 0)]).collect();
    let search = aho_corasick::AhoCorasick::new(&tells).expect("they are few");
    for (place, text) in all_that_is_told(&forge, &runs) {
        let found = search.find(&text).map(|found| (tells[found.pattern().as_usize()].clone(), &text[..found.end()]));
        let told = found.map(|(tell, text)| {
            format!(
                "{tell} in \u{2026}{}",
                text.chars().rev().take(300).collect::<Vec<_>>().into_iter().rev().collect::<String>()
            )
        });
        assert_eq!(told, None, "{place}");
    }
}
