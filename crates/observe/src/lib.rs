//! Everything that an operator observes: metrics, traces, the audit log; and the masking of secrets in all of it.
//!
//! | module | contains |
//! |---|---|
//! | [`metrics`] | the counters and histograms of `GET /metrics` |
//! | [`telemetry`] | spans of tasks for OpenTelemetry, with the feature `otel` |
//! | [`audit`] | the file of the audit log, as a layer of `tracing` |
//! | [`redact`] | the secrets that are known, and their masking in text and in log lines |
//!
//! Invariants:
//! - Whoever counts is handed its metrics; nothing here knows who counts.
//! - No span contains text that a person, an agent or a model wrote.

pub mod audit;
pub mod metrics;
pub mod redact;
pub mod telemetry;
