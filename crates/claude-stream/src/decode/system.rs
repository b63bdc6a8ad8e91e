//! `{"type":"system","subtype":"…",…}`

use serde::Deserialize;

use crate::event::{AgentEvent, SubagentPhase};
use crate::text::{Text, plain};

pub(super) fn decode<'a>(subtype: &str, line: &'a str) -> Option<AgentEvent<'a>> {
    match subtype {
        "init" => init(line),
        "status" => status(line),
        "api_retry" => api_retry(line),
        "task_started" => subagent(SubagentPhase::Started, line),
        "task_progress" | "task_updated" => subagent(SubagentPhase::Updated, line),
        "task_notification" => subagent(SubagentPhase::Ended, line),
        _ => None,
    }
}

fn init(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Init<'a> {
        #[serde(borrow)]
        session_id: Text<'a>,
        #[serde(borrow)]
        model: Text<'a>,
        #[serde(borrow, default)]
        tools: Vec<Text<'a>>,
        #[serde(borrow, rename = "permissionMode")]
        permission_mode: Option<Text<'a>>,
        #[serde(borrow, rename = "claude_code_version")]
        version: Option<Text<'a>>,
    }
    let init: Init<'_> = serde_json::from_str(line).ok()?;
    Some(AgentEvent::Init {
        session_id: init.session_id.0,
        model: init.model.0,
        tools: init.tools.into_iter().map(|tool| tool.0).collect(),
        permission_mode: plain(init.permission_mode).unwrap_or_default(),
        version: plain(init.version).unwrap_or_default(),
    })
}

fn status(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Status<'a> {
        #[serde(borrow)]
        status: Option<Text<'a>>,
    }
    let Status { status } = serde_json::from_str(line).ok()?;
    Some(AgentEvent::Status { status: plain(status) })
}

fn api_retry(line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct ApiRetry<'a> {
        attempt: u32,
        max_retries: u32,
        /// It has a fractional part from the second retry on.
        retry_delay_ms: f64,
        error_status: Option<u16>,
        #[serde(borrow)]
        error: Option<Text<'a>>,
    }
    let retry: ApiRetry<'_> = serde_json::from_str(line).ok()?;
    Some(AgentEvent::ApiRetry {
        attempt: retry.attempt,
        max_retries: retry.max_retries,
        delay_ms: retry.retry_delay_ms,
        status: retry.error_status,
        reason: plain(retry.error).unwrap_or_default(),
    })
}

fn subagent(phase: SubagentPhase, line: &str) -> Option<AgentEvent<'_>> {
    #[derive(Deserialize)]
    struct Subagent<'a> {
        #[serde(borrow)]
        task_id: Text<'a>,
        #[serde(borrow)]
        tool_use_id: Option<Text<'a>>,
    }
    let Subagent { task_id, tool_use_id } = serde_json::from_str(line).ok()?;
    Some(AgentEvent::Subagent { phase, task_id: task_id.0, tool_use_id: plain(tool_use_id) })
}
