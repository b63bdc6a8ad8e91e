//! The gateway: the coordinator's end of every request that a sandbox sends, behind 127.0.0.1:8787 in its container.
//!
//! One [`Gateway`] per coordinator holds the shared state: the upstream's address, the operator's credential, the
//! prices, the budgets, the egress rules. One [`SandboxGateway`] per sandbox serves HTTP/1.1 on every stream that the
//! link gives it:
//! - `POST /v1/messages` and `/v1/messages/count_tokens` go to the model API. The gateway replaces the credential,
//!   meters the `usage` of the answers, and refuses a request whose budget is spent ([`crate::budget`]) or that the key
//!   forbids.
//! - Git requests of repository tasks go to the forge, with its token.
//! - `CONNECT host:port` and absolute-form `http://` requests go to allowed outside hosts.
//! - Everything else is refused: other paths and queries, a Host that is not the target's, traffic beyond the task's
//!   quota.
//!
//! | module | contains |
//! |---|---|
//! | `server`, `sandbox` | HTTP/1.1 on a sandbox's streams; [`SandboxGateway`], its task and its access |
//! | `model` | model requests: `request_policy` reads the body, `forward` sends it, `relay` passes the answer on |
//! | `body_room` | the memory for the bodies of model requests, and the shares of it |
//! | `permission` | the models and the answer length that a key allows |
//! | `request_gate`, `block_stop_buffer` | keep requests and ends of blocks back until the worker has seen the tool calls |
//! | `bound`, `tokens`, `tiers`, `sse`, `prices` | the most that a request can use; the stated usage; keys whose answers had another service tier; prices |
//! | `meter`, `task` | usage and cost of a task; its open requests and their end |
//! | [`budget`] | reservations, the ledger of accounts, settlement in the store |
//! | `credential`, `login` | the operator's and the session's credential; Claude Code's login on this host |
//! | `retry`, `outage`, `failure`, `answer` | retries of an overloaded API, and of one that cannot be reached; the reason of a failure; answers of the gateway itself |
//! | `proxy`, `tunnel`, `task_quota`, `activity` | outside hosts: requests, connections, quotas, counters |
//! | `egress`, `address`, `resolve` | the decision on an outside host; kinds of addresses; name look-ups |
//! | `git` | fetch and push: paths, commands of a push, the report to the sandbox's git; `examination`, `workflows`, `lfs`, `submodules` and `pack` examine the objects |
//! | `outbound` | the coordinator's own requests to addresses of callers and of MODEL_PRICES_URL, under the same rules |
//! | `price_feed` | the prices of MODEL_PRICES_URL, fetched daily |
//! | `upstream`, `model_proxy`, `headers`, `betas`, `unknown_fields`, `settings` | the client of the model API, and the proxy in between; the headers and betas that pass; fields that are logged; settings |
//!
//! Invariants:
//! - No credential of the operator or of a session enters the sandbox. Credentials of the sandbox's own requests are
//!   dropped.
//! - A model request is sent only after its reservation is durable. A reservation is settled exactly once, on drop.
//! - On an account with a limit, requests without a bound on their cost run one at a time. An account is exceeded by at
//!   most one request (`budget/tests/property.rs`).
//! - The address that the decision was made on is the address that is dialled: a name is resolved once.
//! - No sandbox reaches the coordinator's own listeners, and no address of this host unless an egress rule allows it.
//! - A push moves a branch only after its objects were examined at the forge.
//! - The gateway keeps the true reason of a failure ([`SandboxGateway::failure`]), because the CLI reports API failures
//!   as success.
//! - The crate uses neither sessions nor the link: it gets byte streams, and an [`Assignee`] that names the payer.

mod activity;
mod address;
mod answer;
mod betas;
mod block_stop_buffer;
mod body_room;
mod bound;
pub mod budget;
mod credential;
mod egress;
mod failure;
mod git;
mod headers;
mod key_shares;
mod login;
mod meter;
mod model;
mod model_proxy;
mod outage;
mod outbound;
mod permission;
mod price_feed;
mod prices;
mod proxy;
mod request_gate;
mod resolve;
mod retry;
mod sandbox;
mod server;
mod settings;
mod sse;
mod task;
mod task_quota;
mod tiers;
mod tokens;
mod tunnel;
mod unknown_fields;
mod upstream;

#[cfg(test)]
mod tests;

pub use activity::Activity;
pub use credential::{Credential, CredentialKind, CredentialState, Credentials, InvalidCredential};
pub use failure::GatewayFailure;
pub use git::{PREFIX as GIT_PREFIX, PushPolicy, RepositoryAccess, Workflows};
pub use meter::UsageSnapshot;
pub use outage::OutageBounds;
pub use outbound::{Answered, Outbound, OutboundError};
pub use price_feed::{FeedError, PriceFeed, Refreshed};
pub use prices::{KnownModel, ListedPrice, PriceChanges, PriceSource, Prices, PricesError, TableError};
pub use resolve::{Resolve, SystemResolver};
pub use retry::RetryBudget;
pub use sandbox::{AssignedTask, Assignee, SandboxGateway, SessionAccess};
pub use settings::{Bounds, GatewaySettings};
pub use task::{SettleBounds, TaskEnd};

