//! The coordinator's end of the link: everything that enters or leaves a sandbox.
//!
//! [`LinkDirectory`] serves one directory of two sockets per sandbox, [`TcpLink`] one port for all where a socket cannot
//! be shared with containers. Both give a [`Link`] to send commands with and a [`LinkOutput`] to take what the sandbox
//! says, and hand the byte streams of its gateway port to a [`GatewayStream`].
//!
//! A link outlives its connections: sandbox-init comes back after any cut and both sides go on where they were. The only
//! state that must survive the coordinator is a [`ResumeState`].

mod directory;
mod error;
mod gate;
mod handle;
mod outbox;
mod server;
mod stream;
mod tcp;
mod worker;

pub use directory::LinkDirectory;
pub use error::{LinkError, SendError};
pub use handle::{Link, LinkOutput, MAX_STDIN_LINE, ResumeState};
pub use stream::{GatewayStream, LinkStream};
pub use tcp::TcpLink;
