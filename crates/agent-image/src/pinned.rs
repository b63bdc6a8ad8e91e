//! The pinned version of Claude Code.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::ImageError;

const PIN: &str = include_str!("../../../docker/claude-code.json");

/// The version of Claude Code in the images.
pub fn claude_code_version() -> String {
    // A test parses the pin, so the result is never empty.
    pin().map(|pin| pin.version).unwrap_or_default()
}

/// An npm package, identified by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// The hash of the archive as npm writes it: `sha512-` and base64.
    pub(super) integrity: String,
}

impl Package {
    /// Returns the package for an architecture, which is named as by `uname -m`.
    pub(super) fn for_architecture(architecture: &str) -> Result<Self, ImageError> {
        let mut pin = pin()?;
        let package = pin.packages.remove(architecture);
        let PinnedPackage { name, integrity } =
            package.ok_or_else(|| ImageError::Architecture(architecture.to_owned()))?;
        Ok(Self { name, version: pin.version, integrity })
    }

    /// The file name of the archive in the cache.
    pub(super) fn file_name(&self) -> String {
        format!("{}-{}.tgz", self.name.replace('/', "-").trim_start_matches('@'), self.version)
    }
}

/// The format that npm expects: `@scope/name@version`.
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
