//! The coordinator's end of the link, which carries everything that enters or leaves a sandbox.
//!
//! | module | contains |
//! |---|---|
//! | `handle` | [`Link`] and [`LinkOutput`]: commands to a sandbox, frames from it, [`ResumeState`] |
//! | `worker`, `pieces` | the owner of a link's state; long commands in pieces |
//! | `files`, `streams` | requests for the sandbox's files, on connections that sandbox-init opens for them |
//! | `directory`, `tcp` | [`LinkDirectory`]: three sockets per sandbox; [`TcpLink`]: one port for all, where sockets cannot be shared with containers |
//! | `server`, `gate` | connections: the handshake, and the secret that it checks |
//! | `stream` | byte streams of the gateway port, and their consumer, [`GatewayStream`] |
//!
//! Invariants:
//! - A link outlives its connections: sandbox-init reconnects after any interruption, and both ends continue where they
//!   were.
//! - The only state that must survive the coordinator is a [`ResumeState`].
//! - All memory is bounded: commands, output, handshakes, gateway streams and file streams per sandbox.

mod directory;
mod error;
mod files;
mod gate;
mod handle;
mod pieces;
mod server;
mod stream;
mod streams;
mod tcp;
mod worker;

pub use directory::LinkDirectory;
pub use error::{LinkError, SendError};
pub use files::{FileContent, FilePlace, FilesError};
pub use handle::{Link, LinkOutput, MAX_STDIN_LINE, ResumeState, WeakLink};
pub use stream::{GatewayStream, LinkStream};
pub use tcp::TcpLink;
