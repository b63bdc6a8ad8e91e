//! The errors between a command and its server.

use api_types::problem::Problem;
use reqwest::{StatusCode, Url};

use super::super::exit::Exit;

#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error(
        "no server answers at {url} ({cause}); start one with `claude-runner serve`, or say where it is with --url or \
         CLAUDE_RUNNER_URL"
    )]
    NoServer { url: Url, cause: String },
    #[error("the connection to {url} was cut ({cause})")]
    Cut { url: Url, cause: String },
    #[error("the server at {0} is not Claude Runner; set its URL with --url or CLAUDE_RUNNER_URL")]
    Foreign(Url),
    #[error("the server at {0} needs an API key: set CLAUDE_RUNNER_KEY; `claude-runner key create` creates one")]
    KeyMissing(Url),
    #[error("the server at {0} rejects this API key (CLAUDE_RUNNER_KEY): it is wrong, expired or revoked")]
    KeyRefused(Url),
    #[error("{sentence}")]
    Refused { status: StatusCode, sentence: String },
    #[error("CLAUDE_RUNNER_KEY has characters that no HTTP header may have")]
    Key,
    #[error("{0:?} cannot be a part of a URL")]
    Unspeakable(String),
    #[error("could not set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl RemoteError {
    pub(super) fn of_sending(url: &Url, error: &reqwest::Error) -> Self {
        let mut root: &dyn std::error::Error = error;
        while let Some(cause) = root.source() {
            root = cause;
        }
        let words = root.to_string();
        let cause = words.split(" (os error").next().unwrap_or_default().to_lowercase();
        let url = url.clone();
        if error.is_connect() { RemoteError::NoServer { url, cause } } else { RemoteError::Cut { url, cause } }
    }

    /// `problem` is the body, if it is a problem.
    pub(super) fn of_answer(url: &Url, status: StatusCode, problem: Option<Problem>, with_key: bool) -> Self {
        let Some(problem) = problem else {
            // A proxy in front of the server answers while the server is unreachable.
            return if status.is_server_error() {
                RemoteError::Refused { status, sentence: format!("{url} answered {status}") }
            } else {
                RemoteError::Foreign(url.clone())
            };
        };
        match (status, with_key) {
            (StatusCode::UNAUTHORIZED, false) => RemoteError::KeyMissing(url.clone()),
            (StatusCode::UNAUTHORIZED, true) => RemoteError::KeyRefused(url.clone()),
            _ => RemoteError::Refused { status, sentence: problem.error },
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            RemoteError::NoServer { .. } => Exit::NoServer,
            RemoteError::KeyMissing(_) | RemoteError::KeyRefused(_) => Exit::Denied,
            RemoteError::Key | RemoteError::Unspeakable(_) => Exit::Usage,
            RemoteError::Cut { .. } | RemoteError::Foreign(_) | RemoteError::Client(_) => Exit::Failed,
            RemoteError::Refused { status, .. } => match *status {
                StatusCode::FORBIDDEN => Exit::Denied,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE => {
                    Exit::TryLater
                }
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    Exit::TryLater
                }
                status if status.is_client_error() => Exit::Usage,
                _ => Exit::Failed,
            },
        }
    }

    /// Returns true if the server is unreachable or restarting, so that it may answer again soon.
    pub(crate) fn may_heal(&self) -> bool {
        match self {
            RemoteError::NoServer { .. } | RemoteError::Cut { .. } => true,
            RemoteError::Refused { .. } => self.exit() == Exit::TryLater,
            RemoteError::Foreign(_)
            | RemoteError::KeyMissing(_)
            | RemoteError::KeyRefused(_)
            | RemoteError::Key
            | RemoteError::Unspeakable(_)
            | RemoteError::Client(_) => false,
        }
    }

    /// Replaces the text of a refusal.
    pub(crate) fn saying(self, words: String) -> Self {
        match self {
            RemoteError::Refused { status, .. } => RemoteError::Refused { status, sentence: words },
            other => other,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, RemoteError::Refused { status: StatusCode::NOT_FOUND, .. })
    }
}
