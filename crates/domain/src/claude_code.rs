//! Versions of Claude Code.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A version of Claude Code, like `2.1.332`. Newer versions are greater. In JSON it is a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version of Claude Code has three numbers, like 2.1.332")]
pub struct InvalidVersion;

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version { major, minor, patch }
    }

    /// Reads the output of `claude --version`: `2.1.332 (Claude Code)`.
    pub fn from_output(output: &str) -> Result<Self, InvalidVersion> {
        output.split_whitespace().next().ok_or(InvalidVersion)?.parse()
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let mut numbers = text.split('.').map(number);
        let mut next = || numbers.next().flatten().ok_or(InvalidVersion);
        let version = Version::new(next()?, next()?, next()?);
        if numbers.next().is_some() { Err(InvalidVersion) } else { Ok(version) }
    }
}

/// `parse` would also take `+1` and `01`, which no version is written with.
fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl TryFrom<String> for Version {
    type Error = InvalidVersion;

    fn try_from(text: String) -> Result<Self, InvalidVersion> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { major, minor, patch } = self;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests;
