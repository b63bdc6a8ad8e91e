use serde_json::json;

use super::{MissingValue, Scope, unknown_names};
use crate::scripted_model::conversation::Conversation;
use crate::scripted_model::glob::Captures;

fn conversation() -> Conversation {
    let body = json!({ "model": "m", "messages": [
        { "role": "user", "content": "the first" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "Bash", "input": {} }] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "a", "content": "{\"plan\":\"Pro\"}" }] },
        { "role": "assistant", "content": "answered" },
        { "role": "user", "content": "the last" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "b", "name": "Bash", "input": {} }] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "b", "content": [
                { "type": "text", "text": "{\"used\":1234567,\"user\":{\"id\":\"u\"}}" }] }] },
    ]});
    Conversation::parse(body.to_string().as_bytes()).unwrap()
}

#[test]
fn fills_placeholders_from_captures_messages_and_tool_results() {
    let conversation = conversation();
    let captures = Captures::from([("word".to_owned(), "blue".to_owned())]);
    let scope = Scope { conversation: &conversation, captures };
    let template = json!({
        "text": "{{word}}, {{first_user_message}}, {{message}}, {{tool_result.0.json.used|thousands}}, {{known.plan}}",
        "user": "{{tool_result.json.user}}",
        "list": ["{{model}}", 1],
    });
    let expected =
        json!({ "text": "blue, the first, the last, 1,234,567, Pro", "user": { "id": "u" }, "list": ["m", 1] });
    assert_eq!(scope.json(&template).unwrap(), expected);
    assert_eq!(scope.text("{{tool_result.1}}"), Err(MissingValue("tool_result.1".to_owned())));
    assert_eq!(scope.text("{{tool_result.json.absent}}"), Err(MissingValue("tool_result.json.absent".to_owned())));
}

#[test]
fn names_placeholders_that_nothing_can_fill() {
    assert_eq!(unknown_names("{{word}} {{tool_result.json.id}} {{wrod}}", &["word"]), ["wrod"]);
    assert_eq!(unknown_names("{{model|upper}}", &[]), ["model|upper"]);
}
