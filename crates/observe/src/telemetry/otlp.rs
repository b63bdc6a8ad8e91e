//! Exports spans to a collector: OTLP over HTTP with protobuf, in batches, from a thread of the SDK. Nothing waits for
//! it; spans that do not fit into its queue are dropped.

mod client;

use std::sync::Arc;
use std::time::Duration;

use domain::task::TraceParent;
use network_access::NetworkAccess;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, Config, SamplingDecision, ShouldSample, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};
use tracing::{info, warn};

use self::client::Client;
use super::span::{Kind, Parent, Span, Value};

/// The time that the server's shutdown waits for the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The version of the semantic conventions for names and attributes.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.41.0";

const SERVICE_NAME: &str = "service.name";

pub(super) struct Exporter {
    processor: Arc<BatchSpanProcessor>,
    sampler: Box<dyn ShouldSample>,
    scope: InstrumentationScope,
}

impl Exporter {
    /// Starts the exporter. An error concerns one of the OTEL_* variables. The result is never `None`; the signature
    /// matches noop.rs.
    pub(super) fn start(network: &NetworkAccess) -> Result<Option<Self>, String> {
        let client = Client::new(network).map_err(|error| error.to_string())?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let mut processor = BatchSpanProcessor::builder(exporter.map_err(|error| error.to_string())?).build();
        opentelemetry_sdk::trace::SpanProcessor::set_resource(&mut processor, &resource());
        info!("traces are exported to the collector of OTEL_EXPORTER_OTLP_ENDPOINT");
        let scope = InstrumentationScope::builder("claude-runner")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA)
            .build();
        // `Config::default` reads OTEL_TRACES_SAMPLER.
        Ok(Some(Exporter { processor: Arc::new(processor), sampler: Config::default().sampler, scope }))
    }

    /// The sampler's decision. It is made once for a whole trace and is always the same for that trace.
    pub(super) fn keeps(&self, trace: u128, parent: Option<&TraceParent>) -> bool {
        let context = match parent {
            Some(parent) => Context::new().with_remote_span_context(SpanContext::new(
                trace.into(),
                parent.span.into(),
                TraceFlags::default().with_sampled(parent.sampled),
                true,
                TraceState::default(),
            )),
            None => Context::new(),
        };
        let trace = TraceId::from(trace);
        let result = self.sampler.should_sample(Some(&context), trace, "task", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    pub(super) fn export(&self, span: Span) {
        self.processor.on_end(self.data(span));
    }

    pub(super) async fn shut_down(&self) {
        let processor = Arc::clone(&self.processor);
        let ended = tokio::task::spawn_blocking(move || processor.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        if !matches!(ended, Ok(Ok(()))) {
            warn!("the last traces were not delivered in time");
        }
    }

    fn data(&self, span: Span) -> SpanData {
        let Span { trace, id, parent, name, kind, began, ended, attributes, error } = span;
        let (parent_span_id, parent_span_is_remote) = match parent {
            Parent::None => (SpanId::INVALID, false),
            Parent::Remote(id) => (id.into(), true),
            Parent::Local(id) => (id.into(), false),
        };
        // Set no description, because it would be text that somebody wrote.
        let status = if error.is_some() { Status::error("") } else { Status::Unset };
        let error = error.map(|error| ("error.type", Value::Text(error)));
        let attribute = |(key, value): (&'static str, Value)| match value {
            Value::Text(text) => KeyValue::new(key, text),
            Value::Count(count) => KeyValue::new(key, i64::try_from(count).unwrap_or(i64::MAX)),
            Value::Amount(amount) => KeyValue::new(key, amount),
        };
        SpanData {
            span_context: SpanContext::new(trace.into(), id.into(), TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id,
            parent_span_is_remote,
            span_kind: match kind {
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
                Kind::Internal => SpanKind::Internal,
            },
            name,
            start_time: began.into(),
            // The clock may have been set back since the start.
            end_time: ended.max(began).into(),
            attributes: attributes.into_iter().chain(error).map(attribute).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The resource from OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, completed with defaults.
fn resource() -> Resource {
    let named = |resource: &Resource| resource.get(&Key::new(SERVICE_NAME)).map(|name| name.to_string());
    let found = Resource::builder().build();
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let unnamed = named(&found).is_none_or(|name| name.starts_with("unknown_service"));
    let resource = Resource::builder().with_attribute(version);
    if unnamed { resource.with_service_name("claude-runner").build() } else { resource.build() }
}
