//! What one seed stands for: a fleet with its rollout settings, merges, runs, and all that goes wrong. Each piece can be taken out.

use super::dice::Dice;
use isobar::policy::Policy;
use isobar::rollout::{Settings, Shard, Slots};
use isobar::runner::Sharing;
use isobar::simulate::MadeUp;
use isobar::stack::{Fleet, Graph, Listing, Mistakes, Mode, Source, Target, TargetId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Seeds in a row that share a fleet: reading one costs as much as playing it.
const SEEDS_A_FLEET: u64 = 16;

/// What may be in flight at once, in a fleet that shards bring.
const SLOTS: [&str; 4] = [
    "[]",
    "[{ per: region, count: 1 }]",
    "[{ per: engine, count: 2 }]",
    "[{ per: [engine, region], count: 2 }, { per: engine, count: 3 }]",
];

/// A minute, in milliseconds.
pub(crate) const MINUTE: u64 = 60_000;

/// The rollout settings of one environment, beside their text, so that a plan can be held against them.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) name: String,
    pub(crate) after: Option<String>,
    pub(crate) max_parallel: usize,
    pub(crate) tolerance: usize,
    pub(crate) bake_secs: u64,
    pub(crate) gates: usize,
    pub(crate) deadline_secs: Option<u64>,
    pub(crate) standard: bool,
}

/// A fleet that was read by the shipped reader.
pub(crate) struct Ground {
    pub(crate) text: String,
    pub(crate) paces: Vec<Pace>,
    pub(crate) targets: BTreeMap<TargetId, Arc<Target>>,
    pub(crate) graph: Graph,
    pub(crate) settings: Settings,
    pub(crate) policy: Policy,
    /// What shards share, in words and read.
    slots_text: &'static str,
    pub(crate) slots: Slots,
    pub(crate) stacks: usize,
    pub(crate) regions: Vec<String>,
}

/// What a run is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Apply,
    Tick,
}

/// Something that happens at a time, in milliseconds since the story began.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A commit arrives that changes these stacks, by number.
    Merge {
        commit: usize,
        stacks: Vec<usize>,
    },
    /// A run starts, with the head of then, or so many commits older: an event that came late. Alone, or as one of several.
    Run {
        verb: Verb,
        late: usize,
        shard: Option<Shard>,
    },
    /// Everyone who runs now is told to stop.
    Stop,
    Pause {
        for_ms: u64,
    },
    Hold {
        region: usize,
        for_ms: u64,
    },
    /// Somebody mends nothing and says go on.
    Resume,
}

/// Something that goes wrong in a run, by the number of the run.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The process is gone at its so-many-th step: before, in or after a write, or in an engine.
    Kill { run: usize, step: usize },
    /// The write happens, and its answer is lost.
    Lost { run: usize, write: usize },
    /// The write does not happen.
    Refused { run: usize, write: usize },
    /// The run is taken for dead in its write, which arrives that much later.
    Late { run: usize, write: usize, ms: u64 },
    /// The first applies of a target fail: before it is touched, half-way, or after all of it.
    Fail { target: usize, times: u64, after: usize },
    /// The first looks at a target fail.
    Blind { target: usize, times: u64 },
    /// Applies in a region take that much longer.
    Slow { region: usize, times: u64 },
    /// The first answers of every gate of an environment are no.
    Gate { environment: usize, times: u64 },
}

/// One seed's story.
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) ground: Arc<Ground>,
    /// The targets that take part.
    pub(crate) targets: BTreeMap<TargetId, Arc<Target>>,
    pub(crate) happenings: Vec<(u64, Happening)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) with_policy: bool,
    pub(crate) parallel: usize,
    /// What shards have in common, where some of the runs are shards.
    pub(crate) shards: Option<Shards>,
    /// When nothing goes wrong any more.
    pub(crate) calm_ms: u64,
    /// Happenings and faults before any was taken out.
    drawn: (usize, usize),
}

/// How shards share, in a case that has some.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shards {
    /// How long others may be silent.
    patience: Duration,
    /// So many bring all of it when nothing goes wrong any more.
    pub(crate) calm: usize,
}

/// A piece that a case can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Piece {
    Target(usize),
    Happening(usize),
    Fault(usize),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Target(at) => write!(f, "t{at}"),
            Piece::Happening(at) => write!(f, "h{at}"),
            Piece::Fault(at) => write!(f, "f{at}"),
        }
    }
}

impl std::str::FromStr for Piece {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no piece of a case: t3, h0 or f1");
        let (kind, at) = text.split_at_checked(1).ok_or_else(wrong)?;
        let at = at.parse().map_err(|_| wrong())?;
        match kind {
            "t" => Ok(Piece::Target(at)),
            "h" => Ok(Piece::Happening(at)),
            "f" => Ok(Piece::Fault(at)),
            _ => Err(wrong()),
        }
    }
}

