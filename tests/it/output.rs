//! Structured answers, with a schema and without one.

use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

#[tokio::test]
async fn without_a_schema_the_output_is_an_object_that_was_meant_as_one() {
    let server = TestServer::start().await;
    let object = json!({ "a": "} {", "b": [1] });
    for message in [format!("say:{object}"), format!("say:```json\n{object}\n```")] {
        let answer = server.task("s", &message).await.ok();
        assert_eq!((&answer["output"], answer.get("response")), (&object, None), "{message}");
    }
    // The text before the object is part of the answer.
    let text = format!("Here it is {{not this}}:\n```json\n{object}\n```");
    let answer = server.task("s", &format!("say:{text}")).await.ok();
    assert_eq!((&answer["output"], &answer["response"]), (&object, &json!(text)));
    for text in
        ["No {object} here.", "Set `config.json` to {\"a\": 1} and restart.", "```json\n{\"a\": 1}\n```\nSave this."]
    {
        let answer = server.task("s", &format!("say:{text}")).await.ok();
        assert_eq!((&answer["output"], &answer["response"]), (&Value::Null, &json!(text)));
    }
    server.finish().await;
}

/// An agent that answers in plain text until it gets the schema error.
const STUBBORN: &str = r#"
[[script]]
name = "told"
when.message = ["*could not be used*"]
[[script.step]]
output = { action = "reply", response = "now as an object", confidence = 1.0 }

[[script]]
name = "words"
when.message = ["answer in words"]
[[script.step]]
text = "Only words."
"#;

#[tokio::test]
async fn with_a_schema_an_answer_fits_it_or_the_task_fails() {
    let server = Setup::new().acme_agent().scripts(STUBBORN).start().await;
    let right = json!({ "action": "reply", "response": "hi", "confidence": 1 });
    let answer = server.task("s", &format!("json:{right}")).await.ok();
    assert_eq!(answer["output"], right);
    assert_eq!(answer["tools"], json!([]), "the mechanism is no tool");

    let answer = server.task("s", "answer in words").await.ok();
    assert_eq!(answer["output"]["response"], "now as an object");

    let wrong = server.task("s", r#"json:{"action":"sing"}"#).await.problem(502, "invalid_output");
    assert_eq!((&wrong["status"], &wrong["errorType"]), (&json!("failed"), &json!("invalid_output")));
    assert_eq!(server.task("s", &format!("json:{right}")).await.ok()["output"], right);
    server.finish().await;
}

/// A schema with everything that Claude Code refuses, for which it omits its tool without a word.
const MODERN: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://acme.test/answer",
    "x-owner": "support",
    "properties": {
        "action": { "enum": ["reply"], "example": "reply" },
        "user": { "$ref": "#/$defs/user" },
        "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "number" }], "items": false },
        "code": { "type": "string", "pattern": "^[a-z]+\\-[0-9]+$" },
        "mail": { "type": "string", "format": "email" }
    },
    "required": ["action"],
    "dependentRequired": { "user": ["code"] },
    "unevaluatedProperties": false,
    "oneOf": [{ "required": ["user"] }, { "required": ["mail"], "minContains": 2 }],
    "$defs": { "user": { "$anchor": "user", "type": "object", "deprecated": true } }
}"##;

#[tokio::test]
async fn a_schema_of_any_draft_reaches_the_agent_and_is_validated_in_full() {
    let server = Setup::new().template_file("OUTPUT.schema.json", format!("\u{feff}{MODERN}"), 0o644).start().await;
    let right = json!({ "action": "reply", "mail": "a@acme.test", "pair": ["a", 1] });
    let answer = server.task("s", &format!("json:{right}")).await.ok();
    assert_eq!((&answer["output"], &answer["tools"]), (&right, &json!([])));
    for wrong in [
        json!({ "action": "reply", "mail": "a@acme.test", "more": 1 }),
        json!({ "action": "reply", "mail": "nobody" }),
        json!({ "action": "reply", "mail": "a@acme.test", "pair": [1, "a"] }),
        json!({ "action": "reply", "user": {} }),
        json!({ "action": "reply", "user": {}, "code": "A-1" }),
    ] {
        // The agent is told why by Claude Code or by the server, and gives the same answer again.
        server.task("s", &format!("json:{wrong}")).await.problem(502, "invalid_output");
    }
    server.finish().await;
}
