use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// The reason why a link could not be created.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error(
        "RUNTIME_DIR is {}, so the sockets' paths have {bytes} bytes, but the limit is {limit}; \
         choose a directory whose path is at least {} bytes shorter",
        .path.display(), bytes - limit
    )]
    PathTooLong { path: PathBuf, bytes: usize, limit: usize },
    #[error("could not create RUNTIME_DIR {}", .path.display())]
    RuntimeDirectory { path: PathBuf, source: io::Error },
    #[error("{0:?} is not a valid name of a sandbox's directory: use 1 to 36 letters, digits, - and _")]
    Name(String),
    #[error("could not create the link's directory {}", .path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("could not create the socket {}", .path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("could not listen for sandboxes on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("this token already belongs to a sandbox")]
    TokenTaken,
}

impl LinkError {
    /// True for EMFILE and ENFILE. Descriptors become free when connections end.
    pub fn lacks_descriptors(&self) -> bool {
        use nix::errno::Errno;

        let source = match self {
            LinkError::RuntimeDirectory { source, .. }
            | LinkError::Directory { source, .. }
            | LinkError::Socket { source, .. }
            | LinkError::Listen { source, .. } => source,
            LinkError::PathTooLong { .. } | LinkError::Name(_) | LinkError::TokenTaken => return false,
        };
        let errno = source.raw_os_error().map(Errno::from_raw);
        matches!(errno, Some(Errno::EMFILE | Errno::ENFILE))
    }
}

/// The reason why a command was not accepted.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    #[error("the link is closed")]
    Closed,
    #[error("{what} has {bytes} bytes; the limit is {limit}")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
}
