//! The operator's settings for the gateway.

use std::time::Duration;

use domain::budget::InstallationLimits;
use domain::egress::EgressRule;
use observe::metrics::Metrics;
use reqwest::Url;

use super::prices::Prices;
use super::retry::RetryBudget;
use super::task::SettleBounds;
use crate::budget::Budgets;

pub struct GatewaySettings {
    /// `ANTHROPIC_BASE_URL`: where model requests go. A path in it is kept in front of `/v1/messages`.
    pub upstream: Url,
    /// `EGRESS_ALLOW`: outside hosts that every sandbox may reach.
    pub egress_allow: Vec<EgressRule>,
    pub prices: Prices,
    pub retry: RetryBudget,
    pub bounds: Bounds,
    pub settle: SettleBounds,
    /// The budgets. By default nothing is limited, and nothing is kept.
    pub budgets: Budgets,
    pub metrics: Metrics,
}

impl GatewaySettings {
    pub fn new(upstream: Url, prices: Prices) -> Self {
        GatewaySettings {
            upstream,
            egress_allow: Vec::new(),
            prices,
            retry: RetryBudget::default(),
            bounds: Bounds::default(),
            settle: SettleBounds::default(),
            budgets: Budgets::in_memory(InstallationLimits::default()),
            metrics: Metrics::default(),
        }
    }
}

/// The resources of the coordinator that one sandbox may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections that are open at once. The CLI was seen to use under ten; package installers open some dozens.
    pub connections: usize,
    /// One model request's body: the API's own limit.
    pub body_bytes: usize,
    /// All model requests' bodies that are held at once, until the API has begun to answer.
    pub buffered_bytes: usize,
    /// A request's line and headers.
    pub header_bytes: usize,
    /// The bound on a name look-up, and on a connection to one address.
    pub connect_timeout: Duration,
    /// The bound on silence on a connection to an outside host, or on one that waits for its next request. The
    /// model API is not bound by it: the CLI gives up on a silent answer.
    pub idle_timeout: Duration,
    /// The bound on the life of a connection to an outside host, however busy it is.
    pub outside_lifetime: Duration,
    /// Requests in a minute, to the model API and to outside hosts together. The CLI makes a few; a package installer
    /// was seen to make some hundreds.
    pub requests_per_minute: u32,
    /// `EGRESS_MAX_BYTES`: what a task may exchange with outside hosts other than the model API, both directions
    /// together.
    pub outside_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: 64,
            body_bytes: 32 << 20,
            buffered_bytes: 96 << 20,
            header_bytes: 64 << 10,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(5),
            outside_lifetime: Duration::from_hours(1),
            requests_per_minute: 3000,
            outside_bytes: 10 << 30,
        }
    }
}
