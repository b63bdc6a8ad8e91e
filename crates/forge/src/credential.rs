//! The coordinator's credential: a token, or an App that gets one token per repository.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::repository::RepositoryName;
use jiff::Timestamp;
use secrecy::SecretString;

use super::app::AppKey;
use super::{GitHub, GitHubError};

/// The credential for the forge.
#[derive(Clone, Debug)]
pub enum GitHubCredential {
    /// A personal access token, classic or fine-grained.
    Token(SecretString),
    App(AppKey),
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidGitHubCredential {
    #[error("the App's private key could not be read")]
    Read(#[source] std::io::Error),
    #[error("the App's private key is not an RSA key in PEM form")]
    Key,
}

/// The minimum remaining validity of a cached token. A clone may take that long.
const LEAST_LEFT: Duration = Duration::from_mins(20);

/// The credential and the tokens that it obtained.
pub(super) struct Tokens {
    pub(super) credential: GitHubCredential,
    /// The App's tokens, by repository name in lower case.
    installed: Mutex<HashMap<String, (SecretString, Timestamp)>>,
}

impl Tokens {
    pub(super) fn new(credential: GitHubCredential) -> Self {
        Tokens { credential, installed: Mutex::default() }
    }

    fn cached(&self, repository: &str) -> Option<SecretString> {
        let installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        let (token, expires) = installed.get(repository)?;
        (Timestamp::now() + LEAST_LEFT < *expires).then(|| token.clone())
    }

    fn keep(&self, repository: String, token: SecretString, expires: Timestamp) {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        installed.retain(|_, (_, expires)| now < *expires);
        installed.insert(repository, (token, expires));
    }
}

impl GitHub {
    /// Returns a token for calls that concern one repository. An App's token is valid for that repository only, and for
    /// one hour.
    pub async fn token(&self, repository: &RepositoryName) -> Result<SecretString, GitHubError> {
        let app = match &self.state.tokens.credential {
            GitHubCredential::Token(token) => return Ok(token.clone()),
            GitHubCredential::App(app) => app,
        };
        let key = repository.as_str().to_ascii_lowercase();
        if let Some(token) = self.state.tokens.cached(&key) {
            return Ok(token);
        }
        let (token, expires) = self.installation_token(app, repository).await?;
        self.state.tokens.keep(key, token.clone(), expires);
        Ok(token)
    }
}
