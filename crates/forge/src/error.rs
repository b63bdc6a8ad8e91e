//! What can go wrong in a call to the forge.

use std::time::Duration;

/// Each with the forge's own sentence, where it gave one.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// Not there, or this credential may not see it: the forge does not say which.
    #[error("{0} is not there, or the credential may not see it")]
    NotFound(String),
    #[error("the forge does not take the credential (GITHUB_TOKEN, or the App's key): {0}")]
    Unauthorized(String),
    #[error("the forge forbids it: {0}")]
    Forbidden(String),
    #[error("the forge refuses it: {0}")]
    Invalid(String),
    #[error("the forge's rate limit is used up; it is free again in {} s", .0.as_secs())]
    RateLimited(Duration),
    #[error("the forge answers {status}: {message}")]
    Unavailable { status: u16, message: String },
    #[error("the forge could not be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the forge answered something that is not its API: {0}")]
    Malformed(String),
    #[error("the App's key could not sign: {0}")]
    Signature(&'static str),
}

impl GitHubError {
    /// The same call may work a moment later.
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
