//! Model requests that fail, and turns that end badly.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use mock_api::scripted_model::{ScriptedModel, Scripts};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::Launch;

pub(super) const FACTS: &[Fact] = &[
    fact!(api_400, "a 400 ends the turn as `success` with `is_error` and `api_error_status`", FINAL),
    fact!(api_404, "a 404, the API's answer for an unknown model, ends the turn in the same way", FINAL),
    fact!(api_529, "a 529 ends the turn in the same way, after the retries that CLAUDE_CODE_MAX_RETRIES allows", FINAL),
    fact!(api_401, "a 401 with `x-should-retry: false` ends the turn in the same way, after one request", FINAL),
    fact!(api_402, "a 402 with `x-should-retry: false` ends the turn in the same way, after one request", FINAL),
    fact!(api_429, "a 429 with `x-should-retry: false` ends the turn in the same way, after one request", FINAL),
    fact!(
        retry,
        "a request that is sent again is told as `api_retry` with attempt, max_retries, retry_delay_ms, error_status and error"
    ),
    fact!(
        cut_answer,
        "an answer that is cut is asked for again; it comes whole without deltas, or `message_stop` with `abandoned_blocks` precedes its repetition",
        CUT
    ),
    fact!(
        api_is_away,
        "an API that cannot be reached ends the turn with `is_error`, and the process answers again when it is back"
    ),
    fact!(result_max_turns, "`--max-turns` ends a turn as `error_max_turns`"),
    fact!(result_max_budget, "`--max-budget-usd` ends a turn as `error_max_budget_usd`"),
];

const FINAL: &str = r#"
[[script]]
name = "final-400"
when = { message = ["*fail with 400*"], tools = true }
[[script.step]]
error = { status = 400, message = "it is wrong", should_retry = false }
[[script]]
name = "final-401"
when = { message = ["*fail with 401*"], tools = true }
[[script.step]]
error = { status = 401, message = "it is wrong", should_retry = false }
[[script]]
name = "final-402"
when = { message = ["*fail with 402*"], tools = true }
[[script.step]]
error = { status = 402, message = "it is wrong", should_retry = false }
[[script]]
name = "final-404"
when = { message = ["*fail with 404*"], tools = true }
[[script.step]]
error = { status = 404, message = "it is wrong", should_retry = false }
[[script]]
name = "final-429"
when = { message = ["*fail with 429*"], tools = true }
[[script.step]]
error = { status = 429, message = "it is wrong", should_retry = false }
[[script]]
name = "final-529"
when = { message = ["*fail with 529*"], tools = true }
[[script.step]]
error = { status = 529, message = "it is wrong", should_retry = false }
"#;

/// The deltas come slowly enough that the CLI prints some before the connection is cut.
const CUT: &str = r#"
[[script]]
name = "cut"
when = { message = ["*cut it*"], tools = true }
[[script.step]]
text = "one two three four five six seven eight nine ten eleven twelve"
chunk = 4
delta_delay_ms = 60
cut_after = 10
"#;

async fn api_400(lab: Arc<Lab>) -> Result<()> {
    error_told(&lab, &Launch::new(), 400).await
}

async fn api_404(lab: Arc<Lab>) -> Result<()> {
    error_told(&lab, &Launch::new(), 404).await
}

async fn api_529(lab: Arc<Lab>) -> Result<()> {
    error_told(&lab, &Launch::new().variable("CLAUDE_CODE_MAX_RETRIES", "1"), 529).await
}

async fn api_401(lab: Arc<Lab>) -> Result<()> {
    told_at_once(&lab, 401).await
}

async fn api_402(lab: Arc<Lab>) -> Result<()> {
    told_at_once(&lab, 402).await
}

async fn api_429(lab: Arc<Lab>) -> Result<()> {
    told_at_once(&lab, 429).await
}

