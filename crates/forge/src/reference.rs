//! Refs, and the `.github/workflows` directory of a commit.

use domain::repository::RepositoryName;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::repository::escape;
use super::{GitHub, GitHubError};

/// A change of the commit that a branch points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefUpdate {
    Create,
    /// Fast-forward: the new commit must be a descendant of the current one.
    FastForward,
}

#[derive(Deserialize)]
struct TreeEntry {
    name: String,
    sha: String,
}

impl GitHub {
    /// Builds a request to the forge's git server, below its web address.
    pub fn git(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.state.git.request(method, format!("{}{path}", self.state.url.as_str().trim_end_matches('/')))
    }

    /// Returns the object id of `.github/workflows` at a commit, or `None` if there is no such directory.
    pub async fn workflows(&self, name: &RepositoryName, commit: &str) -> Result<Option<String>, GitHubError> {
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/contents/.github?ref={}", escape(commit));
        match self.call::<Value>(&token, Method::GET, &path, None).await {
            // The forge returns an object if `.github` is a file. Then there are no workflows.
            Ok(Value::Array(entries)) => {
                let entries = entries.into_iter().filter_map(|entry| serde_json::from_value::<TreeEntry>(entry).ok());
                Ok(entries.into_iter().find(|entry| entry.name == "workflows").map(|entry| entry.sha))
            }
            Ok(_) | Err(GitHubError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a branch at the commit, or fast-forwards it to the commit.
    pub async fn update_branch(
        &self,
        name: &RepositoryName,
        branch: &str,
        commit: &str,
        update: RefUpdate,
    ) -> Result<(), GitHubError> {
        let token = self.token(name).await?;
        let create = json!({ "ref": format!("refs/heads/{branch}"), "sha": commit });
        let forward = json!({ "sha": commit, "force": false });
        let (method, path, body) = match update {
            RefUpdate::Create => (Method::POST, format!("/repos/{name}/git/refs"), create),
            RefUpdate::FastForward => {
                (Method::PATCH, format!("/repos/{name}/git/refs/heads/{}", escape(branch)), forward)
            }
        };
        self.call::<Value>(&token, method, &path, Some(&body)).await.map(drop)
    }

    /// Deletes a ref. `reference` starts with `refs/`.
    pub async fn delete_reference(&self, name: &RepositoryName, reference: &str) -> Result<(), GitHubError> {
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/git/{}", escape(reference));
        self.call::<Value>(&token, Method::DELETE, &path, None).await.map(drop)
    }
}
