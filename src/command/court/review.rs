//! A decision given on the command line: who, what, and of which preview.

use crate::review::{Decision, User};

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
