//! Two levels of trust: a job that can do no harm looks at a pull request, wherever it comes from, and another tells it and believes nothing.

use crate::github::permitted;
use crate::github_policy::bringing;
use crate::support::github::{BOT, Role, TOKEN};
use crate::support::{APPROVALS, Forge, Ran, app};
use isobar::journal::{close, is_closed};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A pull request of which a job has seen something, and nobody has told it yet.
struct Apart {
    forge: Forge,
    number: u64,
    before: String,
}

/// Whoever forges has no key.
const KEY: &str = "a key that only the default branch has";

impl Apart {
    fn begin() -> Self {
        Self::of(Forge::new(app("prod/a prod/b", APPROVALS)))
    }

    fn of(forge: Forge) -> Self {
        let before = forge.fleet.head();
        let number = forge.propose(1, 2);
        Self { forge, number, before }
    }

    /// A step of a job of the examples, with a token that may do what stands there, with the key or without.
    fn step(&self, file: &str, job: &str, has_key: bool) -> &Forge {
        self.step_that_may(&permitted(file, job), has_key)
    }

    fn step_that_may(&self, may: &[String], has_key: bool) -> &Forge {
        let may: Vec<&str> = may.iter().map(String::as_str).collect();
        self.forge.github.token(TOKEN, BOT, &may);
        let mut with = self.forge.with.borrow_mut();
        ["INPUT_PART", "INPUT_PARTS"].iter().for_each(|name| drop(with.insert(name, String::new())));
        with.insert("ISOBAR_KEY", if has_key { KEY.into() } else { String::new() });
        drop(with);
        &self.forge
    }

    /// The job that may only read.
    fn look(&self) -> Ran {
        let forge = self.step("preview.yml", "preview", false);
        let _nothing_was = fs::remove_dir_all(self.parts());
        fs::create_dir_all(self.parts()).expect("it has room");
        forge.with("INPUT_PART", &self.part().to_string_lossy());
        forge.on_pull("pull_request", "synchronize", self.number)
    }

    fn parts(&self) -> PathBuf {
        self.forge.fleet.outside("parts").into()
    }

    fn part(&self) -> PathBuf {
        self.parts().join("part-1.json")
    }

    /// The job that follows it, as the default branch has it.
    fn told(&self) -> Ran {
        self.told_of(&self.run("pull_request"))
    }

    fn told_of(&self, payload: &Value) -> Ran {
        self.told_by(&permitted("report.yml", "report"), payload)
    }

    fn told_by(&self, may: &[String], payload: &Value) -> Ran {
        let forge = self.step_that_may(may, true);
        forge.with("INPUT_PARTS", &self.parts().to_string_lossy());
        forge.on("workflow_run", payload)
    }

    /// What GitHub says of the run that ended last.
    fn run(&self, event: &str) -> Value {
        let run = self.forge.run.get();
        self.forge.github.people(|state| {
            let pull = state.pull(self.number);
            json!({
                "action": "completed",
                "repository": { "default_branch": "main" },
                "workflow_run": {
                    "id": run,
                    "run_attempt": 1,
                    "event": event,
                    "conclusion": "success",
                    "head_sha": pull.head,
                    "head_branch": pull.head_ref,
                    "head_repository": { "full_name": pull.head_repository },
                },
            })
        })
    }

    /// Somebody reviews it, and the job for that may not even read.
    fn reviewed(&self, by: &str) -> Ran {
        self.forge.review(self.number, by, "APPROVED");
        self.told_of(&self.run("pull_request_review"))
    }

    fn merged(&self) -> Ran {
        self.forge.merge(self.number, "version-2");
        self.step("apply.yml", "apply", true).on_push(&self.before)
    }

    /// Somebody who can do as they like in that job hands over something else.
    fn forge_part(&self, change: impl FnOnce(&mut Value)) -> &Self {
        let text = fs::read_to_string(self.part()).expect("it was written");
        assert!(is_closed(&text));
        let mut part: Value = serde_json::from_str(&text).expect("it is JSON");
        part.as_object_mut().expect("an object").remove("hash");
        change(&mut part);
        fs::write(self.part(), close(part.to_string(), None)).expect("it has room");
        self
    }
}

