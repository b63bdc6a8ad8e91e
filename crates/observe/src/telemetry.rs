//! Traces: where a task's time went, for those who collect OpenTelemetry. docs/telemetry.md is what they read.
//!
//! A span is made when it is over, of times that are known: nothing is left open by a crash, and nobody has to carry spans
//! about. The ids of spans that others name as their parent follow from the task's id, so that the trace is one also where one
//! coordinator began the task and another one ended it.
//!
//! No span has anything that a person, an agent or a model wrote: no message, answer, tool's input or result, and no error's
//! sentence. What is named (models, tools) has to look like a name.

mod attributes;
mod calls;
mod identity;
mod sandbox;
mod span;
mod trace;

// The one place that depends on the feature.
#[cfg_attr(feature = "otel", path = "telemetry/otlp.rs")]
#[cfg_attr(not(feature = "otel"), path = "telemetry/noop.rs")]
mod export;

use std::sync::Arc;

pub use calls::OpenCalls;
use export::Exporter;
pub use sandbox::{Preparing, SandboxStart};
pub use trace::{ModelRequest, TaskTrace};

use domain::agent::AgentName;
use domain::task::TaskRecord;

/// Where traces go, if anywhere. Cheap to clone.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Exporter>>);

/// Whether traces are exported, as the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceExport {
    #[default]
    Off,
    On,
}

/// The collector cannot be told anything: in the words of whoever read the variables.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be sent: {0}")]
pub struct TelemetryError(String);

impl Telemetry {
    /// Sends spans to the collector that the OTEL_* variables name. Call it inside a tokio runtime.
    pub fn start(export: TraceExport) -> Result<Telemetry, TelemetryError> {
        let exporter = match export {
            TraceExport::Off => None,
            TraceExport::On => Exporter::start().map_err(TelemetryError)?,
        };
        Ok(Telemetry(exporter.map(Arc::new)))
    }

    /// What is known of a task's trace; nothing, where it is not kept.
    pub fn trace(&self, record: &TaskRecord, agent: &AgentName) -> TaskTrace {
        self.0.as_ref().map(|exporter| TaskTrace::new(exporter, record, agent)).unwrap_or_default()
    }

    /// Sends what is left, within a bound. What comes later is lost.
    pub async fn shut_down(&self) {
        if let Some(exporter) = &self.0 {
            exporter.shut_down().await;
        }
    }
}
