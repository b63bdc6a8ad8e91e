//! The metrics of `GET /metrics`: their names, help texts and labels.
//!
//! [`Metrics`] is passed by value to the code that records; all clones share the same numbers. Times are in seconds,
//! money is in US dollars, and counters end in `_total`, following Prometheus' naming rules
//! (<https://prometheus.io/docs/practices/naming/>). A label has a small, fixed set of values: never an id, an address,
//! or a name that a caller or an agent chose. `docs/reference/metrics.md` lists the metrics for readers; a test compares it with
//! this module.

mod process;
mod standing;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use domain::egress::{EgressChannel, EgressDecision};
use domain::task::{ErrorType, TaskKind};
use domain::usage::{Cost, Usage};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use standing::Standing;

/// The media type of [`Metrics::expose`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The label for a value that is not in the known set.
const OTHER: &str = "other";

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
type Count<const N: usize> = Family<Labels<N>, Counter>;

/// All metrics. It is cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    tasks: Count<2>,
    queue_wait: Family<Labels<1>, Histogram>,
    first_event: Family<Labels<1>, Histogram>,
    task_time: Family<Labels<1>, Histogram>,
    turn_time: Family<Labels<1>, Histogram>,
    cost: Family<Labels<1>, Counter<f64, AtomicU64>>,
    tokens: Count<2>,
    assumed_prices: Counter,
    removed_betas: Counter,
    unknown_fields: Counter,
    price_fetches: Count<1>,
    warm_claims: Count<1>,
    link_reconnects: Counter,
    event_lag: Histogram,
    store_commit: Histogram,
    decisions: Count<3>,
    subscribers: Family<Labels<1>, Gauge>,
    requests: Count<3>,
    webhook_attempts: Count<1>,
    standing: standing::Gauges,
}

/// The transport of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    ServerSent,
    Lines,
    Log,
}

/// Counts one subscriber until it is dropped.
#[derive(Debug)]
pub struct Subscribed(Gauge);

/// The outcome of a fetch of prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceFetch {
    Changed,
    Unchanged,
    Failed,
}

/// The result of one attempt to deliver a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    Taken,
    /// The attempt failed and will be repeated.
    Later,
    /// The attempt failed and was the last one.
    GivenUp,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut names = Names(Registry::default());
        let standing = standing::Gauges::register(&mut names);
        Metrics {
            tasks: names.counter("claude_runner_tasks", "Tasks that ended, by kind and outcome"),
            queue_wait: names.slow("claude_runner_task_queue_seconds", "Time from a task's submission to its start"),
            first_event: names.slow(
                "claude_runner_task_first_event_seconds",
                "Time from a task's submission to the first thinking, text or tool call of its agent",
            ),
            task_time: names.slow("claude_runner_task_duration_seconds", "Time from a task's start to its end"),
            turn_time: names.slow(
                "claude_runner_turn_duration_seconds",
                "Time of a model request, from when it was sent to the end of its answer",
            ),
            cost: names.add("claude_runner_cost_dollars", "US dollars that model requests cost", Family::default()),
            tokens: names.counter("claude_runner_tokens", "Tokens of model requests, by model and kind"),
            assumed_prices: names.add(
                "claude_runner_price_assumed_requests",
                "Model requests whose model has no price, counted as the most expensive one",
                Counter::default(),
            ),
            removed_betas: names.add(
                "claude_runner_betas_removed",
                "Betas that were taken out of model requests, because Claude Code was not seen to send them",
                Counter::default(),
            ),
            unknown_fields: names.add(
                "claude_runner_unknown_request_fields",
                "Fields of model requests that this version does not know",
                Counter::default(),
            ),
            price_fetches: names.counter(
                "claude_runner_price_fetches",
                "Fetches of the prices at MODEL_PRICES_URL, by what came of them",
            ),
            warm_claims: names.counter(
                "claude_runner_warm_sandbox_claims",
                "New sessions that asked for a warm sandbox, by whether there was one",
            ),
            link_reconnects: names.add(
                "claude_runner_link_reconnects",
                "Connections of sandboxes that came back after a cut",
                Counter::default(),
            ),
            event_lag: names.add(
                "claude_runner_event_lag_seconds",
                "Time from receiving an event to publishing it after its commit; the oldest event of each batch",
                fast(),
            ),
            store_commit: names.add(
                "claude_runner_store_commit_seconds",
                "Time of a transaction of the store, the wait for the disk included",
                fast(),
            ),
            decisions: names.counter(
                "claude_runner_gateway_decisions",
                "Decisions about ways out of sandboxes, by way, decision and reason",
            ),
            subscribers: names.add("claude_runner_subscribers", "Open streams of events", Family::default()),
            requests: names.counter("claude_runner_http_requests", "Requests to the API that were answered"),
            webhook_attempts: names
                .counter("claude_runner_webhook_attempts", "Attempts to deliver a webhook, by what came of them"),
            standing,
            registry: Arc::new(names.0),
        }
    }
}

impl Metrics {
    /// Records the end of a task. `failure` is `None` if the task completed. `took` is `None` if it never started.
    pub fn task_ended(&self, kind: TaskKind, failure: Option<ErrorType>, took: Option<Duration>) {
        let kind = kind.as_str();
        let outcome = failure.map_or("completed", ErrorType::as_str);
        self.tasks.get_or_create(&[("kind", kind.into()), ("outcome", outcome.into())]).inc();
        if let Some(took) = took {
            self.task_time.get_or_create(&[("kind", kind.into())]).observe(took.as_secs_f64());
        }
    }

