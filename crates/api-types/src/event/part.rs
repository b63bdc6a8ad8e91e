//! Parts and enums that several events share.

use domain::task::TaskId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

/// The members by which a client finds its place, of an event of any type, known or not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// `None` for `gap`, which has no number.
    pub seq: Option<u64>,
    pub task_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfSession {
    /// counts from 1 in each session, without holes
    #[schema(minimum = 1)]
    pub seq: u64,
    #[schema(value_type = String, format = DateTime)]
    pub ts: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfTask {
    /// counts from 1 in each session, without holes
    #[schema(minimum = 1)]
    pub seq: u64,
    #[schema(value_type = String, format = DateTime)]
    pub ts: Time,
    #[schema(value_type = String)]
    pub task_id: TaskId,
}

/// The common fields of an event of the agent. `taskId` is there while a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithinTask {
    /// counts from 1 in each session, without holes
    #[schema(minimum = 1)]
    pub seq: u64,
    #[schema(value_type = String, format = DateTime)]
    pub ts: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    pub task_id: Option<TaskId>,
}

/// The subject of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    McpServerFailed,
    HomeRepaired,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The resource that a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueuedReason {
    Session,
    Capacity,
    Memory,
    Branch,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The state of a subagent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Started,
    Updated,
    Ended,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The party that ended a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AbortedBy {
    Request,
    Reset,
    Delete,
    Shutdown,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The reason why a conversation was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    Reset,
    TranscriptLost,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The reason why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// They are older than EVENT_RETENTION allows.
    Retention,
    /// The cursor is of another life of the session, or beyond its newest event.
    Renewed,
    #[serde(other, skip_serializing)]
    Unknown,
}
