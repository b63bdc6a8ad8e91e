//! Work in the background, and turns that no message asked for.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::Launch;

pub(super) const FACTS: &[Fact] = &[
    fact!(
        background_off,
        "with CLAUDE_CODE_DISABLE_BACKGROUND_TASKS a Bash call with `run_in_background` starts no turn"
    ),
    fact!(
        unasked_turn,
        "without it, a background Bash that ends starts a turn: its result comes without a replayed message"
    ),
    fact!(disallowed_tools, "a call of a disallowed tool fails, starts no turn, and the turn goes on"),
];

/// Messages after which a turn of its own would have begun: the background work lasts one second.
async fn no_unasked_turn(claude: &mut crate::process::Claude) -> Result<()> {
    let results = claude.of_type("result").len();
    let answer = claude.answer("bash:sleep 3; echo waited").await?;
    ensure!(answer.starts_with("done: waited"), "{answer:?}");
    let answer = claude.answer("say:last").await?;
    ensure!(answer == "last", "{answer:?}");
    ensure!(
        claude.of_type("result").len() == results + 2,
        "{} results for two messages",
        claude.of_type("result").len() - results
    );
    Ok(())
}

async fn background_off(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let input = json!({ "command": "sleep 1; echo late", "run_in_background": true });
    claude.answer(&format!("tool:Bash {input}")).await?;
    no_unasked_turn(&mut claude).await?;
    ensure!(
        lab.conversation_requests().len() == 5,
        "{} requests for three messages",
        lab.conversation_requests().len()
    );
    Ok(())
}

async fn unasked_turn(lab: Arc<Lab>) -> Result<()> {
    let launch = Launch::new().without("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS");
    let mut claude = lab.agent(&launch).await?;
    let input = json!({ "command": "sleep 1; echo late", "run_in_background": true });
    claude.answer(&format!("tool:Bash {input}")).await?;
    let replayed = claude.replayed().len();
    let unasked = claude.result().await?;
    ensure!(claude.replayed().len() == replayed, "the unasked turn replays a message: {:?}", claude.replayed());
    let origin = &unasked["origin"]["kind"];
    ensure!(origin.is_null() || origin == "task-notification", "origin {origin}");
    Ok(())
}

async fn disallowed_tools(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let monitor = json!({ "command": "for i in 1 2 3; do echo $i; sleep 0.3; done", "description": "counts" });
    let wakeup = json!({ "delaySeconds": 1, "prompt": "say:woken", "reason": "to see" });
    for call in [format!("tool:Monitor {monitor}"), format!("tool:ScheduleWakeup {wakeup}")] {
        let answer = claude.answer(&call).await?;
        ensure!(answer.starts_with("done: ") && answer.contains("No such tool"), "{answer:?}");
    }
    no_unasked_turn(&mut claude).await
}
