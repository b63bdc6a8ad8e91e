//! A session: one conversation, its workspace, its queue of tasks.

mod id;
mod record;

pub use id::{InvalidSessionId, SessionId, SessionKey};
pub use record::{SandboxRecord, SessionRecord};
