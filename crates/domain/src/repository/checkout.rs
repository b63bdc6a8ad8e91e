//! Where a session works.

use serde::{Deserialize, Serialize};

use crate::repository::RepositoryName;
use crate::sandbox::WORKSPACE;

/// Which branch of which repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    pub name: RepositoryName,
    /// The branch that the pull request goes to.
    pub base: String,
    /// Where that stood when this was decided.
    pub base_commit: String,
    pub branch: String,
    /// Where the branch stood before any work. It is at the base unless it was there before.
    pub start: String,
    /// The branch is for this session alone: it goes again where nothing comes of it.
    pub own_branch: bool,
    /// Of the same owner; those that could be cloned too.
    pub submodules: Vec<RepositoryName>,
    /// In kilobytes, as the forge says.
    pub size: u64,
}

impl Checkout {
    /// Where the clone is in the sandbox.
    pub fn directory(&self) -> String {
        format!("{WORKSPACE}/{}", self.name.name())
    }
}

/// Whether git and the forge take this as a branch's name; narrower than they are.
pub fn is_branch_name(name: &str) -> bool {
    const MAX_BYTES: usize = 200;
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.strip_suffix(".lock").is_none()
            && part != "HEAD"
    };
    name.len() <= MAX_BYTES
        && !name.starts_with('-')
        && !name.contains("..")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte))
        && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::is_branch_name;

    #[test]
    fn a_branchs_name_is_plain() {
        for good in ["main", "claude/0123456789abcdef", "release-1.2", "a/b/c+d"] {
            assert!(is_branch_name(good), "{good}");
        }
        for bad in
            ["", "-f", "/a", "a/", "a//b", "a..b", ".a", "a.lock", "a b", "a:b", "refs/heads/~x", "HEAD", "a@{1}"]
        {
            assert!(!is_branch_name(bad), "{bad}");
        }
    }
}
