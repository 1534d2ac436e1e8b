//! Which reviews on GitHub let a change be applied: one line a case, each played from the pull request to the apply.

use crate::support::github::{Role, State};
use crate::support::{APPROVALS, Forge, app};
use serde_json::json;

/// A fleet on whose default branch version 1 was applied everywhere, and the pull request for version 2, which was shown.
struct Play {
    forge: Forge,
    number: u64,
    before: String,
}

impl Play {
    fn begin() -> Self {
        let forge = Forge::of(app("prod/a", APPROVALS));
        let before = forge.fleet.head();
        let number = forge.propose(1, 2);
        forge.on_pull("pull_request", "opened", number).ends(0);
        Self { forge, number, before }
    }

    fn review(self, by: &str, state: &str) -> Self {
        self.forge.review(self.number, by, state);
        self
    }

    fn people(self, act: impl FnOnce(&mut State, u64)) -> Self {
        let number = self.number;
        self.forge.github.people(|state| act(state, number));
        self
    }

    /// Somebody pushes version 3 on top, or in the place of version 2.
    fn push(self, by: &str, is_forced: bool) -> Self {
        self.forge.fleet.version(2, 3);
        self.pushed(by, is_forced)
    }

    fn pushed(self, by: &str, is_forced: bool) -> Self {
        let head = self.forge.fleet.head();
        self.people(|state, number| if is_forced { state.push_over(number, by, &[&head]) } else { state.push(number, by, &head) })
    }

    fn shown(self) -> Self {
        self.forge.on_pull("pull_request", "synchronize", self.number).ends(0);
        self
    }

    /// Merged, and applied: the version that runs then, and what is said of why not.
    fn merged(self) -> Ended {
        self.forge.merge(self.number, "version-2");
        self.applied()
    }

    /// As one new commit of the default branch.
    fn squashed(self) -> Ended {
        let text = self.forge.fleet.live("app/templates").remove("app.yaml.j2").expect("it is there");
        self.forge.fleet.checkout("main").file("app/templates/app.yaml.j2", &text);
        let commit = self.forge.fleet.commit("Version 2 (#1)");
        self.landed(&commit)
    }

    fn landed(self, commit: &str) -> Ended {
        let now = self.forge.fleet.now_ms();
        self.people(|state, number| {
            state.set_now_ms(now);
            state.merge(number, "bob", commit);
        })
        .applied()
    }

    fn applied(self) -> Ended {
        let ran = self.forge.on_push(&self.before);
        Ended { runs: self.forge.fleet.versions(), said: format!("{}{}", ran.stdout, ran.stderr), forge: self.forge }
    }
}

struct Ended {
    forge: Forge,
    runs: String,
    said: String,
}

impl Ended {
    #[track_caller]
    fn runs(self, version: &str) -> Self {
        assert_eq!(self.runs, format!("prod/a {version}"), "{}", self.said);
        self
    }

    /// Waits, and says this.
    #[track_caller]
    fn waits(self, why: &str) -> Self {
        let ended = self.runs("-");
        assert!(ended.said.contains(why), "does not say {why:?}:\n{}", ended.said);
        ended
    }
}

const MISSING: &str = "missing 1 of platform";

#[test]
fn a_writer_who_saw_it_and_did_not_make_it_may_approve() {
    Play::begin().review("bob", "APPROVED").merged().runs("2");
    Play::begin().review("BOB", "APPROVED").people(|state, _| writer(state, "BOB")).merged().runs("2");
    Play::begin().review("eve", "COMMENTED").review("bob", "APPROVED").merged().runs("2");
    Play::begin().merged().waits(MISSING);
    Play::begin().review("bob", "COMMENTED").merged().waits(MISSING);
    Play::begin().review("root", "APPROVED").merged().waits(MISSING); // an admin, and not of the team
}

#[test]
fn however_it_is_merged() {
    Play::begin().review("bob", "APPROVED").squashed().runs("2");
    Play::begin().squashed().waits(MISSING);

    // A rebase: the branch itself moved on.
    let play = Play::begin().review("bob", "APPROVED");
    play.forge.fleet.checkout("main").file("README.md", "meanwhile\n").commit("Meanwhile");
    let meanwhile = play.forge.fleet.head();
    play.forge.github.people(|state| state.push_to_main("ada", &meanwhile));
    play.forge.fleet.version(1, 2);
    let commit = play.forge.fleet.head();
    play.landed(&commit).runs("2");
}

