//! One self-contained HTML page of the status: no script from elsewhere, no font, no request.

use super::Status;

pub fn page(_status: &Status) -> String {
    todo!()
}
