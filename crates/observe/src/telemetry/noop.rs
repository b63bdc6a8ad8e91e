//! In place of `otlp.rs` in a program that was built without the feature `otel`: nothing is sent.

use std::convert::Infallible;

use domain::task::TraceParent;
use tracing::warn;

use super::span::Span;

/// There is none.
pub(super) struct Exporter(Infallible);

impl Exporter {
    #[expect(clippy::unnecessary_wraps, reason = "as in otlp.rs")]
    pub(super) fn start() -> Result<Option<Self>, String> {
        warn!(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and this program sends no traces: build it with `cargo build --release \
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