#[test]
fn who_may_not_write_or_is_no_person_counts_for_nothing() {
    let role = |role: Option<Role>| {
        Play::begin().review("bob", "APPROVED").people(|state, _| {
            state.people.remove("bob");
            role.map(|role| state.people.insert("bob".into(), role));
        })
    };
    for reader in [None, Some(Role::Read), Some(Role::Triage)] {
        role(reader).merged().waits(MISSING);
    }
    for writer in [Role::Write, Role::Maintain, Role::Admin] {
        role(Some(writer)).merged().runs("2");
    }
    Play::begin().people(|state, _| writer(state, "bob[bot]")).review("bob[bot]", "APPROVED").merged().waits(MISSING);
    // An account that is gone.
    Play::begin()
        .review("bob", "APPROVED")
        .people(|state, number| state.pull(number).reviews[0].by = None)
        .merged()
        .waits(MISSING);
}

#[test]
fn who_made_it_counts_for_nothing() {
    let play = |by: &str| Play::begin().review(by, "APPROVED");
    play("bob").people(|state, number| state.pull(number).author = "bob".into()).merged().waits(MISSING);
    // A committer, by the name that GitHub has for the commit, and none that git knows.
    let commit = |state: &mut State, number: u64, is_author: bool| {
        let head = state.pull(number).head.clone();
        let commit = state.commits.get_mut(&head).expect("it was pushed");
        *(if is_author { &mut commit.author } else { &mut commit.committer }) = Some("bob".into());
    };
    play("bob").people(|state, number| commit(state, number, true)).merged().waits(MISSING);
    play("bob").people(|state, number| commit(state, number, false)).merged().waits(MISSING);
    // Who pushed over it.
    play("bob").people(|state, number| state.pull(number).forced_by.push("bob".into())).merged().waits(MISSING);
    // Somebody whose address no account has may be anybody; GitHub itself and an app are nobody's.
    let made_by = |login: Option<&str>| {
        let login = login.map(ToString::to_string);
        play("bob").people(move |state, number| {
            let head = state.pull(number).head.clone();
            state.commits.get_mut(&head).expect("it was pushed").committer = login;
        })
    };
    made_by(None).merged().waits("not everybody who made the change is known");
    made_by(Some("GitHub")).merged().runs("2");
    made_by(Some("renovate[bot]")).merged().runs("2");
    // More of them than can be known.
    let many: Vec<String> = (0..251).map(|nth| format!("{nth:040x}")).collect();
    play("bob")
        .people(|state, number| {
            many.iter().for_each(|sha| state.commit(sha, Some("cem")));
            state.pull(number).commits.extend(many.clone());
        })
        .merged()
        .waits(MISSING);
}

#[test]
fn the_latest_opinion_counts() {
    Play::begin().review("bob", "APPROVED").review("bob", "CHANGES_REQUESTED").merged().waits("rejected by bob");
    Play::begin().review("bob", "CHANGES_REQUESTED").review("bob", "APPROVED").merged().runs("2");
    Play::begin().review("bob", "APPROVED").review("bob", "COMMENTED").merged().runs("2");
    Play::begin()
        .review("bob", "APPROVED")
        .review("carol", "CHANGES_REQUESTED")
        .people(writers)
        .merged()
        .waits("rejected by carol");
    // A reader's no is an opinion.
    Play::begin().review("bob", "APPROVED").review("eve", "CHANGES_REQUESTED").merged().runs("2");
    let dismissed = |by: &str| {
        Play::begin().review(by, "APPROVED").people(|state, number| {
            let review = state.pull(number).reviews[0].id;
            state.dismiss(number, review);
        })
    };
    dismissed("bob").merged().waits(MISSING);
    dismissed("carol").people(writers).review("bob", "APPROVED").merged().runs("2");
}

fn writers(state: &mut State, _number: u64) {
    ["carol", "dora"].iter().for_each(|login| writer(state, login));
}

fn writer(state: &mut State, login: &str) {
    state.people.insert(login.into(), Role::Write);
}

#[test]
fn a_review_behind_a_hundred_others_is_read() {
    let crowd = |state: &mut State, number: u64| {
        for nth in 0..120 {
            let login = format!("u{nth}");
            state.people.insert(login.clone(), Role::Write);
            state.review(number, &login, "APPROVED");
        }
    };
    Play::begin().people(crowd).review("bob", "APPROVED").merged().runs("2");
    Play::begin()
        .review("bob", "APPROVED")
        .people(crowd)
        .people(writers)
        .review("carol", "CHANGES_REQUESTED")
        .merged()
        .waits("rejected");
}

