//! The replacement of `otlp.rs` in a build without the feature `otel`. It sends nothing.

use std::convert::Infallible;

use domain::task::TraceParent;
use network_access::NetworkAccess;
use tracing::warn;

use super::span::Span;

/// No value of this type exists.
pub(super) struct Exporter(Infallible);

impl Exporter {
    #[expect(clippy::unnecessary_wraps, reason = "as in otlp.rs")]
    pub(super) fn start(_: &NetworkAccess) -> Result<Option<Self>, String> {
        warn!(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this build sends no traces: build with `cargo build --release \
             --package coordinator --features otel`"
        );
        Ok(None)
    }

    pub(super) fn keeps(&self, _: u128, _: Option<&TraceParent>) -> bool {
        match self.0 {}
    }

    pub(super) fn export(&self, _: Span) {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "as in otlp.rs")]
    pub(super) async fn shut_down(&self) {
        match self.0 {}
    }
}
