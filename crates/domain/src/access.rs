//! API keys: their ids, secrets, digests, scopes and limits.

mod key;
mod key_id;
mod limits;
mod scope;
mod secret;

pub use key::ApiKey;
pub use key_id::{InvalidKeyId, KeyId};
pub use limits::KeyLimits;
pub use scope::{InvalidScope, Scope, Visible};
pub use secret::{Digest, KeySecret};
