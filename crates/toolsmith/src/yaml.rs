//! YAML as the JSON that it means.

use serde_json::Value;

/// The largest OpenAPI documents that are published have about half a million; an alias is as many as it stands for.
const MAX_NODES: usize = 2_000_000;
const MAX_EVENTS: usize = 2 * MAX_NODES;
/// As deep as JSON may be.
const MAX_DEPTH: usize = 128;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// One document. Words like `no` and `on` are texts, as YAML 1.2 has it.
pub(super) fn value(text: &str) -> Result<Value, YamlError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MAX_NODES, max_events: MAX_EVENTS, max_depth: MAX_DEPTH },
        strict_booleans: true,
        // A line of the document may be long, and the place is told in any case.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| YamlError(error.to_string()))
}
