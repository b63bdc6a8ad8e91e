use serde_json::{Value, json};

use crate::asking::{Model, ask, called, conversation, failed, returned, said, user, with_output_tool};

fn sample_schema() -> Value {
    serde_json::from_str(include_str!("../../../agent/OUTPUT.schema.json")).unwrap()
}

#[test]
fn the_sample_schema_is_of_a_draft_that_the_cli_takes() {
    // Claude Code 2.1.197 silently omits its StructuredOutput tool if `$schema` is draft 2020-12.
    assert_eq!(sample_schema()["$schema"], "http://json-schema.org/draft-07/schema#");
}

fn running(command: &str) -> Value {
    json!([
        { "type": "text", "text": "Running it." },
        { "type": "tool_use", "id": "[id]", "name": "Bash", "input": { "command": command, "description": "scripted" } },
    ])
}

fn text(text: &str) -> Value {
    json!([{ "type": "text", "text": text }])
}

#[tokio::test]
async fn say_model_and_recall_answer_in_text() {
    let model = Model::start().await;
    assert_eq!(model.text("say:hello").await, "hello");
    assert_eq!(model.text("## Context\n\nsay:no\n\n---\n\nsay:yes").await, "yes");
    assert_eq!(model.text("model:").await, "claude-sonnet-4-6");
    let history = conversation(&json!([user("say:one"), said("one"), user("two\nlines"), said("x"), user("recall:")]));
    assert_eq!(model.content(&history).await, text("1. say:one\n2. two\nlines"));
}

#[tokio::test]
async fn usage_states_more_and_page_is_no_answer_of_the_api() {
    let model = Model::start().await;
    let answer = model.send(&ask(r#"usage:{"audio_tokens":7,"output_tokens":9}"#)).await.text().await.unwrap();
    let usage = serde_json::from_str::<Value>(&answer).unwrap()["usage"].clone();
    assert_eq!((&usage["audio_tokens"], &usage["output_tokens"]), (&json!(7), &json!(9)), "{usage}");
    assert_eq!(usage["input_tokens"], 1000);
    let page = model.send(&ask("page:Sign in")).await;
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(page.text().await.unwrap(), "<html><body>Sign in</body></html>");
}

#[tokio::test]
async fn think_has_a_thinking_block() {
    let model = Model::start().await;
    let expected = json!([
        { "type": "thinking", "thinking": "considering deep answer", "signature": "c2ln" },
        { "type": "text", "text": "deep answer" },
    ]);
    assert_eq!(model.content(&ask("think:deep answer")).await, expected);
}

#[tokio::test]
async fn bash_runs_a_command_and_reports_its_result() {
    let model = Model::start().await;
    let message = user("bash:echo hi; pwd");
    assert_eq!(model.content(&ask("bash:echo hi; pwd")).await, running("echo hi; pwd"));
    let after = conversation(&json!([message, called("a"), returned("a", "hi\n/workspace")]));
    assert_eq!(model.content(&after).await, text("done: hi\n/workspace"));
    let after = conversation(&json!([message, called("a"), failed("a", "Exit code 1")]));
    assert_eq!(model.content(&after).await, text("done: Exit code 1"));
}

#[tokio::test]
async fn multi_runs_one_command_after_the_other() {
    let model = Model::start().await;
    let mut messages = vec![user("multi:echo a && then echo b; true && then pwd")];
    for (round, command) in ["echo a", "echo b; true", "pwd"].into_iter().enumerate() {
        assert_eq!(model.content(&conversation(&json!(messages))).await, running(command));
        messages.extend([called(&round.to_string()), returned(&round.to_string(), command)]);
    }
    assert_eq!(model.content(&conversation(&json!(messages))).await, text("done: pwd"));
}

#[tokio::test]
async fn loop_never_ends() {
    let model = Model::start().await;
    let mut messages = vec![user("loop:")];
    for round in 0..4 {
        let content = model.content(&conversation(&json!(messages))).await;
        assert_eq!(content[0]["input"]["command"], "true");
        messages.extend([called(&round.to_string()), returned(&round.to_string(), "")]);
    }
}

#[tokio::test]
async fn tool_and_sub_call_other_tools() {
    let model = Model::start().await;
    let content = model.content(&ask(r#"tool:Read {"file_path":"x"}"#)).await;
    assert_eq!(content[1], json!({ "type": "tool_use", "id": "[id]", "name": "Read", "input": { "file_path": "x" } }));
    for (message, prompt) in [("sub:hello", "say:hello"), ("sub:bash:pwd", "bash:pwd")] {
        let input = json!({ "description": "scripted", "prompt": prompt, "subagent_type": "general-purpose" });
        let expected = json!([{ "type": "tool_use", "id": "[id]", "name": "Agent", "input": input }]);
        assert_eq!(model.content(&ask(message)).await, expected);
    }
    let after = conversation(&json!([user("sub:hello"), called("a"), returned("a", "hello")]));
    assert_eq!(model.content(&after).await, text("sub done"));
}

#[tokio::test]
async fn json_uses_the_output_tool_where_there_is_one() {
    let model = Model::start().await;
    let output = json!({ "action": "reply", "response": "ok" });
    let message = format!("json:{output}");
    let expected = json!([{ "type": "tool_use", "id": "[id]", "name": "StructuredOutput", "input": output }]);
    assert_eq!(model.content(&with_output_tool(ask(&message), &json!({}))).await, expected);
    let answer = model.text(&message).await;
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), output);
    assert_eq!(model.text("json:{broken").await, "{broken");
}

#[tokio::test]
async fn big_is_as_big_as_it_says() {
    let model = Model::start().await;
    assert_eq!(model.text("big:3").await.len(), 3 * 1024);
}

#[tokio::test]
async fn an_unknown_message_is_answered_honestly_and_fits_the_schema() {
    let model = Model::start().await;
    assert!(model.text("Good morning").await.starts_with("This is the scripted model, no real one"));
    let schema = sample_schema();
    let content = model.content(&with_output_tool(ask("Good morning"), &schema)).await;
    let input = &content[0]["input"];
    assert_eq!((&input["action"], &input["confidence"]), (&json!("reply"), &json!(0)));
    assert!(input["response"].as_str().unwrap().starts_with("This is the scripted model"));
}
