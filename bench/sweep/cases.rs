//! Which cases there are: every call or request of a scene with every fault that fits it, and random kills. Knows what a case is called in
//! the table; not how it is played.

use crate::sweep::ground::Scene;
use crate::sweep::harm::Point;
use crate::sweep::{Fault, Ground, Harm};
use std::collections::BTreeMap;
use std::fmt;

/// The faults at a numbered call on disk, and what they are called in the table.
const ON_DISK: [(Fault, &str); 8] = [
    (Fault::Before, "kill before"),
    (Fault::After, "kill after"),
    (Fault::Torn, "torn write, kill"),
    (Fault::Eio, "EIO"),
    (Fault::Lost, "made, and EIO told"),
    (Fault::Eintr, "EINTR"),
    (Fault::Full, "disk full from here"),
    (Fault::Stop, "stopped, another run"),
];

/// The same at a numbered request to a bucket.
const ON_WIRE: [(Fault, &str); 9] = [
    (Fault::Before, "kill before"),
    (Fault::After, "kill after"),
    (Fault::Torn, "torn body, kill"),
    (Fault::Late, "kill, and it arrives later"),
    (Fault::Cut, "lost connection"),
    (Fault::Lost, "done, and answer lost"),
    (Fault::Busy, "503"),
    (Fault::Forbid, "403 from here"),
    (Fault::Stop, "stopped, another run"),
];

/// Of the scene that closes a segment only the calls around that are of interest: the others are those of `apply/file`.
const CLOSING: [&str; 2] = ["/segments", "/checkpoints"];
const AROUND: u64 = 3;

/// Which of them somebody wants.
pub(crate) struct Asked {
    /// All when none is named.
    pub(crate) faults: Vec<Fault>,
    /// Every so many-th call; 0 for none.
    pub(crate) stride: u64,
    /// So many calls of one kind at most.
    pub(crate) alike: usize,
    pub(crate) random: u64,
    pub(crate) seed: u64,
}

/// The fault with that word.
pub(crate) fn named(word: &str) -> Result<Fault, String> {
    let mut all = ON_DISK.iter().chain(&ON_WIRE).map(|(fault, _)| *fault);
    all.find(|fault| fault.word() == word).ok_or(format!("no fault {word}"))
}

/// What befalls a scene: one run each, one after the other.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) scene: String,
    pub(crate) harms: Vec<Harm>,
}

impl fmt::Display for Case {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let harms: Vec<String> = self.harms.iter().map(ToString::to_string).collect();
        write!(to, "{}:{}", self.scene, harms.join(","))
    }
}

impl std::str::FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scene, harms) = text.split_once(':').ok_or("a case is such as apply/file:torn@17,before@3")?;
        let harms = harms.split(',').map(str::parse).collect::<Result<Vec<Harm>, _>>()?;
        Ok(Self { scene: scene.into(), harms })
    }
}

/// All cases that are asked for, each with the row that it belongs to.
pub(crate) fn cases(ground: &Ground, asked: &Asked) -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for scene in ground.scenes.iter().filter(|scene| !scene.name.contains("-4")) {
        let faults: &[_] = if scene.place.room.is_some() { &ON_WIRE } else { &ON_DISK };
        for (fault, about) in faults.iter().filter(|(fault, _)| asked.faults.is_empty() || asked.faults.contains(fault)) {
            let points = spread(points(scene).filter(|point| fault.fits(point)).collect(), asked.alike);
            for at in points.into_iter().filter(|at| asked.stride > 0 && at % asked.stride == 0) {
                let case = Case { scene: scene.name.clone(), harms: vec![Harm { fault: *fault, at }] };
                cases.push((format!("{} | {}", scene.name, about), case));
            }
        }
    }
    let random: Vec<&Scene> = ground.scenes.iter().filter(|scene| !scene.name.starts_with("close")).collect();
    for nth in 0..if random.is_empty() { 0 } else { asked.random } {
        let mut dice = Dice(asked.seed.wrapping_mul(1_000_003).wrapping_add(nth));
        let scene = random[usize::try_from(nth).unwrap_or_default() % random.len()];
        let kills = 1 + dice.below(3);
        let harms = (0..kills).map(|_| kill(&mut dice, scene)).collect();
        cases.push((format!("{} | 1 to 3 random kills", scene.name), Case { scene: scene.name.clone(), harms }));
    }
    cases
}

/// The calls that are swept.
fn points(scene: &Scene) -> impl Iterator<Item = &Point> {
    let closes = |path: &str| CLOSING.iter().any(|part| path.contains(part));
    let near: Vec<u64> =
        scene.points.iter().filter(|point| closes(&point.path) || closes(&point.detail)).map(|point| point.number).collect();
    let is_near = move |at: u64| near.iter().any(|near| near.abs_diff(at) <= AROUND);
    scene.points.iter().filter(move |point| !scene.name.starts_with("close") || is_near(point.number))
}

/// The numbers of those points, and of many of one kind only `alike`, evenly.
fn spread(points: Vec<&Point>, alike: usize) -> Vec<u64> {
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    points.into_iter().for_each(|point| kinds.entry(kind(point)).or_default().push(point.number));
    let mut numbers: Vec<u64> = kinds
        .into_values()
        .flat_map(|all| {
            let taken = alike.min(all.len());
            (0..taken).map(move |nth| all[nth * all.len() / taken])
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// What a call does and to what: the names of objects, of leases and of what is written aside differ from one to the next and mean the same.
fn kind(point: &Point) -> String {
    let is_name = |part: &str| !part.contains(|c: char| c.is_ascii_digit()) && part.len() > 2 && !part.starts_with("tmp_");
    let parts: Vec<&str> = point.path.split('/').map(|part| if is_name(part) { part } else { "*" }).collect();
    format!("{} {}", point.call, parts.join("/"))
}

fn kill(dice: &mut Dice, scene: &Scene) -> Harm {
    let fault =
        [Fault::Before, Fault::After, Fault::Torn, Fault::Instant, Fault::Instant, Fault::Instant][dice.below(6) as usize];
    let within = if fault == Fault::Instant { scene.micros } else { scene.points.len() as u64 };
    Harm { fault, at: 1 + dice.below(within.max(1)) }
}

/// splitmix64: the same seed throws the same.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}
