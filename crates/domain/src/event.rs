//! Events: immutable, numbered records of a session's history. Each is serialised once.
//!
//! On the wire an event is one flat JSON object, `{"type","seq","ts","taskId", …}`. The types of the agent's own stream
//! never appear here: `session::narrator` translates them into these.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ask::AskRecord;
use crate::repository::RepositoryName;
use crate::session::SessionId;
use crate::task::{Answer, Failure, Stage, TaskId};

/// One numbered event, in the form that the store keeps and subscribers receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Sequence number within the session: starts at 1, no gaps.
    pub seq: u64,
    /// The complete JSON object on one line, including `seq`, `ts`, `type` and `taskId`. Always UTF-8.
    pub json: Bytes,
}

/// An event before it is numbered. The variant's name in snake case is the event's `type`.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Event {
    TaskQueued {
        session_id: SessionId,
        /// The number of tasks ahead of this one in its session, including the running task. For a task that waits for
        /// a sandbox: the number of sessions ahead of it.
        position: usize,
        /// The reason why the task cannot start at once. `None` if it can.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<QueuedReason>,
    },
    TaskStart {
        session_id: SessionId,
    },
    /// A repository task enters its next stage, or its repository, branch, pull request, or what its clone does
    /// not have, becomes known.
    Stage {
        stage: Stage,
        #[serde(skip_serializing_if = "Option::is_none")]
        repo: Option<RepositoryName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pr_url: Option<String>,
        /// A sentence for each thing of the repository that is not in the clone.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_cloned: Vec<String>,
    },
    Init {
        session_id: SessionId,
        model: String,
        tools: Vec<String>,
        claude_session_id: String,
    },
    ThinkingStart(Origin),
    Thinking {
        text: String,
        #[serde(flatten)]
        origin: Origin,
    },
    Text {
        text: String,
        #[serde(flatten)]
        origin: Origin,
    },
    ToolStart {
        tool: String,
        /// The tool's input. If it exceeds [`Event::MAX_FRAME_BYTES`], it is a JSON string with the beginning of the
        /// input, and `truncated` is true.
        input: Box<RawValue>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
        tool_use_id: String,
        #[serde(flatten)]
        origin: Origin,
    },
    ToolEnd {
        tool_use_id: String,
        /// At most [`Event::MAX_TOOL_RESULT_BYTES`]. `truncated` is true if the result was longer.
        result: String,
        is_error: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
        #[serde(flatten)]
        origin: Origin,
    },
    Retry {
        attempt: u32,
        max_retries: u32,
        delay_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        reason: String,
        /// Subscribers discard text and thinking from this `seq` on: the CLI repeats the model request of this message.
        #[serde(skip_serializing_if = "Option::is_none")]
        discards_from: Option<u64>,
    },
    Subagent {
        phase: Phase,
        /// The agent's frame, unchanged. A frame that is too large is truncated like a tool's input.
        frame: Box<RawValue>,
    },
    TaskComplete(Box<Answer>),
    TaskFailed(Failure),
    Abort {
        by: EndedBy,
        #[serde(flatten)]
        failure: Failure,
    },
    /// The agent asks a person, and waits.
    Ask {
        ask: Box<AskRecord>,
    },
    /// A person answered.
    AskAnswered {
        ask: Box<AskRecord>,
    },
    /// Nobody answered in time.
    AskExpired {
        ask: Box<AskRecord>,
    },
    /// The agent no longer waits for an answer.
    AskWithdrawn {
        ask: Box<AskRecord>,
    },
    /// Something is not as it should be, and the task goes on.
    Warning {
        code: WarningCode,
        /// A sentence for people.
        message: String,
        /// The MCP server that the warning is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        server: Option<String>,
    },
    /// The session lost its conversation.
    SessionReset {
        reason: ResetReason,
    },
    SessionDeleted {},
    /// An agent event of an unknown type, unchanged. An event that is too large is truncated like a tool's input.
    Raw {
        event: Box<RawValue>,
    },
}

/// The reason why a task is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuedReason {
    /// Other tasks of the same session run first.
    Session,
    /// The task needs a sandbox, and the maximum number of sandboxes exists.
    Capacity,
    /// The task needs a sandbox, and there is not enough memory for another one.
    Memory,
    /// Another repository task works on the same branch.
    Branch,
}

/// The phase of a subagent that a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Started,
    Updated,
    Ended,
}

/// The call that ended a task. Only the event of an aborted task shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// A caller aborted the task.
    Request,
    Reset,
    Delete,
    Shutdown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// A caller reset the session.
    Reset,
    /// The CLI's transcript is missing.
    TranscriptLost,
}

/// The subject of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// An MCP server of the agent cannot be used.
    McpServerFailed,
    /// A damaged file in the agent's home was repaired or put aside.
    HomeRepaired,
}

/// The part of the agent that produced an event: the main conversation, or the subagent that this tool call started.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_tool_use_id: Option<String>,
}

