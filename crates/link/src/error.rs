use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why a link could not be made.
#[derive(Debug, Error)]
pub enum LinkError {
    #[error(
        "RUNTIME_DIR is {}, which gives sockets with paths of {bytes} bytes; at most {limit} are possible, \
         so choose a directory with a path at least {} bytes shorter",
        .path.display(), bytes - limit
    )]
    PathTooLong { path: PathBuf, bytes: usize, limit: usize },
    #[error("could not make RUNTIME_DIR {}", .path.display())]
    RuntimeDirectory { path: PathBuf, source: io::Error },
    #[error("{0:?} cannot name a sandbox's directory: 1 to 36 letters, digits, - and _ can")]
    Name(String),
    #[error("could not make the link's directory {}", .path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("could not make the socket {}", .path.display())]
    Socket { path: PathBuf, source: io::Error },
    #[error("could not listen for sandboxes on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("this token already belongs to a sandbox")]
    TokenTaken,
}

impl LinkError {
    /// EMFILE or ENFILE: descriptors come back when connections end.
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

/// Why a command was not taken.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    #[error("the link is closed")]
    Closed,
    #[error("{what} has {bytes} bytes, at most {limit} are possible")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
}
