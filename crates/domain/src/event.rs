//! Events: immutable, numbered things that happened in a session, serialised once.
//!
//! On the wire an event is one flat JSON object, `{"type","seq","ts","taskId", …}`. The types of the agent's own stream
//! never get here: `session::narrator` turns them into these.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::repository::RepositoryName;
use crate::session::SessionId;
use crate::task::{Answer, Failure, Stage, TaskId};

/// One numbered event, as subscribers get it and as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Counts per session from 1 without holes.
    pub seq: u64,
    /// The whole JSON object on one line, `seq`, `ts`, `type` and `taskId` in it. Always UTF-8.
    pub json: Bytes,
}

/// What happened. The variant's name in snake case is the event's `type`.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Event {
    TaskQueued {
        session_id: SessionId,
        /// Tasks ahead of this one, the running one included; sessions ahead of this one, where it waits for a sandbox.
        position: usize,
        /// What it waits for, where it cannot begin at once.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<QueuedReason>,
    },
    TaskStart {
        session_id: SessionId,
    },
    /// A repository task goes on to its next stage, or something more is known of where it works.
    Stage {
        stage: Stage,
        #[serde(skip_serializing_if = "Option::is_none")]
        repo: Option<RepositoryName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pr_url: Option<String>,
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
        /// One larger than [`Event::MAX_FRAME_BYTES`] is a string with its beginning, and `truncated` says so.
        input: Box<RawValue>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
        tool_use_id: String,
        #[serde(flatten)]
        origin: Origin,
    },
    ToolEnd {
        tool_use_id: String,
        /// At most [`Event::MAX_TOOL_RESULT_BYTES`]; `truncated` says when it was cut.
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
        /// Text and thinking since this event are void: the model is asked again for this message.
        #[serde(skip_serializing_if = "Option::is_none")]
        discards_from: Option<u64>,
    },
    Subagent {
        phase: &'static str,
        /// The agent's frame as it came, cut like a tool's input where it is too large.
        frame: Box<RawValue>,
    },
    TaskComplete(Box<Answer>),
    TaskFailed(Failure),
    Abort {
        /// Who ended it: `request` (a caller), `reset`, `delete` or `shutdown`.
        by: &'static str,
        #[serde(flatten)]
        failure: Failure,
    },
    /// The conversation was forgotten: by a caller (`reset`), or because its transcript is gone (`transcript_lost`).
    SessionReset {
        reason: &'static str,
    },
    SessionDeleted {},
    /// An event of the agent of a kind that is not known yet, as it came; cut like a tool's input where it is too large.
    Raw {
        event: Box<RawValue>,
    },
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueuedReason {
    /// Other tasks of its session.
    Session,
    /// A sandbox: there are as many as there may be.
    Capacity,
    /// A sandbox: there is no memory for one more.
    Memory,
    /// Another repository task, which works on the same branch.
    Branch,
}

/// Where in the agent something happened: at its top level, or in the subagent that a tool call started.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_tool_use_id: Option<String>,
}

impl Event {
    /// A tool result is for people to follow the work; the agent itself has the whole of it.
    pub const MAX_TOOL_RESULT_BYTES: usize = 64 * 1024;

    /// Of a tool's input and of frames that are passed on.
    pub const MAX_FRAME_BYTES: usize = 256 * 1024;

    /// Longer text comes in several events: one event should not be what a slow subscriber's memory goes to.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;

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
            Event::SessionReset { .. } => "session_reset",
            Event::SessionDeleted {} => "session_deleted",
            Event::Raw { .. } => "raw",
        }
    }

    /// Whether this is something that the model said or wants done.
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
            | Event::SessionReset { .. }
            | Event::SessionDeleted {}
            | Event::Raw { .. } => false,
        }
    }

    /// Serialises the event, for the store and for all subscribers.
    pub fn number(&self, seq: u64, at: Timestamp, task: Option<&TaskId>) -> StoredEvent {
        let mut json = format!("{{\"type\":\"{}\",\"seq\":{seq},\"ts\":\"{at:.3}\"", self.kind()).into_bytes();
        // The answer carries its own taskId.
        if let (Some(task), false) = (task, matches!(self, Event::TaskComplete(_))) {
            json.extend_from_slice(format!(",\"taskId\":\"{task}\"").as_bytes());
        }
        let start = json.len();
        // Every field is a string, a number, or JSON already: this cannot fail, and writing to memory cannot either.
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
    use super::{Event, Origin};
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
            by: "request",
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
