//! The versions of Claude Code, as `docker/claude-code.json` lists them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use domain::claude_code::Version;
use serde::Deserialize;

use super::{ImageError, WantedVersion};

const LIST: &str = include_str!("../../../docker/claude-code.json");

/// A test parses the list, so the empty one never stands in for it.
static VERSIONS: LazyLock<Versions> = LazyLock::new(|| serde_json::from_str(LIST).unwrap_or_default());

/// The versions of Claude Code that this program knows.
pub fn versions() -> &'static Versions {
    &VERSIONS
}

/// The content of `docker/claude-code.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The oldest version that can be used.
    pub minimum: Version,
    /// The version in an image for which no version was chosen.
    pub default: Version,
    /// The names of the npm packages by architecture, which is named as by `uname -m`.
    packages: BTreeMap<String, String>,
    /// The hashes of the tested versions' packages by architecture, as npm writes them: `sha512-` and base64.
    tested: BTreeMap<Version, BTreeMap<String, String>>,
}

/// The remedy for an image with a wrong version of Claude Code.
pub const BUILD_AGAIN: &str =
    "Build it again with `claude-runner image build`, and then every image that starts FROM it";

/// The extent to which a version is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// The contract tests passed with it.
    Tested,
    /// It is not on the list. It can be used.
    Untested,
    /// It is older than the minimum and cannot be used.
    TooOld,
}

impl Versions {
    pub fn support(&self, version: Version) -> Support {
        if version < self.minimum {
            Support::TooOld
        } else if self.tested.contains_key(&version) {
            Support::Tested
        } else {
            Support::Untested
        }
    }

    /// Describes the version in an image for people: `Claude Code 2.1.332`. The error is a version that cannot be used.
    pub fn describe(&self, version: Version, wanted: WantedVersion) -> Result<String, String> {
        let untested = match self.support(version) {
            Support::TooOld => {
                let minimum = self.minimum;
                return Err(format!(
                    "Claude Code {version} is too old: the oldest version that can be used is {minimum}. {BUILD_AGAIN}"
                ));
            }
            Support::Tested => "",
            Support::Untested => ", which is untested with this release",
        };
        match wanted {
            WantedVersion::Exact(wanted) if wanted != version => {
                Ok(format!("Claude Code {version}{untested}; CLAUDE_VERSION is {wanted}. {BUILD_AGAIN}"))
            }
            WantedVersion::Exact(_) | WantedVersion::Default | WantedVersion::Latest => {
                Ok(format!("Claude Code {version}{untested}"))
            }
        }
    }

    /// The tested versions for people: `2.1.300, 2.1.332`.
    pub fn tested_list(&self) -> String {
        self.tested.keys().map(Version::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The name of the npm package for an architecture.
    pub(super) fn package_name(&self, architecture: &str) -> Result<&str, ImageError> {
        let name = self.packages.get(architecture).map(String::as_str);
        name.ok_or_else(|| ImageError::Architecture(architecture.to_owned()))
    }

    /// The package of a tested version.
    pub(super) fn tested_package(&self, version: Version, architecture: &str) -> Result<Option<Package>, ImageError> {
        let name = self.package_name(architecture)?.to_owned();
        let integrity = self.tested.get(&version).and_then(|hashes| hashes.get(architecture));
        Ok(integrity.map(|integrity| Package { name, version, integrity: integrity.clone() }))
    }
}

impl Default for Versions {
    fn default() -> Self {
        let none = Version::new(0, 0, 0);
        Versions { minimum: none, default: none, packages: BTreeMap::new(), tested: BTreeMap::new() }
    }
}

/// An npm package, identified by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: Version,
    /// The hash of the archive as npm writes it: `sha512-` and base64.
    pub(super) integrity: String,
}

impl Package {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_default_and_the_minimum_for_both_machines() {
        let versions: Versions = serde_json::from_str(LIST).unwrap();
        assert!(versions.minimum <= versions.default);
        for architecture in ["x86_64", "aarch64"] {
            for version in [versions.default].iter().chain(versions.tested.keys()) {
                let package = versions.tested_package(*version, architecture).unwrap().unwrap();
                assert!(package.integrity.starts_with("sha512-"), "{package}");
                assert!(*version >= versions.minimum, "{package}");
            }
        }
        assert!(versions.tested.contains_key(&versions.minimum), "the minimum is tested");
    }

    #[test]
    fn an_unknown_machine_has_no_package() {
        let none = versions().tested_package(versions().default, "riscv64");
        assert!(matches!(none, Err(ImageError::Architecture(name)) if name == "riscv64"));
    }

    #[test]
    fn the_support_of_a_version_follows_the_list() {
        let known = versions();
        let Version { major, minor, patch } = known.minimum;
        assert_eq!(known.support(known.default), Support::Tested);
        assert_eq!(known.support(known.minimum), Support::Tested);
        assert_eq!(known.support(Version::new(major, minor, patch - 1)), Support::TooOld);
        assert_eq!(known.support(Version::new(major + 1, 0, 0)), Support::Untested);
    }
}
