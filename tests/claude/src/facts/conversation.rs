//! Messages, and the turns that belong to them.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use claude_stream::user_message;
use serde_json::json;
use uuid::Uuid;

use super::{Fact, fact};
use crate::lab::Lab;
use crate::launch::Launch;

pub(super) const FACTS: &[Fact] = &[
    fact!(replay, "an accepted message comes back with `isReplay` and its uuid, before the result of its turn"),
    fact!(same_uuid, "a second message with a known uuid is ignored, in the same process and after `--resume`"),
    fact!(
        queued_message,
        "a message of priority `later` that is sent while a turn runs has a turn and a result of its own"
    ),
    fact!(many_turns, "one process answers many messages in one conversation, each with its result"),
    fact!(slash_message, "a message that begins with a slash after a newline goes to the model and is no command"),
    fact!(large_message, "a message of 256 KiB reaches the model, and an answer of 512 KiB comes in one line"),
];

async fn replay(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let first = claude.say("say:one").await?;
    claude.result().await?;
    ensure!(claude.replayed() == [first.as_str()], "replayed {:?}, sent {first}", claude.replayed());
    let second = claude.say("say:two").await?;
    claude.result().await?;
    ensure!(claude.replayed() == [first.as_str(), second.as_str()], "replayed {:?}", claude.replayed());
    Ok(())
}

async fn same_uuid(lab: Arc<Lab>) -> Result<()> {
    let uuid = Uuid::new_v4().to_string();
    let mut claude = lab.usual().await?;
    claude.send(&user_message(&uuid, "say:one")).await?;
    claude.result().await?;
    claude.send(&user_message(&uuid, "say:one")).await?;
    let next = claude.answer("say:two").await?;
    ensure!(next == "two", "the next result is {next:?}");
    claude.end().await?;

    let mut resumed = lab.agent(&Launch::new().resume(&claude.conversation()?)).await?;
    resumed.send(&user_message(&uuid, "say:one")).await?;
    let next = resumed.answer("say:three").await?;
    ensure!(next == "three", "the next result after --resume is {next:?}");
    ensure!(
        lab.conversation_requests().len() == 3,
        "{} requests for three messages",
        lab.conversation_requests().len()
    );
    Ok(())
}

async fn queued_message(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let first = claude.say("bash:sleep 2; echo first").await?;
    claude.until("a tool call", |line| line["type"] == "assistant").await?;
    let second = Uuid::new_v4().to_string();
    let line = json!({
        "type": "user", "uuid": second, "priority": "later", "message": { "role": "user", "content": "say:second" },
    });
    claude.send(&line.to_string()).await?;
    let result = claude.result().await?;
    ensure!(result["result"] == "done: first", "the first result is {}", result["result"]);
    ensure!(claude.replayed() == [first.as_str()], "before the first result came back {:?}", claude.replayed());
    let result = claude.result().await?;
    ensure!(result["result"] == "second", "the second result is {}", result["result"]);
    ensure!(claude.replayed().last() == Some(&second.as_str()), "the second message did not come back");
    Ok(())
}

async fn many_turns(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    for number in 0..10 {
        let answer = claude.answer(&format!("say:answer {number}")).await?;
        ensure!(answer == format!("answer {number}"), "{answer:?} for message {number}");
    }
    let recalled = claude.answer("recall:").await?;
    ensure!((0..10).all(|number| recalled.contains(&format!("answer {number}"))), "it remembers {recalled}");
    let inits = claude.system("init");
    ensure!(inits.iter().all(|init| init["session_id"] == inits[0]["session_id"]), "the conversation's id changes");
    Ok(())
}

async fn slash_message(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.answer("say:before").await?;
    let conversation = claude.conversation()?;
    for command in ["/clear", "/start", "/context", "/compact", "/model opus"] {
        let requests = lab.conversation_requests().len();
        claude.answer(command).await?;
        ensure!(lab.conversation_requests().len() == requests + 1, "{command} did not go to the model");
        let body = lab.last_body()?;
        let last = body["messages"].as_array().and_then(|messages| messages.last()).context("no messages")?;
        ensure!(last.to_string().contains(command), "{command} is not the last message");
    }
    let recalled = claude.answer("recall:").await?;
    ensure!(recalled.contains("say:before") && recalled.contains("/clear"), "it remembers {recalled}");
    ensure!(claude.conversation()? == conversation, "the conversation's id changed");
    Ok(())
}

async fn large_message(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    let text = "lorem ipsum ".repeat((256 << 10) / 12);
    let answer = claude.answer(&format!("{text}\nbig:512")).await?;
    ensure!(answer.len() >= 512 << 10, "the answer has {} bytes", answer.len());
    let requests = lab.conversation_requests();
    let length = requests.last().context("no request")?.prompt.len();
    ensure!(length >= text.trim().len(), "{length} bytes of the message arrived");
    Ok(())
}