/// The fleet read last, for the seeds that follow.
#[derive(Default)]
pub(crate) struct Grounds(Option<(u64, Arc<Ground>)>);

impl Grounds {
    pub(crate) fn of(&mut self, seed: u64) -> Arc<Ground> {
        let number = seed / SEEDS_A_FLEET;
        match &self.0 {
            Some((known, ground)) if *known == number => ground.clone(),
            _ => self.0.insert((number, Arc::new(Ground::of(number)))).1.clone(),
        }
    }
}

impl Ground {
    fn of(number: u64) -> Self {
        let mut dice = Dice::new(number, 1);
        let environments = 1 + dice.below(5) as usize / 2;
        let most = if environments == 1 { 6 } else { 3 };
        let mut paces = Vec::new();
        let mut regions: Vec<(String, u64)> = Vec::new();
        for environment in 0..environments {
            let after = (environment > 0 && !dice.one_in(4)).then(|| format!("e{}", environment - 1));
            paces.push(Pace {
                name: format!("e{environment}"),
                after,
                max_parallel: 1 + dice.below(3) as usize,
                tolerance: if dice.one_in(3) { 1 + dice.below(2) as usize } else { 0 },
                bake_secs: *dice.pick(&[0, 60, 300]),
                gates: if dice.one_in(3) { 1 + dice.below(2) as usize } else { 0 },
                deadline_secs: dice.one_in(6).then_some(120),
                standard: dice.one_in(2),
            });
            let many = 1 + dice.below(most);
            regions.extend((0..many).map(|region| (format!("e{environment}/r{region}"), 1 + dice.below(3))));
        }
        let stacks = 1 + dice.below(3) as usize;
        let mut needs = vec![Vec::new(); stacks];
        for (late, needs) in needs.iter_mut().enumerate() {
            needs.extend((0..late).filter(|_| dice.one_in(2)));
        }
        let slots = *Dice::new(number, 3).pick(&SLOTS);
        Self::read(paces, &regions, &needs, slots)
    }

    fn read(paces: Vec<Pace>, regions: &[(String, u64)], needs: &[Vec<usize>], slots_text: &'static str) -> Self {
        let mut text = String::from("version: 1\nregions:\n");
        regions.iter().for_each(|(id, weight)| text.push_str(&format!("  {id}: {{ weight: {weight} }}\n")));
        text.push_str("policy:\n  - { rule: approvals, require: [{ count: 1 }] }\nrollout:\n");
        paces.iter().for_each(|pace| text.push_str(&format!("  {}\n", pace.text())));
        let mut sources = vec![source("isobar.yaml", &format!("{text}slots: {slots_text}\n"))];
        for (stack, needs) in needs.iter().enumerate() {
            let needs: Vec<String> = needs.iter().map(|early| format!("s{early}")).collect();
            let section = format!(
                "where: all\ndepends_on: [{}]\ndocuments: {{ source: ./t, destination: \"file:./live/s{stack}/${{{{ region.id }}}}\" }}\n",
                needs.join(", ")
            );
            sources.push(source(&format!("s{stack}/stack.yaml"), &section));
            text.push_str(&format!("# s{stack} needs [{}]\n", needs.join(", ")));
        }
        let fleet = Fleet::read(&sources, &Listing::default()).unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
        let mut mistakes = Mistakes::default();
        let settings = Settings::read(&fleet, &mut mistakes);
        let slots = Slots::read(&fleet, &mut mistakes);
        let policy = Policy::read(fleet.policy.as_ref().expect("it is written above"), &fleet, &mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}\n{text}");
        Self {
            targets: fleet.targets().iter().map(|target| (target.id.clone(), MadeUp::target(target))).collect(),
            graph: Graph::of(&fleet),
            stacks: needs.len(),
            regions: regions.iter().map(|(id, _)| id.clone()).collect(),
            text,
            paces,
            settings,
            policy,
            slots_text,
            slots,
        }
    }
}

impl Pace {
    fn text(&self) -> String {
        let profile = if self.standard { "standard" } else { "instant" };
        let after = self.after.as_ref().map(|name| format!(", after: {name}")).unwrap_or_default();
        let deadline = self.deadline_secs.map(|secs| format!(", progress_deadline: {secs}s")).unwrap_or_default();
        let gates: Vec<String> =
            (0..self.gates).map(|gate| format!("{{ command: [gate, {}, \"{gate}\"] }}", self.name)).collect();
        format!(
            "{}: {{ profile: {profile}, max_parallel: {}, failure_tolerance: {}, bake: {}s, gates: [{}]{after}{deadline} }}",
            self.name,
            self.max_parallel,
            self.tolerance,
            self.bake_secs,
            gates.join(", ")
        )
    }
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), mode: Mode::File, bytes: text.as_bytes().into() }
}

