//! The reason why there is no mirror.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use forge::GitHubError;

/// Cloneable: all callers that wait for a fetch get its error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MirrorError {
    #[error("there is no token for the repository")]
    Token(#[source] Arc<GitHubError>),
    #[error("git could not be run")]
    Run(#[source] Arc<io::Error>),
    /// `said` is the end of git's output.
    #[error("git {command} failed: {said}")]
    Git { command: String, said: String },
    #[error("the mirror was not up to date within {0} s")]
    Timeout(u64),
    #[error("the repository takes more than REPOSITORY_CACHE, or half of SANDBOX_DISK")]
    TooLarge,
    #[error("there is no mirror yet")]
    Missing,
    #[error("the mirror in {} cannot be used", path.display())]
    Disk { path: PathBuf, source: Arc<io::Error> },
    #[error("the server stops")]
    Stopped,
}
