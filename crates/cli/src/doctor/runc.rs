//! Checks that runc has the fixes of November 2025: CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881, by which a
//! container can write to the host. Fixed in 1.2.8, 1.3.3 and 1.4.0-rc.3 (github.com/opencontainers/runc/releases).

use super::check::Check;

const NAME: &str = "runc";

/// `other` is the OCI runtime that the engine uses instead, if it reports one.
pub(super) fn look(version: Option<&str>, other: Option<&str>) -> Check {
    if let (None, Some(other)) = (version, other) {
        return Check::ok(NAME, format!("not used: the engine runs containers by {other}"));
    }
    match version.map(|version| (version, Version::parse(version))) {
        Some((version, Some(parsed))) if parsed.has_fixes() => Check::ok(NAME, format!("version {version}")),
        Some((version, Some(_))) => Check::warn(
            NAME,
            format!(
                "version {version} is older than the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881, by which \
                 a container can break out, unless your distribution has patched it, which cannot be seen from here"
            ),
            "install 1.2.8, 1.3.3 or newer, or make sure that your distribution's package has the fixes",
        ),
        Some((version, None)) => Check::warn(
            NAME,
            format!("version {version} has an unknown form"),
            "make sure that it has the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881",
        ),
        None => Check::warn(
            NAME,
            "the engine does not report its version",
            "if it runs containers by runc, make sure that it is 1.2.8, 1.3.3 or newer",
        ),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    /// N of `-rc.N`. The release itself is later than all candidates.
    candidate: u64,
}

const RELEASE: u64 = u64::MAX;

impl Version {
    /// Parses a version of runc (`1.4.0-rc.2`, `1.2.8+dev`) or of a distribution (`1.1.5+ds1`, `1.3.0~rc1-1`).
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('v');
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let (numbers, rest) = text.split_at(end);
        let mut numbers = numbers.split('.').map(str::parse);
        let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let patch = numbers.next().unwrap_or(Ok(0)).ok()?;
        let candidate = match rest.strip_prefix(['-', '~']).and_then(|rest| rest.strip_prefix("rc")) {
            Some(rest) => {
                let rest = rest.trim_start_matches('.');
                let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                rest[..end].parse().ok()?
            }
            None => RELEASE,
        };
        Some(Version { major, minor, patch, candidate })
    }

    fn has_fixes(self) -> bool {
        let first_with_them = match (self.major, self.minor) {
            (1, 2) => (8, RELEASE),
            (1, 3) => (3, RELEASE),
            (1, 4) => (0, 3),
            line => return line > (1, 4),
        };
        (self.patch, self.candidate) >= first_with_them
    }
}

#[cfg(test)]
mod tests;
