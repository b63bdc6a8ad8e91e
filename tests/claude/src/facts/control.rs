//! Control requests to a running process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use claude_stream::ControlRequest;
use serde_json::json;

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::MODEL;

pub(super) const FACTS: &[Fact] = &[
    fact!(
        initialize_then_set_env,
        "`apply_flag_settings` sets variables of later tool calls, keeps earlier ones, and writes none to a file"
    ),
    fact!(set_model, "`set_model` holds for all later turns"),
    fact!(
        set_model_refused,
        "after `set_model` to a name that the API refuses, the answer is an error, or the next request asks for that name",
        REFUSED
    ),
    fact!(
        interrupt_then_next_message,
        "`interrupt` ends a streaming turn as `error_during_execution`, `aborted_streaming`; the next message works"
    ),
    fact!(
        interrupt_tool,
        "`interrupt` ends a turn whose tool runs as `aborted_tools`, and the tool with it; the next message works"
    ),
    fact!(
        mcp_set_servers,
        "`mcp_set_servers` starts a server with the variables set so far, and ends one that is no longer listed; `mcp_status` tells their states"
    ),
];

async fn initialize_then_set_env(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    for (name, value) in [("FIRST", "value-4711"), ("SECOND", "value-4712")] {
        let env = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let response = claude.control(&ControlRequest::ApplyFlagSettings { env: &env }).await?;
        ensure!(response["subtype"] == "success", "{response}");
        claude.answer("bash:true").await?;
    }
    let env = BTreeMap::from([("SECOND".to_owned(), "value-4713".to_owned())]);
    claude.control(&ControlRequest::ApplyFlagSettings { env: &env }).await?;
    // Two halves, so that the message itself does not contain the values.
    let answer = claude.answer("bash:echo ${FIRST#value-} ${SECOND#value-}").await?;
    ensure!(answer.starts_with("done: 4711 4713"), "{answer:?}");
    claude.end().await?;
    let found = files_with(&lab.home(), "value-471")?;
    ensure!(found.is_empty(), "a value is in {found:?}");
    Ok(())
}

/// The files below `directory` that contain `text`.
fn files_with(directory: &Path, text: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), text)?);
        } else if kind.is_file() && String::from_utf8_lossy(&std::fs::read(entry.path())?).contains(text) {
            found.push(entry.path().display().to_string());
        }
    }
    Ok(found)
}

async fn set_model(lab: Arc<Lab>) -> Result<()> {
    const OTHER: &str = "claude-haiku-4-5";
    let mut claude = lab.usual().await?;
    claude.answer("say:hello").await?;
    let response = claude.control(&ControlRequest::SetModel { model: OTHER }).await?;
    ensure!(response["subtype"] == "success", "{response}");
    for _ in 0..2 {
        let answer = claude.answer("model:").await?;
        ensure!(answer == OTHER, "the request asked for {answer:?}");
    }
    let inits = claude.system("init");
    ensure!(inits.last().is_some_and(|init| init["model"] == OTHER), "init names another model: {inits:?}");
    Ok(())
}

/// Refuses the request with which newer versions ask whether a model exists.
const REFUSED: &str = r#"
[[script]]
name = "probe"
when = { tools = false }
[[script.step]]
error = { status = 404, message = "model: claude-nosuch-1", should_retry = false }
"#;

async fn set_model_refused(lab: Arc<Lab>) -> Result<()> {
    const REFUSED: &str = "claude-nosuch-1";
    let mut claude = lab.usual().await?;
    claude.answer("say:hello").await?;
    let response = claude.control(&ControlRequest::SetModel { model: REFUSED }).await?;
    let asked_for = claude.answer("model:").await?;
    if response["subtype"] == "error" {
        ensure!(response["error"].is_string(), "no reason: {response}");
        ensure!(asked_for == MODEL, "after the refusal the request asked for {asked_for:?}");
    } else {
        ensure!(asked_for == REFUSED, "the answer was success, and the request asked for {asked_for:?}");
    }
    Ok(())
}

