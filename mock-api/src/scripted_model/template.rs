//! `{{placeholders}}` in the texts, commands and outputs of a script.

use serde_json::Value;

use super::conversation::{Conversation, ToolResult};
use super::glob::Captures;

/// The values for placeholders.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) conversation: &'a Conversation,
    pub(super) captures: Captures,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no value for {{{{{0}}}}}")]
pub(super) struct MissingValue(pub(super) String);

/// The built-in placeholders. Each may be followed by `|thousands`.
const NAMES: [&str; 6] = ["message", "first_user_message", "earlier_messages", "model", "tool_result", "known"];

impl Scope<'_> {
    /// Replaces every placeholder of `template` with text.
    pub(super) fn text(&self, template: &str) -> Result<String, MissingValue> {
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, name, after)) = next_placeholder(rest) {
            text.push_str(before);
            text.push_str(&match self.value(name)? {
                Value::String(value) => value,
                other => other.to_string(),
            });
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    /// Replaces placeholders in the strings inside `template`. A string that is one placeholder becomes the value
    /// itself, of any type.
    pub(super) fn json(&self, template: &Value) -> Result<Value, MissingValue> {
        Ok(match template {
            Value::String(text) => match next_placeholder(text) {
                Some(("", name, "")) => self.value(name)?,
                _ => Value::String(self.text(text)?),
            },
            Value::Array(items) => Value::Array(items.iter().map(|item| self.json(item)).collect::<Result<_, _>>()?),
            Value::Object(fields) => Value::Object(
                fields.iter().map(|(key, value)| Ok((key.clone(), self.json(value)?))).collect::<Result<_, _>>()?,
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
        })
    }

    fn value(&self, placeholder: &str) -> Result<Value, MissingValue> {
        let missing = || MissingValue(placeholder.to_owned());
        let (path, filter) = match placeholder.split_once('|') {
            Some((path, filter)) => (path.trim(), Some(filter.trim())),
            None => (placeholder.trim(), None),
        };
        let value = self.unfiltered(path).ok_or_else(missing)?;
        match filter {
            None => Ok(value),
            Some("thousands") => value.as_u64().map(|number| Value::String(thousands(number))).ok_or_else(missing),
            Some(_) => Err(missing()),
        }
    }

    fn unfiltered(&self, path: &str) -> Option<Value> {
        if let Some(word) = self.captures.get(path) {
            return Some(Value::String(word.clone()));
        }
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        match name {
            "message" => Some(self.conversation.message().into()),
            "first_user_message" => {
                Some(self.conversation.earlier_messages().next().unwrap_or(self.conversation.message()).into())
            }
            "earlier_messages" => Some(listed(self.conversation.earlier_messages()).into()),
            "model" => Some(self.conversation.model.clone().into()),
            "tool_result" => result_value(&self.conversation.results, rest),
            "known" => self.conversation.earlier_results.iter().rev().find_map(|result| json_at(result, rest)),
            _ => None,
        }
    }
}

/// The placeholders of `template` that no request can fill: their names are neither built in nor in `captures`.
pub(super) fn unknown_names(template: &str, captures: &[&str]) -> Vec<String> {
    let mut unknown = Vec::new();
    let mut rest = template;
    while let Some((_, placeholder, after)) = next_placeholder(rest) {
        let (path, filter) = placeholder.split_once('|').unwrap_or((placeholder, "thousands"));
        let name = path.trim().split('.').next().unwrap_or_default();
        if !(NAMES.contains(&name) || captures.contains(&path.trim())) || filter.trim() != "thousands" {
            unknown.push(placeholder.to_owned());
        }
        rest = after;
    }
    unknown
}

/// A numbered list, one item per line.
pub(super) fn listed<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.enumerate().map(|(index, item)| format!("{}. {item}", index + 1)).collect::<Vec<_>>().join("\n")
}

/// Splits `text` into the part before the next placeholder, the placeholder's name, and the rest.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

/// Resolves `tool_result` (the text of the last one), `tool_result.N`, and both with `.json.FIELD.FIELD`.
fn result_value(results: &[ToolResult], path: &str) -> Option<Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (result, rest) = match first.parse::<usize>() {
        Ok(number) => (results.get(number)?, rest),
        Err(_) => (results.last()?, path),
    };
    match rest {
        "" => Some(result.text.clone().into()),
        "json" => json_at(result, ""),
        _ => json_at(result, rest.strip_prefix("json.")?),
    }
}

/// The value at a dotted path in a JSON result.
fn json_at(result: &ToolResult, path: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(&result.text).ok()?;
    let fields = path.split('.').filter(|field| !field.is_empty());
    value.pointer(&fields.fold(String::new(), |pointer, field| pointer + "/" + field)).cloned()
}

/// Formats `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests;
