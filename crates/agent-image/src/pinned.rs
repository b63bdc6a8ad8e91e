use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::ImageError;

const PIN: &str = include_str!("../../../docker/claude-code.json");

/// The version of Claude Code that images are built with.
pub fn claude_code_version() -> String {
    // A test parses it, so the empty string does not happen.
    pin().map(|pin| pin.version).unwrap_or_default()
}

/// An npm package that is what it should be only with this hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// As npm writes it: `sha512-` and the hash of the archive in base64.
    pub(super) integrity: String,
}

impl Package {
    /// `architecture` as `uname -m` says it.
    pub(super) fn for_architecture(architecture: &str) -> Result<Self, ImageError> {
        let mut pin = pin()?;
        let package = pin.packages.remove(architecture);
        let PinnedPackage { name, integrity } =
            package.ok_or_else(|| ImageError::Architecture(architecture.to_owned()))?;
        Ok(Self { name, version: pin.version, integrity })
    }

    /// A name for the archive in a directory.
    pub(super) fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name.replace('/', "-").trim_start_matches('@'), self.version)
    }
}

/// As npm wants it: `@scope/name@version`.
impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

#[derive(Deserialize)]
struct Pin {
    version: String,
    packages: BTreeMap<String, PinnedPackage>,
}

#[derive(Deserialize)]
struct PinnedPackage {
    name: String,
    integrity: String,
}

fn pin() -> Result<Pin, ImageError> {
    serde_json::from_str(PIN).map_err(ImageError::Pin)
}
