//! The judgement: any denial wins, then whatever makes it wait, and only then is it clear.

use super::case::{Case, Finding};
use super::past::{Before, look_back};
use super::quorum::{Requirement, Tally, includes, tally};
use super::votes::{Votes, login};
use super::words::moment;
use super::{Answer, Clearance, Facts, Policy, Subject, Verdict};
use crate::change::{Action, Digest, Extent, Intent};
use crate::review::{Approval, User};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const UNBOUND: &str = "changes a sensitive value, and without ISOBAR_KEY no approval can be bound to it";
/// Why everything is cleared on a laptop whose fleet declares no policy.
pub const UNDECLARED: &str = "no policy declared";
const NOT_ASKED: &str = "no rule asks for an approval of this";

/// What became of one subject, with its sentence.
enum Ruling {
    Clear(Vec<User>, String),
    /// For people.
    Ask(String),
    /// For something that no approval helps.
    Wait(String),
    Deny(String),
}

/// Who let something through and why, or what is missing.
type Asked = Result<(Vec<User>, String), Missing>;

/// What is missing, with its sentence.
enum Missing {
    People(String),
    /// Nobody: enough of them approved by a clock that is ahead.
    Time(String),
}

/// Judges every subject, in the order given. Rules, approvals, freezes and clearances of the past; nothing else.
pub fn judge(facts: &Facts<'_>) -> Vec<Verdict> {
    let bench = Bench { facts, votes: Votes::of(facts), now: Extent::of(facts.subjects.iter().map(|subject| subject.preview)) };
    facts.subjects.iter().map(|subject| bench.verdict(subject)).collect()
}

/// What is the same for every subject of one judgement.
struct Bench<'a> {
    facts: &'a Facts<'a>,
    votes: Votes<'a>,
    /// What is judged.
    now: Extent,
}

