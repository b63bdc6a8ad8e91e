//! Decides to which outside addresses a sandbox may connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::egress::{EgressRefusal, EgressRule, Grant, Host, Via};
use http::{Response, StatusCode};
use network_access::{NetworkAccess, Scheme, UpstreamProxy};

use super::address::{Reach, is_local};
use super::answer::{Body, proxy_error, shortened};
use super::resolve::Resolve;
use super::sandbox::SandboxRules;

/// The destination of a request from a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) via: Via,
}

/// The way to an admitted destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The checked addresses, at least one. The name is not resolved again.
    Direct(Vec<SocketAddr>),
    /// The proxy of this network, which resolves the name itself.
    Proxy(UpstreamProxy),
}

/// The reason why a destination is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NotAllowed,
    /// The name is allowed, but not for such an address.
    NotPublic,
    /// The coordinator's own listener, or the container engine.
    Protected,
    /// The model API, which is reached only with the gateway's credential, never through the proxy.
    ModelApi,
    Unresolved(String),
}

pub(super) struct Egress {
    rules: Vec<EgressRule>,
    resolver: Arc<dyn Resolve>,
    own: RwLock<Vec<SocketAddr>>,
    model_api: Option<Host>,
    network: NetworkAccess,
}

impl Egress {
    /// Ports of a container engine that is exposed by TCP, without and with TLS, and of a swarm's managers. They give root on their
    /// host, this one or another.
    const ENGINE_PORTS: [u16; 3] = [2375, 2376, 2377];

    /// `model_api` is the host of model requests. If it is a name, no rule allows it.
    pub(super) fn new(
        rules: Vec<EgressRule>,
        resolver: Arc<dyn Resolve>,
        model_api: Option<Host>,
        network: NetworkAccess,
    ) -> Self {
        let model_api = model_api.filter(|host| matches!(host, Host::Name(name) if name != Host::COORDINATOR));
        Egress { rules, resolver, own: RwLock::default(), model_api, network }
    }

    pub(super) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    pub(super) fn protect(&self, listener: SocketAddr) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Returns the way to `target`, if a rule allows it.
    pub(super) async fn admit(
        &self,
        sandbox: &SandboxRules,
        target: &Target,
        timeout: Duration,
    ) -> Result<Route, Refusal> {
        if self.model_api.as_ref() == Some(&target.host) {
            return Err(Refusal::ModelApi);
        }
        let granted = |rule: &EgressRule| rule.grants(&target.host, target.port, target.via);
        // A caller's URL counts like a name, because only the operator may allow an address that serves a machine's credentials.
        let by_caller = sandbox.caller.iter().filter_map(granted).map(|grant| grant.min(Grant::Name));
        let by_operator = self.rules.iter().chain(&sandbox.operator).filter_map(granted);
        let grant = by_operator.chain(by_caller).max();
        self.dial(target, grant.ok_or(Refusal::NotAllowed)?, timeout).await
    }

    /// Like [`Egress::admit`], but for targets that other rules allowed.
    pub(super) async fn dial(&self, target: &Target, grant: Grant, timeout: Duration) -> Result<Route, Refusal> {
        let proxy = self.proxy_for(target);
        let found = match (self.addresses(&target.host, timeout).await, proxy.clone()) {
            (Ok(found), _) => found,
            // Behind a proxy, often only the proxy can resolve names. Only a rule that names the host shows that it is the one meant: a
            // wildcard would let the proxy lead to any address of this network.
            (Err(_), Some(proxy)) if grant >= Grant::Name => return Ok(Route::Proxy(proxy)),
            (Err(why), _) => return Err(Refusal::Unresolved(why)),
        };
        let mut refusal = Refusal::Unresolved("it has no address".to_owned());
        let mut dial = Vec::new();
        for address in found.iter().map(IpAddr::to_canonical) {
            match self.check(address, target.port, grant) {
                Ok(()) => dial.push(SocketAddr::new(address, target.port)),
                // The proxy may choose any address of the name.
                Err(reason) if proxy.is_some() => return Err(reason),
                Err(reason) => refusal = reason,
            }
        }
        match proxy {
            _ if dial.is_empty() => Err(refusal),
            Some(proxy) => Ok(Route::Proxy(proxy)),
            None => Ok(Route::Direct(dial)),
        }
    }

