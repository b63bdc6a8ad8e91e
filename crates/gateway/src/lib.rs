//! The gateway: all that a sandbox sees of the outside, behind 127.0.0.1:8787 in its container.
//!
//! One [`Gateway`] per coordinator holds what is shared: the upstream's address, the operator's credential, the prices,
//! the egress rules. One [`SandboxGateway`] per sandbox serves HTTP/1.1 on every stream that the link hands it:
//! - `POST /v1/messages` and `/v1/messages/count_tokens` go to the model API with our credential in place of whatever
//!   the container sent, are metered by the `usage` of the answers and refused when a budget is spent ([`crate::budget`]) or the key may not;
//! - `CONNECT host:port` and absolute-form `http://` requests go to allowed outside hosts;
//! - everything else is refused: other paths and queries, a Host that is not the target's, what a task has no bytes left for.
//!
//! The gateway keeps what really happened upstream ([`SandboxGateway::failure`]), because the CLI reports API failures as success.

mod activity;
mod address;
mod answer;
mod block_stop_buffer;
mod bound;
pub mod budget;
mod credential;
mod egress;
mod failure;
mod git;
mod headers;
mod login;
mod meter;
mod model;
mod outbound;
mod permission;
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
mod tokens;
mod tunnel;
mod upstream;

#[cfg(test)]
mod tests;

pub use activity::Activity;
pub use credential::{Credential, CredentialKind, CredentialState, Credentials, InvalidCredential};
pub use failure::GatewayFailure;
pub use git::{PREFIX as GIT_PREFIX, PushPolicy, RepositoryAccess, Workflows};
pub use meter::UsageSnapshot;
pub use outbound::{Answered, Outbound, OutboundError};
pub use prices::{Prices, PricesError};
pub use resolve::{Resolve, SystemResolver};
pub use retry::RetryBudget;
pub use sandbox::{AssignedTask, Assignee, SandboxGateway, SessionAccess};
pub use settings::{Bounds, GatewaySettings};
pub use task::{SettleBounds, TaskEnd};

use std::net::SocketAddr;
use std::sync::Arc;

use observe::metrics::Metrics;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::egress::Egress;
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
    #[error(
        "the model API's address (ANTHROPIC_BASE_URL) must be an http or https URL with a host and without a user name"
    )]
    Upstream,
}

/// The part of the gateway that requests of every sandbox use.
struct GatewayState {
    upstream: Upstream,
    credentials: Credentials,
    prices: Arc<Prices>,
    budgets: Budgets,
    retry: RetryBudget,
    bounds: Bounds,
    settle: SettleBounds,
    egress: Egress,
    metrics: Metrics,
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

    /// Checks that a gateway can be made from these settings.
    pub fn check(settings: &GatewaySettings) -> Result<(), GatewayError> {
        Upstream::new(settings.upstream.clone(), &settings.bounds).map(drop)
    }

    /// As [`Gateway::new`], with names of outside hosts looked up by `resolver`.
    pub fn with_resolver(
        settings: GatewaySettings,
        credentials: Credentials,
        tracker: TaskTracker,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Gateway, GatewayError> {
        let model_api = settings.upstream.host_str().and_then(|host| host.parse().ok());
        let upstream = Upstream::new(settings.upstream, &settings.bounds)?;
        let shared = GatewayState {
            upstream,
            credentials,
            prices: Arc::new(settings.prices),
            budgets: settings.budgets,
            retry: settings.retry,
            bounds: settings.bounds,
            settle: settings.settle,
            egress: Egress::new(settings.egress_allow, resolver, model_api),
            metrics: settings.metrics,
            tracker,
            closed: CancellationToken::new(),
        };
        Ok(Gateway { shared: Arc::new(shared) })
    }

    /// Tells where the coordinator itself listens, which no sandbox may reach. To be called for each listener, before
    /// the first sandbox is opened.
    pub fn set_own_listener(&self, address: SocketAddr) {
        self.shared.egress.protect(address);
    }

    /// A gateway for one new sandbox, without access to anything but the model API until
    /// [`SandboxGateway::assign`].
    pub fn open(&self) -> Arc<SandboxGateway> {
        SandboxGateway::new(Arc::clone(&self.shared))
    }

    /// The operator's credential as it is now, for `/ready` and `doctor`.
    pub fn credential_state(&self) -> CredentialState {
        self.shared.credentials.state()
    }

    /// Returns true when a task with these models may name `model`.
    pub fn is_listed(model: &str, models: &[String]) -> bool {
        models.iter().any(|listed| prices::is_same_model(model, listed))
    }

    pub fn prices(&self) -> &Prices {
        &self.shared.prices
    }

    pub fn budgets(&self) -> &Budgets {
        &self.shared.budgets
    }

    /// Ends what all sandboxes' gateways have open, model requests included: those are cut as at [`TaskEnd::Shutdown`].
    pub fn close(&self) {
        self.shared.closed.cancel();
    }
}
