//! Errors of calls to the forge.

use std::time::Duration;

/// An error of a call to the forge. The strings are the forge's own messages, if it sent any.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// The resource does not exist, or the credential cannot see it. The forge does not distinguish the two.
    #[error("{0} does not exist, or the credential cannot see it")]
    NotFound(String),
    #[error("the forge rejects the credential (GITHUB_TOKEN, or the App's key): {0}")]
    Unauthorized(String),
    #[error("the forge forbids the call: {0}")]
    Forbidden(String),
    #[error("the forge rejects the call: {0}")]
    Invalid(String),
    #[error("the forge's rate limit is used up; it resets in {} s", .0.as_secs())]
    RateLimited(Duration),
    #[error("the forge answered with status {status}: {message}")]
    Unavailable { status: u16, message: String },
    #[error("the forge could not be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the forge sent a response that is not its API's: {0}")]
    Malformed(String),
    #[error("the App's key could not sign: {0}")]
    Signature(&'static str),
}

impl GitHubError {
    /// True if the same call may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            GitHubError::Unavailable { .. } | GitHubError::Unreachable(_) => true,
            GitHubError::NotFound(_)
            | GitHubError::Unauthorized(_)
            | GitHubError::Forbidden(_)
            | GitHubError::Invalid(_)
            | GitHubError::RateLimited(_)
            | GitHubError::Malformed(_)
            | GitHubError::Signature(_) => false,
        }
    }
}