    fn proxy_for(&self, target: &Target) -> Option<UpstreamProxy> {
        let scheme = match target.via {
            Via::Tunnel => Scheme::Https,
            Via::Plain => Scheme::Http,
        };
        match &target.host {
            Host::Name(name) if name == Host::COORDINATOR => None,
            host => self.network.proxy_for(scheme, &host.to_string(), target.port),
        }
    }

    pub(super) fn check(&self, address: IpAddr, port: u16, grant: Grant) -> Result<(), Refusal> {
        if !Reach::of(address).is_open_to(grant) {
            return Err(Refusal::NotPublic);
        }
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let is_own = own.iter().any(|listener| listener.port() == port && listener.ip().to_canonical() == address);
        let has_own_port = own.iter().any(|listener| listener.port() == port);
        let is_engine = Self::ENGINE_PORTS.contains(&port);
        if is_own || is_engine || has_own_port && is_local(address) { Err(Refusal::Protected) } else { Ok(()) }
    }

    async fn addresses(&self, host: &Host, timeout: Duration) -> Result<Vec<IpAddr>, String> {
        match host {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) if name == Host::COORDINATOR => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            Host::Name(name) => match tokio::time::timeout(timeout, self.resolver.resolve(name)).await {
                Ok(found) => found.map_err(|error| shortened(&error.to_string())),
                Err(_) => Err("the name service did not answer in time".to_owned()),
            },
        }
    }
}

impl Refusal {
    /// The reason for the audit log.
    pub(super) fn reason(&self) -> EgressRefusal {
        match self {
            Refusal::NotAllowed => EgressRefusal::NotAllowed,
            Refusal::NotPublic => EgressRefusal::NotPublic,
            Refusal::Protected => EgressRefusal::Protected,
            Refusal::ModelApi => EgressRefusal::ModelApi,
            Refusal::Unresolved(_) => EgressRefusal::NameNotFound,
        }
    }

    pub(super) fn answer(&self, target: &Target) -> Response<Body> {
        let name = target.to_string();
        let (status, code, sentence, setting) = match self {
            Refusal::NotAllowed => (
                StatusCode::FORBIDDEN,
                "egress_refused",
                format!(
                    "{name} is not a host that this sandbox may reach {}; the operator can allow it with EGRESS_ALLOW, \
                     the caller by giving its URL in the task's env",
                    match target.via {
                        Via::Tunnel => "by a tunnel",
                        Via::Plain => "by plain http",
                    }
                ),
                Some("EGRESS_ALLOW"),
            ),
            Refusal::NotPublic => (
                StatusCode::FORBIDDEN,
                "egress_refused",
                format!(
                    "{name} leads to an address that is not on the internet; EGRESS_ALLOW must name this very host, or \
                     the address itself if it is link-local"
                ),
                Some("EGRESS_ALLOW"),
            ),
            Refusal::Protected => (
                StatusCode::FORBIDDEN,
                "egress_protected",
                format!(
                    "{name} belongs to Claude Runner or the container engine; no sandbox may reach it, whatever \
                         EGRESS_ALLOW says"
                ),
                None,
            ),
            Refusal::ModelApi => (
                StatusCode::FORBIDDEN,
                "egress_protected",
                format!(
                    "{name} is the model API; requests to it go to http://127.0.0.1:8787, which adds the credential"
                ),
                None,
            ),
            Refusal::Unresolved(why) => {
                (StatusCode::BAD_GATEWAY, "egress_unresolved", format!("{name} could not be looked up: {why}"), None)
            }
        };
        proxy_error(status, code, &sentence, Some(&name), setting)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
