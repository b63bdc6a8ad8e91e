//! What is kept of a task.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Failure, RepositoryProgress, RepositoryRequest, TaskId, TraceParent};
use crate::access::{KeyId, KeyLimits};
use crate::session::{SessionId, SessionKey};

/// The most that a task may be given of each, whoever gives it.
pub const MAX_TURNS: u32 = 1000;
pub const MAX_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Aborted,
}

impl TaskStatus {
    pub const fn is_final(self) -> bool {
        match self {
            TaskStatus::Queued | TaskStatus::Running => false,
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Aborted => true,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Queued => "queued",
            TaskStatus::Running => "running",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
            TaskStatus::Aborted => "aborted",
        }
    }
}

impl TaskRecord {
    /// Which of the two forms of `POST /task` it came by.
    pub const fn kind(&self) -> &'static str {
        if self.repository.is_some() { "repository" } else { "session" }
    }
}

/// What was asked for. `env` is not here: it belongs to the session and is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRequest {
    pub message: String,
    pub context: Option<String>,
    pub model: String,
    pub max_turns: u32,
    pub timeout_ms: u64,
    pub max_cost_usd: Option<f64>,
    /// How often it may begin anew when its sandbox is lost.
    pub retry: u32,
    /// The caller's own object, returned with the task.
    pub metadata: Option<Value>,
    /// The API key with which it was submitted, if this server has keys, and what that one may use.
    #[serde(default)]
    pub key: Option<KeyId>,
    #[serde(default)]
    pub key_limits: KeyLimits,
    /// There where the task begins a repository task's session.
    #[serde(default)]
    pub repository: Option<RepositoryRequest>,
    /// Where the caller wants to see it, for traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<TraceParent>,
}

/// A task as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    pub id: TaskId,
    pub session: SessionKey,
    pub session_id: SessionId,
    pub status: TaskStatus,
    pub request: TaskRequest,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// 0 at first; one more each time it began anew because its sandbox was lost.
    pub attempt: u32,
    /// There once the task ended, however it ended: cost and tools count for failed tasks too.
    pub answer: Option<Answer>,
    /// There where it did not complete.
    pub failure: Option<Failure>,
    /// There where its session works in a repository.
    pub repository: Option<RepositoryProgress>,
}