#[test]
fn a_yes_is_to_what_was_shown_of_that_commit() {
    // Another head, with other changes: shown or not, the yes was to something else.
    Play::begin().review("bob", "APPROVED").push("ada", false).merged().waits(MISSING);
    Play::begin().review("bob", "APPROVED").push("ada", false).shown().merged().waits(MISSING);
    Play::begin().push("ada", false).shown().review("bob", "APPROVED").merged().runs("3");
    // Of a commit that was never shown.
    Play::begin().push("ada", false).review("bob", "APPROVED").shown().merged().waits("before it was given");
    // Pushed over: the commit that was approved is gone.
    let gone = |state: &mut State, number: u64| state.pull(number).reviews[0].commit = None;
    Play::begin().review("bob", "APPROVED").push("ada", true).shown().people(gone).merged().waits(MISSING);
    // Another head with the very same changes: an approval stays.
    let play = Play::begin().review("bob", "APPROVED");
    play.forge.fleet.file("README.md", "words\n").commit("Words");
    play.pushed("ada", false).shown().merged().runs("2");
    // A no stays whatever is pushed.
    Play::begin()
        .people(writers)
        .review("carol", "CHANGES_REQUESTED")
        .push("ada", false)
        .shown()
        .review("bob", "APPROVED")
        .merged()
        .waits("rejected by carol");
}

#[test]
fn a_review_after_the_merge_comes_too_late() {
    let play = Play::begin();
    play.forge.merge(play.number, "version-2");
    play.forge.fleet.pass_secs(5);
    let ended = play.review("bob", "APPROVED").applied().waits("it was given after the merge");
    // And once more does not help either.
    ended.forge.on("schedule", &json!({}));
    assert_eq!(ended.forge.fleet.versions(), "prod/a -");
}

#[test]
fn what_came_without_a_pull_request_waits() {
    let forge = Forge::of(app("prod/a", APPROVALS));
    let before = forge.fleet.head();
    let commit = forge.fleet.version(1, 2);
    forge.github.people(|state| state.push_to_main("ada", &commit));
    forge.on_push(&before).ends(3).says(MISSING);
    assert_eq!(forge.fleet.versions(), "prod/a -");

    // A pull request that was merged elsewhere, or not at all, brings nothing here.
    for is_merged in [true, false] {
        let play = Play::begin().review("bob", "APPROVED");
        play.forge.fleet.checkout("main");
        let commit = play.forge.fleet.merge("version-2");
        play.forge.github.people(|state| {
            if is_merged {
                state.merge(play.number, "bob", &commit);
                state.pull(play.number).base_ref = "release".into();
            } else {
                state.push_to_main("bob", &commit);
            }
        });
        play.applied().waits(MISSING);
    }
}

#[test]
fn the_policy_of_the_base_judges() {
    // The change would let everybody approve, and its author is not asked what counts.
    let play = Play::begin();
    play.forge.fleet.edit("isobar.yaml", "[bob, carol, dora]", "[bob, carol, dora, eve, mallory]").commit("And me");
    let play = play.pushed("ada", false).people(|state, _| writer(state, "mallory")).shown();
    play.review("mallory", "APPROVED").merged().waits(MISSING);

    let play = Play::begin();
    play.forge.fleet.edit("isobar.yaml", "count: 1", "count: 0").commit("None");
    let ran = play.forge.fleet.isobar("check");
    assert_eq!(ran.code, 65, "{}", ran.stdout); // such a policy is none
}

#[test]
fn an_old_run_that_runs_again_says_nothing_over_a_newer_one() {
    let play = Play::begin().review("bob", "APPROVED");
    play.forge.on_pull("pull_request_review", "submitted", play.number).ends(0);
    let (text, gate) = (play.forge.comment(play.number), play.forge.gate(play.number));
    let payload = play.forge.payload("opened", play.number);
    play.forge.again("pull_request", &payload, 1).ends(0).says("was told something newer");
    assert_eq!((play.forge.comment(play.number), play.forge.gate(play.number)), (text, gate));
}

#[test]
fn what_was_looked_at_later_is_told_whoever_tells_of_the_earlier() {
    let play = Play::begin();
    let payload = play.forge.payload("synchronize", play.number);
    play.forge.review(play.number, "bob", "APPROVED");
    // Of two runs that began meanwhile, the one that looks again ends last.
    play.forge.again("pull_request_review", &play.forge.payload("submitted", play.number), 105).ends(0);
    assert!(play.forge.gate(play.number).starts_with("success"), "{}", play.forge.gate(play.number));
    play.forge.fleet.checkout("main").file("README.md", "meanwhile\n").commit("Meanwhile");
    let meanwhile = play.forge.fleet.head();
    play.forge.github.people(|state| state.push_to_main("ada", &meanwhile));
    play.forge.again("pull_request", &payload, 104).ends(0).keeps_quiet_about("was told something newer");
    // Whoever judges what that showed tells it, and the same run again does not take it back.
    play.forge.github.people(|state| state.pull(play.number).reviews.clear());
    play.forge.again("pull_request_review", &payload, 106).ends(0);
    assert!(play.forge.gate(play.number).starts_with("pending"), "{}", play.forge.gate(play.number));
    assert!(play.forge.comment(play.number).contains("**Gate closed**"), "{}", play.forge.comment(play.number));
    play.forge.again("pull_request", &payload, 103).ends(0).says("was told something newer");
}

