//! Who sent a request.

use serde::{Deserialize, Serialize};

use super::{KeyId, KeyLimits};
use crate::session::SessionId;

/// What a key may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at sessions, tasks, events.
    Read,
    /// Submit and abort tasks, reset and delete sessions.
    Submit,
    /// See what everyone used, and all that concerns the installation.
    Admin,
}

/// Who sent a request, once that is known. Every request has one, as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `None`: this server has no keys, anyone who reaches it may do everything.
    pub key: Option<KeyId>,
    pub scope: Scope,
    /// Only sessions whose ids begin with this exist for the caller.
    pub sessions: Option<String>,
    pub limits: KeyLimits,
}

impl Caller {
    /// Where no keys are set.
    pub fn anyone() -> Self {
        Caller { key: None, scope: Scope::Admin, sessions: None, limits: KeyLimits::default() }
    }

    pub fn sees(&self, session: &SessionId) -> bool {
        self.sessions.as_deref().is_none_or(|prefix| session.as_str().starts_with(prefix))
    }
}
