//! The model of a task's main conversation is the one that the task asks for: no other model answers and is paid for.
//!
//! The model in the request is compared, because the API names models in its own way in the answer.

use domain::model::is_asked_model;
use http::HeaderMap;

use crate::bound::Contents;
use crate::sandbox::SandboxGateway;

/// The CLI names its conversation in this header, and the subagent of a request in the next one.
const SESSION_ID: &str = "x-claude-code-session-id";
const AGENT_ID: &str = "x-claude-code-agent-id";

/// Returns true for a request of the sandbox's main conversation. Subagents and the CLI's requests beside the conversation have
/// models of their own; the latter offer no tool of the agent. Another `claude`, which the agent starts, has another
/// conversation. The first one that asks is the main one, because it takes a tool call to start another.
pub(super) fn is_conversation(headers: &HeaderMap, contents: &Contents, sandbox: &SandboxGateway) -> bool {
    let Some(session) = headers.get(SESSION_ID) else { return false };
    let offers_tools = contents.tools > contents.api_tools;
    offers_tools && !headers.contains_key(AGENT_ID) && sandbox.is_main_conversation(session)
}

/// Returns the reason why a request with the model `sent` is not one of a task that asks for the model `asked`.
pub(super) fn mismatch(asked: Option<&str>, sent: &str) -> Option<String> {
    let asked = asked.filter(|asked| !is_asked_model(sent, asked))?;
    Some(format!(
        "the task asks for the model {asked}, and Claude Code asked the model API for {sent}; the request was not sent"
    ))
}
