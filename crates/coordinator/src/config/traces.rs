//! Variables of OpenTelemetry that its SDK does not read itself. The others it does.

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// What we speak.
const PROTOCOL: &str = "http/protobuf";

/// Whether there is a collector for traces, and nobody says that it is to get none.
pub fn wants_traces() -> bool {
    let off = text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let elsewhere = text("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    !off && !elsewhere && ENDPOINTS.into_iter().any(|name| text(name).is_some())
}

/// The SDK would take another protocol for ours.
pub fn check_trace_protocol() -> Result<(), String> {
    match PROTOCOLS.into_iter().find_map(|name| Some((name, text(name)?))) {
        Some((name, wanted)) if wanted != PROTOCOL => Err(format!("{name} is {wanted}; it must be {PROTOCOL}")),
        Some(_) | None => Ok(()),
    }
}

/// What is set to nothing is not set.
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
