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
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers() {
        assert_eq!("2.1.332".parse(), Ok(Version::new(2, 1, 332)));
        assert_eq!(Version::new(2, 1, 332).to_string(), "2.1.332");
        for wrong in
            ["", "2", "2.1", "2.1.332.1", "v2.1.332", "2.1.x", "2.01.3", "2.+1.3", " 2.1.3", "2.1.3-beta", "latest"]
        {
            assert_eq!(wrong.parse::<Version>(), Err(InvalidVersion), "{wrong:?}");
        }
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let ordered = ["1.99.99", "2.0.300", "2.1.9", "2.1.10", "2.1.197", "2.10.0"].map(str::parse::<Version>);
        assert!(ordered.is_sorted_by(|one, other| one.unwrap() < other.unwrap()));
    }

    #[test]
    fn the_output_of_the_program_names_it() {
        assert_eq!(Version::from_output("2.1.332 (Claude Code)\n"), Ok(Version::new(2, 1, 332)));
        assert_eq!(Version::from_output("\n"), Err(InvalidVersion));
        assert_eq!(Version::from_output("claude: not found"), Err(InvalidVersion));
    }

    #[test]
    fn a_version_is_a_string_in_json() {
        let version = Version::new(2, 1, 332);
        assert_eq!(serde_json::to_string(&version).unwrap(), r#""2.1.332""#);
        assert_eq!(serde_json::from_str::<Version>(r#""2.1.332""#).unwrap(), version);
        assert!(serde_json::from_str::<Version>(r#""2.1""#).is_err());
    }
}
