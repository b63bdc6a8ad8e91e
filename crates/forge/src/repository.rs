//! The repositories that the credential can see.

use domain::repository::RepositoryName;
use http::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::{GitHub, GitHubCredential, GitHubError};

/// The properties of a repository that a repository task needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Repository {
    pub full_name: RepositoryName,
    #[serde(default, deserialize_with = "or_empty")]
    pub description: String,
    pub default_branch: String,
    #[serde(default)]
    pub archived: bool,
    /// Size in kilobytes.
    #[serde(default)]
    pub size: u64,
}

fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Branch {
    commit: Commit,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

/// The maximum number of repositories against which a prompt is matched. The most recently pushed ones are used.
const MAX_REPOSITORIES: usize = 1000;

impl GitHub {
    /// Lists the repositories that the credential can see, most recently pushed first. The list is empty for an App,
    /// because callers name its repositories.
    pub async fn repositories(&self) -> Result<Vec<Repository>, GitHubError> {
        let token = match &self.state.tokens.credential {
            GitHubCredential::Token(token) => token,
            GitHubCredential::App(_) => return Ok(Vec::new()),
        };
        let api = self.state.api_url.as_str().trim_end_matches('/');
        let mut next = Some(format!("{api}/user/repos?per_page=100&sort=pushed"));
        let mut all: Vec<Repository> = Vec::new();
        while let Some(url) = next.take_if(|url| all.len() < MAX_REPOSITORIES && url.starts_with(api)) {
            let (page, following): (Vec<Repository>, _) = self.ask(token, Method::GET, &url, None).await?;
            all.extend(page);
            next = following;
        }
        all.truncate(MAX_REPOSITORIES);
        Ok(all)
    }

    /// Returns a repository. Its `full_name` is another one if it was renamed or transferred.
    pub async fn repository(&self, name: &RepositoryName) -> Result<Repository, GitHubError> {
        let token = self.token(name).await?;
        let repository: Repository = self.call(&token, Method::GET, &format!("/repos/{name}"), None).await?;
        self.state.names.note(name, &repository.full_name);
        Ok(repository)
    }

    /// Returns the commit that a branch points to, or `None` if the branch does not exist.
    pub async fn branch(&self, name: &RepositoryName, branch: &str) -> Result<Option<String>, GitHubError> {
        let token: SecretString = self.token(name).await?;
        let path = format!("/repos/{name}/branches/{}", escape(branch));
        match self.call::<Branch>(&token, Method::GET, &path, None).await {
            Ok(branch) => Ok(Some(branch.commit.sha)),
            Err(GitHubError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Escapes a branch for use in a path. Slashes stay, because the forge expects them.
pub(super) fn escape(branch: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
    utf8_percent_encode(branch, KEPT).to_string()
}
