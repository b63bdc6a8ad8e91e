//! Refs.

use domain::repository::RepositoryName;
use http::Method;
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

impl GitHub {
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
