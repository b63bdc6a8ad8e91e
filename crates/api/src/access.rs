//! Identifies callers, and holds their rights and rate limits.
//!
//! Keys come from the environment (`API_KEYS`) and from the store ([`KeyStore`](store::KeyStore), written by `claude-runner key`).
//! [`Keys`] holds the currently valid ones and checks four times a second whether they changed. Callers without a key are accepted
//! only if the server is reachable only from this machine and its data directory has never had a key. Revoking the last key
//! therefore does not open the server.

mod caller;
mod keys;
mod rate;
mod share;
mod shares;
mod tickets;
mod turns;

pub use caller::Caller;
pub use keys::Keys;
pub use rate::{Rate, TooManyRequests};
pub(crate) use share::{Exhausted, Holder, Pool, Share, network};
pub use shares::Shares;
pub(crate) use shares::{CallerShares, HeldShare};
pub use tickets::{Ticket, Tickets};
pub(crate) use turns::Turn;
