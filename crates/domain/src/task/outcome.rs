//! The outcome of a task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{TaskId, TaskStatus};
use crate::session::SessionId;
use crate::usage::Usage;

/// The reason why a task did not complete. It comes from what the coordinator observed, never from what the agent
/// prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    Aborted,
    Timeout,
    Stalled,
    AuthExpired,
    NoCredential,
    CapacityReached,
    /// The model API could not be reached, or failed each time.
    ModelUnreachable,
    MaxTurns,
    BudgetExceeded,
    InvalidOutput,
    ModelRefused,
    McpServerFailed,
    ExitCode,
    OomKilled,
    ContainerLost,
    EngineUnavailable,
    Deleted,
    RepoNotFound,
    RepoAmbiguous,
    CloneFailed,
    PushRejected,
    NothingToDo,
    /// An ask of the task expired, and its policy fails the task then.
    AskExpired,
}

impl ErrorType {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            ErrorType::Aborted => "aborted",
            ErrorType::Timeout => "timeout",
            ErrorType::Stalled => "stalled",
            ErrorType::AuthExpired => "auth_expired",
            ErrorType::NoCredential => "no_credential",
            ErrorType::CapacityReached => "capacity_reached",
            ErrorType::ModelUnreachable => "model_unreachable",
            ErrorType::MaxTurns => "max_turns",
            ErrorType::BudgetExceeded => "budget_exceeded",
            ErrorType::InvalidOutput => "invalid_output",
            ErrorType::ModelRefused => "model_refused",
            ErrorType::McpServerFailed => "mcp_server_failed",
            ErrorType::ExitCode => "exit_code",
            ErrorType::OomKilled => "oom_killed",
            ErrorType::ContainerLost => "container_lost",
            ErrorType::EngineUnavailable => "engine_unavailable",
            ErrorType::Deleted => "deleted",
            ErrorType::RepoNotFound => "repo_not_found",
            ErrorType::RepoAmbiguous => "repo_ambiguous",
            ErrorType::CloneFailed => "clone_failed",
            ErrorType::PushRejected => "push_rejected",
            ErrorType::NothingToDo => "nothing_to_do",
            ErrorType::AskExpired => "ask_expired",
        }
    }
}

/// The reason why a task did not complete: the kind, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub error_type: ErrorType,
    pub error: String,
}

/// The result of a finished task. It is the body of a synchronous `POST /task` and of `task_complete`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub task_id: TaskId,
    pub session_id: SessionId,
    pub status: TaskStatus,
    /// The structured output. `None` (JSON `null`) if there is none.
    pub output: Option<Value>,
    /// The text of the answer, if there is no structured output.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response: Option<String>,
    /// Cost in US dollars, computed from the usage that the model API reported to the gateway.
    pub cost: f64,
    /// The cost in US dollars that the CLI reports, for comparison.
    #[serde(default)]
    pub cli_cost: f64,
    /// Milliseconds from the start of the task to its end.
    pub duration: u64,
    /// The tool of each call, in call order.
    pub tools: Vec<String>,
    /// True if the conversation existed before this task.
    pub resumed: bool,
    pub usage: Usage,
    /// True if a part of `cost` is of a model without a price, which is counted as the most expensive one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub price_assumed: bool,
}

impl Failure {
    pub fn new(error_type: ErrorType, error: impl Into<String>) -> Self {
        Failure { error_type, error: error.into() }
    }

    /// `Aborted` if a caller ended the task, else `Failed`.
    pub const fn status(&self) -> TaskStatus {
        match self.error_type {
            ErrorType::Aborted | ErrorType::Deleted => TaskStatus::Aborted,
            ErrorType::Timeout
            | ErrorType::Stalled
            | ErrorType::AuthExpired
            | ErrorType::NoCredential
            | ErrorType::CapacityReached
            | ErrorType::ModelUnreachable
            | ErrorType::MaxTurns
            | ErrorType::BudgetExceeded
            | ErrorType::InvalidOutput
            | ErrorType::ModelRefused
            | ErrorType::McpServerFailed
            | ErrorType::ExitCode
            | ErrorType::OomKilled
            | ErrorType::ContainerLost
            | ErrorType::EngineUnavailable
            | ErrorType::RepoNotFound
            | ErrorType::RepoAmbiguous
            | ErrorType::CloneFailed
            | ErrorType::PushRejected
            | ErrorType::NothingToDo
            | ErrorType::AskExpired => TaskStatus::Failed,
        }
    }
}
