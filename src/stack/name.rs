//! The names of things: a stack, a region, and a target, which is one stack in one region.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Characters a part of a name may have at most.
pub(super) const PART_MAX: usize = 63;

/// A stack's name: parts joined by `/`, such as `network` or `apps/api`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StackName(Arc<str>);

/// A region's id: `environment/name` or `environment/name/cell`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegionId(Arc<str>);

/// One stack in one region, printed `network@prod/eu-west-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetId {
    pub stack: StackName,
    pub region: RegionId,
}

impl StackName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the instance `below` of this one: `tenants/acme`.
    pub(super) fn join(&self, below: &StackName) -> StackName {
        Self(format!("{self}/{below}").into())
    }

    /// Says whether it stands for a name that could not be read.
    pub(super) fn is_unread(&self) -> bool {
        self.0.split('/').any(|part| fault(part).is_some())
    }

    /// Stands for a name that could not be read; `written` must be no name itself, so that it is nobody else's.
    pub(super) fn unread(written: &str) -> Self {
        Self(written.into())
    }
}

impl RegionId {
    /// Stands for an id that could not be read; `written` must be no id itself, so that it is nobody else's.
    pub(super) fn unread(written: &str) -> Self {
        Self(written.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part before the first `/`.
    pub fn environment(&self) -> &str {
        self.0.split_once('/').map_or(&*self.0, |(environment, _)| environment)
    }

    /// Returns what follows the environment: `name` or `name/cell`.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl TargetId {
    pub fn new(stack: StackName, region: RegionId) -> Self {
        Self { stack, region }
    }
}

/// Says whether `part` can be part of a name.
pub(super) fn is_name(part: &str) -> bool {
    fault(part).is_none()
}

/// Says why `part` can't be part of a name, or nothing.
fn fault(part: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if part.is_empty() {
        return Some("a part of the name is empty".into());
    }
    if part.len() > PART_MAX {
        return Some(format!("{part:?} has {} characters, at most {PART_MAX} are allowed", part.len()));
    }
    if part.starts_with(['-', '_']) || !part.chars().all(allowed) {
        return Some(format!("{part:?} must be made of a-z, 0-9, - and _, and begin with a letter or digit"));
    }
    None
}

impl FromStr for StackName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split('/').find_map(fault) {
            Some(why) => Err(why),
            None => Ok(Self(text.into())),
        }
    }
}

impl FromStr for RegionId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(why) = text.split('/').find_map(fault) {
            return Err(why);
        }
        match text.split('/').count() {
            2 | 3 => Ok(Self(text.into())),
            _ => Err(format!("{text:?} must be environment/name or environment/name/cell")),
        }
    }
}

impl FromStr for TargetId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (stack, region) = text.split_once('@').ok_or_else(|| format!("{text:?} must be stack@environment/region"))?;
        Ok(Self::new(stack.parse()?, region.parse()?))
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RegionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.stack, self.region)
    }
}

macro_rules! text_forms {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }
    };
}
text_forms!(StackName);
text_forms!(RegionId);
text_forms!(TargetId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_prints_as_it_is_read() {
        for text in ["network@prod/eu-west-1", "apps/api@prod/us-east-1/cell-2"] {
            assert_eq!(text.parse::<TargetId>().map(|id| id.to_string()), Ok(text.to_string()));
        }
    }

    #[test]
    fn bad_names_say_why() {
        let long = "a".repeat(64);
        for (text, why) in [
            ("network@prod", "environment/name"),
            ("Network@prod/eu", "a-z"),
            ("net@prod/-eu", "begin with"),
            ("net//x@prod/eu", "empty"),
            (&format!("{long}@prod/eu"), "at most 63"),
            ("net", "stack@environment/region"),
        ] {
            let said = text.parse::<TargetId>().expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