impl Event {
    /// The maximum size of a tool result in an event. Events exist so that people can follow the work; the agent itself
    /// gets the full result.
    pub const MAX_TOOL_RESULT_BYTES: usize = 64 * 1024;

    /// The maximum size of a tool's input, and of agent frames that are passed on.
    pub const MAX_FRAME_BYTES: usize = 256 * 1024;

    /// The maximum size of the text in one event. Longer text is split into several events, so that one event cannot
    /// fill a slow subscriber's buffer.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;

    /// The event's `type` on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Event::TaskQueued { .. } => "task_queued",
            Event::TaskStart { .. } => "task_start",
            Event::Stage { .. } => "stage",
            Event::Init { .. } => "init",
            Event::ThinkingStart(_) => "thinking_start",
            Event::Thinking { .. } => "thinking",
            Event::Text { .. } => "text",
            Event::ToolStart { .. } => "tool_start",
            Event::ToolEnd { .. } => "tool_end",
            Event::Retry { .. } => "retry",
            Event::Subagent { .. } => "subagent",
            Event::TaskComplete(_) => "task_complete",
            Event::TaskFailed(_) => "task_failed",
            Event::Abort { .. } => "abort",
            Event::Ask { .. } => "ask",
            Event::AskAnswered { .. } => "ask_answered",
            Event::AskExpired { .. } => "ask_expired",
            Event::AskWithdrawn { .. } => "ask_withdrawn",
            Event::Warning { .. } => "warning",
            Event::SessionReset { .. } => "session_reset",
            Event::SessionDeleted {} => "session_deleted",
            Event::Raw { .. } => "raw",
        }
    }

    /// True for events that carry output of the model: text, thinking and tool calls.
    pub const fn is_of_the_model(&self) -> bool {
        match self {
            Event::ThinkingStart(_) | Event::Thinking { .. } | Event::Text { .. } | Event::ToolStart { .. } => true,
            Event::TaskQueued { .. }
            | Event::TaskStart { .. }
            | Event::Stage { .. }
            | Event::Init { .. }
            | Event::ToolEnd { .. }
            | Event::Retry { .. }
            | Event::Subagent { .. }
            | Event::TaskComplete(_)
            | Event::TaskFailed(_)
            | Event::Abort { .. }
            | Event::Ask { .. }
            | Event::AskAnswered { .. }
            | Event::AskExpired { .. }
            | Event::AskWithdrawn { .. }
            | Event::Warning { .. }
            | Event::SessionReset { .. }
            | Event::SessionDeleted {}
            | Event::Raw { .. } => false,
        }
    }

    /// Numbers and serialises the event, once for the store and all subscribers.
    pub fn number(&self, seq: u64, at: Timestamp, task: Option<&TaskId>) -> StoredEvent {
        let mut json = format!("{{\"type\":\"{}\",\"seq\":{seq},\"ts\":\"{at:.3}\"", self.kind()).into_bytes();
        // `TaskComplete` already contains a `taskId`.
        if let (Some(task), false) = (task, matches!(self, Event::TaskComplete(_))) {
            json.extend_from_slice(format!(",\"taskId\":\"{task}\"").as_bytes());
        }
        let start = json.len();
        // This cannot fail: every field is a string, a number or raw JSON, and the writer is a buffer in memory.
        if serde_json::to_writer(&mut json, self).is_err() {
            json.truncate(start);
            json.push(b'}');
        } else if json[start..] == *b"{}" {
            json.remove(start);
        } else {
            json[start] = b',';
        }
        StoredEvent { seq, json: json.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::{EndedBy, Event, Origin};
    use crate::task::{ErrorType, Failure};

    fn json(event: &Event) -> String {
        let task = "00000000000000aa".parse().unwrap();
        let event = event.number(7, jiff::Timestamp::UNIX_EPOCH, Some(&task));
        String::from_utf8(event.json.to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let text = Event::Text { text: "a \"quoted\"\nline".into(), origin: Origin::default() };
        assert_eq!(
            json(&text),
            r#"{"type":"text","seq":7,"ts":"1970-01-01T00:00:00.000Z","taskId":"00000000000000aa","text":"a \"quoted\"\nline"}"#
        );
        assert_eq!(
            json(&Event::SessionDeleted {}),
            r#"{"type":"session_deleted","seq":7,"ts":"1970-01-01T00:00:00.000Z","taskId":"00000000000000aa"}"#
        );
        let abort = Event::Abort {
            by: EndedBy::Request,
            failure: Failure { error_type: ErrorType::Aborted, error: "the task was aborted".into() },
        };
        assert_eq!(
            json(&abort),
            r#"{"type":"abort","seq":7,"ts":"1970-01-01T00:00:00.000Z","taskId":"00000000000000aa","by":"request","errorType":"aborted","error":"the task was aborted"}"#
        );
        let sub = Event::ThinkingStart(Origin { parent_tool_use_id: Some("toolu_1".into()) });
        assert!(json(&sub).ends_with(r#""parentToolUseId":"toolu_1"}"#));
    }
}
