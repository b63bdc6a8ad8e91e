//! Values of the API's settings. Each error names the allowed values.

use std::net::IpAddr;
use std::str::FromStr;

use domain::access::Digest;
use ipnet::IpNet;
use secrecy::SecretString;

/// CORS_ORIGINS.
#[derive(Clone, Debug, Default)]
pub struct OriginList(pub Vec<http::HeaderValue>);

impl FromStr for OriginList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = |part: &str| {
            let host = part.strip_prefix("https://").or_else(|| part.strip_prefix("http://"));
            let plain = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']));
            let value = http::HeaderValue::from_str(part).ok().filter(|_| plain);
            value.ok_or_else(|| format!("{part}: an origin is like https://app.example.com, without a path"))
        };
        parts(text).map(origin).collect::<Result<_, _>>().map(OriginList)
    }
}

/// ALLOWED_HOSTS: names in lower case, or addresses, each with its port. Without a port, any port matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostList(Vec<(String, Option<u16>)>);

impl HostList {
    /// `name` in lower case, an IPv6 address without brackets.
    pub fn allow(&self, name: &str, port: Option<u16>) -> bool {
        self.0.iter().any(|(allowed, at)| allowed == name && (at.is_none() || *at == port))
    }
}

impl FromStr for HostList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = |part: &str| {
            let authority: Option<http::uri::Authority> = part.parse().ok().filter(|_| !part.contains(['@', '*']));
            // A malformed port is a mistake, not a host without a port.
            let is_whole = |authority: &http::uri::Authority| {
                !authority.host().ends_with('.')
                    && (part.len() == authority.host().len() || authority.port_u16().is_some())
            };
            let authority = authority
                .filter(is_whole)
                .ok_or_else(|| format!("{part}: a host is like api.example.com or api.example.com:8443"))?;
            let port = authority.port_u16();
            let name = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
            Ok((name.parse::<std::net::Ipv6Addr>().map_or(name, |address| address.to_string()), port))
        };
        parts(text).map(host).collect::<Result<_, String>>().map(HostList)
    }
}

/// TRUSTED_PROXIES: networks, or single addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = |part: &str| {
            let network = part.parse().ok().or_else(|| part.parse::<IpAddr>().map(IpNet::from).ok());
            network.ok_or_else(|| format!("{part}: a network is like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1"))
        };
        parts(text).map(network).collect::<Result<_, _>>().map(TrustedProxies)
    }
}

/// API_KEYS, compared as digests.
#[derive(Clone, Default)]
pub struct ApiKeys {
    digests: Vec<Digest>,
    /// The keys themselves, until [`ApiKeys::take_secrets`].
    secrets: Vec<SecretString>,
}

impl ApiKeys {
    const MIN_CHARS: usize = 32;

    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Returns the keys themselves, once, for masking. They are not kept otherwise.
    pub fn take_secrets(&mut self) -> Vec<SecretString> {
        std::mem::take(&mut self.secrets)
    }

    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.digests.iter().copied()
    }
}

impl FromStr for ApiKeys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = |part: &str| -> Result<(Digest, SecretString), String> {
            if part.chars().count() < Self::MIN_CHARS {
                // The error must not contain the value itself.
                return Err(format!("each key must have at least {} characters", Self::MIN_CHARS));
            }
            Ok((Digest::of(part), SecretString::from(part)))
        };
        let (digests, secrets) = parts(text).map(key).collect::<Result<(Vec<_>, Vec<_>), _>>()?;
        Ok(ApiKeys { digests, secrets })
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.digests.len())
    }
}

/// The parts of a list with commas.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{ApiKeys, Digest, HostList, OriginList};

    #[test]
    fn keys_are_long_and_not_repeated_in_errors() {
        let error = "short-secret".parse::<ApiKeys>().unwrap_err();
        assert!(!error.contains("short-secret"));
        let keys: ApiKeys = format!("{}, {}", "a".repeat(32), "b".repeat(40)).parse().unwrap();
        assert_eq!(keys.digests().filter(|digest| digest.is(&Digest::of(&"b".repeat(40)))).count(), 1);
        assert!("".parse::<ApiKeys>().unwrap().is_empty());
    }

    #[test]
    fn origins_have_no_path() {
        assert_eq!("https://a.example, http://127.0.0.1:5173".parse::<OriginList>().unwrap().0.len(), 2);
        for bad in ["a.example", "https://a.example/", "https://*", "*"] {
            assert!(bad.parse::<OriginList>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_are_names_and_perhaps_a_port() {
        let hosts: HostList = "API.example.com, b.example:8443, [FD00::1]:80".parse().unwrap();
        assert!(hosts.allow("api.example.com", None) && hosts.allow("api.example.com", Some(8443)));
        assert!(hosts.allow("b.example", Some(8443)) && !hosts.allow("b.example", None));
        assert!(hosts.allow("fd00::1", Some(80)) && !hosts.allow("fd00::1", Some(81)));
        for bad in
            ["https://a.example", "a.example/", "*", "u@a.example", "a.example:", "a.example:99999", "a.example."]
        {
            assert!(bad.parse::<HostList>().is_err(), "{bad}");
        }
    }
}
