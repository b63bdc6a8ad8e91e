//! Tool calls that a hook defers, and that another process continues.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::permission::{decision, with_hook};
use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::Launch;
use crate::process::Claude;

pub(super) const FACTS: &[Fact] = &[
    fact!(defer, "a hook that defers ends the turn as `tool_deferred`, and the result names the call"),
    fact!(
        defer_then_resume,
        "after `--resume` the hook is asked again for the deferred call, without a message; its answer runs the tool and ends the turn"
    ),
    fact!(defer_then_deny, "after `--resume` the hook can deny the deferred call"),
    fact!(
        defer_of_two,
        "of two calls in one message one can be deferred; after `--resume` the hook is asked again for it, and its result is printed",
        TWO
    ),
];

async fn deferred(lab: &Lab, message: &str) -> Result<(Claude, Value)> {
    let mut claude = lab.agent_with(&Launch::new(), with_hook()).await?;
    claude.say(message).await?;
    let asked = claude.asked("hook_callback").await?;
    claude.reply(&asked, decision("defer", &json!({}))).await?;
    let result = claude.result().await?;
    Ok((claude, result))
}

async fn defer(lab: Arc<Lab>) -> Result<()> {
    let (_claude, result) = deferred(&lab, "bash:touch original").await?;
    ensure!(result["subtype"] == "success" && result["is_error"] == false, "{result}");
    ensure!(result["terminal_reason"] == "tool_deferred", "{result}");
    let call = &result["deferred_tool_use"];
    ensure!(call["id"].is_string() && call["name"] == "Bash" && call["input"]["command"] == "touch original", "{call}");
    ensure!(!lab.workspace().join("original").exists(), "the command ran");
    Ok(())
}

/// Versions before 2.1.281 ran some of the calls without asking.
const TRIES: usize = 6;

async fn defer_then_resume(lab: Arc<Lab>) -> Result<()> {
    for number in 0..TRIES {
        let (mut first, _) = deferred(&lab, "bash:echo original").await?;
        // Half of the processes end by themselves, the others are killed.
        if number % 2 == 0 {
            first.end().await?;
        } else {
            first.kill().await?;
        }
        let mut second = lab.agent_with(&Launch::new().resume(&first.conversation()?), with_hook()).await?;
        let wanted = |line: &Value| line["request"]["subtype"] == "hook_callback" || line["type"] == "result";
        let asked = second.until("the hook", wanted).await?;
        ensure!(
            asked["type"] == "control_request",
            "in try {number} the call ran without the hook: {}",
            asked["result"]
        );
        second.reply(&asked, decision("allow", &json!({ "updatedInput": { "command": "echo changed" } }))).await?;
        let result = second.result().await?;
        ensure!(result["result"].as_str().is_some_and(|text| text.starts_with("done: changed")), "{result}");
        second.kill().await?;
    }
    Ok(())
}

async fn defer_then_deny(lab: Arc<Lab>) -> Result<()> {
    let (mut first, _) = deferred(&lab, "bash:touch original").await?;
    first.end().await?;
    let mut second = lab.agent_with(&Launch::new().resume(&first.conversation()?), with_hook()).await?;
    let asked = second.asked("hook_callback").await?;
    second.reply(&asked, decision("deny", &json!({ "permissionDecisionReason": "nobody wanted it" }))).await?;
    let result = second.result().await?;
    ensure!(result["result"].as_str().is_some_and(|text| text.contains("nobody wanted it")), "{result}");
    ensure!(!lab.workspace().join("original").exists(), "the command ran");
    let recalled = second.answer("recall:").await?;
    ensure!(recalled.contains("touch original"), "it remembers {recalled:?}");
    ensure!(lab.model.violations().is_empty(), "{:?}", lab.model.violations());
    Ok(())
}

const TWO: &str = r#"
[[script]]
name = "two-calls"
when = { message = ["*two calls*"], tools = true }
[[script.step]]
tools = [
  { name = "Bash", input = { command = "echo kept" } },
  { name = "Bash", input = { command = "echo deferred" } },
]
[[script.step]]
text = "both are there"
"#;

/// The model's view is not a part of this fact: with `--system-prompt-snapshot off` its next request has an error in place of the
/// deferred call's result (2.1.281, 2.1.332).
async fn defer_of_two(lab: Arc<Lab>) -> Result<()> {
    let mut first = lab.agent_with(&Launch::new(), with_hook()).await?;
    first.say("two calls").await?;
    for _ in 0..2 {
        let asked = first.asked("hook_callback").await?;
        let is_deferred = asked["request"]["input"]["tool_input"]["command"] == "echo deferred";
        first.reply(&asked, decision(if is_deferred { "defer" } else { "allow" }, &json!({}))).await?;
    }
    let result = first.result().await?;
    ensure!(result["deferred_tool_use"]["input"]["command"] == "echo deferred", "{result}");
    first.end().await?;
    let mut second = lab.agent_with(&Launch::new().resume(&first.conversation()?), with_hook()).await?;
    let asked = second.asked("hook_callback").await?;
    ensure!(asked["request"]["input"]["tool_input"]["command"] == "echo deferred", "{asked}");
    second.reply(&asked, decision("allow", &json!({}))).await?;
    let result = second.result().await?;
    ensure!(result["is_error"] == false, "{result}");
    let printed = second.of_type("user").iter().any(|line| line["message"]["content"][0]["content"] == "deferred");
    ensure!(printed, "the result of the deferred call is not printed");
    Ok(())
}
