//! What would change, what did, what was cleared, and where it is the same. Knows no engine: every engine speaks this.

mod applied;
mod cover;
mod diff;
mod digest;
mod extent;
mod fold;
mod preview;
mod redact;
mod resource;
mod sides;

pub use applied::{Applied, Outputs};
pub use cover::{Extra, beyond, filled_matches};
pub use diff::{Hunk, Line, Sign, TextDiff};
pub use digest::{Digest, Key};
pub use extent::Extent;
pub use fold::{Fold, Group, Names, diff_lines, fold, generalise, text_lines};
pub use preview::{BarePreview, Intent, Preview, Stray, StrayKind, Unseen, UnseenReason, say_missing};
pub use redact::{Redactor, inert};
pub use resource::{Action, Change, ChangeMark, Detail, FieldChange};
pub use sides::Sides;
