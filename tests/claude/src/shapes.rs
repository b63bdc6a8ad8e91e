//! Shapes: the kinds of lines with their fields, the words of some fields, the names of tools, and the paths, headers and fields
//! of requests to the model API. A shape is one line of text, so that a file of them can be compared.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use claude_stream::{AgentEvent, Decoder};
use mock_api::scripted_model::RecordedRequest;
use serde_json::Value;

#[derive(Clone, Default)]
pub(crate) struct Shapes(BTreeSet<String>);

/// Fields whose content belongs to a tool, a schema or a caller.
const OPAQUE: [&str; 8] = [
    "input",
    "structured_output",
    "tool_use_result",
    "partial_json",
    "updated_input",
    "permission_suggestions",
    "tool_input",
    "mcp_servers",
];
/// Objects whose keys are names of models, commands or tools.
const MAPS: [&str; 2] = ["modelUsage", "memory_paths"];
/// Fields whose words the product reads.
const WORDS: [&str; 9] = [
    "decision_reason_type",
    "error_type",
    "kind",
    "permissionMode",
    "state",
    "status",
    "stop_reason",
    "terminal_reason",
    "apiKeySource",
];
/// Lists of names whose members the product may have to know.
const NAMES: [(&str, &str); 2] = [("tools", "tool"), ("capabilities", "capability")];

/// A decoder's limit that no line reaches.
const MAX_LINE_BYTES: usize = 64 << 20;

impl Shapes {
    /// Reads a file that [`Shapes::write`] wrote. Lines that begin with `#` are comments.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        Ok(Shapes(text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = "# Shapes of Claude Code's lines and requests that were seen and looked at. \
                        `scripts/claude-versions --accept` adds to them.\n"
            .to_owned();
        for shape in &self.0 {
            text.push_str(shape);
            text.push('\n');
        }
        fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
    }

    pub(crate) fn add(&mut self, others: &Shapes) {
        self.0.extend(others.0.iter().cloned());
    }

    /// These shapes without the known ones.
    pub(crate) fn new_since<'a>(&'a self, known: &'a Shapes) -> impl Iterator<Item = &'a str> {
        self.0.difference(&known.0).map(String::as_str)
    }

    /// The rest of each shape that begins with `prefix`.
    pub(crate) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |shape| shape.strip_prefix(prefix))
    }

    pub(crate) fn add_line(&mut self, line: &str, value: &Value) {
        let kind = kind(value);
        Decoder::new(MAX_LINE_BYTES).feed(format!("{line}\n").as_bytes(), |decoded| {
            match decoded.map(|line| line.event) {
                Ok(AgentEvent::Unknown { kind }) => drop(self.0.insert(format!("not decoded: {kind}"))),
                Ok(_) => {}
                Err(_) => drop(self.0.insert("not decoded: a line that is not JSON".to_owned())),
            }
        });
        self.0.insert(kind.clone());
        self.add_fields(&kind, "", value);
        for (field, name) in NAMES {
            for member in value[field].as_array().into_iter().flatten().filter_map(Value::as_str) {
                self.0.insert(format!("{name} {member}"));
            }
        }
    }

    pub(crate) fn add_request(&mut self, request: &RecordedRequest) {
        self.0.insert(format!("request path {}", request.path));
        for (name, value) in &request.headers {
            self.0.insert(format!("request header {name}"));
            if name == "anthropic-beta" {
                self.0.extend(value.split(',').map(|beta| format!("request beta {}", beta.trim())));
            }
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        for field in body.as_object().into_iter().flat_map(|fields| fields.keys()) {
            self.0.insert(format!("request field {field}"));
        }
    }

    fn add_fields(&mut self, kind: &str, path: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let is_map = MAPS.iter().any(|map| path.ends_with(map));
                    let path = format!("{path}.{}", if is_map { "*" } else { name });
                    let content = if OPAQUE.contains(&name.as_str()) { "any" } else { type_of(value) };
                    self.0.insert(format!("{kind} {path}: {content}"));
                    if let Some(word) = value.as_str().filter(|_| WORDS.contains(&name.as_str())) {
                        self.0.insert(format!("{kind} {path} = {word}"));
                    }
                    if content != "any" {
                        self.add_fields(kind, &path, value);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add_fields(kind, &format!("{path}[]"), item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// The path of a line's types.
fn kind(line: &Value) -> String {
    let inner = match line["type"].as_str().unwrap_or_default() {
        "stream_event" => {
            let event = &line["event"];
            return [
                "stream_event",
                word(&event["type"]),
                word(&event["delta"]["type"]),
                word(&event["content_block"]["type"]),
            ]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        }
        "control_request" => &line["request"]["subtype"],
        "control_response" => &line["response"]["subtype"],
        _ => &line["subtype"],
    };
    let kind = word(&line["type"]).to_owned();
    if word(inner).is_empty() { kind } else { format!("{kind}/{}", word(inner)) }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        let mut shapes = Shapes::default();
        shapes.add_line(line, &serde_json::from_str(line).unwrap());
        shapes.0.into_iter().collect()
    }

    #[test]
    fn a_line_has_its_kind_its_fields_and_its_words() {
        let line = r#"{"type":"result","subtype":"success","terminal_reason":"completed","modelUsage":{"a-model":{"costUSD":1}}}"#;
        assert_eq!(
            of(line),
            [
                "result/success",
                "result/success .modelUsage.*.costUSD: number",
                "result/success .modelUsage.*: object",
                "result/success .modelUsage: object",
                "result/success .subtype: string",
                "result/success .terminal_reason = completed",
                "result/success .terminal_reason: string",
                "result/success .type: string",
            ]
        );
    }

    #[test]
    fn what_the_decoder_does_not_know_is_marked() {
        assert!(of(r#"{"type":"new_thing"}"#).contains(&"not decoded: new_thing".to_owned()));
        assert!(
            of(r#"{"type":"system","subtype":"init","session_id":"s","model":"m","tools":["Monitor"]}"#)
                .contains(&"tool Monitor".to_owned())
        );
    }

    #[test]
    fn only_unknown_shapes_are_new() {
        let [mut known, mut seen] = [Shapes::default(), Shapes::default()];
        known.0.insert("a".to_owned());
        seen.0.extend(["a".to_owned(), "b".to_owned()]);
        assert_eq!(seen.new_since(&known).collect::<Vec<_>>(), ["b"]);
    }
}
