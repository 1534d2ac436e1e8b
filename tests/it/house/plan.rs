//! The plan of the house as ARCHITECTURE.md tells it: each room, its storey, and what it may use. The page is the rule;
//! there is no second list.

use std::collections::{BTreeMap, BTreeSet};

/// From the top of the house to the ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Storey {
    Words,
    Hands,
    Story,
}

/// One room.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) storey: Storey,
    /// Named on the plan and not built yet.
    pub(super) planned: bool,
    pub(super) may_use: BTreeSet<String>,
}

/// Every room by name.
#[derive(Clone, Debug)]
pub(super) struct Plan(pub(super) BTreeMap<String, Room>);

impl Plan {
    /// Reads the rows of the table `room | storey | may use | must not know` in `page`.
    pub(super) fn read(page: &str) -> Self {
        let rows = page.lines().filter_map(row);
        let mut rooms: BTreeMap<String, Room> = rows.collect();
        let of = |storey| -> BTreeSet<String> {
            rooms.iter().filter(|(_, room)| room.storey == storey).map(|(name, _)| name.clone()).collect()
        };
        let groups = [("words", of(Storey::Words)), ("hands", of(Storey::Hands))];
        for (name, room) in &mut rooms {
            for (group, members) in &groups {
                if room.may_use.remove(*group) {
                    room.may_use.extend(members.iter().filter(|member| *member != name).cloned());
                }
            }
        }
        Self(rooms)
    }

    /// Says why `from` may not use `to`, or nothing.
    pub(super) fn objection(&self, from: &str, to: &str) -> Option<String> {
        let Some(room) = self.0.get(from) else { return Some(format!("{from} is no room of ARCHITECTURE.md")) };
        if from == to || room.may_use.contains(to) {
            return None;
        }
        let may: Vec<&str> = room.may_use.iter().map(String::as_str).collect();
        let may = if may.is_empty() { "nothing".into() } else { may.join(", ") };
        Some(format!("{from} may not use {to}; it may use {may}"))
    }

    pub(super) fn is_word(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|room| room.storey == Storey::Words)
    }

    /// Returns every leave that leads up a storey, or to a room that is not on the plan.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, room) in &self.0 {
            for used in &room.may_use {
                match self.0.get(used) {
                    None => faults.push(format!("{name} may use {used}, which is no room")),
                    Some(other) if other.storey > room.storey => faults.push(format!("{name} may use {used}, which is above it")),
                    Some(_) => {}
                }
            }
        }
        faults
    }
}

fn row(line: &str) -> Option<(String, Room)> {
    let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [name, storey, may_use, ..] = cells[..] else { return None };
    let storey = match storey {
        "words" => Storey::Words,
        "hands" => Storey::Hands,
        "story" => Storey::Story,
        _ => return None,
    };
    let planned = name.ends_with("(planned)");
    let name = name.trim_end_matches("(planned)").trim().trim_matches('`').to_string();
    let may_use = may_use.split(',').map(|room| room.trim().trim_matches('`').to_string());
    Some((name, Room { storey, planned, may_use: may_use.filter(|room| room != "nothing").collect() }))
}

/// Returns one circle of `arrows`, first room again at the end, or nothing.
pub(super) fn circle(arrows: &BTreeSet<(String, String)>) -> Option<Vec<String>> {
    let mut rest = arrows.clone();
    loop {
        // A room that uses nothing any more cannot be on a circle, so its arrows go; what is left at last are circles.
        let users: BTreeSet<String> = rest.iter().map(|(from, _)| from.clone()).collect();
        let before = rest.len();
        rest.retain(|(_, to)| users.contains(to));
        if rest.len() == before {
            break;
        }
    }
    let mut walk = vec![rest.first()?.0.clone()];
    loop {
        let here = walk.last()?;
        let next = &rest.iter().find(|(from, _)| from == here)?.1;
        if let Some(begin) = walk.iter().position(|room| room == next) {
            let mut circle = walk.split_off(begin);
            circle.push(circle.first()?.clone());
            return Some(circle);
        }
        walk.push(next.clone());
    }
}
