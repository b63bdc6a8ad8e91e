//! The version of Claude Code that an image is to have.

use std::str::FromStr;

use domain::claude_code::Version;

use super::{ImageError, Support, versions};

/// The value of CLAUDE_VERSION and of `image build --claude`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WantedVersion {
    /// The default of this release. An empty value.
    #[default]
    Default,
    /// The newest in the registry. `latest`.
    Latest,
    Exact(Version),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWantedVersion {
    #[error("it must be a version like {default}, or `latest`", default = versions().default)]
    Shape,
    #[error("Claude Code {0} is too old: the oldest version that can be used is {minimum}", minimum = versions().minimum)]
    TooOld(Version),
}

impl WantedVersion {
    /// `None` for the newest in the registry, whose number only the registry knows.
    pub fn number(self) -> Option<Version> {
        match self {
            WantedVersion::Default => Some(versions().default),
            WantedVersion::Exact(version) => Some(version),
            WantedVersion::Latest => None,
        }
    }
}

impl FromStr for WantedVersion {
    type Err = InvalidWantedVersion;

    fn from_str(text: &str) -> Result<Self, InvalidWantedVersion> {
        match text.trim() {
            "" => Ok(WantedVersion::Default),
            "latest" => Ok(WantedVersion::Latest),
            text => {
                let version: Version = text.parse().map_err(|_| InvalidWantedVersion::Shape)?;
                match versions().support(version) {
                    Support::TooOld => Err(InvalidWantedVersion::TooOld(version)),
                    Support::Tested | Support::Untested => Ok(WantedVersion::Exact(version)),
                }
            }
        }
    }
}

/// Refuses a version that is too old. The registry's newest version may be.
pub(super) fn check(version: Version) -> Result<(), ImageError> {
    match versions().support(version) {
        Support::TooOld => Err(ImageError::TooOld(version)),
        Support::Tested | Support::Untested => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_chosen_by_number_or_as_the_newest() {
        let newest = Version::new(9, 0, 0);
        assert_eq!("9.0.0".parse(), Ok(WantedVersion::Exact(newest)));
        assert_eq!("latest".parse(), Ok(WantedVersion::Latest));
        assert_eq!("".parse(), Ok(WantedVersion::Default), "an empty variable");
        assert_eq!("stable".parse::<WantedVersion>(), Err(InvalidWantedVersion::Shape));
        assert_eq!(WantedVersion::Default.number(), Some(versions().default));
    }

    #[test]
    fn a_version_below_the_minimum_is_refused_by_name() {
        let error = "1.0.0".parse::<WantedVersion>().unwrap_err();
        assert_eq!(error, InvalidWantedVersion::TooOld(Version::new(1, 0, 0)));
        let said = error.to_string();
        assert!(said.contains("1.0.0") && said.contains(&versions().minimum.to_string()), "{said}");
    }
}
