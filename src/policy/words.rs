//! Small words that several rules say alike.

/// Returns "1 approval" or "2 approvals".
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
