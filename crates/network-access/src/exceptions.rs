//! NO_PROXY: the hosts, domains and networks that are reached directly.

use std::net::IpAddr;

/// Requests to this machine never go through a proxy.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// True if nothing is reached through a proxy. Other programs honour `*` only if it stands alone, and libraries only for names.
pub(super) fn are_all(no_proxy: &str) -> bool {
    entries(no_proxy).any(|entry| entry == "*")
}

/// The exceptions in the form of the library, which separates by commas and knows neither `*.domain` nor a port.
pub(super) fn for_library(no_proxy: &str) -> String {
    LOOPBACK.split(',').chain(entries(no_proxy).map(host)).collect::<Vec<_>>().join(",")
}

/// The entries that match no request, because they are neither a host nor a domain nor a network.
pub(super) fn unusable(no_proxy: &str) -> impl Iterator<Item = &str> {
    entries(no_proxy).filter(|entry| !is_usable(host(entry)))
}

/// Commas, spaces, tabs and newlines separate entries.
fn entries(no_proxy: &str) -> impl Iterator<Item = &str> {
    no_proxy.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty())
}

/// An entry without its port and its brackets, and without the `*` before a domain.
fn host(entry: &str) -> &str {
    let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
    let host = match entry.rsplit_once(':') {
        // An IPv6 address without brackets has more than one colon and no port.
        Some((host, port)) if (!host.contains(':') || host.ends_with(']')) && port.parse::<u16>().is_ok() => host,
        _ => entry,
    };
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_usable(host: &str) -> bool {
    if let Some((address, length)) = host.split_once('/') {
        let bits = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        return length.parse::<u8>().is_ok_and(|length| length <= bits);
    }
    host.parse::<IpAddr>().is_ok() || is_name(host.strip_prefix('.').unwrap_or(host))
}

/// True for a name of the DNS. One that ends in a number, like `192.168`, is the beginning of an address.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}
