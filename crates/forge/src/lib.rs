//! The forge: what the coordinator itself asks GitHub's API (REST, version 2022-11-28, and one GraphQL mutation).
//!
//! Only the calls that a repository task needs. Sandboxes never see a token: git goes through the gateway, and pull
//! requests are opened here.

mod app;
mod client;
mod credential;
mod error;
mod pull;
mod rate;
mod reference;
mod repository;

#[cfg(test)]
mod tests;

pub use app::AppKey;
pub use credential::{GitHubCredential, InvalidGitHubCredential};
pub use error::GitHubError;
pub use pull::{NewPull, PullChanges};
pub use rate::RateLimit;
pub use reference::Move;
pub use repository::Repository;

use std::sync::Arc;

use reqwest::{Client, Url};

use self::credential::Tokens;
use self::rate::Rate;

/// Where the forge is: `https://github.com` and `https://api.github.com`, or an Enterprise server's pages and its
/// `/api/v3`.
#[derive(Clone, Debug)]
pub struct GitHubSettings {
    pub url: Url,
    pub api_url: Url,
    pub credential: GitHubCredential,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct GitHub {
    shared: Arc<Shared>,
}

struct Shared {
    http: Client,
    /// Without a time limit: a clone may take many minutes.
    git: Client,
    url: Url,
    api_url: Url,
    tokens: Tokens,
    rate: Rate,
}

impl GitHub {
    pub fn new(settings: GitHubSettings) -> Result<GitHub, GitHubError> {
        let (http, git) = (client::for_calls()?, client::for_git()?);
        let GitHubSettings { url, api_url, credential } = settings;
        let tokens = Tokens::new(credential);
        Ok(GitHub { shared: Arc::new(Shared { http, git, url, api_url, tokens, rate: Rate::default() }) })
    }

    /// The forge's pages; repositories are cloned from below it.
    pub fn url(&self) -> &Url {
        &self.shared.url
    }

    /// What the forge said last about how many calls are left.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.shared.rate.read()
    }
}
