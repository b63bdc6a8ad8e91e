//! What the coordinator and sandbox-init say to each other over the link: the frames, their binary form, and the
//! windows that make them arrive once and in order over connections that may be cut at any moment.
//!
//! No I/O, no clock, no async: both ends bring their own socket.
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
//! Each direction numbers its frames from 1, over all connections of one sandbox. A number is acknowledged when the
//! receiver is done with the frame (the coordinator: when what it made of it is durable; sandbox-init: when the agent
//! has taken the bytes), which is what releases it at the sender.

pub mod codec;
pub mod frame;
pub mod window;

/// Both ends must have the same; it is the first field of [`frame::Hello`] and never moves.
pub const PROTOCOL_VERSION: u32 = 1;
