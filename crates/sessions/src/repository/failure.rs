//! Errors of the forge, as failures of a task.

use domain::error_chain;
use domain::repository::{Checkout, Pull};
use domain::task::{ErrorType, Failure};
use forge::GitHubError;

/// The failure while the repository is chosen and prepared.
pub(super) fn preparing(error: &GitHubError) -> Failure {
    Failure::new(kind_of(error, ErrorType::CloneFailed), error_chain(error))
}

/// The failure while the work is handed in. The branch has everything that was pushed. `pull` is the forge's pull request, if any.
pub(super) fn handing_in(error: &GitHubError, checkout: &Checkout, pull: Option<&Pull>) -> Failure {
    let error_type = match kind_of(error, ErrorType::PushRejected) {
        ErrorType::RepoNotFound => ErrorType::PushRejected,
        error_type => error_type,
    };
    let Checkout { name, branch, .. } = checkout;
    let state = match pull {
        Some(pull) => {
            format!("the pull request {} of the branch {branch} is open, but it could not be finished", pull.html_url)
        }
        None => format!(
            "the pull request could not be opened or changed; what was pushed is on the branch {branch} of {name}"
        ),
    };
    Failure::new(error_type, format!("{state}: {}", error_chain(error)))
}

fn kind_of(error: &GitHubError, other: ErrorType) -> ErrorType {
    match error {
        GitHubError::NotFound(_) | GitHubError::Moved(_) => ErrorType::RepoNotFound,
        GitHubError::Unauthorized(_) => ErrorType::AuthExpired,
        GitHubError::RateLimited(_) | GitHubError::Throttled(_) => ErrorType::CapacityReached,
        // The forge takes no commits, although it shows the repository.
        GitHubError::MissingRights(_) | GitHubError::Archived(_) | GitHubError::Protected(_) => ErrorType::PushRejected,
        GitHubError::Forbidden(_)
        | GitHubError::Invalid(_)
        | GitHubError::Unavailable { .. }
        | GitHubError::Unreachable(_)
        | GitHubError::Malformed(_)
        | GitHubError::TooLarge
        | GitHubError::Incomplete(_)
        | GitHubError::Signature(_) => other,
    }
}
