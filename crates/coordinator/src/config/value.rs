//! Values of settings that need more than a number. Each says in its error what it may be.

use std::str::FromStr;
use std::time::Duration;

use domain::access::Digest;
use domain::egress::EgressRule;
use domain::usage::Cost;
use secrecy::SecretString;

/// An amount of memory: a number of bytes, or one with k, m or g behind it (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let (number, unit) = match lower.strip_suffix(['k', 'm', 'g']) {
            Some(number) => (number, lower.as_bytes()[lower.len() - 1]),
            None => (lower.as_str(), b'b'),
        };
        let shift = match unit {
            b'k' => 10,
            b'm' => 20,
            b'g' => 30,
            _ => 0,
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(1 << shift))
            .filter(|bytes| *bytes > 0)
            .map(ByteSize)
            .ok_or_else(|| "it must be a number of bytes, or like 512m or 2g".to_owned())
    }
}

/// REPOSITORY_CACHE: a size, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize(Option<ByteSize>);

impl CacheSize {
    pub fn bytes(self) -> Option<u64> {
        self.0.map(ByteSize::bytes)
    }
}

impl FromStr for CacheSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "0" => Ok(CacheSize(None)),
            text => text.parse().map(|size| CacheSize(Some(size))).map_err(|error: String| format!("{error}, or 0")),
        }
    }
}

/// A number of CPUs, in billionths inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuCount(u64);

impl CpuCount {
    pub const fn nano_cpus(self) -> u64 {
        self.0
    }
}

impl FromStr for CpuCount {
    type Err = String;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0.01 and 1024")]
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse::<f64>() {
            Ok(cpus) if (0.01..=1024.0).contains(&cpus) => Ok(CpuCount((cpus * 1e9) as u64)),
            Ok(_) | Err(_) => Err("it must be a number from 0.01 to 1024".to_owned()),
        }
    }
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars(Cost);

impl Dollars {
    pub const fn cost(self) -> Cost {
        self.0
    }
}

impl FromStr for Dollars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse::<f64>() {
            Ok(dollars) if dollars > 0.0 && dollars <= 1e9 => Ok(Dollars(Cost::from_dollars(dollars))),
            Ok(_) | Err(_) => Err("it must be a number of US dollars above 0, like 20 or 0.5".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkMode {
    None,
    Bridge,
}

impl FromStr for NetworkMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(NetworkMode::None),
            "bridge" => Ok(NetworkMode::Bridge),
            _ => Err("it must be `none` or `bridge`".to_owned()),
        }
    }
}

/// DRAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainMode {
    Finish,
    Handoff,
}

impl FromStr for DrainMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "finish" => Ok(DrainMode::Finish),
            "handoff" => Ok(DrainMode::Handoff),
            _ => Err("it must be `finish` or `handoff`".to_owned()),
        }
    }
}

/// LOG_FORMAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err("it must be `text` or `json`".to_owned()),
        }
    }
}

/// WEBHOOK_ALLOW.
#[derive(Clone, Debug, Default)]
pub struct RuleList(pub Vec<EgressRule>);

impl FromStr for RuleList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parts(text)
            .map(|part| part.parse().map_err(|error| format!("{part}: {error}")))
            .collect::<Result<_, _>>()
            .map(RuleList)
    }
}

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

/// ALLOWED_HOSTS: names in lower case, or addresses, each with its port; without one, any port is meant.
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
            // What looks like a port and is none is a mistake, not a host without one.
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

/// EVENT_RETENTION.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub max_age: Option<Duration>,
    pub max_bytes: Option<u64>,
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut retention = Retention::default();
        for part in parts(text) {
            let age = |suffix, seconds| {
                let number: Option<u64> = part.strip_suffix(suffix).and_then(|number: &str| number.parse().ok());
                number
                    .filter(|number| *number > 0)
                    .and_then(|number| number.checked_mul(seconds))
                    .map(Duration::from_secs)
            };
            if let Some(age) = age('d', 24 * 60 * 60).or_else(|| age('h', 60 * 60)) {
                retention.max_age = Some(age);
            } else if let Ok(size) = part.parse::<ByteSize>() {
                retention.max_bytes = Some(size.bytes());
            } else {
                return Err(format!("{part}: it must be an age like 30d or 12h, or a size like 500m or 10g"));
            }
        }
        Ok(retention)
    }
}

/// API_KEYS, compared as digests.
#[derive(Clone, Default)]
pub struct ApiKeys {
    digests: Vec<Digest>,
    /// Until [`ApiKeys::take_secrets`].
    secrets: Vec<SecretString>,
}

impl ApiKeys {
    const MIN_CHARS: usize = 32;

    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// The keys themselves, once: they are to be masked, and otherwise not kept.
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
                // The value itself must not be repeated.
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
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ApiKeys, ByteSize, CacheSize, CpuCount, Digest, HostList, OriginList, Retention};

    #[test]
    fn sizes_and_counts() {
        assert_eq!("2g".parse::<ByteSize>().unwrap().bytes(), 2 << 30);
        assert_eq!("512M".parse::<ByteSize>().unwrap().bytes(), 512 << 20);
        assert_eq!("1000".parse::<ByteSize>().unwrap().bytes(), 1000);
        for bad in ["", "0", "-1", "2t", "g", "99999999999g"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
        assert_eq!("0".parse::<CacheSize>().unwrap().bytes(), None);
        assert_eq!("1k".parse::<CacheSize>().unwrap().bytes(), Some(1024));
        assert!("off".parse::<CacheSize>().is_err());
        assert_eq!("0.5".parse::<CpuCount>().unwrap().nano_cpus(), 500_000_000);
        assert!("0".parse::<CpuCount>().is_err() && "nan".parse::<CpuCount>().is_err());
    }

    #[test]
    fn retention_is_an_age_and_a_size() {
        let both: Retention = "30d, 10g".parse().unwrap();
        assert_eq!(both, Retention { max_age: Some(Duration::from_hours(720)), max_bytes: Some(10 << 30) });
        assert_eq!("12h".parse::<Retention>().unwrap().max_age, Some(Duration::from_hours(12)));
        assert_eq!("".parse::<Retention>().unwrap(), Retention::default());
        assert!("0d".parse::<Retention>().is_err() && "soon".parse::<Retention>().is_err());
    }

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
