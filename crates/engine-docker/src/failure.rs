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
            Error::DockerResponseServerError { status_code, message } => self.error_of_status(status_code, &message),
            Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::SocketNotFoundError(_)
            | Error::UnsupportedURISchemeError { .. }
            | Error::RequestTimeoutError => self.unreachable(&connection_words(&error)),
            // These are bollard's encoding and decoding errors: the engine answered with something unexpected.
            error => self.other(&error_chain(&error)),
        }
    }

    pub(super) fn unreachable(self, reason: &str) -> EngineError {
        EngineError::Unreachable { operation: self.operation, address: self.address, reason: clean(reason) }
    }

    pub(super) fn other(self, reason: &str) -> EngineError {
        let Self { operation, name, .. } = self;
        EngineError::Other { operation, name, reason: clean(reason) }
    }

    fn error_of_status(self, status: u16, message: &str) -> EngineError {
        let Self { operation, name, address } = self;
        let reason = clean(message);
        match status {
            _ if is_full(message) => EngineError::NoSpace { operation, name, reason },
            404 => EngineError::NotFound { operation, name, reason },
            409 => EngineError::Conflict { operation, name, reason },
            // Podman's answer for a name in use.
            500 if message.contains("name is already in use") => EngineError::Conflict { operation, name, reason },
            // A proxy answers for an engine that is down.
            502..=504 => EngineError::Unreachable { operation, address, reason },
            _ => EngineError::Other { operation, name, reason },
        }
    }
}

/// The maximum length of an engine's message in an error, in characters. Callers read it in their task's `error`.
const MAX_REASON: usize = 400;

/// A JSON object in an engine's message is left out if it is longer than this. It is a part of our own request.
const MAX_OBJECT: usize = 80;

/// Puts an engine's message on one line of at most [`MAX_REASON`] characters, without long JSON objects and control
/// characters. Of a longer message, the beginning and the end stay, because either may contain the cause.
pub(super) fn clean(message: &str) -> String {
    let message = without_objects(message);
    let words: Vec<_> =
        message.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line: Vec<char> = words.join(" ").chars().collect();
    if line.len() <= MAX_REASON {
        return line.into_iter().collect();
    }
    let (head, tail) = (&line[..MAX_REASON / 2], &line[line.len() - MAX_REASON / 2 + 3..]);
    head.iter().chain(&[' ', '…', ' ']).chain(tail).collect()
}

fn without_objects(message: &str) -> String {
    let mut rest = message;
    let mut text = String::new();
    while let Some(start) = rest.find('{') {
        let end = end_of_object(&rest[start..]).map(|length| start + length);
        let Some(end) = end.filter(|end| end - start > MAX_OBJECT) else {
            text.push_str(&rest[..=start]);
            rest = &rest[start + 1..];
            continue;
        };
        text.push_str(&rest[..start]);
        text.push_str("{…}");
        rest = &rest[end..];
    }
    text + rest
}

/// The length of the object at the start of `text`, found by its braces.
fn end_of_object(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// The reason why the engine could not be reached, with the remedy where the socket is the reason.
fn connection_words(error: &Error) -> String {
    let mut causes = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let kind = match error {
        // This one is transparent, so its source is the one of the error in it.
        Error::IOError { err } => Some(err.kind()),
        _ => causes.find_map(|cause| Some(cause.downcast_ref::<io::Error>()?.kind())),
    };
    match (error, kind) {
        (Error::SocketNotFoundError(_), _) | (_, Some(io::ErrorKind::NotFound)) => {
            "there is no such socket (start the engine, or set DOCKER_HOST to where it listens)".to_owned()
        }
        (_, Some(io::ErrorKind::PermissionDenied)) => {
            "permission denied: this user may not use its socket (run this as root, or as a member of the engine's group: `usermod -aG docker \
             USER`, then log in again)"
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
