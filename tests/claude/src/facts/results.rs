//! Turns that end well: their lines, and what they cost.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::{Launch, MODEL};

pub(super) const FACTS: &[Fact] = &[
    fact!(text_in_deltas, "text comes in deltas, then in an `assistant` line of the same message, then in the result"),
    fact!(thinking, "thinking comes in deltas, then in an `assistant` line"),
    fact!(tool_bash, "a tool call comes in an `assistant` line with its input, its result in a `user` line"),
    fact!(tool_bash_fails, "the result of a failed tool call has `is_error`"),
    fact!(
        subagent,
        "tool calls and results of a subagent have its own call as `parent_tool_use_id`, and `task_started` and `task_notification` frame them"
    ),
    fact!(
        result_fields,
        "a result has subtype, is_error, num_turns, total_cost_usd, duration_ms, session_id, terminal_reason and usage"
    ),
    fact!(two_turns_cumulative_cost, "`total_cost_usd` adds up over the turns of a process"),
    fact!(structured_output, "a call of StructuredOutput is the result's `structured_output`"),
    fact!(structured_output_repaired, "a model that answers without StructuredOutput is asked again"),
    fact!(
        structured_output_never,
        "a model that never calls StructuredOutput ends the turn as an error, or without `structured_output`",
        NEVER
    ),
];

fn deltas(lines: &[Value], kind: &str, field: &str) -> String {
    let fits = |line: &&Value| line["event"]["delta"]["type"] == kind;
    lines.iter().filter(fits).filter_map(|line| line["event"]["delta"][field].as_str()).collect()
}

/// The blocks of this type in all `assistant` lines.
fn blocks<'a>(lines: &'a [Value], kind: &'a str) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let lines = lines.iter().filter(|line| line["type"] == "assistant");
    let blocks = lines
        .flat_map(|line| line["message"]["content"].as_array().into_iter().flatten().map(move |block| (line, block)));
    blocks.filter(move |(_, block)| block["type"] == kind)
}

async fn text_in_deltas(lab: Arc<Lab>) -> Result<()> {
    const TEXT: &str = "a text that is longer than one delta, with ünïcödé";
    let mut claude = lab.usual().await?;
    let answer = claude.answer(&format!("say:{TEXT}")).await?;
    ensure!(answer == TEXT, "the result is {answer:?}");
    ensure!(
        deltas(&claude.seen, "text_delta", "text") == TEXT,
        "the deltas are {:?}",
        deltas(&claude.seen, "text_delta", "text")
    );
    let (line, block) = blocks(&claude.seen, "text").next().context("no assistant line")?;
    ensure!(block["text"] == TEXT, "the assistant line has {block}");
    let start = claude.seen.iter().find(|line| line["event"]["type"] == "message_start").context("no message_start")?;
    ensure!(start["event"]["message"]["id"] == line["message"]["id"], "the message's ids differ");
    ensure!(line["message"]["model"] == MODEL, "the model is {}", line["message"]["model"]);
    let events: Vec<&Value> = claude.of_type("stream_event").iter().map(|line| &line["event"]["type"]).collect();
    for kind in ["content_block_start", "content_block_stop", "message_delta", "message_stop"] {
        ensure!(events.contains(&&json!(kind)), "no {kind}");
    }
    ensure!(
        claude.of_type("stream_event").iter().all(|line| line["parent_tool_use_id"].is_null()),
        "a delta has a parent"
    );
    Ok(())
}

async fn thinking(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let answer = claude.answer("think:forty-two").await?;
    ensure!(answer == "forty-two", "{answer:?}");
    let thought = deltas(&claude.seen, "thinking_delta", "thinking");
    ensure!(thought == "considering forty-two", "the deltas are {thought:?}");
    let (_, block) = blocks(&claude.seen, "thinking").next().context("no assistant line with thinking")?;
    ensure!(block["thinking"] == "considering forty-two", "{block}");
    Ok(())
}

/// The tool results in `user` lines.
fn tool_results(lines: &[Value]) -> impl Iterator<Item = &Value> {
    let users = lines.iter().filter(|line| line["type"] == "user");
    users
        .flat_map(|line| line["message"]["content"].as_array().into_iter().flatten())
        .filter(|block| block["type"] == "tool_result")
}

