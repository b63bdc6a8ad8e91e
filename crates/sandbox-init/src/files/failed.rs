use std::io;

use nix::errno::Errno;
use sandbox_link::files::{Failure, FailureKind};

/// The reason why a request ends early.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request failed; the coordinator is told.
    Request(Failure),
    /// The connection broke, or was silent for too long.
    Connection,
}

impl Failed {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Request(Failure { kind, message: message.into() })
    }

    /// An error of the system about the object `name`.
    pub(super) fn system(errno: Errno, name: &[u8]) -> Self {
        let kind = match errno {
            Errno::ENOENT | Errno::ENOTDIR => FailureKind::NotFound,
            Errno::EACCES | Errno::EPERM | Errno::EROFS => FailureKind::Denied,
            Errno::EEXIST | Errno::ENOTEMPTY => FailureKind::Exists,
            Errno::ENOSPC | Errno::EDQUOT => FailureKind::NoSpace,
            Errno::EFBIG => FailureKind::TooLarge,
            Errno::EISDIR => FailureKind::Directory,
            Errno::ENAMETOOLONG | Errno::EILSEQ => FailureKind::Invalid,
            // The name was replaced by a link meanwhile.
            Errno::ELOOP => FailureKind::Changed,
            _ => FailureKind::Other,
        };
        Self::new(kind, format!("{}: {}", String::from_utf8_lossy(name), errno.desc()))
    }

    /// An error while a file's content was read or written.
    pub(super) fn content(error: &io::Error, name: &[u8]) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::system(Errno::from_raw(errno), name),
            None => Self::new(FailureKind::Other, format!("{}: {error}", String::from_utf8_lossy(name))),
        }
    }

    pub(super) fn into_failure(self) -> Option<Failure> {
        match self {
            Self::Request(failure) => Some(failure),
            Self::Connection => None,
        }
    }
}
