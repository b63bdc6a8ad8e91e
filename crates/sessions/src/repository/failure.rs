//! Errors of the forge, as failures of a task.

use domain::error_chain;
use domain::task::{ErrorType, Failure};
use forge::GitHubError;

/// The failure while the repository is chosen and prepared.
pub(super) fn preparing(error: &GitHubError) -> Failure {
    Failure::new(kind_of(error, ErrorType::CloneFailed), error_chain(error))
}

/// The failure while the work is handed in.
pub(super) fn handing_in(error: &GitHubError) -> Failure {
    let error_type = match kind_of(error, ErrorType::PushRejected) {
        ErrorType::RepoNotFound => ErrorType::PushRejected,
        error_type => error_type,
    };
    Failure::new(error_type, format!("the pull request could not be opened or changed: {}", error_chain(error)))
}

fn kind_of(error: &GitHubError, other: ErrorType) -> ErrorType {
    match error {
        GitHubError::NotFound(_) => ErrorType::RepoNotFound,
        GitHubError::Unauthorized(_) => ErrorType::AuthExpired,
        GitHubError::RateLimited(_) => ErrorType::CapacityReached,
        GitHubError::Forbidden(_)
        | GitHubError::Invalid(_)
        | GitHubError::Unavailable { .. }
        | GitHubError::Unreachable(_)
        | GitHubError::Malformed(_)
        | GitHubError::Signature(_) => other,
    }
}
