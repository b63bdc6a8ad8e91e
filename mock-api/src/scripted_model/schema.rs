//! Generates an object that matches a JSON Schema, for clients that require one for which there is no script.

use serde_json::{Map, Value, json};

/// The smallest value that a plain schema (types, `properties`, `required`, `enum`, bounds) allows, with `text` as
/// every string. A schema with other keywords may reject it.
pub(super) fn smallest(schema: &Value, text: &str) -> Value {
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(choices) = schema["enum"].as_array() {
        let reply = choices.iter().find(|choice| **choice == "reply");
        return reply.or_else(|| choices.first()).cloned().unwrap_or_default();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().unwrap_or(&Value::Null),
        kind => kind,
    };
    match kind.as_str() {
        Some("string") => json!(text),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ => Value::Object(required(schema, text)),
    }
}

fn required(schema: &Value, text: &str) -> Map<String, Value> {
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.map(|name| (name.to_owned(), smallest(&schema["properties"][name], text))).collect()
}
