//! Names and addresses of outside hosts in canonical form.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A host from a URL or a CONNECT request: a lower-case name without a trailing dot, or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    #[error("a host name has 1 to 253 ASCII letters, digits, `-`, `_` and `.`; other scripts are written as `xn--…`")]
    Name,
    #[error("an address is written as four decimal numbers, or as IPv6 in brackets")]
    Address,
}

impl Host {
    /// The name of the coordinator's own host inside containers.
    pub const COORDINATOR: &str = "host.docker.internal";
}

impl FromStr for Host {
    type Err = InvalidHost;

    /// Parses strictly, so that two programs can never read the same text as different hosts. Forms that some resolvers
    /// accept as addresses (`0x7f.1`, `2130706433`, `0177.0.0.1`) are rejected.
    fn from_str(text: &str) -> Result<Host, InvalidHost> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(InvalidHost::Address)?;
            return inner.parse::<Ipv6Addr>().map(|ip| Host::Address(ip.into())).map_err(|_| InvalidHost::Address);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if let Ok(address) = name.parse::<Ipv4Addr>() {
            return Ok(Host::Address(address.into()));
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(InvalidHost::Name);
        }
        // Browsers apply the same rule: a name whose last label is a number is an address.
        let last = name.rsplit('.').next().unwrap_or_default();
        let hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if last.bytes().all(|byte| byte.is_ascii_digit())
            || last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")).is_some_and(hexadecimal)
        {
            return Err(InvalidHost::Address);
        }
        Ok(Host::Name(name.to_ascii_lowercase()))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}
