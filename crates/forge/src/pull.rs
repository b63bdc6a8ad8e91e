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
        let opened = match self.create_pull(name, new, Draft::Yes).await {
            Err(GitHubError::Invalid(message) | GitHubError::Forbidden(message))
                if message.to_ascii_lowercase().contains("draft") =>
            {
                self.create_pull(name, new, Draft::No).await
            }
            outcome => outcome,
        };
        match opened {
            // An earlier call had its effect, and its response was lost.
            Err(GitHubError::Invalid(message)) if message.contains("already exists") => {
                self.pull_of_branch(name, &new.head).await?.ok_or(GitHubError::Invalid(message))
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
    pub(crate) async fn pull_of_branch(
        &self,
        name: &RepositoryName,
        branch: &str,
    ) -> Result<Option<Pull>, GitHubError> {
        self.newest_pull(name, branch, PullState::Open).await
    }

    /// Returns the newest pull request of a branch that was merged or closed.
    pub async fn closed_pull(&self, name: &RepositoryName, branch: &str) -> Result<Option<Pull>, GitHubError> {
        self.newest_pull(name, branch, PullState::Closed).await
    }

    /// Returns the newest pull request of a branch in a state.
    async fn newest_pull(
        &self,
        name: &RepositoryName,
        branch: &str,
        state: PullState,
    ) -> Result<Option<Pull>, GitHubError> {
        let token = self.token(name).await?;
        let state = state.as_str();
        let path = |name: &RepositoryName| {
            format!("/repos/{name}/pulls?state={state}&head={}:{}", name.owner(), escape(branch))
        };
        let mut found: Vec<Pull> = self.call(&token, Method::GET, &path(name), None).await?;
        // The filter needs the present owner of a repository that was transferred.
        if found.is_empty() && self.state.names.has_moved(name) {
            let present = self.repository(name).await?.full_name;
            found = self.call(&token, Method::GET, &path(&present), None).await?;
        }
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
        let error = &answer["errors"][0];
        match (error["type"].as_str(), error["message"].as_str()) {
            // GraphQL answers with 200 to a call beyond its rate limit.
            (Some("RATE_LIMITED"), _) => Err(GitHubError::RateLimited(self.until_reset())),
            (_, Some(message)) => Err(GitHubError::Invalid(message.to_owned())),
            (_, None) => Ok(()),
        }
    }
}

/// The state of a pull request, as the forge's list filters by it.
#[derive(Clone, Copy)]
enum PullState {
    Open,
    /// Closed or merged.
    Closed,
}

impl PullState {
    fn as_str(self) -> &'static str {
        match self {
            PullState::Open => "open",
            PullState::Closed => "closed",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Draft {
    Yes,
    No,
}
