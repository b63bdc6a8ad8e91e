//! Traces, sent to a collector of the test.

#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod protobuf;
#[cfg(feature = "otel")]
mod traces;

#[cfg(not(feature = "otel"))]
#[tokio::test]
async fn a_program_without_traces_says_how_to_get_them() {
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let setup = crate::server::Setup::new().without_image();
    let server = setup.env(endpoint, "http://127.0.0.1:9").start().await;
    let log = server.log();
    assert!(log.contains(endpoint) && log.contains("--features otel"), "{log}");
    server.finish().await;
}
