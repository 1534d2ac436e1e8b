//! Where a git repository is: on a disk of this machine, or at an address. Reads text only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// On a disk of this machine.
    Disk(PathBuf),
    /// Elsewhere, reached by `git` itself.
    Address(Arc<str>),
}

impl Location {
    /// Reads the address of a remote, as git's configuration has it; a relative path begins at `root`.
    pub fn of(remote: &str, root: &Path) -> Self {
        let is_address = |text: &str| {
            let before = text.split('/').next().unwrap_or_default(); // `host:path`, but not `./a:b`
            text.contains("://") || before.contains(':')
        };
        match remote.strip_prefix("file://") {
            Some(path) if !path.contains('%') => Self::Disk(path.into()),
            Some(_) | None if is_address(remote) => Self::Address(remote.into()),
            Some(_) | None => Self::Disk(root.join(remote)),
        }
    }

    /// For people: without a user's name and password.
    pub fn shown(&self) -> String {
        match self {
            Self::Disk(path) => path.display().to_string(),
            Self::Address(address) => match address.split_once("://") {
                Some((scheme, rest)) => {
                    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                    format!("{scheme}://{host}/{path}")
                }
                None => address.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_on_this_disk_or_elsewhere() {
        let at = |remote| Location::of(remote, Path::new("/fleet"));
        assert_eq!(at("../x.git"), Location::Disk("/fleet/../x.git".into()));
        assert_eq!(at("./a:b"), Location::Disk("/fleet/./a:b".into()));
        assert_eq!(at("file:///srv/x.git"), Location::Disk("/srv/x.git".into()));
        assert_eq!(at("host:x.git").shown(), "host:x.git");
        assert_eq!(at("https://ann:secret@host/x.git").shown(), "https://host/x.git");
    }
}