impl Case {
    /// Makes the story of `seed` without the pieces that were taken out.
    pub(crate) fn of(seed: u64, ground: Arc<Ground>, without: &BTreeSet<Piece>) -> Self {
        let mut dice = Dice::new(seed, 2);
        let commits = 1 + dice.below(3) as usize;
        let end = (4 + dice.below(12)) * MINUTE;
        let mut happenings = Vec::new();
        for commit in 0..commits {
            let at = if commit == 0 { 0 } else { dice.below(end) };
            let stacks = (0..ground.stacks).filter(|_| commit == 0 || !dice.one_in(3)).collect();
            happenings.push((at, Happening::Merge { commit, stacks }));
            if commit == 0 || !dice.one_in(4) {
                happenings.push((at + 1, Happening::Run { verb: Verb::Apply, late: 0, shard: None }));
            }
        }
        let ticks = 2 + dice.below(5);
        for _ in 0..ticks {
            let verb = if dice.one_in(3) { Verb::Apply } else { Verb::Tick };
            let late = if dice.one_in(8) { 1 + dice.below(2) as usize } else { 0 };
            happenings.push((dice.below(end), Happening::Run { verb, late, shard: None }));
        }
        if dice.one_in(3) {
            happenings.push((dice.below(end), Happening::Stop));
        }
        if dice.one_in(4) {
            happenings.push((dice.below(end), Happening::Pause { for_ms: dice.below(3 * MINUTE) }));
        }
        if dice.one_in(3) {
            let region = dice.below(ground.regions.len() as u64) as usize;
            happenings.push((dice.below(end), Happening::Hold { region, for_ms: dice.below(5 * MINUTE) }));
        }
        if dice.one_in(3) {
            happenings.push((dice.below(end), Happening::Resume));
        }
        let mut faults = (0..dice.below(5)).map(|_| fault(&mut dice, &ground, 6, 60)).collect::<Vec<_>>();
        let (with_policy, parallel) = (dice.one_in(2), if dice.one_in(4) { 1 + dice.below(2) as usize } else { 0 });
        let shards = shards(seed, &ground, &mut happenings, &mut faults);
        let kept = |piece: Piece| !without.contains(&piece);
        let drawn = (happenings.len(), faults.len());
        let mut happenings: Vec<(u64, Happening)> =
            happenings.into_iter().enumerate().filter(|(at, _)| kept(Piece::Happening(*at))).map(|(_, one)| one).collect();
        happenings.sort_by_key(|(at, _)| *at);
        let targets = ground.targets.iter().enumerate().filter(|(at, _)| kept(Piece::Target(*at)));
        Self {
            seed,
            targets: targets.map(|(_, (id, target))| (id.clone(), target.clone())).collect(),
            happenings,
            faults: faults.into_iter().enumerate().filter(|(at, _)| kept(Piece::Fault(*at))).map(|(_, fault)| fault).collect(),
            with_policy,
            parallel,
            shards,
            calm_ms: end + 6 * MINUTE,
            drawn,
            ground,
        }
    }

    /// How a run shares, if it is one of several.
    pub(crate) fn sharing(&self, shard: Option<Shard>) -> Option<Sharing> {
        let Shards { patience, .. } = self.shards?;
        Some(Sharing { shard: shard?, patience, parallel: self.parallel })
    }

    /// What is bounded besides waves, where runs share.
    pub(crate) fn slots(&self) -> Slots {
        if self.shards.is_some() { self.ground.slots.clone() } else { Slots::default() }
    }

    /// Every piece that may still be taken out; the first merge stays.
    pub(crate) fn pieces(&self, without: &BTreeSet<Piece>) -> Vec<Piece> {
        let faults = (0..self.drawn.1).map(Piece::Fault);
        let happenings = (1..self.drawn.0).map(Piece::Happening);
        let targets = (0..self.ground.targets.len()).map(Piece::Target);
        faults.chain(happenings).chain(targets).filter(|piece| !without.contains(piece)).collect()
    }
}

