use std::error::Error as _;

use bollard::errors::Error;

use engine::{EngineError, Operation};

/// The context of a call. It turns an error of the client into an [`EngineError`].
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) operation: Operation,
    pub(super) name: String,
    pub(super) address: String,
}

impl Failure {
    pub(super) fn of(self, error: Error) -> EngineError {
        match error {
            Error::DockerResponseServerError { status_code, message } => self.of_status(status_code, message),
            Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::SocketNotFoundError(_)
            | Error::UnsupportedURISchemeError { .. }
            | Error::RequestTimeoutError => self.unreachable(&chain(&error)),
            // These are bollard's encoding and decoding errors: the engine answered with something unexpected.
            error => self.other(chain(&error)),
        }
    }

    pub(super) fn unreachable(self, reason: &str) -> EngineError {
        EngineError::Unreachable { operation: self.operation, address: self.address, reason: reason.to_owned() }
    }

    pub(super) fn other(self, reason: String) -> EngineError {
        let Self { operation, name, .. } = self;
        EngineError::Other { operation, name, reason }
    }

    fn of_status(self, status: u16, reason: String) -> EngineError {
        let Self { operation, name, address } = self;
        match status {
            _ if is_full(&reason) => EngineError::NoSpace { operation, name, reason },
            404 => EngineError::NotFound { operation, name, reason },
            409 => EngineError::Conflict { operation, name, reason },
            // A proxy answers for an engine that is down.
            502..=504 => EngineError::Unreachable { operation, address, reason },
            _ => EngineError::Other { operation, name, reason },
        }
    }
}

/// Detects a full disk. The engine answers with status 500; only the text of `errno` distinguishes it from other
/// failures.
pub(super) fn is_full(reason: &str) -> bool {
    reason.contains("no space left on device") || reason.contains("disk quota exceeded")
}

/// Joins the error and its causes. The outermost alone says little ("client error (Connect)").
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
