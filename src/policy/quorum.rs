//! Enough people: whether those who approved meet what one rule asks, and who is missing, in words.
//!
//! Each requirement of a rule needs people of its own: "one of platform and one of sre" means two people, even where one is in
//! both teams. Whom to count where is found by matching, so the order of approvals decides nothing. Two *rules*
//! may count the same person: each rule is a question of its own, and all of them must be met.

use super::votes::{Votes, login};
use super::words::counted;
use crate::review::{Team, User};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// So many people of these teams or users; with neither, of anyone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requirement {
    pub(super) teams: Vec<Arc<str>>,
    pub(super) users: Vec<User>,
    pub(super) count: u64,
}

/// By name in lower case.
pub(super) type Teams = BTreeMap<Arc<str>, Team>;

/// What one rule sees among the approvals.
pub(super) struct Tally<'a> {
    pub(super) met: bool,
    /// Those who were counted, sorted by login.
    pub(super) by: Vec<&'a User>,
    pub(super) sentence: String,
}

/// Counts `approvers` for the requirements of one rule.
pub(super) fn tally<'a>(asked: &[Requirement], approvers: &[&'a User], teams: &Teams, votes: &Votes<'_>) -> Tally<'a> {
    let seats = Seats::fill(asked, approvers, teams);
    let met = asked.iter().zip(&seats.taken).all(|(requirement, taken)| taken.len() as u64 == requirement.count);
    let mut by: Vec<usize> = seats.taken.iter().flatten().copied().collect();
    by.sort_unstable();
    let sentence = sentence(asked, &seats, approvers, teams, votes);
    Tally { met, by: by.into_iter().map(|person| approvers[person]).collect(), sentence }
}

/// Says whether meeting `asked` meets `other` too: each of its requirements is among them, for at least as many.
pub(super) fn includes(asked: &[Requirement], other: &[Requirement]) -> bool {
    // Requirements of the same people would need distinct ones, so each may stand for one only.
    let mut free: Vec<&Requirement> = asked.iter().collect();
    other.iter().all(|wanted| {
        let fits = |have: &&Requirement| have.teams == wanted.teams && have.users == wanted.users && have.count >= wanted.count;
        free.iter().position(fits).map(|at| free.swap_remove(at)).is_some()
    })
}

impl Requirement {
    /// One person, whoever it is.
    pub(super) fn of_anyone() -> Self {
        Self { teams: Vec::new(), users: Vec::new(), count: 1 }
    }

    fn is_anyone(&self) -> bool {
        self.teams.is_empty() && self.users.is_empty()
    }

    fn admits(&self, user: &User, teams: &Teams) -> bool {
        self.is_anyone() || self.names(user) || self.team_of(user, teams).is_some()
    }

    fn names(&self, user: &User) -> bool {
        self.users.iter().any(|named| login(named) == login(user))
    }

    fn team_of(&self, user: &User, teams: &Teams) -> Option<&Arc<str>> {
        let is_member = |team: &&Arc<str>| members(team, teams).iter().any(|member| login(member) == login(user));
        self.teams.iter().find(is_member)
    }
}

/// A team that nobody knows has no members: what asks for it is never met.
fn members<'t>(team: &str, teams: &'t Teams) -> &'t [User] {
    teams.get(&*team.to_lowercase()).map_or(&[], |team| &team.members)
}

/// Who is counted for which requirement.
struct Seats {
    /// For each requirement, indices of people; never more than its count.
    taken: Vec<Vec<usize>>,
}

impl Seats {
    /// Seats as many people as can be: one after the other takes a free seat, or moves somebody who can sit elsewhere.
    fn fill(asked: &[Requirement], people: &[&User], teams: &Teams) -> Self {
        let admits: Vec<Vec<bool>> =
            people.iter().map(|user| asked.iter().map(|requirement| requirement.admits(user, teams)).collect()).collect();
        let mut seats = Self { taken: vec![Vec::new(); asked.len()] };
        for person in 0..people.len() {
            seats.seat(person, asked, &admits, &mut vec![false; asked.len()]);
        }
        seats
    }

