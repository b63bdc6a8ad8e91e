//! Refs, and what a commit has in `.github/workflows`.

use domain::repository::RepositoryName;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::repository::escape;
use super::{GitHub, GitHubError};

/// How a branch comes to point at a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    Create,
    /// Only to a commit that comes after the present one.
    Forward,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    sha: String,
}

impl GitHub {
    /// A request to the forge's git, below its pages.
    pub fn git(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.shared.git.request(method, format!("{}{path}", self.shared.url.as_str().trim_end_matches('/')))
    }

    /// The object that `.github/workflows` is at a commit; `None` where there is no such directory.
    pub async fn workflows(&self, name: &RepositoryName, commit: &str) -> Result<Option<String>, GitHubError> {
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/contents/.github?ref={}", escape(commit));
        match self.call::<Value>(&token, Method::GET, &path, None).await {
            // A file of that name is answered with an object, and holds no workflows.
            Ok(Value::Array(entries)) => {
                let entries = entries.into_iter().filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
                Ok(entries.into_iter().find(|entry| entry.name == "workflows").map(|entry| entry.sha))
            }
            Ok(_) | Err(GitHubError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn move_branch(
        &self,
        name: &RepositoryName,
        branch: &str,
        commit: &str,
        wanted: Move,
    ) -> Result<(), GitHubError> {
        let token = self.token(name).await?;
        let create = json!({ "ref": format!("refs/heads/{branch}"), "sha": commit });
        let forward = json!({ "sha": commit, "force": false });
        let (method, path, body) = match wanted {
            Move::Create => (Method::POST, format!("/repos/{name}/git/refs"), create),
            Move::Forward => (Method::PATCH, format!("/repos/{name}/git/refs/heads/{}", escape(branch)), forward),
        };
        self.call::<Value>(&token, method, &path, Some(&body)).await.map(drop)
    }

    /// `reference` begins with `refs/`.
    pub async fn delete_reference(&self, name: &RepositoryName, reference: &str) -> Result<(), GitHubError> {
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/git/{}", escape(reference));
        self.call::<Value>(&token, Method::DELETE, &path, None).await.map(drop)
    }
}
