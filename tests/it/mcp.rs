//! MCP servers that are slow, silent or dead.

use serde_json::json;

use crate::server::{Setup, TestServer};

/// A stdio MCP server with one tool. Its argument selects how it starts.
const SERVER: &str = r#"#!/usr/bin/env bash
answer() { jq -cn --argjson id "$id" --argjson result "$1" '{jsonrpc: "2.0", id: $id, result: $result}'; }
case $1 in
    dead) echo "no licence" >&2; exit 3 ;;
    once) [[ -e /workspace/started ]] || { touch /workspace/started; exit 3; } ;;
esac
while IFS= read -r line; do
    [[ $1 != silent ]] || continue
    id=$(jq -c '.id // empty' <<<"$line")
    case $(jq -r '.method // empty' <<<"$line") in
    initialize)
        [[ $1 != slow ]] || sleep 2
        version=$(jq -c .params.protocolVersion <<<"$line")
        answer "{\"protocolVersion\": $version, \"capabilities\": {\"tools\": {}}, \"serverInfo\": {\"name\": \"x\", \"version\": \"1\"}}"
        ;;
    tools/list) answer '{"tools": [{"name": "read", "description": "Reads", "inputSchema": {"type": "object"}}]}' ;;
    tools/call) answer '{"content": [{"type": "text", "text": "the notes"}]}' ;;
    *) [[ -z $id ]] || answer '{}' ;;
    esac
done
"#;

/// Starts a server whose agent has these MCP servers. Less than their time limits counts as stalled.
async fn start(servers: &str) -> TestServer {
    let setup = Setup::new().env("STALL_TIMEOUT_MS", "1500");
    setup.template_file("tools/mcp", SERVER, 0o755).template_file("agent.toml", servers, 0o644).start().await
}

fn server(name: &str, mode: &str, more: &str) -> String {
    format!("[mcp_servers.{name}]\ncommand = \"/workspace/tools/mcp\"\nargs = [\"{mode}\"]\n{more}\n")
}

#[tokio::test]
async fn a_server_is_waited_for_and_the_task_goes_on_without_it() {
    let silent = server("mute", "silent", "startup_timeout_ms = 2500");
    let servers = [silent, server("late", "slow", "startup_timeout_ms = 20000"), server("dead", "dead", "")].concat();
    let server = start(&servers).await;
    let mut events = server.subscribe("s").await;
    let called = server.task("s", "tool:mcp__late__read {}").await.ok();
    assert!(called["response"].as_str().unwrap().starts_with("done: the notes"), "{called:#}");
    let end = events.until("task_complete").await;
    let warned: Vec<_> = events.of_kind("warning");
    let names: Vec<_> = warned.iter().map(|event| event["server"].as_str().unwrap()).collect();
    assert_eq!(names, ["dead", "mute"], "{warned:#?}");
    for event in &warned {
        assert_eq!((&event["code"], &event["taskId"]), (&json!("mcp_server_failed"), &end["taskId"]), "{event:#}");
    }
    let message = warned[1]["message"].as_str().unwrap();
    let expected =
        "the MCP server `mute` did not start within 2500 ms (startup_timeout_ms); the task continues without it";
    assert_eq!(message, expected);
    assert!(server.log().contains("an MCP server cannot be used"), "{}", server.log());
    // Each later task has the warnings too.
    server.task("s", "say:again").await.ok();
    events.until("task_complete").await;
    assert_eq!(events.of_kind("warning").len(), 4);
    server.finish().await;
}

#[tokio::test]
async fn a_required_server_fails_the_task_by_its_name_and_is_tried_again() {
    let servers = server("mute", "silent", "startup_timeout_ms = 2000\nrequired = true");
    let silent = start(&servers).await;
    let problem = silent.task("s", "say:hello").await.problem(502, "mcp_server_failed");
    let expected =
        "the MCP server `mute`, which agent.toml requires, did not start within 2000 ms (startup_timeout_ms)";
    assert_eq!((&problem["error"], &problem["cost"]), (&json!(expected), &json!(0.0)), "{problem:#}");
    assert!(
        silent.model.requests().iter().all(|request| !String::from_utf8_lossy(&request.body).contains("say:hello"))
    );
    silent.finish().await;

    let server = start(&server("fickle", "once", "required = true")).await;
    let problem = server.task("s", "say:hello").await.problem(502, "mcp_server_failed");
    assert!(problem["error"].as_str().unwrap().contains("`fickle`"), "{problem:#}");
    let called = server.task("s", "tool:mcp__fickle__read {}").await.ok();
    assert!(called["response"].as_str().unwrap().starts_with("done: the notes"), "{called:#}");
    server.finish().await;
}

#[tokio::test]
async fn a_task_that_waits_for_a_server_can_be_aborted() {
    let server = start(&server("mute", "silent", "startup_timeout_ms = 600000")).await;
    let mut events = server.subscribe("s").await;
    let task = server.enqueue("s", "say:never").await;
    events.until("task_start").await;
    assert_eq!(server.post_nothing(&format!("/task/{task}/abort")).await.ok()["aborted"], true);
    let end = events.until_end_of(&json!(task)).await;
    assert_eq!(end["type"], "abort", "{end:#}");
    server.finish().await;
}
