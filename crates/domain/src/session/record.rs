//! The record of a session.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Epoch, SessionId, SessionKey};
use crate::agent::AgentName;
use crate::repository::{Checkout, Pull};

/// A session as the store keeps it.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    pub key: SessionKey,
    pub id: SessionId,
    /// Never changes while the session lives.
    pub epoch: Epoch,
    /// The session's agent template. It never changes.
    pub agent: AgentName,
    pub created: Timestamp,
    pub last_active: Timestamp,
    /// Tasks completed since the session's creation or its last reset.
    pub turns: u64,
    /// The CLI's id of the conversation, which `--resume` takes.
    pub claude_session_id: Option<String>,
    /// Variables that callers set. They apply to all later tasks. The store seals the values.
    pub env: BTreeMap<String, SecretString>,
    /// The highest event number in use.
    pub last_seq: u64,
    /// The running sandbox. After a restart: the sandbox that ran when the previous coordinator stopped.
    pub sandbox: Option<SandboxRecord>,
    /// Set if the session works in a repository.
    pub repository: Option<SessionRepository>,
}

impl SessionRecord {
    /// Returns the record without its variables, which may have a mebibyte.
    #[must_use]
    pub fn without_env(&self) -> SessionRecord {
        SessionRecord {
            key: self.key,
            id: self.id.clone(),
            epoch: self.epoch,
            agent: self.agent.clone(),
            created: self.created,
            last_active: self.last_active,
            turns: self.turns,
            claude_session_id: self.claude_session_id.clone(),
            env: BTreeMap::new(),
            last_seq: self.last_seq,
            sandbox: self.sandbox.clone(),
            repository: self.repository.clone(),
        }
    }
}

/// The repository of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRepository {
    /// `None` until the repository and branch are decided.
    pub checkout: Option<Checkout>,
    /// The workspace contains the complete clone.
    pub cloned: bool,
    pub pull: Option<Pull>,
}

/// The data with which a restarted coordinator reattaches to a running sandbox.
#[derive(Clone, Debug)]
pub struct SandboxRecord {
    /// The name of the container and of the link's directory.
    pub name: String,
    pub container_id: String,
    /// Proves to both `sandbox-init` and the coordinator that the other end is the one from before.
    pub link_secret: SecretString,
    /// The last frame whose events are committed.
    pub last_frame: u64,
    /// JSON: the session worker's state of the dialogue after that frame.
    pub progress: Option<String>,
}
