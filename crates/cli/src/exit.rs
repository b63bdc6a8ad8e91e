//! The meanings of the exit status.

use std::process::ExitCode;

/// The documents list these, and a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; of a task: it completed.
    Done,
    /// The command failed; of a task: it failed.
    Failed,
    /// The task was aborted.
    Aborted,
    /// Wrong usage, a wrong setting, or a request that the server refused (EX_USAGE of sysexits).
    Usage,
    /// No server answers (EX_UNAVAILABLE).
    NoServer,
    /// The server cannot do it now; later it may (EX_TEMPFAIL).
    TryLater,
    /// The API key is missing or wrong, or lacks the right (EX_NOPERM).
    Denied,
    /// Interrupted by Ctrl-C: 128 + SIGINT, as in shells.
    Interrupted,
}

impl Exit {
    pub const ALL: [Exit; 8] = [
        Exit::Done,
        Exit::Failed,
        Exit::Aborted,
        Exit::Usage,
        Exit::NoServer,
        Exit::TryLater,
        Exit::Denied,
        Exit::Interrupted,
    ];

    pub const fn status(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Aborted => 2,
            Exit::Usage => 64,
            Exit::NoServer => 69,
            Exit::TryLater => 75,
            Exit::Denied => 77,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.status())
    }
}

/// The arguments are wrong in a way that clap cannot detect.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misuse(pub(super) String);
