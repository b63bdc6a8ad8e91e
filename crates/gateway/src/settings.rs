//! The operator's settings for the gateway.

use std::time::Duration;

use domain::budget::InstallationLimits;
use domain::egress::EgressRule;
use network_access::NetworkAccess;
use observe::metrics::Metrics;
use reqwest::Url;

use super::outage::OutageBounds;
use super::prices::Prices;
use super::retry::RetryBudget;
use super::task::SettleBounds;
use crate::budget::Budgets;

pub struct GatewaySettings {
    /// `ANTHROPIC_BASE_URL`: the address of model requests. A path in it precedes `/v1/messages`.
    pub upstream: Url,
    /// The proxy and the certificates for model requests and for outside hosts.
    pub network: NetworkAccess,
    /// `EGRESS_ALLOW`: outside hosts that every sandbox may reach.
    pub egress_allow: Vec<EgressRule>,
    pub prices: Prices,
    pub retry: RetryBudget,
    pub outage: OutageBounds,
    pub bounds: Bounds,
    pub settle: SettleBounds,
    /// The budgets. By default there are no limits, and no charge is stored.
    pub budgets: Budgets,
    pub metrics: Metrics,
}

impl GatewaySettings {
    pub fn new(upstream: Url, prices: Prices) -> Self {
        GatewaySettings {
            upstream,
            network: NetworkAccess::default(),
            egress_allow: Vec::new(),
            prices,
            retry: RetryBudget::default(),
            outage: OutageBounds::default(),
            bounds: Bounds::default(),
            settle: SettleBounds::default(),
            budgets: Budgets::in_memory(InstallationLimits::default()),
            metrics: Metrics::default(),
        }
    }
}

/// The resources of the coordinator that one sandbox may take, and those that all of them share.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The number of open connections. The CLI was measured to use fewer than ten, and package installers some dozens.
    pub connections: usize,
    /// The maximum size of a model request's body, which is the API's own limit.
    pub body_bytes: usize,
    /// The maximum size of all buffered bodies of a sandbox's model requests. A body is buffered until the API begins to answer.
    pub buffered_bytes: usize,
    /// The same for all sandboxes of one key together. It is below the next bound, so that no key takes all of it.
    pub key_buffered_bytes: usize,
    /// The same for all sandboxes of the coordinator together.
    pub all_buffered_bytes: usize,
    /// The time for which a request waits for buffer space. It is then refused, and the CLI tries again.
    pub buffer_timeout: Duration,
    /// The maximum size of a request's line and headers.
    pub header_bytes: usize,
    /// The time limit of a name look-up, and of a connection attempt to one address.
    pub connect_timeout: Duration,
    /// The time after which a silent connection to an outside host, or a connection that waits for its next request, is closed. It
    /// does not apply to the model API: the CLI itself gives up on a silent answer.
    pub idle_timeout: Duration,
    /// The maximum life of a connection to an outside host, even a busy one.
    pub outside_lifetime: Duration,
    /// The number of requests per minute, to the model API and to outside hosts together. The CLI makes a few. A package installer
    /// was measured to make some hundreds.
    pub requests_per_minute: u32,
    /// `EGRESS_MAX_BYTES`: the traffic of a task with outside hosts other than the model API, in both directions together.
    pub outside_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: 64,
            body_bytes: 32 << 20,
            buffered_bytes: 64 << 20,
            key_buffered_bytes: 64 << 20,
            all_buffered_bytes: 96 << 20,
            buffer_timeout: Duration::from_secs(30),
            header_bytes: 64 << 10,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(5),
            outside_lifetime: Duration::from_hours(1),
            requests_per_minute: 3000,
            outside_bytes: 10 << 30,
        }
    }
}
