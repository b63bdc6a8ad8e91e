//! Who sent a request.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{KeyId, KeyLimits};
use crate::session::SessionId;

/// What a key may do; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at sessions, tasks, events
    Read,
    /// Submit and abort tasks, reset and delete sessions
    Submit,
    /// See what everyone used, and all that concerns the installation
    Admin,
}

impl Scope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Submit => "submit",
            Scope::Admin => "admin",
        }
    }
}

/// Which sessions exist for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    All,
    /// Those whose ids begin with this.
    Prefix(String),
    Only(SessionId),
}

/// Who sent a request, once that is known. Every request has one, as an extension.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `None`: this server never had keys, anyone who reaches it may do everything.
    pub key: Option<KeyId>,
    pub scope: Scope,
    pub visible: Visible,
    pub limits: KeyLimits,
    /// Cancelled when the key is revoked or expires: what is open by then ends.
    pub revoked: CancellationToken,
}

impl Caller {
    /// Where no keys are set.
    pub fn anyone() -> Self {
        Caller {
            key: None,
            scope: Scope::Admin,
            visible: Visible::All,
            limits: KeyLimits::default(),
            revoked: CancellationToken::new(),
        }
    }

    pub fn sees(&self, session: &SessionId) -> bool {
        match &self.visible {
            Visible::All => true,
            Visible::Prefix(prefix) => session.as_str().starts_with(prefix),
            Visible::Only(only) => only == session,
        }
    }
}