async fn interrupt_then_next_message(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.say("slow:400").await?;
    claude.until("a delta", |line| line["event"]["delta"]["type"] == "text_delta").await?;
    claude.send(&ControlRequest::Interrupt.to_line("interrupt")).await?;
    let result = claude.result().await?;
    ensure!(result["subtype"] == "error_during_execution", "{result}");
    ensure!(result["terminal_reason"] == "aborted_streaming", "{result}");
    let next = claude.answer("say:next").await?;
    ensure!(next == "next", "{next:?}");
    let answered = claude.of_type("control_response").iter().any(|line| line["response"]["request_id"] == "interrupt");
    ensure!(answered, "the interrupt was not answered");
    Ok(())
}

async fn interrupt_tool(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.say("bash:echo $$ > pid; touch begun; exec sleep 300").await?;
    let begun = lab.workspace().join("begun");
    while !begun.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    claude.send(&ControlRequest::Interrupt.to_line("interrupt")).await?;
    let result = claude.result().await?;
    ensure!(result["subtype"] == "error_during_execution", "{result}");
    ensure!(result["terminal_reason"] == "aborted_tools", "{result}");
    let pid = std::fs::read_to_string(lab.workspace().join("pid"))?;
    let gone = claude
        .answer(&format!("bash:while kill -0 {} 2>/dev/null; do sleep 0.05; done; echo gone", pid.trim()))
        .await?;
    ensure!(gone.starts_with("done: gone"), "{gone:?}");
    Ok(())
}

/// A server with one tool, which tells a variable. It speaks JSON-RPC by lines and notes its end.
const SERVER: &str = r#"#!/usr/bin/env bash
trap 'touch ended' EXIT
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$1" "$2"; }
while IFS= read -r line; do
  [[ "$line" =~ \"id\":([0-9]+) ]] && id="${BASH_REMATCH[1]}" || continue
  case "$line" in
    *'"initialize"'*) answer "$id" '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}' ;;
    *'"tools/list"'*) answer "$id" '{"tools":[{"name":"tell","description":"tells","inputSchema":{"type":"object"}}]}' ;;
    *'"tools/call"'*) answer "$id" '{"content":[{"type":"text","text":"the value is '"$TOLD"'"}]}' ;;
    *) answer "$id" '{}' ;;
  esac
done
"#;

async fn mcp_set_servers(lab: Arc<Lab>) -> Result<()> {
    let program = lab.workspace().join("server");
    std::fs::write(&program, SERVER)?;
    let mut claude = lab.usual().await?;
    let env = BTreeMap::from([("TOLD".to_owned(), "seventeen".to_owned())]);
    claude.control(&ControlRequest::ApplyFlagSettings { env: &env }).await?;
    let servers = json!({ "example": { "type": "stdio", "command": "bash", "args": [program] } });
    let servers = serde_json::value::to_raw_value(&servers)?;
    let response = claude.control(&ControlRequest::SetMcpServers { servers: &servers }).await?;
    ensure!(response["subtype"] == "success", "{response}");
    let answer = claude.answer("tool:mcp__example__tell {}").await?;
    ensure!(answer.contains("the value is seventeen"), "{answer:?}");
    let status = claude.control(&ControlRequest::McpStatus).await?;
    let states = &status["response"]["mcpServers"];
    ensure!(states[0]["name"] == "example" && states[0]["status"] == "connected", "{status}");
    let none = serde_json::value::to_raw_value(&json!({}))?;
    claude.control(&ControlRequest::SetMcpServers { servers: &none }).await?;
    let ended = claude.answer("bash:while ! [ -e ended ]; do sleep 0.05; done; echo it ended").await?;
    ensure!(ended.starts_with("done: it ended"), "{ended:?}");
    Ok(())
}
