//! The failure of a task, from a launch that failed or a process that ended.

use domain::error_chain;
use domain::task::{ErrorType, Failure};
use engine::EngineError;
use sandbox::{LaunchError, ProcessEnd};

use super::NotLaunched;

/// The failure of a task whose sandbox did not start.
pub(crate) fn failure_of(error: &NotLaunched) -> Failure {
    match error {
        NotLaunched::NoRoom(patience) => {
            let seconds = patience.as_secs_f64();
            let error = format!("no sandbox became free within {seconds} s (CAPACITY_TIMEOUT_MS, MAX_SANDBOXES)");
            Failure::new(ErrorType::CapacityReached, error)
        }
        NotLaunched::Failed(failure) => failure.clone(),
        NotLaunched::Spent(spent) => Failure::new(ErrorType::BudgetExceeded, spent.to_string()),
        NotLaunched::Store(error) => Failure::new(ErrorType::ExitCode, error_chain(error)),
        NotLaunched::Template(error) => Failure::new(ErrorType::ExitCode, error_chain(error)),
        NotLaunched::Sandbox(LaunchError::Engine(EngineError::ImageMissing { image })) => Failure::new(
            ErrorType::EngineUnavailable,
            format!("the image {image} is not there; build it with `claude-runner image build`"),
        ),
        NotLaunched::Sandbox(
            error @ (LaunchError::Engine(_)
            | LaunchError::Link(_)
            | LaunchError::Files(_)
            | LaunchError::Runtime { .. }
            | LaunchError::TooOld { .. }
            | LaunchError::Unlimited(_)
            | LaunchError::NotConnected(_)
            | LaunchError::Timeout),
        ) => Failure::new(ErrorType::EngineUnavailable, error_chain(error)),
        NotLaunched::Sandbox(LaunchError::Ended(end)) => failure_of_end(end),
        NotLaunched::Sandbox(error @ LaunchError::Send(_)) => {
            Failure::new(ErrorType::ContainerLost, error_chain(error))
        }
        NotLaunched::Sandbox(error @ LaunchError::Refused(_)) => Failure::new(ErrorType::ExitCode, error_chain(error)),
        NotLaunched::Sandbox(error @ LaunchError::Cancelled) => Failure::new(ErrorType::Aborted, error_chain(error)),
    }
}

/// The failure of a task whose agent process ended.
pub(crate) fn failure_of_end(end: &ProcessEnd) -> Failure {
    let error_type = if end.out_of_memory() {
        ErrorType::OomKilled
    } else {
        match end {
            // The process was stopped from outside, together with its container.
            ProcessEnd::Exited { code: None, signal: None, .. } => ErrorType::ContainerLost,
            ProcessEnd::Exited { .. } | ProcessEnd::NotStarted { .. } | ProcessEnd::DiskFull { .. } => {
                ErrorType::ExitCode
            }
            ProcessEnd::ContainerExited { .. } | ProcessEnd::ContainerGone | ProcessEnd::Closed => {
                ErrorType::ContainerLost
            }
        }
    };
    let hint = if error_type == ErrorType::OomKilled { "; it ran out of memory (SANDBOX_MEMORY)" } else { "" };
    Failure::new(error_type, end.describe() + hint)
}
