//! The frames of both directions.

use std::fmt;

use bytes::Bytes;

use crate::files::Ticket;
use crate::window::Payload;

/// The maximum length of a line's piece in one frame, in bytes. It is long enough that nearly every line is one frame,
/// and short enough that a batch with one such piece stays far below [`crate::codec::MAX_MESSAGE`].
pub const MAX_PIECE: usize = 256 * 1024;

/// The limit on unacknowledged payload in one direction, in bytes. At 100,000 lines of 200 bytes per second (264 with
/// their [`crate::window::FRAME_COST`]) it covers 150 ms without an acknowledgement, which is many commits of the store.
/// It is also the memory that a stalled sandbox costs.
pub const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// Frames from sandbox-init to the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// The first frame of a connection.
    Hello(Hello),
    Output(Numbered<UpFrame>),
    /// sandbox-init has processed every frame up to and including this number.
    Ack {
        upto: u64,
    },
}

/// Frames from the coordinator to sandbox-init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// Accepts the connection, in answer to a [`Hello`].
    Welcome(Welcome),
    /// Rejects the connection, in answer to a [`Hello`]. The coordinator closes the connection after this frame.
    Refused {
        reason: String,
    },
    Command(Numbered<DownFrame>),
    /// The results of every frame up to and including this number are durable.
    Ack {
        upto: u64,
    },
    /// sandbox-init connects to `files.sock`, sends this ticket and serves one request of [`crate::files`] there. Only for
    /// a sandbox-init of [`FILES_VERSION`](crate::files::FILES_VERSION). It has no number: one that is lost with its
    /// connection is not sent again.
    Open {
        ticket: Ticket,
    },
}

/// A frame and its sequence number. Each direction counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered<T> {
    pub seq: u64,
    pub frame: T,
}

/// The introduction of sandbox-init on a new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The protocol that sandbox-init speaks.
    pub version: u32,
    /// The secret of the first [`Welcome`]. `None` before the first one.
    pub secret: Option<LinkSecret>,
    /// Sequence number of the last received command; 0 if there is none.
    pub last_received: u64,
    /// A program has started and its `Exited` frame is not sent yet.
    pub running: bool,
}

/// The coordinator's answer to a [`Hello`] that it accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The secret for a connection that presented none. Every later connection must present it.
    pub secret: Option<LinkSecret>,
    /// Sequence number of the last received output frame; 0 if there is none. sandbox-init resumes after it.
    pub last_received: u64,
    /// The time that sandbox-init keeps running without a coordinator, in milliseconds.
    pub orphan_ttl_ms: u64,
}

/// Reports from the sandbox.
#[derive(Clone, PartialEq, Eq)]
pub enum UpFrame {
    /// A piece of a line without its newline, at most [`MAX_PIECE`] bytes. Unterminated output at the program's end is
    /// a line too.
    Stdout {
        piece: Bytes,
        ends_line: bool,
    },
    /// Bytes as they were read, at most [`MAX_PIECE`]. Lines may be split anywhere.
    Stderr {
        bytes: Bytes,
    },
    Started {
        pid: u32,
    },
    /// The program of a `Start` did not start. No `Exited` follows.
    StartFailed {
        message: String,
    },
    /// The program ended. This frame comes after the program's last output and after all remaining processes were
    /// killed.
    Exited(Exit),
    /// The sandbox's files exceed their disk limit. It is sent once, and only if the container was given a limit. So
    /// sandbox-init never sends it to a coordinator that does not know the frame.
    DiskFull {
        used_bytes: u64,
        limit_bytes: u64,
    },
}

/// The end of a program: `code` or `signal` is set. Neither is set if it ended because its container was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Number of processes of the sandbox, including children, that the kernel killed for lack of memory while this
    /// program ran.
    pub oom_kills: u64,
}

/// Commands to the sandbox.
#[derive(Clone, PartialEq, Eq)]
pub enum DownFrame {
    Start(Start),
    /// A piece of a line without its newline, at most [`MAX_PIECE`] bytes. sandbox-init drops it if no program runs.
    Stdin {
        piece: Bytes,
        ends_line: bool,
    },
    CloseStdin,
    Signal {
        /// The signal's number on Linux.
        signal: i32,
        target: SignalTarget,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalTarget {
    /// The process that `Start` created.
    Program,
    /// Every process of the sandbox except sandbox-init.
    Everything,
}

/// A program to run. Its environment contains these variables and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Start {
    /// A path, or a name that is searched in the PATH of `environment`.
    pub program: String,
    pub arguments: Vec<String>,
    pub directory: String,
    pub environment: Vec<(String, String)>,
}

/// Proves that a connection comes from the sandbox-init that was there before the agent started.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret(String);

impl LinkSecret {
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Payload for UpFrame {
    fn bytes(&self) -> usize {
        match self {
            Self::Stdout { piece, .. } => piece.len(),
            Self::Stderr { bytes } => bytes.len(),
            Self::StartFailed { message } => message.len(),
            Self::Started { .. } | Self::Exited(_) | Self::DiskFull { .. } => 0,
        }
    }
}

impl Payload for DownFrame {
    fn bytes(&self) -> usize {
        match self {
            Self::Start(start) => start.bytes(),
            Self::Stdin { piece, .. } => piece.len(),
            Self::CloseStdin | Self::Signal { .. } => 0,
        }
    }
}

impl Start {
    /// The total length of all strings, in bytes.
    pub fn bytes(&self) -> usize {
        let arguments: usize = self.arguments.iter().map(String::len).sum();
        let environment: usize = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.program.len() + self.directory.len() + arguments + environment
    }
}

// An agent's input and output may contain secrets, so `Debug` prints their sizes only.

impl fmt::Debug for UpFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout { piece, ends_line } => {
                f.debug_struct("Stdout").field("bytes", &piece.len()).field("ends_line", ends_line).finish()
            }
            Self::Stderr { bytes } => f.debug_struct("Stderr").field("bytes", &bytes.len()).finish(),
            Self::Started { pid } => f.debug_struct("Started").field("pid", pid).finish(),
            Self::StartFailed { message } => f.debug_struct("StartFailed").field("message", message).finish(),
            Self::Exited(exit) => f.debug_tuple("Exited").field(exit).finish(),
            Self::DiskFull { used_bytes, limit_bytes } => {
                f.debug_struct("DiskFull").field("used_bytes", used_bytes).field("limit_bytes", limit_bytes).finish()
            }
        }
    }
}

impl fmt::Debug for DownFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(start) => start.fmt(f),
            Self::Stdin { piece, ends_line } => {
                f.debug_struct("Stdin").field("bytes", &piece.len()).field("ends_line", ends_line).finish()
            }
            Self::CloseStdin => f.write_str("CloseStdin"),
            Self::Signal { signal, target } => {
                f.debug_struct("Signal").field("signal", signal).field("target", target).finish()
            }
        }
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Start")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("directory", &self.directory)
            .field("environment", &names)
            .finish()
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}
