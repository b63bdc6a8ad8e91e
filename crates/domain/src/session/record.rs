//! What is kept of a session.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{SessionId, SessionKey};
use crate::agent::AgentName;
use crate::repository::{Checkout, Pull};

/// A session as the store keeps it.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    pub key: SessionKey,
    pub id: SessionId,
    /// Its template, as long as it lives.
    pub agent: AgentName,
    pub created: Timestamp,
    pub last_active: Timestamp,
    /// Completed tasks since creation or the last reset.
    pub turns: u64,
    /// The CLI's name for the conversation, with which it is resumed.
    pub claude_session_id: Option<String>,
    /// Set by callers, holds for all later tasks. The store seals the values.
    pub env: BTreeMap<String, SecretString>,
    /// The highest event number given out.
    pub last_seq: u64,
    /// The sandbox that runs, or ran when the coordinator was last here.
    pub sandbox: Option<SandboxRecord>,
    /// There where it works in a repository.
    pub repository: Option<SessionRepository>,
}

/// The repository of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRepository {
    /// `None` until it is decided where the session works.
    pub checkout: Option<Checkout>,
    /// The clone is in the workspace as a whole.
    pub cloned: bool,
    pub pull: Option<Pull>,
}

/// What a restarted coordinator needs to take a running sandbox back.
#[derive(Clone, Debug)]
pub struct SandboxRecord {
    /// Names the container and the link's directory.
    pub name: String,
    pub container_id: String,
    /// Proves to `sandbox-init` and to us that a connection is the one from before.
    pub link_secret: SecretString,
    /// The last frame whose events are committed.
    pub last_frame: u64,
    /// JSON: what the worker knew of the dialogue after that frame.
    pub progress: Option<String>,
}
