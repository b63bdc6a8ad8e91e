//! Requests of the coordinator itself to addresses that callers or a setting gave it, under the same rules as a sandbox's egress.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::egress::{EgressRule, Grant, Host, Via};
use http::HeaderMap;
use jiff::Timestamp;
use network_access::NetworkAccess;
use reqwest::{Client, Url};

use super::answer::in_words;
use super::egress::{Egress, Refusal, Route, Target};
use super::resolve::Resolve;
use super::retry::retry_after;

/// The time limit of one request, from the name look-up to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum part of an answer's body that is read and dropped, so that its sender is not interrupted.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// Reaches the internet by https, and further addresses and http if its rules allow them.
pub struct Outbound {
    rules: Vec<EgressRule>,
    /// The highest grant of a rule.
    most: Grant,
    /// The setting that the rules come from.
    setting: &'static str,
    egress: Egress,
    network: NetworkAccess,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub status: u16,
    pub body: Bytes,
}

/// The answer without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// The wait that the receiver asks for.
    pub retry_after: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    #[error("it must be an http or https URL with a host")]
    NotHttp,
    #[error("it must not have a user name or a password in it")]
    UserName,
    #[error("http is not encrypted; only hosts in {0} may use it")]
    NotEncrypted(&'static str),
    #[error("{host} is not an address on the internet; {setting} can allow it")]
    NotPublic { host: String, setting: &'static str },
    #[error("{0} is blocked: link-local, metadata or reserved address")]
    Special(String),
    #[error("{0} belongs to Claude Runner or the container engine")]
    Protected(String),
    #[error("{host} could not be looked up: {why}")]
    Unresolved { host: String, why: String },
    #[error("the request could not be sent: {0}")]
    Failed(String),
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
}

impl Outbound {
    /// For the addresses of webhooks, which callers give. `rules` come from WEBHOOK_ALLOW.
    pub fn new(rules: Vec<EgressRule>, resolver: Arc<dyn Resolve>, network: NetworkAccess) -> Self {
        let egress = Egress::new(Vec::new(), resolver, None, network.clone());
        Outbound { rules, most: Grant::Address, setting: "WEBHOOK_ALLOW", egress, network }
    }

    /// For the one address in `setting`. The operator named it, so it may be of a private network and without encryption. It is
    /// never a metadata service, even by its address.
    pub(crate) fn to_setting(
        setting: &'static str,
        url: &Url,
        resolver: Arc<dyn Resolve>,
        network: NetworkAccess,
    ) -> Result<Self, OutboundError> {
        let host = url.host_str().ok_or(OutboundError::NotHttp)?;
        let port = url.port_or_known_default().ok_or(OutboundError::NotHttp)?;
        let rule = format!("{}://{host}:{port}", url.scheme()).parse().map_err(|_| OutboundError::NotHttp)?;
        let egress = Egress::new(Vec::new(), resolver, None, network.clone());
        let outbound = Outbound { rules: vec![rule], most: Grant::Name, setting, egress, network };
        outbound.target(url).map(|_| outbound)
    }

    /// Registers an address on which the coordinator itself listens, which is never called. Call this before the first request.
    pub fn set_own_listener(&self, address: SocketAddr) {
        self.egress.protect(address);
    }

    /// Checks that `url` can be called, as far as possible without a look-up.
    pub fn check(&self, url: &Url) -> Result<(), OutboundError> {
        let (target, grant) = self.target(url)?;
        match &target.host {
            Host::Address(address) => self
                .egress
                .check(address.to_canonical(), target.port, grant)
                .map_err(|refusal| self.in_our_words(refusal, &target)),
            Host::Name(_) => Ok(()),
        }
    }

    /// Gets a document of at most `max_bytes` from the checked address only, like [`Outbound::post`].
    pub async fn get(&self, url: &Url, max_bytes: usize) -> Result<Fetched, OutboundError> {
        let (target, grant) = self.target(url)?;
        let fetched = async {
            let route = self.dial(&target, grant).await?;
            let client = client(self.network.clone(), url, route).await?;
            let failed = |error: reqwest::Error| OutboundError::Failed(in_words(&error.without_url()));
            let mut response = client.get(url.clone()).send().await.map_err(failed)?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(failed)? {
                if body.len() + piece.len() > max_bytes {
                    return Err(OutboundError::TooLarge(max_bytes));
                }
                body.extend_from_slice(&piece);
            }
            Ok(Fetched { status: response.status().as_u16(), body: body.into() })
        };
        tokio::time::timeout(TIMEOUT, fetched).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    /// Posts to the checked address only, or through the proxy: the name is not resolved again, and redirects are not followed.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Answered, OutboundError> {
        let (target, grant) = self.target(url)?;
        let posted = async {
            let route = self.dial(&target, grant).await?;
            let client = client(self.network.clone(), url, route).await?;
            let sent = client.post(url.clone()).headers(headers).body(body).send().await;
            let mut response = sent.map_err(|error| OutboundError::Failed(in_words(&error.without_url())))?;
            let mut taken = 0;
            while let (true, Ok(Some(piece))) = (taken < MAX_ANSWER_BYTES, response.chunk().await) {
                taken += piece.len();
            }
            let retry_after = retry_after(response.headers(), Timestamp::now());
            Ok(Answered { status: response.status().as_u16(), retry_after })
        };
        tokio::time::timeout(TIMEOUT, posted).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn dial(&self, target: &Target, grant: Grant) -> Result<Route, OutboundError> {
        let found = self.egress.dial(target, grant, TIMEOUT).await;
        found.map_err(|refusal| self.in_our_words(refusal, target))
    }

    /// Finds the target of a URL, and the rule that allows it.
    fn target(&self, url: &Url) -> Result<(Target, Grant), OutboundError> {
        let (via, default) = match url.scheme() {
            // On the internet, any port is allowed.
            "https" => (Via::Tunnel, Some(Grant::Wildcard)),
            "http" => (Via::Plain, None),
            _ => return Err(OutboundError::NotHttp),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::UserName);
        }
        let host: Option<Host> = url.host_str().and_then(|host| host.parse().ok());
        let (Some(host), Some(port)) = (host, url.port_or_known_default()) else { return Err(OutboundError::NotHttp) };
        let target = Target { host, port, via };
        let granted = self.rules.iter().filter_map(|rule| rule.grants(&target.host, target.port, target.via)).max();
        let grant = granted.map(|grant| grant.min(self.most)).max(default);
        let grant = grant.ok_or(OutboundError::NotEncrypted(self.setting))?;
        Ok((target, grant))
    }

    fn in_our_words(&self, refusal: Refusal, target: &Target) -> OutboundError {
        let host = target.host.to_string();
        match refusal {
            // The setting that names the address has allowed all that can be allowed.
            Refusal::NotAllowed | Refusal::NotPublic if self.most < Grant::Address => OutboundError::Special(host),
            Refusal::NotAllowed | Refusal::NotPublic => OutboundError::NotPublic { host, setting: self.setting },
            Refusal::Protected | Refusal::ModelApi => OutboundError::Protected(target.to_string()),
            Refusal::Unresolved(why) => OutboundError::Unresolved { host, why },
        }
    }
}

/// Returns a client for one request, which connects to this name only.
async fn client(network: NetworkAccess, url: &Url, route: Route) -> Result<Client, OutboundError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    // Building the client reads the system's certificates.
    let built = tokio::task::spawn_blocking(move || {
        let builder = match &route {
            Route::Direct(addresses) => network.client().no_proxy().resolve_to_addrs(&host, addresses),
            Route::Proxy(_) => network.client(),
        };
        builder.pool_max_idle_per_host(0).user_agent(concat!("claude-runner/", env!("CARGO_PKG_VERSION"))).build()
    });
    match built.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(OutboundError::Failed(in_words(&error))),
        Err(error) => Err(OutboundError::Failed(in_words(&error))),
    }
}