impl Bench<'_> {
    fn verdict(&self, subject: &Subject<'_>) -> Verdict {
        let digest = subject.preview.digest();
        let (answer, sentence) = match self.rule_on(subject, &digest) {
            Ruling::Clear(by, sentence) => {
                let (target, intent, changes) = (subject.target().clone(), subject.intent(), subject.preview.marks());
                let why = sentence.as_str().into();
                (Answer::Clear(Clearance::new(target, intent, digest.clone(), changes, by, why)), sentence)
            }
            Ruling::Ask(sentence) => (Answer::Wait { approval: true }, sentence),
            Ruling::Wait(sentence) => (Answer::Wait { approval: false }, sentence),
            Ruling::Deny(sentence) => (Answer::Deny, sentence),
        };
        Verdict { target: subject.target().clone(), digest, answer, sentence }
    }

    fn rule_on(&self, subject: &Subject<'_>, digest: &Digest) -> Ruling {
        if subject.preview.is_empty() {
            return Ruling::Clear(Vec::new(), "nothing would change".into());
        }
        match self.facts.policy {
            // A digest that does not stand for the content can be neither cleared nor covered, policy or not.
            None if !subject.preview.is_bound() => Ruling::Wait(UNBOUND.into()),
            None => Ruling::Clear(Vec::new(), UNDECLARED.into()),
            // Zero rules evaluated is no: an empty policy is a mistake when it is read.
            Some(policy) if policy.is_empty() => Ruling::Deny("the policy holds no rule that could be read".into()),
            Some(policy) => self.rule_by(policy, subject, digest),
        }
    }

    fn rule_by(&self, policy: &Policy, subject: &Subject<'_>, digest: &Digest) -> Ruling {
        let change = self.now.at_least(self.facts.planned);
        let whole = self.now.plus(subject.past.left_by).at_least(change);
        let case = Case { subject, change, whole, now_ms: self.facts.now_ms };
        let (mut denials, mut waits, mut asks) = (Vec::new(), Vec::new(), Vec::new());
        for (name, finding) in policy.findings(&case) {
            match finding {
                Finding::Silent => {}
                Finding::Deny(sentence) => denials.push(titled(name, sentence)),
                Finding::Wait(sentence) => waits.push(titled(name, sentence)),
                Finding::Ask(requirements) => asks.push((name, requirements)),
            }
        }
        let direct = subject.direct.as_ref().map(|commit| format!("{} came without a pull request", commit.short()));
        if let Some(title) = &direct {
            asks.push((Some(title.as_str()), Arc::new([Requirement::of_anyone()])));
        }
        let rejecters = self.rejecters(subject, digest);
        if !rejecters.is_empty() {
            denials.push(format!("rejected by {}", named(&rejecters)));
        }
        if !denials.is_empty() {
            return Ruling::Deny(joined(denials));
        }

        if !subject.preview.is_bound() {
            waits.push(UNBOUND.into());
        }
        match self.ask_people(subject, digest, &asks) {
            Ok((by, sentence)) if waits.is_empty() => Ruling::Clear(by, sentence),
            Ok(_) => Ruling::Wait(joined(waits)),
            // What is still missing is told together with the window, so that nobody waits for it twice.
            Err(Missing::People(missing)) => Ruling::Ask(joined(waits.into_iter().chain([missing]).collect())),
            Err(Missing::Time(missing)) => Ruling::Wait(joined(waits.into_iter().chain([missing]).collect())),
        }
    }

    /// Approvals of this very preview come first; without them, what was cleared before may cover it. Returns who let it through and
    /// why, or else what is missing.
    fn ask_people(&self, subject: &Subject<'_>, digest: &Digest, asks: &[(Option<&str>, Arc<[Requirement]>)]) -> Asked {
        let approvers = self.approvers(subject, digest);
        let count = |asked: &[Requirement]| tally(asked, &approvers, self.facts.teams, &self.votes);
        let tallies: Vec<(Option<&str>, Tally<'_>)> = told(asks).map(|(name, asked)| (*name, count(asked))).collect();
        let sentences = || tallies.iter().map(|(name, tally)| titled(*name, tally.sentence.clone())).collect::<Vec<_>>();

        if !tallies.is_empty() && tallies.iter().all(|(_, tally)| tally.met) {
            let by: BTreeMap<String, &User> =
                tallies.iter().flat_map(|(_, tally)| &tally.by).map(|user| (login(user), *user)).collect();
            return Ok((by.into_values().cloned().collect(), joined(sentences())));
        }
        let before = match look_back(subject) {
            Before::Covered { by, sentence } => return Ok((by, sentence)),
            Before::Grown { by, sentence } => Some((by, sentence)),
            Before::Nothing => None,
        };
        if tallies.is_empty() {
            return self.nobody_asked(subject, digest, before);
        }
        let to_come = self.to_come(subject, digest, &approvers);
        let people: Vec<&User> = approvers.iter().copied().chain(to_come.iter().map(|approval| &approval.by)).collect();
        if told(asks).all(|(_, asked)| tally(asked, &people, self.facts.teams, &self.votes).met) {
            return Err(Missing::Time(joined(to_come.into_iter().map(say_to_come).collect())));
        }
        let mut all: Vec<String> = before.into_iter().map(|(_, sentence)| sentence).collect();
        all.extend(sentences());
        all.extend(to_come.into_iter().map(say_to_come));
        all.extend(self.uncounted(digest));
        all.extend(self.outdated(subject, digest, &people));
        Err(Missing::People(joined(all)))
    }

    /// People who approved this very preview, or the first apply that it is.
    fn approvers(&self, subject: &Subject<'_>, digest: &Digest) -> Vec<&User> {
        let promised = promise(subject).map(|promise| self.votes.approvers(promise)).unwrap_or_default();
        let all = self.votes.approvers(digest).into_iter().chain(promised).map(|user| (login(user), user));
        all.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Approvals of the same by a clock that is ahead, of people whose word does not count before.
    fn to_come(&self, subject: &Subject<'_>, digest: &Digest, approvers: &[&User]) -> Vec<&Approval> {
        let promised = promise(subject).map(|promise| self.votes.to_come(promise)).unwrap_or_default();
        let all = promised.into_iter().chain(self.votes.to_come(digest)).map(|approval| (login(&approval.by), approval));
        let mut all: BTreeMap<_, _> = all.collect();
        let counts: BTreeSet<String> = approvers.iter().map(|user| login(user)).collect();
        all.retain(|login, _| !counts.contains(login));
        all.into_values().collect()
    }

    /// People who rejected this very preview, or the first apply that it is and have not approved it since it could be seen.
    fn rejecters(&self, subject: &Subject<'_>, digest: &Digest) -> Vec<&User> {
        let approvers = self.votes.approvers(digest);
        let promised = promise(subject).map(|promise| self.votes.rejecters(promise)).unwrap_or_default();
        let promised = promised.into_iter().filter(|user| !approvers.contains(user));
        let all = self.votes.rejecters(digest).into_iter().chain(promised).map(|user| (login(user), user));
        all.collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// No rule asks for anybody. Only somebody's earlier approval can still be exceeded, and then this preview must have been
    /// seen: shown to people as it is, or approved by one who may.
    fn nobody_asked(&self, subject: &Subject<'_>, digest: &Digest, before: Option<(Vec<User>, String)>) -> Asked {
        let Some((by, sentence)) = before else { return Ok((Vec::new(), NOT_ASKED.into())) };
        if by.is_empty() || subject.past.shown.contains(digest) {
            return Ok((Vec::new(), NOT_ASKED.into()));
        }
        let approvers = self.votes.approvers(digest);
        if approvers.is_empty() {
            return Err(Missing::People(sentence));
        }
        let sentence = format!("approved by {}, beyond what was cleared before", named(&approvers));
        Ok((approvers.into_iter().cloned().collect(), sentence))
    }

    /// Tells who approved this preview in vain.
    fn uncounted(&self, digest: &Digest) -> Option<String> {
        let told: Vec<String> = self.votes.uncounted(digest).into_iter().map(|(user, why)| format!("{user} ({why})")).collect();
        (!told.is_empty()).then(|| format!("not counted: {}", told.join(", ")))
    }

    /// Tells who approved something else that was shown of this target: another preview, or what was applied since.
    fn outdated(&self, subject: &Subject<'_>, digest: &Digest, approvers: &[&User]) -> Vec<String> {
        let mut told: BTreeSet<String> = approvers.iter().map(|user| login(user)).collect();
        let approvers = |shown| {
            let to_come = self.votes.to_come(shown).into_iter().map(|approval| &approval.by);
            self.votes.approvers(shown).into_iter().chain(to_come)
        };
        let mut sentences = Vec::new();
        for (is_spent, what) in [(false, "another preview"), (true, "what was applied before")] {
            let others = subject.past.shown.iter().filter(|shown| *shown != digest);
            let others = others.filter(|shown| subject.past.spent.contains(*shown) == is_spent);
            let people = others.flat_map(approvers).map(|user| (login(user), user));
            let people: BTreeMap<String, &User> = people.filter(|(login, _)| !told.contains(login)).collect();
            if !people.is_empty() {
                sentences.push(format!("{} approved {what}", named(&people.values().copied().collect::<Vec<_>>())));
            }
            told.extend(people.into_keys());
        }
        sentences
    }
}

/// What the subject was shown as before it could be seen, if an approval of that counts for it: it creates, and nothing else.
fn promise<'a>(subject: &'a Subject<'_>) -> Option<&'a Digest> {
    let only_creates = subject.preview.changes.iter().all(|change| change.action == Action::Create);
    subject.past.promise.as_ref().filter(|_| only_creates && subject.intent() == Intent::Converge)
}

/// What must be met, without repetition: a question that another one includes is answered by it. Of two equal ones the first stays.
fn told<'a>(
    asks: &'a [(Option<&'a str>, Arc<[Requirement]>)],
) -> impl Iterator<Item = &'a (Option<&'a str>, Arc<[Requirement]>)> {
    let repeated = |at: usize| {
        let asked = &asks[at].1;
        asks.iter()
            .enumerate()
            .any(|(other_at, (_, other))| other_at != at && includes(other, asked) && (other_at < at || !includes(asked, other)))
    };
    asks.iter().enumerate().filter(move |(at, _)| !repeated(*at)).map(|(_, ask)| ask)
}

fn say_to_come(approval: &Approval) -> String {
    format!(
        "what {} approved counts from {} on, by a clock that is ahead; or they approve again now",
        approval.by,
        moment(approval.at_ms)
    )
}

fn titled(name: Option<&str>, sentence: String) -> String {
    name.map_or(sentence.clone(), |name| format!("{name}: {sentence}"))
}

fn named(people: &[&User]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Joins sentences in their order, each once.
fn joined(sentences: Vec<String>) -> String {
    let mut once: Vec<String> = Vec::new();
    for sentence in sentences {
        if !once.contains(&sentence) {
            once.push(sentence);
        }
    }
    once.join("; ")
}

#[cfg(test)]
mod tests;
