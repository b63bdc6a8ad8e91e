//! Structured output: finds the JSON object in an answer and validates it against the template's schema.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The length of an answer that is searched. An object beyond that is a document, not an answer.
const SEARCH_BYTES: usize = 1024 * 1024;

/// The maximum number of opening braces at which parsing is tried. It bounds the cost of a text that consists of
/// braces.
const MAX_ATTEMPTS: usize = 512;

/// Finds the JSON object in an answer when there is no schema: the whole text, else the last fenced block that contains
/// one, else the longest unfenced one. It parses, so braces in strings and surrounding text do not matter.
pub fn find_object(text: &str) -> Option<Map<String, Value>> {
    let text = &text[..text.floor_char_boundary(SEARCH_BYTES)];
    parse_whole(text).or_else(|| fenced(text)).or_else(|| bare(text))
}

fn parse_whole(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(text.trim()).ok()
}

fn fenced(text: &str) -> Option<Map<String, Value>> {
    let mut found = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = fence_of(line) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != fence).collect();
        found = parse_whole(&block.join("\n")).or(found);
    }
    found
}

/// The fence that a line opens: its backticks, without the language that follows.
fn fence_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let run = line.len() - line.trim_start_matches('`').len();
    (run >= 3).then(|| &line[..run])
}

fn bare(text: &str) -> Option<Map<String, Value>> {
    let mut longest: Option<(usize, Map<String, Value>)> = None;
    let mut from = 0;
    for _ in 0..MAX_ATTEMPTS {
        let Some(offset) = text[from..].find('{') else { break };
        let start = from + offset;
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Map<String, Value>>();
        from = match values.next() {
            Some(Ok(object)) => {
                let length = values.byte_offset();
                if longest.as_ref().is_none_or(|(best, _)| length >= *best) {
                    longest = Some((length, object));
                }
                start + length
            }
            Some(Err(_)) | None => start + 1,
        };
    }
    longest.map(|(_, object)| object)
}

/// A template's compiled OUTPUT.schema.json.
#[derive(Debug)]
pub struct OutputSchema {
    source: Box<RawValue>,
    validator: jsonschema::Validator,
}

impl OutputSchema {
    /// Compiles a schema. References to other documents are errors, because none is fetched.
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let validator = jsonschema::validator_for(&value).map_err(|error| format!("not a JSON Schema: {error}"))?;
        if let Value::Object(schema) = &mut value {
            // With a `$schema` of draft 2020-12, version 2.1.197 of the CLI omits its tool for structured output.
            schema.shift_remove("$schema");
        }
        let source = serde_json::value::to_raw_value(&value).map_err(|error| error.to_string())?;
        Ok(OutputSchema { source, validator })
    }

    /// The schema for the CLI, with its properties in their original order.
    pub fn source(&self) -> &RawValue {
        &self.source
    }

    /// Validates an answer. The error lists at most three violations, each with its place.
    pub fn check(&self, output: &Value) -> Result<(), String> {
        let findings: Vec<String> = self
            .validator
            .iter_errors(output)
            .take(3)
            .map(|error| {
                let place = error.instance_path().to_string();
                let message: String = error.to_string().chars().take(300).collect();
                if place.is_empty() { message } else { format!("{place}: {message}") }
            })
            .collect();
        if findings.is_empty() { Ok(()) } else { Err(findings.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{OutputSchema, find_object};

    fn found(text: &str) -> Value {
        find_object(text).map_or(Value::Null, Value::Object)
    }

    #[test]
    fn the_object_is_found_wherever_it_stands() {
        let object = json!({"action": "resolve", "response": "braces } in { strings", "n": {"a": [1]}});
        let text = object.to_string();
        for answer in [
            text.clone(),
            format!("\n  {text}\n"),
            format!("Here you are:\n```json\n{text}\n```\nAnything else?"),
            format!("```\nnot json {{\n```\nand\n````\n{text}\n````"),
            format!("Sure! {text} Bye {{}}."),
            format!("{{not json}} and {{\"a\":1}} then {text}"),
            format!("```json\n{text}"),
        ] {
            assert_eq!(found(&answer), object, "{answer}");
        }
        for none in ["", "no object", "{", "[1,2]", "```json\n[1]\n```", "{'single': 1}", "}{"] {
            assert_eq!(found(none), Value::Null, "{none}");
        }
    }

    #[test]
    fn braces_alone_cost_little() {
        assert_eq!(found(&"{".repeat(1_000_000)), Value::Null);
        assert_eq!(found(&"{\"a\":".repeat(200_000)), Value::Null);
    }

    #[test]
    fn a_schema_says_what_is_wrong_and_where() {
        let schema = json!({"type": "object", "properties": {"action": {"enum": ["reply"]}}, "required": ["action"]});
        let schema = OutputSchema::compile(&schema.to_string()).unwrap();
        assert_eq!(schema.check(&json!({"action": "reply"})), Ok(()));
        assert!(schema.check(&json!({"action": "x"})).unwrap_err().starts_with("/action: "));
        assert!(schema.check(&json!({})).unwrap_err().contains("action"));
        assert!(OutputSchema::compile(r#"{"type": 7}"#).is_err());
        assert!(OutputSchema::compile(r#"{"$ref": "http://127.0.0.1:9/x.json"}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_searched_without_harm(text in "[{}\"`a:,\\\\\n \\[\\]é]{0,200}") {
            let _ = find_object(&text);
        }
    }
}