/// A policy that asks nobody: only a no keeps something from being applied.
const NOBODY: &str = "direct_push: allow\npolicy: [{ rule: limit, targets_max: 10 }]";

/// Carol does not want it, and Bob merges it all the same.
fn refused(forge: &Forge) -> (u64, String) {
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    forge.on_pull("pull_request", "opened", number).ends(0);
    forge.github.people(|state| writers(state, number));
    forge.review(number, "carol", "CHANGES_REQUESTED");
    (number, before)
}

#[test]
fn a_no_stands_against_what_its_change_touches_shown_or_not() {
    // Nothing that was shown is stored any more.
    let forge = Forge::of(app("prod/a", NOBODY));
    forge.on_push("").ends(0);
    let (number, before) = refused(&forge);
    forge.merge(number, "version-2");
    forge.forget_shown().on_push(&before).ends(3).says("rejected by carol");
    assert_eq!(forge.fleet.versions(), "prod/a 1");

    // Long ago.
    for nth in 0..25 {
        let commit = forge.fleet.file("README.md", &format!("{nth}\n")).commit("Words");
        forge.github.people(|state| state.push_to_main("ada", &commit));
    }
    forge.forget_shown().on_push("").ends(3).says("rejected by carol");
    // What it does not touch is applied.
    forge.fleet.stack("other", "").file("other/templates/other.yaml.j2", "version: 1\n");
    let commit = forge.fleet.commit("Another");
    forge.github.people(|state| state.push_to_main("ada", &commit));
    forge.forget_shown().on_push("").says("rejected by carol");
    assert!(forge.fleet.live("live/prod/a/other").contains_key("other.yaml"));
    assert_eq!(forge.fleet.versions(), "prod/a 1");
    // She takes it back.
    forge.github.people(|state| {
        let review = state.pull(number).reviews[0].id;
        state.dismiss(number, review);
    });
    forge.on_push("").ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 2");

    // It is shown as something else now: what came between changed it as well.
    let forge = Forge::of(app("prod/a", NOBODY));
    forge.on_push("").ends(0);
    let (number, before) = refused(&forge);
    forge.fleet.checkout("main").file("app/templates/more.yaml.j2", "more: 1\n").commit("Meanwhile");
    let meanwhile = forge.fleet.head();
    forge.github.people(|state| state.push_to_main("ada", &meanwhile));
    forge.merge(number, "version-2");
    forge.on_push(&before).ends(3).says("rejected by carol");
    assert_eq!(forge.fleet.versions(), "prod/a 1");

    // A no to words is none to what they came before.
    let forge = Forge::of(app("prod/a", NOBODY));
    let before = forge.fleet.head();
    forge.fleet.branch("words");
    let head = forge.fleet.file("README.md", "words\n").commit("Words");
    let number = forge.github.people(|state| state.open("ada", "Words", &before, &[&head]));
    forge.github.people(|state| writers(state, number));
    forge.review(number, "carol", "CHANGES_REQUESTED");
    forge.merge(number, "words");
    forge.on_push(&before).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a 1");
}

#[test]
fn who_tells_of_a_part_has_a_check_of_its_own() {
    let forge = Forge::of(app("prod/a staging/a", APPROVALS));
    let before = forge.fleet.head();
    let number = forge.propose(1, 2);
    let parts = ["@prod/*", "@staging/*"];
    for part in parts {
        forge.with("INPUT_TARGETS", part);
        forge.on_pull("pull_request", "opened", number).ends(0);
    }
    let gate = |part: &str| {
        let head = forge.github.people(|state| state.pull(number).head.clone());
        forge.status(&head, &format!("isobar: {part}")).split(':').next().unwrap_or_default().to_string()
    };
    assert_eq!(parts.map(gate), ["pending", "success"]);
    assert_eq!((forge.gate(number), forge.comments(number).len()), ("none".into(), 2));

    forge.review(number, "bob", "APPROVED");
    for part in parts {
        forge.with("INPUT_TARGETS", part);
        forge.on_pull("pull_request_review", "submitted", number).ends(0);
    }
    assert_eq!(parts.map(gate), ["success", "success"]);
    assert!(forge.comments(number).iter().all(|text| text.contains("1 of 1")), "{:#?}", forge.comments(number));
    forge.merge(number, "version-2");
    forge.on_push(&before).ends(0);
    assert_eq!(forge.fleet.versions(), "prod/a -, staging/a 2", "only what was asked for");
}

