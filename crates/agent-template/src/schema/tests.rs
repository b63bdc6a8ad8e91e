//! Tests of schemas: the errors for invalid ones, and the schema that the CLI gets.

use serde_json::{Value, json};

use super::OutputSchema;

fn compile(schema: &Value) -> OutputSchema {
    OutputSchema::compile(&schema.to_string()).unwrap()
}

/// The schema for the CLI.
fn accepted(schema: &Value) -> Value {
    serde_json::from_str(compile(schema).source().get()).unwrap()
}

/// The schema for the CLI of an object with this property.
fn property(schema: &Value) -> Value {
    accepted(&json!({ "type": "object", "properties": { "a": schema } }))["properties"]["a"].clone()
}

#[test]
fn a_schema_says_what_is_wrong_with_an_answer_and_where() {
    let schema = json!({ "type": "object", "properties": { "action": { "enum": ["reply"] } }, "required": ["action"] });
    let schema = compile(&schema);
    assert_eq!(schema.check(&json!({"action": "reply"})), Ok(()));
    assert!(schema.check(&json!({"action": "x"})).unwrap_err().starts_with("/action: "));
    assert!(schema.check(&json!({})).unwrap_err().contains("action"));
}

#[test]
fn an_invalid_schema_is_an_error_with_its_place() {
    for (text, line, column, words) in [
        ("", 1, 1, "not JSON"),
        ("{\n  \"type\": \"object\",\n}", 3, 1, "not JSON"),
        ("[]", 1, 1, "this is an array"),
        ("\n\"object\"", 2, 1, "this is a string"),
        ("true", 1, 1, "this is a boolean"),
        ("null", 1, 1, "this is null"),
        ("{\n  \"type\": \"array\"\n}", 2, 11, "must be \"object\""),
        ("{\"type\": [\"string\", \"null\"]}", 1, 10, "must be \"object\""),
        ("{\n\"enum\": [\"yes\"]}", 2, 9, "no object fits `enum`"),
        ("{\"const\": 1}", 1, 11, "no object fits `const`"),
        ("{\n\"properties\": {\n  \"a/b\": {\"type\": 7}\n}}", 3, 19, "/properties/a~1b/type: "),
        ("{\"properties\": {\"a\": {\"anyOf\": [{},\n{\"type\": \"strng\"}]}}}", 2, 10, "strng"),
        ("{\"properties\": {\"a\": {\"pattern\": \"(\"}}}", 1, 1, ""),
        ("{\"$ref\": \"http://127.0.0.1:9/x.json\"}", 1, 1, "127.0.0.1:9"),
        ("{\"$ref\": \"#/definitions/none\"}", 1, 1, "/definitions/none"),
    ] {
        let error = OutputSchema::compile(text).expect_err(text);
        assert!(error.reason.contains(words), "{text}: {error:?}");
        if !words.is_empty() && !text.contains("$ref") {
            assert_eq!((error.line, error.column), (line, column), "{text}: {error:?}");
        }
    }
}

