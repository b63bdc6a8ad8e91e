//! The public part of an API key.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies an API key in lists, in the audit log and in `GET /usage`. It is not secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is 1 to {max} letters and digits", max = KeyId::MAX_CHARS)]
pub struct InvalidKeyId;

impl KeyId {
    const MAX_CHARS: usize = 32;

    /// Generates ten random hexadecimal digits. An installation has dozens of keys, so this is enough.
    pub(super) fn generate() -> Self {
        KeyId(format!("{:010x}", rand::random::<u64>() >> 24))
    }

    /// Derives the id of the key that is set in the environment from its digest, because that key has no id of its own.
    pub fn of_environment(digest: &[u8; 32]) -> Self {
        let [a, b, c, d, ..] = digest;
        KeyId(format!("env{a:02x}{b:02x}{c:02x}{d:02x}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = InvalidKeyId;

    fn from_str(text: &str) -> Result<Self, InvalidKeyId> {
        let shaped = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if shaped { Ok(KeyId(text.to_owned())) } else { Err(InvalidKeyId) }
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidKeyId;

    fn try_from(text: String) -> Result<Self, InvalidKeyId> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
