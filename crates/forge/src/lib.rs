//! The client for GitHub's API (REST, version 2022-11-28, and one GraphQL mutation). It has only the calls that a
//! repository task needs.
//!
//! | module | contains |
//! |---|---|
//! | `client` | one call: request, response, retries, paging |
//! | `credential`, `app` | the token or GitHub App, and the tokens for single repositories |
//! | `repository`, `reference`, `tree`, `pull` | the calls: repositories and branches, refs, trees, pull requests |
//! | `link` | the repositories that links name |
//! | `git`, `lfs` | the calls to the git server, and to its Git LFS |
//! | `names` | the present names of repositories that were renamed or transferred |
//! | `rate` | the rate limit that the forge reports |
//! | `error` | [`GitHubError`] |
//!
//! Invariants:
//! - A sandbox never sees a token. git goes through the gateway, and the coordinator opens pull requests with this
//!   client.
//! - A token never follows a redirect to another host.

mod app;
mod client;
mod credential;
mod error;
mod git;
mod lfs;
mod link;
mod names;
mod pull;
mod rate;
mod reference;
mod repository;
mod tree;

#[cfg(test)]
mod tests;

pub use app::AppKey;
pub use credential::{GitHubCredential, InvalidGitHubCredential};
pub use error::GitHubError;
pub use lfs::LfsPointer;
pub use link::{ForgeAddress, Link};
pub use pull::{NewPull, PullChanges};
pub use rate::RateLimit;
pub use reference::RefUpdate;
pub use repository::Repository;
pub use tree::TreeEntry;

use std::sync::Arc;
use std::time::Duration;

use network_access::NetworkAccess;
use reqwest::{Client, Url};

use self::credential::Tokens;
use self::names::Names;
use self::rate::Rate;
use self::tree::SeenWorkflows;

/// The forge's address and credential. `url` is the web address and `api_url` the API's: `https://github.com` and
/// `https://api.github.com`, or the address of an Enterprise server and its `/api/v3`.
#[derive(Clone, Debug)]
pub struct GitHubSettings {
    pub url: Url,
    pub api_url: Url,
    pub credential: GitHubCredential,
    /// The proxy and the certificates for the forge.
    pub network: NetworkAccess,
}

/// The client. It is cheap to clone.
#[derive(Clone)]
pub struct GitHub {
    state: Arc<ClientState>,
}

struct ClientState {
    http: Client,
    /// The client for git. It has no total time limit, because a clone may take many minutes.
    git: Client,
    url: Url,
    api_url: Url,
    tokens: Tokens,
    rate: Rate,
    names: Names,
    workflows: SeenWorkflows,
}

impl GitHub {
    pub fn new(settings: GitHubSettings) -> Result<GitHub, GitHubError> {
        let GitHubSettings { url, api_url, credential, network } = settings;
        let (http, git) = (client::for_calls(&network)?, client::for_git(&network)?);
        let tokens = Tokens::new(credential);
        let (rate, names, workflows) = Default::default();
        Ok(GitHub { state: Arc::new(ClientState { http, git, url, api_url, tokens, rate, names, workflows }) })
    }

    /// The forge's web address. Clone URLs start with it.
    pub fn url(&self) -> &Url {
        &self.state.url
    }

    /// The forge's addresses, which distinguish its links from others.
    pub fn address(&self) -> ForgeAddress {
        ForgeAddress::new(self.state.url.clone(), self.state.api_url.clone())
    }

    /// The rate limit in the forge's most recent response.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.state.rate.read()
    }

    /// The time until the rate limit resets.
    fn until_reset(&self) -> Duration {
        let left = self.rate_limit().map(|limit| limit.reset.as_second() - jiff::Timestamp::now().as_second());
        Duration::from_secs(left.map_or(60, |seconds| seconds.max(1).unsigned_abs()))
    }
}
