//! Identifies callers, and holds their rights and rate limits.
//!
//! Keys come from the environment (`API_KEYS`) and from the store ([`KeyStore`](store::KeyStore), written by
//! `claude-runner key`). [`Keys`] holds those that are valid now and looks four times a second whether that has
//! changed. Everyone is let in only where nobody but this machine can reach the server and its data directory has never
//! had a key: to take back the last key opens nothing.

mod caller;
mod keys;
mod rate;
mod share;
mod shares;
mod tickets;

pub use caller::Caller;
pub use keys::Keys;
pub use rate::{Rate, TooManyRequests};
pub(crate) use share::{Exhausted, Holder, Pool, Share, network};
pub use shares::Shares;
pub(crate) use shares::{BodyShare, HeldShare};
pub use tickets::{Ticket, Tickets};
