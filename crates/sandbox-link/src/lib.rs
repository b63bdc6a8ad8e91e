//! The protocol between the coordinator and sandbox-init: its frames, their binary encoding, and the windows that
//! deliver frames exactly once and in order over connections that may break at any moment.
//!
//! | module | contains |
//! |---|---|
//! | [`frame`] | the frames of both directions, and their size limits |
//! | [`codec`] | the binary encoding, and the limits of a message |
//! | [`files`] | requests for the sandbox's files, on connections of their own |
//! | [`window`] | sequence numbers: frames kept until acknowledged, duplicates and gaps detected |
//!
//! Invariants:
//! - There is no I/O, no clock and no async code. Both ends bring their own socket.
//! - Decoding never panics and never allocates more than the message's size allows.
//!
//! A connection is a WebSocket on which every binary message is one batch of frames:
//!
//! ```text
//! sandbox-init                                  coordinator
//!   Hello{secret?, last_received, running}  ──▶
//!                                           ◀──  Welcome{secret?, last_received, orphan_ttl_ms}  or  Refused
//!   Ack                                     ──▶  (a message of its own: the secret has arrived)
//!   numbered frames after last_received, Ack ◀─▶ numbered frames after last_received, Ack
//! ```
//!
//! Each direction numbers its frames from 1, over all connections of one sandbox. The receiver acknowledges a number
//! when it has processed the frame: the coordinator when the results are durable, sandbox-init when the agent has read
//! the bytes. The acknowledgement releases the frame at the sender.

pub mod codec;
pub mod files;
pub mod frame;
pub mod window;

/// The version that this end speaks. It is the first field of [`frame::Hello`], and its position never changes.
/// Version 2 has the requests of [`files`].
pub const PROTOCOL_VERSION: u32 = 2;

/// The oldest version of sandbox-init that a coordinator serves: sandboxes outlive an upgrade.
pub const OLDEST_VERSION: u32 = 1;