async fn tool_bash(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let answer = claude.answer("bash:echo from the tool").await?;
    ensure!(answer.starts_with("done: from the tool"), "{answer:?}");
    let (_, call) = blocks(&claude.seen, "tool_use").next().context("no tool call")?;
    ensure!(call["name"] == "Bash" && call["input"]["command"] == "echo from the tool", "{call}");
    let result = tool_results(&claude.seen).next().context("no tool result")?;
    ensure!(result["tool_use_id"] == call["id"], "the result is another call's");
    ensure!(result["content"].to_string().contains("from the tool"), "{result}");
    ensure!(result["is_error"] != true, "{result}");
    Ok(())
}

async fn tool_bash_fails(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.answer("bash:cat /nonexistent").await?;
    let result = tool_results(&claude.seen).next().context("no tool result")?;
    ensure!(result["is_error"] == true, "{result}");
    ensure!(result["content"].to_string().contains("No such file"), "{result}");
    Ok(())
}

async fn subagent(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let answer = claude.answer("sub:bash:echo inner").await?;
    ensure!(answer == "sub done", "{answer:?}");
    let (_, call) = blocks(&claude.seen, "tool_use").next().context("no tool call")?;
    for kind in ["tool_use", "tool_result"] {
        let has_block = |line: &&Value| {
            line["message"]["content"].as_array().is_some_and(|blocks| blocks.iter().any(|block| block["type"] == kind))
        };
        let inner = claude.seen.iter().filter(has_block).filter(|line| line["parent_tool_use_id"] == call["id"]);
        ensure!(inner.count() == 1, "no {kind} has the call {} as its parent", call["id"]);
    }
    for subtype in ["task_started", "task_notification"] {
        let line = claude.system(subtype);
        let line = line.first().with_context(|| format!("no {subtype}"))?;
        ensure!(line["task_id"].is_string() && line["tool_use_id"] == call["id"], "{line}");
    }
    ensure!(claude.of_type("result").len() == 1, "{} results for one message", claude.of_type("result").len());
    Ok(())
}

async fn result_fields(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let result = claude.ask("bash:true").await?;
    ensure!(result["subtype"] == "success" && result["is_error"] == false, "{result}");
    ensure!(result["num_turns"] == 2, "num_turns {}", result["num_turns"]);
    ensure!(result["total_cost_usd"].is_number() && result["duration_ms"].is_u64(), "{result}");
    ensure!(result["session_id"] == claude.conversation()?.as_str(), "session_id {}", result["session_id"]);
    ensure!(result["terminal_reason"] == "completed", "terminal_reason {}", result["terminal_reason"]);
    let usage = &result["usage"];
    ensure!(usage["input_tokens"] == 2000 && usage["output_tokens"] == 100, "usage {usage}");
    Ok(())
}

async fn two_turns_cumulative_cost(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let mut costs = Vec::new();
    for _ in 0..2 {
        costs.push(claude.ask("say:the same").await?["total_cost_usd"].as_f64().context("no cost")?);
    }
    ensure!(costs[0] > 0.0 && (costs[1] - 2.0 * costs[0]).abs() < 1e-9, "{costs:?}");
    Ok(())
}

fn schema() -> Value {
    let schema = json!({ "type": "object", "properties": { "size": { "type": "number" } }, "required": ["size"] });
    json!({ "systemPrompt": ["Answer with a size."], "jsonSchema": schema })
}

async fn structured_output(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent_with(&Launch::new(), schema()).await?;
    let result = claude.ask("json:{\"size\":7}").await?;
    ensure!(result["structured_output"] == json!({ "size": 7 }), "{result}");
    ensure!(
        blocks(&claude.seen, "tool_use").any(|(_, call)| call["name"] == claude_stream::STRUCTURED_OUTPUT),
        "no call"
    );
    Ok(())
}

async fn structured_output_repaired(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent_with(&Launch::new(), schema()).await?;
    // A value that does not fit the schema, which the model repeats.
    claude.ask("json:{\"size\":\"large\"}").await?;
    let requests = lab.conversation_requests().len();
    ensure!(requests > 1, "the model was asked {requests} times");
    Ok(())
}

const NEVER: &str = r#"
[[script]]
name = "never"
when = { message = ["*never*"], tools = true }
[[script.step]]
text = "I will not."
"#;

async fn structured_output_never(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent_with(&Launch::new(), schema()).await?;
    let result = claude.ask("never").await?;
    ensure!(result.get("structured_output").is_none_or(Value::is_null), "{result}");
    let is_told = result["subtype"] == "error_max_structured_output_retries" && result["is_error"] == true;
    let is_plain = result["subtype"] == "success" && result["result"].is_string();
    ensure!(is_told || is_plain, "{result}");
    claude.answer("json:{\"size\":1}").await?;
    Ok(())
}
