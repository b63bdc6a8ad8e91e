use serde_json::{Value, json};

use super::{Conversation, ToolResult};

fn parse(messages: &Value) -> Conversation {
    Conversation::parse(json!({ "model": "m", "messages": messages }).to_string().as_bytes()).unwrap()
}

#[test]
fn what_the_client_adds_is_no_prompt() {
    let conversation = parse(&json!([
        { "role": "user", "content": [
            { "type": "text", "text": "<system-reminder>\nToday is a day.\n</system-reminder>\n" },
            { "type": "text", "text": "slow:100" },
            { "type": "text", "text": "[Request interrupted by user]" },
            { "type": "text", "text": "<system-reminder>x</system-reminder>\nsay:next" }] },
        { "role": "assistant", "content": "next" },
        { "role": "user", "content": "[structured-output-enforce] You MUST call the StructuredOutput tool." },
    ]));
    assert_eq!(conversation.prompts, ["slow:100", "say:next"]);
}

#[test]
fn a_reminder_is_not_part_of_a_tool_result() {
    let conversation = parse(&json!([
        { "role": "user", "content": "hi" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "Bash", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a",
            "content": "{\"id\":1}\n\n<system-reminder>\nThe task tools exist.\n</system-reminder>" }] },
    ]));
    assert_eq!(conversation.results[0].text, "{\"id\":1}");
    assert_eq!(conversation.prompts, ["hi"]);
}

#[test]
fn a_context_preamble_is_not_part_of_the_message() {
    let conversation = parse(&json!([{ "role": "user", "content": "## Context\n\nChannel: chat\n\n---\n\nHello" }]));
    assert_eq!(conversation.message(), "Hello");
    assert!(conversation.prompt().starts_with("## Context"));
}

#[test]
fn results_and_rounds_count_from_the_last_prompt() {
    let call = |id: &str| {
        json!({ "role": "assistant", "content": [
        { "type": "tool_use", "id": id, "name": "Bash", "input": {} }] })
    };
    let result = |id: &str, failed: bool| {
        json!({ "role": "user", "content": [
        { "type": "tool_result", "tool_use_id": id, "content": id, "is_error": failed }] })
    };
    let conversation = parse(&json!([
        { "role": "user", "content": "one" }, call("a"), result("a", false),
        { "role": "assistant", "content": "done" },
        { "role": "user", "content": "two" }, call("b"), result("b", false), call("c"), result("c", true),
    ]));
    let result = |text: &str, failed| ToolResult { tool: "Bash".to_owned(), text: text.to_owned(), failed };
    assert_eq!(conversation.earlier_results, [result("a", false)]);
    assert_eq!(conversation.results, [result("b", false), result("c", true)]);
    assert_eq!(conversation.rounds, 2);
}
