//! Questions of the CLI: permissions, and hooks of the host.

use std::sync::Arc;

use anyhow::{Result, ensure};
use claude_stream::{allow_tool, deny_tool};
use serde_json::{Value, json};

use super::{Fact, fact};
use crate::lab::{Lab, PROMPT};
use crate::launch::Launch;

pub(super) const FACTS: &[Fact] = &[
    fact!(permission_allowed, "`can_use_tool` names tool, input and call; `allow` runs the tool with `updatedInput`"),
    fact!(permission_denied, "`deny` does not run the tool, and the model reads the message"),
    fact!(
        safety_check,
        "in mode bypassPermissions a dangerous command is asked about as `safetyCheck`, and `allow` runs it"
    ),
    fact!(ask_user_question, "AskUserQuestion is asked as `can_use_tool`, and its `answers` reach the model"),
    fact!(
        hook_allows,
        "a hook of the host is asked before the tool in mode bypassPermissions; `allow` with `updatedInput` runs that"
    ),
    fact!(hook_denies, "a hook that denies keeps the tool from running, and the model reads the reason"),
    fact!(interrupt_question, "`interrupt` while a question is open ends the turn, and the next message works"),
];

async fn permission_allowed(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent(&Launch::new().asking()).await?;
    claude.say("bash:touch original").await?;
    let asked = claude.asked("can_use_tool").await?;
    let request = &asked["request"];
    ensure!(request["tool_name"] == "Bash" && request["input"]["command"] == "touch original", "{request}");
    ensure!(request["tool_use_id"].is_string(), "no tool_use_id: {request}");
    let input = serde_json::value::to_raw_value(&json!({ "command": "touch changed; echo changed" }))?;
    claude.send(&allow_tool(asked["request_id"].as_str().unwrap_or_default(), Some(&input))).await?;
    let result = claude.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.starts_with("done: changed")), "{result}");
    ensure!(
        lab.workspace().join("changed").exists() && !lab.workspace().join("original").exists(),
        "the wrong command ran"
    );
    Ok(())
}

async fn permission_denied(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent(&Launch::new().asking()).await?;
    claude.say("bash:touch original").await?;
    let asked = claude.asked("can_use_tool").await?;
    claude.send(&deny_tool(asked["request_id"].as_str().unwrap_or_default(), "not on a Sunday")).await?;
    let result = claude.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.contains("not on a Sunday")), "{result}");
    ensure!(!lab.workspace().join("original").exists(), "the command ran");
    Ok(())
}

async fn safety_check(lab: Arc<Lab>) -> Result<()> {
    std::fs::write(lab.workspace().join("doomed"), "")?;
    let mut claude = lab.usual().await?;
    claude.say("bash:rm -rf ./*; echo removed").await?;
    let asked = claude.asked("can_use_tool").await?;
    let request = &asked["request"];
    ensure!(request["decision_reason_type"] == "safetyCheck", "{request}");
    let input = serde_json::value::to_raw_value(&request["input"])?;
    claude.send(&allow_tool(asked["request_id"].as_str().unwrap_or_default(), Some(&input))).await?;
    let result = claude.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.starts_with("done: removed")), "{result}");
    ensure!(!lab.workspace().join("doomed").exists(), "the command did not run");
    Ok(())
}

async fn ask_user_question(lab: Arc<Lab>) -> Result<()> {
    let question = json!({
        "question": "Which colour?",
        "header": "Colour",
        "options": [{ "label": "Blue", "description": "like the sea" }, { "label": "Red", "description": "like wine" }],
        "multiSelect": false,
    });
    let mut claude = lab.agent(&Launch::new().offering("AskUserQuestion")).await?;
    claude.say(&format!("tool:AskUserQuestion {}", json!({ "questions": [question] }))).await?;
    let asked = claude.asked("can_use_tool").await?;
    let request = &asked["request"];
    ensure!(request["tool_name"] == "AskUserQuestion" && request["input"]["questions"][0] == question, "{request}");
    let updated = json!({ "questions": [question], "answers": { "Which colour?": "Red" } });
    claude.reply(&asked, json!({ "behavior": "allow", "updatedInput": updated })).await?;
    let result = claude.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.contains("Red")), "{result}");
    Ok(())
}

pub(super) fn with_hook() -> Value {
    json!({ "systemPrompt": [PROMPT], "hooks": { "PreToolUse": [{ "matcher": "Bash", "hookCallbackIds": ["ours"] }] } })
}

/// The answer of a hook.
pub(super) fn decision(decision: &str, more: &Value) -> Value {
    let mut answer = json!({ "hookEventName": "PreToolUse", "permissionDecision": decision });
    for (name, value) in more.as_object().into_iter().flatten() {
        answer[name] = value.clone();
    }
    json!({ "hookSpecificOutput": answer })
}

async fn hook_allows(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent_with(&Launch::new(), with_hook()).await?;
    claude.say("bash:echo original").await?;
    let asked = claude.asked("hook_callback").await?;
    let request = &asked["request"];
    ensure!(request["callback_id"] == "ours", "{request}");
    ensure!(
        request["input"]["tool_name"] == "Bash" && request["input"]["tool_input"]["command"] == "echo original",
        "{request}"
    );
    claude.reply(&asked, decision("allow", &json!({ "updatedInput": { "command": "echo changed" } }))).await?;
    let result = claude.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.starts_with("done: changed")), "{result}");
    Ok(())
}

async fn hook_denies(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent_with(&Launch::new(), with_hook()).await?;
    claude.say("bash:touch original").await?;
    let asked = claude.asked("hook_callback").await?;
    claude.reply(&asked, decision("deny", &json!({ "permissionDecisionReason": "not on a Sunday" }))).await?;
    let result = claude.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.contains("not on a Sunday")), "{result}");
    ensure!(!lab.workspace().join("original").exists(), "the command ran");
    Ok(())
}

async fn interrupt_question(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent(&Launch::new().asking()).await?;
    claude.say("bash:touch original").await?;
    claude.asked("can_use_tool").await?;
    claude.ask_control(json!({ "subtype": "interrupt" })).await?;
    if claude.of_type("result").is_empty() {
        claude.result().await?;
    }
    let next = claude.answer("say:next").await?;
    ensure!(next == "next", "{next:?}");
    ensure!(!lab.workspace().join("original").exists(), "the command ran");
    Ok(())
}