use std::net::SocketAddr;
use std::sync::Arc;

use domain::model::is_same_model;
use network_access::NetworkAccess;
use observe::metrics::Metrics;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::betas::RemovedBetas;
use self::body_room::BodyRoom;
use self::egress::Egress;
use self::tiers::Tiers;
use self::unknown_fields::UnknownFields;
use self::upstream::Upstream;
use crate::budget::Budgets;

/// The state that all sandboxes' gateways share. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<GatewayState>,
}

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("could not set up the client for the model API: {0}")]
    Client(#[source] reqwest::Error),
    #[error("the model API's address (ANTHROPIC_BASE_URL) must be an http or https URL {0}")]
    Upstream(&'static str),
}

/// The part of the gateway that the requests of every sandbox use.
struct GatewayState {
    upstream: Upstream,
    credentials: Credentials,
    prices: Arc<Prices>,
    tiers: Arc<Tiers>,
    budgets: Budgets,
    retry: RetryBudget,
    outage: OutageBounds,
    network: NetworkAccess,
    bounds: Bounds,
    body_room: BodyRoom,
    settle: SettleBounds,
    egress: Egress,
    metrics: Metrics,
    removed_betas: RemovedBetas,
    unknown_fields: UnknownFields,
    examinations: git::Examinations,
    tracker: TaskTracker,
    closed: CancellationToken,
}

impl Gateway {
    pub fn new(
        settings: GatewaySettings,
        credentials: Credentials,
        tracker: TaskTracker,
    ) -> Result<Gateway, GatewayError> {
        Gateway::with_resolver(settings, credentials, tracker, Arc::new(SystemResolver))
    }

    /// Checks that a gateway can be created from these settings.
    pub fn check(settings: &GatewaySettings) -> Result<(), GatewayError> {
        Upstream::new(settings.upstream.clone(), &settings.bounds, &settings.network).map(drop)
    }

    /// Asks the model API for its root without a credential, which costs nothing. The error is a sentence. Any answer but a proxy's
    /// shows that the API, or a gateway in front of it, is reached.
    pub async fn reach(settings: &GatewaySettings) -> Result<(), String> {
        let upstream = Upstream::new(settings.upstream.clone(), &settings.bounds, &settings.network);
        let upstream = upstream.map_err(|error| answer::in_words(&error))?;
        // Connecting has a limit of its own.
        let within = settings.bounds.connect_timeout * 3 / 2;
        let reached = tokio::time::timeout(within, upstream.reach()).await;
        reached
            .unwrap_or_else(|_| Err(format!("it took the connection and did not answer within {} s", within.as_secs())))
    }

    /// Like [`Gateway::new`], with `resolver` for names of outside hosts.
    pub(crate) fn with_resolver(
        settings: GatewaySettings,
        credentials: Credentials,
        tracker: TaskTracker,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Gateway, GatewayError> {
        let model_api = settings.upstream.host_str().and_then(|host| host.parse().ok());
        let upstream = Upstream::new(settings.upstream, &settings.bounds, &settings.network)?;
        let shared = GatewayState {
            upstream,
            credentials,
            prices: Arc::new(settings.prices),
            tiers: Arc::default(),
            budgets: settings.budgets,
            retry: settings.retry,
            outage: settings.outage,
            network: settings.network.clone(),
            body_room: BodyRoom::new(&settings.bounds),
            bounds: settings.bounds,
            settle: settings.settle,
            egress: Egress::new(settings.egress_allow, resolver, model_api, settings.network),
            metrics: settings.metrics,
            removed_betas: RemovedBetas::default(),
            unknown_fields: UnknownFields::default(),
            examinations: git::Examinations::default(),
            tracker,
            closed: CancellationToken::new(),
        };
        Ok(Gateway { shared: Arc::new(shared) })
    }

    /// Registers an address on which the coordinator itself listens. No sandbox may reach it. Call this for each listener
    /// before the first sandbox is opened.
    pub fn set_own_listener(&self, address: SocketAddr) {
        self.shared.egress.protect(address);
    }

    /// Opens the gateway of a new sandbox. It reaches only the model API until [`SandboxGateway::assign`].
    pub fn open(&self) -> Arc<SandboxGateway> {
        SandboxGateway::new(Arc::clone(&self.shared))
    }

    /// Returns the state of the operator's credential, for `/ready` and `doctor`.
    pub fn credential_state(&self) -> CredentialState {
        self.shared.credentials.state()
    }

    /// Returns true if a task with these models may use `model`.
    pub fn is_listed(model: &str, models: &[String]) -> bool {
        models.iter().any(|listed| is_same_model(model, listed))
    }

    /// The proxy and the certificates by which other servers are reached.
    pub fn network(&self) -> &NetworkAccess {
        &self.shared.network
    }

    pub fn prices(&self) -> &Prices {
        &self.shared.prices
    }

    pub fn budgets(&self) -> &Budgets {
        &self.shared.budgets
    }

    /// Closes all open connections of all sandboxes' gateways. Model requests are cut as at [`TaskEnd::Shutdown`].
    pub fn close(&self) {
        self.shared.closed.cancel();
    }
}
