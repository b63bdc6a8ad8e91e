//! Sessions: their ids, and the record that the store keeps of each.

mod epoch;
mod id;
mod record;

pub use epoch::{Epoch, EventCursor, InvalidEpoch, InvalidEventCursor};
pub use id::{InvalidSessionId, SessionId, SessionKey};
pub use record::{SandboxRecord, SessionRecord, SessionRepository};

pub const API_KEY_VARIABLE: &str = "ANTHROPIC_API_KEY";
pub const OAUTH_TOKEN_VARIABLE: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// Variables of a session's `env` that hold its own credential. They go to the gateway and never into a sandbox.
pub const CREDENTIAL_NAMES: [&str; 2] = [API_KEY_VARIABLE, OAUTH_TOKEN_VARIABLE];

/// The longest credential in bytes.
pub const MAX_CREDENTIAL_BYTES: usize = 4 * 1024;
/// The most that the names and values of a session's `env` have in all, in bytes.
pub const MAX_ENV_BYTES: usize = 1024 * 1024;
/// The number of variables of a session. Each is sealed, written and given to the agent on its own.
pub const MAX_VARIABLES: usize = 1_000;
