//! The OTEL_* variables that the OpenTelemetry SDK does not read, or whose unknown values it misreads. The SDK reads the others.

use observe::telemetry::TraceExport;

use super::ConfigError;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

const PROTOCOLS: &[&str] = &["http/protobuf"];
const COMPRESSIONS: &[&str] = &["gzip", "none"];
const SAMPLERS: &[&str] = &[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// The values that each variable accepts.
const CHOICES: [(&str, &[&str]); 5] = [
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOLS),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOLS),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", COMPRESSIONS),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", COMPRESSIONS),
    ("OTEL_TRACES_SAMPLER", SAMPLERS),
];

/// Decides whether traces are exported. The error names the variable and its allowed values.
pub fn trace_export() -> Result<TraceExport, ConfigError> {
    if !wants_traces() {
        return Ok(TraceExport::Off);
    }
    if cfg!(feature = "otel") {
        check_trace_variables().map_err(ConfigError::Traces)?;
    }
    Ok(TraceExport::On)
}

/// True if a collector is configured and export is not turned off.
fn wants_traces() -> bool {
    let off = text("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let elsewhere = text("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    !off && !elsewhere && ENDPOINTS.into_iter().any(|name| text(name).is_some())
}

/// The error names the variable and its allowed values.
fn check_trace_variables() -> Result<(), String> {
    for (name, choices) in CHOICES {
        if let Some(value) = text(name).filter(|value| !choices.contains(&value.as_str())) {
            return Err(format!("{name} is {value}; it must be {}", choices.join(" or ")));
        }
    }
    let ratio = |value: &String| value.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio));
    match text("OTEL_TRACES_SAMPLER_ARG").filter(|value| !ratio(value)) {
        Some(value) => Err(format!("OTEL_TRACES_SAMPLER_ARG is {value}; it must be a number from 0 to 1")),
        None => Ok(()),
    }
}

/// An empty variable counts as unset.
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