    fn seat(&mut self, person: usize, asked: &[Requirement], admits: &[Vec<bool>], tried: &mut [bool]) -> bool {
        for at in 0..asked.len() {
            if !admits[person][at] || std::mem::replace(&mut tried[at], true) {
                continue;
            }
            if (self.taken[at].len() as u64) < asked[at].count {
                self.taken[at].push(person);
                return true;
            }
            for seat in 0..self.taken[at].len() {
                // `at` is tried, so whoever moves cannot come back to it and the seat stays theirs until we take it.
                if self.seat(self.taken[at][seat], asked, admits, tried) {
                    self.taken[at][seat] = person;
                    return true;
                }
            }
        }
        false
    }
}

fn sentence(asked: &[Requirement], seats: &Seats, people: &[&User], teams: &Teams, votes: &Votes<'_>) -> String {
    let wanted = asked.iter().fold(0u64, |sum, requirement| sum.saturating_add(requirement.count));
    let mut seen: Vec<(usize, String)> = Vec::new();
    for (requirement, taken) in asked.iter().zip(&seats.taken) {
        for &person in taken {
            let user = people[person];
            let team = if requirement.names(user) { None } else { requirement.team_of(user, teams) };
            seen.push((person, team.map_or_else(|| user.to_string(), |team| format!("{user} ({team})"))));
        }
    }
    seen.sort();
    let counted_already: BTreeSet<String> = seen.iter().map(|(person, _)| login(people[*person])).collect();
    let names: Vec<&str> = seen.iter().map(|(_, name)| name.as_str()).collect();
    let lacks = asked.iter().zip(&seats.taken).filter(|(requirement, taken)| (taken.len() as u64) < requirement.count);
    let missing: Vec<String> = lacks
        .map(|(requirement, taken)| missing(requirement, requirement.count - taken.len() as u64, &counted_already, teams, votes))
        .collect();

    let head = format!("{} of {}", seen.len(), counted(wanted, "approval"));
    match (names.is_empty(), missing.is_empty()) {
        (_, true) => format!("{head}: {}", names.join(", ")),
        (true, false) => format!("{head}: missing {}", missing.join(" and ")),
        (false, false) => format!("{head}: {}; missing {}", names.join(", "), missing.join(" and ")),
    }
}

/// Says who is missing from one requirement: "1 of sre (dora, eve)".
fn missing(
    requirement: &Requirement,
    count: u64,
    counted_already: &BTreeSet<String>,
    teams: &Teams,
    votes: &Votes<'_>,
) -> String {
    if requirement.is_anyone() {
        return format!("{count} (anyone but the author)");
    }
    let may = |user: &&User| votes.bar(user).is_none() && !counted_already.contains(&login(user));
    if requirement.teams.is_empty() {
        let users: Vec<String> = requirement.users.iter().filter(may).map(ToString::to_string).collect();
        return match (&*users, users.len() as u64 == count) {
            ([], _) => format!("{count} of {} (none of them may approve this)", requirement.label()),
            (_, true) => several(&users, " and "),
            (_, false) => format!("{count} of {}", several(&users, ", ")),
        };
    }
    let unknown = requirement.teams.iter().all(|team| !teams.contains_key(&*team.to_lowercase()));
    let people = requirement.teams.iter().flat_map(|team| members(team, teams)).chain(&requirement.users).filter(may);
    let mut people: Vec<(String, String)> = people.map(|user| (login(user), user.to_string())).collect();
    people.sort();
    people.dedup_by(|a, b| a.0 == b.0);
    let people: Vec<String> = people.into_iter().map(|(_, name)| name).collect();
    let unread = requirement.teams.iter().find_map(|team| teams.get(&*team.to_lowercase())?.unread.as_deref());
    let who = match (people.is_empty(), unread) {
        (true, Some(why)) => why.to_owned(),
        (false, Some(why)) => format!("{}; {why}", several(&people, ", ")),
        (true, None) if unknown => "no such team is known".to_owned(),
        (true, None) => "none of them may approve this".to_owned(),
        (false, None) => several(&people, ", "),
    };
    format!("{count} of {} ({who})", requirement.label())
}

