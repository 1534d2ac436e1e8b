//! Makes a story that breaks a promise as small as it gets: every piece without which it still breaks is taken out.

use super::case::{Case, Grounds, Piece};
use super::world::play;
use std::collections::BTreeSet;

/// Returns the pieces that the seed's story can do without and still break a promise.
pub(crate) fn shrink(grounds: &mut Grounds, seed: u64) -> BTreeSet<Piece> {
    let ground = grounds.of(seed);
    let breaks = |without: &BTreeSet<Piece>| !play(Case::of(seed, ground.clone(), without), false).broken.is_empty();
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
