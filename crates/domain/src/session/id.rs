//! The two identifiers of a session: the caller's id and the internal key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The caller's name for a session: 1–128 printable characters without `/`. It is never part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);

#[derive(Debug, thiserror::Error)]
#[error("a session id has 1 to {} printable characters, none of them '/'", SessionId::MAX_CHARS)]
pub struct InvalidSessionId;

impl SessionId {
    pub const MAX_CHARS: usize = 128;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        let length = text.chars().count();
        // Invisible Unicode formatting characters would make two ids look the same in a log or on a page.
        let printable = |c: char| {
            !(c.is_control()
                || c == '/'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
        };
        if (1..=Self::MAX_CHARS).contains(&length) && text.chars().all(printable) {
            Ok(SessionId(text.into()))
        } else {
            Err(InvalidSessionId)
        }
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidSessionId;

    fn try_from(text: String) -> Result<Self, InvalidSessionId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The internal identifier of a session. It names volumes and database rows. A session that is created again after its
/// deletion gets a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(Uuid);

impl SessionKey {
    pub fn generate() -> Self {
        SessionKey(Uuid::now_v7())
    }

    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        SessionKey(Uuid::from_bytes(bytes))
    }
}

impl FromStr for SessionKey {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(SessionKey)
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.simple(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::SessionId;

    #[test]
    fn session_ids_are_printable_and_short() {
        for good in ["a", "user-123", "..", "名前", "with space", &"x".repeat(128)] {
            assert!(good.parse::<SessionId>().is_ok(), "{good:?}");
        }
        for bad in ["", "a/b", "a\nb", "\0", "zero\u{200b}width", &"x".repeat(129)] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
    }
}
