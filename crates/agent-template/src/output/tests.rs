use proptest::prelude::*;
use serde_json::{Value, json};

use super::find_object;

/// The object, and true if there is text besides it.
fn found(text: &str) -> (Value, bool) {
    find_object(text).map_or((Value::Null, true), |found| (Value::Object(found.object), found.has_prose))
}

#[test]
fn an_answer_that_is_an_object_or_ends_in_a_fenced_one_has_it_as_output() {
    let object = json!({"action": "resolve", "response": "braces } in { strings", "n": {"a": [1]}});
    let text = object.to_string();
    let pretty = serde_json::to_string_pretty(&object).unwrap();
    for answer in [
        text.clone(),
        format!("\n  {pretty}\r\n"),
        format!("\u{feff}{text}"),
        format!("```json\n{pretty}\n```"),
        format!("\n~~~\n{text}\n~~~\n\n"),
        format!("```JSON\r\n{text}\r\n```\r\n"),
        format!("```json\n{text}"),
    ] {
        assert_eq!(found(&answer), (object.clone(), false), "{answer}");
    }
    for answer in [
        format!("Here you are:\n```json\n{pretty}\n```\n"),
        format!("```\nnot json {{\n```\nand\n````\n{text}\n`````"),
        format!("```json\n{{\"a\": 1}}\n```\n```json\n{text}\n```"),
    ] {
        assert_eq!(found(&answer), (object.clone(), true), "{answer}");
    }
}

#[test]
fn text_that_only_has_braces_in_it_is_text() {
    for answer in [
        "",
        "no object",
        "{",
        "[1,2]",
        "{'single': 1}",
        "}{",
        "Sure! {\"a\": 1} Bye.",
        "Set it to {\"a\": 1}",
        "{\"a\": 1}\nThat is all.",
        "{\"a\": 1} {\"b\": 2}",
        "```json\n{\"a\": 1}\n```\nSave this as config.json.",
        "```json\n[1]\n```",
        "```python\n{\"a\": 1}\n```",
        "Use ```{\"a\": 1}```",
        "```json {\"a\": 1}```",
        "```\n```json\n{\"a\": 1}\n```\n```",
    ] {
        assert_eq!(found(answer), (Value::Null, true), "{answer}");
    }
    assert_eq!(found(&"{".repeat(1_000_000)).0, Value::Null);
    assert_eq!(found(&"{\"a\":".repeat(200_000)).0, Value::Null);
}

proptest! {
    #[test]
    fn any_text_is_searched_without_harm(text in "[{}\"`~a:,\\\\\n \\[\\]é]{0,200}") {
        let _ = find_object(&text);
    }
}
