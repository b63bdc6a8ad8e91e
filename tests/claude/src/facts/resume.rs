//! Conversations that another process continues.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::Launch;

pub(super) const FACTS: &[Fact] = &[
    fact!(resume, "`--resume` continues a conversation under the same id"),
    fact!(
        resume_transcript_gone,
        "`--resume` without a transcript prints a result with `errors` and ends with another exit code than 0"
    ),
    fact!(
        prompt_after_resume,
        "after `--resume` the system prompt is that of the new `initialize` (`--system-prompt-snapshot off`)"
    ),
    fact!(
        transcript_at_result,
        "a turn whose `result` was printed is in the transcript, even if the process is killed at that moment"
    ),
    fact!(killed_in_a_turn, "a process that is killed in the middle of a turn loses no earlier turn"),
];

async fn resume(lab: Arc<Lab>) -> Result<()> {
    let mut first = lab.usual().await?;
    first.answer("say:blue").await?;
    let conversation = first.conversation()?;
    first.end().await?;
    let mut second = lab.agent(&Launch::new().resume(&conversation)).await?;
    let recalled = second.answer("recall:").await?;
    ensure!(recalled.contains("say:blue"), "it remembers {recalled:?}");
    ensure!(second.conversation()? == conversation, "the id is now {}", second.conversation()?);
    Ok(())
}

async fn resume_transcript_gone(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.start(&Launch::new().resume("11111111-1111-4111-8111-111111111111"))?;
    // It may have ended before it reads this.
    claude
        .send(
            &json!({ "type": "control_request", "request_id": "1", "request": { "subtype": "initialize" } })
                .to_string(),
        )
        .await
        .ok();
    let status = claude.rest().await?;
    let results = claude.of_type("result");
    ensure!(results.len() == 1, "{} results", results.len());
    ensure!(results[0]["subtype"] == "error_during_execution" && results[0]["is_error"] == true, "{}", results[0]);
    ensure!(results[0]["errors"].to_string().contains("No conversation found"), "{}", results[0]["errors"]);
    ensure!(status.code().is_some_and(|code| code != 0), "{status}");
    Ok(())
}

async fn prompt_after_resume(lab: Arc<Lab>) -> Result<()> {
    let mut first = lab.agent_with(&Launch::new(), json!({ "systemPrompt": ["The first prompt."] })).await?;
    first.answer("say:hello").await?;
    first.end().await?;
    let launch = Launch::new().resume(&first.conversation()?);
    let mut second = lab.agent_with(&launch, json!({ "systemPrompt": ["The second prompt."] })).await?;
    second.answer("say:again").await?;
    let system = lab.last_body()?["system"].to_string();
    ensure!(
        system.contains("The second prompt.") && !system.contains("The first prompt."),
        "the system prompt is {system}"
    );
    Ok(())
}

async fn transcript_at_result(lab: Arc<Lab>) -> Result<()> {
    const TRIES: usize = 10;
    let mut lost = Vec::new();
    for number in 0..TRIES {
        let mut claude = lab.usual().await?;
        claude.answer(&format!("say:first {number}")).await?;
        claude.answer(&format!("bash:echo second {number}")).await?;
        claude.kill_at_result();
        claude.ask(&format!("say:third {number}")).await?;
        claude.rest().await?;
        let mut resumed = lab.agent(&Launch::new().resume(&claude.conversation()?)).await?;
        let recalled = resumed.answer("recall:").await?;
        let missing = ["first", "second", "third"].map(|turn| format!("{turn} {number}")).into_iter();
        lost.extend(missing.filter(|turn| !recalled.contains(turn)));
        resumed.kill().await?;
    }
    ensure!(lost.is_empty(), "lost in {TRIES} kills: {lost:?}");
    Ok(())
}

async fn killed_in_a_turn(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.answer("bash:echo kept").await?;
    claude.say("slow:400").await?;
    claude.until("a delta", |line| line["event"]["delta"]["type"] == "text_delta").await?;
    claude.kill().await?;
    let mut resumed = lab.agent(&Launch::new().resume(&claude.conversation()?)).await?;
    let recalled = resumed.answer("recall:").await?;
    ensure!(recalled.contains("echo kept"), "it remembers {recalled:?}");
    ensure!(lab.model.violations().is_empty(), "{:?}", lab.model.violations());
    Ok(())
}
