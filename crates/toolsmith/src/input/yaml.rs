//! Parses YAML into the equivalent JSON.

use serde_json::Value;

/// The maximum number of nodes. The largest published OpenAPI documents have about half a million. An alias counts as
/// the nodes that it stands for.
const MAX_NODES: usize = 2_000_000;
const MAX_EVENTS: usize = 2 * MAX_NODES;
/// The maximum depth, the same as that of JSON.
const MAX_DEPTH: usize = 128;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Parses one document. Words such as `no` and `on` are strings, as in YAML 1.2.
pub(super) fn value(text: &str) -> Result<Value, YamlError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MAX_NODES, max_events: MAX_EVENTS, max_depth: MAX_DEPTH },
        strict_booleans: true,
        // A line of the document may be long, and the error contains the position in any case.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| YamlError(error.to_string()))
}
