use std::io;

use bollard::errors::Error;
use domain::error_chain;
use engine::{EngineError, Operation};

/// The context of a call. It turns an error of the client into an [`EngineError`].
#[derive(Clone)]
pub(super) struct CallContext {
    pub(super) operation: Operation,
    pub(super) name: String,
    pub(super) address: String,
}

impl CallContext {
    pub(super) fn error(self, error: Error) -> EngineError {
        match error {
            Error::DockerResponseServerError { status_code, message } => self.error_of_status(status_code, message),
            Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::SocketNotFoundError(_)
            | Error::UnsupportedURISchemeError { .. }
            | Error::RequestTimeoutError => self.unreachable(&connection_words(&error)),
            // These are bollard's encoding and decoding errors: the engine answered with something unexpected.
            error => self.other(error_chain(&error)),
        }
    }

    pub(super) fn unreachable(self, reason: &str) -> EngineError {
        EngineError::Unreachable { operation: self.operation, address: self.address, reason: reason.to_owned() }
    }

    pub(super) fn other(self, reason: String) -> EngineError {
        let Self { operation, name, .. } = self;
        EngineError::Other { operation, name, reason }
    }

    fn error_of_status(self, status: u16, reason: String) -> EngineError {
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

/// The reason why the engine could not be reached, with the remedy where the socket is the reason.
fn connection_words(error: &Error) -> String {
    let mut causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let kind = causes.find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind()));
    match (error, kind) {
        (Error::SocketNotFoundError(_), _) | (_, Some(io::ErrorKind::NotFound)) => {
            "there is no such socket (start the engine, or set DOCKER_HOST to where it listens)".to_owned()
        }
        (_, Some(io::ErrorKind::PermissionDenied)) => {
            "permission denied: this user may not use its socket (run this as root, or as a member of the engine's group: `usermod -aG docker \
             USER`, then log in anew)"
                .to_owned()
        }
        (_, Some(io::ErrorKind::ConnectionRefused)) => {
            "nothing listens there (start the engine, or set DOCKER_HOST to where it listens)".to_owned()
        }
        _ => error_chain(error),
    }
}

/// Detects a full disk. The engine answers with status 500; only the text of `errno` distinguishes it from other
/// failures.
pub(super) fn is_full(reason: &str) -> bool {
    reason.contains("no space left on device") || reason.contains("disk quota exceeded")
}

#[cfg(test)]
mod tests;
