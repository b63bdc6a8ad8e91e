//! Traces of tasks for OpenTelemetry. `docs/reference/telemetry.md` is their documentation.
//!
//! A span is created when it is over, from times that are known. A crash therefore leaves no span open, and no code has
//! to pass spans around. The ids of spans that are parents derive from the task's id, so that a trace is complete even
//! if one coordinator starts the task and another ends it.
//!
//! A span contains no text that a person, an agent or a model wrote: no message, no answer, no input or result of a
//! tool, no error message. Names of models and tools must look like names.

mod attributes;
mod calls;
mod identity;
mod sandbox;
mod span;
mod trace;

// The only place that depends on the feature.
#[cfg_attr(feature = "otel", path = "telemetry/otlp.rs")]
#[cfg_attr(not(feature = "otel"), path = "telemetry/noop.rs")]
mod export;

use std::sync::Arc;

pub use calls::OpenCalls;
use export::Exporter;
use network_access::NetworkAccess;
pub use sandbox::{Preparing, SandboxStart};
pub use trace::{ModelRequest, TaskTrace};

use domain::agent::AgentName;
use domain::task::TaskRecord;

/// The exporter of traces, if there is one. It is cheap to clone.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Exporter>>);

/// The configuration's choice to export traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceExport {
    #[default]
    Off,
    On,
}

/// Traces cannot be exported. The text comes from the reader of the OTEL_* variables.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent: {0}")]
pub struct TelemetryError(String);

impl Telemetry {
    /// Starts to export spans to the collector that the OTEL_* variables name. Call it inside a tokio runtime.
    pub fn start(export: TraceExport, network: &NetworkAccess) -> Result<Telemetry, TelemetryError> {
        let exporter = match export {
            TraceExport::Off => None,
            TraceExport::On => Exporter::start(network).map_err(TelemetryError)?,
        };
        Ok(Telemetry(exporter.map(Arc::new)))
    }

    /// Returns the trace of a task. It is empty if the sampler drops it.
    pub fn trace(&self, record: &TaskRecord, agent: &AgentName) -> TaskTrace {
        self.0.as_ref().map(|exporter| TaskTrace::new(exporter, record, agent)).unwrap_or_default()
    }

    /// Exports the remaining spans within a time limit. Later spans are lost.
    pub async fn shut_down(&self) {
        if let Some(exporter) = &self.0 {
            exporter.shut_down().await;
        }
    }
}
