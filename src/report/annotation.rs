//! Workflow annotations: mistakes and failures on the very line of a file.

use crate::stack::Mistakes;

/// Returns one `::error file=…,line=…,col=…::…` line a mistake, escaped as the runner wants it.
pub fn annotations(_mistakes: &Mistakes) -> Vec<String> {
    todo!()
}
