//! The identifier of an ask.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// It has the form of a task's id: sixteen random hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AskId(String);

#[derive(Debug, thiserror::Error)]
#[error("an ask's id has {} lower-case hexadecimal digits", AskId::DIGITS)]
pub struct InvalidAskId;

impl AskId {
    const DIGITS: usize = 16;

    pub fn generate() -> Self {
        AskId(format!("{:016x}", rand::random::<u64>()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AskId {
    type Err = InvalidAskId;

    fn from_str(text: &str) -> Result<Self, InvalidAskId> {
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == Self::DIGITS && text.bytes().all(hexadecimal) {
            Ok(AskId(text.to_owned()))
        } else {
            Err(InvalidAskId)
        }
    }
}

impl TryFrom<String> for AskId {
    type Error = InvalidAskId;

    fn try_from(text: String) -> Result<Self, InvalidAskId> {
        text.parse()
    }
}

impl From<AskId> for String {
    fn from(id: AskId) -> String {
        id.0
    }
}

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