#[test]
fn the_cli_gets_what_it_knows_and_the_rest_is_validated_here() {
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://acme.test/answer.json",
        "type": "object",
        "x-owner": "support",
        "properties": {
            "mail": { "type": "string", "format": "email", "example": "a@b.test", "description": "Where to reply" },
            "user": { "$ref": "#/$defs/user" },
            "score": { "$ref": "#score" },
        },
        "required": ["mail"],
        "unevaluatedProperties": false,
        "$defs": {
            "user": { "type": "object", "properties": { "name": { "type": "string", "pattern": "^\\-?a" } } },
            "score": { "$anchor": "score", "type": "number", "deprecated": true, "maximum": 1 },
            "unused": { "type": "null" },
        },
    });
    let expected = json!({
        "type": "object",
        "properties": {
            "mail": { "type": "string", "description": "Where to reply (format: email)" },
            "user": { "$ref": "#/definitions/user" },
            "score": { "$ref": "#/definitions/score" },
        },
        "required": ["mail"],
        "definitions": {
            "score": { "type": "number", "maximum": 1 },
            "user": { "type": "object", "properties": { "name": { "type": "string" } } },
        },
    });
    assert_eq!(accepted(&whole), expected);
    let schema = compile(&whole);
    assert_eq!(schema.check(&json!({ "mail": "a@acme.test", "user": { "name": "-a" }, "score": 0.5 })), Ok(()));
    for wrong in [
        json!({ "mail": "a@acme.test", "more": 1 }),
        json!({ "mail": "nobody" }),
        json!({ "mail": "a@acme.test", "user": { "name": "b" } }),
        json!({ "mail": "a@acme.test", "score": 2 }),
    ] {
        assert!(schema.check(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_keyword_of_another_draft_becomes_one_of_the_clis_or_is_taken_out() {
    for (schema, expected) in [
        (json!({ "type": "string", "nullable": true }), json!({ "type": "string" })),
        (json!({ "enum": [] }), json!({})),
        (json!({ "prefixItems": [{ "type": "string" }] }), json!({})),
        (
            json!({ "prefixItems": [{ "type": "string" }, { "const": 1 }], "items": false }),
            json!({ "maxItems": 2, "items": { "anyOf": [{ "type": "string" }, { "const": 1 }] } }),
        ),
        (json!({ "items": { "type": "string" }, "additionalItems": false }), json!({ "items": { "type": "string" } })),
        (json!({ "contains": { "const": 1 }, "minContains": 0 }), json!({})),
        (json!({ "contains": { "const": 1 }, "maxContains": 3 }), json!({ "contains": { "const": 1 } })),
        (
            json!({ "dependentRequired": { "a": ["b"] }, "dependentSchemas": { "a": { "x": 1 }, "c": true } }),
            json!({ "dependencies": { "a": { "required": ["b"], "allOf": [{}] }, "c": true } }),
        ),
        (json!({ "then": { "required": ["a"] } }), json!({})),
        (json!({ "if": { "required": ["a"] } }), json!({})),
        (
            json!({ "properties": { "ab": {} }, "patternProperties": { "^a": {} }, "additionalProperties": false }),
            json!({ "properties": { "ab": {} } }),
        ),
        (
            json!({ "properties": { "b": {} }, "patternProperties": { "^a": {} }, "additionalProperties": false }),
            json!({ "properties": { "b": {} }, "patternProperties": { "^a": {} }, "additionalProperties": false }),
        ),
        // A name like a keyword is a name in `properties`, and a value in `const` and `enum`.
        (
            json!({ "properties": { "$schema": { "const": { "x-y": 1 } } }, "enum": [{ "$ref": "#" }] }),
            json!({ "properties": { "$schema": { "const": { "x-y": 1 } } }, "enum": [{ "$ref": "#" }] }),
        ),
    ] {
        assert_eq!(property(&schema), expected, "{schema}");
    }
    let draft_4 = json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "id": "http://acme.test/x",
        "properties": { "a": { "minimum": 1, "exclusiveMinimum": true }, "b": { "$ref": "#/properties/a", "maximum": 0 } },
    });
    let expected = json!({
        "type": "object",
        "properties": { "a": { "exclusiveMinimum": 1 }, "b": { "$ref": "#/definitions/a" } },
        "definitions": { "a": { "exclusiveMinimum": 1 } },
    });
    assert_eq!(accepted(&draft_4), expected);
}

#[test]
fn what_is_taken_out_never_makes_the_rest_stricter() {
    let schema = json!({ "not": { "contains": { "const": 1 }, "minContains": 2 } });
    assert_eq!(property(&schema), json!({}));
    let schema = json!({ "oneOf": [{ "unevaluatedItems": false }, { "type": "array" }], "allOf": [{ "minItems": 1 }] });
    let expected = json!({ "allOf": [{ "anyOf": [{}, { "type": "array" }] }, { "minItems": 1 }] });
    assert_eq!(property(&schema), expected);
    // Nothing is lost here, so nothing is loosened.
    let exact = json!({ "oneOf": [{ "type": "null" }, { "not": { "const": 1 } }] });
    assert_eq!(property(&exact), exact);
}

#[test]
fn the_top_level_becomes_an_object() {
    let referenced =
        json!({ "$ref": "#/$defs/r", "$defs": { "r": { "required": ["a"], "properties": { "a": { "$ref": "#" } } } } });
    let expected = json!({
        "type": "object",
        "properties": { "a": { "$ref": "#/definitions/root" } },
        "required": ["a"],
        "definitions": {
            "r": { "required": ["a"], "properties": { "a": { "$ref": "#/definitions/root" } } },
            "root": { "$ref": "#/definitions/r" },
        },
    });
    assert_eq!(accepted(&referenced), expected);
    let either = json!({
        "additionalProperties": false,
        "properties": { "kind": { "type": "string" } },
        "anyOf": [
            { "properties": { "a": { "type": "string" } }, "required": ["kind", "a"] },
            { "properties": { "a": { "type": "number" }, "b": true }, "required": ["b", "kind"] },
        ],
    });
    let expected = json!({
        "type": "object",
        "properties": {
            "kind": { "type": "string" },
            "a": { "anyOf": [{ "type": "string" }, { "type": "number" }] },
            "b": true,
        },
        "required": ["kind"],
    });
    assert_eq!(accepted(&either), expected);
    assert_eq!(accepted(&json!({ "type": ["object", "null"] })), json!({ "type": "object" }));
    assert_eq!(accepted(&json!({})), json!({ "type": "object" }));
}
