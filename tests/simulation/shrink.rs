//! Makes a bad story as small as it gets: every piece without which it is still bad is taken out.

use super::case::{Case, Grounds, Piece};
use super::world::{Played, play};
use std::collections::BTreeSet;

/// Returns the pieces that the seed's story can do without and still be `bad`.
pub(crate) fn shrink(grounds: &mut Grounds, seed: u64, bad: impl Fn(&Played) -> bool) -> BTreeSet<Piece> {
    let ground = grounds.of(seed);
    let breaks = |without: &BTreeSet<Piece>| bad(&play(Case::of(seed, ground.clone(), without), true));
    let mut without = BTreeSet::new();
    if !breaks(&without) {
        return without;
    }
    // Halves first, then one by one, until nothing more can go.
    loop {
        let before = without.len();
        let pieces = Case::of(seed, ground.clone(), &without).pieces(&without);
        let mut size = pieces.len().div_ceil(2).max(1);
        loop {
            for part in pieces.chunks(size) {
                let less: BTreeSet<Piece> = without.iter().chain(part).copied().collect();
                if less.len() > without.len() && breaks(&less) {
                    without = less;
                }
            }
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
        }
        if without.len() == before {
            return without;
        }
    }
}
