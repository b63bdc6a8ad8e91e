//! Parses YAML into the equivalent JSON.

use std::fmt::Write as _;

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

/// The maximum number of nodes. The largest published OpenAPI documents have about half a million. An alias counts as
/// the nodes that it stands for.
const MAX_NODES: usize = 2_000_000;
const MAX_EVENTS: usize = 2 * MAX_NODES;
/// The maximum depth, the same as that of JSON.
const MAX_DEPTH: usize = 128;

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Parses one document. Words such as `no` and `on` are strings, as in YAML 1.2. The last one of several equal keys
/// counts, and numbers that are not finite are null.
pub(crate) fn value(text: &str) -> Result<Value, YamlError> {
    parsed(text).or_else(|error| {
        // A document with half surrogate pairs or tabs is rare, and mending it changes what is in quotes only.
        let mended = mended(text);
        if mended == text { Err(error) } else { parsed(&mended).map_err(|_| error) }
    })
}

fn parsed(text: &str) -> Result<Value, YamlError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MAX_NODES, max_events: MAX_EVENTS, max_depth: MAX_DEPTH },
        strict_booleans: true,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        // A line of the document may be long, and the error contains the position in any case.
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| YamlError(error.to_string()))
}

/// Replaces escaped surrogates, which YAML does not have, by the characters that they mean. Expands tabs at the start of
/// lines.
fn mended(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut units = Vec::new();
    for line in text.split_inclusive('\n') {
        let body = line.trim_start_matches([' ', '\t']);
        made.extend(line[..line.len() - body.len()].chars().map(|c| if c == '\t' { "  " } else { " " }));
        // A key must be a string.
        let mut rest = body;
        for key in ["null", "~"] {
            if let Some(after) = body.strip_prefix(key).filter(|after| after.starts_with(':')) {
                let _ = write!(made, "\"{key}\"");
                rest = after;
            }
        }
        while let Some(found) = rest.find("\\u") {
            let unit = rest.get(found + 2..found + 6).and_then(|digits| u16::from_str_radix(digits, 16).ok());
            let surrogate = unit.filter(|unit| (0xd800..=0xdfff).contains(unit));
            if found > 0 || surrogate.is_none() {
                flush(&mut units, &mut made);
            }
            made.push_str(&rest[..found]);
            let length = if let Some(unit) = surrogate {
                units.push(unit);
                6
            } else {
                made.push_str("\\u");
                2
            };
            rest = &rest[found + length..];
        }
        flush(&mut units, &mut made);
        made.push_str(rest);
    }
    made
}

fn flush(units: &mut Vec<u16>, made: &mut String) {
    let drained = units.drain(..);
    made.extend(char::decode_utf16(drained).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests;
