//! `host[:port]`, as in Host and in origins.

use std::net::IpAddr;

/// A name in lower case or an address, and the port where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    name: String,
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl Authority {
    /// Returns `None` for invalid text: userinfo, an empty port, a trailing dot (browsers treat it as another name), characters
    /// that no host name has. Odd spellings of addresses (`127.1`, `0x7f000001`) are names that match no host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                let address = host.parse::<std::net::Ipv6Addr>().ok()?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                return Some(Authority {
                    name: address.to_string(),
                    address: Some(IpAddr::V6(address)),
                    port: port_of(port).ok()?,
                });
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if host.len() > 253 || !host.split('.').all(is_label) {
            return None;
        }
        let address = host.parse().ok().map(IpAddr::V4);
        Some(Authority { name: host.to_ascii_lowercase(), address, port: port_of(port).ok()? })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.name == "localhost" || self.address.is_some_and(|address| address.to_canonical().is_loopback())
    }

    pub(super) fn is_address(&self, address: IpAddr) -> bool {
        self.address.is_some_and(|own| own.to_canonical() == address.to_canonical())
    }

    /// Returns true for the same host and port. A missing port means `default`.
    pub(super) fn is_same(&self, other: &Authority, default: u16) -> bool {
        self.name == other.name && self.port.unwrap_or(default) == other.port.unwrap_or(default)
    }
}

/// The text after the colon is not a port.
struct NoPort;

fn port_of(text: Option<&str>) -> Result<Option<u16>, NoPort> {
    text.map(|text| parse_port(text).ok_or(NoPort)).transpose()
}

fn parse_port(text: &str) -> Option<u16> {
    // `parse` alone would accept a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten().filter(|port| *port > 0)
}