/// Lets some of the runs be several shards each, which start together or late, or never; nothing in most stories. By a stream of its own:
/// the others stay what they are.
fn shards(seed: u64, ground: &Ground, happenings: &mut Vec<(u64, Happening)>, faults: &mut Vec<Fault>) -> Option<Shards> {
    let mut dice = Dice::new(seed, 4);
    if !dice.one_in(4) {
        return None;
    }
    let patience = Duration::from_secs(*dice.pick(&[0, 20, 15 * 60]));
    let mut more = Vec::new();
    for (at_ms, happening) in happenings.iter_mut() {
        let Happening::Run { verb: Verb::Apply, late, shard } = happening else { continue };
        if dice.one_in(4) {
            continue; // takes everything for itself
        }
        let of = 2 + dice.below(3) as usize;
        *shard = Shard::new(1, of);
        for nth in 2..=of {
            let after_ms = match dice.below(3) {
                0 => 0,
                1 => dice.below(200), // in the middle of what the first one asks and writes
                _ => dice.below(MINUTE),
            };
            let shard = if dice.one_in(8) { None } else { Shard::new(nth, of) };
            let run = Happening::Run { verb: Verb::Apply, late: *late, shard };
            more.extend((!dice.one_in(6)).then_some((*at_ms + after_ms, run)));
        }
    }
    happenings.append(&mut more);
    faults.extend((0..dice.below(4)).map(|_| fault(&mut dice, ground, 14, 150)));
    Some(Shards { patience, calm: 1 + dice.below(3) as usize })
}

/// Something that goes wrong in one of so many runs, at one of so many steps.
fn fault(dice: &mut Dice, ground: &Ground, runs: u64, steps: u64) -> Fault {
    let run = dice.below(runs) as usize;
    let write = dice.below(12) as usize;
    let target = dice.below(ground.targets.len() as u64) as usize;
    match dice.below(12) {
        0..=3 => Fault::Kill { run, step: dice.below(steps) as usize },
        4 => Fault::Lost { run, write },
        5 => Fault::Refused { run, write },
        6 => Fault::Late { run, write, ms: dice.below(5 * MINUTE) },
        7 | 8 => Fault::Fail { target, times: 1 + dice.below(3), after: dice.below(3) as usize },
        9 => Fault::Blind { target, times: 1 + dice.below(2) },
        10 => Fault::Slow { region: dice.below(ground.regions.len() as u64) as usize, times: 2 + dice.below(60) },
        _ => Fault::Gate { environment: dice.below(ground.paces.len() as u64) as usize, times: 1 + dice.below(2) },
    }
}

/// The case as a reader wants it: what there is, what happens, what goes wrong.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |at: usize| self.ground.targets.keys().nth(at).map(ToString::to_string).unwrap_or_default();
        let targets: Vec<String> = self.targets.keys().map(ToString::to_string).collect();
        writeln!(f, "fleet\n{}", indented(&self.ground.text))?;
        writeln!(f, "targets\n  {}", targets.join(" "))?;
        let policy = if self.with_policy { "approvals, count 1" } else { "none declared" };
        writeln!(f, "policy\n  {policy}; at most {} at once (0: as the waves say)", self.parallel)?;
        if let Some(Shards { patience, calm }) = self.shards {
            writeln!(f, "shards\n  wait {patience:?} for others; slots: {}; {calm} in the calm", self.ground.slots_text)?;
        }
        writeln!(f, "what happens")?;
        for (at, happening) in &self.happenings {
            let what = match happening {
                Happening::Merge { commit, stacks } => format!("commit c{commit} arrives and changes stacks {stacks:?}"),
                Happening::Run { verb, late, shard } => {
                    let shard = shard.map(|shard| format!(" as shard {shard}")).unwrap_or_default();
                    let late = if *late > 0 { format!(", {late} commits late") } else { String::new() };
                    format!("{verb:?} runs{shard}{late}")
                }
                Happening::Stop => "everyone is told to stop".into(),
                Happening::Pause { for_ms } => format!("a pause of {} s", for_ms / 1_000),
                Happening::Hold { region, for_ms } => {
                    format!("{} is held for {} s", self.ground.regions[*region], for_ms / 1_000)
                }
                Happening::Resume => "isobar resume".into(),
            };
            writeln!(f, "  {:>5} s  {what}", at / 1_000)?;
        }
        writeln!(f, "what goes wrong")?;
        for fault in &self.faults {
            let what = match fault {
                Fault::Kill { run, step } => format!("run {run} is killed at its step {step}"),
                Fault::Lost { run, write } => format!("run {run}: the answer to write {write} is lost"),
                Fault::Refused { run, write } => format!("run {run}: write {write} is refused"),
                Fault::Late { run, write, ms } => {
                    format!("run {run} is taken for dead in write {write}, which comes {ms} ms later")
                }
                Fault::Fail { target, times, after } => {
                    format!("{} fails {times} times, {}", name(*target), ["untouched", "half-way", "when all is made"][*after])
                }
                Fault::Blind { target, times } => format!("{} cannot be looked at {times} times", name(*target)),
                Fault::Slow { region, times } => format!("{} is {times} times slower", self.ground.regions[*region]),
                Fault::Gate { environment, times } => format!("the gates of e{environment} say no {times} times"),
            };
            writeln!(f, "  {what}")?;
        }
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