async fn told_at_once(lab: &Lab, status: u16) -> Result<()> {
    error_told(lab, &Launch::new(), status).await?;
    let requests = lab.conversation_requests().len();
    ensure!(requests == 2, "{requests} requests, one of them for the message after the failure");
    Ok(())
}

async fn error_told(lab: &Lab, launch: &Launch, status: u16) -> Result<()> {
    let mut claude = lab.agent(launch).await?;
    let result = claude.ask(&format!("fail with {status}")).await?;
    ensure!(result["subtype"] == "success" && result["is_error"] == true, "{result}");
    ensure!(result["api_error_status"] == status, "api_error_status {}", result["api_error_status"]);
    ensure!(result["result"].is_string(), "no message: {result}");
    let synthetic = claude.of_type("assistant");
    let synthetic = synthetic.last().context("no assistant line tells the failure")?;
    ensure!(synthetic["message"]["model"] == "<synthetic>" && synthetic["error"].is_string(), "{synthetic}");
    let next = claude.answer("say:after it").await?;
    ensure!(next == "after it", "the next answer is {next:?}");
    Ok(())
}

async fn retry(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let answer = claude.answer("status-once:529").await?;
    ensure!(answer == "answered after 529", "{answer:?}");
    let told = claude.system("api_retry");
    let told = told.first().context("no api_retry")?;
    ensure!(told["error_status"] == 529 && told["error"].is_string(), "{told}");
    ensure!(told["attempt"] == 1 && told["max_retries"].is_u64() && told["retry_delay_ms"].is_number(), "{told}");
    Ok(())
}

async fn cut_answer(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let answer = claude.answer("cut it").await?;
    ensure!(answer.starts_with("one two") && answer.ends_with("twelve"), "the answer is {answer:?}");
    let retry = claude.seen.iter().position(|line| line["subtype"] == "api_retry").context("no api_retry")?;
    let (before, after) = claude.seen.split_at(retry);
    let deltas = |lines: &[Value]| lines.iter().any(|line| line["event"]["delta"]["type"] == "text_delta");
    ensure!(deltas(before), "the cut answer has no delta");
    let whole = after.iter().filter(|line| line["type"] == "assistant");
    ensure!(whole.count() == 1, "the answer is not told once: {after:?}");
    if deltas(after) {
        let abandoned = before.iter().filter(|line| line["abandoned_blocks"]["from_block_index"] == 0);
        ensure!(abandoned.count() == 1, "it is streamed again, and no line says that the first part is void");
    }
    Ok(())
}

async fn api_is_away(lab: Arc<Lab>) -> Result<()> {
    // A model of its own, because that of the lab cannot go away.
    let model = ScriptedModel::serve_builtin(TcpListener::bind("127.0.0.1:0").await?)?;
    let (url, address) = (model.url(), model.serving().address());
    let launch = Launch::new().variable("ANTHROPIC_BASE_URL", &url).variable("CLAUDE_CODE_MAX_RETRIES", "1");
    let mut claude = lab.agent(&launch).await?;
    claude.answer("say:hello").await?;
    model.serving().stop().await;
    drop(model);
    let result = claude.ask("say:into the void").await?;
    ensure!(result["is_error"] == true && result["result"].is_string(), "{result}");
    let model = ScriptedModel::new(Scripts::builtin()?).serve(TcpListener::bind(address).await?)?;
    let answer = claude.answer("say:back").await?;
    ensure!(answer == "back" && model.request_count() > 0, "{answer:?}");
    Ok(())
}

async fn result_max_turns(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent(&Launch::new().argument("--max-turns").argument("2")).await?;
    let result = claude.ask("loop:").await?;
    ensure!(result["subtype"] == "error_max_turns" && result["is_error"] == true, "{result}");
    Ok(())
}

async fn result_max_budget(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.agent(&Launch::new().argument("--max-budget-usd").argument("0.001")).await?;
    let result = claude.ask("loop:").await?;
    ensure!(result["subtype"] == "error_max_budget_usd" && result["is_error"] == true, "{result}");
    Ok(())
}
