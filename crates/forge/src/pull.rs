//! Pull requests.

use domain::repository::{Pull, RepositoryName};
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::repository::escape;
use super::{GitHub, GitHubError};

/// A draft pull request from a branch of the same repository.
#[derive(Clone, Debug, Serialize)]
pub struct NewPull {
    pub title: String,
    pub body: String,
    pub head: String,
    pub base: String,
}

/// Changes to a pull request. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PullChanges {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl GitHub {
    /// Opens a draft pull request. If the branch already has an open one, returns that, so the call is safe to repeat
    /// after a crash. If the forge does not support drafts (private repositories of free plans), opens an ordinary pull
    /// request.
    pub async fn open_pull(&self, name: &RepositoryName, new: &NewPull) -> Result<Pull, GitHubError> {
        if let Some(pull) = self.pull_of_branch(name, &new.head).await? {
            return Ok(pull);
        }
        match self.create_pull(name, new, Draft::Yes).await {
            Err(GitHubError::Invalid(message)) if message.to_ascii_lowercase().contains("draft") => {
                self.create_pull(name, new, Draft::No).await
            }
            outcome => outcome,
        }
    }

    async fn create_pull(&self, name: &RepositoryName, new: &NewPull, draft: Draft) -> Result<Pull, GitHubError> {
        let NewPull { title, body, head, base } = new;
        let token = self.token(name).await?;
        let body = json!({ "title": title, "body": body, "head": head, "base": base, "draft": draft == Draft::Yes });
        self.call(&token, Method::POST, &format!("/repos/{name}/pulls"), Some(&body)).await
    }

    /// Returns the open pull request of a branch.
    pub async fn pull_of_branch(&self, name: &RepositoryName, branch: &str) -> Result<Option<Pull>, GitHubError> {
        let token = self.token(name).await?;
        let path = format!("/repos/{name}/pulls?state=open&head={}:{}", name.owner(), escape(branch));
        let found: Vec<Pull> = self.call(&token, Method::GET, &path, None).await?;
        Ok(found.into_iter().next())
    }

    pub async fn change_pull(
        &self,
        name: &RepositoryName,
        number: u64,
        changes: &PullChanges,
    ) -> Result<Pull, GitHubError> {
        let token = self.token(name).await?;
        let body = serde_json::to_value(changes).map_err(|error| GitHubError::Malformed(error.to_string()))?;
        self.call(&token, Method::PATCH, &format!("/repos/{name}/pulls/{number}"), Some(&body)).await
    }

    /// Marks a draft as ready for review. Only GraphQL can do this. Its path is `/graphql`, which an Enterprise server
    /// has beside its `/api/v3`.
    pub async fn mark_ready(&self, name: &RepositoryName, pull: &Pull) -> Result<(), GitHubError> {
        const MUTATION: &str = "mutation($pull: ID!) { markPullRequestReadyForReview(input: { pullRequestId: $pull }) \
                                { pullRequest { isDraft } } }";
        let token = self.token(name).await?;
        let api = self.state.api_url.as_str().trim_end_matches('/');
        let url = format!("{}/graphql", api.strip_suffix("/v3").unwrap_or(api));
        let query = json!({ "query": MUTATION, "variables": { "pull": pull.node_id } });
        let (answer, _): (Value, _) = self.ask(&token, Method::POST, &url, Some(&query)).await?;
        match answer["errors"][0]["message"].as_str() {
            Some(message) => Err(GitHubError::Invalid(message.to_owned())),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Draft {
    Yes,
    No,
}
