//! Who calls, what they may do, and how much they may use.

mod caller;
mod key_id;
mod limits;

pub use caller::{Caller, Scope};
pub use key_id::{InvalidKeyId, KeyId};
pub use limits::KeyLimits;
