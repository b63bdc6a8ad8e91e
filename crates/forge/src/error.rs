//! Errors of calls to the forge.

use std::time::Duration;

use http::StatusCode;

use super::rate::SECONDARY_PAUSE;

/// An error of a call to the forge. The strings are the forge's own messages, if it sent any.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// The resource does not exist, or the credential cannot see it. The forge does not distinguish the two.
    #[error("{0} does not exist, or the credential cannot see it")]
    NotFound(String),
    /// The credential may read, but lacks this right. The forge answers 403, or 404 to a change.
    #[error("the credential has no right to change {0}; it needs read and write access to contents and pull requests")]
    MissingRights(String),
    #[error("the forge rejects the credential (GITHUB_TOKEN, or the App's key): {0}")]
    Unauthorized(String),
    #[error("the repository is archived, so it is read-only until somebody unarchives it: {0}")]
    Archived(String),
    #[error("the forge protects this branch: {0}")]
    Protected(String),
    /// The new address belongs to another host, so the token is not sent there.
    #[error("{0} has moved to an address outside of this forge; use the repository's new name")]
    Moved(String),
    #[error("the forge forbids the call: {0}")]
    Forbidden(String),
    #[error("the forge rejects the call: {0}")]
    Invalid(String),
    #[error("the forge's rate limit is used up; it resets in {} s", .0.as_secs())]
    RateLimited(Duration),
    #[error("the forge's secondary rate limit allows no calls for {} s", .0.as_secs())]
    Throttled(Duration),
    #[error("the forge answered with status {status}: {message}")]
    Unavailable { status: u16, message: String },
    #[error("the forge could not be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the forge sent a response that is not its API's: {0}")]
    Malformed(String),
    #[error("the forge sent a response that is too large")]
    TooLarge,
    /// The forge lists only a part of a directory, or does not follow a symbolic link.
    #[error("the forge does not return the complete content of {0}")]
    Incomplete(String),
    #[error("the App's key could not sign: {0}")]
    Signature(&'static str),
}

impl GitHubError {
    /// True if the same call may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            GitHubError::Unavailable { .. } | GitHubError::Unreachable(_) => true,
            GitHubError::NotFound(_)
            | GitHubError::MissingRights(_)
            | GitHubError::Unauthorized(_)
            | GitHubError::Archived(_)
            | GitHubError::Protected(_)
            | GitHubError::Moved(_)
            | GitHubError::Forbidden(_)
            | GitHubError::Invalid(_)
            | GitHubError::RateLimited(_)
            | GitHubError::Throttled(_)
            | GitHubError::Malformed(_)
            | GitHubError::TooLarge
            | GitHubError::Incomplete(_)
            | GitHubError::Signature(_) => false,
        }
    }

    /// Returns the time after which the forge accepts calls again, if it named one.
    pub fn wait(&self) -> Option<Duration> {
        if let GitHubError::RateLimited(wait) | GitHubError::Throttled(wait) = self { Some(*wait) } else { None }
    }

    /// Returns the error if the reason in the report of a push means that the same push may succeed later.
    pub fn of_push_report(reason: &str) -> Option<GitHubError> {
        let words = reason.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        if has(&["rate limit", "abuse detection", "too many requests"]) {
            return Some(GitHubError::Throttled(SECONDARY_PAUSE));
        }
        let passes = has(&["internal server error", "temporar", "try again", "timeout", "timed out", "unavailable"]);
        passes.then(|| GitHubError::Unavailable { status: 500, message: reason.to_owned() })
    }

    /// Classifies a status that is neither a success nor a rate limit. `changes`: the call was a change. `path` is the resource.
    pub fn of_status(status: StatusCode, path: &str, message: String, changes: bool) -> GitHubError {
        let words = message.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
        let resource = path.trim_start_matches("/repos/").to_owned();
        let repository = || resource.split('/').take(2).collect::<Vec<_>>().join("/");
        match status {
            StatusCode::NOT_FOUND if changes && path.starts_with("/repos/") => GitHubError::MissingRights(repository()),
            StatusCode::NOT_FOUND => GitHubError::NotFound(resource),
            StatusCode::UNAUTHORIZED => GitHubError::Unauthorized(message),
            StatusCode::FORBIDDEN | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT
                if has(&["protected branch", "protected ref", "branch protection", "rule violation", "ruleset"]) =>
            {
                GitHubError::Protected(message)
            }
            StatusCode::FORBIDDEN if has(&["archived"]) => GitHubError::Archived(message),
            StatusCode::FORBIDDEN if has(&["not accessible by", "write access to repository"]) => {
                GitHubError::MissingRights(repository())
            }
            StatusCode::FORBIDDEN => GitHubError::Forbidden(message),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => GitHubError::Invalid(message),
            status if status.is_redirection() => GitHubError::Moved(repository()),
            status => GitHubError::Unavailable { status: status.as_u16(), message },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GitHubError;

    #[test]
    fn a_report_of_a_push_may_pass() {
        for (reason, is_passing, waits) in [
            ("internal server error", true, false),
            ("failed to update ref: please try again", true, false),
            ("You have exceeded a secondary rate limit.", false, true),
        ] {
            let error = GitHubError::of_push_report(reason).unwrap();
            assert_eq!((error.is_passing(), error.wait().is_some()), (is_passing, waits), "{reason}");
        }
        for reason in ["protected branch hook declined", "non-fast-forward", "pre-receive hook declined"] {
            assert!(GitHubError::of_push_report(reason).is_none(), "{reason}");
        }
    }
}
