//! Observability: metrics, traces, the audit log, and the masking of secrets in all of them.
//!
//! | module | contains |
//! |---|---|
//! | [`metrics`] | the counters and histograms of `GET /metrics` |
//! | [`telemetry`] | spans of tasks for OpenTelemetry, with the feature `otel` |
//! | [`audit`] | the file of the audit log, as a layer of `tracing` |
//! | [`redact`] | the known secrets, and their masking in text and log lines |
//!
//! Invariants:
//! - Nothing here knows the code that records: each crate receives its [`metrics::Metrics`] and
//!   [`telemetry::Telemetry`].
//! - No span contains text that a person, an agent or a model wrote.

pub mod audit;
pub mod metrics;
pub mod redact;
pub mod telemetry;
