//! The entries of a commit that the forge may read as `.github/workflows`.
//!
//! The trees are read one level at a time. Listings of the contents API stop at 1,000 entries and follow symbolic links,
//! so they do not show everything.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use domain::repository::RepositoryName;
use http::Method;
use serde::Deserialize;

use super::{GitHub, GitHubError};

const SYMBOLIC_LINK: &str = "120000";
const DIRECTORY: &str = "040000";
const SUBMODULE: &str = "160000";

/// An entry of a tree. `path` is relative to the root of the commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct TreeEntry {
    pub path: String,
    pub mode: String,
    pub sha: String,
}

#[derive(Deserialize)]
struct Tree {
    tree: Vec<TreeEntry>,
    /// The forge omitted entries.
    truncated: bool,
}

#[derive(Deserialize)]
struct Commit {
    tree: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

/// The entries of the most recently read commits, by repository and commit. A commit never changes.
#[derive(Default)]
pub(super) struct SeenWorkflows(Mutex<VecDeque<(String, Vec<TreeEntry>)>>);

impl SeenWorkflows {
    const MAX: usize = 64;

    fn get(&self, key: &str) -> Option<Vec<TreeEntry>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().find(|(known, _)| known == key).map(|(_, entries)| entries.clone())
    }

    fn keep(&self, key: String, entries: &[TreeEntry]) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() == Self::MAX {
            seen.pop_front();
        }
        seen.push_back((key, entries.to_vec()));
    }
}

impl GitHub {
    /// Returns every entry of a commit that is named `.github/workflows` on some file system: letter case does not
    /// count. A `.github` that is no directory is such an entry, too.
    ///
    /// # Errors
    /// [`GitHubError::Incomplete`] if the forge shows a tree only in part, or if one of the entries is a symbolic link,
    /// whose content is elsewhere.
    pub async fn workflows(&self, name: &RepositoryName, commit: &str) -> Result<Vec<TreeEntry>, GitHubError> {
        let key = format!("{} {commit}", name.as_str().to_ascii_lowercase());
        if let Some(entries) = self.state.workflows.get(&key) {
            return Ok(entries);
        }
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/git/commits/{commit}");
        let Commit { tree: root } = self.call(&token, Method::GET, &path, None).await?;
        let mut found = Vec::new();
        for entry in self.named(name, &root.sha, "", ".github").await? {
            if entry.mode == DIRECTORY {
                found.extend(self.named(name, &entry.sha, &format!("{}/", entry.path), "workflows").await?);
            } else {
                found.push(entry);
            }
        }
        found.sort();
        self.state.workflows.keep(key, &found);
        Ok(found)
    }

    /// Returns the commits of all submodules of a commit.
    ///
    /// # Errors
    /// [`GitHubError::Incomplete`] if the forge does not list the whole tree.
    pub async fn submodule_commits(
        &self,
        name: &RepositoryName,
        commit: &str,
    ) -> Result<BTreeSet<String>, GitHubError> {
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/git/trees/{commit}?recursive=1");
        match self.call(&token, Method::GET, &path, None).await {
            Ok(Tree { tree, truncated: false }) => {
                Ok(tree.into_iter().filter(|entry| entry.mode == SUBMODULE).map(|entry| entry.sha).collect())
            }
            Ok(Tree { .. }) | Err(GitHubError::TooLarge) => Err(GitHubError::Incomplete("the tree".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// True if the forge has this commit in the repository, and shows it to the credential.
    pub async fn has_commit(&self, name: &RepositoryName, commit: &str) -> Result<bool, GitHubError> {
        let found = async {
            let token = self.token(name).await?;
            self.call::<Commit>(&token, Method::GET, &format!("/repos/{name}/git/commits/{commit}"), None).await
        };
        match found.await {
            Ok(_) => Ok(true),
            Err(GitHubError::NotFound(_) | GitHubError::Invalid(_) | GitHubError::Forbidden(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The entries of a tree with this name.
    async fn named(
        &self,
        name: &RepositoryName,
        tree: &str,
        directory: &str,
        wanted: &str,
    ) -> Result<Vec<TreeEntry>, GitHubError> {
        let token = self.token(name).await?;
        let Tree { tree: entries, truncated } =
            match self.call(&token, Method::GET, &format!("/repos/{name}/git/trees/{tree}"), None).await {
                Err(GitHubError::TooLarge) => Tree { tree: Vec::new(), truncated: true },
                answer => answer?,
            };
        if truncated {
            return Err(GitHubError::Incomplete(format!("the directory /{directory}")));
        }
        let named = entries.into_iter().filter(|entry| folded(&entry.path) == wanted);
        let named = named.map(|entry| TreeEntry { path: format!("{directory}{}", entry.path), ..entry });
        let named: Vec<TreeEntry> = named.collect();
        match named.iter().find(|entry| entry.mode == SYMBOLIC_LINK) {
            Some(link) => Err(GitHubError::Incomplete(format!("the symbolic link {}", link.path))),
            None => Ok(named),
        }
    }
}

/// Returns a name without letter case, for comparison like file systems that ignore it.
fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn names_are_compared_without_letter_case() {
        for name in [".github", ".GitHub", ".GITHUB", ".g\u{131}thub"] {
            assert_eq!(folded(name), ".github", "{name}");
        }
        for name in ["workflows", "Workflows", "wor\u{212a}flows", "workflow\u{17f}"] {
            assert_eq!(folded(name), "workflows", "{name}");
        }
        for name in ["github", ".github2", ".git", "workflow"] {
            assert_ne!(folded(name), ".github", "{name}");
            assert_ne!(folded(name), "workflows", "{name}");
        }
    }
}
