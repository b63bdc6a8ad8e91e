//! Tasks: the record, the answer, and the words in them.

use domain::repository::RepositoryName;
use domain::session::SessionId;
use domain::task::TaskId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ask::Ask;
use crate::nullable::Nullable;
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskStatus {
    Queued,
    Running,
    Completed,
    Failed,
    Aborted,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    Aborted,
    Deleted,
    Timeout,
    Stalled,
    AuthExpired,
    NoCredential,
    CapacityReached,
    ModelUnreachable,
    EngineUnavailable,
    MaxTurns,
    BudgetExceeded,
    InvalidOutput,
    ModelRefused,
    McpServerFailed,
    RepoNotFound,
    RepoAmbiguous,
    CloneFailed,
    PushRejected,
    NothingToDo,
    ExitCode,
    OomKilled,
    ContainerLost,
    AskExpired,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The form of `POST /task` by which a task came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    Session,
    Repository,
    #[serde(other, skip_serializing)]
    Unknown,
}

/// The stages of a repository task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Orchestrator,
    Worker,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub requests: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    #[schema(value_type = String)]
    pub task_id: TaskId,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    pub status: TaskStatus,
    /// the structured answer; null where there is none
    #[schema(value_type = Value, required)]
    pub output: Option<Value>,
    /// the text of the answer, where there is no structured one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub response: Option<String>,
    #[schema(minimum = 0)]
    pub cost: f64,
    // Answers that an older version stored lack it.
    #[serde(default)]
    #[schema(minimum = 0, required)]
    pub cli_cost: f64,
    /// milliseconds
    pub duration: u64,
    pub tools: Vec<String>,
    pub resumed: bool,
    pub usage: Usage,
    /// true where a part of `cost` is of a model without a price, counted as the most expensive one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub price_assumed: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    #[schema(value_type = String)]
    pub id: TaskId,
    #[schema(value_type = String)]
    pub task_id: TaskId,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    #[schema(schema_with = crate::schema::queued)]
    pub status: TaskStatus,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    pub session_id: String,
    /// where one task was meant
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub task_id: Option<String>,
    pub aborted: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    #[schema(value_type = String)]
    pub id: TaskId,
    #[schema(value_type = String)]
    pub task_id: TaskId,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    #[schema(inline)]
    pub kind: TaskKind,
    pub status: TaskStatus,
    pub prompt: String,
    #[schema(required)]
    pub context: Option<String>,
    /// in lists and changes, where `prompt` or `context` is cut at 2,000 characters
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub truncated: Option<bool>,
    pub model: String,
    /// where the scripted model answered and not Claude
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub scripted: Option<bool>,
    pub max_turns: u32,
    pub timeout_ms: u64,
    #[schema(required)]
    pub max_cost_usd: Option<f64>,
    #[schema(value_type = Option<Object>, required)]
    pub metadata: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    pub created: Time,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub started: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub finished: Option<Time>,
    #[schema(required)]
    pub error: Option<String>,
    #[schema(required)]
    pub error_type: Option<ErrorType>,
    #[serde(rename = "pr_url")]
    #[schema(required)]
    pub pr_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::schema::nullable_stage)]
    pub stage: Option<Nullable<Stage>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub repo: Option<Nullable<RepositoryName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub branch: Option<Nullable<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub summary: Option<Nullable<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub cost: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub cli_cost: Option<f64>,
    /// milliseconds
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub duration: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tools: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub resumed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<Usage>,
    /// true where a part of `cost` is of a model without a price, counted as the most expensive one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub price_assumed: Option<bool>,
    /// the structured answer; null where there is none. Lists have it with `?full=1` only, `/watch` never
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value, required = false)]
    pub output: Option<Nullable<Value>>,
    /// the text of the answer, where there is no structured one; in lists like `output`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub response: Option<Nullable<String>>,
    /// true while an ask of the task is open: the task waits for a person, and its time does not run
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub waiting: Option<bool>,
    /// the open asks of a task that waits; not in lists and changes
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub asks: Option<Vec<Ask>>,
}

