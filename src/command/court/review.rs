//! A decision given on the command line: who, what, and of which preview.

use crate::exit::Failure;
use crate::review::{Decision, User};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A decision given on the command line: `USER=approve`, `USER=reject`, with `@DIGEST` for one preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    pub by: User,
    pub decision: Decision,
    /// Beginning of a preview's digest; `None` means all that was shown.
    pub digest: Option<String>,
}

impl std::str::FromStr for Review {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} must be USER=approve or USER=reject, with @DIGEST for one preview");
        let (by, rest) = text.split_once('=').ok_or_else(form)?;
        let (decision, digest) =
            rest.split_once('@').map_or((rest, None), |(decision, digest)| (decision, Some(digest.to_string())));
        let decision = match decision {
            "approve" => Decision::Approve,
            "reject" => Decision::Reject,
            _ => return Err(form()),
        };
        if let Some(fault) = User(by.into()).fault() {
            return Err(format!("{by:?} {fault}"));
        }
        if digest.as_ref().is_some_and(|digest| digest.len() < 8) {
            return Err(format!("{}; a digest has at least 8 characters", form()));
        }
        Ok(Self { by: User(by.into()), decision, digest })
    }
}

impl Review {
    /// The decision, as what one does.
    pub(crate) fn verb(&self) -> &'static str {
        match self.decision {
            Decision::Approve => "approve",
            Decision::Reject => "reject",
        }
    }
}

/// The digest among `shown` that begins so. Who makes previews can make two that begin alike: such a beginning names neither.
pub(super) fn named(beginning: &str, shown: impl Iterator<Item = Arc<str>>) -> Result<Arc<str>, Failure> {
    let found: BTreeSet<Arc<str>> = shown.filter(|digest| digest.starts_with(beginning)).collect();
    let found: Vec<Arc<str>> = found.into_iter().collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let what = format!("no digest that was shown begins with {beginning:?}");
            Err(Failure::usage(what, "isobar preview shows the changes and their digests"))
        }
        several => {
            let what = format!("{} digests that were shown begin with {beginning:?}: {}", several.len(), several.join(", "));
            Err(Failure::usage(what, "isobar preview --json tells whole digests: name more of the one that you mean"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_that_two_digests_share_names_neither() {
        let shown = ["3f9c2a1b07", "3f9c2a1b5e", "3f9c2a1b07", "00aa11bb22"];
        let named = |beginning| named(beginning, shown.iter().map(|digest| Arc::from(*digest)));
        let Err(Failure::Usage(what, _)) = named("3f9c2a1b") else { panic!("it may mean either") };
        assert_eq!(what, "2 digests that were shown begin with \"3f9c2a1b\": 3f9c2a1b07, 3f9c2a1b5e");
        assert_eq!(named("3f9c2a1b0").ok().as_deref(), Some("3f9c2a1b07"), "however often it was shown");
    }
}
