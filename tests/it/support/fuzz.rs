//! How much tests make up: each knows what is enough while somebody works, and `ISOBAR_FUZZ` says how many times that.

/// 1 unless somebody asks for more.
pub(crate) fn factor() -> usize {
    std::env::var("ISOBAR_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
