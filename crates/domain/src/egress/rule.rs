//! Rules that allow outside hosts: those of the operator, and the origins of URLs in a task's `env`.

use std::str::FromStr;

use url::Url;

use super::host::Host;

/// Scheme, host and port of a URL in a task's `env`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// One entry of `EGRESS_ALLOW`: `host`, `host:port`, `*.host`, `http://host:port` and combinations of these.
///
/// Without a port, the rule allows port 443 for tunnels and port 80 for plain HTTP. With a scheme, it allows the
/// scheme's default port; `https` allows tunnels only. `*.host` matches every name below `host` but not `host` itself,
/// and only if the name resolves to a public address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRule {
    scheme: Option<Scheme>,
    pattern: Pattern,
    port: Option<u16>,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not `host`, `host:port`, `*.host` or `http://host:port`")]
pub struct InvalidEgressRule(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exact(Host),
    Below(String),
}

/// The way in which a sandbox reaches a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A CONNECT tunnel. The client usually speaks TLS through it.
    Tunnel,
    /// A request for an `http://` URL.
    Plain,
}

impl Via {
    /// The word in the audit log.
    pub const fn word(self) -> &'static str {
        match self {
            Via::Tunnel => "tunnel",
            Via::Plain => "plain",
        }
    }
}

/// The precision with which a rule names the host, weakest first. It decides which addresses the host may resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    Wildcard,
    Name,
    Address,
}

impl Scheme {
    fn split(text: &str) -> (Option<Scheme>, &str) {
        let schemes = [("http://", Scheme::Http), ("https://", Scheme::Https)];
        let found = schemes.iter().find_map(|(prefix, scheme)| Some((Some(*scheme), text.strip_prefix(prefix)?)));
        found.unwrap_or((None, text))
    }

    const fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// An `http` rule also allows a tunnel to its port, because some clients tunnel every URL.
    fn serves(self, via: Via) -> bool {
        via == Via::Tunnel || self == Scheme::Http
    }
}

impl Origin {
    /// Returns the origin if the whole text is an http or https URL.
    fn of_url(text: &str) -> Option<Origin> {
        let url = Url::parse(text).ok()?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        Some(Origin { scheme, host: url.host_str()?.parse().ok()?, port: url.port_or_known_default()? })
    }
}

/// Returns the distinct origins of all values that are URLs. The agent may reach a host if the caller gave it the URL.
pub fn origins_in_env<I>(values: I) -> Vec<Origin>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut origins = Vec::new();
    for origin in values.into_iter().filter_map(|value| Origin::of_url(value.as_ref())) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    origins
}

impl From<Origin> for EgressRule {
    fn from(origin: Origin) -> EgressRule {
        EgressRule { scheme: Some(origin.scheme), pattern: Pattern::Exact(origin.host), port: Some(origin.port) }
    }
}

impl FromStr for EgressRule {
    type Err = InvalidEgressRule;

    fn from_str(text: &str) -> Result<EgressRule, InvalidEgressRule> {
        let invalid = || InvalidEgressRule(text.to_owned());
        let (scheme, rest) = Scheme::split(text.trim());
        let rest = if scheme.is_some() { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        let (host, port) = split_port(rest).ok_or_else(invalid)?;
        let pattern = match host.strip_prefix("*.") {
            Some(parent) => match parent.parse().map_err(|_| invalid())? {
                Host::Name(name) => Pattern::Below(name),
                Host::Address(_) => return Err(invalid()),
            },
            None => Pattern::Exact(host.parse().map_err(|_| invalid())?),
        };
        Ok(EgressRule { scheme, pattern, port })
    }
}

/// Splits `host`, `host:port`, `[address]` or `[address]:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[after_host..].find(':') {
        None => Some((text, None)),
        Some(colon) => {
            let (host, port) = text.split_at(after_host + colon);
            let port = port[1..].parse().ok().filter(|port| *port != 0)?;
            Some((host, Some(port)))
        }
    }
}

impl EgressRule {
    /// Returns the grant if the rule allows this host and port, else `None`.
    pub fn grants(&self, host: &Host, port: u16, via: Via) -> Option<Grant> {
        let own_port = self.port.or(self.scheme.map(Scheme::port)).unwrap_or(match via {
            Via::Tunnel => 443,
            Via::Plain => 80,
        });
        if own_port != port || self.scheme.is_some_and(|scheme| !scheme.serves(via)) {
            return None;
        }
        match (&self.pattern, host) {
            (Pattern::Exact(exact), host) => (exact == host).then_some(match host {
                Host::Name(_) => Grant::Name,
                Host::Address(_) => Grant::Address,
            }),
            (Pattern::Below(parent), Host::Name(name)) => {
                let below =
                    name.strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
                below.then_some(Grant::Wildcard)
            }
            (Pattern::Below(_), Host::Address(_)) => None,
        }
    }
}
