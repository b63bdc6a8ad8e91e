//! Names of repositories, `OWNER/NAME`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The full name of a repository. Comparison ignores case, as the forge does; the original spelling is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a repository is OWNER/NAME, of letters, digits, `-`, `_` and `.`")]
pub struct InvalidRepositoryName;

impl RepositoryName {
    /// GitHub's own limits: 39 characters for an owner, 100 for a name.
    const MAX_OWNER: usize = 39;
    const MAX_NAME: usize = 100;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for RepositoryName {
    type Err = InvalidRepositoryName;

    fn from_str(text: &str) -> Result<Self, InvalidRepositoryName> {
        let (owner, name) = text.split_once('/').ok_or(InvalidRepositoryName)?;
        let shaped = |part: &str, most: usize| {
            // `.` and `..` are path components.
            let dots = part.bytes().all(|b| b == b'.');
            !dots && part.len() <= most && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let is_valid = shaped(owner, Self::MAX_OWNER) && shaped(name, Self::MAX_NAME);
        if is_valid { Ok(RepositoryName(text.to_owned())) } else { Err(InvalidRepositoryName) }
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = InvalidRepositoryName;

    fn try_from(text: String) -> Result<Self, InvalidRepositoryName> {
        text.parse()
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> String {
        name.0
    }
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for RepositoryName {}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
