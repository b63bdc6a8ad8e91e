//! The types and the fields of schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::source::{MAX_DEPTH, Source};
use crate::names::is_sayable;

/// The types that a value may have, without null.
#[derive(Debug, Default)]
pub(super) struct Types {
    names: BTreeSet<&'static str>,
    marks: BTreeSet<Mark>,
}

/// A property of a value besides its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Password,
    /// The value is one of a list.
    Choice,
    /// The value is the content of a file.
    Binary,
    /// The value is a part of answers only.
    ReadOnly,
}

impl Types {
    pub(super) fn of(source: &Source<'_>, schema: &Value) -> Self {
        let mut types = Types::default();
        types.add(source, schema, &mut Open::default());
        types
    }

    /// True if the value is a string, or null.
    pub(super) fn is_text(&self) -> bool {
        self.names.len() == 1 && self.names.contains("string")
    }

    /// True if the schema says nothing about the type.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn is_object(&self) -> bool {
        self.names.contains("object")
    }

    pub(super) fn is(&self, mark: Mark) -> bool {
        self.marks.contains(&mark)
    }

    fn add(&mut self, source: &Source<'_>, schema: &Value, open: &mut Open) {
        let is_read_only = |schema: &Value| schema["readOnly"] == true;
        self.mark(Mark::ReadOnly, is_read_only(schema));
        let Ok(schema) = source.resolved(schema) else { return };
        self.mark(Mark::ReadOnly, is_read_only(schema));
        let given = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            Value::String(name) => vec![name.as_str()],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        self.names.extend(given.into_iter().filter_map(known));
        if schema["properties"].is_object() && schema["type"].is_null() {
            self.names.insert("object");
        }
        let is_file = schema["type"] == "file" || schema["contentMediaType"] == "application/octet-stream";
        self.mark(Mark::Password, schema["format"] == "password");
        self.mark(Mark::Binary, schema["format"] == "binary" || is_file);
        let values = schema["enum"].as_array().into_iter().flatten().chain(schema.get("const"));
        for value in values.filter(|value| !value.is_null()) {
            self.marks.insert(Mark::Choice);
            self.names.insert(type_of(value));
        }
        if !open.enter(schema) {
            return;
        }
        if schema["type"] == "array" {
            let mut items = Types::default();
            items.add(source, &schema["items"], open);
            self.mark(Mark::Binary, items.is(Mark::Binary));
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            for part in schema[key].as_array().into_iter().flatten() {
                let was_read_only = self.is(Mark::ReadOnly);
                self.add(source, part, open);
                // An alternative that is read only does not make the others so.
                if key != "allOf" && !was_read_only {
                    self.marks.remove(&Mark::ReadOnly);
                }
            }
        }
        open.leave();
    }

    fn mark(&mut self, mark: Mark, applies: bool) {
        if applies {
            self.marks.insert(mark);
        }
    }
}

fn known(name: &str) -> Option<&'static str> {
    ["string", "number", "integer", "boolean", "array", "object", "file"].into_iter().find(|known| *known == name)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) | Value::Null => "string",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The schemas that are being read, from the outermost to the innermost one. A base names its children and each child its base, so a
/// schema that is open already says nothing new.
#[derive(Default)]
struct Open(Vec<*const Value>);

impl Open {
    /// Returns false for a schema that is open already, or too deep.
    fn enter(&mut self, schema: &Value) -> bool {
        let enters = self.0.len() < MAX_DEPTH && !self.0.iter().any(|open| std::ptr::eq(*open, schema));
        if enters {
            self.0.push(schema);
        }
        enters
    }

    fn leave(&mut self) {
        self.0.pop();
    }
}

/// The fields of an object that a request may have.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) of: BTreeMap<String, &'a Value>,
    pub(super) required: BTreeSet<String>,
}

impl Fields<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

/// Collects the fields of an object: those of all parts of `allOf`, and of all alternatives of `anyOf` and `oneOf`.
/// Fields that are read only belong to answers.
pub(super) fn fields<'a>(source: &Source<'a>, schema: &'a Value) -> Fields<'a> {
    let mut fields = collected(source, schema, &mut Open::default());
    fields.of.retain(|name, schema| is_sayable(name) && !Types::of(source, schema).is(Mark::ReadOnly));
    let Fields { of, required } = &mut fields;
    required.retain(|name| of.contains_key(name));
    fields
}

fn collected<'a>(source: &Source<'a>, schema: &'a Value, open: &mut Open) -> Fields<'a> {
    let mut fields = Fields::default();
    let Ok(schema) = source.resolved(schema) else { return fields };
    if !open.enter(schema) {
        return fields;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        fields.of.insert(name.clone(), property);
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    fields.required.extend(required.map(str::to_owned));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = collected(source, part, open);
        fields.of.extend(part.of);
        fields.required.extend(part.required);
    }
    for key in ["anyOf", "oneOf"] {
        let alternatives = schema[key].as_array().into_iter().flatten();
        let alternatives: Vec<Fields<'a>> =
            alternatives.filter(|part| part["type"] != "null").map(|part| collected(source, part, open)).collect();
        // A field is needed if every alternative needs it.
        let needed = alternatives.iter().map(|part| part.required.clone());
        let needed = needed.reduce(|left, right| left.intersection(&right).cloned().collect()).unwrap_or_default();
        fields.required.extend(needed);
        for part in alternatives {
            fields.of.extend(part.of);
        }
    }
    open.leave();
    fields
}
