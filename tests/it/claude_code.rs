//! The behaviour of Claude Code that the server relies on or corrects.

use engine::Engine as _;
use mock_api::scripted_model::RecordedRequest;
use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

/// An API that does not have one model, and is overloaded whenever the CLI asks for another one.
const MODELS: &str = r#"
[[script]]
name = "no-such-model"
when.model = ["claude-opus-4-6"]
[[script.step]]
error = { status = 404, message = "model: claude-opus-4-6" }

[[script]]
name = "overloaded"
when.model = ["claude-haiku-4-5"]
when.tools = false
[[script.step]]
error = { status = 529 }

[[script]]
name = "answer"
when.message = ["who answers"]
[[script.step]]
text = "{{model}}"
"#;

/// The requests of a conversation, without those beside it.
fn main_requests(server: &TestServer) -> Vec<RecordedRequest> {
    server.model.requests().into_iter().filter(|request| request.tools > 0).collect()
}

fn body(request: &RecordedRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn a_task_is_answered_by_its_model_or_fails() {
    let server = Setup::new().env("MODEL", "claude-sonnet-4-6").scripts(MODELS).start().await;
    assert_eq!(server.say("s", "who answers").await, "claude-sonnet-4-6");
    assert_eq!(server.model.request_count(), 1, "a first task sends one request");

    let opus = json!({ "model": "claude-opus-4-6" });
    let refused = server.task_with("s", "who answers", &opus).await.problem(502, "model_refused");
    assert!(refused["error"].as_str().unwrap().contains("claude-opus-4-6"), "{refused:#}");
    assert_eq!((&refused["errorType"], &refused["cost"]), (&json!("model_refused"), &json!(0.0)), "{refused:#}");
    assert_eq!(main_requests(&server).len(), 1, "the message was not sent");
    // A process that starts with the model learns it from its first request.
    server.task_with("cold", "who answers", &opus).await.problem(502, "model_refused");

    // An overloaded API has said nothing about the model.
    let haiku = json!({ "model": "claude-haiku-4-5" });
    server.task_with("s", "who answers", &haiku).await.problem(503, "capacity_reached");
    assert_eq!(server.say("s", "who answers").await, "claude-sonnet-4-6");
    let other = server.task_with("s", "who answers", &json!({ "model": "claude-sonnet-4-5" })).await.ok();
    assert_eq!(other["response"], "claude-sonnet-4-5");
    assert_eq!(server.say("s", "who answers").await, "claude-sonnet-4-6");
    assert!(server.say("s", "recall:").await.contains("who answers"));
    server.finish().await;
}

#[tokio::test]
async fn a_short_name_is_answered_by_its_family() {
    let server = Setup::new().env("MODEL", "sonnet").start().await;
    let first = server.say("s", "model:").await;
    assert!(first.contains("sonnet"), "{first}");
    let other = server.task_with("s", "model:", &json!({ "model": "haiku" })).await.ok();
    assert!(other["response"].as_str().unwrap().contains("haiku"), "{other:#}");
    server.finish().await;
}

#[tokio::test]
async fn the_prompt_is_sent_once_and_a_changed_one_reaches_a_resumed_conversation() {
    let server = TestServer::start().await;
    server.say("s", "say:before").await;
    let first = body(&main_requests(&server)[0]);
    assert!(first["system"].to_string().contains("You are the agent of a test"), "{first:#}");
    assert!(!first["messages"].to_string().contains("You are the agent of a test"), "{first:#}");
    assert!(!first.to_string().contains("Co-Authored-By"), "{first:#}");

    server.engine.remove_container(&server.container().await.id).await.unwrap();
    std::fs::write(server.directory().join("agent/AGENTS.md"), "You are the agent with another prompt.\n").unwrap();
    assert!(server.say("s", "recall:").await.contains("say:before"));
    let resumed = body(main_requests(&server).last().unwrap());
    assert!(resumed["system"].to_string().contains("another prompt"), "{resumed:#}");
    assert!(!resumed["system"].to_string().contains("agent of a test"), "{resumed:#}");
    server.finish().await;
}

#[tokio::test]
async fn a_turn_that_completed_is_in_the_memory_however_soon_its_sandbox_dies() {
    let server = TestServer::start().await;
    let mut messages = Vec::new();
    for round in 0..4 {
        messages.push(format!("bash:echo {round}"));
        server.say("s", messages.last().unwrap()).await;
        messages.push(format!("say:answer {round}"));
        server.say("s", messages.last().unwrap()).await;
        server.kill_container(&server.container().await.id).await;
        let memory = server.say("s", "recall:").await;
        let lost: Vec<&String> = messages.iter().filter(|message| !memory.contains(message.as_str())).collect();
        assert!(lost.is_empty(), "{lost:?} is not in {memory}");
    }
    server.finish().await;
}

#[tokio::test]
async fn commands_that_the_cli_takes_for_dangerous_run_where_everything_is_allowed() {
    let server = Setup::new()
        .agent_file("free/AGENTS.md", "You may do everything.\n")
        .agent_file("free/agent.toml", "default = true\n")
        .agent_file("held/AGENTS.md", "You may do little.\n")
        .agent_file("held/agent.toml", "permission_mode = \"acceptEdits\"\n")
        .start()
        .await;
    let remove = "bash:touch /tmp/gone; rm -rf $(echo /tmp/gone); ls /tmp/gone";
    let free = server.task("free", remove).await.ok();
    let answer = free["response"].as_str().unwrap();
    assert!(answer.contains("No such file"), "{answer}");
    let held = server.task_with("held", remove, &json!({ "agent": "held" })).await.ok();
    let answer = held["response"].as_str().unwrap();
    assert!(answer.contains("no person is available to answer"), "{answer}");
    server.finish().await;
}

#[tokio::test]
async fn an_agent_cannot_start_turns_of_its_own_and_has_no_tool_that_asks() {
    let server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    let call =
        r#"tool:Monitor {"command":"echo one; echo two","description":"d","timeout_ms":5000,"persistent":false}"#;
    let denied = server.say("s", call).await;
    assert!(denied.contains("Monitor"), "{denied}");
    events.until("task_complete").await;
    let init = events.of_kind("init").remove(0);
    for tool in ["Monitor", "ScheduleWakeup", "Workflow", "AskUserQuestion", "EnterPlanMode", "ExitPlanMode"] {
        assert!(!init["tools"].as_array().unwrap().contains(&json!(tool)), "{tool} is offered: {init:#}");
    }
    assert_eq!(events.of_kind("raw").len(), 0);

    // Another process of the sandbox finds the agent, and sends it a message.
    let send = r#"bash:peer=$(echo 'tool:ListAgents {}' | claude -p --permission-mode bypassPermissions | grep -o '[^ ]* \[[0-9a-f]*\]  ' | cut -d' ' -f1); echo "tool:SendMessage {\"to\":\"$peer\",\"summary\":\"s\",\"message\":\"a message from a peer\"}" | claude -p --permission-mode bypassPermissions"#;
    let sent = server.say("s", send).await;
    assert!(sent.contains("success") && sent.contains("true"), "{sent}");
    assert_eq!(server.say("s", "say:after").await, "after");
    // The order to send it contains the message too.
    let is_received = |prompt: &str| prompt.contains("a message from a peer") && !prompt.contains("SendMessage");
    let received = main_requests(&server).into_iter().any(|request| is_received(&request.prompt));
    assert!(!received, "the message reached a conversation");
    server.finish().await;
}
