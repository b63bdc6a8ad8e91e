//! The start of a process, and `initialize`.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use claude_stream::ControlRequest;
use serde_json::json;

use super::{Fact, fact};
use crate::lab::{Lab, PROMPT};
use crate::launch::{DISALLOWED_TOOLS, Launch, MODEL};
use crate::process::Claude;

pub(super) const FACTS: &[Fact] = &[
    fact!(version_option, "`claude --version` prints `VERSION (Claude Code)` and ends"),
    fact!(
        start,
        "it starts with the arguments of a sandbox, and each turn's `init` names conversation, model, mode, version and tools"
    ),
    fact!(initialize, "`initialize` sets the system prompt and the output schema of a running process"),
    fact!(initialize_again, "a second `initialize` is answered with success and changes neither prompt nor schema"),
    fact!(
        one_request,
        "the first message of a process makes one model request, with the key in `x-api-key`, past the proxy of the environment"
    ),
    fact!(end_of_input, "after the end of its stdin it finishes the running turn and exits with 0"),
    fact!(bad_input, "a line that is not JSON ends it with another exit code than 0"),
    fact!(socketpair, "it runs with sockets as stdin and stdout, which its tools cannot open through /proc"),
];

async fn version_option(lab: Arc<Lab>) -> Result<()> {
    let output = tokio::process::Command::new(&lab.binary).arg("--version").env("HOME", lab.home()).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(text == format!("{} (Claude Code)", lab.version), "it printed {text:?}");
    Ok(())
}

async fn start(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.answer("say:hello").await?;
    claude.answer("say:again").await?;
    let inits = claude.system("init");
    ensure!(inits.len() == 2, "{} init lines in two turns", inits.len());
    for init in inits {
        ensure!(init["claude_code_version"] == lab.version.as_str(), "it says version {}", init["claude_code_version"]);
        ensure!(init["model"] == MODEL, "model {}", init["model"]);
        ensure!(init["permissionMode"] == "bypassPermissions", "permission mode {}", init["permissionMode"]);
        ensure!(init["session_id"] == claude.conversation()?.as_str(), "session_id {}", init["session_id"]);
        let tools: Vec<&str> =
            init["tools"].as_array().context("no tools")?.iter().filter_map(|tool| tool.as_str()).collect();
        ensure!(tools.contains(&"Bash"), "no Bash among {tools:?}");
        let offered: Vec<&&str> = tools.iter().filter(|tool| DISALLOWED_TOOLS.contains(*tool)).collect();
        ensure!(offered.is_empty(), "{offered:?} are offered although they are disallowed");
    }
    Ok(())
}

async fn initialize(lab: Arc<Lab>) -> Result<()> {
    let schema = json!({ "type": "object", "properties": { "size": { "type": "number" } }, "required": ["size"] });
    let schema = serde_json::value::to_raw_value(&schema)?;
    let mut claude = lab.start(&Launch::new())?;
    let request = ControlRequest::Initialize {
        system_prompt: Some("Prompt of the template."),
        json_schema: Some(&schema),
        hook: None,
    };
    let response = claude.control(&request).await?;
    ensure!(response["subtype"] == "success", "{response}");
    let result = claude.ask("json:{\"size\":3}").await?;
    ensure!(result["structured_output"] == json!({ "size": 3 }), "{result}");
    let body = lab.last_body()?;
    ensure!(body["system"].to_string().contains("Prompt of the template."), "the prompt is not in the request");
    let offered =
        body["tools"].as_array().into_iter().flatten().find(|tool| tool["name"] == claude_stream::STRUCTURED_OUTPUT);
    let offered = offered.context("the request has no tool StructuredOutput")?;
    ensure!(offered["input_schema"]["properties"]["size"].is_object(), "its schema is {}", offered["input_schema"]);
    Ok(())
}

async fn initialize_again(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.answer("say:hello").await?;
    let again =
        json!({ "subtype": "initialize", "systemPrompt": ["Another prompt."], "jsonSchema": { "type": "object" } });
    claude.ask_control(again).await?;
    claude.answer("say:again").await?;
    let body = lab.last_body()?;
    ensure!(body["system"].to_string().contains(PROMPT), "the prompt is gone");
    ensure!(!body.to_string().contains("Another prompt."), "the second prompt is in the request");
    ensure!(!body["tools"].to_string().contains(claude_stream::STRUCTURED_OUTPUT), "the second schema has effect");
    Ok(())
}

async fn one_request(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.answer("say:hello").await?;
    let requests = lab.model.requests();
    let seen: Vec<String> = requests
        .iter()
        .map(|request| format!("{} ({} tools, {})", request.path, request.tools, request.prompt))
        .collect();
    ensure!(requests.len() == 1, "{} requests: {seen:?}", requests.len());
    let request = &requests[0];
    ensure!(request.path == "/v1/messages?beta=true", "path {}", request.path);
    ensure!(request.stream, "the request is not streamed");
    ensure!(request.model == MODEL, "model {}", request.model);
    ensure!(lab.model.violations().is_empty(), "{:?}", lab.model.violations());
    Ok(())
}

async fn end_of_input(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.say("slow:20").await?;
    claude.until("an answer", |line| line["type"] == "stream_event").await?;
    let status = claude.end().await?;
    let results = claude.of_type("result");
    ensure!(results.len() == 1 && results[0]["is_error"] == false, "the turn was not finished: {results:?}");
    ensure!(status.code() == Some(0), "{status}");
    Ok(())
}

async fn bad_input(lab: Arc<Lab>) -> Result<()> {
    let mut claude = lab.usual().await?;
    claude.send("this is not JSON").await?;
    let status = claude.rest().await?;
    ensure!(status.code().is_some_and(|code| code != 0), "{status}");
    Ok(())
}

async fn socketpair(lab: Arc<Lab>) -> Result<()> {
    let (own_input, input) = UnixStream::pair()?;
    let (own_output, output) = UnixStream::pair()?;
    let mut command = lab.command(&Launch::new());
    command.stdin(Stdio::from(OwnedFd::from(input))).stdout(Stdio::from(OwnedFd::from(output)));
    let child = command.spawn()?;
    // The command keeps its ends open, and then the output would have no end.
    drop(command);
    let [own_input, own_output] = [own_input, own_output].map(|stream| {
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    });
    let mut claude = Claude::attach(child, Box::new(own_input?), own_output?, &lab.recorder)?;
    claude.ask_control(json!({ "subtype": "initialize", "systemPrompt": [PROMPT] })).await?;
    let answer = claude.answer("bash:echo forged > /proc/$PPID/fd/1 && echo written || echo refused").await?;
    ensure!(answer.contains("refused") && !answer.contains("written"), "a tool opened stdout: {answer}");
    Ok(())
}
