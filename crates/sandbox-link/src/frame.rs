//! The frames of both directions.

use std::fmt;

use bytes::Bytes;

use crate::window::Payload;

/// The longest piece of a line in one frame, in bytes. Long enough that nearly every line is one frame, short enough
/// that a batch with one such piece stays far below [`crate::codec::MAX_MESSAGE`].
pub const MAX_PIECE: usize = 256 * 1024;

/// The bound on unacknowledged payload in one direction, in bytes. At 100,000 lines of 200 bytes a second it covers
/// 150 ms without an acknowledgement, many commits of the store; it is also what a stalled sandbox costs in memory.
pub const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// What sandbox-init sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// First frame of a connection.
    Hello(Hello),
    Output(Numbered<UpFrame>),
    /// sandbox-init is done with every frame up to and including this number.
    Ack {
        upto: u64,
    },
}

/// What the coordinator sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// Answer to a [`Hello`]: the connection is taken.
    Welcome(Welcome),
    /// Answer to a [`Hello`]: the connection is closed after this frame.
    Refused {
        reason: String,
    },
    Command(Numbered<DownFrame>),
    /// What was made of every frame up to and including this number is durable.
    Ack {
        upto: u64,
    },
}

/// A frame with its place in its direction's sequence, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered<T> {
    pub seq: u64,
    pub frame: T,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// What the first Welcome gave. None: never welcomed yet.
    pub secret: Option<LinkSecret>,
    /// Number of the last command received, 0 for none.
    pub last_received: u64,
    /// A program was started and its `Exited` is not sent yet.
    pub running: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Given to a connection that came without one; to be presented by every later connection.
    pub secret: Option<LinkSecret>,
    /// Number of the last output frame received, 0 for none: sending goes on after it.
    pub last_received: u64,
    /// How long sandbox-init goes on without a coordinator, in milliseconds.
    pub orphan_ttl_ms: u64,
}

/// What happens in the sandbox.
#[derive(Clone, PartialEq, Eq)]
pub enum UpFrame {
    /// A piece of a line without its newline, at most [`MAX_PIECE`] bytes. What the program left unterminated at its end
    /// is a line too.
    Stdout {
        piece: Bytes,
        ends_line: bool,
    },
    /// Bytes as they were read, at most [`MAX_PIECE`], lines not kept together.
    Stderr {
        bytes: Bytes,
    },
    Started {
        pid: u32,
    },
    /// The program of a `Start` does not run; its `Exited` will not come.
    StartFailed {
        message: String,
    },
    /// Comes after the last output of the program and after all it left behind was killed.
    Exited(Exit),
    /// The files take more of the disk than they may. Said once, and only where the container was given a limit, so by no
    /// sandbox-init to a coordinator that does not know the frame.
    DiskFull {
        used_bytes: u64,
        limit_bytes: u64,
    },
}

/// How a program ended: by `code` or by `signal`. Neither is there where it ended because its container was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Processes of the sandbox that the kernel killed for memory while this program ran, children included.
    pub oom_kills: u64,
}

/// What the sandbox is to do.
#[derive(Clone, PartialEq, Eq)]
pub enum DownFrame {
    Start(Start),
    /// A piece of a line without its newline, at most [`MAX_PIECE`] bytes. Dropped when no program runs.
    Stdin {
        piece: Bytes,
        ends_line: bool,
    },
    CloseStdin,
    Signal {
        /// Its number on Linux.
        signal: i32,
        target: SignalTarget,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalTarget {
    /// The process that `Start` made.
    Program,
    /// Every process of the sandbox except sandbox-init.
    Everything,
}

/// A program to run. Its environment is this and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Start {
    /// A path, or a name to be found in the PATH of `environment`.
    pub program: String,
    pub arguments: Vec<String>,
    pub directory: String,
    pub environment: Vec<(String, String)>,
}

/// Proof that a connection comes from the sandbox-init that was there before the agent.
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
    /// The bytes of all its strings.
    pub fn bytes(&self) -> usize {
        let arguments: usize = self.arguments.iter().map(String::len).sum();
        let environment: usize = self.environment.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.program.len() + self.directory.len() + arguments + environment
    }
}

// What an agent reads and writes may be secret, so Debug gives sizes where the content is not ours.

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