/// Puts `to` in the place of `from` in all texts below.
fn replace(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

const MISSING: &str = "missing 1 of platform";

#[test]
fn what_one_job_saw_another_tells_and_judges_and_it_is_applied() {
    let apart = Apart::begin();
    apart.look().ends(0).says("2 of 2 targets seen");
    assert_eq!((apart.forge.comments(apart.number).len(), apart.forge.gate(apart.number)), (0, "none".into()));
    apart.told().ends(0).keeps_quiet_about("permissions:");
    assert!(apart.forge.comment(apart.number).contains("version: 2"), "{}", apart.forge.comment(apart.number));
    assert!(
        apart.forge.gate(apart.number).starts_with("pending: 2 of 2 regions will change"),
        "{}",
        apart.forge.gate(apart.number)
    );
    apart.reviewed("bob").ends(0);
    assert!(apart.forge.gate(apart.number).starts_with("success"), "{}", apart.forge.gate(apart.number));
    apart.merged().ends(0);
    assert_eq!(apart.forge.fleet.versions(), "prod/a 2, prod/b 2");
}

#[test]
fn the_pull_request_that_brings_the_fleet_comes_the_same_way() {
    let (forge, number) = bringing();
    let before = forge.github.people(|state| state.pull(number).base.clone());
    let apart = Apart { forge, number, before };
    apart.look().ends(0).says("1 of 1 target seen");
    apart.told().ends(0);
    assert!(apart.forge.comment(number).contains("built-in: 0 of 1 approval"), "{}", apart.forge.comment(number));
    apart.reviewed("bob").ends(0);
    assert!(apart.forge.gate(number).starts_with("success"), "{}", apart.forge.gate(number));
    apart.forge.merge(number, "fleet");
    apart.step("apply.yml", "apply", true).on_push(&apart.before).ends(0);
    assert_eq!(apart.forge.fleet.versions(), "prod/a 1");
}

#[test]
fn the_job_that_tells_may_do_what_it_needs_and_no_more() {
    let permissions = permitted("report.yml", "report");
    // The journal's ref, and the files of the other run, are asked of others.
    let is_asked = |line: &&String| !line.starts_with("contents") && !line.starts_with("actions");
    for line in permissions.iter().filter(is_asked) {
        let apart = Apart::begin();
        apart.look().ends(0);
        let less: Vec<String> = permissions.iter().filter(|one| one != &line).cloned().collect();
        apart.told_by(&less, &apart.run("pull_request")).says("permissions:").says(line.split(':').next().unwrap_or_default());
    }
}

#[test]
fn a_fork_comes_the_same_way_whatever_its_branch_is_called() {
    for name in ["main", "a&state=all#x", "topic"] {
        let apart = Apart::begin();
        apart.forge.github.people(|state| {
            let pull = state.pull(apart.number);
            (pull.author, pull.head_ref, pull.head_repository) = ("eve".into(), name.into(), Some("eve/fleet".into()));
            state.people.insert("eve".into(), Role::Read);
        });
        apart.look().ends(0);
        apart.told().ends(0);
        assert!(apart.forge.gate(apart.number).starts_with("pending"), "{name}: {}", apart.forge.gate(apart.number));
        apart.reviewed("bob").ends(0);
        apart.merged().ends(0);
        assert_eq!(apart.forge.fleet.versions(), "prod/a 2, prod/b 2");
    }
    // Somebody else's branch of the same name and commit is no such pull request.
    let apart = Apart::begin();
    apart.look().ends(0);
    let mut run = apart.run("pull_request");
    run["workflow_run"]["head_repository"]["full_name"] = "mallory/fleet".into();
    apart.told_of(&run).ends(0).says("nothing to do");
    assert_eq!(apart.forge.gate(apart.number), "none");
}

#[test]
fn an_approval_is_of_what_was_shown_and_of_nothing_else() {
    let forged = |change: &dyn Fn(&mut Value)| {
        let apart = Apart::begin();
        apart.look().ends(0);
        apart.forge_part(change).told();
        apart
    };
    let waits = |apart: &Apart| {
        apart.reviewed("bob");
        apart.merged().ends(3).says(MISSING);
        assert_eq!(apart.forge.fleet.versions(), "prod/a -, prod/b -");
    };
    // Nothing is said to change.
    let apart = forged(&|part| {
        part["previews"].as_array_mut().expect("a list").iter_mut().for_each(|answer| answer["Ok"]["changes"] = json!([]));
    });
    assert!(apart.forge.gate(apart.number).starts_with("success"), "what it says is judged: {}", apart.forge.gate(apart.number));
    waits(&apart);
    // Harmless words, with the digests of what would really be applied.
    let apart = forged(&|part| {
        for answer in part["previews"].as_array_mut().expect("a list") {
            let preview = &mut answer["Ok"];
            replace(&mut preview["sides"], "version: 2", "version: 7");
            let changes = preview["changes"].as_array_mut().expect("a list");
            changes.iter_mut().for_each(|change| replace(&mut change["detail"], "version: 2", "version: 7"));
        }
    });
    assert!(!apart.forge.comment(apart.number).contains("version: 2"), "it says what it was told");
    waits(&apart);
    // Harmless words beside the real content: the content is shown.
    let apart = forged(&|part| {
        for answer in part["previews"].as_array_mut().expect("a list") {
            let changes = answer["Ok"]["changes"].as_array_mut().expect("a list");
            changes.iter_mut().for_each(|change| replace(&mut change["detail"], "version: 2", "version: 7"));
        }
    });
    assert!(apart.forge.comment(apart.number).contains("version: 2"), "{}", apart.forge.comment(apart.number));
    apart.reviewed("bob").ends(0);
    apart.merged().ends(0);
    assert_eq!(apart.forge.fleet.versions(), "prod/a 2, prod/b 2");
    // No content: nothing is shown that could be approved.
    let apart = forged(&|part| {
        for answer in part["previews"].as_array_mut().expect("a list") {
            answer["Ok"]["sides"] = json!({});
        }
    });
    assert!(!apart.forge.comment(apart.number).contains("version: 2"), "{}", apart.forge.comment(apart.number));
    waits(&apart);
    // Of one target only; the other was not seen, and nobody says that it does not change.
    let apart = forged(&|part| drop(part["previews"].as_array_mut().expect("a list").pop()));
    assert!(apart.forge.gate(apart.number).starts_with("failure"), "{}", apart.forge.gate(apart.number));
    // A target that is not of the change, an engine that it does not have, and a change twice.
    for change in [
        |preview: &mut Value| preview["target"] = "app@prod/z".into(),
        |preview: &mut Value| preview["engine"] = "pulumi".into(),
        |preview: &mut Value| preview["intent"] = "destroy".into(),
        |preview: &mut Value| {
            let first = preview["changes"][0].clone();
            preview["changes"].as_array_mut().expect("a list").push(first);
        },
    ] {
        let apart = forged(&|part| change(&mut part["previews"][0]["Ok"]));
        assert!(apart.forge.gate(apart.number).starts_with("failure"), "{}", apart.forge.gate(apart.number));
    }
}

/// Where the fleet lets an approval count of what nobody can see yet, nobody says of what can be seen that it cannot.
#[test]
fn what_needs_nothing_is_not_approved_unseen() {
    let apart = Apart::of(Forge::new(app("prod/a", &format!("first_apply: covered\n{APPROVALS}"))));
    apart.look().ends(0);
    apart.forge_part(|part| {
        part["previews"] = json!([{ "Err": { "target": "app@prod/a", "reason": { "needs": ["base.outputs.id"] } } }]);
    });
    apart.told().says("base.outputs.id");
    apart.reviewed("bob");
    apart.merged().ends(3).says(MISSING);
    assert_eq!(apart.forge.fleet.versions(), "prod/a -");
}

#[test]
fn what_was_handed_over_is_of_this_commit_and_of_a_base_with_the_policy_of_now() {
    let error = |apart: &Apart, why: &str| {
        apart.told().says(why);
        assert!(apart.forge.gate(apart.number).starts_with("error"), "{why}: {}", apart.forge.gate(apart.number));
    };
    // Of another head.
    let apart = Apart::begin();
    apart.look().ends(0);
    apart.forge_part(|part| part["head"] = "0123456789012345678901234567890123456789".into());
    error(&apart, "is of 0123456 on");
    // The branch has moved on since, and that is well unless the policy has.
    let on_main = |apart: &Apart, change: &dyn Fn(&Forge)| {
        apart.forge.fleet.checkout("main");
        change(&apart.forge);
        let head = apart.forge.fleet.commit("Meanwhile");
        apart.forge.github.people(|state| state.push_to_main("ada", &head));
    };
    let apart = Apart::begin();
    apart.look().ends(0);
    on_main(&apart, &|forge| _ = forge.fleet.file("README.md", "words\n"));
    apart.told().ends(0);
    on_main(&apart, &|forge| _ = forge.fleet.edit("isobar.yaml", "[bob, carol, dora]", "[carol, dora]"));
    error(&apart, "isobar.yaml of main has changed");
    // A base of their own, with a policy of their own.
    let apart = Apart::begin();
    apart.look().ends(0);
    apart.forge.fleet.edit("isobar.yaml", "[bob, carol, dora]", "[bob, carol, dora, eve]");
    let own = apart.forge.fleet.commit("Mine");
    for base in [&own, "main", ""] {
        apart.forge_part(|part| part["base"] = base.into());
        error(&apart, "compares with another commit than one of main");
    }
}

#[test]
fn what_is_no_preview_is_never_a_yes() {
    let told = |write: &dyn Fn(&Apart), why: &str, gate: &str| {
        let apart = Apart::begin();
        apart.look().ends(0);
        write(&apart);
        apart.told().says(why);
        assert!(apart.forge.gate(apart.number).starts_with(gate), "{why}: {}", apart.forge.gate(apart.number));
    };
    told(&|apart| fs::write(apart.part(), "{}").expect("it has room"), "is not what a shard wrote", "error");
    told(&|apart| fs::remove_file(apart.part()).expect("it was there"), "no part tells of it", "failure");
    told(&|apart| fs::remove_dir_all(apart.parts()).expect("it was there"), "no part tells of it", "failure");
    let large = |apart: &Apart| fs::File::create(apart.part()).and_then(|file| file.set_len(200 << 20)).expect("it has room");
    told(&large, "more than is read", "error");
    let elsewhere = |apart: &Apart| {
        fs::remove_file(apart.part()).expect("it was there");
        std::os::unix::fs::symlink("/etc/passwd", apart.part()).expect("it has room");
    };
    told(&elsewhere, "more than is read", "error");

    // A mistake is told with its line, though the job that met it could tell nobody.
    let forge = Forge::new(app("prod/a", APPROVALS));
    let before = forge.fleet.head();
    forge.fleet.branch("broken").edit("app/stack.yaml", "where: all", "where: nowhere");
    let head = forge.fleet.commit("Break it");
    let number = forge.github.people(|state| state.open("ada", "Break it", &before, &[&head]));
    let apart = Apart { forge, number, before };
    apart.look().ends(65);
    apart.told().ends(65);
    assert!(apart.forge.comment(number).contains("app/stack.yaml:1"), "{}", apart.forge.comment(number));
}

#[test]
fn what_is_old_a_draft_or_a_programs_is_not_told() {
    let silent = |change: &dyn Fn(&Apart), payload: &dyn Fn(&mut Value)| {
        let apart = Apart::begin();
        apart.look().ends(0);
        let mut run = apart.run("pull_request");
        change(&apart);
        payload(&mut run);
        apart.told_of(&run).ends(0).says("nothing to do");
        assert_eq!((apart.forge.comments(apart.number).len(), apart.forge.gate(apart.number)), (0, "none".into()));
    };
    let people = |change: fn(&mut crate::support::github::State, u64)| {
        move |apart: &Apart| apart.forge.github.people(|state| change(state, apart.number))
    };
    silent(&people(|state, number| state.push(number, "ada", &"b".repeat(40))), &|_| {});
    silent(&people(|state, number| state.pull(number).is_draft = true), &|_| {});
    silent(&people(|state, number| state.pull(number).author = "renovate[bot]".into()), &|_| {});
    silent(&people(|state, number| state.pull(number).base_ref = "release".into()), &|_| {});
    silent(&people(|state, number| state.pull(number).is_open = false), &|_| {});
    silent(&|_| {}, &|run| run["workflow_run"]["event"] = "push".into());
    silent(&|_| {}, &|run| run["workflow_run"]["conclusion"] = "cancelled".into());
    silent(&|_| {}, &|run| run["action"] = "requested".into());
}

#[test]
fn the_job_of_the_commands_runs_nothing_that_a_pull_request_brings() {
    let fleet = app("prod/a", APPROVALS);
    let renamed = format!("acme/platform@{}", "0123456789".repeat(4));
    fleet.isobar(&format!("init --github --action {renamed}")).ends(0);
    fleet.commit("Isobar on GitHub");
    let apart = Apart::of(Forge::new(fleet));
    apart.forge.fleet.checkout("main");
    apart.step("commands.yml", "command", true).says("bob", apart.number, "/isobar preview").ends(0).says("in a job of its own");
    assert_eq!(apart.forge.gate(apart.number), "none");
}

#[test]
fn an_earlier_look_that_is_told_late_says_nothing_over_a_later_one() {
    let apart = Apart::begin();
    apart.look().ends(0);
    let earlier = apart.run("pull_request");
    apart.look().ends(0);
    apart.told().ends(0);
    apart.reviewed("bob").ends(0);
    let gate = apart.forge.gate(apart.number);
    apart.told_of(&earlier).ends(0).says("was told something newer");
    assert_eq!(apart.forge.gate(apart.number), gate);
}
