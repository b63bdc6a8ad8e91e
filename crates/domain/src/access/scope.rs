//! The scope of a key, and the sessions that a caller can see.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::session::SessionId;

/// The permissions of a key. Each scope includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read sessions, tasks and events.
    Read,
    /// Submit and abort tasks, reset and delete sessions.
    Submit,
    /// Read the usage of every key, and use everything that concerns the whole installation.
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a scope is read, submit or admin")]
pub struct InvalidScope;

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Submit, Scope::Admin];

    /// The scope's name in the API, on the command line and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Submit => "submit",
            Scope::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(InvalidScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sessions that a caller can see. Other sessions do not exist for that caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    All,
    /// Sessions whose ids start with this prefix.
    Prefix(String),
    Only(SessionId),
}
