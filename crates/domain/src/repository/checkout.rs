//! The repository and branch on which a session works.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::repository::RepositoryName;
use crate::sandbox::WORKSPACE;

/// The repository, the base branch and the working branch of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    pub name: RepositoryName,
    /// The branch that the pull request targets.
    pub base: String,
    /// The commit of `base` when this checkout was decided.
    pub base_commit: String,
    pub branch: String,
    /// The commit of `branch` before any work. It equals `base_commit` unless the branch already existed.
    pub start: String,
    /// The branch belongs to this session alone. It is deleted if the session produces no commits.
    pub own_branch: bool,
    /// The other branches that this session has made. It may move them.
    #[serde(default)]
    pub made: BTreeSet<String>,
    /// Submodules of the same owner that could be cloned.
    pub submodules: Vec<RepositoryName>,
    /// Size of the repository in kilobytes, as the forge reports it.
    pub size: u64,
}

impl Checkout {
    /// The directory of the clone in the sandbox.
    pub fn directory(&self) -> String {
        format!("{WORKSPACE}/{}", self.name.name())
    }
}

/// True if the text is a valid branch name. The rule is stricter than those of git and the forge.
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
