//! A template's OUTPUT.schema.json: validates answers, and gives the CLI the part of itself that the CLI accepts.

mod cli;
mod keywords;
mod references;
mod root;

use std::collections::BTreeMap;

use jsonschema::ValidationError;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::text::place;

/// The maximum number of values in a schema. The CLI refuses a schema of 100,000.
const MAX_VALUES: usize = 50_000;

/// A compiled schema.
#[derive(Debug)]
pub struct OutputSchema {
    source: Box<RawValue>,
    validator: jsonschema::Validator,
}

/// The reason why a text is not the schema of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSchema {
    /// Both count from 1.
    pub line: usize,
    pub column: usize,
    pub reason: String,
}

impl OutputSchema {
    /// Compiles a schema of any draft. References to other documents are errors, because none is fetched.
    pub fn compile(text: &str) -> Result<Self, InvalidSchema> {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            let reason = said.split(" at line ").next().unwrap_or_default();
            InvalidSchema {
                line: error.line().max(1),
                column: error.column().max(1),
                reason: format!("it is not JSON: {reason}"),
            }
        })?;
        let wrong = |pointer: &str, reason: String| {
            let (line, column) = place(text, offset_of(text, pointer));
            InvalidSchema { line, column, reason }
        };
        let Value::Object(schema) = &value else {
            let reason = "a schema is a JSON object, such as {\"type\": \"object\", \"properties\": {…}}";
            return Err(wrong("", format!("{reason}; this is {}", name_of(&value))));
        };
        if let Some((pointer, reason)) = root::refusal(schema) {
            return Err(wrong(pointer, reason));
        }
        let compiled = jsonschema::options().should_validate_formats(true).build(&value);
        let validator = compiled.map_err(|error| {
            let pointer = error.instance_path().to_string();
            wrong(&pointer, format!("it is not a JSON Schema: {}", place_and_message(&error, &pointer)))
        })?;
        if count(&value) > MAX_VALUES {
            return Err(wrong("", format!("the schema has more than {MAX_VALUES} values")));
        }
        let source =
            serde_json::value::to_raw_value(&cli::accepted(&value)).map_err(|error| wrong("", error.to_string()))?;
        Ok(OutputSchema { source, validator })
    }

    /// The schema for the CLI. It allows every answer that [`OutputSchema::check`] allows.
    pub fn source(&self) -> &RawValue {
        &self.source
    }

    /// Validates an answer. The error lists at most three violations, each with its place.
    pub fn check(&self, output: &Value) -> Result<(), String> {
        let findings: Vec<String> = self
            .validator
            .iter_errors(output)
            .take(3)
            .map(|error| place_and_message(&error, error.instance_path().as_str()))
            .collect();
        if findings.is_empty() { Ok(()) } else { Err(findings.join("; ")) }
    }
}

fn place_and_message(error: &ValidationError<'_>, pointer: &str) -> String {
    let message: String = error.to_string().chars().take(300).collect();
    if pointer.is_empty() { message } else { format!("{pointer}: {message}") }
}

/// The words for a value that is no object.
fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The offset of the value at a JSON pointer, or of the last part of the pointer that exists.
fn offset_of(text: &str, pointer: &str) -> usize {
    let mut found = text.trim_start();
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let members: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(found);
        let items: Result<Vec<&RawValue>, _> = serde_json::from_str(found);
        let next = match (members, items) {
            (Ok(members), _) => members.get(&name).copied(),
            (_, Ok(items)) => name.parse::<usize>().ok().and_then(|index| items.get(index).copied()),
            (Err(_), Err(_)) => None,
        };
        let Some(next) = next else { break };
        found = next.get();
    }
    found.as_ptr().addr() - text.as_ptr().addr()
}

#[cfg(test)]
mod tests;
