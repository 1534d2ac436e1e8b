//! The laptop as a host: reviews come from a file outside the tree, the author from the commit. Refused on GitHub Actions.

/// Reviews in one JSON-lines file.
pub struct Local {}