impl From<domain::task::TaskStatus> for TaskStatus {
    fn from(status: domain::task::TaskStatus) -> Self {
        match status {
            domain::task::TaskStatus::Queued => TaskStatus::Queued,
            domain::task::TaskStatus::Running => TaskStatus::Running,
            domain::task::TaskStatus::Completed => TaskStatus::Completed,
            domain::task::TaskStatus::Failed => TaskStatus::Failed,
            domain::task::TaskStatus::Aborted => TaskStatus::Aborted,
        }
    }
}

impl TaskStatus {
    /// The task has ended.
    pub const fn is_final(self) -> bool {
        match self {
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Aborted => true,
            TaskStatus::Queued | TaskStatus::Running | TaskStatus::Unknown => false,
        }
    }
}

impl From<domain::task::ErrorType> for ErrorType {
    fn from(error_type: domain::task::ErrorType) -> Self {
        match error_type {
            domain::task::ErrorType::Aborted => ErrorType::Aborted,
            domain::task::ErrorType::Deleted => ErrorType::Deleted,
            domain::task::ErrorType::Timeout => ErrorType::Timeout,
            domain::task::ErrorType::Stalled => ErrorType::Stalled,
            domain::task::ErrorType::AuthExpired => ErrorType::AuthExpired,
            domain::task::ErrorType::NoCredential => ErrorType::NoCredential,
            domain::task::ErrorType::CapacityReached => ErrorType::CapacityReached,
            domain::task::ErrorType::ModelUnreachable => ErrorType::ModelUnreachable,
            domain::task::ErrorType::EngineUnavailable => ErrorType::EngineUnavailable,
            domain::task::ErrorType::MaxTurns => ErrorType::MaxTurns,
            domain::task::ErrorType::BudgetExceeded => ErrorType::BudgetExceeded,
            domain::task::ErrorType::InvalidOutput => ErrorType::InvalidOutput,
            domain::task::ErrorType::ModelRefused => ErrorType::ModelRefused,
            domain::task::ErrorType::McpServerFailed => ErrorType::McpServerFailed,
            domain::task::ErrorType::RepoNotFound => ErrorType::RepoNotFound,
            domain::task::ErrorType::RepoAmbiguous => ErrorType::RepoAmbiguous,
            domain::task::ErrorType::CloneFailed => ErrorType::CloneFailed,
            domain::task::ErrorType::PushRejected => ErrorType::PushRejected,
            domain::task::ErrorType::NothingToDo => ErrorType::NothingToDo,
            domain::task::ErrorType::AskExpired => ErrorType::AskExpired,
            domain::task::ErrorType::ExitCode => ErrorType::ExitCode,
            domain::task::ErrorType::OomKilled => ErrorType::OomKilled,
            domain::task::ErrorType::ContainerLost => ErrorType::ContainerLost,
        }
    }
}

impl From<domain::task::Stage> for Stage {
    fn from(stage: domain::task::Stage) -> Self {
        match stage {
            domain::task::Stage::Orchestrator => Stage::Orchestrator,
            domain::task::Stage::Worker => Stage::Worker,
        }
    }
}

impl From<domain::usage::Usage> for Usage {
    fn from(usage: domain::usage::Usage) -> Self {
        Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_creation_input_tokens: usage.cache_creation_input_tokens,
            cache_read_input_tokens: usage.cache_read_input_tokens,
            requests: usage.requests,
        }
    }
}

impl From<&domain::task::Answer> for Answer {
    fn from(answer: &domain::task::Answer) -> Self {
        Answer {
            task_id: answer.task_id.clone(),
            session_id: answer.session_id.clone(),
            status: answer.status.into(),
            output: answer.output.clone(),
            response: answer.response.clone(),
            cost: answer.cost,
            cli_cost: answer.cli_cost,
            duration: answer.duration,
            tools: answer.tools.clone(),
            resumed: answer.resumed,
            usage: answer.usage.into(),
            price_assumed: answer.price_assumed.then_some(true),
        }
    }
}
