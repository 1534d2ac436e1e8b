//! Seeded stories in a made-up world, played by the shipped runner, rollout, history and policy; after every step and at the end
//! the promises are checked. A seed that breaks one is shrunk to a small case and told with the command that plays it again.

mod case;
mod check;
mod dice;
mod shrink;
mod world;

pub(crate) use case::{Case, Grounds, Piece};
pub(crate) use shrink::shrink;
pub(crate) use world::{Played, play};

use std::collections::BTreeSet;

/// Plays the story of a seed without some of its pieces.
pub(crate) fn replay(grounds: &mut Grounds, seed: u64, without: &BTreeSet<Piece>, tell: bool) -> Played {
    play(Case::of(seed, grounds.of(seed), without), tell)
}

/// The command that plays a case again.
pub(crate) fn command(seed: u64, without: &BTreeSet<Piece>) -> String {
    let without: Vec<String> = without.iter().map(ToString::to_string).collect();
    let flag = if without.is_empty() { String::new() } else { format!(" --without {}", without.join(",")) };
    format!("cargo run --release --example simulate -- --seed {seed}{flag}")
}

/// Tells a seed that broke a promise: what broke, the smallest case that still breaks, and how to play it again.
pub(crate) fn tell(grounds: &mut Grounds, seed: u64) -> String {
    let without = shrink(grounds, seed, |played| !played.broken.is_empty());
    let played = replay(grounds, seed, &without, true);
    let case = Case::of(seed, grounds.of(seed), &without);
    let broken: Vec<String> = played.broken.iter().map(|what| format!("  {what}\n")).collect();
    format!(
        "seed {seed} breaks a promise\n{}\n{case}\nthe journal\n  {}\n\nplay it again\n  {}\n  {}\n",
        broken.concat(),
        played.told.join("\n  "),
        command(seed, &BTreeSet::new()),
        command(seed, &without),
    )
}
