//! Who calls, what they may do, and how much they may use.
//!
//! Keys come from the environment (`API_KEYS`) and from the store ([`KeyStore`](crate::store::KeyStore), written by
//! `claude-runner key`). [`Keys`] holds those that are valid now and looks every [`keys::LOOK`] whether that has changed. Everyone
//! is let in only where nobody but this machine can reach the server and its data directory has never had a key: to take back
//! the last key opens nothing.

mod caller;
mod key;
mod key_id;
mod keys;
mod limits;
mod rate;
mod secret;
mod tickets;

pub use caller::{Caller, Scope, Visible};
pub use key::ApiKey;
pub use key_id::{InvalidKeyId, KeyId};
pub use keys::Keys;
pub use limits::KeyLimits;
pub use rate::{Rate, TooManyRequests};
pub use secret::{Digest, KeySecret};
pub use tickets::{Ticket, Tickets};
