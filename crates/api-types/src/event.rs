//! The events of a session, as `WS /stream`, `GET /session/:id/events` and `GET /task/:id/logs?format=ndjson` have
//! them.
//!
//! The server writes them from `domain::event::Event`; a test holds that each of those is one of these, byte for byte.

mod part;

use domain::repository::RepositoryName;
use domain::session::{Epoch, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ask::Ask;
use crate::task::{Answer, ErrorType, Stage as TaskStage};
pub use part::{
    AbortedBy, GapReason, Head, OfSession, OfTask, Phase, QueuedReason, ResetReason, WarningCode, WithinTask,
};

/// Types may be added, so ignore the ones that you do not know
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Connected(Connected),
    TaskQueued(TaskQueued),
    TaskStart(TaskStart),
    Stage(Stage),
    Init(Init),
    ThinkingStart(ThinkingStart),
    Thinking(Thinking),
    Text(Text),
    ToolStart(ToolStart),
    ToolEnd(ToolEnd),
    Retry(Retry),
    Subagent(Subagent),
    TaskComplete(Box<TaskComplete>),
    TaskFailed(TaskFailed),
    Abort(Abort),
    Ask(AskOpened),
    AskAnswered(AskAnswered),
    AskExpired(AskExpired),
    AskWithdrawn(AskWithdrawn),
    Warning(Warning),
    SessionReset(SessionReset),
    SessionDeleted(SessionDeleted),
    Gap(Gap),
    Raw(Raw),
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The first frame of a WebSocket, without a number
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connected {
    #[schema(value_type = String)]
    pub session_id: SessionId,
    /// whether a task runs
    pub busy: bool,
    pub turns: u64,
    /// of the latest event
    pub seq: u64,
    /// of the first one that is still kept
    #[schema(minimum = 1)]
    pub earliest_seq: u64,
    /// of the session's present life: a cursor is EPOCH-SEQ
    #[schema(value_type = String)]
    pub epoch: Epoch,
}

/// A task was accepted; published again while it waits for something
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskQueued {
    #[serde(flatten)]
    pub head: OfTask,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    /// tasks ahead of it, or sessions where `reason` is `capacity` or `memory`
    pub position: usize,
    /// the reason of the wait
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    pub reason: Option<QueuedReason>,
}

/// A task runs
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStart {
    #[serde(flatten)]
    pub head: OfTask,
    #[schema(value_type = String)]
    pub session_id: SessionId,
}

/// A repository task enters its next stage, or its repository or branch becomes known
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    #[serde(flatten)]
    pub head: OfTask,
    #[schema(inline)]
    pub stage: TaskStage,
    /// OWNER/NAME
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub repo: Option<RepositoryName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pr_url: Option<String>,
    /// A sentence for each thing of the repository that is not in the clone: submodules, files of Git LFS
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_cloned: Vec<String>,
}

/// The agent is ready
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Init {
    #[serde(flatten)]
    pub head: WithinTask,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    pub model: String,
    pub tools: Vec<String>,
    pub claude_session_id: String,
}

/// A block of thinking begins
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThinkingStart {
    #[serde(flatten)]
    pub head: WithinTask,
    /// the tool call that started the subagent of this event
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_tool_use_id: Option<String>,
}

/// A piece of thinking
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Thinking {
    #[serde(flatten)]
    pub head: WithinTask,
    pub text: String,
    /// the tool call that started the subagent of this event
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_tool_use_id: Option<String>,
}

/// A piece of text, at most 64 KiB
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Text {
    #[serde(flatten)]
    pub head: WithinTask,
    pub text: String,
    /// the tool call that started the subagent of this event
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_tool_use_id: Option<String>,
}

/// A tool is called; published when the model's message is complete
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolStart {
    #[serde(flatten)]
    pub head: WithinTask,
    pub tool: String,
    /// an object; beyond 256 KiB a string with its beginning
    #[schema(required)]
    pub input: Value,
    /// `input` was cut
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub truncated: Option<bool>,
    pub tool_use_id: String,
    /// the tool call that started the subagent of this event
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_tool_use_id: Option<String>,
}

/// A tool has answered
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ToolEnd {
    #[serde(flatten)]
    pub head: WithinTask,
    pub tool_use_id: String,
    /// at most 64 KiB
    pub result: String,
    pub is_error: bool,
    /// `result` was cut
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub truncated: Option<bool>,
    /// the tool call that started the subagent of this event
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parent_tool_use_id: Option<String>,
}

/// The model is asked once more
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    #[serde(flatten)]
    pub head: WithinTask,
    pub attempt: u32,
    pub max_retries: u32,
    pub delay_ms: u64,
    /// of the answer that failed
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<u16>,
    pub reason: String,
    /// text and thinking since this `seq` are void; their replacement follows
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub discards_from: Option<u64>,
}

/// A subagent started, made progress or ended
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Subagent {
    #[serde(flatten)]
    pub head: WithinTask,
    #[schema(inline)]
    pub phase: Phase,
    /// of the agent, unchanged; beyond 256 KiB a string with its beginning
    #[schema(required)]
    pub frame: Value,
}

/// A task completed, with the answer of `POST /task`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskComplete {
    #[serde(flatten)]
    pub head: OfSession,
    #[serde(flatten)]
    pub answer: Answer,
}

/// A task failed
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskFailed {
    #[serde(flatten)]
    pub head: OfTask,
    pub error_type: ErrorType,
    /// a sentence
    pub error: String,
}

/// A task was aborted
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Abort {
    #[serde(flatten)]
    pub head: OfTask,
    #[schema(inline)]
    pub by: AbortedBy,
    pub error_type: ErrorType,
    /// a sentence
    pub error: String,
}

/// The agent asks a person, and waits
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AskOpened {
    #[serde(flatten)]
    pub head: OfTask,
    pub ask: Box<Ask>,
}

/// A person answered
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AskAnswered {
    #[serde(flatten)]
    pub head: OfTask,
    pub ask: Box<Ask>,
}

/// Nobody answered in time
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AskExpired {
    #[serde(flatten)]
    pub head: OfTask,
    pub ask: Box<Ask>,
}

/// The agent no longer waits for the answer
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AskWithdrawn {
    #[serde(flatten)]
    pub head: OfTask,
    pub ask: Box<Ask>,
}

/// Something is not as it should be, and the task goes on
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    #[serde(flatten)]
    pub head: WithinTask,
    #[schema(inline)]
    pub code: WarningCode,
    /// a sentence
    pub message: String,
    /// the MCP server that it is about
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub server: Option<String>,
}

/// The conversation was forgotten
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionReset {
    #[serde(flatten)]
    pub head: OfSession,
    #[schema(inline)]
    pub reason: ResetReason,
}

/// The last event of a session
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionDeleted {
    #[serde(flatten)]
    pub head: OfSession,
}

/// Events are missing here. Without a number
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    pub from: u64,
    /// the last event that EVENT_RETENTION removed; `from` - 1 if it removed none
    pub to: u64,
    #[schema(inline)]
    pub reason: GapReason,
    /// of the events that follow
    #[schema(value_type = String)]
    pub epoch: Epoch,
}

/// An event of Claude Code that is not known here yet
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Raw {
    #[serde(flatten)]
    pub head: WithinTask,
    /// unchanged; beyond 256 KiB a string with its beginning
    #[schema(required)]
    pub event: Value,
}

#[cfg(test)]
mod tests;