/// Nobody's login is what git calls them, and the change that they made was never shown and is no new one.
#[test]
fn who_made_an_older_change_does_not_approve_it_under_another() {
    for (by, runs) in [("bob", "prod/a -"), ("carol", "prod/a 2")] {
        let forge = Forge::of(app("prod/a", APPROVALS));
        let before = forge.fleet.head();
        let older = forge.propose(1, 2);
        forge.github.people(|state| {
            state.pull(older).author = "bob".into();
            writers(state, older);
        });
        forge.merge(older, "version-2");
        for nth in 0..25 {
            let commit = forge.fleet.file("README.md", &format!("{nth}\n")).commit("Words");
            forge.github.people(|state| state.push_to_main("ada", &commit));
        }
        let base = forge.fleet.head();
        forge.fleet.branch("words");
        let head = forge.fleet.file("README.md", "more\n").commit("More words");
        let other = forge.github.people(|state| state.open("ada", "More words", &base, &[&head]));
        forge.merge(other, "words");
        let ran = forge.on_push(&before).ends(3).says(MISSING);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let (_, rest) = said.split_once("/isobar approve ").expect("it says how");
        let digest = rest.split_whitespace().next().expect("a digest").to_string();
        forge.fleet.pass_secs(5);
        let now = forge.fleet.now_ms();
        forge.github.people(|state| {
            state.set_now_ms(now);
            state.comment(other, by, &format!("/isobar approve {digest}"));
        });
        forge.fleet.pass_secs(5);
        forge.on_push("");
        assert_eq!(forge.fleet.versions(), runs, "{by}");
    }
}

/// What waits after a merge, and the digest that its report names.
fn waiting() -> (Ended, String, u64) {
    let ended = Play::begin().merged().waits(MISSING);
    let (_, rest) = ended.said.split_once("/isobar approve ").expect("it says how");
    let digest = rest.split_whitespace().next().expect("a digest").to_string();
    (ended, digest, 1)
}

#[test]
fn what_waits_after_the_merge_is_approved_by_a_comment() {
    let comment = |by: &str, body: &dyn Fn(&str) -> String, act: &dyn Fn(&mut State, u64)| {
        let (ended, digest, number) = waiting();
        let forge = ended.forge;
        forge.fleet.pass_secs(5);
        let now = forge.fleet.now_ms();
        forge.github.people(|state| {
            writers(state, number);
            state.set_now_ms(now);
            let id = state.comment(number, by, &body(&digest));
            act(state, id);
        });
        forge.fleet.pass_secs(5);
        let ran = forge.on("schedule", &json!({}));
        (forge.on_push("").code, forge.fleet.versions(), ran)
    };
    let command = |digest: &str| format!("/isobar approve {digest}");
    let nothing = |_: &mut State, _: u64| {};
    let (code, runs, _) = comment("bob", &command, &nothing);
    assert_eq!((code, &*runs), (0, "prod/a 2"));
    for (by, body, act) in [
        ("eve", &command as &dyn Fn(&str) -> String, &nothing as &dyn Fn(&mut State, u64)),
        ("ada", &command, &nothing),
        ("bob[bot]", &command, &nothing),
        ("bob", &|digest: &str| format!("> {}", command(digest)), &nothing),
        ("bob", &|_: &str| command(&"0f".repeat(32)), &nothing),
        ("bob", &|digest: &str| command(&digest[..12]), &nothing),
        // Somebody has changed what Bob said, and is gone since.
        ("bob", &command, &|state, id| {
            let body = state.comments[&id].body.clone();
            state.edit_comment(id, "", &body);
        }),
        // Somebody who may write has changed what Bob said.
        ("bob", &|_: &str| "fine".into(), &|state, id| {
            let digest = state
                .comments
                .values()
                .find_map(|one| one.body.split_once("/isobar approve "))
                .map(|(_, rest)| rest[..64].to_string());
            state.edit_comment(id, "mallory", &command(&digest.unwrap_or_default()));
        }),
    ] {
        let (_, runs, ran) = comment(by, body, act);
        assert_eq!(runs, "prod/a -", "{by}: {}", ran.stdout);
    }
}
