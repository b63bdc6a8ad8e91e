//! The keywords of a schema that the CLI accepts. It validates with Ajv in strict mode, which knows draft-07 and refuses a
//! schema with any other keyword. The model API expects a schema of draft 2020-12, so a keyword must mean the same in both.

use serde_json::Value;

/// The content of a keyword.
pub(super) enum Content {
    /// Describes the value and restricts nothing.
    Annotation(fn(&Value) -> bool),
    /// Restricts the value. The content contains no schema.
    Assertion(fn(&Value) -> bool),
    Schema,
    Schemas,
    SchemaByName,
    /// Restricts the value in newer drafts, and the CLI does not know it.
    Newer,
}

/// `None`: the keyword means nothing to a validator.
pub(super) fn content_of(keyword: &str) -> Option<Content> {
    Some(match keyword {
        "title" | "description" | "$comment" | "contentEncoding" | "contentMediaType" => {
            Content::Annotation(Value::is_string)
        }
        "readOnly" | "writeOnly" => Content::Annotation(Value::is_boolean),
        "default" => Content::Annotation(|_| true),
        "examples" => Content::Annotation(Value::is_array),
        "type" => Content::Assertion(is_type),
        "enum" => {
            Content::Assertion(|value| value.as_array().is_some_and(|values| !values.is_empty() && are_unique(values)))
        }
        "const" => Content::Assertion(|_| true),
        "multipleOf" => Content::Assertion(|value| value.as_f64().is_some_and(|number| number > 0.0)),
        "maximum" | "exclusiveMaximum" | "minimum" | "exclusiveMinimum" => Content::Assertion(Value::is_number),
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties" => {
            Content::Assertion(is_count)
        }
        "pattern" => Content::Assertion(|value| value.as_str().is_some_and(|text| pattern(text).is_some())),
        "uniqueItems" => Content::Assertion(Value::is_boolean),
        "required" => Content::Assertion(|value| {
            value.as_array().is_some_and(|names| names.iter().all(Value::is_string) && are_unique(names))
        }),
        "propertyNames" | "additionalProperties" | "contains" | "not" | "if" | "then" | "else" => Content::Schema,
        "allOf" | "anyOf" | "oneOf" => Content::Schemas,
        "properties" | "patternProperties" => Content::SchemaByName,
        "unevaluatedProperties" | "unevaluatedItems" | "minContains" | "maxContains" => Content::Newer,
        _ => return None,
    })
}

/// The pattern as the CLI compiles it: with JavaScript's flag `u`. `None` if it does not compile there.
pub(super) fn pattern(text: &str) -> Option<regress::Regex> {
    regress::Regex::with_flags(text, "u").ok()
}

fn is_type(value: &Value) -> bool {
    const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];
    let is_name = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    match value {
        Value::Array(names) => !names.is_empty() && names.iter().all(is_name) && are_unique(names),
        name => is_name(name),
    }
}

fn is_count(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0)
}

fn are_unique(values: &[Value]) -> bool {
    values.iter().enumerate().all(|(index, value)| !values[..index].contains(value))
}
