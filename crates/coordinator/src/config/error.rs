//! Settings that cannot be used together, or at all.

use std::net::IpAddr;
use std::path::PathBuf;

use forge::{GitHubError, InvalidGitHubCredential};
use gateway::FeedError;
use network_access::NetworkError;
use observe::telemetry::TelemetryError;

use super::{EngineAddressError, PresetError};

/// A combination of settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "HOST is {0}, which others can reach: create a key with `claude-runner key create` or set API_KEYS (secrets of at \
         least 32 characters), or listen on 127.0.0.1"
    )]
    OpenWithoutKeys(IpAddr),
    #[error("ANTHROPIC_BASE_URL is {0}; it must be a URL like https://api.anthropic.com")]
    Upstream(String),
    #[error("{0} is not a credential: it is empty or contains characters that HTTP headers do not allow")]
    Credential(&'static str),
    #[error("GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE must be set together: one of them is missing")]
    HalfAnApp,
    #[error("GITHUB_APP_PRIVATE_KEY_FILE is {}", path.display())]
    AppKey { path: PathBuf, source: InvalidGitHubCredential },
    #[error("GITHUB_URL and GITHUB_API_URL cannot be used")]
    Forge(#[source] GitHubError),
    #[error("SANDBOX_RUNTIME is {runtime}, which the engine does not have; it has {known}")]
    UnknownRuntime { runtime: String, known: String },
    #[error(transparent)]
    PriceFeed(FeedError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Preset(#[from] PresetError),
    #[error(transparent)]
    EngineAddress(#[from] EngineAddressError),
    #[error("traces cannot be sent: {0}")]
    Traces(String),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}
