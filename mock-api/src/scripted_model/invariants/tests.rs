use serde_json::{Value, json};

use super::check_conversation;

fn rules(messages: &Value) -> Vec<String> {
    check_conversation(&json!({ "messages": messages })).into_iter().map(|(_, detail)| detail).collect()
}

fn call(id: &str) -> Value {
    json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "Bash", "input": {} }] })
}

fn result(id: &str) -> Value {
    json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "x" }] })
}

#[test]
fn a_correct_conversation_breaks_nothing() {
    let user = json!({ "role": "user", "content": "hi" });
    let none: Vec<String> = Vec::new();
    assert_eq!(rules(&json!([user, call("a"), result("a"), { "role": "assistant", "content": "ok" }, user])), none);
    // Calls and results in several messages of one role are one turn.
    assert_eq!(rules(&json!([user, call("a"), call("b"), result("b"), result("a")])), none);
}

#[test]
fn unpaired_calls_and_results_are_named() {
    let user = json!({ "role": "user", "content": "hi" });
    assert_eq!(rules(&json!([user, call("a"), user])), ["the tool_use a has no tool_result in the next message"]);
    assert_eq!(rules(&json!([user, call("a")])), ["the tool_use a has no tool_result in the next message"]);
    assert_eq!(rules(&json!([user, result("a")])), ["the tool_result a has no tool_use in the message before"]);
    assert_eq!(rules(&json!([user, call("a"), result("a"), result("a")])), ["the tool_use a has two results"]);
    assert_eq!(
        rules(&json!([user, call("a"), result("a"), call("a"), result("a")])),
        ["the tool_use id a comes twice"]
    );
}

#[test]
fn the_user_begins() {
    let expected = ["the messages do not begin with one of the user"];
    assert_eq!(rules(&json!([{ "role": "assistant", "content": "hi" }])), expected);
    assert_eq!(rules(&json!([])), expected);
}