impl Requirement {
    fn label(&self) -> String {
        let users = self.users.iter().map(ToString::to_string);
        self.teams.iter().map(ToString::to_string).chain(users).collect::<Vec<_>>().join(" or ")
    }
}

fn several(names: &[String], between: &str) -> String {
    const SHOWN: usize = 5; // enough to know whom to ask
    match names.get(SHOWN..) {
        Some(rest) if !rest.is_empty() => format!("{} and {} more", names[..SHOWN].join(", "), rest.len()),
        _ => names.join(between),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{Stage, team, user};
    use serde_json::{Value, json};

    /// What is said of one target when `require` is asked and `approved` approved.
    fn said(require: Value, approved: &[&str]) -> String {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": require }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        approved.iter().for_each(|name| stage.approve(name));
        stage.said()
    }

    #[test]
    fn one_person_is_not_two_people() {
        let both = json!([{ "user": "dora" }, { "team": "sre" }]);
        assert_eq!(said(both.clone(), &["dora"]), "wait: 1 of 2 approvals: dora; missing 1 of sre (eve)");
        assert_eq!(said(both, &["dora", "eve"]), "clear: 2 of 2 approvals: dora, eve (sre)");
    }

    #[test]
    fn people_are_counted_where_they_are_needed_most() {
        // dora alone fits the second; counted for the first she would leave it open, with eve at hand.
        let require = json!([{ "team": "sre" }, { "user": "dora" }]);
        assert_eq!(said(require, &["dora", "eve"]), "clear: 2 of 2 approvals: dora, eve (sre)");
        let require = json!([{ "count": 1 }, { "team": "sre" }, { "user": "alice" }]);
        assert_eq!(said(require, &["alice", "bob", "dora"]), "clear: 3 of 3 approvals: alice, bob, dora (sre)");
    }

    #[test]
    fn more_than_enough_is_enough() {
        assert_eq!(said(json!([{ "team": "sre" }]), &["dora", "eve"]), "clear: 1 of 1 approval: dora (sre)");
    }

    #[test]
    fn who_is_missing_is_named_by_requirement() {
        let require = json!([{ "team": "platform" }, { "team": "sre", "count": 2 }, { "users": ["zed", "yan"] }]);
        assert_eq!(
            said(require, &["eve"]),
            "wait: 1 of 4 approvals: eve (sre); missing 1 of platform (alice, bob) and 1 of sre (dora) and 1 of yan, zed"
        );
        assert_eq!(said(json!([{ "users": ["zed", "yan"], "count": 2 }]), &[]), "wait: 0 of 2 approvals: missing yan and zed");
    }

    #[test]
    fn teams_and_users_of_one_requirement_are_or() {
        let require = json!([{ "team": "sre", "user": "zed", "count": 1 }]);
        assert_eq!(said(require.clone(), &["zed"]), "clear: 1 of 1 approval: zed");
        assert_eq!(said(require, &[]), "wait: 0 of 1 approval: missing 1 of sre or zed (dora, eve, zed)");
    }

    #[test]
    fn a_team_that_nobody_knows_is_never_met() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "team": "sre" }] }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        stage.teams.clear();
        stage.approve("dora");
        assert_eq!(stage.said(), "wait: 0 of 1 approval: missing 1 of sre (no such team is known)");
    }

    #[test]
    fn a_team_of_which_nobody_may_approve_says_so() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "team": "sre" }] }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        stage.teams.insert("sre".into(), team(["carol", "ci[bot]"]));
        assert_eq!(stage.said(), "wait: 0 of 1 approval: missing 1 of sre (none of them may approve this)");
    }

    #[test]
    fn a_large_team_is_told_by_five_of_it() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "team": "sre" }] }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        stage.teams.insert("sre".into(), team((0..7).map(|n| format!("p{n}"))));
        assert_eq!(stage.said(), "wait: 0 of 1 approval: missing 1 of sre (p0, p1, p2, p3, p4 and 2 more)");
    }

    #[test]
    fn who_is_in_a_team_that_cannot_be_read_counts_for_nothing_and_why_is_told() {
        let mut stage = Stage::of(json!([{ "rule": "approvals", "require": [{ "team": "sre", "count": 2 }] }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        let unread = Some("nobody knows who is in acme/sre".into());
        stage.teams.insert("sre".into(), Team { unread: unread.clone(), ..Team::default() });
        stage.approve("dora");
        assert_eq!(stage.said(), "wait: 0 of 2 approvals: missing 2 of sre (nobody knows who is in acme/sre)");
        stage.teams.insert("sre".into(), Team { unread, ..team(["dora", "eve"]) });
        let said = "wait: 1 of 2 approvals: dora (sre); missing 1 of sre (eve; nobody knows who is in acme/sre)";
        assert_eq!(stage.said(), said);
    }

    #[test]
    fn a_question_includes_another_only_if_it_asks_at_least_as_much_of_the_same_people() {
        let team = |name: &str, count| Requirement { teams: vec![name.into()], users: Vec::new(), count };
        let (one, two, sre) = (team("platform", 1), team("platform", 2), team("sre", 1));
        assert!(includes(&[two.clone(), sre.clone()], std::slice::from_ref(&one)));
        assert!(!includes(std::slice::from_ref(&one), std::slice::from_ref(&two)));
        assert!(!includes(&[one.clone(), sre], &[one.clone(), one.clone()]), "the same people twice are two people");
        assert!(!includes(&[two], &[team("sre", 1)]));
    }

    /// Every way to give each person one seat or none, tried one after the other.
    fn most_seats(admits: &[Vec<bool>], free: &mut Vec<u64>) -> u64 {
        let Some((first, rest)) = admits.split_first() else { return 0 };
        let mut best = most_seats(rest, free);
        for at in 0..free.len() {
            if first[at] && free[at] > 0 {
                free[at] -= 1;
                best = best.max(1 + most_seats(rest, free));
                free[at] += 1;
            }
        }
        best
    }

    #[test]
    fn as_many_people_are_counted_as_can_be() {
        let people: Vec<User> = ["a", "b", "c", "d"].map(user).to_vec();
        let people: Vec<&User> = people.iter().collect();
        let mut seed: u64 = 5;
        let mut roll = |sides: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % sides
        };
        for _ in 0..2_000 {
            let asked: Vec<Requirement> = (0..1 + roll(3))
                .map(|_| {
                    let users: Vec<User> = people.iter().filter(|_| roll(2) == 0).map(|user| (*user).clone()).collect();
                    Requirement { teams: Vec::new(), users, count: 1 + roll(2) }
                })
                .collect();
            let teams = Teams::new();
            let seats = Seats::fill(&asked, &people, &teams);
            let admits: Vec<Vec<bool>> =
                people.iter().map(|user| asked.iter().map(|one| one.admits(user, &teams)).collect()).collect();
            let seated: u64 = seats.taken.iter().map(|taken| taken.len() as u64).sum();
            let mut free = asked.iter().map(|one| one.count).collect();
            assert_eq!(seated, most_seats(&admits, &mut free), "{asked:?}");
            let distinct: BTreeSet<_> = seats.taken.iter().flatten().collect();
            assert_eq!(distinct.len() as u64, seated, "nobody sits twice");
        }
    }
}
