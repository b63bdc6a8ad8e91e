//! The record of a task.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Failure, RepositoryProgress, RepositoryRequest, TaskId, TraceParent};
use crate::access::{KeyId, KeyLimits};
use crate::ask::AskPolicy;
use crate::session::{SessionId, SessionKey};

/// The upper bounds of `maxTurns` and of the timeout. They apply to every caller and every agent template.
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

/// The form of `POST /task` that created a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    Session,
    Repository,
}

impl TaskKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            TaskKind::Session => "session",
            TaskKind::Repository => "repository",
        }
    }
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
    /// The record with [`TaskRequest::without_texts`].
    #[must_use]
    pub fn without_texts(&self) -> TaskRecord {
        TaskRecord {
            id: self.id.clone(),
            session: self.session,
            session_id: self.session_id.clone(),
            status: self.status,
            request: self.request.without_texts(),
            created: self.created,
            started: self.started,
            finished: self.finished,
            attempt: self.attempt,
            answer: self.answer.clone(),
            failure: self.failure.clone(),
            repository: self.repository.clone(),
            waiting: self.waiting,
        }
    }

    pub const fn kind(&self) -> TaskKind {
        if self.repository.is_some() { TaskKind::Repository } else { TaskKind::Session }
    }
}

/// The parameters of a task. `env` is not among them: it belongs to the session and is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRequest {
    pub message: String,
    pub context: Option<String>,
    pub model: String,
    pub max_turns: u32,
    pub timeout_ms: u64,
    pub max_cost_usd: Option<f64>,
    /// The number of times that the task may restart after its sandbox is lost.
    pub retry: u32,
    /// A JSON object of the caller's choice. It is returned with the task.
    pub metadata: Option<Value>,
    /// The API key that submitted the task, if this server has keys. `key_limits` are the limits of that key at
    /// submission.
    #[serde(default)]
    pub key: Option<KeyId>,
    #[serde(default)]
    pub key_limits: KeyLimits,
    /// Set on the task that starts a repository task's session.
    #[serde(default)]
    pub repository: Option<RepositoryRequest>,
    /// The server ran with its scripted model when the task was submitted: Claude did not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scripted: bool,
    /// The caller's span, if it wants to see the task in its own trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<TraceParent>,
    /// The policy of its agent at submission, as the task narrows it. `None`: nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<AskPolicy>,
}

impl TaskRequest {
    /// The request without the texts of its caller, which may be megabytes long: message, context and metadata.
    #[must_use]
    pub fn without_texts(&self) -> TaskRequest {
        TaskRequest {
            message: String::new(),
            context: None,
            metadata: None,
            model: self.model.clone(),
            max_turns: self.max_turns,
            timeout_ms: self.timeout_ms,
            max_cost_usd: self.max_cost_usd,
            retry: self.retry,
            key: self.key.clone(),
            key_limits: self.key_limits.clone(),
            repository: self.repository.clone(),
            scripted: self.scripted,
            trace_parent: self.trace_parent,
            asks: self.asks.clone(),
        }
    }
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
    /// Starts at 0 and grows by one each time the task restarts because its sandbox was lost.
    pub attempt: u32,
    /// Set once the task has ended in any way, because cost and tools count for failed tasks too.
    pub answer: Option<Answer>,
    /// Set if the task did not complete.
    pub failure: Option<Failure>,
    /// Set if the task's session works in a repository.
    pub repository: Option<RepositoryProgress>,
    /// An ask of the task is open. The store knows it by the asks.
    #[serde(default, skip)]
    pub waiting: bool,
}