    pub fn task_began(&self, kind: TaskKind, waited: Duration) {
        self.queue_wait.get_or_create(&[("kind", kind.as_str().into())]).observe(waited.as_secs_f64());
    }

    /// Records the agent's first output.
    pub fn first_output(&self, kind: TaskKind, after: Duration) {
        self.first_event.get_or_create(&[("kind", kind.as_str().into())]).observe(after.as_secs_f64());
    }

    /// Records a model request. `model` is a model with a price, or `None`, because a name that an agent chose must not
    /// become a label.
    pub fn model_request(&self, model: Option<&str>, usage: &Usage, cost: Cost, took: Duration) {
        let model: Cow<'static, str> = model.map_or(OTHER.into(), |model| model.to_owned().into());
        self.turn_time.get_or_create(&[("model", model.clone())]).observe(took.as_secs_f64());
        self.cost.get_or_create(&[("model", model.clone())]).inc_by(cost.dollars());
        for (kind, tokens) in [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_write", usage.cache_creation_input_tokens),
            ("cache_read", usage.cache_read_input_tokens),
        ] {
            self.tokens.get_or_create(&[("model", model.clone()), ("kind", kind.into())]).inc_by(tokens);
        }
    }

    /// Records a model request that was charged at the highest known price, because its model has none.
    pub fn price_assumed(&self) {
        self.assumed_prices.inc();
    }

    /// Records a fetch of prices.
    pub fn prices_fetched(&self, outcome: PriceFetch) {
        let outcome = match outcome {
            PriceFetch::Changed => "changed",
            PriceFetch::Unchanged => "unchanged",
            PriceFetch::Failed => "failed",
        };
        self.price_fetches.get_or_create(&[("outcome", outcome.into())]).inc();
    }

    /// Records that a beta was removed from a model request.
    pub fn beta_removed(&self) {
        self.removed_betas.inc();
    }

    /// Records a field of a model request that this version does not know.
    pub fn unknown_field(&self) {
        self.unknown_fields.inc();
    }

    /// Records a decision of the gateway.
    pub fn decided(&self, channel: EgressChannel, decision: EgressDecision) {
        let (decision, reason) = match decision {
            EgressDecision::Allowed => ("allowed", ""),
            EgressDecision::Refused(reason) => ("refused", reason.as_str()),
        };
        let labels = [("via", channel.as_str().into()), ("decision", decision.into()), ("reason", reason.into())];
        self.decisions.get_or_create(&labels).inc();
    }

    /// Records that a new session requested a warm sandbox.
    pub fn warm_claimed(&self, found: bool) {
        let result = if found { "hit" } else { "miss" };
        self.warm_claims.get_or_create(&[("result", result.into())]).inc();
    }

    pub fn link_reconnected(&self) {
        self.link_reconnects.inc();
    }

    pub fn events_published(&self, lag: Duration) {
        self.event_lag.observe(lag.as_secs_f64());
    }

    pub fn store_committed(&self, took: Duration) {
        self.store_commit.observe(took.as_secs_f64());
    }

    pub fn subscribed(&self, transport: Transport) -> Subscribed {
        let transport = match transport {
            Transport::WebSocket => "websocket",
            Transport::ServerSent => "sse",
            Transport::Lines => "ndjson",
            Transport::Log => "log",
        };
        let gauge = self.subscribers.get_or_create(&[("transport", transport.into())]).clone();
        gauge.inc();
        Subscribed(gauge)
    }

    /// Records a request to the API. `route` is the pattern, not the path; `None` if no route matched. `status` is
    /// `None` if the client disconnected before the response.
    pub fn http_request(&self, method: &str, route: Option<&str>, status: Option<u16>) {
        const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER);
        let route = route.map_or(OTHER.into(), |route| route.to_owned().into());
        let status = status.map_or("gone".into(), |status| status.to_string().into());
        self.requests.get_or_create(&[("method", method.into()), ("route", route), ("status", status)]).inc();
    }

    pub fn webhook_attempted(&self, outcome: Delivered) {
        let outcome = match outcome {
            Delivered::Taken => "delivered",
            Delivered::Later => "retry",
            Delivered::GivenUp => "failed",
        };
        self.webhook_attempts.get_or_create(&[("outcome", outcome.into())]).inc();
    }

    /// Renders all metrics as text, including the current state.
    pub fn expose(&self, standing: &Standing) -> String {
        self.standing.set(standing);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

impl Drop for Subscribed {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Registers every metric that it creates.
struct Names(Registry);

impl Names {
    /// The encoder appends `_total` to a counter's name and a full stop to the help.
    fn add<M: Metric + Clone>(&mut self, name: &'static str, help: &'static str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn counter<const N: usize>(&mut self, name: &'static str, help: &'static str) -> Count<N> {
        self.add(name, help, Family::default())
    }

    fn slow(&mut self, name: &'static str, help: &'static str) -> Family<Labels<1>, Histogram> {
        self.add(name, help, Family::new_with_constructor(slow as fn() -> Histogram))
    }
}

/// Buckets for durations of models and containers.
fn slow() -> Histogram {
    Histogram::new([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0])
}

/// Buckets for durations of the disk.
fn fast() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0])
}
