//! The errors of other crates as callers get them.

use http::StatusCode;
use sandbox::{ArchiveError, FilesError};
use sessions::registry::RegistryError;
use sessions::session::SubmitError;
use store::StoreError;

use super::ApiError;

impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Full(_) => {
                let sentence = "the server's disk is full; the request was not accepted. Free space and try again";
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", sentence).retry_after(30)
            }
            StoreError::IdempotencyKeyUsed { task, same_body: _ } => {
                let sentence = "this Idempotency-Key was used for another request; take a new key for a new request";
                let mut error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_conflict", sentence);
                error.problem.task_id = Some(task.clone());
                error
            }
            StoreError::Busy | StoreError::TimedOut => ApiError::lists_busy(),
            other => ApiError::internal(other),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ApiError::from(&error)
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Store(error) => error.as_ref().into(),
            RegistryError::ShuttingDown => ApiError::shutting_down(),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::QueueFull(_) => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", error.to_string()).retry_after(5)
            }
            SubmitError::Store(error) => error.as_ref().into(),
            SubmitError::ShuttingDown => ApiError::shutting_down(),
            SubmitError::OtherAgent(_) => ApiError::new(StatusCode::CONFLICT, "agent_conflict", error.to_string()),
            SubmitError::EnvMissing { .. } | SubmitError::EnvTooLarge(_) | SubmitError::TooManyVariables(_) => {
                ApiError::invalid(error.to_string())
            }
        }
    }
}

impl From<FilesError> for ApiError {
    fn from(error: FilesError) -> Self {
        let sentence = format!("path: {error}");
        match error {
            FilesError::NotFound => ApiError::new(StatusCode::NOT_FOUND, "file_not_found", sentence),
            FilesError::Symlink(_) | FilesError::Special(_) | FilesError::File | FilesError::Denied => {
                ApiError::invalid(sentence)
            }
            FilesError::Changed => ApiError::files_changed(),
            FilesError::Busy => {
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", error.to_string()).retry_after(2)
            }
            FilesError::Removed => ApiError::new(StatusCode::CONFLICT, "deleted", error.to_string()),
            FilesError::Engine(cause) => ApiError::engine(&cause),
            FilesError::NotStarted(_) | FilesError::Link(_) => ApiError::no_files(&error),
        }
    }
}

impl From<ArchiveError> for ApiError {
    fn from(error: ArchiveError) -> Self {
        match error {
            // The file changed or disappeared while it was read.
            ArchiveError::Malformed(_) | ArchiveError::Cut | ArchiveError::Files(_) => ApiError::files_changed(),
        }
    }
}
