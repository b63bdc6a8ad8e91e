//! The parts of a link that both of its ends share, the coordinator's (`link`) and the sandbox's (`sandbox-init`).
//!
//! | module | contains |
//! |---|---|
//! | `messages` | messages over a WebSocket: [`send`], [`next`] |
//! | `outbox` | [`Outbox`]: outgoing frames until the other end acknowledges them |

mod messages;
mod outbox;

pub use messages::{TransportError, next, send};
pub use outbox::Outbox;
